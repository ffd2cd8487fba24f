// tape_ops [ROWS COLUMNS]: ops and their gradients, each alone in a plan of one
// thread, on 1000 x 256 float32 or another size, for compare_ops.py (rounds.h).
// "gradient/<op>" is the op and, besides,
// the derivative by x of the sum of gy times it.
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/rounds.h"
#include "framework/core/random.h"
#include "framework/core/version.h"
#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {
namespace {

// What ops are of.
struct Operands {
  Var x, b;       // Floats on (-1, 1).
  Var positive;   // Floats on (0.1, 2).
  Var row;        // [columns], floats.
  Var labels;     // int32 [rows], of columns.
  Var indices;    // int32 [rows], of rows.
  Var condition;  // uint8.
};

using Build = std::function<Var(const Operands&)>;

Tensor Floats(const Shape& shape, double low, double high, uint64_t seed) {
  RandomStream random(seed, 0);
  Tensor tensor({DType::kFloat32, shape});
  for (float& x : tensor.values<float>()) {
    x = static_cast<float>(low + (high - low) * random.Uniform());
  }
  return tensor;
}

Tensor Ints(int64_t count, uint32_t bound) {
  RandomStream random(7, 0);
  Tensor tensor(TensorType{DType::kInt32, {count}});
  for (int32_t& x : tensor.values<int32_t>()) {
    x = static_cast<int32_t>(random.Below(bound));
  }
  return tensor;
}

// A call that runs the plan of an op, or of its gradient.
std::function<void()> CallOf(const Build& build, bool of_gradient,
                             MatrixSize size) {
  struct Made {
    Graph graph;
    std::vector<std::pair<Var, Tensor>> operands;
    std::optional<Plan> plan;
    std::vector<Feed> feeds;
  };
  const auto made = std::make_shared<Made>();
  Graph& graph = made->graph;
  const Shape shape = {size.rows, size.columns};
  const auto input = [&](const char* name, Tensor tensor) {
    const Var var = graph.Input(name, tensor.shape(), tensor.dtype());
    made->operands.emplace_back(var, std::move(tensor));
    return var;
  };
  Operands operands;
  operands.x = input("x", Floats(shape, -1, 1, 1));
  operands.b = input("b", Floats(shape, -1, 1, 2));
  operands.positive = input("positive", Floats(shape, 0.1, 2, 3));
  operands.row = input("row", Floats({size.columns}, -1, 1, 4));
  operands.labels = input("labels", Ints(size.rows, size.columns));
  operands.indices = input("indices", Ints(size.rows, size.rows));
  Tensor condition(TensorType{DType::kUint8, shape});
  RandomStream random(8, 0);
  for (uint8_t& c : condition.values<uint8_t>()) c = random.Below(2);
  operands.condition = input("condition", std::move(condition));
  const Var y = build(operands);
  std::vector<Var> fetch = {y};
  if (of_gradient) {
    const Var gy = input("gy", Floats(y.shape(), -1, 1, 5));
    fetch.push_back(Gradients(Sum(gy * y), {operands.x})[0]);
  }
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = fetch, .threads = 1});
  if (!plan.ok()) std::exit(Fail(plan.status()));
  made->plan = *std::move(plan);
  for (const auto& [var, tensor] : made->operands) {
    made->feeds.push_back({var, tensor});
  }
  return [made] {
    const absl::Status status = made->plan->Run(made->feeds);
    if (!status.ok()) std::exit(Fail(status));
  };
}

