// Batch normalisation's running statistics (ops/ops.h), which rows of the
// sample table cannot show; dropout's share of zeros.
#include <cmath>
#include <vector>

#include "framework/framework.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace tape {
namespace {

TEST(BatchNormTest, TheRunningStatisticsDecayTowardsTheBatchs) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 2});
  const RunningStatistics running = {graph.State("mean", {2}, Zeros()),
                                     graph.State("variance", {2}, Constant(1))};
  const Var one = Fill(&graph, {2}, 1), none = Fill(&graph, {2}, 0);
  const BatchNormResult norm =
      BatchNorm(x, one, none, running, {.decay = 0.75});
  const Var inference = BatchNormInference(x, one, none, running);
  absl::StatusOr<Plan> train = Compile(
      graph, {.fetch = {norm.y}, .updates = {.assignments = norm.assignments}});
  ASSERT_TRUE(train.ok()) << train.status();
  // Means 2 and -1, variances 1 and 4.
  const Tensor batch({2, 2}, std::vector<float>{1, -3, 3, 1});
  double mean = 0, variance = 0;
  for (int step = 0; step < 3; ++step) {
    ASSERT_TRUE(train->Run({{x, batch}}).ok());
    mean = 0.75 * mean + 0.25;          // Of a batch's of 1,
    variance = 0.75 * variance + 0.25;  // and so its share of the statistics.
    const auto means = graph.Value(running.mean).values<float>();
    const auto variances = graph.Value(running.variance).values<float>();
    EXPECT_NEAR(means[0], 2 * mean, 1e-6);
    EXPECT_NEAR(means[1], -1 * mean, 1e-6);
    EXPECT_NEAR(variances[0], 1, 1e-6);
    EXPECT_NEAR(variances[1], 4 * variance + (1 - variance), 1e-5);
  }
  // In training the batch's own statistics count, …
  EXPECT_NEAR(train->Value(norm.y).values<float>()[0], -1, 1e-4);
  // … in inference the running ones, which then stay as they are.
  absl::StatusOr<Plan> evaluate = Compile(graph, {.fetch = {inference}});
  ASSERT_TRUE(evaluate.ok()) << evaluate.status();
  ASSERT_TRUE(evaluate->Run({{x, batch}}).ok());
  EXPECT_NEAR(evaluate->Value(inference).values<float>()[0], 1 - 2 * mean,
              1e-4);
}

TEST(DropoutTest, LeavesOutTheRateAndKeepsTheMean) {
  Graph graph;
  const Var step = graph.Input("step", {}, DType::kInt32);
  const Var x = Fill(&graph, {1000, 100}, 1);
  const Var y = Dropout(x, 0.3, step, {.seed = 1, .stream = 2});
  const Var zeros = Mean(Cast(Equal(y, Fill(&graph, {}, 0)), DType::kFloat32));
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {y, zeros, Mean(y)}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  std::vector<float> first;
  for (int i = 0; i < 2; ++i) {
    const Tensor number({}, std::vector<int32_t>{i});
    ASSERT_TRUE(plan->Run({{step, number}}).ok());
    // Five standard deviations of the share of 100,000 draws: 5 sqrt(0.21 / n).
    EXPECT_NEAR(plan->Value(zeros).values<float>()[0], 0.3, 0.0073);
    const auto values = plan->Value(y).values<float>();
    for (float value : values) {
      ASSERT_TRUE(value == 0 || std::fabs(value - 1 / 0.7) < 1e-6) << value;
    }
    if (i == 0) first.assign(values.begin(), values.end());
    if (i == 1) {
      EXPECT_NE(first, std::vector<float>(values.begin(), values.end()));
    }
  }
}

}  // namespace
}  // namespace tape
