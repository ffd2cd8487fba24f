// Clipping, accumulation, skipping, averages and noise.
#include "framework/optim/wrappers.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/compiler/compile.h"
#include "framework/core/gradients.h"
#include "framework/core/initializer.h"
#include "framework/optim/clip.h"
#include "framework/optim/optimizer.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace tape {
namespace {

// Two parameters whose gradients are fed, and a compiled chain.
struct Model {
  Model() {
    w = g.Parameter("w", {2}, Values(Tensor({2}, std::vector<float>{1, 2})),
                    Tag::kWeight);
    b = g.Parameter("b", {}, Constant(-1));
    gw = g.Input("gw", {2});
    gb = g.Input("gb", {});
  }

  void Compile(const Chain& chain) {
    updates = chain.Apply({w, b}, {gw, gb});
    std::vector<Var> fetch;
    for (const Report& report : updates.reports) fetch.push_back(report.value);
    absl::StatusOr<Plan> compiled =
        tape::Compile(g, {.fetch = fetch, .updates = updates});
    ASSERT_TRUE(compiled.ok()) << compiled.status();
    plan.emplace(*std::move(compiled));
  }

  void Run(float w0, float w1, float b0) {
    ASSERT_TRUE(plan->Run({{gw, Tensor({2}, std::vector<float>{w0, w1})},
                           {gb, Tensor(Shape(), std::vector<float>{b0})}})
                    .ok());
  }

  // w[0], w[1], b.
  std::vector<float> Parameters() const {
    const auto values = g.Value(w).values<float>();
    return {values[0], values[1], g.Value(b).values<float>()[0]};
  }
  int Steps() { return g.Value(updates.step).values<int32_t>()[0]; }

