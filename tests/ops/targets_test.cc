// Which ops have the same bits whatever the processor: each row of the sample
// table, its value and its gradients, by each of the instruction sets that
// Highway has code for here. Passes of machine code have the bits of the blocks
// (lane_code_test); what oneDNN makes of older processors: processors_test. And
// that no element's value depends on its neighbours.
#include "hwy/targets.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/random.h"
#include "framework/core/reference.h"
#include "framework/framework.h"
#include "ops/ops.h"
#include "tests/ops/op_samples.h"

namespace tape {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInf = std::numeric_limits<float>::infinity();

absl::StatusOr<std::vector<Tensor>> ValuesOf(const Graph& graph,
                                             const std::vector<Var>& fetches,
                                             const std::vector<Feed>& feeds) {
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = fetches});
  if (!plan.ok()) return plan.status();
  if (absl::Status status = plan->Run(feeds); !status.ok()) return status;
  std::vector<Tensor> values;
  for (const Var fetch : fetches) {
    const TensorView view = plan->Value(fetch);
    values.emplace_back(view.type());
    std::memcpy(values.back().data(), view.data(), view.type().bytes());
  }
  return values;
}

bool IsDifferentiable(const OpSample& sample) {
  return sample.differentiated != Differentiated::kRefused &&
         sample.differentiated != Differentiated::kNotAsked;
}

// A row's value, and the gradients of its sum by all float32 operands.
std::vector<Tensor> Compute(const OpSample& sample) {
  Graph graph;
  const SampleOperands operands = DeclareOperands(&graph, sample);
  std::vector<Tensor> fed;
  for (size_t i = 0; i < operands.x.size(); ++i) {
    fed.push_back(SampleValues(sample, i));
  }
  std::vector<Feed> feeds;
  for (size_t i = 0; i < fed.size(); ++i) {
    feeds.push_back({operands.x[i], fed[i]});
  }
  const Var y = sample.build(operands);
  std::vector<Var> fetches = {y};
  if (y.type().dtype == DType::kFloat32 && IsDifferentiable(sample)) {
    std::vector<Var> sources;
    for (const Var x : operands.x) {
      if (x.type().dtype == DType::kFloat32) sources.push_back(x);
    }
    const std::vector<Var> gradients =
        Gradients(Sum(y), sources, {.unconnected = Unconnected::kZero});
    fetches.insert(fetches.end(), gradients.begin(), gradients.end());
  }
  absl::StatusOr<std::vector<Tensor>> values = ValuesOf(graph, fetches, feeds);
  if (values.ok()) return *std::move(values);
  ADD_FAILURE() << sample.op << ", " << sample.name << ": " << values.status();
  return {};
}

// Of NaNs, any.
bool HaveSameBits(const Tensor& a, const Tensor& b) {
  if (a.dtype() != DType::kFloat32) {
    return std::memcmp(a.data(), b.data(), a.type().bytes()) == 0;
  }
  for (int64_t i = 0; i < a.elements(); ++i) {
    const float left = a.values<float>()[i], right = b.values<float>()[i];
    if (std::isnan(left) && std::isnan(right)) continue;
    if (std::memcmp(&left, &right, sizeof(float)) != 0) return false;
  }
  return true;
}

bool HaveSameBits(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!HaveSameBits(a[i], b[i])) return false;
  }
  return true;
}

// Sums and what consists of them: which terms are added first follows from how
// many fit a vector. (Of Max and Min it is the sign of a zero, and the Pow, Mul
// and Div of rows and columns have gradients that are sums.)
std::set<std::string> DependOnWidth() {
  return {"BatchNorm",
          "BatchNormInference",
          "Div",
          "Hinge",
          "Huber",
          "KlDivergence",
          "LayerNorm",
          "LayerNormSlope",
          "LogSoftmax",
          "LogSoftmaxSlope",
          "LogSumExp",
          "Max",
          "Mean",
          "MeanAbsoluteError",
          "MeanParts",
          "MeanSquareTo",
          "MeanSquaredError",
          "MeanTo",
          "Min",
          "Mul",
          "Norm",
          "NormParts",
          "NormTo",
          "NormaliseRows",
          "Pow",
          "RowScale",
          "Softmax",
          "SoftmaxCrossEntropy",
          "SoftmaxCrossEntropySlope",
          "SoftmaxSlope",
          "Sum",
          "SumTo",
          "Variance"};
}

