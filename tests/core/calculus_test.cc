// StopGradient, WithGradient, Vjp, Jvp, HessianVectorProduct and Jacobian
// (framework/core/calculus.h), with derivatives worked out by hand and numbers
// that make every comparison exact; compiled as well as by the references.
#include "framework/core/calculus.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/check/gradient_check.h"
#include "framework/compiler/compile.h"
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

// By the references; and the plan agrees.
Numbers ValueOf(Var var, const ReferenceFeeds& feeds = {}) {
  if (!var.valid()) {
    ADD_FAILURE() << (var.empty() ? "empty" : Errors(*var.graph()));
    return {};
  }
  const absl::StatusOr<std::vector<Tensor>> values =
      EvaluateReference({var}, feeds);
  absl::StatusOr<Plan> plan = Compile(*var.graph(), {.fetch = {var}});
  if (!values.ok() || !plan.ok()) {
    ADD_FAILURE() << values.status() << plan.status();
    return {};
  }
  std::vector<Feed> fed;
  for (const auto& [input, tensor] : feeds) fed.push_back({input, tensor});
  const absl::Status run = plan->Run(fed);
  EXPECT_TRUE(run.ok()) << run;
  if (!run.ok()) return {};
  EXPECT_EQ(plan->Value(var).shape(), (*values)[0].shape());
  const auto numbers = (*values)[0].values<double>();
  const auto floats = plan->Value(var).values<float>();
  EXPECT_EQ(Numbers(floats.begin(), floats.end()),
            Numbers(numbers.begin(), numbers.end()));
  return {numbers.begin(), numbers.end()};
}

Var GradientOf(Var y, Var x) { return Gradients(y, {x})[0]; }

Adjoints StraightLine(absl::Span<const Var>, Var, Var gy) { return {gy}; }

// ---- StopGradient ----

TEST(StopGradientTest, IsItsOperandAndAConstant) {
  Graph graph;
  const Var x = Parameter(graph, "x", {2}, {3, 5});
  const Var y = x * StopGradient(Square(x));
  EXPECT_EQ(ValueOf(y), (Numbers{27, 125}));
  const Var by_x = GradientOf(Sum(y), x);
  EXPECT_EQ(ValueOf(by_x), (Numbers{9, 25}));
  // To second order as well.
  EXPECT_EQ(ValueOf(GradientOf(Sum(by_x), x)), (Numbers{0, 0}));
}

TEST(StopGradientTest, TakesAnyDType) {
  Graph graph;
  const Var n = graph.Input("n", {kBatch}, DType::kInt32);
  EXPECT_EQ(StopGradient(n).type(), n.type());
  ASSERT_EQ(Errors(graph), "");
}

TEST(StopGradientTest, HidesWhatIsNotDifferentiable) {
  Graph graph;
  const Var x = Parameter(graph, "x", {2}, {3, 5});
  const Var is_four = Cast(Equal(x, x), DType::kFloat32);
  EXPECT_EQ(ValueOf(GradientOf(Sum(x * StopGradient(is_four)), x)),
            (Numbers{1, 1}));
}

TEST(StopGradientTest, MakesAConstantOfWhatIsComputedOfItToo) {
  Graph graph;
  const Var x = Parameter(graph, "x", {2}, {3, 5});
  const Var positive =
      Cast(Greater(StopGradient(x), Fill(&graph, {}, 0)), DType::kFloat32);
  EXPECT_EQ(ValueOf(GradientOf(Sum(x * positive), x)), (Numbers{1, 1}));
}

TEST(StopGradientTest, IsAConstantToCheckGradients) {
  Graph graph;
  const Var x = Parameter(graph, "x", {3}, {0.5, -1, 2});
  const absl::Status status =
      CheckGradients(Tanh(x) * StopGradient(Exp(x)), {x}, {}, {.order = 2});
  EXPECT_TRUE(status.ok()) << status;
}

// ---- WithGradient ----