  Graph g;
  Var w, b, gw, gb;
  Updates updates;
  std::optional<Plan> plan;
};

using Floats = std::vector<float>;

TEST(ClipTest, ByValueLimitsEachElement) {
  Model m;
  m.Compile(Chain(ClipByValue(0.5), Sgd({.learning_rate = 1})));
  m.Run(3, -0.25, -7);
  EXPECT_EQ(m.Parameters(), (Floats{0.5, 2.25, -0.5}));
}

TEST(ClipTest, ByNormLimitsEachParameter) {
  Model m;
  m.Compile(Chain(ClipByNorm(2.5), Sgd({.learning_rate = 1})));
  m.Run(3, 4, 0.5);  // Norms 5 and 0.5.
  EXPECT_EQ(m.Parameters(), (Floats{1 - 1.5, 2 - 2, -1.5}));
}

TEST(ClipTest, ByGlobalNormLimitsAllTogetherAndReportsTheNorm) {
  Model m;
  m.Compile(Chain(ClipByGlobalNorm(6.5), Sgd({.learning_rate = 1})));
  m.Run(3, 4, 12);  // Norm 13.
  EXPECT_EQ(m.Parameters(), (Floats{1 - 1.5, 2 - 2, -1 - 6}));
  ASSERT_EQ(m.updates.reports.size(), 1u);
  EXPECT_EQ(m.updates.reports[0].name, "gradient_norm");
  EXPECT_EQ(m.plan->Scalar(m.updates.reports[0].value), 13);
  m.Run(0, 0, 0);  // No division by the norm.
  EXPECT_EQ(m.Parameters(), (Floats{1 - 1.5, 2 - 2, -1 - 6}));
}

// Norms whose squares, or which themselves, are beyond float32; limits far from
// 1; and no norm at all.
TEST(ClipTest, ByNormsHoldsForAnyMagnitude) {
  struct Case {
    double limit;
    float w0, w1;  // The gradient,
    Floats clipped;
  };
  const float most = std::numeric_limits<float>::max();
  for (const Case& c :
       std::vector<Case>{{5, 3e20f, 4e20f, {3, 4}},
                         {5, most, most, {3.5355339f, 3.5355339f}},
                         {3e38, most, -most, {2.1213203e38f, -2.1213203e38f}},
                         {5e-30, 3e20f, 4e20f, {3e-30f, 4e-30f}},
                         {5e-37, 3e-30f, 4e-30f, {3e-37f, 4e-37f}},
                         {1e-37, 3e-38f, 4e-38f, {3e-38f, 4e-38f}},
                         {1e30, 3e20f, 4e20f, {3e20f, 4e20f}},
                         {1, 0, 0, {0, 0}},
                         {1, 0.1f, -0.3f, {0.1f, -0.3f}}}) {
    for (const bool global : {false, true}) {
      Model m;
      m.Compile(Chain(global ? ClipByGlobalNorm(c.limit) : ClipByNorm(c.limit),
                      Sgd({.learning_rate = 1})));
      ASSERT_TRUE(
          m.g.SetValue(m.w, Tensor({2}, std::vector<float>{0, 0})).ok());
      m.Run(c.w0, c.w1, 0);
      for (int i = 0; i < 2; ++i) {
        EXPECT_FLOAT_EQ(m.Parameters()[i], -c.clipped[i])
            << c.limit << ", " << c.w0 << ", " << global;
      }
    }
  }
  Model m;
  m.Compile(Chain(ClipByGlobalNorm(5), Sgd({.learning_rate = 1})));
  m.Run(3e20f, 4e20f, 0);
  EXPECT_FLOAT_EQ(m.plan->Scalar(m.updates.reports[0].value), 5e20f);
  m.Run(1e-30f, 0, 0);
  EXPECT_FLOAT_EQ(m.plan->Scalar(m.updates.reports[0].value), 1e-30f);
}

TEST(ClipTest, ByNormsShowsAGradientThatIsNotFinite) {
  for (const float bad :
       {std::numeric_limits<float>::infinity(), std::nanf("")}) {
    for (const bool global : {false, true}) {
      Model m;
      m.Compile(Chain(global ? ClipByGlobalNorm(5) : ClipByNorm(5),
                      Sgd({.learning_rate = 1})));
      m.Run(1, bad, 0);
      EXPECT_TRUE(std::isnan(m.Parameters()[0]));
      EXPECT_TRUE(std::isnan(m.Parameters()[1]));
    }
  }
}

TEST(AccumulateTest, MakesOneUpdateOfTheMeanOfSeveralRuns) {
  Model m;
  // With momentum and a falling rate, a state that changed in between would
  // show.
  m.Compile(Chain(Accumulate(
      3, std::make_unique<Chain>(Momentum(
             {.learning_rate = LinearDecay(1, 2), .momentum = 0.5})))));
  m.Run(3, 0, 0);
  m.Run(0, 3, 0);
  EXPECT_EQ(m.Parameters(), (Floats{1, 2, -1}));
  EXPECT_EQ(m.Steps(), 0);
  m.Run(3, 0, 3);
  EXPECT_EQ(m.Parameters(), (Floats{1 - 2, 2 - 1, -1 - 1}));
  EXPECT_EQ(m.Steps(), 1);
  // v = (2, 1, 1), and the rate is 1/2 now.
  for (int run = 0; run < 3; ++run) m.Run(0, 0, 6);
  EXPECT_EQ(m.Parameters(), (Floats{-1 - 0.5, 1 - 0.25, -2 - 0.5 * 6.5}));
  EXPECT_EQ(m.Steps(), 2);
}

TEST(SkipIfNotFiniteTest, LeavesEverythingAsItWas) {
  const float inf = std::numeric_limits<float>::infinity();
  Model m;
  m.Compile(
      Chain(SkipIfNotFinite(Momentum({.learning_rate = 1, .momentum = 0.5}))));
  const Var skipped = m.updates.reports[0].value;
  EXPECT_EQ(m.updates.reports[0].name, "skipped");
  const auto skips = [&] {
    return m.plan->Value(skipped).values<int32_t>()[0];
  };
  m.Run(1, 0, 0);
  EXPECT_EQ(m.Parameters(), (Floats{0, 2, -1}));
  EXPECT_EQ(skips(), 0);
  m.Run(0, 0, std::nanf(""));
  EXPECT_EQ(skips(), 1);
  m.Run(-inf, 0, 0);
  EXPECT_EQ(skips(), 2);
  EXPECT_EQ(m.Parameters(), (Floats{0, 2, -1}));
  EXPECT_EQ(m.Steps(), 1);
  m.Run(0, 0, 0);  // Momentum is what it was: 0.5 of the first gradient.
  EXPECT_EQ(m.Parameters(), (Floats{-0.5, 2, -1}));
  EXPECT_EQ(m.Steps(), 2);
}

// ---- Wrappers in one another, and of groups ----

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

using Wrap = TransformPtr (*)(TransformPtr);
struct Wrapper {
  const char* name;
  Wrap wrap;
  int runs;  // That make one update.
};
const Wrapper kWrappers[] = {
    {"Accumulate", [](TransformPtr t) { return Accumulate(2, std::move(t)); },
     2},
    {"SkipIfNotFinite",
     [](TransformPtr t) { return SkipIfNotFinite(std::move(t)); }, 1},
    {"AverageWeights",
     [](TransformPtr t) -> TransformPtr {
       return std::make_unique<Chain>(AverageWeights(0.5), std::move(t));
     },
     1},
    {"AddNoise",
     [](TransformPtr t) -> TransformPtr {
       return std::make_unique<Chain>(AddNoise(0), std::move(t));
     },
     1},
    {"Only",
     [](TransformPtr t) -> TransformPtr {
       return std::make_unique<Chain>(Only(IsWeight, Sgd({.learning_rate = 1})),
                                      std::move(t));
     },
     1}};

TEST(WrappersTest, EveryPairStandsInOneAnotherInEitherOrder) {
  for (const Wrapper& outer : kWrappers) {
    for (const Wrapper& inner : kWrappers) {
      SCOPED_TRACE(absl::StrCat(outer.name, " of ", inner.name));
      Model m;
      // The weights are taken once, and then none is left to select.
      if (outer.wrap == inner.wrap && outer.name == std::string("Only"))
        continue;
      m.Compile(Chain(outer.wrap(inner.wrap(Sgd({.learning_rate = 1})))));
      const int runs = outer.runs * inner.runs;
      for (int run = 1; run <= 2 * runs; ++run) {
        m.Run(0, 0, 3);
        EXPECT_EQ(m.Parameters()[2], -1 - 3 * (run / runs)) << run;
      }
    }
  }
}

TEST(WrappersTest, ANanIsSkippedInsideAndOutsideOfAccumulation) {
  {
    // Outside, the run is no run: the sums stay.
    Model m;
    m.Compile(Chain(SkipIfNotFinite(Accumulate(2, Sgd({.learning_rate = 1})))));
    m.Run(2, 0, 0);
    m.Run(kNan, 0, 0);
    EXPECT_EQ(m.Parameters()[0], 1);
    m.Run(4, 0, 0);
    EXPECT_EQ(m.Parameters()[0], 1 - 3);
    EXPECT_EQ(m.Steps(), 1);
  }
  {
    // Inside, the mean of both runs is left out, and then the next two count.
    Model m;
    m.Compile(Chain(Accumulate(2, SkipIfNotFinite(Sgd({.learning_rate = 1})))));
    const auto skips = [&] {
      return m.plan->Value(m.updates.reports[0].value).values<int32_t>()[0];
    };
    m.Run(kNan, 0, 0);
    EXPECT_EQ(skips(), 0);  // Nothing is decided yet.
    m.Run(4, 0, 0);
    EXPECT_EQ(skips(), 1);
    EXPECT_EQ(m.Parameters()[0], 1);
    EXPECT_EQ(m.Steps(), 0);
    m.Run(2, 0, 0);
    m.Run(4, 0, 0);
    EXPECT_EQ(skips(), 1);
    EXPECT_EQ(m.Parameters()[0], 1 - 3);
    EXPECT_EQ(m.Steps(), 1);
  }
}

std::vector<std::string> StatesOf(const Graph& graph) {
  std::vector<std::string> names;
  for (int i = 0; i < graph.variables().size(); ++i) {
    if (graph.variables()[i].tag == Tag::kState) {
      names.push_back(graph.variables()[i].name);
    }
  }
  return names;
}

TEST(WrappersTest, AloneTheirStatesKeepTheirNames) {
  Model m;
  m.Compile(Chain(Accumulate(2, Sgd({.learning_rate = 1}))));
  EXPECT_EQ(StatesOf(m.g),
            (std::vector<std::string>{"step", "accumulated_runs",
                                      "w/accumulated", "b/accumulated"}));
  Model k;
  k.Compile(Chain(SkipIfNotFinite(Sgd({.learning_rate = 1}))));
  EXPECT_EQ(StatesOf(k.g), (std::vector<std::string>{"step", "skipped"}));
}

TEST(WrappersTest, GroupsHaveWrappersAndStepCountersOfTheirOwn) {
  // What t is when an update is made shows in a rate of 1 / (1 + t).
  const Schedule rate = InverseTimeDecay(1, 1);
  Model m;
  m.Compile(
      Chain(Only(IsBias,
                 Accumulate(2, SkipIfNotFinite(Sgd({.learning_rate = rate})))),
            Accumulate(3, SkipIfNotFinite(Sgd({.learning_rate = rate})))));
  const std::vector<std::string> states = StatesOf(m.g);
  for (const char* name : {"step", "step/2", "step/3", "accumulated_runs",
                           "accumulated_runs/2", "skipped", "skipped/2"}) {
    EXPECT_NE(std::find(states.begin(), states.end(), name), states.end())
        << name;
  }
  EXPECT_EQ(m.updates.reports[0].name, "skipped");
  EXPECT_EQ(m.updates.reports[1].name, "skipped/2");
  for (int run = 0; run < 6; ++run) m.Run(6, 0, 6);
  // Rates 1 and 1/2 of the weight's two updates; 1, 1/2 and 1/3 of the bias's.
  EXPECT_EQ(m.Parameters(), (Floats{1 - 9, 2, -1 - 6 - 3 - 2}));
  // Runs 2, 3, 4 and 6.
  EXPECT_EQ(m.Steps(), 4);
}

TEST(WrappersTest, AnUnwrappedGroupCountsItsOwnUpdates) {
  Graph g;
  const Var w = g.Parameter("w", {1}, Zeros(), Tag::kWeight);
  const Var b = g.Parameter("b", {1}, Zeros(), Tag::kBias);
  const Var gradient = g.Input("gradient", {1});
  const Schedule rate = InverseTimeDecay(1, 1);
  const Updates updates =
      Chain(Only(IsBias, Accumulate(2, Sgd({.learning_rate = rate}))),
            Sgd({.learning_rate = rate}))
          .Apply({w, b}, {gradient, gradient});
  absl::StatusOr<Plan> plan = Compile(g, {.updates = updates});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const Tensor one({1}, std::vector<float>{1});
  for (int run = 0; run < 4; ++run) {
    ASSERT_TRUE(plan->Run({{gradient, one}}).ok());
  }
  // Rates 1, 1/2, 1/3, 1/4 of the weight; 1, 1/2 of the bias.
  EXPECT_NEAR(g.Value(w).values<float>()[0], -(1 + 1 / 2. + 1 / 3. + 1 / 4.),
              1e-6);
  EXPECT_EQ(g.Value(b).values<float>()[0], -1.5f);
  EXPECT_EQ(g.Value(updates.step).values<int32_t>()[0], 4);
}

TEST(WrappersTest, AllGroupsWrappedTheChainCountsRunsThatUpdateAny) {
  Graph g;
  const Var w = g.Parameter("w", {1}, Zeros(), Tag::kWeight);
  const Var b = g.Parameter("b", {1}, Zeros(), Tag::kBias);
  const Var gradient = g.Input("gradient", {1});
  const Updates updates =
      Chain(Only(IsBias, Accumulate(2, Sgd({.learning_rate = 1}))),
            Accumulate(3, Sgd({.learning_rate = 1})))
          .Apply({w, b}, {gradient, gradient});
  absl::StatusOr<Plan> plan = Compile(g, {.updates = updates});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const Tensor one({1}, std::vector<float>{1});
  for (int run = 0; run < 6; ++run) {
    ASSERT_TRUE(plan->Run({{gradient, one}}).ok());
  }
  EXPECT_EQ(g.Value(w).values<float>()[0], -2);
  EXPECT_EQ(g.Value(b).values<float>()[0], -3);
  // Runs 2, 3, 4 and 6.
  EXPECT_EQ(g.Value(updates.step).values<int32_t>()[0], 4);
}

TEST(WrappersTest, RefuseATransformThatLeavesAParameter) {
  constexpr Loc kHere = {"user.cc", 7};
  Model m;
  Chain(Accumulate(2, ClipByNorm(1), kHere), Sgd({.learning_rate = 1}))
      .Apply({m.w, m.b}, {m.gw, m.gb});
  EXPECT_EQ(std::string(m.g.status().message()),
            "user.cc:7: Accumulate: expected an optimiser for all parameters "
            "that reach it, found none for \"w\"");
}

TEST(AccumulateTest, ABatchOfNoSamplesIsNoRun) {
  Graph g;
  const Var x = g.Input("x", {kBatch, 1});
  const Var w = g.Parameter("w", {1, 1}, Zeros());
  // Of no samples, the mean is NaN and its gradient 0; the penalty's is not.
  const Var loss = Mean(MatMul(x, w)) + Sum(w);
  const Updates updates = Chain(Accumulate(2, Sgd({.learning_rate = 1})))
                              .Apply({w}, Gradients(loss, {w}));
  absl::StatusOr<Plan> plan = Compile(g, {.updates = updates});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto run = [&](int64_t samples) {
    const Tensor batch({samples, 1}, std::vector<float>(samples, 2));
    EXPECT_TRUE(plan->Run({{x, batch}}).ok());
    return g.Value(w).values<float>()[0];
  };
  EXPECT_EQ(run(3), 0);
  EXPECT_EQ(run(0), 0);
  EXPECT_EQ(g.Value(updates.step).values<int32_t>()[0], 0);
  EXPECT_EQ(run(1), -3);
  EXPECT_EQ(g.Value(updates.step).values<int32_t>()[0], 1);
}

// As a checkpoint of an Accumulate of more steps leaves it.
TEST(AccumulateTest, ACounterBeyondTheStepsMakesAnUpdateOfTheMeanOfAllRuns) {
  Model m;
  m.Compile(Chain(Accumulate(2, Sgd({.learning_rate = 1}))));
  const auto set = [&](const char* name, const Tensor& value) {
    for (int id = 0; id < m.g.size(); ++id) {
      if (m.g.node(id).name != name) continue;
      EXPECT_TRUE(m.g.SetValue(Var(&m.g, id), value).ok());
    }
  };
  set("accumulated_runs", Tensor(Shape(), std::vector<int32_t>{4}));
  set("b/accumulated", Tensor(Shape(), std::vector<float>{7}));
  m.Run(0, 0, 3);
  EXPECT_EQ(m.Parameters()[2], -1 - 2);
  EXPECT_EQ(m.Steps(), 1);
  for (int run = 0; run < 2; ++run) m.Run(0, 0, 3);
  EXPECT_EQ(m.Parameters()[2], -3 - 3);
  // Nor does it wrap.
  set("accumulated_runs",
      Tensor(Shape(),
             std::vector<int32_t>{std::numeric_limits<int32_t>::max()}));
  m.Run(0, 0, 0);
  for (int run = 0; run < 2; ++run) m.Run(0, 0, 1);
  EXPECT_EQ(m.Parameters()[2], -6 - 1);
  EXPECT_EQ(m.Steps(), 4);
}

TEST(AddNoiseTest, TwoOfThemDrawDifferentNumbers) {
  constexpr int kElements = 20000;
  Graph g({.seed = 5});
  const Var w = g.Parameter("w", {kElements}, Zeros());
  const Updates updates =
      Chain(AddNoise(1), AddNoise(1), Sgd({.learning_rate = 1}))
          .Apply({w}, {w * 0});
  absl::StatusOr<Plan> plan = Compile(g, {.updates = updates});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(plan->Run().ok());
  double squares = 0;
  for (float value : g.Value(w).values<float>()) squares += value * value;
  // The variance of a sum of two; of one twice it would be 4.
  EXPECT_NEAR(squares / kElements, 2, 0.15);
}

TEST(AverageWeightsTest, EvaluatesWithTheAverages) {
  Model m;
  m.Compile(Chain(AverageWeights(0.75), Sgd({.learning_rate = 1})));
  m.Run(4, 0, -8);  // w = (-3, 2), b = 7.
  m.Run(0, 0, 0);
  const Var y = Sum(m.w) * m.b;
  absl::StatusOr<Plan> plain = Compile(m.g, {.fetch = {y}});
  absl::StatusOr<Plan> averaged =
      Compile(m.g, {.fetch = {y}, .replace = AveragedWeights(m.g)});
  ASSERT_TRUE(plain.ok() && averaged.ok()) << averaged.status();
  ASSERT_TRUE(plain->Run().ok() && averaged->Run().ok());
  EXPECT_EQ(plain->Scalar(y), (-3 + 2) * 7);
  // w0: 1, 0.75 - 0.75, -0.75; w1: 2; b: -1, -0.75 + 1.75, 0.75 + 1.75.
  EXPECT_EQ(averaged->Scalar(y), (-0.75f + 2) * 2.5f);
}

TEST(AverageWeightsTest, OfTwoChainsTheLastOnesAveragesAreRead) {
  Model m;
  const auto names = [&] {
    std::vector<std::string> names;
    for (const Replacement& one : AveragedWeights(m.g)) {
      names.push_back(one.variable + " by " + one.by);
    }
    return names;
  };
  // The user's own, of no chain.
  m.g.State("b/average", {3}, Zeros());
  m.Compile(Chain(AverageWeights(0.5), Sgd({.learning_rate = 1})));
  EXPECT_EQ(names(),
            (std::vector<std::string>{"w by w/average", "b by b/average/2"}));
  m.Compile(
      Chain(Only(IsWeight, std::make_unique<Chain>(AverageWeights(0.5),
                                                   Sgd({.learning_rate = 1}))),
            Sgd({.learning_rate = 1})));
  EXPECT_EQ(names(),
            (std::vector<std::string>{"w by w/average/2", "b by b/average/2"}));
}

TEST(AddNoiseTest, AddsNormalNumbersOfTheStatedSize) {
  constexpr int kElements = 20000;
  Graph g({.seed = 5});
  const Var w = g.Parameter("w", {kElements}, Zeros());
  const Updates updates =
      Chain(AddNoise(0.25), Sgd({.learning_rate = 1})).Apply({w}, {w * 0});
  absl::StatusOr<Plan> plan = Compile(g, {.updates = updates});
  ASSERT_TRUE(plan.ok()) << plan.status();
  std::vector<float> before(kElements, 0), first;
  for (int t = 0; t < 3; ++t) {
    ASSERT_TRUE(plan->Run().ok());
    double sum = 0, squares = 0;
    std::vector<float> noise;
    for (int i = 0; i < kElements; ++i) {
      noise.push_back(before[i] - g.Value(w).values<float>()[i]);
      before[i] = g.Value(w).values<float>()[i];
      sum += noise[i];
      squares += noise[i] * noise[i];
    }
    // Five standard errors: of a mean, and of a variance (sqrt(2 / n)).
    const double variance = 0.25 / std::pow(1 + t, 0.55);
    EXPECT_NEAR(sum / kElements, 0, 5 * std::sqrt(variance / kElements));
    EXPECT_NEAR(squares / kElements, variance,
                5 * variance * std::sqrt(2.0 / kElements));
    if (t == 0) first = noise;
  }
  EXPECT_NE(first, before);
}

TEST(WrappersTest, RefuseWrongConstantsWithTheLine) {
  constexpr Loc kHere = {"user.cc", 7};
  const auto expect = [](TransformPtr transform, const std::string& message) {
    Model m;
    Chain(std::move(transform), Sgd({.learning_rate = 1}))
        .Apply({m.w, m.b}, {m.gw, m.gb});
    EXPECT_EQ(std::string(m.g.status().message()), "user.cc:7: " + message);
  };
  expect(ClipByValue(-1, kHere),
         "ClipByValue: expected a finite limit above 0, found -1");
  expect(ClipByNorm(0, kHere),
         "ClipByNorm: expected a finite limit above 0, found 0");
  expect(ClipByGlobalNorm(0, kHere),
         "ClipByGlobalNorm: expected a finite limit above 0, found 0");
  expect(Accumulate(0, Adam(), kHere),
         "Accumulate: expected at least 1 step, found 0");
  expect(AverageWeights(1, kHere),
         "AverageWeights: expected a decay in [0, 1), found 1");
  expect(AddNoise(-1, kHere),
         "AddNoise: expected a finite scale of at least 0, found -1");
}

}  // namespace
}  // namespace tape