// Functions that polynomials approximate: without fused multiply-adds, which
// came with AVX2, they round more often. Below SSE4 Floor, Ceil and Round lose
// the sign of a zero. Below AVX2 GCC 16 makes of Relu's comparison a maximum,
// which takes a denormal for 0.
std::set<std::string> DependOnFusing() {
  return {"Ceil",
          "Cos",
          "Elu",
          "Erf",
          "Exp",
          "Expm1",
          "Floor",
          "Gaussian",
          "Gelu",
          "GeluSlope",
          "GeluTanh",
          "GeluTanhSlope",
          "Log",
          "Log1p",
          "Relu",
          "Round",
          "Selu",
          "Sigmoid",
          "SigmoidCrossEntropy",
          "SigmoidError",
          "SigmoidSlope",
          "Silu",
          "SiluSlope",
          "Sin",
          "Softplus",
          "Tanh",
          "TanhSlope"};
}

TEST(TargetsTest, OnlyTheseOpsDependOnThem) {
  const std::set<std::string> on_width = DependOnWidth();
  const std::set<std::string> on_fusing = DependOnFusing();
  const std::vector<int64_t> targets = hwy::SupportedAndGeneratedTargets();
  for (const OpSample& sample : OpSamples()) {
    if (on_width.contains(sample.op)) continue;
    hwy::SetSupportedTargetsForTest(targets[0]);
    const std::vector<Tensor> best = Compute(sample);
    for (size_t i = 1; i < targets.size(); ++i) {
      const bool fuses = targets[i] <= HWY_AVX2;
      if (!fuses && on_fusing.contains(sample.op)) continue;
      hwy::SetSupportedTargetsForTest(targets[i]);
      EXPECT_TRUE(HaveSameBits(Compute(sample), best))
          << sample.op << ", " << sample.name << ": "
          << hwy::TargetName(targets[i]) << " has other bits than "
          << hwy::TargetName(targets[0]);
    }
  }
  hwy::SetSupportedTargetsForTest(0);
}

// A function of an element: its value and its derivative, declared on an input.
struct Function {
  explicit Function(Shape shape) : x(graph.Input("x", std::move(shape))) {}

  Graph graph;
  Var x;
  std::vector<Var> fetches;
};

// A row's op on x of a shape, or null unless it is composed of elementwise ops
// and has one float32 operand.
std::unique_ptr<Function> FunctionOf(const OpSample& sample, Shape shape) {
  if (sample.inputs.size() != 1 || sample.inputs[0].dtype != DType::kFloat32) {
    return nullptr;
  }
  auto made = std::make_unique<Function>(std::move(shape));
  const Var y =
      sample.build({.graph = &made->graph, .x = {made->x}, .loc = kSampleLoc});
  if (!made->graph.status().ok() || !(y.type() == made->x.type())) {
    return nullptr;
  }
  for (int id = 0; id < made->graph.size(); ++id) {
    const Traits& traits = made->graph.node(id).op->traits;
    if (!traits.elementwise && !traits.uniform && !traits.source) {
      return nullptr;
    }
  }
  made->fetches = {y};
  if (IsDifferentiable(sample)) {
    made->fetches.push_back(Gradients(Sum(y), {made->x})[0]);
  }
  return made;
}