TEST(WithGradientTest, HasTheValueOfYAndTheUsersGradient) {
  Graph graph;
  const Var x = Parameter(graph, "x", {3}, {-2, 0, 5});
  const Var y = WithGradient(Sign(x), {x}, StraightLine);
  EXPECT_EQ(ValueOf(y), (Numbers{-1, 0, 1}));
  EXPECT_EQ(ValueOf(GradientOf(Sum(y * y * 4), x)), (Numbers{-8, 0, 8}));
}

TEST(WithGradientTest, IsDifferentiatedAgainByItsRule) {
  Graph graph;
  const Var x = Parameter(graph, "x", {}, {3});
  // The value is x, the gradient that of x^4.
  const Var y = WithGradient(
      x * 1, {x}, [](absl::Span<const Var> x, Var, Var gy) -> Adjoints {
        return {gy * 4 * x[0] * Square(x[0])};
      });
  const Var first = GradientOf(y, x);
  const Var second = GradientOf(first, x);
  EXPECT_EQ(ValueOf(y), (Numbers{3}));
  EXPECT_EQ(ValueOf(first), (Numbers{108}));
  EXPECT_EQ(ValueOf(second), (Numbers{108}));  // 12 x^2.
  EXPECT_EQ(ValueOf(GradientOf(second, x)), (Numbers{72}));
}

TEST(WithGradientTest, RuleMayUseTheResultAndEachOperand) {
  Graph graph;
  const Var a = Parameter(graph, "a", {2}, {3, 5});
  const Var b = Parameter(graph, "b", {}, {7});
  const Var y = WithGradient(
      a + b, {a, b}, [](absl::Span<const Var> x, Var y, Var gy) -> Adjoints {
        return {gy * y, gy * x[0]};  // The second is summed for b.
      });
  const std::vector<Var> grads = Gradients(Sum(y), {a, b});
  EXPECT_EQ(ValueOf(grads[0]), (Numbers{10, 12}));
  EXPECT_EQ(ValueOf(grads[1]), (Numbers{8}));
}

TEST(WithGradientTest, GivesNothingToWhatItDoesNotName) {
  Graph graph;
  const Var a = Parameter(graph, "a", {}, {3});
  const Var b = Parameter(graph, "b", {}, {7});
  const Var y = WithGradient(a * b, {a}, StraightLine);
  const std::vector<Var> grads = Gradients(y, {a, b});
  EXPECT_EQ(ValueOf(grads[0]), (Numbers{1}));
  EXPECT_EQ(ValueOf(grads[1]), (Numbers{0}));
}

TEST(WithGradientTest, CostsNothingInAPlan) {
  const auto dump = [](bool wrapped) {
    Graph graph;
    const Var x = graph.Input("x", {4});
    Var y = Exp(x);
    if (wrapped) y = StopGradient(WithGradient(y, {x}, StraightLine));
    y = y * 2 + x;
    if (wrapped) y = StopGradient(y);
    // Without any pass, too.
    const std::vector<std::string> all(PassNames().begin(), PassNames().end());
    return absl::StrCat(Compile(graph, {.fetch = {y}})->Dump(),
                        Compile(graph, {.fetch = {y}, .without = all})->Dump());
  };
  EXPECT_EQ(dump(true), dump(false));
}

