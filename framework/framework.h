// Tape: a computational graph with automatic differentiation, compiled to run
// on a CPU. Start here, and at ops/ops.h.
//
//   declare (Graph) -> differentiate (Gradients) -> consume (regularisers,
//   optimisers) -> compile (Compile) -> run (Plan)
#ifndef TAPE_FRAMEWORK_FRAMEWORK_H_
#define TAPE_FRAMEWORK_FRAMEWORK_H_

#include "framework/check/gradient_check.h"
#include "framework/check/kernel_check.h"
#include "framework/compiler/compile.h"
#include "framework/core/calculus.h"
#include "framework/core/gradients.h"
#include "framework/core/graph.h"
#include "framework/core/initializer.h"
#include "framework/core/mode.h"
#include "framework/core/reference.h"
#include "framework/core/tensor.h"
#include "framework/core/updates.h"
#include "framework/data/batches.h"
#include "framework/data/csv.h"
#include "framework/data/data_source.h"
#include "framework/data/dataset.h"
#include "framework/data/image_folder.h"
#include "framework/data/images.h"
#include "framework/data/subset.h"
#include "framework/data/table.h"
#include "framework/io/safetensors.h"
#include "framework/metrics/classification.h"
#include "framework/optim/clip.h"
#include "framework/optim/optimizer.h"
#include "framework/optim/regularizer.h"
#include "framework/optim/schedule.h"
#include "framework/optim/transform.h"
#include "framework/optim/wrappers.h"
#include "framework/runtime/plan.h"
#include "framework/runtime/profile.h"
#include "framework/train/accumulators.h"
#include "framework/train/checkpoint.h"
#include "framework/train/early_stopping.h"
#include "framework/train/model.h"
#include "framework/train/trainer.h"
#include "framework/train/weights.h"

#endif  // TAPE_FRAMEWORK_FRAMEWORK_H_
