// The driver of reverse-mode differentiation (framework/core/gradients.h), with
// derivatives worked out by hand and computed by the references, in double. The
// numbers are small integers or halves, so every comparison is exact.
#include "framework/core/gradients.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/basic_ops.h"
#include "framework/core/calculus.h"
#include "framework/core/graph.h"
#include "framework/core/reference.h"
#include "ops/ops.h"

namespace tape {
namespace {

using Numbers = std::vector<double>;

Loc At(int line) { return Loc{"net.cc", line}; }

std::string Errors(const Graph& graph) {
  return std::string(graph.status().message());
}

Var Parameter(Graph& graph, const char* name, const Shape& shape,
              const std::vector<float>& values) {
  return graph.Parameter(name, shape, Values(Tensor(shape, values)));
}

Numbers ValueOf(Var var) {
  const absl::StatusOr<std::vector<Tensor>> values = EvaluateReference({var});
  EXPECT_TRUE(values.ok()) << values.status();
  if (!values.ok()) return {};
  const auto numbers = (*values)[0].values<double>();
  return {numbers.begin(), numbers.end()};
}

Var GradientOf(Var y, Var x) { return Gradients(y, {x})[0]; }

// ---- The derivative ----

TEST(GradientsTest, DifferentiatesAProduct) {
  Graph graph;
  const Var a = Parameter(graph, "a", {2}, {3, 5});
  const Var b = Parameter(graph, "b", {2}, {7, -2});
  const std::vector<Var> grads = Gradients(Sum(a * b), {a, b});
  EXPECT_EQ(ValueOf(grads[0]), (Numbers{7, -2}));
  EXPECT_EQ(ValueOf(grads[1]), (Numbers{3, 5}));
}

TEST(GradientsTest, GivesEachGradientTheShapeOfItsX) {
  Graph graph;
  const Var a = Parameter(graph, "a", {2, 1}, {3, 5});
  const Var b = Parameter(graph, "b", {}, {7});
  const std::vector<Var> grads = Gradients(Sum(a * b), {a, b});
  EXPECT_EQ(grads[0].shape(), (Shape{2, 1}));
  EXPECT_EQ(grads[1].shape(), Shape());
}

TEST(GradientsTest, FollowsTheChainRule) {
  Graph graph;
  const Var x = Parameter(graph, "x", {}, {3});
  // d/dx (2 x^2 + 1)^2 = 2 (2 x^2 + 1) 4 x.
  EXPECT_EQ(ValueOf(GradientOf(Square(2 * Square(x) + 1), x)),
            (Numbers{2 * 19 * 12}));
}

TEST(GradientsTest, DifferentiatesAMatrixProduct) {
  Graph graph;
  const Var a = Parameter(graph, "a", {2, 2}, {1, 2, 3, 4});
  const Var b = Parameter(graph, "b", {2, 1}, {5, 6});
  const std::vector<Var> grads = Gradients(Sum(MatMul(a, b)), {a, b});
  EXPECT_EQ(ValueOf(grads[0]), (Numbers{5, 6, 5, 6}));
  EXPECT_EQ(ValueOf(grads[1]), (Numbers{4, 6}));
}

TEST(GradientsTest, AddsTheAdjointsOfWhatIsUsedMoreThanOnce) {
  Graph graph;
  const Var x = Parameter(graph, "x", {2}, {3, 5});
  // d/dx (x^2 + 4 x + x x) = 4 x + 4.
  EXPECT_EQ(ValueOf(GradientOf(Sum(Square(x) + 4 * x + x * x), x)),
            (Numbers{16, 24}));
}

TEST(GradientsTest, AddsTheAdjointsOfAnOperandNamedTwice) {
  Graph graph;
  const Var x = Parameter(graph, "x", {}, {3});
  EXPECT_EQ(ValueOf(GradientOf(x * x, x)), (Numbers{6}));
  EXPECT_EQ(ValueOf(GradientOf(AddN({x, x, x}), x)), (Numbers{3}));
  EXPECT_EQ(ValueOf(GradientOf(x - x, x)), (Numbers{0}));
}

TEST(GradientsTest, GivesAnXNamedTwiceItsGradientTwice) {
  Graph graph;
  const Var x = Parameter(graph, "x", {}, {3});
  const std::vector<Var> grads = Gradients(Square(x), {x, x});
  EXPECT_EQ(ValueOf(grads[0]), (Numbers{6}));
  EXPECT_EQ(ValueOf(grads[1]), (Numbers{6}));
}

TEST(GradientsTest, SumsOutWhatBroadcastingRepeated) {
  Graph graph;
  const Var x = Parameter(graph, "x", {2, 3}, {1, 2, 3, 4, 5, 6});
  const Var row = Parameter(graph, "row", {3}, {1, 1, 1});
  const Var column = Parameter(graph, "column", {2, 1}, {1, 1});
  const Var scalar = Parameter(graph, "scalar", {}, {1});
  const std::vector<Var> grads =
      Gradients(Sum(x * row * column * scalar), {row, column, scalar});
  EXPECT_EQ(ValueOf(grads[0]), (Numbers{5, 7, 9}));
  EXPECT_EQ(ValueOf(grads[1]), (Numbers{6, 15}));
  EXPECT_EQ(ValueOf(grads[2]), (Numbers{21}));
}

// A rule may return an adjoint that is smaller than its input.
TEST(GradientsTest, StretchesASmallerAdjoint) {
  static constexpr OpDef kTotal = {
      .name = "Total",
      .operands = {"x"},
      .shape = [](absl::Span<const TensorType>, const Attributes&)
          -> absl::StatusOr<TensorType> { return TensorType(); },
      .gradient = [](absl::Span<const Var>, Var, Var gy,
                     const Attributes&) -> Adjoints { return {gy}; },
  };
  Graph graph;
  const Var x = Parameter(graph, "x", {2, 2}, {1, 2, 3, 4});
  const Var y = 3 * Append(kTotal, {x}, {}, Loc::Current());
  EXPECT_EQ(ValueOf(GradientOf(y, x)), (Numbers{3, 3, 3, 3}));
}

TEST(GradientsTest, WeighsYByTheSeed) {
  Graph graph;
  const Var x = Parameter(graph, "x", {2}, {3, 5});
  const Var seed = Parameter(graph, "seed", {2}, {10, 100});
  EXPECT_EQ(ValueOf(Gradients(Square(x), {x}, {.seed = seed})[0]),
            (Numbers{60, 1000}));
}

TEST(GradientsTest, DifferentiatesByAnIntermediateNode) {
  Graph graph;
  const Var x = Parameter(graph, "x", {}, {3});
  const Var h = Square(x);
  const Var y = 2 * h + x;
  const std::vector<Var> grads = Gradients(y, {h, x});
  EXPECT_EQ(ValueOf(grads[0]), (Numbers{2}));
  EXPECT_EQ(ValueOf(grads[1]), (Numbers{13}));
}

TEST(GradientsTest, IsTheSeedWhereXIsY) {
  Graph graph;
  const Var x = Parameter(graph, "x", {}, {3});
  const Var y = Square(x);
  EXPECT_EQ(ValueOf(GradientOf(y, y)), (Numbers{1}));
  const Var seed = Fill(&graph, {}, 4);
  EXPECT_EQ(Gradients(y, {y}, {.seed = seed})[0], seed);
}

TEST(GradientsTest, KeepsTheBatchDimension) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 2});
  const Var b = Parameter(graph, "b", {2}, {0, 0});
  const std::vector<Var> grads = Gradients(Mean(Square(x + b)), {x, b});
  ASSERT_EQ(Errors(graph), "");
  EXPECT_EQ(grads[0].shape(), (Shape{kBatch, 2}));
  const auto values =
      EvaluateReference(grads, {{x, Tensor({4, 2}, std::vector<float>(8, 2))}});
  ASSERT_TRUE(values.ok());
  EXPECT_EQ((*values)[0].values<double>(), Numbers(8, 0.5));
  EXPECT_EQ((*values)[1].values<double>(), Numbers(2, 2));
}