TEST(WithGradientTest, MayBeFetchedAndAssignedWhereItIsAVariable) {
  Graph graph;
  const Var w = Parameter(graph, "w", {2}, {3, 5});
  const Var v = Parameter(graph, "v", {2}, {0, 0});
  absl::StatusOr<Plan> plan =
      Compile(graph, {.fetch = {StopGradient(w)},
                      .updates = {.assignments = {{v, StopGradient(w)},
                                                  {w, StopGradient(v)}}}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(plan->Run().ok());
  EXPECT_EQ(graph.Value(v).values<float>(), (std::vector<float>{3, 5}));
  EXPECT_EQ(graph.Value(w).values<float>(), (std::vector<float>{0, 0}));
}

TEST(WithGradientErrorTest, SaysWhatIsWrongWithTheRuleAndWhere) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, At(1));
  const Var other = graph.Input("other", {3}, DType::kFloat32, At(2));
  const auto gradient_with = [&](UserGradientRule rule, int line) {
    const Var y = WithGradient(x, {x}, std::move(rule), At(line));
    if (y.valid()) Gradients(y, {x}, {.seed = x}, At(99));
  };
  gradient_with(nullptr, 3);
  gradient_with([](absl::Span<const Var>, Var, Var) { return Adjoints(); }, 4);
  gradient_with(
      [&](absl::Span<const Var>, Var, Var) { return Adjoints{other}; }, 5);
  Graph another;
  const Var far = another.Input("x", {2});
  gradient_with([&](absl::Span<const Var>, Var, Var) { return Adjoints{far}; },
                6);
  WithGradient(graph.Input("n", {2}, DType::kInt32, At(7)), {x}, StraightLine,
               At(8));
  EXPECT_EQ(
      Errors(graph),
      "net.cc:3: WithGradient: expected a rule, found none\n"
      "net.cc:4: WithGradient: expected 1 adjoints, one for each x, found 0 "
      "from the rule\n"
      "net.cc:5: WithGradient: adjoint 0 from the rule has type [3], its x [2] "
      "is input \"x\", net.cc:1\n"
      "net.cc:6: WithGradient: adjoint 0 from the rule is of another graph\n"
      "net.cc:8: WithGradient: expected float32, found int32 (y or x int32[2] "
      "is input \"n\", net.cc:7; y or x [2] is input \"x\", net.cc:1)");
}

// ---- Vjp ----

TEST(VjpTest, SumsOverAllYInOneSweep) {
  Graph graph;
  const Var x = Parameter(graph, "x", {2}, {3, 5});
  const Var s = Parameter(graph, "s", {}, {10});
  const Var seed = Parameter(graph, "seed", {2}, {1, 100});
  const Var h = Square(x);
  // 1 and 100 times 2 x, and 10 times 1, by way of h too.
  const Var by_x = Vjp({h, Sum(h + x)}, {seed, s}, {x})[0];
  EXPECT_EQ(ValueOf(by_x), (Numbers{6 + 60 + 10, 1000 + 100 + 10}));
}

TEST(VjpTest, RefusesWhatDoesNotFitAllAtOnce) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, At(1));
  const Var y = Exp(x, At(2));
  EXPECT_FALSE(Vjp({y, y}, {x}, {x}, Unconnected::kRefuse, At(3))[0].valid());
  EXPECT_FALSE(Vjp({y, y}, {Fill(&graph, {}, 1), Var()}, {x},
                   Unconnected::kRefuse, At(4))[0]
                   .valid());
  EXPECT_EQ(Errors(graph),
            "net.cc:3: Vjp: expected one y or more, and as many seeds, found 2 "
            "and 1\n"
            "net.cc:4: Vjp: expected a seed of y's type [2], found []\n"
            "net.cc:4: Vjp: a seed is an empty Var");
}

// ---- Jvp ----

TEST(JvpTest, IsTheDerivativeAlongTheTangents) {
  Graph graph;
  const Var a = Parameter(graph, "a", {2}, {3, 5});
  const Var b = Parameter(graph, "b", {}, {7});
  const Var along_a = Parameter(graph, "along_a", {2}, {1, 10});
  const Var along_b = Parameter(graph, "along_b", {}, {100});
  // y = a^2 b: 2 a b da + a^2 db.
  const Var y = Square(a) * b;
  EXPECT_EQ(ValueOf(Jvp(y, {a, b}, {along_a, along_b})),
            (Numbers{42 + 900, 700 + 2500}));
}