TimedCalls Calls(MatrixSize size) {
  using O = Operands;
  TimedCalls calls;
  // Plans are made when they are first asked for.
  const auto add = [&](const std::string& name, const Build& build,
                       bool of_gradient) {
    calls[name] = [build, of_gradient, size,
                   call = std::function<void()>()]() mutable {
      if (call == nullptr) call = CallOf(build, of_gradient, size);
      call();
    };
  };
  const std::vector<std::pair<std::string, Build>> with_gradient = {
      {"relu", [](const O& o) { return Relu(o.x); }},
      {"sigmoid", [](const O& o) { return Sigmoid(o.x); }},
      {"tanh", [](const O& o) { return Tanh(o.x); }},
      {"gelu", [](const O& o) { return Gelu(o.x); }},
      {"silu", [](const O& o) { return Silu(o.x); }},
      {"softplus", [](const O& o) { return Softplus(o.x); }},
      {"softmax", [](const O& o) { return Softmax(o.x); }},
      {"log_softmax", [](const O& o) { return LogSoftmax(o.x); }},
      {"layer_norm", [](const O& o) { return LayerNorm(o.x, o.row, o.row); }},
  };
  for (const auto& [name, build] : with_gradient) {
    add(name, build, false);
    add("gradient/" + name, build, true);
  }
  const std::vector<std::pair<std::string, Build>> values = {
      {"add", [](const O& o) { return o.x + o.b; }},
      {"add_row", [](const O& o) { return o.x + o.row; }},
      {"mul", [](const O& o) { return o.x * o.b; }},
      {"div", [](const O& o) { return o.x / o.positive; }},
      {"abs", [](const O& o) { return Abs(o.x); }},
      {"sqrt", [](const O& o) { return Sqrt(o.positive); }},
      {"rsqrt", [](const O& o) { return Rsqrt(o.positive); }},
      {"exp", [](const O& o) { return Exp(o.x); }},
      {"log", [](const O& o) { return Log(o.positive); }},
      {"sin", [](const O& o) { return Sin(o.x); }},
      {"erf", [](const O& o) { return Erf(o.x); }},
      {"pow", [](const O& o) { return Pow(o.positive, o.b); }},
      {"pow_3", [](const O& o) { return Pow(o.x, 3); }},
      {"clip", [](const O& o) { return Clip(o.x, -0.5, 0.5); }},
      {"maximum", [](const O& o) { return Maximum(o.x, o.b); }},
      {"greater", [](const O& o) { return Greater(o.x, o.b); }},
      {"select", [](const O& o) { return Select(o.condition, o.x, o.b); }},
      {"sum", [](const O& o) { return Sum(o.x); }},
      {"sum_rows", [](const O& o) { return Sum(o.x, {1}); }},
      {"sum_columns", [](const O& o) { return Sum(o.x, {0}); }},
      {"max_rows", [](const O& o) { return Max(o.x, {1}); }},
      {"max_columns", [](const O& o) { return Max(o.x, {0}); }},
      {"argmax_rows", [](const O& o) { return ArgMax(o.x, 1); }},
      {"variance_rows", [](const O& o) { return Variance(o.x, {1}); }},
      {"norm", [](const O& o) { return Norm(o.x); }},
      {"norm_rows", [](const O& o) { return Norm(o.x, {1}); }},
      {"logsumexp_rows", [](const O& o) { return LogSumExp(o.x, {1}); }},
      {"cumsum_rows", [](const O& o) { return CumSum(o.x, 1); }},
      {"cumsum_columns", [](const O& o) { return CumSum(o.x, 0); }},
      {"transpose", [](const O& o) { return Transpose(o.x); }},
      {"concat_rows",
       [](const O& o) {
         return Concat({o.x, o.b}, 0);
       }},
      {"gather_rows", [](const O& o) { return Gather(o.x, o.indices); }},
      {"top_8", [](const O& o) { return TopKIndices(o.x, 8, 1); }},
      {"cross_entropy",
       [](const O& o) { return SoftmaxCrossEntropy(o.x, o.labels); }},
      {"mean_squared_error",
       [](const O& o) { return MeanSquaredError(o.x, o.b, Reduction::kMean); }},
  };
  for (const auto& [name, build] : values) add(name, build, false);
  return calls;
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  tape::ServeRounds(std::string("Tape ") + tape::kVersion,
                    tape::Calls(tape::SizeFrom(argc, argv)));
}
