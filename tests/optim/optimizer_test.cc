// Each optimiser against its formula, written out again here in double, step by
// step; and what it refuses.
#include "framework/optim/optimizer.h"

#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "framework/check/gradient_check.h"
#include "framework/compiler/compile.h"
#include "framework/core/gradients.h"
#include "framework/core/initializer.h"
#include "framework/optim/wrappers.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace tape {
namespace {

constexpr int kSteps = 200;
const std::vector<float> kStart = {1.5f, -0.25f, 0.75f};
const std::vector<double> kTarget = {-1, 2, 0.5};

// The gradient of sum (w - target)^4 / 4 at w: not linear, so that a wrong
// moment shows.
double Slope(double w, double target) { return std::pow(w - target, 3); }

// The values of w after kSteps steps of `optimizer`, compiled.
std::vector<float> Trajectory(TransformPtr optimizer) {
  Graph g;
  const Var w = g.Parameter("w", {3}, Values(Tensor({3}, kStart)));
  const Var target = g.State(
      "target", {3},
      Values(Tensor({3}, std::vector<float>(kTarget.begin(), kTarget.end()))));
  const Var loss = Sum(Square(Square(w - target))) * 0.25;
  const Updates updates =
      Chain(std::move(optimizer)).Apply({w}, Gradients(loss, {w}));
  absl::StatusOr<Plan> plan = Compile(g, {.updates = updates, .threads = 1});
  EXPECT_TRUE(plan.ok()) << plan.status();
  for (int step = 0; step < kSteps; ++step) EXPECT_TRUE(plan->Run().ok());
  const auto values = g.Value(w).values<float>();
  return {values.begin(), values.end()};
}

// The same in double: `update` gives the new w from w, g and t = 1, 2, …; one
// call of `make` for each element.
template <typename Make>
std::vector<double> Expected(const Make& make) {
  std::vector<double> values;
  for (size_t i = 0; i < kStart.size(); ++i) {
    auto update = make();
    double w = kStart[i];
    for (int t = 1; t <= kSteps; ++t) w = update(w, Slope(w, kTarget[i]), t);
    values.push_back(w);
  }
  return values;
}

// kSteps roundings of float32 (6e-8 each), the descent being stable, stay below
// 2e-5 of the numbers, which are near 1.
void ExpectNear(const std::vector<float>& found,
                const std::vector<double>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) {
    EXPECT_NEAR(found[i], expected[i], 2e-5) << "element " << i;
  }
}

TEST(OptimizerTest, SgdTakesRateTimesTheGradient) {
  ExpectNear(Trajectory(Sgd({.learning_rate = 0.02})), Expected([] {
               return [](double w, double g, int) { return w - 0.02 * g; };
             }));
}

TEST(OptimizerTest, MomentumAddsUpGradientsBeforeTheRate) {
  // The rate falls from step to step, so that it matters whether it is applied
  // before or after the sum.
  ExpectNear(Trajectory(Momentum(
                 {.learning_rate = LinearDecay(0.02, 300), .momentum = 0.7})),
             Expected([] {
               return [v = 0.0](double w, double g, int t) mutable {
                 v = 0.7 * v + g;
                 return w - 0.02 * (1 - (t - 1) / 300.0) * v;
               };
             }));
}

TEST(OptimizerTest, AdamFollowsAlgorithmOneOfItsPaper) {
  ExpectNear(Trajectory(Adam({.learning_rate = 0.03,
                              .beta1 = 0.8,
                              .beta2 = 0.99,
                              .epsilon = 1e-3})),
             Expected([] {
               return [m = 0.0, v = 0.0](double w, double g, int t) mutable {
                 m = 0.8 * m + 0.2 * g;
                 v = 0.99 * v + 0.01 * g * g;
                 const double m_hat = m / (1 - std::pow(0.8, t));
                 const double v_hat = v / (1 - std::pow(0.99, t));
                 return w - 0.03 * m_hat / (std::sqrt(v_hat) + 1e-3);
               };
             }));
}

TEST(OptimizerTest, AdamsFirstStepIsTheRateInSize) {
  Graph g;
  const Var w = g.Parameter("w", {}, Constant(1));
  const Updates updates = Chain(Adam({.learning_rate = 0.25, .epsilon = 0}))
                              .Apply({w}, Gradients(Square(w), {w}));
  absl::StatusOr<Plan> plan = Compile(g, {.updates = updates});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(plan->Run().ok());
  // m / (1 - beta1) = g and sqrt(v / (1 - beta2)) = |g|, with a few roundings
  // of float32 each.
  EXPECT_NEAR(g.Value(w).values<float>()[0], 0.75, 1e-6);
}

