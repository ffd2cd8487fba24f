// Chains and selections: order, groups, what they report, what they refuse; a
// user's own transformation, on the tape and on the host.
#include "framework/optim/transform.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "framework/compiler/compile.h"
#include "framework/core/gradients.h"
#include "framework/core/initializer.h"
#include "framework/core/reference.h"
#include "framework/optim/optimizer.h"
#include "framework/optim/regularizer.h"
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

TEST(ChainTest, CountsItsStepsInAVariable) {
  Model m;
  const Updates updates = Chain(Sgd({.learning_rate = LinearDecay(1, 4)}))
                              .Apply(m.parameters(), m.gradients());
  absl::StatusOr<Plan> plan = Compile(
      m.g,
      {.fetch = {updates.learning_rate, updates.step}, .updates = updates});
  ASSERT_TRUE(plan.ok()) << plan.status();
  for (int step = 0; step < 6; ++step) {
    ASSERT_TRUE(plan->Run().ok());
    EXPECT_EQ(plan->Value(updates.step).values<int32_t>()[0], step);
    EXPECT_EQ(plan->Scalar(updates.learning_rate),
              std::max(0.0f, 1 - 0.25f * step));
  }
}

TEST(ChainTest, GroupsHaveTheirOwnOptimisers) {
  Model m;
  const std::vector<Var> gradients = m.gradients();
  const Updates updates = Chain(Only(IsBias, Sgd({.learning_rate = 10})),
                                L2(0.5), Sgd({.learning_rate = 1}))
                              .Apply(m.parameters(), gradients);
  const std::vector<double> gw = Evaluate(gradients[0]);
  const std::vector<double> gb = Evaluate(gradients[1]);
  const std::vector<double> w = Evaluate(AssignedTo(updates, m.w));
  const std::vector<double> b = Evaluate(AssignedTo(updates, m.b));
  for (size_t i = 0; i < w.size(); ++i) {
    EXPECT_DOUBLE_EQ(w[i], kWeights[i] - (gw[i] + kWeights[i]));
  }
  // Done before L2 is reached.
  for (size_t i = 0; i < b.size(); ++i) {
    EXPECT_DOUBLE_EQ(b[i], -0.5 - 10 * gb[i]);
  }
  EXPECT_EQ(Evaluate(updates.learning_rate), std::vector<double>{1});
}

TEST(ChainTest, FrozenParametersGetNoUpdate) {
  Model m;
  const Updates updates =
      Chain(Freeze(IsWeight), Adam()).Apply(m.parameters(), m.gradients());
  EXPECT_TRUE(AssignedTo(updates, m.w).empty());
  EXPECT_TRUE(AssignedTo(updates, m.b).valid());
  EXPECT_EQ(m.g.variables().Find("w/adam/m"), -1);
}

TEST(SelectorTest, SelectsByTagNameListAndPredicate) {
  Graph g;
  const Var a = g.Parameter("layer1/w", {2, 2}, Zeros());
  const Var b = g.Parameter("layer1/b", {2}, Zeros());
  const Var c = g.Parameter("layer12/w", {2, 2}, Zeros(), Tag::kBias);
  const auto selected = [&](const Selector& selector) {
    std::string names;
    for (Var parameter : {a, b, c}) {
      if (selector(g, parameter)) {
        absl::StrAppend(&names, g.NameOf(parameter), " ");
      }
    }
    return names;
  };
  EXPECT_EQ(selected(IsWeight), "layer1/w ");
  EXPECT_EQ(selected(IsBias), "layer1/b layer12/w ");
  EXPECT_EQ(selected(NameMatches("layer1/*")), "layer1/w layer1/b ");
  EXPECT_EQ(selected(NameMatches("*/w")), "layer1/w layer12/w ");
  EXPECT_EQ(selected(NameMatches("l*1*w")), "layer1/w layer12/w ");
  EXPECT_EQ(selected(NameMatches("layer1/w")), "layer1/w ");
  EXPECT_EQ(selected(NameMatches("*")), "layer1/w layer1/b layer12/w ");
  EXPECT_EQ(selected(NameMatches("w")), "");
  EXPECT_EQ(selected(NameMatches("layer1/w*w")), "");  // One w is not two.
  EXPECT_EQ(selected(NameMatches("*1*2*w")), "layer12/w ");
  // In time proportional to the lengths, however many stars there are.
  EXPECT_EQ(selected(NameMatches(absl::StrCat(std::string(5000, '*'), "x"))),
            "");
  EXPECT_EQ(selected(AnyOf({c, a})), "layer1/w layer12/w ");
  EXPECT_EQ(selected(Not(IsBias)), "layer1/w ");
  EXPECT_EQ(selected([](const Graph&, Var parameter) {
              return parameter.shape().rank() == 1;
            }),
            "layer1/b ");
}

