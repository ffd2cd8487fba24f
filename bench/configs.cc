// The table of timed steps (configs.h).
#include "bench/configs.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/random.h"

namespace tape {
namespace {

constexpr int64_t kLargestBatch = 65536;

constexpr int64_t kPixels = 784, kClasses = 10;
// What is not varied.
constexpr int64_t kWidth = 256, kDepth = 3, kBatchSize = 64;

StepConfig Config(std::string name, int64_t width, int64_t depth,
                  int64_t batch) {
  StepConfig config = {.name = std::move(name), .sizes = {}, .batch = batch};
  config.sizes.push_back(kPixels);
  config.sizes.insert(config.sizes.end(), depth - 1, width);
  config.sizes.push_back(kClasses);
  return config;
}

}  // namespace

absl::Span<const StepConfig> ScalingConfigs() {
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
    RandomStream random(/*seed=*/0, StreamOf("bench"));
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

absl::Span<const StepConfig> StepConfigs() {
  using Activation = StepConfig::Activation;
  using Optimizer = StepConfig::Optimizer;
  static const auto* const configs = new std::vector<StepConfig>{
      {.name = "784-40-10/b16/sgd", .sizes = {784, 40, 10}, .batch = 16},
      {.name = "784-40-10/b32/sgd", .sizes = {784, 40, 10}, .batch = 32},
      {.name = "784-40-10/b128/sgd",
       .sizes = {784, 40, 10},
       .batch = 128,
       .order = Order::kShuffled},
      {.name = "784-256-128-10/b64/momentum",
       .sizes = {784, 256, 128, 10},
       .batch = 64,
       .optimizer = Optimizer::kMomentum,
       .order = Order::kShuffled},
      {.name = "784-500-250-100-10/b64/sgd",
       .sizes = {784, 500, 250, 100, 10},
       .batch = 64,
       .activation = Activation::kSigmoid,
       .order = Order::kSampled},
      {.name = "784-500-250-100-10/b64/sgd_relu",
       .sizes = {784, 500, 250, 100, 10},
       .batch = 64,
       .order = Order::kSampled},
      {.name = "784-500-250-100-10/b64/adam",
       .sizes = {784, 500, 250, 100, 10},
       .batch = 64,
       .optimizer = Optimizer::kAdam,
       .learning_rate = 1e-3},
      {.name = "784-128-128-10/b60000/sgd_l2",
       .sizes = {784, 128, 128, 10},
       .batch = 60000,
       .l2 = 5e-4},
      {.name = "784-64-64-10/b60000/momentum",
       .sizes = {784, 64, 64, 10},
       .batch = 60000,
       .optimizer = Optimizer::kMomentum},
      {.name = "784-64-64-10/b60000/adam",
       .sizes = {784, 64, 64, 10},
       .batch = 60000,
       .optimizer = Optimizer::kAdam,
       .learning_rate = 1e-3},
      {.name = "784-100-10/b1000/sgd",
       .sizes = {784, 100, 10},
       .batch = 1000,
       .activation = Activation::kSigmoid,
       .order = Order::kShuffled},
      {.name = "784-200-10/b1000/sgd",
       .sizes = {784, 200, 10},
       .batch = 1000,
       .activation = Activation::kSigmoid,
       .order = Order::kShuffled},
  };
  return *configs;
}

std::vector<Product> StepProducts(const StepConfig& config) {
  std::vector<Product> products;
  for (size_t i = 0; i + 1 < config.sizes.size(); ++i) {
    const int64_t inputs = config.sizes[i], units = config.sizes[i + 1];
    products.push_back({.m = config.batch, .k = inputs, .n = units});
    products.push_back(
        {.m = inputs, .k = config.batch, .n = units, .transpose_lhs = true});
    if (i == 0) continue;
    products.push_back(
        {.m = config.batch, .k = units, .n = inputs, .transpose_rhs = true});
  }
  return products;
}

double Flops(absl::Span<const Product> products) {
  double flops = 0;
  for (const Product& product : products) {
    flops += 2.0 * product.m * product.k * product.n;
  }
  return flops;
}

}  // namespace tape
