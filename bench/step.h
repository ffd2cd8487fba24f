// What the programs of this folder time of a training step: the whole of it,
// and its matrix products alone.
#ifndef TAPE_BENCH_STEP_H_
#define TAPE_BENCH_STEP_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "bench/configs.h"
#include "bench/step_line.h"
#include "framework/data/batches.h"
#include "framework/data/dataset.h"
#include "framework/distributed/data_parallel.h"
#include "framework/framework.h"

namespace tape {

// The config's name, and its line without what is timed (step_line.h).
std::string LineOf(const StepConfig& config);
// The config that a line tells, without a name.
StepConfig ConfigOf(const StepLine& line);

// A config's training step.
class TrainingStep {
 public:
  // `data` must outlive it. Its images are bytes, which become floats within the
  // step, or floats. `parallel`: of a rank's step, which takes that rank's rows.
  TrainingStep(const StepConfig& config, const Dataset& data, int threads,
               Precision precision = Precision::kFloat32,
               const DataParallel& parallel = {});

  // What Compile said; unless it is OK there is nothing to run.
  const absl::Status& status() const { return status_; }
  // Takes the next batch and trains with it. An error ends the program.
  void Run();
  Plan& plan() { return *plan_; }

 private:
  Graph graph_;
  Batches batches_;
  int epoch_ = 0;
  Var images_, labels_, loss_;
  absl::Status status_;
  std::optional<Plan> plan_;
};

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