TEST(JvpTest, AppendsWhatMayBeDifferentiated) {
  Graph graph;
  const Var x = Parameter(graph, "x", {}, {3});
  const Var one = Fill(&graph, {}, 1);
  const Var first = Jvp(x * Square(x), {x}, {one});
  const Var second = Jvp(first, {x}, {one});
  EXPECT_EQ(ValueOf(first), (Numbers{27}));
  EXPECT_EQ(ValueOf(second), (Numbers{18}));
  EXPECT_EQ(ValueOf(GradientOf(second, x)), (Numbers{6}));
}

TEST(JvpTest, KeepsTheBatchDimension) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 2});
  const Var w = Parameter(graph, "w", {2, 1}, {3, 5});
  const Var y = MatMul(x, w);
  EXPECT_EQ(ValueOf(Jvp(y, {x}, {x}),
                    {{x, Tensor({2, 2}, std::vector<float>{1, 2, 3, 4})}}),
            (Numbers{13, 29}));
}

TEST(JvpTest, IsZeroWhereYDoesNotDependOnX) {
  Graph graph;
  const Var x = Parameter(graph, "x", {}, {3});
  const Var y = Parameter(graph, "y", {2}, {1, 1});
  EXPECT_EQ(ValueOf(Jvp(Exp(y), {x}, {x})), (Numbers{0, 0}));
  EXPECT_EQ(ValueOf(Jvp(Exp(y), {}, {})), (Numbers{0, 0}));
}

// The first sweep's own products with the seed are not needed by the result.
TEST(JvpTest, CostsAPlanNoMoreThanAForwardRuleWould) {
  Graph graph;
  const Var x = graph.Input("x", {3});
  const Var t = graph.Input("t", {3});
  const Var jvp = Jvp(Exp(x), {x}, {t});
  const std::vector<StepCost> steps = Compile(graph, {.fetch = {jvp}})->Steps();
  ASSERT_EQ(steps.size(), 1);
  EXPECT_EQ(steps[0].name, "Exp+Mul");
}

TEST(JvpTest, RefusesTangentsThatDoNotFitAllAtOnce) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, At(1));
  const Var z = graph.Input("z", {3}, DType::kFloat32, At(2));
  const Var y = Exp(x, At(3));
  EXPECT_FALSE(Jvp(y, {x, x}, {x}, At(4)).valid());
  EXPECT_FALSE(Jvp(y, {x, z, x}, {z, x, Var()}, At(5)).valid());
  EXPECT_EQ(Errors(graph),
            "net.cc:4: Jvp: expected as many of tangents as x, 2, found 1\n"
            "net.cc:5: Jvp: expected tangents 0 of the type of its x ([2] is "
            "input \"x\", net.cc:1), found [3] is input \"z\", net.cc:2\n"
            "net.cc:5: Jvp: expected tangents 1 of the type of its x ([3] is "
            "input \"z\", net.cc:2), found [2] is input \"x\", net.cc:1\n"
            "net.cc:5: Jvp: x 2 or its tangents is an empty Var");
}

// ---- HessianVectorProduct ----

TEST(HessianVectorProductTest, TakesInMixedDerivatives) {
  Graph graph;
  const Var x = Parameter(graph, "x", {2}, {3, 5});
  const Var w = Parameter(graph, "w", {}, {2});
  const Var v = Parameter(graph, "v", {2}, {1, 10});
  const Var u = Parameter(graph, "u", {}, {100});
  // y = sum of w^2 x^2: by x x 2 w^2, by x w 4 w x, by w w 2 sum of x^2.
  const std::vector<Var> product =
      HessianVectorProduct(Sum(Square(w * x)), {x, w}, {v, u});
  EXPECT_EQ(ValueOf(product[0]), (Numbers{8 + 2400, 80 + 4000}));
  EXPECT_EQ(ValueOf(product[1]), (Numbers{24 + 400 + 6800}));
}

TEST(HessianVectorProductTest, IsZeroOfWhatIsLinear) {
  Graph graph;
  const Var x = Parameter(graph, "x", {2}, {3, 5});
  EXPECT_EQ(ValueOf(HessianVectorProduct(Sum(3 * x), {x}, {x})[0]),
            (Numbers{0, 0}));
}