TEST(OptimizerTest, ChainsOfOneGraphCountTheirOwnSteps) {
  // Two players that take turns: the steps of one are no business of the other.
  Graph g;
  const Var a = g.Parameter("a", {}, Constant(1));
  const Var b = g.Parameter("b", {}, Constant(1));
  const Var rate = g.State("rate", {}, Constant(0.125));
  const auto updates_of = [&](Var w) {
    return Chain(Adam({.learning_rate = Schedule([&](Var) { return rate; }),
                       .epsilon = 0}))
        .Apply({w}, {w * 0 + 1});
  };
  const Updates of_a = updates_of(a), of_b = updates_of(b);
  absl::StatusOr<Plan> step_a = Compile(g, {.updates = of_a});
  absl::StatusOr<Plan> step_b = Compile(g, {.updates = of_b});
  ASSERT_TRUE(step_a.ok() && step_b.ok()) << step_a.status() << step_b.status();
  for (int turn = 0; turn < 3; ++turn) {
    ASSERT_TRUE(step_a->Run().ok() && step_b->Run().ok());
  }
  // A constant gradient of 1: each step of Adam is the rate, to a few
  // roundings.
  EXPECT_NEAR(g.Value(a).values<float>()[0], 1 - 3 * 0.125, 1e-6);
  EXPECT_NEAR(g.Value(b).values<float>()[0], 1 - 3 * 0.125, 1e-6);
  EXPECT_EQ(g.Value(of_a.step).values<int32_t>()[0], 3);
  // Both in one plan.
  Updates both = of_a;
  for (const Assignment& assignment : of_b.assignments) {
    both.assignments.push_back(assignment);
  }
  EXPECT_TRUE(Compile(g, {.updates = both}).ok());
}

TEST(OptimizerTest, BetasOfZeroAreAllowed) {
  ExpectNear(
      Trajectory(
          Adam({.learning_rate = 0.001, .beta1 = 0, .beta2 = 0, .epsilon = 1})),
      Expected([] {
        return [](double w, double g, int) {
          return w - 0.001 * g / (std::fabs(g) + 1);
        };
      }));
}

TEST(OptimizerTest, TheLossAfterAStepOfAdamIsDifferentiableByTheRate) {
  Graph g;
  const auto constant = [&](const char* name, Shape shape) {
    return g.State(name, shape, Uniform(-1, 1));
  };
  const Var x = constant("x", {6, 3}), target = constant("target", {6, 2});
  const Var w1 = g.Parameter("w1", {3, 4}, Glorot());
  const Var w2 = g.Parameter("w2", {4, 2}, Glorot());
  const auto loss_of = [&](Var a, Var b) {
    return Mean(Square(MatMul(Tanh(MatMul(x, a)), b) - target));
  };
  const Var rate = g.Parameter("rate", {}, Constant(0.05));
  const Updates updates =
      Chain(Adam({.learning_rate = Schedule([&](Var) { return rate; })}))
          .Apply({w1, w2}, Gradients(loss_of(w1, w2), {w1, w2}));
  std::vector<Var> stepped(2);
  for (const Assignment& assignment : updates.assignments) {
    if (assignment.variable == w1) stepped[0] = assignment.value;
    if (assignment.variable == w2) stepped[1] = assignment.value;
  }
  const absl::Status status =
      CheckGradients(loss_of(stepped[0], stepped[1]), {rate, w1});
  EXPECT_TRUE(status.ok()) << status;
}

// Declares a chain of `optimizer`, itself declared at kHere, and expects that
// the one mistake kept is `message`, with that place.
constexpr Loc kHere = {"user.cc", 7};

void ExpectRefusal(TransformPtr optimizer, const std::string& message) {
  Graph g;
  const Var w = g.Parameter("w", {}, Constant(1));
  Chain(std::move(optimizer)).Apply({w}, {2 * w});
  EXPECT_EQ(std::string(g.status().message()), "user.cc:7: " + message);
}

// Whose squares, or even norms, are beyond float32.
TEST(OptimizerTest, LambHoldsForWeightsOfAnyMagnitude) {
  for (const float size : {1e20f, 5e-31f, 6e37f}) {
    Graph g;
    const Var w = g.Parameter(
        "w", {2}, Values(Tensor({2}, std::vector<float>{3 * size, 4 * size})));
    const Var c =
        g.State("c", {2}, Values(Tensor({2}, std::vector<float>{2, -2})));
    const Updates updates =
        Chain(Lamb({.adam = {.learning_rate = 0.1, .epsilon = 0}}))
            .Apply({w}, Gradients(Sum(w * c), {w}));
    absl::StatusOr<Plan> plan = Compile(g, {.updates = updates});
    ASSERT_TRUE(plan.ok()) << plan.status();
    ASSERT_TRUE(plan->Run().ok());
    // u = (1, -1), |w| = 5.
    const auto values = g.Value(w).values<float>();
    const double step = 0.1 * 5 / std::sqrt(2.0);
    EXPECT_NEAR(values[0] / size, 3 - step, 1e-5) << size;
    EXPECT_NEAR(values[1] / size, 4 + step, 1e-5) << size;
  }
}

