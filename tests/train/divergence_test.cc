// The watch on losses, and the step left out (framework/train/divergence.h).
#include "framework/train/divergence.h"

#include <cmath>
#include <limits>

#include "framework/framework.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace tape {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

TEST(LossWatchTest, WithoutARangeAnyFiniteLossIsGood) {
  LossWatch watch;
  for (int i = 0; i < LossWatch::kWindow; ++i) {
    EXPECT_TRUE(watch.Observe(i % 2 == 0 ? 1e30f : -1e30f));
  }
  LossWatch other;
  EXPECT_FALSE(other.Observe(std::nanf("")));
  EXPECT_FALSE(other.Observe(kInfinity));
  EXPECT_FALSE(other.Observe(-kInfinity));
  EXPECT_EQ(other.state().bad, 3);
  EXPECT_EQ(other.state().bad_in_a_row, 3);
  EXPECT_TRUE(other.Observe(1));
  EXPECT_EQ(other.state().bad, 3);
  EXPECT_EQ(other.state().bad_in_a_row, 0);
}

// First 2, then a range of 0.5 to 1: bad above 1 + 10 (1 - 0.5) = 6.
LossWatch Watching() {
  LossWatch watch;
  watch.Observe(2);
  for (int i = 0; i < LossWatch::kWindow; ++i) {
    watch.Observe(i % 2 == 0 ? 0.5f : 1);
  }
  return watch;
}

TEST(LossWatchTest, FarAboveTheRecentRangeIsBad) {
  LossWatch watch = Watching();
  EXPECT_EQ(watch.limit(), 6);
  EXPECT_FALSE(watch.Observe(std::nextafter(6.0f, 7.0f)));
  // A bad one is not in the range.
  EXPECT_EQ(watch.limit(), 6);
  EXPECT_TRUE(watch.Observe(6));
  // This one is: 6 + 10 (6 - 0.5).
  EXPECT_EQ(watch.limit(), 61);
}

TEST(LossWatchTest, UpToTheFirstLossIsGood) {
  LossWatch watch;
  watch.Observe(2);
  for (int i = 0; i < LossWatch::kWindow; ++i) watch.Observe(1e-3f);
  EXPECT_EQ(watch.limit(), 2);
  EXPECT_TRUE(watch.Observe(2));
}

TEST(LossWatchTest, AnEasyFirstBatchDoesNotSetTheBeginning) {
  LossWatch watch;
  for (const float loss : {1e-6f, 2.3f, 2.2f}) watch.Observe(loss);
  for (int i = 0; i < LossWatch::kWindow; ++i) watch.Observe(1e-3f);
  EXPECT_EQ(watch.limit(), 2.2f);
  EXPECT_TRUE(watch.IsLikeTheBeginning(4.3f));
  EXPECT_FALSE(watch.IsLikeTheBeginning(4.5f));
}

TEST(LossWatchTest, AFewHardBatchesAreNoDivergence) {
  LossWatch watch = Watching();
  for (int i = 1; i < LossWatch::kDiverged; ++i) {
    EXPECT_FALSE(watch.Observe(1000));
    EXPECT_FALSE(watch.HasDiverged(1000)) << i;
  }
  EXPECT_TRUE(watch.Observe(1));
  EXPECT_FALSE(watch.HasDiverged(1));
  for (int i = 1; i <= LossWatch::kDiverged; ++i) {
    EXPECT_FALSE(watch.HasDiverged(1));
    watch.Observe(1000);
  }
  EXPECT_TRUE(watch.HasDiverged(1000));
  for (const float loss : {kInfinity, -kInfinity, std::nanf("")}) {
    LossWatch other = Watching();
    EXPECT_FALSE(other.Observe(loss));
    EXPECT_TRUE(other.HasDiverged(loss));
  }
}

TEST(LossWatchTest, AStateIsGoodIfItsLossesAreLikeTheBeginnings) {
  LossWatch watch;
  EXPECT_TRUE(watch.IsGood());
  for (const float loss : {2.0f, 3.0f, 40.0f}) watch.Observe(loss);
  // At most 2 times 3. It started to explode, but most are like the beginning.
  EXPECT_TRUE(watch.IsGood());
  for (const float loss : {1e3f, 1e10f, 1e19f}) watch.Observe(loss);
  EXPECT_FALSE(watch.IsGood());
  for (int i = 0; i < 10; ++i) watch.Observe(6);
  EXPECT_TRUE(watch.IsGood());
  watch.Observe(kInfinity);
  EXPECT_FALSE(watch.IsGood());

  // Negative losses: as far above the beginning as it is below 0.
  LossWatch negative;
  for (int i = 0; i < 3; ++i) negative.Observe(-5);
  EXPECT_TRUE(negative.IsLikeTheBeginning(0));
  EXPECT_FALSE(negative.IsLikeTheBeginning(0.5f));
}

TEST(LossWatchTest, GoesOnFromTheStateOfAnEarlierVersion) {
  LossWatch::State state = Watching().state();
  state.beginning.clear();
  LossWatch watch(state);
  watch.Observe(1);
  EXPECT_TRUE(watch.state().beginning.empty());
  EXPECT_TRUE(watch.IsLikeTheBeginning(4));
  EXPECT_FALSE(watch.IsLikeTheBeginning(4.5f));
}

TEST(LossWatchTest, GoesOnFromItsState) {
  const LossWatch watch(Watching().state());
  EXPECT_EQ(watch.limit(), 6);
}

TEST(LossWatchTest, ARangeTooLargeForAFloatHasNoLimit) {
  LossWatch watch;
  for (int i = 0; i <= LossWatch::kWindow; ++i) {
    EXPECT_TRUE(watch.Observe(i % 2 == 0 ? 3e38f : -3e38f));
  }
  EXPECT_EQ(watch.limit(), std::numeric_limits<float>::max());
}

TEST(SkipAboveTest, LeavesOutTheStepUnlessTheLossIsGood) {
  Graph graph;
  const Var loss = graph.Input("loss", {});
  const Var limit = graph.Input("limit", {});
  const Var w = graph.Parameter("w", {2}, Zeros());
  const Var steps = graph.State("steps", {}, Zeros(), DType::kInt32);
  const Updates updates = SkipAbove(
      loss, limit, {.assignments = {{w, w + loss}, {steps, steps + 1}}});
  absl::StatusOr<Plan> plan = Compile(graph, {.updates = updates});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto run = [&](float value, float most) {
    const Tensor fed_loss({}, std::vector<float>{value});
    const Tensor fed_limit({}, std::vector<float>{most});
    EXPECT_TRUE(plan->Run({{loss, fed_loss}, {limit, fed_limit}}).ok());
    return graph.Value(steps).values<int32_t>()[0];
  };
  EXPECT_EQ(run(3, 3), 1);
  EXPECT_EQ(run(3.5f, 3), 1);
  EXPECT_EQ(run(std::nanf(""), 3), 1);
  EXPECT_EQ(run(kInfinity, std::numeric_limits<float>::max()), 1);
  EXPECT_EQ(run(-kInfinity, 3), 1);
  EXPECT_EQ(graph.Value(w).values<float>()[1], 3);
  EXPECT_EQ(run(-5, 3), 2);
  EXPECT_EQ(graph.Value(w).values<float>()[1], -2);
}

}  // namespace
}  // namespace tape
