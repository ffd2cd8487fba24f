// Chains: order, what they report, what they refuse; and the regularisers,
// which are the first links of most.
#include "framework/train/transform.h"

#include <cmath>
#include <vector>

#include "framework/compiler/compile.h"
#include "framework/core/gradients.h"
#include "framework/core/initializer.h"
#include "framework/core/reference.h"
#include "framework/train/optimizer.h"
#include "framework/train/regularizer.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace tape {
namespace {

const std::vector<float> kWeights = {1.5f, -2, 0, 0.25f};

// Two parameters and a loss of them.
struct Model {
  Model() {
    w = g.Parameter("w", {2, 2}, Values(Tensor({2, 2}, kWeights)));
    b = g.Parameter("b", {2}, Constant(-0.5));
    loss = Sum(Square(w + b)) * 0.5;
  }
  std::vector<Var> parameters() { return {w, b}; }
  std::vector<Var> gradients() { return Gradients(loss, parameters()); }

  Graph g;
  Var w, b, loss;
};

// `var` by the references.
std::vector<double> Evaluate(Var var) {
  const auto values = EvaluateReference({var});
  EXPECT_TRUE(values.ok()) << values.status();
  const auto elements = (*values)[0].values<double>();
  return {elements.begin(), elements.end()};
}

// The new value that `updates` assigns to `variable`.
Var AssignedTo(const Updates& updates, Var variable) {
  for (const Assignment& assignment : updates.assignments) {
    if (assignment.variable == variable) return assignment.value;
  }
  return Var();
}

TEST(ChainTest, HandsEachTransformTheGradientsOfTheOneBefore) {
  Model m;
  const std::vector<Var> gradients = m.gradients();
  const Updates updates = Chain(L2(0.25), L1(0.125), Sgd({.learning_rate = 2}))
                              .Apply(m.parameters(), gradients);
  const std::vector<double> g = Evaluate(gradients[0]);
  const std::vector<double> found = Evaluate(AssignedTo(updates, m.w));
  for (size_t i = 0; i < g.size(); ++i) {
    const double w = kWeights[i];
    const double sign = w > 0 ? 1 : (w < 0 ? -1 : 0);
    EXPECT_DOUBLE_EQ(found[i], w - 2 * (g[i] + 2 * 0.25 * w + 0.125 * sign));
  }
}

TEST(ChainTest, MayHoldAChain) {
  Model m;
  const std::vector<Var> gradients = m.gradients();
  const Updates flat = Chain(L2(0.5), Sgd({.learning_rate = 1}))
                           .Apply(m.parameters(), gradients);
  const Updates nested =
      Chain(std::make_unique<Chain>(L2(0.5)), Sgd({.learning_rate = 1}))
          .Apply(m.parameters(), gradients);
  EXPECT_EQ(Evaluate(AssignedTo(flat, m.w)), Evaluate(AssignedTo(nested, m.w)));
}

TEST(ChainTest, ReportsPenaltiesAndTheRate) {
  Model m;
  const Updates updates =
      Chain(L1(0.5), L2(0.25), Sgd({.learning_rate = 0.125}))
          .Apply(m.parameters(), m.gradients());
  double l1 = 2 * 0.5, l2 = 2 * 0.25;  // Of the two biases.
  for (float w : kWeights) {
    l1 += std::fabs(w);
    l2 += w * w;
  }
  ASSERT_EQ(updates.penalties.size(), 2u);
  EXPECT_EQ(updates.penalties[0].name, "L1");
  EXPECT_EQ(Evaluate(updates.penalties[0].value),
            std::vector<double>{0.5 * l1});
  EXPECT_EQ(updates.penalties[1].name, "L2");
  EXPECT_EQ(Evaluate(updates.penalties[1].value),
            std::vector<double>{0.25 * l2});
  EXPECT_EQ(Evaluate(updates.learning_rate), std::vector<double>{0.125});
}

TEST(ChainTest, CountsItsStepsOnTheGraph) {
  Model m;
  const Updates updates = Chain(Sgd({.learning_rate = LinearDecay(1, 4)}))
                              .Apply(m.parameters(), m.gradients());
  absl::StatusOr<Plan> plan = Compile(
      m.g, {.fetch = {updates.learning_rate, m.g.Step()}, .updates = updates});
  ASSERT_TRUE(plan.ok()) << plan.status();
  for (int step = 0; step < 6; ++step) {
    ASSERT_TRUE(plan->Run().ok());
    EXPECT_EQ(plan->Value(m.g.Step()).values<int32_t>()[0], step);
    EXPECT_EQ(plan->Scalar(updates.learning_rate),
              std::max(0.0f, 1 - 0.25f * step));
  }
}

TEST(RegularizerTest, ClosedFormIsTheGradientOfThePenalty) {
  for (auto* make : {&L1, &L2}) {
    Model m;
    const std::vector<Var> zero = {m.w * 0, m.b * 0};
    const Updates updates =
        Chain(make(0.75, Loc::Current()), Sgd({.learning_rate = -0.0 + 1}))
            .Apply(m.parameters(), zero);
    const std::vector<Var> by_autodiff =
        Gradients(updates.penalties[0].value, m.parameters());
    for (size_t p = 0; p < 2; ++p) {
      const Var parameter = m.parameters()[p];
      // With a rate of 1 and no other gradient, w - w' is the regulariser's
      // gradient.
      EXPECT_EQ(Evaluate(parameter - AssignedTo(updates, parameter)),
                Evaluate(by_autodiff[p]));
    }
  }
}

// Expects that the one mistake kept by `m` is `message` at line `line` of this
// file.
void ExpectRefusal(const Model& m, int line, absl::string_view message) {
  EXPECT_EQ(m.g.status().message(),
            absl::StrCat("tests/transform_test.cc:", line, ": ", message));
}

TEST(ChainTest, RefusesWhatDoesNotEndWithAnOptimiser) {
  Model m;
  Chain(L2(1)).Apply(m.parameters(), m.gradients());
  ExpectRefusal(m, __LINE__ - 1,
                "Chain::Apply: the chain does not end with an optimiser");
}

TEST(ChainTest, RefusesATransformAfterTheOptimiser) {
  Model m;
  const Chain chain(Sgd({.learning_rate = 1}), L2(1));
  ExpectRefusal((chain.Apply(m.parameters(), m.gradients()), m), __LINE__ - 1,
                "L2: stands after the optimiser, which has already made its "
                "updates");
}

TEST(ChainTest, RefusesANegativeStrength) {
  Model m;
  const Chain chain(L1(-1), Sgd({.learning_rate = 1}));
  ExpectRefusal((chain.Apply(m.parameters(), m.gradients()), m), __LINE__ - 1,
                "L1: expected a finite strength of at least 0, found -1");
}

TEST(ChainTest, RefusesGradientsThatAreNotTheParameters) {
  Model few;
  Chain(Sgd({.learning_rate = 1})).Apply(few.parameters(), {few.w});
  ExpectRefusal(few, __LINE__ - 1,
                "Chain::Apply: expected a gradient for each of 2 parameters, "
                "found 1");
  Model other;
  Chain(Sgd({.learning_rate = 1})).Apply({other.w}, {other.b});
  ExpectRefusal(
      other, __LINE__ - 2,
      absl::StrCat("Chain::Apply: gradient 0 (", other.g.Describe(other.b.id()),
                   ") does not have the type of its parameter (",
                   other.g.Describe(other.w.id()), ")"));
}

}  // namespace
}  // namespace tape