TEST(OptimizerTest, RefusesWrongConstantsWithTheLine) {
  ExpectRefusal(Sgd({.learning_rate = -0.5}, kHere),
                "Sgd: learning_rate: expected a finite number of at least 0, "
                "found -0.5");
  ExpectRefusal(Sgd({.learning_rate = std::nan("")}, kHere),
                "Sgd: learning_rate: expected a finite number of at least 0, "
                "found nan");
  ExpectRefusal(Sgd({.learning_rate = LinearDecay(1, 0)}, kHere),
                "Sgd: learning_rate: LinearDecay: expected a number of steps "
                "of at least 1, found 0");
  ExpectRefusal(Momentum({.learning_rate = 1, .momentum = 1}, kHere),
                "Momentum: expected a momentum in [0, 1), found 1");
  ExpectRefusal(Nesterov({.learning_rate = 1, .momentum = -1}, kHere),
                "Nesterov: expected a momentum in [0, 1), found -1");
  ExpectRefusal(
      Adagrad({.initial_sum = -1}, kHere),
      "Adagrad: expected a finite initial_sum of at least 0, found -1");
  ExpectRefusal(RmsProp({.decay = 1}, kHere),
                "RmsProp: expected a decay in [0, 1), found 1");
  ExpectRefusal(Adadelta({.epsilon = -1}, kHere),
                "Adadelta: expected a finite epsilon of at least 0, found -1");
  ExpectRefusal(Adam({.beta1 = 1.5}, kHere),
                "Adam: expected a beta1 in [0, 1), found 1.5");
  ExpectRefusal(Adam({.beta2 = -0.1}, kHere),
                "Adam: expected a beta2 in [0, 1), found -0.1");
  ExpectRefusal(AmsGrad({.epsilon = -1}, kHere),
                "AmsGrad: expected a finite epsilon of at least 0, found -1");
  ExpectRefusal(AdamW({.weight_decay = -1}, kHere),
                "DecoupledWeightDecay: strength: expected a finite number of "
                "at least 0, found -1");
  ExpectRefusal(NAdam({.momentum_decay = -1}, kHere),
                "NAdam: expected a finite momentum_decay of at least 0, found "
                "-1");
  ExpectRefusal(Lion({.beta2 = 2}, kHere),
                "Lion: expected a beta2 in [0, 1), found 2");
  ExpectRefusal(Lamb({.weight_decay = -1}, kHere),
                "Lamb: expected a finite weight_decay of at least 0, found -1");
}

TEST(OptimizerTest, AFullStepCounterIsAsGoodAsInfinity) {
  const std::pair<const char*, std::function<TransformPtr()>> optimizers[] = {
      {"Adam", [] { return Adam(); }},
      {"AmsGrad", [] { return AmsGrad(); }},
      {"AdamW", [] { return AdamW(); }},
      {"NAdam", [] { return NAdam(); }},
      {"Lamb", [] { return Lamb(); }},
      {"Lion", [] { return Lion(); }},
      {"AddNoise", []() -> TransformPtr {
         return std::make_unique<Chain>(AddNoise(0.01),
                                        Sgd({.learning_rate = 1e-3}));
       }}};
  for (const auto& [name, make] : optimizers) {
    SCOPED_TRACE(name);
    Graph g;
    const Var w = g.Parameter("w", {1}, Constant(1));
    const Updates updates = Chain(make()).Apply({w}, {w * 0 + 1.0});
    ASSERT_TRUE(
        g.SetValue(updates.step, Tensor({}, std::vector<int32_t>{2147483645}))
            .ok());
    absl::StatusOr<Plan> plan = Compile(g, {.updates = updates});
    ASSERT_TRUE(plan.ok()) << plan.status();
    float before = 1;
    for (int run = 0; run < 5; ++run) {
      ASSERT_TRUE(plan->Run().ok());
      const float now = g.Value(w).values<float>()[0];
      EXPECT_TRUE(std::isfinite(now));
      EXPECT_LT(now, before) << run;
      EXPECT_GT(now, 0.5);
      before = now;
    }
    EXPECT_EQ(g.Value(updates.step).values<int32_t>()[0], 2147483647);
  }
}

TEST(OptimizerTest, AParameterMayHaveTwoChains) {
  Graph g;
  const Var w = g.Parameter("w", {1}, Constant(1));
  const Updates first = Chain(NAdam()).Apply({w}, {w});
  const Updates second = Chain(NAdam()).Apply({w}, {w});
  ASSERT_TRUE(g.status().ok()) << g.status();
  EXPECT_GE(g.variables().Find("w/nadam/m"), 0);
  EXPECT_GE(g.variables().Find("w/nadam/m/2"), 0);
  for (const Updates& updates : {first, second}) {
    absl::StatusOr<Plan> plan = Compile(g, {.updates = updates});
    EXPECT_TRUE(plan.ok() && plan->Run().ok());
  }
}

}  // namespace
}  // namespace tape
