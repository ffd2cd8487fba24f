// CompileOptions::check_finite: that a run ends at the first op that makes what
// is not finite of what is, says which it is, and leaves the variables alone;
// and that nothing else is reported.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

Loc At(int line) { return Loc{"net.cc", line}; }

Plan MustCompile(const Graph& graph, CompileOptions options) {
  options.check_finite = true;
  absl::StatusOr<Plan> plan = Compile(graph, options);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

Tensor Floats(Shape shape, std::vector<float> values) {
  return Tensor(std::move(shape), std::move(values));
}

TEST(CheckFiniteTest, NamesOpLineRunAndFirstIndex) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 3}, DType::kFloat32, At(1));
  const Var y = Sum(Exp(Log(x, At(2)), At(3)), {}, Axes::kDrop, At(4));
  Plan plan = MustCompile(graph, {.fetch = {y}});
  const Tensor good = Floats({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor bad = Floats({2, 3}, {1, 2, 3, 4, -1, 0});
  ASSERT_TRUE(plan.Run({{x, good}}).ok());
  EXPECT_NEAR(plan.Scalar(y), 21, 1e-4);
  ASSERT_TRUE(plan.Run({{x, good}}).ok());
  const absl::Status status = plan.Run({{x, bad}});
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(status.message(),
            "net.cc:2: Log made nan at [1,1] of [2,3] in run 3");
  // Once more all is well.
  ASSERT_TRUE(plan.Run({{x, good}}).ok());
  EXPECT_NEAR(plan.Scalar(y), 21, 1e-4);
}

// The first of the tape, where several are made that do not depend on each
// other, in a plan that would fuse, share and fold them.
TEST(CheckFiniteTest, NamesTheFirstOnTheTape) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, At(1));
  const Var a = Exp(x * 1000, At(2));
  const Var b = Log(x - x, At(3));
  const Var y = b + a;
  const auto message = [&](float value) {
    Plan plan = MustCompile(graph, {.fetch = {y}});
    return std::string(plan.Run({{x, Floats({2}, {0, value})}}).message());
  };
  EXPECT_EQ(message(1), "net.cc:2: Exp made inf at [1] of [2] in run 1");
  EXPECT_EQ(message(0), "net.cc:3: Log made -inf at [0] of [2] in run 1");
}

// They are as they were given, not made; nor is what an op makes of them.
TEST(CheckFiniteTest, PassesInputsVariablesAndConstants) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, At(1));
  const Var w = graph.Parameter("w", {}, Zeros(), Tag::kAuto, At(2));
  const Var infinite = Fill(&graph, {2}, kInf, DType::kFloat32, At(3));
  const Var y = x * w;
  const Var z = Log(x, At(4));
  Plan plan = MustCompile(graph, {.fetch = {x, y, infinite, x - infinite}});
  EXPECT_TRUE(plan.Run({{x, Floats({2}, {0, -kInf})}}).ok());
  EXPECT_TRUE(std::isnan(plan.Value(y).values<float>()[1]));
  ASSERT_TRUE(graph.SetValue(w, Floats({}, {kNan})).ok());
  EXPECT_TRUE(plan.Run({{x, Floats({2}, {0, 1})}}).ok());
  // What is made beside them of finite numbers is reported.
  EXPECT_EQ(MustCompile(graph, {.fetch = {x * w, z}})
                .Run({{x, Floats({2}, {1, 0})}})
                .message(),
            "net.cc:4: Log made -inf at [1] of [2] in run 1");
}

// attack.md, 14: what is masked is -inf because the user says so.
TEST(CheckFiniteTest, PassesAMaskedSoftmaxAndAClipWithoutALimit) {
  Graph graph;
  const Var x = graph.Input("x", {1, 3});
  const Var mask = graph.Input("mask", {1, 3}, DType::kUint8);
  const Var masked = Select(mask, x, Fill(&graph, {1, 3}, -kInf));
  const std::vector<Var> y = {Softmax(masked), Clip(x, -kInf, 2)};
  std::vector<Var> fetch = y;
  for (Var of : y) fetch.push_back(Gradients(Sum(Square(of)), {x})[0]);
  Plan plan = MustCompile(graph, {.fetch = fetch});
  const absl::Status status =
      plan.Run({{x, Floats({1, 3}, {1, 2, 3})},
                {mask, Tensor(Shape({1, 3}), std::vector<uint8_t>{1, 1, 0})}});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(plan.Value(y[0]).values<float>()[2], 0);
}

// trial.md, defect 7: the gradient has a -inf of its own.
TEST(CheckFiniteTest, PassesTheGradientOfLogSumExp) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 3});
  const Var y = Sum(LogSumExp(x, {1}));
  Plan plan = MustCompile(graph, {.fetch = {y, Gradients(y, {x})[0]}});
  const absl::Status status =
      plan.Run({{x, Floats({2, 3}, {1, 2, 3, -80, 0, 80})}});
  EXPECT_TRUE(status.ok()) << status;
}

