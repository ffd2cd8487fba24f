// scaling_bench: how the cost of a step grows with width, depth and batch, one
// of them varied at a time, beside its matrix products alone (step.h).
//
//   bazel run //bench:scaling_bench -- --benchmark_filter=depth
//
// The model has 784 inputs, `depth` layers, of which all but the last have
// `width` units and ReLU, 10 classes, and is trained by SGD. Names are
// TrainStep/width:<n>/threads:<n>, depth and batch alike; bench/compare.py
// --scaling prints the tables of bench/README.md.
#include "bench/configs.h"
#include "bench/step.h"
#include "benchmark/benchmark.h"

int main(int argc, char** argv) {
  tape::RegisterSteps(tape::ScalingConfigs(), &tape::RandomImages);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
