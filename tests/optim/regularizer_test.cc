// Regularisers: penalties against their gradients, and each against its formula
// and its twins.
#include "framework/optim/regularizer.h"

#include <cmath>
#include <string>
#include <vector>

#include "framework/compiler/compile.h"
#include "framework/core/gradients.h"
#include "framework/core/initializer.h"
#include "framework/core/reference.h"
#include "framework/optim/optimizer.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace tape {
namespace {

const std::vector<float> kWeights = {1.5f, -2, 0, 0.25f, -0.0625f, 3};

// A parameter and a gradient of it that is not zero anywhere.
struct Model {
  Model() {
    w = g.Parameter("w", {3, 2}, Values(Tensor({3, 2}, kWeights)));
    loss = Sum(Square(w - 0.5)) * 0.5;
  }
  std::vector<Var> gradients() { return Gradients(loss, {w}); }

  // What w becomes in `steps` steps of this chain.
  std::vector<float> Train(const Chain& chain, int steps) {
    return TrainOn(loss, chain, steps);
  }
  std::vector<float> TrainOn(Var objective, const Chain& chain, int steps) {
    const Updates updates = chain.Apply({w}, Gradients(objective, {w}));
    absl::StatusOr<Plan> plan = Compile(g, {.updates = updates});
    EXPECT_TRUE(plan.ok()) << plan.status();
    for (int i = 0; i < steps; ++i) EXPECT_TRUE(plan->Run().ok());
    const auto values = g.Value(w).values<float>();
    return {values.begin(), values.end()};
  }

  Graph g;
  Var w, loss;
};

std::vector<double> Evaluate(Var var) {
  const auto values = EvaluateReference({var});
  EXPECT_TRUE(values.ok()) << values.status();
  const auto elements = (*values)[0].values<double>();
  return {elements.begin(), elements.end()};
}

// The new value of w by a rate of 1 where the loss's gradient is 0.
Var Stepped(Model& m, const Chain& chain, Updates* updates) {
  *updates = chain.Apply({m.w}, {m.w * 0});
  EXPECT_TRUE(m.g.status().ok()) << m.g.status();
  return updates->assignments[0].value;
}

// Near within the roundings of `steps` steps in float32 on numbers of size 3.
void ExpectNear(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 5e-6) << i;
}

TEST(RegularizerTest, ClosedFormIsTheGradientOfThePenalty) {
  const Schedule strength = Piecewise(0.75, {{1, 9}});
  const auto expect = [](Model& m, const Chain& chain) {
    Updates updates;
    const Var value = Stepped(m, chain, &updates);
    std::vector<Var> penalties;
    for (const Report& penalty : updates.penalties) {
      penalties.push_back(penalty.value);
    }
    const Var by_autodiff = Gradients(AddN(penalties), {m.w})[0];
    EXPECT_EQ(Evaluate(m.w - value), Evaluate(by_autodiff));
  };
  Model l1, l2, both;
  expect(l1, Chain(L1(strength), Sgd({.learning_rate = 1})));
  expect(l2, Chain(L2(strength), Sgd({.learning_rate = 1})));
  expect(both, Chain(ElasticNet(0.5, strength), Sgd({.learning_rate = 1})));
}

TEST(RegularizerTest, PenaltiesHaveTheirFormulas) {
  Model m;
  Updates updates;
  Stepped(m, Chain(ElasticNet(0.5, 0.25), Sgd({.learning_rate = 1})), &updates);
  double sum = 0, squares = 0;
  for (double w : kWeights) {
    sum += std::fabs(w);
    squares += w * w;
  }
  ASSERT_EQ(updates.penalties.size(), 2u);
  EXPECT_EQ(updates.penalties[0].name, "L1");
  EXPECT_EQ(Evaluate(updates.penalties[0].value)[0], 0.5 * sum);
  EXPECT_EQ(updates.penalties[1].name, "L2");
  EXPECT_EQ(Evaluate(updates.penalties[1].value)[0], 0.25 * squares);
}

TEST(RegularizerTest, TheSignOfZeroIsAsAsked) {
  for (auto [sign, at_zero] :
       {std::pair(SignOfZero::kZero, 0.0), std::pair(SignOfZero::kPlus, 1.0)}) {
    Model m;
    Updates updates;
    const Var value =
        Stepped(m, Chain(L1(0.5, sign), Sgd({.learning_rate = 1})), &updates);
    const std::vector<double> slope = Evaluate(m.w - value);
    EXPECT_EQ(slope,
              (std::vector<double>{0.5, -0.5, 0.5 * at_zero, 0.5, -0.5, 0.5}));
  }
}

