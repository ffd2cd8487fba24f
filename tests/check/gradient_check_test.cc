// CheckGradients (framework/check/gradient_check.h): that it finds gradient
// rules that are wrong, by ops declared here with such rules, and passes rules
// that are right.
#include "framework/check/gradient_check.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "framework/compiler/compile.h"
#include "framework/core/calculus.h"
#include "framework/core/gradients.h"
#include "ops/ops.h"

namespace tape {
namespace {

absl::StatusOr<TensorType> SameType(absl::Span<const TensorType> x,
                                    const Attributes&) {
  return x[0];
}

// An op from its formula, in double, and its gradient rule. Checking needs no
// kernel.
template <auto f>
constexpr OpDef MakeOp(const char* name, GradientRule gradient) {
  return {.name = name,
          .operands = {"x"},
          .shape = SameType,
          .gradient = gradient,
          .reference = MapReference<f>};
}

constexpr auto kCubeFormula = [](double x) { return x * x * x; };

constexpr OpDef kCube = MakeOp<kCubeFormula>(
    "Cube",
    [](absl::Span<const Var> x, Var, Var gy, const Attributes&) -> Adjoints {
      return {gy * (3 * Square(x[0]))};
    });

constexpr OpDef kWrongSign = MakeOp<kCubeFormula>(
    "WrongSign",
    [](absl::Span<const Var> x, Var, Var gy, const Attributes&) -> Adjoints {
      return {gy * (-3 * Square(x[0]))};
    });

constexpr OpDef kLosesSignOfGy = MakeOp<kCubeFormula>(
    "LosesSignOfGy",
    [](absl::Span<const Var> x, Var, Var gy, const Attributes&) -> Adjoints {
      return {Abs(gy) * (3 * Square(x[0]))};
    });

// y = x e^x, dy/dx = e^x + x e^x.
constexpr OpDef kMissingTerm = MakeOp<[](double x) { return x * std::exp(x); }>(
    "MissingTerm",
    [](absl::Span<const Var> x, Var, Var gy, const Attributes&) -> Adjoints {
      return {gy * Exp(x[0])};
    });

// 3 x^2, with a derivative of 3 x for 6 x.
constexpr OpDef kThreeSquares = MakeOp<[](double x) { return 3 * x * x; }>(
    "ThreeSquares",
    [](absl::Span<const Var> x, Var, Var gy, const Attributes&) -> Adjoints {
      return {gy * (3 * x[0])};
    });
constexpr OpDef kWrongSecondDerivative = MakeOp<kCubeFormula>(
    "WrongSecondDerivative",
    [](absl::Span<const Var> x, Var, Var gy, const Attributes&) -> Adjoints {
      return {gy * Append(kThreeSquares, {x[0]}, {}, Loc::Current())};
    });

// A graph of one op on x, fed with `values`; its lines are x.cc:1 and y.cc:2.
class GradientCheckTest : public testing::Test {
 protected:
  absl::Status Check(const OpDef& op, const std::vector<double>& values,
                     const GradientCheckOptions& options = {}) {
    const Var x = Declare(values.size());
    return CheckGradients(graph_.Append(op, {x}, {}, {"y.cc", 2}), {x},
                          Feed(x, values), options);
  }

  Var Declare(int64_t elements) {
    return graph_.Input("x", {elements}, DType::kFloat32, {"x.cc", 1});
  }

  static ReferenceFeeds Feed(Var x, const std::vector<double>& values) {
    return {{x, Tensor(Shape{static_cast<int64_t>(values.size())}, values)}};
  }

