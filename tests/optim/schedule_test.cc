// Schedules: each against its formula in double, at steps around its corners;
// what they refuse; the host-driven one.
#include "framework/optim/schedule.h"

#include <cmath>
#include <functional>
#include <iterator>
#include <limits>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "framework/compiler/compile.h"
#include "framework/core/gradients.h"
#include "framework/optim/optimizer.h"
#include "framework/train/checkpoint.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace tape {
namespace {

// Compiles the schedule and compares it with `expected` at each step up to
// `last`, to a few roundings of float32 and, for cosines, their argument's.
void ExpectFollows(const Schedule& schedule, int last,
                   const std::function<double(double)>& expected) {
  ASSERT_EQ(schedule.error(), "");
  Graph g;
  const Var t = g.Input("t", {});
  const Var rate = schedule.At(t);
  absl::StatusOr<Plan> plan = Compile(g, {.fetch = {rate}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const double size = std::max(std::fabs(expected(0)), expected(last / 2));
  for (int step = 0; step <= last; ++step) {
    ASSERT_TRUE(
        plan->Run({{t, Tensor(Shape(),
                              std::vector<float>{static_cast<float>(step)})}})
            .ok());
    EXPECT_NEAR(plan->Scalar(rate), expected(step), 1e-6 * size)
        << "step " << step;
  }
}

constexpr double kPi = std::numbers::pi;

TEST(ScheduleTest, FollowsItsFormula) {
  ExpectFollows(0.25, 3, [](double) { return 0.25; });
  ExpectFollows(InverseTimeDecay(1, 0.01), 1100,
                [](double t) { return 1 / (1 + 0.01 * t); });
  ExpectFollows(ExponentialDecay(0.5, 0.1, 7), 30,
                [](double t) { return 0.5 * std::pow(0.1, t / 7); });
  ExpectFollows(StepDecay(0.5, 0.5, 7), 30, [](double t) {
    return 0.5 * std::pow(0.5, std::floor(t / 7));
  });
  ExpectFollows(Piecewise(1, {{3, 0.5}, {10, 2}}), 15,
                [](double t) { return t < 3 ? 1 : (t < 10 ? 0.5 : 2); });
  ExpectFollows(PolynomialDecay(1, 0.1, 20, 2), 30, [](double t) {
    return 0.1 + 0.9 * std::pow(std::max(0.0, 1 - t / 20), 2);
  });
  ExpectFollows(LinearDecay(2, 8), 12,
                [](double t) { return 2 * std::max(0.0, 1 - t / 8); });
  ExpectFollows(CosineDecay(1, 0.1, 20), 30, [](double t) {
    return 0.1 + 0.9 * (1 + std::cos(kPi * std::min(1.0, t / 20))) / 2;
  });
  ExpectFollows(CosineRestarts(1, 0.1, 20), 65, [](double t) {
    return 0.1 + 0.9 * (1 + std::cos(kPi * std::fmod(t, 20) / 20)) / 2;
  });
  ExpectFollows(Warmup(4, LinearDecay(1, 10)), 20, [](double t) {
    return t < 4 ? (t + 1) / 5 : std::max(0.0, 1 - (t - 4) / 10);
  });
  ExpectFollows(Warmup(0, 0.5), 3, [](double) { return 0.5; });
  ExpectFollows(OneCycle(1, 100), 120, [](double t) {
    const auto half_cosine = [](double from, double to, double x) {
      return to + (from - to) * (1 + std::cos(kPi * x)) / 2;
    };
    return t < 30 ? half_cosine(0.04, 1, t / 30)
                  : half_cosine(1, 4e-6, std::min(1.0, (t - 30) / 70));
  });
}

TEST(ScheduleTest, StepDecayChangesExactlyAtWholeQuotients) {
  // t / steps is rounded, but never over a whole number: for every step up to
  // 3000 and awkward divisors.
  for (int steps : {3, 7, 49, 93, 1000}) {
    Graph g;
    const Var t = g.Input("t", {kBatch});
    const Var times = Floor(t / steps);
    absl::StatusOr<Plan> plan = Compile(g, {.fetch = {times}});
    ASSERT_TRUE(plan.ok());
    std::vector<float> all(3000);
    for (int i = 0; i < 3000; ++i) all[i] = static_cast<float>(i);
    ASSERT_TRUE(plan->Run({{t, Tensor({3000}, all)}}).ok());
    for (int i = 0; i < 3000; ++i) {
      ASSERT_EQ(plan->Value(times).values<float>()[i], i / steps)
          << i << " / " << steps;
    }
  }
}

TEST(ScheduleTest, SaysWhatIsWrong) {
  EXPECT_EQ(Schedule(-1).error(),
            "expected a finite number of at least 0, found -1");
  EXPECT_EQ(
      InverseTimeDecay(1, -2).error(),
      "InverseTimeDecay: expected a finite decay of at least 0, found -2");
  EXPECT_EQ(ExponentialDecay(1, 1.5, 3).error(),
            "ExponentialDecay: expected a factor in (0, 1], found 1.5");
  EXPECT_EQ(StepDecay(1, 0.5, 0).error(),
            "StepDecay: expected a number of steps of at least 1, found 0");
  EXPECT_EQ(
      Piecewise(1, {{5, 1}, {5, 2}}).error(),
      "Piecewise: expected steps that rise from above 0, found 5 after 5");
  EXPECT_EQ(PolynomialDecay(1, 0, 5, 0).error(),
            "PolynomialDecay: expected a finite power above 0, found 0");
  EXPECT_EQ(CosineDecay(-1, 0, 5).error(),
            "CosineDecay: expected a finite rate of at least 0, found -1");
  EXPECT_EQ(
      CosineRestarts(1, 0, 0).error(),
      "CosineRestarts: expected a number of steps of at least 1, found 0");
  EXPECT_EQ(Warmup(-1, 1).error(),
            "Warmup: expected a number of steps of at least 0, found -1");
  EXPECT_EQ(Warmup(1, LinearDecay(1, 0)).error(),
            "Warmup: LinearDecay: expected a number of steps of at least 1, "
            "found 0");
  EXPECT_EQ(OneCycle(1, 0).error(),
            "OneCycle: expected a number of steps of at least 1, found 0");
  EXPECT_EQ(ReduceOnPlateau({.rate = 1, .factor = 1}).schedule().error(),
            "ReduceOnPlateau: expected a factor in [0, 1), found 1");
}

TEST(ReduceOnPlateauTest, LowersTheRateWhenTheMetricStopsFalling) {
  ReduceOnPlateau plateau(
      {.rate = 0.5, .factor = 0.5, .patience = 1, .min_rate = 0.125});
  Graph g;
  const Var w = g.Parameter("w", {}, Zeros());
  const Updates updates =
      Chain(Sgd({.learning_rate = plateau.schedule()})).Apply({w}, {w});
  absl::StatusOr<Plan> plan =
      Compile(g, {.fetch = {updates.learning_rate}, .updates = updates});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto rate = [&] {
    EXPECT_TRUE(plan->Run().ok());
    return plan->Scalar(updates.learning_rate);
  };
  EXPECT_EQ(rate(), 0.5);
  EXPECT_EQ(plateau.Observe(1), 0.5);
  EXPECT_EQ(plateau.Observe(0.99999),
            0.5);  // No improvement by 1e-4: one is let pass.
  EXPECT_EQ(plateau.Observe(0.9), 0.5);  // Improves: the count starts anew.
  EXPECT_EQ(plateau.Observe(std::nan("")), 0.5);
  EXPECT_EQ(plateau.Observe(0.95), 0.25);
  EXPECT_EQ(rate(), 0.25);
  EXPECT_EQ(plateau.Observe(2), 0.25);
  EXPECT_EQ(plateau.Observe(2), 0.125);
  EXPECT_EQ(plateau.Observe(2), 0.125);
  EXPECT_EQ(plateau.Observe(2), 0.125);  // Not below min_rate.
  EXPECT_EQ(rate(), 0.125);
}

// A graph whose rate follows a plateau.
struct OnPlateau {
  OnPlateau() {
    const Var w = graph.Parameter("w", {}, Zeros());
    Chain(Sgd({.learning_rate = plateau.schedule()})).Apply({w}, {w});
  }
  ReduceOnPlateau plateau{{.rate = 0.1, .factor = 0.1, .patience = 2}};
  Graph graph;
};

TEST(ReduceOnPlateauTest, GoesOnFromACheckpoint) {
  const std::string path = testing::TempDir() + "/plateau";
  // Interrupted after any number of observations, the rates are the same.
  const std::vector<double> metrics = {1,   std::nan(""), 1,   1,
                                       0.5, 0.6,          0.6, 0.6};
  OnPlateau whole;
  std::vector<double> rates;
  for (double metric : metrics) rates.push_back(whole.plateau.Observe(metric));
  EXPECT_NEAR(rates[3], 0.01, 1e-8);
  EXPECT_NEAR(rates.back(), 0.001, 1e-8);
  for (size_t before = 0; before <= metrics.size(); ++before) {
    OnPlateau first, second;
    for (size_t i = 0; i < before; ++i) {
      EXPECT_EQ(first.plateau.Observe(metrics[i]), rates[i]);
    }
    ASSERT_TRUE(WriteCheckpoint(path, first.graph, {}, {}).ok());
    const absl::StatusOr<Checkpoint> read = ReadCheckpoint(path);
    ASSERT_TRUE(read.ok() && Restore(*read, second.graph).ok());
    for (size_t i = before; i < metrics.size(); ++i) {
      EXPECT_EQ(second.plateau.Observe(metrics[i]), rates[i]) << before;
    }
  }
}

TEST(ReduceOnPlateauTest, AGraphMayHaveSeveral) {
  Graph g;
  const Var w = g.Parameter("w", {1}, Zeros(), Tag::kWeight);
  const Var b = g.Parameter("b", {1}, Zeros(), Tag::kBias);
  ReduceOnPlateau of_weights({.rate = 0.5, .factor = 0.5, .patience = 0});
  ReduceOnPlateau of_biases({.rate = 0.25, .factor = 0.5, .patience = 0});
  Chain(Only(IsWeight, Sgd({.learning_rate = of_weights.schedule()})),
        Sgd({.learning_rate = of_biases.schedule()}))
      .Apply({w, b}, {w, b});
  ASSERT_TRUE(g.status().ok()) << g.status();
  for (const char* name : {"plateau/rate", "plateau/rate/2"}) {
    EXPECT_GE(g.variables().Find(name), 0) << name;
  }
  of_weights.Observe(1);
  EXPECT_EQ(of_weights.Observe(1), 0.25);
  EXPECT_EQ(of_biases.Observe(1), 0.25);
  EXPECT_EQ(of_biases.Observe(1), 0.125);
}

TEST(ReduceOnPlateauTest, BeforeItIsUsedItHasItsFirstRate) {
  EXPECT_EQ(ReduceOnPlateau({.rate = 0.5}).Observe(1), 0.5);
}

TEST(ReduceOnPlateauTest, AnotherGraphIsRefusedAndTheFirstStaysWell) {
  OnPlateau first;
  Graph second;
  const Var w = second.Parameter("w", {}, Zeros());
  Chain(Sgd({.learning_rate = first.plateau.schedule()}, {"user.cc", 7}))
      .Apply({w}, {w});
  EXPECT_EQ(second.status(),
            absl::InvalidArgumentError(
                "user.cc:7: ReduceOnPlateau: expected the graph that it was "
                "first used in, found another one: make one for each graph"));
  EXPECT_TRUE(first.graph.status().ok()) << first.graph.status();
}

TEST(ReduceOnPlateauTest, MetricsBeyondFloat32AreItsLargest) {
  OnPlateau of;
  const auto best = [&] {
    const Variables& variables = of.graph.variables();
    return variables[variables.Find("plateau/best")].value.values<float>()[0];
  };
  constexpr float kMost = std::numeric_limits<float>::max();
  EXPECT_FLOAT_EQ(of.plateau.Observe(1e300), 0.1f);
  EXPECT_EQ(best(), kMost);
  of.plateau.Observe(-1e300);
  EXPECT_EQ(best(), -kMost);
  of.plateau.Observe(-std::numeric_limits<double>::infinity());
  EXPECT_EQ(best(), -kMost);
}

TEST(ReduceOnPlateauTest, TellsOfAMetricThatIsLost) {
  OnPlateau of;
  const Variables::Run run(*of.graph.shared_variables(), /*writes=*/true);
  testing::internal::CaptureStderr();
  EXPECT_FLOAT_EQ(of.plateau.Observe(1, {"user.cc", 7}), 0.1f);
  EXPECT_EQ(testing::internal::GetCapturedStderr(),
            "user.cc:7: ReduceOnPlateau: a plan of the graph is running, and "
            "the metric is lost\n");
}

TEST(ScheduleTest, RefusesAFunctionOfAnotherResult) {
  const auto message = [](Schedule::Function function) {
    Graph g;
    const Var w = g.Parameter("w", {}, Zeros());
    Chain(Sgd({.learning_rate = Schedule(std::move(function))}, {"user.cc", 7}))
        .Apply({w}, {w});
    return std::string(g.status().message());
  };
  EXPECT_EQ(message([](Var t) { return BroadcastTo(t, {2}); }),
            "user.cc:7: Schedule: expected a float32 of rank 0, found [2] from "
            "BroadcastTo at user.cc:7");
  EXPECT_EQ(message([](Var) { return Var(); }),
            "user.cc:7: Schedule: expected a value of the graph of t, found an "
            "empty Var");
  Graph other;
  const Var number = Fill(&other, {}, 1);
  EXPECT_EQ(message([&](Var) { return number; }),
            "user.cc:7: Schedule: expected a value of the graph of t, found a "
            "Var of another graph");
}

// ---- The largest step ----

TEST(ScheduleTest, StaysAtItsLimitWhenTheStepCounterIsFull) {
  const std::pair<Schedule, double> schedules[] = {
      {InverseTimeDecay(1, 1), 1 / (1 + 0x1p31)},
      {ExponentialDecay(1, 0.5, 10), 0},
      {StepDecay(1, 0.5, 10), 0},
      {Piecewise(1, {{5, 0.25}}), 0.25},
      {PolynomialDecay(1, 0.125, 10, 2), 0.125},
      {LinearDecay(1, 10), 0},
      {CosineDecay(1, 0.125, 10), 0.125},
      {Warmup(10, 1e-3), 1e-3},
      {OneCycle(1, 10), 1 / 25e4}};
  for (size_t i = 0; i < std::size(schedules); ++i) {
    Graph g;
    const Var w = g.Parameter("w", {}, Zeros());
    const Updates updates =
        Chain(Sgd({.learning_rate = schedules[i].first})).Apply({w}, {w});
    ASSERT_TRUE(
        g.SetValue(updates.step, Tensor({}, std::vector<int32_t>{2147483646}))
            .ok());
    absl::StatusOr<Plan> plan =
        Compile(g, {.fetch = {updates.learning_rate}, .updates = updates});
    ASSERT_TRUE(plan.ok()) << plan.status();
    for (int run = 0; run < 4; ++run) {
      ASSERT_TRUE(plan->Run().ok());
      EXPECT_NEAR(plan->Scalar(updates.learning_rate), schedules[i].second,
                  1e-9)
          << i << ", run " << run;
    }
    EXPECT_EQ(g.Value(updates.step).values<int32_t>()[0], 2147483647);
  }
}

}  // namespace
}  // namespace tape