// ---- Again ----

TEST(GradientsTest, DifferentiatesAGradient) {
  Graph graph;
  const Var x = Parameter(graph, "x", {}, {3});
  const Var first = GradientOf(x * Square(x), x);
  const Var second = GradientOf(first, x);
  const Var third = GradientOf(second, x);
  EXPECT_EQ(ValueOf(first), (Numbers{27}));
  EXPECT_EQ(ValueOf(second), (Numbers{18}));
  EXPECT_EQ(ValueOf(third), (Numbers{6}));
}

TEST(GradientsTest, GivesMixedSecondDerivatives) {
  Graph graph;
  const Var x = Parameter(graph, "x", {}, {3});
  const Var w = Parameter(graph, "w", {}, {5});
  // y = x^2 w^2: d2y / dx dw = 4 x w.
  const Var by_x = GradientOf(Square(x) * Square(w), x);
  EXPECT_EQ(ValueOf(GradientOf(by_x, w)), (Numbers{60}));
}

// ---- The tape ----

TEST(GradientsTest, MarksWhatItAppendsWithTheNodeAndItsLine) {
  Graph graph;
  const Var x = graph.Input("x", {}, DType::kFloat32, At(1));
  const Var y = Exp(x, At(2));
  Gradients(y, {x}, {}, At(3));
  EXPECT_EQ(graph.Dump(),
            "%0 = Input(\"x\") []  # net.cc:1\n"
            "%1 = Exp(%0) []  # net.cc:2\n"
            "%2 = Fill(value=1) [] gradient of %1  # net.cc:3\n"
            "%3 = Mul(%2, %1) [] gradient of %1  # net.cc:2\n");
}