  Graph graph_;
};

const std::vector<double> kSomeValues = {-1.5, 0.25, 0.7, 2};

TEST_F(GradientCheckTest, PassesARightOpOfTheUsersToBothOrders) {
  const absl::Status status = Check(kCube, kSomeValues, {.order = 2});
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(GradientCheckTest, NamesTheWorstElementOfAWrongRule) {
  // Each is wrong; off by 2 · 3 x^2, and so most of all at x = 2.
  const absl::Status status = Check(kWrongSign, kSomeValues);
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  const std::string message(status.message());
  EXPECT_TRUE(absl::StartsWith(
      message,
      "y.cc:2: CheckGradients: the derivative of y ([4] from WrongSign at "
      "y.cc:2) by element "))
      << message;
  EXPECT_TRUE(
      absl::StrContains(message, " of x ([4] is input \"x\", x.cc:1) is "))
      << message;
  EXPECT_TRUE(
      absl::StrContains(message, "; the worst of 4 wrong among 4 checked\n"))
      << message;
}

// ---- Which rule it is ----

// The second line of what CheckGradients says.
std::string WrongRule(const absl::Status& status) {
  const std::vector<std::string> lines = absl::StrSplit(status.message(), '\n');
  return lines.size() == 2 ? lines[1] : std::string(status.message());
}

TEST_F(GradientCheckTest, NamesTheFirstRuleThatIsWrong) {
  const Var x = Declare(kSomeValues.size());
  const Var right = Tanh(x, {"y.cc", 3});
  const Var wrong = graph_.Append(kWrongSign, {right}, {}, {"y.cc", 4});
  const Var wrong_too =
      graph_.Append(kMissingTerm, {Exp(wrong)}, {}, {"y.cc", 5});
  const std::string rule =
      WrongRule(CheckGradients(Sum(wrong_too), {x}, Feed(x, kSomeValues)));
  EXPECT_TRUE(absl::StartsWith(
      rule,
      "y.cc:4: the gradient rule of WrongSign is wrong: its derivative by "
      "element "))
      << rule;
  EXPECT_TRUE(
      absl::StrContains(rule, " of operand x ([4] from Tanh at y.cc:3) is "))
      << rule;
  EXPECT_TRUE(absl::StrContains(
      rule, " by its gradient rule, but WrongSign's slope is "))
      << rule;
}

// a b^2, with the derivative of a b by b.
constexpr OpDef kWrongSecondOperand = {
    .name = "WrongSecondOperand",
    .operands = {"a", "b"},
    .shape = SameType,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      return {gy * Square(x[1]), gy * x[0]};
    },
    .reference = MapReference<[](double a, double b) { return a * b * b; }>};

TEST_F(GradientCheckTest, NamesTheOperandAndElementOfTheWrongRule) {
  const Var x = Declare(2);
  // By element 0 it is right, a being 0.
  const Var y =
      graph_.Append(kWrongSecondOperand, {x, Exp(x)}, {}, {"y.cc", 2});
  const std::string rule = WrongRule(CheckGradients(y, {x}, Feed(x, {0, 2})));
  EXPECT_TRUE(absl::StrContains(
      rule,
      "the gradient rule of WrongSecondOperand is wrong: its derivative by "
      "element 1 of operand b ([2] from Exp at "))
      << rule;
}

// An operand that is named twice has two derivatives.
TEST_F(GradientCheckTest, TellsOperandsThatAreOneNodeApart) {
  const Var x = Declare(1);
  const Var y = graph_.Append(kWrongSecondOperand, {x, x}, {}, {"y.cc", 2});
  const std::string rule = WrongRule(CheckGradients(y, {x}, Feed(x, {2})));
  EXPECT_TRUE(absl::StrContains(rule, " by element 0 of operand b ")) << rule;
}

TEST_F(GradientCheckTest, FindsTheRuleWithABatchAndAttributes) {
  const Var x = graph_.Input("x", {kBatch, 2});
  static constexpr OpDef kStretch = {
      .name = "Stretch",
      .operands = {"x"},
      .shape = [](absl::Span<const TensorType>,
                  const Attributes& attributes) -> absl::StatusOr<TensorType> {
        return TensorType{DType::kFloat32, attributes.shape};
      },
      .gradient = [](absl::Span<const Var>, Var, Var gy,
                     const Attributes&) -> Adjoints { return {2 * gy}; },
      .reference = MapReference<[](double x) { return x; }>};
  const Var y =
      graph_.Append(kStretch, {x}, {.shape = {3, kBatch, 2}}, {"y.cc", 2});
  const absl::Status status = CheckGradients(
      y, {x}, {{x, Tensor(Shape{2, 2}, std::vector<double>{1, 2, 3, 4})}});
  EXPECT_TRUE(absl::StrContains(WrongRule(status),
                                "y.cc:2: the gradient rule of Stretch"))
      << status;
}

TEST_F(GradientCheckTest, NamesAUsersRuleThatIsNotTheDerivative) {
  const Var x = Declare(2);
  const Var y = WithGradient(
      Square(x), {x},
      [](absl::Span<const Var>, Var, Var gy) { return Adjoints{gy}; },
      {"y.cc", 2});
  const std::string rule =
      WrongRule(CheckGradients(Sum(Exp(y)), {x}, Feed(x, {1, 2})));
  EXPECT_TRUE(absl::StartsWith(
      rule,
      "y.cc:2: the gradient rule of WithGradient is wrong: its derivative by "
      "element 1 of operand 1 ([2] is input \"x\", x.cc:1) is "))
      << rule;
  EXPECT_TRUE(
      CheckGradients(WithGradient(Square(x), {x},
                                  [](absl::Span<const Var> x, Var, Var gy) {
                                    return Adjoints{gy * 2 * x[0]};
                                  }),
                     {x}, Feed(x, {1, 2}), {.order = 2})
          .ok());
}

// ---- Steps ----

TEST_F(GradientCheckTest, ChoosesTheStepWhereOneIsTooLargeOrTooSmall) {
  // A step of 1e-6 is a sixth of a period …
  static constexpr OpDef kFast =
      MakeOp<[](double x) { return std::sin(1e6 * x); }>(
          "Fast",
          [](absl::Span<const Var> x, Var, Var gy, const Attributes&)
              -> Adjoints { return {gy * 1e6 * Cos(1e6 * x[0])}; });
  const absl::Status fast = Check(kFast, {0.1, 0.25});
  EXPECT_TRUE(fast.ok()) << fast;
  // … and here leaves no digits: those of 1e13 end at 2e-3.
  static constexpr OpDef kFar = MakeOp<[](double x) { return x + 1e13; }>(
      "Far",
      [](absl::Span<const Var>, Var, Var gy, const Attributes&) -> Adjoints {
        return {gy};
      });
  Graph graph;
  const Var x = graph.Input("x", {1});
  const absl::Status far = CheckGradients(Append(kFar, {x}, {}, Loc::Current()),
                                          {x}, Feed(x, {300}));
  EXPECT_TRUE(far.ok()) << far;
}

TEST_F(GradientCheckTest, StillFindsWhatIsWrongWhereTheStepIsChosen) {
  static constexpr OpDef kFast =
      MakeOp<[](double x) { return std::sin(1e6 * x); }>(
          "Fast",
          [](absl::Span<const Var> x, Var, Var gy, const Attributes&)
              -> Adjoints { return {gy * 1.01e6 * Cos(1e6 * x[0])}; });
  EXPECT_FALSE(Check(kFast, {0.1, 0.25}).ok());
}

TEST_F(GradientCheckTest, TellsAKinkFromACurveWhateverTheStep) {
  // Two kinks, 1e-7 apart: at the first the slopes are 0 and 1.
  static constexpr OpDef kKinks =
      MakeOp<[](double x) { return std::fmin(std::fmax(x, 0), 1e-7); }>(
          "Kinks",
          [](absl::Span<const Var> x, Var, Var gy, const Attributes&)
              -> Adjoints { return {gy * (0.8 + 0.0 * x[0])}; });
  EXPECT_TRUE(Check(kKinks, {0, 1e-7}).ok());
  Graph graph;
  const Var x = graph.Input("x", {1});
  const Var y = Append(kKinks, {x}, {}, Loc::Current());
  const absl::Status between = CheckGradients(y, {x}, Feed(x, {5e-8}));
  EXPECT_TRUE(absl::StrContains(between.message(), "wrong among 1")) << between;
}

TEST_F(GradientCheckTest, TakesNoSlopesThatDecideNothingForAnExcuse) {
  // At 0 the quotient is 0.5 and 1.5 by turns, as steps get four times smaller.
  static constexpr OpDef kSwings = MakeOp<[](double x) {
    if (x == 0) return 0.0;
    return x + 0.5 * x *
                   std::cos(M_PI * std::log(std::fabs(x) / 1e-2) / std::log(4));
  }>("Swings",
     [](absl::Span<const Var>, Var, Var gy, const Attributes&) -> Adjoints {
       return {gy};
     });
  const absl::Status status = Check(kSwings, {0});
  EXPECT_TRUE(absl::StrContains(status.message(), ", give or take ")) << status;
}

TEST_F(GradientCheckTest, ChecksDerivativesByNodesBetween) {
  const Var x = Declare(2);
  const Var h = Tanh(x);
  const Var y = Exp(h) * x;
  const absl::Status status =
      CheckGradients(y, {h, x}, Feed(x, {0.3, -1}), {.order = 2});
  EXPECT_TRUE(status.ok()) << status;
  const Var wrong = graph_.Append(kWrongSign, {h}, {}, {"y.cc", 2});
  EXPECT_FALSE(CheckGradients(wrong, {h}, Feed(x, {0.3, -1})).ok());
}

// ---- What it says ----

TEST_F(GradientCheckTest, SaysWhichElementAndBothFigures) {
  // Right at 0, wrong by 1 · e at 1. The weight of y is not known, but the
  // ratio of what is and what should be: e to 2 e.
  const absl::Status status = Check(kMissingTerm, {0, 1, 0});
  const std::string message(status.message());
  EXPECT_TRUE(absl::StrContains(message, " by element 1 of x ")) << message;
  EXPECT_TRUE(absl::StrContains(message, "the worst of 1 wrong among 3"))
      << message;
  double found = 0, below = 0, above = 0;
  const size_t figures = message.find(") is ");
  ASSERT_NE(figures, std::string::npos) << message;
  ASSERT_EQ(std::sscanf(message.c_str() + figures,
                        ") is %lf by the gradient rules, but y's slope is %lf "
                        "below and %lf above",
                        &found, &below, &above),
            3)
      << message;
  // Printed with six digits.
  EXPECT_NEAR(below / found, 2, 1e-4);
  EXPECT_NEAR(above / found, 2, 1e-4);
}

TEST_F(GradientCheckTest, FindsARuleThatLosesTheSignOfGy) {
  EXPECT_FALSE(Check(kLosesSignOfGy, std::vector<double>(8, 1.0)).ok());
}

TEST_F(GradientCheckTest, FindsAWrongSecondDerivativeAtOrderTwoOnly) {
  const Var x = Declare(kSomeValues.size());
  const Var y = graph_.Append(kWrongSecondDerivative, {x}, {}, {"y.cc", 2});
  const ReferenceFeeds feeds = Feed(x, kSomeValues);
  const absl::Status first = CheckGradients(y, {x}, feeds, {.order = 1});
  EXPECT_TRUE(first.ok()) << first;
  const absl::Status second = CheckGradients(y, {x}, feeds, {.order = 2});
  EXPECT_TRUE(absl::StartsWith(
      second.message(),
      "y.cc:2: CheckGradients: the derivative of the gradient of y ([4] from "
      "WrongSecondDerivative at y.cc:2) by x ([4] is input \"x\", x.cc:1) by "
      "element "))
      << second;
  EXPECT_TRUE(absl::StartsWith(
      WrongRule(second), "y.cc:2: the gradient rule of ThreeSquares is wrong"))
      << second;
}

TEST_F(GradientCheckTest, FindsAWrongScaleOfOneInAThousandButNotOneInAMillion) {
  // relative = 1e-3 is the border.
  constexpr OpDef kSlightlyWrong = MakeOp<kCubeFormula>(
      "SlightlyWrong",
      [](absl::Span<const Var> x, Var, Var gy, const Attributes&) -> Adjoints {
        return {gy * (3.006 * Square(x[0]))};
      });
  constexpr OpDef kRounded = MakeOp<kCubeFormula>(
      "Rounded",
      [](absl::Span<const Var> x, Var, Var gy, const Attributes&) -> Adjoints {
        return {gy * (3.000003 * Square(x[0]))};
      });
  EXPECT_FALSE(Check(kSlightlyWrong, {2}).ok());
  Graph other;
  const Var x = other.Input("x", {1});
  const absl::Status status = CheckGradients(
      Append(kRounded, {x}, {}, Loc::Current()), {x}, Feed(x, {2}));
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(GradientCheckTest, AtAKinkAnyDerivativeBetweenTheSlopesWillDo) {
  const Var x = Declare(3);
  const ReferenceFeeds feeds = Feed(x, {0, -1, 1});
  for (Var y : {Relu(x), Abs(x), LeakyRelu(x, 0.1)}) {
    const absl::Status status = CheckGradients(y, {x}, feeds);
    EXPECT_TRUE(status.ok()) << status;
  }
}

TEST_F(GradientCheckTest, AtAKinkADerivativeBeyondTheSlopesIsWrong) {
  constexpr OpDef kBeyond = MakeOp<[](double x) { return std::fabs(x); }>(
      "Beyond",
      [](absl::Span<const Var> x, Var, Var gy, const Attributes&) -> Adjoints {
        return {gy * (Sign(x[0]) + 1.5 * (1 - Abs(Sign(x[0]))))};
      });
  const absl::Status status = Check(kBeyond, {0, -1, 1});
  EXPECT_TRUE(absl::StrContains(status.message(), " by element 0 of x "))
      << status;
}

TEST_F(GradientCheckTest, AnXThatYDoesNotDependOnHasTheDerivativeZero) {
  const Var x = Declare(2);
  const Var other = graph_.Input("other", {kBatch, 3});
  ReferenceFeeds feeds = Feed(x, {1, 2});
  feeds.push_back({other, Tensor(Shape{2, 3}, std::vector<double>(6, 1.0))});
  const absl::Status status =
      CheckGradients(Square(x), {x, other}, feeds, {.order = 2});
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(GradientCheckTest, TakesVariablesFromTheGraphUnlessTheyAreFed) {
  constexpr OpDef kWrongAboveOne = MakeOp<kCubeFormula>(
      "WrongAboveOne",
      [](absl::Span<const Var> x, Var, Var gy, const Attributes&) -> Adjoints {
        return {gy * (3 * Square(x[0]) + Relu(x[0] - 1))};
      });
  const Var w = graph_.Parameter("w", {2}, Constant(0.5));
  const Var y = Append(kWrongAboveOne, {w}, {}, Loc::Current());
  const absl::Status held = CheckGradients(y, {w});
  EXPECT_TRUE(held.ok()) << held;
  EXPECT_FALSE(CheckGradients(y, {w}, Feed(w, {0.5, 1.5})).ok());
}

TEST_F(GradientCheckTest, ChecksAWholeNetwork) {
  const Var x = graph_.Input("image", {kBatch, 3});
  const Var label = graph_.Input("label", {kBatch}, DType::kInt32);
  const Var w1 = graph_.Parameter("w1", {3, 4}, Glorot());
  const Var b1 = graph_.Parameter("b1", {4}, Zeros());
  const Var w2 = graph_.Parameter("w2", {4, 2}, Glorot());
  const Var loss =
      Mean(SoftmaxCrossEntropy(MatMul(Tanh(MatMul(x, w1) + b1), w2), label));
  const ReferenceFeeds feeds = {
      {x, Tensor(Shape{2, 3}, std::vector<double>{1, 2, 3, -1, 0.5, 0})},
      {label, Tensor(Shape{2}, std::vector<int32_t>{1, 0})}};
  const absl::Status status =
      CheckGradients(loss, graph_.parameters(), feeds, {.order = 2});
  EXPECT_TRUE(status.ok()) << status;
}

TEST_F(GradientCheckTest, ChecksNoMoreElementsThanItIsTold) {
  const absl::Status status =
      Check(kWrongSign, std::vector<double>(50, 1.0), {.max_elements = 7});
  EXPECT_TRUE(absl::StrContains(status.message(),
                                "; the worst of 7 wrong among 7 checked\n"))
      << status;
}

TEST_F(GradientCheckTest, DrawsTheSameForTheSameSeed) {
  const auto check = [](uint64_t seed) {
    Graph graph;
    const Var x = graph.Input("x", {50}, DType::kFloat32, {"x.cc", 1});
    return std::string(
        CheckGradients(graph.Append(kWrongSign, {x}, {}, {"y.cc", 2}), {x},
                       Feed(x, std::vector<double>(50, 1.0)),
                       {.max_elements = 7, .seed = seed})
            .message());
  };
  EXPECT_EQ(check(1), check(1));
  EXPECT_NE(check(1), check(2));
}

TEST_F(GradientCheckTest, WhatIsNotFiniteIsWrong) {
  constexpr OpDef kNanGradient = MakeOp<kCubeFormula>(
      "NanGradient",
      [](absl::Span<const Var>, Var, Var gy, const Attributes&) -> Adjoints {
        return {gy * std::numeric_limits<double>::quiet_NaN()};
      });
  const absl::Status status = Check(kNanGradient, {1});
  EXPECT_TRUE(absl::StrContains(status.message(), " is nan by the gradient"))
      << status;
  Graph graph;
  const Var x = graph.Input("x", {2});
  const absl::Status of_value = CheckGradients(Log(x), {x}, Feed(x, {1, -1}));
  EXPECT_TRUE(absl::StrContains(of_value.message(), "slope is nan below"))
      << of_value;
  EXPECT_FALSE(CheckGradients(Sqrt(x), {x}, Feed(x, {1, 0})).ok());
}

// There is no element beside an infinity to take a slope from.
TEST_F(GradientCheckTest, AnInfiniteElementHasNoSlope) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const Var x = Declare(2);
  for (Var y : {Silu(x), Exp(x), Square(x)}) {
    const absl::Status status =
        CheckGradients(y, {x}, Feed(x, {kInfinity, -kInfinity}));
    EXPECT_TRUE(absl::StrContains(status.message(), "slope is nan below"))
        << status;
    EXPECT_FALSE(absl::StrContains(status.message(), " is wrong: ")) << status;
  }
}

// ---- Where an op has no finite value or slope ----

std::string SecondLine(const absl::Status& status) {
  const std::vector<std::string> lines = absl::StrSplit(status.message(), '\n');
  return lines.size() == 2 ? lines[1] : absl::StrCat("?", status.message());
}

// faults.md, 14: 0 times inf, of choices that are not taken.
TEST_F(GradientCheckTest, AccusesNoRuleWhereTheOpIsNotFinite) {
  const Var x = Declare(2);
  const Var zero = Fill(&graph_, {2}, 0);
  const Var positive = Greater(x, zero);
  const auto line = [&](Var y, const std::vector<double>& at) {
    return SecondLine(CheckGradients(y, {x}, Feed(x, at)));
  };
  const std::string end =
      "; no gradient rule on the way is wrong where it can be checked";
  EXPECT_EQ(line(Select(positive, zero, Exp(x, {"e.cc", 3})), {1000, -1}),
            "e.cc:3: Exp is inf at element 0, where it has no derivative, for "
            "operand x ([2] is input \"x\", x.cc:1)" +
                end);
  EXPECT_EQ(line(Select(positive, Log(x, {"l.cc", 4}), zero), {0, 2}),
            "l.cc:4: Log is -inf at element 0, where it has no derivative, for "
            "operand x ([2] is input \"x\", x.cc:1)" +
                end);
  EXPECT_EQ(line(Select(positive, Sqrt(x, {"s.cc", 5}), zero), {0, 4}),
            "s.cc:5: Sqrt has no finite slope by element 0 of operand x ([2] "
            "is input \"x\", x.cc:1), which is 0" +
                end);
  for (Var y : {Select(positive, Div(zero, x), zero),
                Select(positive, Pow(x, Fill(&graph_, {}, 0.5)), zero),
                Select(positive, Rsqrt(x), zero),
                Select(positive, Reciprocal(x), zero)}) {
    const std::string found = line(y, {0, 4});
    EXPECT_TRUE(absl::EndsWith(found, end)) << found;
  }
}

// Where steps that suit an element of 1 would be longer than a wave, or would
// cross a pole.
TEST_F(GradientCheckTest, AccusesNoRuleOfElementsOfAnyMagnitude) {
  const Var x = Declare(2);
  for (const auto& [y, at] : std::vector<std::pair<Var, std::vector<double>>>{
           {Sin(x), {1e5, 1e10}},
           {Sin(x), {1e3, 3e7}},
           {Cos(x), {-1e8, 2e4}},
           {Square(Sin(x)), {1e4, 1e6}},
           {Reciprocal(x), {1e-30, 1e-10}},
           {Log(x), {1e-30, 1e30}},
           {Sqrt(x), {1e-30, 1e-20}},
           {Rsqrt(x), {1e-20, 1e20}},
           {Tanh(x * 1e20), {1e-20, 1e-21}},
           {Square(x), {1e15, 1e-15}}}) {
    const absl::Status status = CheckGradients(y, {x}, Feed(x, at));
    EXPECT_TRUE(status.ok()) << at[0] << " " << at[1] << ": " << status;
  }
}

TEST_F(GradientCheckTest, StillAccusesARuleThatIsWrongBesideOne) {
  const Var x = Declare(2);
  const Var y = Sqrt(x) + graph_.Append(kWrongSign, {x + 1}, {}, {"y.cc", 2});
  const std::string rule = WrongRule(CheckGradients(y, {x}, Feed(x, {0, 4})));
  EXPECT_TRUE(
      absl::StartsWith(rule, "y.cc:2: the gradient rule of WrongSign is wrong"))
      << rule;
}

// The slope at the edge of a domain is what it is.
TEST_F(GradientCheckTest, ReportsAnInfiniteSlopeAsSuch) {
  const Var x = Declare(2);
  const Var zero = Fill(&graph_, {2}, 0);
  const Var y = Select(Greater(x, zero), Sqrt(x), zero);
  const absl::Status status = CheckGradients(y, {x}, Feed(x, {0, 4}));
  const bool above =
      absl::StrContains(status.message(), "slope is 0 below and inf above");
  const bool negative =
      absl::StrContains(status.message(), "slope is 0 below and -inf above");
  EXPECT_TRUE(above || negative) << status;  // By the projection's sign.
}

TEST_F(GradientCheckTest, SmallElementsHaveLargeSlopesThatAreFinite) {
  const Var x = Declare(3);
  const absl::Status status = CheckGradients(Log(x) + Sqrt(x) + Reciprocal(x),
                                             {x}, Feed(x, {1e-11, 1e-7, 1e-3}));
  EXPECT_TRUE(status.ok()) << status;
}

// Of a derivative of 3e-8, three times that is wrong.
TEST_F(GradientCheckTest, HoldsSmallDerivativesToTheirOwnSize) {
  static constexpr OpDef kThrice = MakeOp<kCubeFormula>(
      "Thrice",
      [](absl::Span<const Var> x, Var, Var gy, const Attributes&) -> Adjoints {
        return {gy * (9 * Square(x[0]))};
      });
  EXPECT_FALSE(Check(kThrice, {1e-4}).ok());
  Graph graph;
  const Var x = graph.Input("x", {2});
  const absl::Status right = CheckGradients(
      Append(kCube, {x}, {}, Loc::Current()), {x}, Feed(x, {1e-4, 0}));
  EXPECT_TRUE(right.ok()) << right;
  // Where y is large beside what x does to it.
  const Var y = Append(kCube, {x}, {}, Loc::Current()) + 1;
  const absl::Status beside = CheckGradients(y, {x}, Feed(x, {1e-4, 0}));
  EXPECT_TRUE(beside.ok()) << beside;
}

// ---- What it leaves behind ----

// review.md, 5.
TEST_F(GradientCheckTest, LeavesTheGraphAsItWas) {
  static constexpr OpDef kNotDifferentiable = {
      .name = "NotDifferentiable",
      .operands = {"x"},
      .shape = SameType,
      .reference = MapReference<kCubeFormula>};
  const Var x = Declare(2);
  const Var right = Square(x);
  const Var wrong = graph_.Append(kWrongSign, {x}, {}, {"y.cc", 2});
  const Var none = graph_.Append(kNotDifferentiable, {x}, {}, {"n.cc", 3});
  const Var own =
      WithGradient(Square(x), {x}, [](absl::Span<const Var>, Var, Var gy) {
        return Adjoints{gy * Var()};  // A mistake of the user's.
      });
  const Var both = right + none;
  const std::string before = graph_.Dump();
  for (Var y : {right, wrong, none, own, both}) {
    for (int order : {1, 2}) {
      const absl::Status status =
          CheckGradients(y, {x}, Feed(x, {1, 2}), {.order = order});
      EXPECT_EQ(status.ok(), y == right) << status;
      EXPECT_TRUE(graph_.status().ok()) << graph_.status();
      EXPECT_EQ(graph_.Dump(), before);
    }
  }
  EXPECT_TRUE(absl::StartsWith(
      CheckGradients(none, {x}, Feed(x, {1, 2})).message(),
      "n.cc:3: Gradients: NotDifferentiable is not differentiable"));
  // The names of its inputs are free again, and the graph compiles.
  graph_.Input("gradient_check/projection/0", {2});
  const absl::StatusOr<Plan> plan =
      Compile(graph_, {.fetch = {Gradients(Sum(right), {x})[0]}});
  EXPECT_TRUE(plan.ok()) << plan.status();
}

TEST_F(GradientCheckTest, SaysWhichInputIsNotFed) {
  const Var x = Declare(2);
  const Var other = graph_.Input("other", {2}, DType::kFloat32, {"o.cc", 7});
  EXPECT_EQ(CheckGradients(x * other, {x}, Feed(x, {1, 2})).message(),
            "o.cc:7: input \"other\" is needed and was not fed");
  EXPECT_EQ(CheckGradients(x * other, {x, other}, Feed(x, {1, 2})).message(),
            "o.cc:7: CheckGradients: input \"other\" is an x and was not fed");
}

TEST_F(GradientCheckTest, RefusesWhatItCannotCheck) {
  const Var x = Declare(2);
  const Var y = graph_.Append(kCube, {x}, {}, {"y.cc", 2});
  const Var n = graph_.Input("n", {2}, DType::kInt32, {"n.cc", 3});
  Graph graph;
  const ReferenceFeeds feeds = Feed(x, {1, 2});
  const auto message = [&](Var of, Var by,
                           const GradientCheckOptions& options = {}) {
    return std::string(
        CheckGradients(of, {by}, feeds, options, {"user.cc", 8}).message());
  };
  EXPECT_EQ(message(y, n),
            "n.cc:3: CheckGradients: expected a float32 x, found int32[2] is "
            "input \"n\", n.cc:3");
  EXPECT_EQ(message(n, x),
            "n.cc:3: CheckGradients: expected a float32 y, found int32[2] is "
            "input \"n\", n.cc:3");
  EXPECT_EQ(message(Var(), x), "user.cc:8: CheckGradients: y is an empty Var");
  EXPECT_EQ(message(y, Var()),
            "user.cc:8: CheckGradients: an x is an empty Var");
  EXPECT_EQ(message(y, graph.Input("x", {2})),
            "user.cc:8: CheckGradients: an x is of another graph than y");
  EXPECT_EQ(
      message(y, x, {.order = 3}),
      "user.cc:8: CheckGradients: expected a step above 0, order 1 or 2 and at "
      "least 1 element, found step 1e-06, order 3 and 200 elements");
}

TEST_F(GradientCheckTest, ReturnsTheMistakesOfTheGraph) {
  const Var x = Declare(2);
  const Var y = graph_.Append(kCube, {x}, {}, {"y.cc", 2});
  graph_.ReportError({"z.cc", 9}, "Oops", "a mistake");
  EXPECT_EQ(CheckGradients(y, {x}, Feed(x, {1, 2})).message(),
            "z.cc:9: Oops: a mistake");
}

TEST_F(GradientCheckTest, GivesItsInputsNamesThatAreFree) {
  const Var x = Declare(2);
  graph_.Input("gradient_check/projection/0", {2});
  const Var y = graph_.Append(kCube, {x}, {}, {"y.cc", 2});
  for (int time = 0; time < 2; ++time) {
    const absl::Status status =
        CheckGradients(y, {x}, Feed(x, {1, 2}), {.order = 2});
    EXPECT_TRUE(status.ok()) << status;
  }
}

}  // namespace
}  // namespace tape