TEST(RegularizerTest, L2InItsThreeFormsIsTheSameUnderSgd) {
  Model as_loss, as_transform, as_decay;
  const double strength = 0.125, rate = 0.0625;
  const std::vector<float> by_loss =
      as_loss.TrainOn(as_loss.loss + strength * Sum(Square(as_loss.w)),
                      Chain(Sgd({.learning_rate = rate})), 50);
  ExpectNear(
      as_transform.Train(Chain(L2(strength), Sgd({.learning_rate = rate})), 50),
      by_loss);
  // Decoupled decay takes the derivative's factor 2 into its strength.
  ExpectNear(as_decay.Train(Chain(DecoupledWeightDecay(2 * strength),
                                  Sgd({.learning_rate = rate})),
                            50),
             by_loss);
}

TEST(RegularizerTest, L2AndDecoupledDecayDifferUnderAdam) {
  Model as_transform, as_decay, as_adamw;
  const AdamOptions adam = {.learning_rate = 0.0625};
  const std::vector<float> by_transform =
      as_transform.Train(Chain(L2(0.125), Adam(adam)), 50);
  const std::vector<float> by_decay =
      as_decay.Train(Chain(DecoupledWeightDecay(0.25), Adam(adam)), 50);
  double distance = 0;
  for (size_t i = 0; i < by_decay.size(); ++i) {
    distance =
        std::max<double>(distance, std::fabs(by_decay[i] - by_transform[i]));
  }
  EXPECT_GT(distance, 0.01);
  ExpectNear(
      as_adamw.Train(Chain(AdamW({.adam = adam, .weight_decay = 0.25})), 50),
      by_decay);
}

TEST(RegularizerTest, ProximalL1ShrinksToExactZeros) {
  Model m;
  Updates updates;
  const Var value =
      Stepped(m, Chain(ProximalL1(0.5), Sgd({.learning_rate = 0.5})), &updates);
  EXPECT_EQ(Evaluate(value), (std::vector<double>{1.25, -1.75, 0, 0, 0, 2.75}));
  ASSERT_EQ(updates.reports.size(), 1u);
  EXPECT_EQ(updates.reports[0].name, "zeros");
  EXPECT_NEAR(Evaluate(updates.reports[0].value)[0], 0.5, 1e-15);
}

TEST(RegularizerTest, MaxNormScalesUnitsThatAreTooLong) {
  Graph g;
  const Var w = g.Parameter(
      "w", {2, 2}, Values(Tensor({2, 2}, std::vector<float>{3, 0.5f, 4, 0})));
  const Var b =
      g.Parameter("b", {2}, Values(Tensor({2}, std::vector<float>{0, -8})));
  const Updates updates = Chain(MaxNorm(1), Sgd({.learning_rate = 1}))
                              .Apply({w, b}, {w * 0, b * 0});
  // The columns of w are (3, 4), of length 5, and (0.5, 0), short enough.
  const std::vector<double> scaled = Evaluate(updates.assignments[0].value);
  const std::vector<double> expected = {0.6, 0.5, 0.8, 0};
  for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(scaled[i], expected[i], 1e-15);
  EXPECT_EQ(Evaluate(updates.assignments[1].value),
            (std::vector<double>{0, -1}));
}

TEST(RegularizerTest, MaxNormHoldsForUnitsOfAnyLength) {
  Graph g;
  const std::vector<float> units = {3e20f, 3e38f, 3e-30f, 0,
                                    4e20f, 3e38f, 4e-30f, 0};
  const Var w = g.Parameter("w", {2, 4}, Values(Tensor({2, 4}, units)));
  const Updates updates =
      Chain(MaxNorm(5), Sgd({.learning_rate = 1})).Apply({w}, {w * 0});
  absl::StatusOr<Plan> plan = Compile(g, {.updates = updates});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(plan->Run().ok());
  const std::vector<float> expected = {3, 3.5355339f, 3e-30f, 0,
                                       4, 3.5355339f, 4e-30f, 0};
  for (int i = 0; i < 8; ++i) {
    EXPECT_FLOAT_EQ(g.Value(w).values<float>()[i], expected[i]) << i;
  }
}

TEST(RegularizerTest, RefusesWrongStrengthsWithTheLine) {
  constexpr Loc kHere = {"user.cc", 7};
  const auto expect = [](TransformPtr transform, const std::string& message) {
    Model m;
    Chain(std::move(transform), Sgd({.learning_rate = 1}))
        .Apply({m.w}, m.gradients());
    EXPECT_EQ(std::string(m.g.status().message()), "user.cc:7: " + message);
  };
  expect(L1(-1, SignOfZero::kZero, kHere),
         "L1: strength: expected a finite number of at least 0, found -1");
  expect(L2(-2, kHere),
         "L2: strength: expected a finite number of at least 0, found -2");
  expect(ElasticNet(1, -2, kHere),
         "L2: strength: expected a finite number of at least 0, found -2");
  expect(ProximalL1(-2, kHere),
         "ProximalL1: strength: expected a finite number of at least 0, found "
         "-2");
  expect(DecoupledWeightDecay(-2, kHere),
         "DecoupledWeightDecay: strength: expected a finite number of at least "
         "0, found -2");
  expect(MaxNorm(0, kHere),
         "MaxNorm: expected a finite limit above 0, found 0");
}

}  // namespace
}  // namespace tape