TEST(GradientsTest, AppendsNothingForWhatNoXNeeds) {
  Graph graph;
  const Var x = Parameter(graph, "x", {}, {3});
  const Var other = Exp(Exp(Parameter(graph, "other", {}, {1})));
  const Var y = x + other;
  Gradients(y, {x});
  const std::string dump = graph.Dump();
  EXPECT_EQ(dump.find(absl::StrCat("gradient of %", other.id())),
            std::string::npos);
}

TEST(GradientsTest, WalksADeepChainWithoutRecursion) {
  constexpr int kDepth = 50'000;
  Graph graph;
  const Var x = Parameter(graph, "x", {}, {3});
  Var y = x;
  for (int i = 0; i < kDepth; ++i) y = -y;
  EXPECT_EQ(ValueOf(GradientOf(y, x)), (Numbers{1}));  // An even depth.
}

// ---- What x has no part in ----

TEST(GradientsTest, RefusesAnXThatYDoesNotDependOn) {
  Graph graph;
  const Var x = graph.Parameter("x", {}, Constant(1), Tag::kAuto, At(1));
  const Var z = graph.Parameter("z", {2}, Constant(1), Tag::kAuto, At(2));
  const Var y = Exp(x, At(3));
  const std::vector<Var> grads = Gradients(y, {x, z}, {}, At(4));
  EXPECT_FALSE(grads[0].valid());
  EXPECT_FALSE(grads[1].valid());
  EXPECT_EQ(Errors(graph),
            "net.cc:4: Gradients: y ([] from Exp at net.cc:3) does not depend "
            "on x ([2] is parameter \"z\", net.cc:2)");
}

TEST(GradientsTest, GivesZeroForAnUnconnectedXIfAsked) {
  Graph graph;
  const Var x = Parameter(graph, "x", {}, {3});
  const Var y = Square(x);
  const Var before = Parameter(graph, "before", {2}, {1, 1});
  const Var after = Exp(y);
  const std::vector<Var> grads =
      Gradients(y, {x, before, after}, {.unconnected = Unconnected::kZero});
  ASSERT_EQ(Errors(graph), "");
  EXPECT_EQ(ValueOf(grads[0]), (Numbers{6}));
  EXPECT_EQ(ValueOf(grads[1]), (Numbers{0, 0}));
  EXPECT_EQ(ValueOf(grads[2]), (Numbers{0}));
}

TEST(GradientsTest, PassesByAnOpThatIsNotDifferentiableIfNoXIsBehindIt) {
  Graph graph;
  const Var x = Parameter(graph, "x", {2}, {3, 5});
  const Var other = Parameter(graph, "other", {2}, {3, 4});
  const Var mask = Cast(Equal(other, other), DType::kFloat32);
  EXPECT_EQ(ValueOf(GradientOf(Sum(x * mask), x)), (Numbers{1, 1}));
}

