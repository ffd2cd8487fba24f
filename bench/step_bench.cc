// step_bench: whole training steps beside their matrix products alone (step.h),
// of the models of configs.h, on Fashion-MNIST.
//
//   bazel run -c opt //bench:step_bench -- --benchmark_filter=b64
#include <cstdlib>
#include <utility>

#include "bench/configs.h"
#include "bench/step.h"
#include "benchmark/benchmark.h"
#include "framework/framework.h"
#include "models/experiment.h"

namespace tape {
namespace {

const Dataset& TrainingImages() {
  static const auto* const data = [] {
    absl::StatusOr<DataSplits> splits = ReadMnistFolder(kFashionMnist);
    if (!splits.ok()) std::exit(Fail(splits.status()));
    return new Dataset(std::move(splits->train));
  }();
  return *data;
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  tape::RegisterSteps(tape::StepConfigs(), &tape::TrainingImages);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