TEST(HessianVectorProductTest, RefusesAYThatIsNoScalar) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, At(1));
  EXPECT_FALSE(HessianVectorProduct(x, {x}, {x}, At(2))[0].valid());
  EXPECT_EQ(Errors(graph),
            "net.cc:2: Gradients: expected a y of rank 0, or a seed, found [2] "
            "is input \"x\", net.cc:1");
}

// ---- Jacobian ----

TEST(JacobianTest, HasARowForEachElementOfY) {
  Graph graph;
  const Var x = Parameter(graph, "x", {3, 1}, {1, 2, 3});
  const Var a = Parameter(graph, "a", {2, 3}, {1, 2, 3, 4, 5, 6});
  const Var jacobian = Jacobian(MatMul(a, x), x);
  EXPECT_EQ(jacobian.shape(), (Shape{2, 1, 3, 1}));
  EXPECT_EQ(ValueOf(jacobian), (Numbers{1, 2, 3, 4, 5, 6}));
}

TEST(JacobianTest, OfAGradientIsTheHessian) {
  Graph graph;
  const Var x = Parameter(graph, "x", {2}, {3, 5});
  // y = x0^2 x1^2 by way of the square of the sum of products.
  const Var product = BlockOf(x, 0, {}) * BlockOf(x, 1, {});
  const Var hessian = Jacobian(GradientOf(Square(product), x), x);
  EXPECT_EQ(ValueOf(hessian), (Numbers{50, 60, 60, 18}));
  const absl::Status status = CheckGradients(hessian, {x}, {}, {.order = 2});
  EXPECT_TRUE(status.ok()) << status;
}

TEST(JacobianTest, OfAScalarIsTheGradientAndOfNothingIsEmpty) {
  Graph graph;
  const Var x = Parameter(graph, "x", {2}, {3, 5});
  EXPECT_EQ(ValueOf(Jacobian(Sum(Square(x)), x)), (Numbers{6, 10}));
  const Var none = Parameter(graph, "none", {0}, {});
  EXPECT_EQ(Jacobian(none, x).shape(), (Shape{0, 2}));
}

TEST(JacobianTest, ByAnInputOfTheBatchHasItsDimension) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 2});
  const Var jacobian = Jacobian(Sum(Square(x), {0}), x);
  EXPECT_EQ(jacobian.shape(), (Shape{2, kBatch, 2}));
  EXPECT_EQ(
      ValueOf(jacobian, {{x, Tensor({2, 2}, std::vector<float>{1, 2, 3, 4})}}),
      (Numbers{2, 0, 6, 0, 0, 4, 0, 8}));
}

TEST(JacobianTest, RefusesAYWhoseElementsAreNotKnownOrTooMany) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch}, DType::kFloat32, At(1));
  const Var z = graph.Input("z", {5000}, DType::kFloat32, At(2));
  EXPECT_FALSE(Jacobian(x, x, At(3)).valid());
  EXPECT_FALSE(Jacobian(z, z, At(4)).valid());
  EXPECT_EQ(Errors(graph),
            "net.cc:3: Jacobian: expected a y without kBatch, of at most 4096 "
            "elements, found [batch] is input \"x\", net.cc:1\n"
            "net.cc:4: Jacobian: expected a y without kBatch, of at most 4096 "
            "elements, found [5000] is input \"z\", net.cc:2");
}

TEST(JacobianTest, NamesEachMistakeOnce) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, At(1));
  const Var y = Cast(Equal(x, x, At(2)), DType::kFloat32, At(3));
  EXPECT_FALSE(Jacobian(y, x, At(4)).valid());
  EXPECT_EQ(Errors(graph),
            "net.cc:3: Gradients: Cast is not differentiable (asked for at "
            "net.cc:4)");
}

}  // namespace
}  // namespace tape