// A transformation of a user's own: gradients by their sign alone, and a count
// of the runs.
class SignOfGradient : public GradientTransform {
 public:
  explicit SignOfGradient(Loc loc = Loc::Current())
      : GradientTransform("SignOfGradient", loc) {}
  void Apply(GradientFlow& flow) const override {
    for (ParameterGradient& trained : flow.trained) {
      const Var runs = flow.StateOf(trained.parameter, "runs", loc());
      flow.updates.assignments.push_back({runs, runs + 1});
      trained.gradient = Sign(trained.gradient);
    }
  }
};

TEST(ChainTest, TakesAUsersOwnTransform) {
  Model m;
  const std::vector<Var> gradients = m.gradients();
  const Updates updates =
      Chain(std::make_unique<SignOfGradient>(), Sgd({.learning_rate = 0.5}))
          .Apply(m.parameters(), gradients);
  const std::vector<double> g = Evaluate(gradients[0]);
  const std::vector<double> w = Evaluate(AssignedTo(updates, m.w));
  for (size_t i = 0; i < g.size(); ++i) {
    EXPECT_DOUBLE_EQ(w[i], kWeights[i] - 0.5 * (g[i] > 0 ? 1 : -1));
  }
  absl::StatusOr<Plan> plan = Compile(m.g, {.updates = updates});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(plan->Run().ok());
  ASSERT_TRUE(plan->Run().ok());
  const int runs = m.g.variables().Find("b/runs");
  EXPECT_EQ(m.g.variables()[runs].value.values<float>()[0], 2);
}

// A transformation on the host: one plan computes gradients, the host changes
// the numbers, another plan takes them as inputs of a chain.
TEST(ChainTest, LeavesRoomForTransformsOnTheHost) {
  Model m;
  const std::vector<Var> gradients = m.gradients();
  const Var gw = m.g.Input("host/w", {2, 2}), gb = m.g.Input("host/b", {2});
  const Updates updates =
      Chain(Sgd({.learning_rate = 1})).Apply(m.parameters(), {gw, gb});
  absl::StatusOr<Plan> compute = Compile(m.g, {.fetch = gradients});
  absl::StatusOr<Plan> apply = Compile(m.g, {.updates = updates});
  ASSERT_TRUE(compute.ok() && apply.ok());
  ASSERT_TRUE(compute->Run().ok());

  // Here: all of a weight's gradient is dropped but its largest element.
  Tensor changed({2, 2}, std::vector<float>(4, 0));
  const auto all = compute->Value(gradients[0]).values<float>();
  const size_t largest = std::max_element(all.begin(), all.end()) - all.begin();
  changed.values<float>()[largest] = all[largest];
  ASSERT_TRUE(
      apply->Run({{gw, changed}, {gb, compute->Value(gradients[1])}}).ok());
  for (size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(m.g.Value(m.w).values<float>()[i],
              kWeights[i] - changed.values<float>()[i]);
  }
}

// Expects that the one mistake kept by `m` is `message` at line `line` of this
// file.
void ExpectRefusal(const Model& m, int line, absl::string_view message) {
  EXPECT_EQ(
      m.g.status().message(),
      absl::StrCat("tests/optim/transform_test.cc:", line, ": ", message));
}

TEST(ChainTest, MinimizesALoss) {
  Model a, b;
  const Chain chain(L2(0.1), Sgd({.learning_rate = 0.5}));
  const Updates minimize = chain.Minimize(a.loss);
  const Updates apply = chain.Apply(b.parameters(), b.gradients());
  ASSERT_EQ(minimize.assignments.size(), apply.assignments.size());
  EXPECT_EQ(Evaluate(AssignedTo(minimize, a.w)),
            Evaluate(AssignedTo(apply, b.w)));
  EXPECT_EQ(Evaluate(AssignedTo(minimize, a.b)),
            Evaluate(AssignedTo(apply, b.b)));

  Model of_matrix;
  chain.Minimize(of_matrix.w);
  EXPECT_FALSE(of_matrix.g.status().ok());
  const Updates of_nothing = chain.Minimize(Var());
  EXPECT_FALSE(Compile(a.g, {.updates = of_nothing}).ok());
}