// ---- Mistakes ----

TEST(GradientsErrorTest, NamesTheOpThatIsNotDifferentiableAndBothLines) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, At(1));
  const Var equal = Equal(x, x, At(2));
  const Var y =
      Sum(Cast(equal, DType::kFloat32, At(3)), {}, Axes::kDrop, At(4));
  EXPECT_FALSE(Gradients(y, {x}, {}, At(5))[0].valid());
  EXPECT_EQ(Errors(graph),
            "net.cc:3: Gradients: Cast is not differentiable (asked for at "
            "net.cc:5)");
}

TEST(GradientsErrorTest, NamesEveryMistakeAtOnce) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, At(1));
  const Var a = graph.Input("a", {}, DType::kFloat32, At(2));
  const Var b = graph.Input("b", {}, DType::kFloat32, At(3));
  const Var wrong = Cast(Equal(x, x, At(4)), DType::kFloat32, At(5));
  const Var wrong_too = Cast(Greater(x, x, At(6)), DType::kFloat32, At(7));
  const Var y = Sum(Add(wrong, wrong_too, At(8)), {}, Axes::kDrop, At(9));
  for (Var gradient : Gradients(y, {x, a, b}, {}, At(10))) {
    EXPECT_FALSE(gradient.valid());
  }
  EXPECT_EQ(Errors(graph),
            "net.cc:7: Gradients: Cast is not differentiable (asked for at "
            "net.cc:10)\n"
            "net.cc:5: Gradients: Cast is not differentiable (asked for at "
            "net.cc:10)\n"
            "net.cc:10: Gradients: y ([] from Reshape at net.cc:9) does not "
            "depend on x ([] is input \"a\", net.cc:2)\n"
            "net.cc:10: Gradients: y ([] from Reshape at net.cc:9) does not "
            "depend on x ([] is input \"b\", net.cc:3)");
}

// An op of `operands` operands whose rule gives `derivatives` Vars.
template <int operands, int derivatives>
constexpr OpDef kMiscounts = {
    .name = "Miscounts",
    .operands = {"a", operands > 1 ? "b" : nullptr},
    .shape = [](absl::Span<const TensorType> x, const Attributes&)
        -> absl::StatusOr<TensorType> { return x[0]; },
    .gradient = [](absl::Span<const Var>, Var, Var gy,
                   const Attributes&) { return Adjoints(derivatives, gy); },
};

TEST(GradientsErrorTest, NamesARuleThatGivesAnotherNumberOfDerivatives) {
  const auto message = [](const OpDef& op, int operands) {
    Graph graph;
    const Var x = Parameter(graph, "x", {2}, {1, 2});
    const Var y = graph.Append(op, std::vector<Var>(operands, x), {}, At(2));
    Gradients(Sum(y), {x}, {}, At(3));
    return Errors(graph);
  };
  EXPECT_EQ(message(kMiscounts<2, 1>, 2),
            "net.cc:2: Gradients: the gradient rule of Miscounts gave 1 "
            "derivatives for 2 operands (asked for at net.cc:3)");
  EXPECT_EQ(message(kMiscounts<1, 3>, 1),
            "net.cc:2: Gradients: the gradient rule of Miscounts gave 3 "
            "derivatives for 1 operand (asked for at net.cc:3)");
  EXPECT_EQ(message(kMiscounts<2, 2>, 2), "");
  EXPECT_EQ(message(kMiscounts<2, 0>, 2), "");  // Zero everywhere.
}

TEST(GradientsErrorTest, RefusesAYThatIsNoScalarWithoutASeed) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, At(1));
  Gradients(x, {x}, {}, At(2));
  EXPECT_EQ(Errors(graph),
            "net.cc:2: Gradients: expected a y of rank 0, or a seed, found [2] "
            "is input \"x\", net.cc:1");
}

