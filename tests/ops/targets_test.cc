// Which ops have the same bits whatever the processor: each row of the sample
// table, its value and its gradients, by each of the instruction sets that
// Highway has code for here. Passes of machine code have the bits of the blocks
// (lane_code_test); what oneDNN makes of older processors: processors_test.
#include "hwy/targets.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "framework/core/reference.h"
#include "framework/framework.h"
#include "ops/ops.h"
#include "tests/ops/op_samples.h"

namespace tape {
namespace {

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
  if (y.type().dtype == DType::kFloat32 &&
      sample.differentiated != Differentiated::kRefused &&
      sample.differentiated != Differentiated::kNotAsked) {
    std::vector<Var> sources;
    for (const Var x : operands.x) {
      if (x.type().dtype == DType::kFloat32) sources.push_back(x);
    }
    const std::vector<Var> gradients =
        Gradients(Sum(y), sources, {.unconnected = Unconnected::kZero});
    fetches.insert(fetches.end(), gradients.begin(), gradients.end());
  }
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = fetches});
  if (!plan.ok() || !plan->Run(feeds).ok()) {
    ADD_FAILURE() << sample.op << ", " << sample.name << ": " << plan.status();
    return {};
  }
  std::vector<Tensor> values;
  for (const Var fetch : fetches) {
    const TensorView view = plan->Value(fetch);
    values.emplace_back(view.type());
    std::memcpy(values.back().data(), view.data(), view.type().bytes());
  }
  return values;
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
          "NormTo",
          "NormaliseRows",
          "NormaliseRowsSlope",
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
// the sign of a zero.
std::set<std::string> DependOnFusing() {
  return {"Ceil",         "Cos",          "Elu",
          "Erf",          "Exp",          "Expm1",
          "Floor",        "Gaussian",     "Gelu",
          "GeluSlope",    "GeluTanh",     "GeluTanhSlope",
          "Log",          "Log1p",        "Round",
          "Selu",         "Sigmoid",      "SigmoidCrossEntropy",
          "SigmoidError", "SigmoidSlope", "Silu",
          "SiluSlope",    "Sin",          "Softplus",
          "Tanh",         "TanhSlope"};
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

}  // namespace
}  // namespace tape
