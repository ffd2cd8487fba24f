// Elementwise ops are as exact as their bounds say (accuracy.h), over the whole
// range of float32: values, first and second derivatives, and the references.
#include "tests/ops/accuracy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "absl/strings/str_join.h"
#include "framework/core/reference.h"
#include "framework/framework.h"
#include "nlohmann/json.hpp"
#include "ops/ops.h"
#include "tests/ops/op_samples.h"

namespace tape {
namespace {

// The program print_accuracy tries a million and more.
constexpr int64_t kPoints = 60000;
// The references are of double; of erfc(x) the C library's operand alone is off
// by x^2 roundings.
constexpr double kReferenceBound = 1e4;

class AccuracyTest : public testing::TestWithParam<AccuracyRow> {};

TEST_P(AccuracyTest, IsWithinTheBounds) {
  const std::vector<std::string> names = QuantityNames(GetParam());
  const std::vector<FoundAccuracy> found = MeasureAccuracy(GetParam(), kPoints);
  ASSERT_EQ(found.size(), names.size());
  for (size_t q = 0; q < found.size(); ++q) {
    EXPECT_LE(found[q].error, GetParam().quantities[q].bound)
        << names[q] << " at " << absl::StrJoin(found[q].where, ", ") << ": "
        << found[q].found << ", exactly " << found[q].exact;
    EXPECT_LE(found[q].reference_error, kReferenceBound)
        << names[q] << " by the reference";
  }
}

INSTANTIATE_TEST_SUITE_P(All, AccuracyTest, testing::ValuesIn(AccuracyTable()),
                         [](const testing::TestParamInfo<AccuracyRow>& info) {
                           std::string name = info.param.op;
                           std::erase_if(
                               name, [](char c) { return !std::isalnum(c); });
                           return name;
                         });

// What the graphs of the table are made of, gradients included.
TEST(AccuracyTableTest, HasEveryElementwiseOpOfFloats) {
  std::set<std::string> in_table;
  for (const AccuracyRow& row : AccuracyTable()) {
    Graph graph;
    std::vector<Var> x;
    for (int i = 0; i < row.operands; ++i) {
      x.push_back(graph.Input(std::string(1, 'a' + i), {4}));
    }
    const Var y = row.build(x);
    const GradientOptions zero = {.unconnected = Unconnected::kZero};
    for (Var first : Gradients(Sum(y), x, zero)) {
      Gradients(Sum(first), x, zero);
    }
    ASSERT_TRUE(graph.status().ok()) << graph.status();
    for (int id = 0; id < graph.size(); ++id) {
      in_table.insert(graph.node(id).op->name);
    }
  }
  // Of one dtype to another, a copy is exact or IEEE 754's rounding.
  in_table.insert("Cast");
  for (const OpSample& sample : OpSamples()) {
    Graph graph;
    sample.build(DeclareOperands(&graph, sample));
    for (int id = 0; id < graph.size(); ++id) {
      const Node& node = graph.node(id);
      if (!node.op->traits.elementwise || node.type.dtype != DType::kFloat32) {
        continue;
      }
      EXPECT_TRUE(in_table.contains(node.op->name))
          << node.op->name << " has no bound in tests/ops/accuracy_table.cc";
    }
  }
}

// SciPy's values (tests/ops/scipy_values.py), of double: for the references, which
// might have the same mistake as the table, and for plans.
TEST(AccuracyTableTest, AgreesWithSciPy) {
  std::ifstream file("tests/ops/scipy_values.json");
  const nlohmann::json values = nlohmann::json::parse(file);
  const std::map<std::string, Var (*)(Var)> functions = {
      {"gelu", [](Var x) { return Gelu(x); }},
      {"gelu_slope", [](Var x) { return Gradients(Sum(Gelu(x)), {x})[0]; }},
      {"gelu_tanh", [](Var x) { return Gelu(x, GeluForm::kTanh); }},
      {"sigmoid", [](Var x) { return Sigmoid(x); }},
      {"silu", [](Var x) { return Silu(x); }},
      {"softplus", [](Var x) { return Softplus(x); }},
      {"erf", [](Var x) { return Erf(x); }},
      {"expm1", [](Var x) { return Expm1(x); }},
      {"log1p", [](Var x) { return Log1p(x); }}};
  ASSERT_EQ(values.size(), functions.size());
  for (const auto& [name, f] : functions) {
    SCOPED_TRACE(name);
    std::vector<float> x;
    std::vector<double> expected;
    for (const auto& pair : values.at(name)) {
      x.push_back(pair[0].get<float>());
      expected.push_back(pair[1].get<double>());
    }
    ASSERT_GE(x.size(), 20u);
    Graph graph;
    const Var in = graph.Input("x", {static_cast<int64_t>(x.size())});
    const Var y = f(in);
    const Tensor fed({static_cast<int64_t>(x.size())}, x);
    const auto reference = EvaluateReference({y}, {{in, fed}});
    ASSERT_TRUE(reference.ok()) << reference.status();
    auto plan = Compile(graph, {.fetch = {y}});
    ASSERT_TRUE(plan.ok()) << plan.status();
    ASSERT_TRUE(plan->Run({{in, fed}}).ok());
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR((*reference)[0].values<double>()[i], expected[i],
                  1e-11 * std::fabs(expected[i]))
          << x[i];
      EXPECT_NEAR(plan->Value(y).values<float>()[i], expected[i],
                  1e-6 * std::fabs(expected[i]) + FLT_MIN)
          << x[i];
    }
  }
}

}  // namespace
}  // namespace tape
