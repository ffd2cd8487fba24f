// What the programs of this folder time of a training step: the whole of it,
// and its matrix products alone.
#ifndef TAPE_BENCH_STEP_H_
#define TAPE_BENCH_STEP_H_

#include "absl/types/span.h"
#include "bench/configs.h"
#include "framework/data/dataset.h"

namespace tape {

// Registers for each config, which must outlive the benchmarks, and for 1 and 2
// threads:
// - TrainStep/<config>/threads:<n> takes the next batch of `data` and runs a
//   plan: forward, loss, backward, regulariser, update. `data` is called when
//   the first of them runs.
// - BFloat16Step/<config>/threads:<n> is the same with products of bfloat16, or
//   an error where the processor has none.
// - GemmFloor/<config>/threads:<n> is oneDNN (gemm_floor.h).
// All run once before they are timed, because the first run prepares. Their
// counter "FLOP/s" is the rate of the products' work (Flops in configs.h), so
// that its ratio is that of the times.
void RegisterSteps(absl::Span<const StepConfig> configs,
                   const Dataset& (*data)());

}  // namespace tape

#endif  // TAPE_BENCH_STEP_H_
