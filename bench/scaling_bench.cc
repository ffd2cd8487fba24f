// scaling_bench: how the cost of a step grows with width, depth and batch, one
// of them varied at a time, beside its matrix products alone (step.h).
//
//   bazel run //bench:scaling_bench -- --benchmark_filter=depth
//
// The model has 784 inputs, `depth` layers, of which all but the last have
// `width` units and ReLU, 10 classes, and is trained by SGD. Names are
// TrainStep/width:<n>/threads:<n>, depth and batch alike; bench/compare.py
// --scaling prints the tables of bench/README.md.
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/configs.h"
#include "bench/step.h"
#include "benchmark/benchmark.h"
#include "framework/core/random.h"
#include "framework/data/dataset.h"

namespace tape {
namespace {

constexpr int64_t kPixels = 784, kClasses = 10;
// What is not varied.
constexpr int64_t kWidth = 256, kDepth = 3, kBatchSize = 64;
constexpr int64_t kLargestBatch = 65536;

StepConfig Config(std::string name, int64_t width, int64_t depth,
                  int64_t batch) {
  StepConfig config = {.name = std::move(name), .sizes = {}, .batch = batch};
  config.sizes.push_back(kPixels);
  config.sizes.insert(config.sizes.end(), depth - 1, width);
  config.sizes.push_back(kClasses);
  return config;
}

const std::vector<StepConfig>& Configs() {
  static const auto* const configs = [] {
    auto* const configs = new std::vector<StepConfig>;
    for (int64_t width = 64; width <= 4096; width *= 2) {
      configs->push_back(
          Config(absl::StrCat("width:", width), width, kDepth, kBatchSize));
    }
    for (int64_t depth = 2; depth <= 64; depth *= 2) {
      configs->push_back(
          Config(absl::StrCat("depth:", depth), kWidth, depth, kBatchSize));
    }
    for (int64_t batch = 1; batch <= kLargestBatch; batch *= 4) {
      configs->push_back(
          Config(absl::StrCat("batch:", batch), kWidth, kDepth, batch));
    }
    return configs;
  }();
  return *configs;
}

// Random pixels and labels: no data set here is as large as the largest batch.
const Dataset& RandomImages() {
  static const auto* const data = [] {
    auto* const data = new Dataset{
        Tensor(TensorType{DType::kUint8, {kLargestBatch, kPixels}}),
        Tensor(TensorType{DType::kInt32, {kLargestBatch}}), kClasses};
    RandomStream random(/*seed=*/0, StreamOf("scaling_bench"));
    for (uint8_t& pixel : data->images.values<uint8_t>()) {
      pixel = static_cast<uint8_t>(random.Below(256));
    }
    for (int32_t& label : data->labels.values<int32_t>()) {
      label = static_cast<int32_t>(random.Below(kClasses));
    }
    return data;
  }();
  return *data;
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  tape::RegisterSteps(tape::Configs(), &tape::RandomImages);
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
}
