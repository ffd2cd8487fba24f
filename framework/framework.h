// Tape: a computational graph with automatic differentiation, compiled to run
// on a CPU. Start here, and at ops/ops.h.
//
//   declare (Graph) -> differentiate (Gradients) -> consume (regularisers,
//   optimisers) -> compile (Compile) -> run (Plan)
#ifndef TAPE_FRAMEWORK_FRAMEWORK_H_
#define TAPE_FRAMEWORK_FRAMEWORK_H_

#include "framework/compiler/compile.h"
#include "framework/compiler/kernel_check.h"
#include "framework/compiler/plan.h"
#include "framework/compiler/profile.h"
#include "framework/core/calculus.h"
#include "framework/core/gradient_check.h"
#include "framework/core/gradients.h"
#include "framework/core/graph.h"
#include "framework/core/initializer.h"
#include "framework/core/reference.h"
#include "framework/core/tensor.h"
#include "framework/core/updates.h"
#include "framework/data/batches.h"
#include "framework/data/csv.h"
#include "framework/data/dataset.h"
#include "framework/data/image_folder.h"
#include "framework/data/images.h"
#include "framework/data/safetensors.h"
#include "framework/data/subset.h"
#include "framework/train/checkpoint.h"
#include "framework/train/classification.h"
#include "framework/train/clip.h"
#include "framework/train/early_stopping.h"
#include "framework/train/optimizer.h"
#include "framework/train/regularizer.h"
#include "framework/train/schedule.h"
#include "framework/train/trainer.h"
#include "framework/train/transform.h"
#include "framework/train/weights.h"
#include "framework/train/wrappers.h"

#endif  // TAPE_FRAMEWORK_FRAMEWORK_H_