// Where functions change from one branch to the next.
std::vector<float> Borders() {
  std::vector<float> borders = {0, kNan, kInf, -kInf};
  for (const double border : {1e-45, 1e-38, 1e-9, 1.0, 3.9, 4.1, 9.9, 20.0,
                              81.3, 88.0, 88.8, 104.1, 1e4, 1e9, 3e38}) {
    borders.push_back(static_cast<float>(border));
    borders.push_back(static_cast<float>(-border));
  }
  return borders;
}

// Those, what is drawn around them, and what is drawn between.
std::vector<float> Places() {
  std::vector<float> places = Borders();
  RandomStream random(/*seed=*/0, StreamOf("places"));
  for (const float border : Borders()) {
    if (!std::isfinite(border)) continue;
    for (int i = 0; i < 200; ++i) {
      places.push_back(border * (0.9f + 0.2f * random.Uniform()));
    }
  }
  for (int i = 0; i < 1000; ++i) places.push_back(20 * random.Uniform() - 10);
  return places;
}

// Each place alone, and beside each border: what a vector holds besides an
// element decides which branches are taken, and must not be seen.
TEST(TargetsTest, NoElementDependsOnItsNeighbours) {
  constexpr int64_t kAlone = 64;  // Four of the longest vectors.
  const std::vector<float> places = Places(), borders = Borders();
  const int64_t count = static_cast<int64_t>(places.size());
  const int64_t round = 2 * count;  // The places, each beside one border.
  const Shape mixture = {static_cast<int64_t>(borders.size()) * round};
  Tensor alone(TensorType{DType::kFloat32, {count * kAlone}});
  Tensor beside(TensorType{DType::kFloat32, mixture});
  for (int64_t i = 0; i < alone.elements(); ++i) {
    alone.values<float>()[i] = places[i / kAlone];
  }
  for (int64_t i = 0; i < beside.elements(); ++i) {
    beside.values<float>()[i] =
        i % 2 == 0 ? places[i % round / 2] : borders[i / round];
  }
  const std::vector<int64_t> targets = hwy::SupportedAndGeneratedTargets();
  std::set<std::string> tested, functions;
  for (const OpSample& sample : OpSamples()) {
    const auto single = FunctionOf(sample, alone.shape());
    const auto mixed = FunctionOf(sample, mixture);
    // Rows that differ in their shapes alone have one function.
    if (single == nullptr || !functions.insert(single->graph.Dump()).second) {
      continue;
    }
    tested.insert(sample.op);
    for (const int64_t target : targets) {
      hwy::SetSupportedTargetsForTest(target);
      const auto expected =
          ValuesOf(single->graph, single->fetches, {{single->x, alone}});
      const auto found =
          ValuesOf(mixed->graph, mixed->fetches, {{mixed->x, beside}});
      ASSERT_TRUE(expected.ok() && found.ok()) << sample.op;
      for (size_t v = 0; v < expected->size(); ++v) {
        const auto left = (*expected)[v].values<float>();
        const auto right = (*found)[v].values<float>();
        for (int64_t i = 0; i < beside.elements(); i += 2) {
          const int64_t place = i % round / 2;
          const float a = left[place * kAlone], b = right[i];
          if (std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) ||
              (std::isnan(a) && std::isnan(b))) {
            continue;
          }
          FAIL() << sample.op << ", " << sample.name << ", by "
                 << hwy::TargetName(target) << ": "
                 << (v == 0 ? "the value" : "the derivative") << " at "
                 << absl::StrCat(places[place], " is ", a, ", and ", b,
                                 " beside one at ", borders[i / round]);
        }
      }
    }
  }
  hwy::SetSupportedTargetsForTest(0);
  for (const std::string& op : DependOnFusing()) {
    const bool has_more_operands =
        op.starts_with("SigmoidCrossEntropy") || op == "SigmoidError";
    EXPECT_TRUE(tested.contains(op) || has_more_operands) << op;
  }
}

}  // namespace
}  // namespace tape