// An infinite number that an op is told to put somewhere was asked for.
TEST(CheckFiniteTest, PassesAnInfinityThatIsAnAttribute) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Var y = Pad(x, 0, {.before = 1, .after = 1, .value = -kInf});
  Plan plan = MustCompile(graph, {.fetch = {y, Exp(y)}});
  const absl::Status status = plan.Run({{x, Floats({2}, {1, 2})}});
  EXPECT_TRUE(status.ok()) << status;
  // An infinity of its operand's making is still found.
  const Var z =
      Pad(Log(x, {"net.cc", 3}), 0, {.before = 1, .after = 1, .value = -kInf});
  Plan other = MustCompile(graph, {.fetch = {z}});
  EXPECT_EQ(other.Run({{x, Floats({2}, {1, 0})}}).message(),
            "net.cc:3: Log made -inf at [1] of [2] in run 1");
}

// A view of numbers that are not finite has made nothing, and says so to the
// ops that read it.
TEST(CheckFiniteTest, FollowsViews) {
  Graph graph;
  const Var x = graph.Input("x", {2, 2}, DType::kFloat32, At(1));
  const Var y = Exp(Reshape(x, {4}, At(2)), At(3));
  Plan plan = MustCompile(graph, {.fetch = {y}});
  EXPECT_TRUE(plan.Run({{x, Floats({2, 2}, {kInf, 0, 0, 0})}}).ok());
  EXPECT_EQ(plan.Run({{x, Floats({2, 2}, {0, 0, 0, 90})}}).message(),
            "net.cc:3: Exp made inf at [3] of [4] in run 2");
}

TEST(CheckFiniteTest, LeavesEveryVariableAloneAtAnError) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Var count = graph.State("count", {}, Zeros(), DType::kInt32);
  const Var w = graph.Parameter("w", {2}, Constant(3));
  const Var average = graph.State("average", {2}, Constant(5));
  // The first two are finite; the last is not.
  Plan plan = MustCompile(
      graph,
      {.fetch = {w},
       .updates = {.assignments = {
                       {count, count + 1}, {w, w + x}, {average, Log(x)}}}});
  EXPECT_FALSE(plan.Run({{x, Floats({2}, {1, -1})}}).ok());
  EXPECT_EQ(graph.Value(count).values<int32_t>()[0], 0);
  EXPECT_EQ(graph.Value(w).values<float>(), (std::vector<float>{3, 3}));
  EXPECT_EQ(graph.Value(average).values<float>(), (std::vector<float>{5, 5}));
  // And makes them where all is finite.
  ASSERT_TRUE(plan.Run({{x, Floats({2}, {1, 1})}}).ok());
  EXPECT_EQ(plan.Value(w).values<float>(), (std::vector<float>{3, 3}));
  EXPECT_EQ(graph.Value(count).values<int32_t>()[0], 1);
  EXPECT_EQ(graph.Value(w).values<float>(), (std::vector<float>{4, 4}));
  EXPECT_EQ(graph.Value(average).values<float>(), (std::vector<float>{0, 0}));
}

TEST(CheckFiniteTest, TrainsToTheSameNumbersButForRounding) {
  const auto train = [](bool check_finite) {
    Graph graph;
    const Var x = graph.Input("x", {kBatch, 2});
    const Var w = graph.Parameter("w", {2, 1}, Constant(0.5));
    const Var loss = Mean(Square(Tanh(MatMul(x, w)) - 1));
    const Updates updates =
        Chain(Adam({.learning_rate = 0.1}))
            .Apply(graph.parameters(), Gradients(loss, graph.parameters()));
    Plan plan = *Compile(
        graph,
        {.fetch = {loss}, .updates = updates, .check_finite = check_finite});
    for (int step = 0; step < 20; ++step) {
      EXPECT_TRUE(plan.Run({{x, Floats({2, 2}, {1, 2, 3, 4})}}).ok());
    }
    return plan.Scalar(loss);
  };
  EXPECT_NEAR(train(true), train(false), 1e-6);
}

TEST(CheckFiniteTest, TakesNoSamplesForFinite) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch});
  Plan plan = MustCompile(graph, {.fetch = {Log(x)}});
  EXPECT_TRUE(plan.Run({{x, Floats({0}, {})}}).ok());
}

TEST(CheckFiniteTest, HasNothingToReadAfterAnError) {
  Graph graph;
  const Var x = graph.Input("x", {});
  const Var y = Log(x);
  Plan plan = MustCompile(graph, {.fetch = {y}});
  ASSERT_TRUE(plan.Run({{x, Floats({}, {1})}}).ok());
  ASSERT_FALSE(plan.Run({{x, Floats({}, {0})}}).ok());
  EXPECT_TRUE(std::isnan(plan.Scalar(y)));
  EXPECT_TRUE(absl::StrContains(plan.status().message(),
                                "is fetched, but the last run failed: "))
      << plan.status();
}

}  // namespace
}  // namespace tape