TEST(GradientsErrorTest, RefusesAYThatIsNotFloat32) {
  Graph graph;
  const Var x = graph.Input("x", {});
  const Var y = graph.Input("y", {}, DType::kInt32, At(1));
  Gradients(y, {x}, {}, At(2));
  EXPECT_EQ(Errors(graph),
            "net.cc:2: Gradients: expected a float32 y, found int32[] is input "
            "\"y\", net.cc:1");
}

TEST(GradientsErrorTest, RefusesAnXOfWholeNumbers) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Var label = graph.Input("label", {2}, DType::kInt32, At(1));
  const Var mask = graph.Input("mask", {2}, DType::kUint8, At(2));
  const Var y = Sum(Select(mask, x, -x));
  Gradients(y, {x, label, mask}, {.unconnected = Unconnected::kZero}, At(3));
  Vjp({y}, {y}, {label}, Unconnected::kZero, At(4));
  EXPECT_EQ(
      Errors(graph),
      "net.cc:3: Gradients: expected a float32 x, found int32[2] is input "
      "\"label\", net.cc:1\n"
      "net.cc:3: Gradients: expected a float32 x, found uint8[2] is input "
      "\"mask\", net.cc:2\n"
      "net.cc:4: Vjp: expected a float32 x, found int32[2] is input "
      "\"label\", net.cc:1");
}

TEST(GradientsErrorTest, RefusesASeedOfAnotherType) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Var seed = graph.Input("seed", {3});
  Gradients(x, {x}, {.seed = seed}, At(2));
  EXPECT_EQ(Errors(graph),
            "net.cc:2: Gradients: expected a seed of y's type [2], found [3]");
}

TEST(GradientsErrorTest, RefusesWhatIsOfAnotherGraph) {
  Graph graph, other;
  const Var x = graph.Input("x", {});
  const Var z = other.Input("z", {});
  EXPECT_FALSE(Gradients(x, {z}, {}, At(1))[0].valid());
  EXPECT_FALSE(Gradients(x, {x}, {.seed = z}, At(2))[0].valid());
  EXPECT_EQ(Errors(graph),
            "net.cc:1: Gradients: an x is of another graph than y\n"
            "net.cc:2: Gradients: the seed is of another graph than y");
  EXPECT_EQ(Errors(other), "");
}

TEST(GradientsErrorTest, RefusesEmptyVars) {
  Graph graph;
  const Var x = graph.Input("x", {});
  EXPECT_FALSE(Gradients(Var(), {x}, {}, At(1))[0].valid());
  EXPECT_FALSE(Gradients(x, {Var()}, {}, At(2))[0].valid());
  EXPECT_EQ(Errors(graph),
            "net.cc:1: Gradients: y is an empty Var\n"
            "net.cc:2: Gradients: an x is an empty Var");
  EXPECT_TRUE(Gradients(Var(), {Var()})[0].empty());
}

TEST(GradientsErrorTest, NamesItsOwnLine) {
  Graph graph;
  Gradients(Var(), {graph.Input("x", {})});
  EXPECT_EQ(Errors(graph), absl::StrCat(__FILE__, ":", __LINE__ - 1,
                                        ": Gradients: y is an empty Var"));
}

TEST(GradientsTest, WhatIsZeroByTheRulesIsZeroAndNoMistake) {
  Graph g;
  const Var x = g.Parameter(
      "x", {3}, Values(Tensor({3}, std::vector<float>{-1, 0.5f, 2})));
  // y depends on x, by an op whose derivative is zero.
  const Var by_sign = Gradients(Sum(Sign(x)), {x})[0];
  // The second derivative of a piecewise linear function.
  const Var slope = Gradients(Sum(Relu(x)), {x})[0];
  const Var curvature = Gradients(Sum(slope), {x})[0];
  ASSERT_TRUE(g.status().ok()) << g.status();
  const auto values = EvaluateReference({by_sign, slope, curvature});
  ASSERT_TRUE(values.ok()) << values.status();
  const auto at = [&](int i) {
    const auto elements = (*values)[i].values<double>();
    return std::vector<double>(elements.begin(), elements.end());
  };
  EXPECT_EQ(at(0), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(at(1), (std::vector<double>{0, 1, 1}));
  EXPECT_EQ(at(2), (std::vector<double>{0, 0, 0}));
}

}  // namespace
}  // namespace tape