TEST(ChainTest, RefusesWhatDoesNotEndWithAnOptimiser) {
  Model m;
  Chain(L2(1)).Apply(m.parameters(), m.gradients());
  ExpectRefusal(m, __LINE__ - 1,
                absl::StrCat("Chain::Apply: the chain has no optimiser for "
                             "\"w\" (",
                             m.g.Describe(m.w.id()), ")"));
  Model half;
  Chain(Only(IsWeight, Adam())).Apply(half.parameters(), half.gradients());
  ExpectRefusal(half, __LINE__ - 1,
                absl::StrCat("Chain::Apply: the chain has no optimiser for "
                             "\"b\" (",
                             half.g.Describe(half.b.id()), ")"));
}

TEST(ChainTest, RefusesATransformAfterTheOptimiser) {
  Model m;
  const Chain chain(Sgd({.learning_rate = 1}), L2(1));
  ExpectRefusal((chain.Apply(m.parameters(), m.gradients()), m), __LINE__ - 1,
                "L2: stands after the optimiser, which has already made its "
                "updates");
}

TEST(ChainTest, RefusesEmptyVars) {
  Model m;
  Chain(Sgd({.learning_rate = 1})).Apply({m.w, Var()}, {m.w, m.b});
  ExpectRefusal(m, __LINE__ - 1, "Chain::Apply: parameter 1 is an empty Var");
  Model n;
  Chain(Sgd({.learning_rate = 1})).Apply({n.w}, {Var()});
  ExpectRefusal(n, __LINE__ - 1, "Chain::Apply: gradient 0 is an empty Var");
}

TEST(ChainTest, WhatALinkAppendsBearsItsLine) {
  Model m;
  const Updates updates =
      Chain(L2(1, {"user.cc", 7}), Sgd({.learning_rate = 1}, {"user.cc", 8}))
          .Apply(m.parameters(), m.gradients());
  EXPECT_EQ(m.g.node(updates.penalties[0].value).loc.ToString(), "user.cc:7");
  EXPECT_EQ(m.g.node(AssignedTo(updates, m.w)).loc.ToString(), "user.cc:8");
}

TEST(ChainTest, RefusesASelectionThatMatchesNothing) {
  Model m;
  const Chain only(Only(NameMatches("layer9/*"), L2(1)), Adam());
  ExpectRefusal((only.Apply(m.parameters(), m.gradients()), m), __LINE__ - 1,
                "Only: no parameter is selected for L2");
  Model n;
  const Chain freeze(Freeze(NameMatches("layer9/*")), Adam());
  ExpectRefusal((freeze.Apply(n.parameters(), n.gradients()), n), __LINE__ - 1,
                "Freeze: no parameter is selected");
}

// What users' functions throw is a mistake with the link's line.
TEST(ChainTest, RefusesFunctionsThatThrow) {
  constexpr Loc kHere = {"user.cc", 7};
  constexpr char kThrown[] = " threw an exception: boom";
  const auto message = [](const Chain& chain) {
    Model m;
    const Updates updates = chain.Apply(m.parameters(), m.gradients());
    EXPECT_TRUE(updates.assignments.empty());
    return std::string(m.g.status().message());
  };
  const Selector selector = [](const Graph&, Var) -> bool {
    throw std::runtime_error("boom");
  };
  const std::string given = absl::StrCat("a function given to it", kThrown);
  EXPECT_EQ(message(Chain(Only(selector, L2(1), kHere), Adam())),
            "user.cc:7: Only: " + given);
  EXPECT_EQ(message(Chain(Freeze(selector, kHere), Adam())),
            "user.cc:7: Freeze: " + given);
  EXPECT_EQ(message(Chain(
                MakeTransform("Mine", kHere, [](GradientFlow&) { throw 1; }),
                Adam())),
            "user.cc:7: Mine: a function given to it threw an exception of an "
            "unknown type");
  const Schedule rate([](Var) -> Var { throw std::runtime_error("boom"); });
  EXPECT_EQ(message(Chain(Sgd({.learning_rate = rate}, kHere))),
            absl::StrCat("user.cc:7: Schedule: its function", kThrown));
  const auto adjusting = [](Adjustment adjustment) {
    return MakeTransform("Mine", {"user.cc", 6},
                         [adjustment](GradientFlow& flow) {
                           flow.trained[0].adjustments.push_back(adjustment);
                         });
  };
  EXPECT_EQ(message(Chain(adjusting([](Var, Var, Var, Updates&) -> Var {
                            throw std::runtime_error("boom");
                          }),
                          Sgd({.learning_rate = 1}, kHere))),
            "user.cc:7: Sgd: " + given);
  EXPECT_EQ(message(Chain(adjusting(nullptr), Adam({}, kHere))),
            "user.cc:7: Adam: expected an adjustment, found null");
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
