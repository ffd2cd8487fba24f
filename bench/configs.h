// The training steps that are timed: the documents' models, batch sizes and
// optimisers. One table for our own steps (step_bench.cc), for the matrix
// products they cannot do without (gemm_floor.h) and for others' steps.
#ifndef TAPE_BENCH_CONFIGS_H_
#define TAPE_BENCH_CONFIGS_H_

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "framework/data/batches.h"
#include "framework/data/dataset.h"

namespace tape {

struct StepConfig {
  enum class Activation { kRelu, kSigmoid };
  enum class Optimizer { kSgd, kMomentum, kAdam };

  std::string name;            // "784-40-10/b16/sgd"
  std::vector<int64_t> sizes;  // Pixels, then the units of each layer.
  int64_t batch;
  Optimizer optimizer = Optimizer::kSgd;
  Activation activation = Activation::kRelu;
  double learning_rate = 0.01;
  double l2 = 0;                // Strength on the weights, and on the biases.
  Order order = Order::kFixed;  // As the document takes its batches.
};

absl::Span<const StepConfig> StepConfigs();
// By SGD with ReLU: width, depth or batch varied, one at a time ("width:64").
absl::Span<const StepConfig> ScalingConfigs();

// 65536 random images of 784 pixels, bytes, of 10 classes.
const Dataset& RandomImages();

// [m,k] by [k,n]; an operand that is transposed lies in memory as its
// transpose.
struct Product {
  int64_t m, k, n;
  bool transpose_lhs = false, transpose_rhs = false;

  friend auto operator<=>(const Product&, const Product&) = default;
};

// The products that a step cannot do without: of each layer the forward one and
// the weight's gradient, of each but the first the input's gradient.
std::vector<Product> StepProducts(const StepConfig& config);

// Multiplications and additions, 2 m k n each.
double Flops(absl::Span<const Product> products);

}  // namespace tape

#endif  // TAPE_BENCH_CONFIGS_H_
