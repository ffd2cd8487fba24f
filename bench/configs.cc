// The table of timed steps (configs.h).
#include "bench/configs.h"

namespace tape {

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
