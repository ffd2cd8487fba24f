// Batch normalisation's running statistics (ops/ops.h), which rows of the
// sample table cannot show; dropout's share of zeros.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
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

// A normalised input and a chain that skips, whose gradient may be fed.
struct Normalised {
  explicit Normalised(Shape shape) {
    x = graph.Input("x", std::move(shape));
    weight = graph.Input("weight", {});
    scale = graph.Parameter("scale", {2}, Constant(1));
    shift = graph.Parameter("shift", {2}, Zeros());
    running = {graph.State("mean", {2}, Zeros()),
               graph.State("variance", {2}, Constant(1))};
    norm = BatchNorm(x, scale, shift, running, {.decay = 0.5});
    Updates updates =
        Chain(SkipIfNotFinite(Sgd({.learning_rate = 0})))
            .Apply({scale, shift},
                   Gradients(weight * Mean(Square(norm.y)), {scale, shift}));
    AddAssignments(norm.assignments, updates);
    plan.emplace(*Compile(graph, {.fetch = {norm.y}, .updates = updates}));
  }
  // The means and the variances after a run.
  std::vector<float> Run(const Tensor& batch, float gradient_weight = 1) {
    const Tensor fed({}, std::vector<float>{gradient_weight});
    EXPECT_TRUE(plan->Run({{x, batch}, {weight, fed}}).ok());
    std::vector<float> all;
    for (Var state : {running.mean, running.variance}) {
      for (float value : graph.Value(state).values<float>()) {
        all.push_back(value);
      }
    }
    return all;
  }

  Graph graph;
  Var x, weight, scale, shift;
  RunningStatistics running;
  BatchNormResult norm;
  std::optional<Plan> plan;
};

TEST(BatchNormTest, ABatchWithoutAVarianceLeavesTheRunningStatistics) {
  const std::vector<float> first = {0, 0, 1, 1};
  Normalised rows({kBatch, 2});
  EXPECT_EQ(rows.Run(Tensor({0, 2}, std::vector<float>{})), first);
  EXPECT_EQ(rows.Run(Tensor({1, 2}, std::vector<float>{5, 7})), first);
  const auto y = rows.plan->Value(rows.norm.y).values<float>();
  EXPECT_EQ(std::vector<float>(y.begin(), y.end()), (std::vector<float>{0, 0}));
  EXPECT_EQ(rows.Run(Tensor({2, 2}, std::vector<float>{1, 2, 3, 6})),
            (std::vector<float>{1, 2, 1, 2.5}));

  // One sample of two places has one.
  Normalised places({kBatch, 2, 2});
  EXPECT_EQ(places.Run(Tensor({0, 2, 2}, std::vector<float>{})), first);
  EXPECT_EQ(places.Run(Tensor({1, 2, 2}, std::vector<float>{1, 2, 3, 6})),
            (std::vector<float>{1, 2, 1, 2.5}));
  // A vector of channels never has.
  Normalised vector({2});
  EXPECT_EQ(vector.Run(Tensor({2}, std::vector<float>{5, 7})), first);
}

TEST(BatchNormTest, WhatIsNotFiniteLeavesTheRunningStatistics) {
  Normalised model({kBatch, 2});
  const float infinity = std::numeric_limits<float>::infinity();
  for (const float bad : {std::nanf(""), infinity, -infinity}) {
    model.Run(Tensor({2, 2}, std::vector<float>{1, bad, 3, 6}));
    const auto means = model.graph.Value(model.running.mean).values<float>();
    EXPECT_EQ(means[1], 0);
    EXPECT_EQ(model.graph.Value(model.running.variance).values<float>()[1], 1);
  }
}

TEST(BatchNormTest, AStepThatIsSkippedLeavesTheRunningStatistics) {
  Normalised model({kBatch, 2});
  const Tensor batch({2, 2}, std::vector<float>{1, 2, 3, 6});
  EXPECT_EQ(model.Run(batch, std::nanf("")), (std::vector<float>{0, 0, 1, 1}));
  EXPECT_EQ(model.Run(batch), (std::vector<float>{1, 2, 1, 2.5}));
}

TEST(DropoutTest, WithoutAKeyEachLeavesOutOtherUnits) {
  const auto masks = [](std::vector<RandomKey> keys) {
    Graph graph({.seed = 3});
    const Var step = graph.State("step", {}, Zeros(), DType::kInt32);
    std::vector<Var> fetch;
    for (const RandomKey& key : keys) {
      fetch.push_back(Dropout(Fill(&graph, {64}, 1), 0.5, step, key));
    }
    absl::StatusOr<Plan> plan = Compile(graph, {.fetch = fetch});
    EXPECT_TRUE(plan.ok() && plan->Run().ok());
    std::vector<std::vector<float>> all;
    for (Var mask : fetch) {
      const auto values = plan->Value(mask).values<float>();
      all.emplace_back(values.begin(), values.end());
    }
    return all;
  };
  const auto drawn = masks({{}, {}, {}});
  EXPECT_NE(drawn[0], drawn[1]);
  EXPECT_NE(drawn[0], drawn[2]);
  EXPECT_NE(drawn[1], drawn[2]);
  // The same declaration draws the same again.
  EXPECT_EQ(masks({{}, {}, {}}), drawn);
  const auto seeded = masks({{.seed = 7}, {.seed = 7}, {.seed = 8}});
  EXPECT_NE(seeded[0], seeded[1]);
  EXPECT_NE(seeded[0], seeded[2]);
  // What is told to be equal is, and one without a stream keeps clear of it.
  const RandomKey told = {.seed = 3, .stream = 0};
  const auto equal = masks({told, told, {}});
  EXPECT_EQ(equal[0], equal[1]);
  EXPECT_NE(equal[0], equal[2]);
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

// A first element far from all others, of which there are many: the variance is
// what is left of a sum of squares from it.
TEST(LayerNormTest, HoldsForLongRowsWithAFarFirstElement) {
  for (const int64_t length : {300, 300'000, 3'000'000}) {
    Graph graph;
    const Var x = graph.Input("x", {1, length});
    const Var y = LayerNorm(x, Fill(&graph, {length}, 1),
                            Fill(&graph, {length}, 0), {.epsilon = 1e-5});
    const Var gradient = Gradients(Sum(y * y * y), {x})[0];
    absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {y, gradient}});
    ASSERT_TRUE(plan.ok()) << plan.status();
    const float far = 100.1f, near = 0.001f;
    Tensor fed(TensorType{DType::kFloat32, {1, length}});
    std::fill_n(fed.values<float>().begin(), length, near);
    fed.values<float>()[0] = far;
    ASSERT_TRUE(plan->Run({{x, fed}}).ok());
    // In exact arithmetic: variance (f - c)^2 (n - 1) / n^2.
    const long double n = length, distance = (long double){far} - near;
    const long double scale =
        1 / std::sqrt(distance * distance * (n - 1) / (n * n) + 1e-5L);
    const auto values = plan->Value(y).values<float>();
    const double of_first = distance * (n - 1) / n * scale;
    const double of_others = -distance / n * scale;
    EXPECT_NEAR(values[0], of_first, 1e-7 * of_first) << length;
    EXPECT_NEAR(values[length - 1], of_others, -1e-7 * of_others) << length;
    // Of 3 y^2, as the rule of the slope has it.
    const double mean =
        3 * (of_first * of_first / n) + 3 * of_others * of_others * (n - 1) / n;
    const double product = 3 * (std::pow(of_first, 3) / n) +
                           3 * std::pow(of_others, 3) * (n - 1) / n;
    const double slope =
        scale * (3 * of_others * of_others - mean - of_others * product);
    EXPECT_NEAR(plan->Value(gradient).values<float>()[length - 1], slope,
                1e-5 * std::fabs(slope))
        << length;
  }
}

// Whether LayerNorm of the last `axes` axes of x, and what follows it element by
// element, is one step, as it should be unless its rows are long; and whether it
// has the bits of two.
void ExpectOnePassOfLayerNorm(const Shape& shape, int axes,
                              const Shape& operand, bool expected = true) {
  SCOPED_TRACE(shape.ToString() + operand.ToString());
  const auto value = [&](const std::vector<std::string>& without,
                         bool* is_one) -> std::vector<float> {
    Graph graph;
    const Var x = graph.Input("x", shape);
    const Shape last(shape.dims().last(axes));
    const Initializer normal = Normal(0, 1);
    const Var scale = graph.Parameter("scale", last, normal);
    const Var shift = graph.Parameter("shift", last, normal);
    const Var z = graph.Parameter("z", operand, normal);
    const Var y = Relu(LayerNorm(x, scale, shift)) * z + Exp(z);
    absl::StatusOr<Plan> plan =
        Compile(graph, {.fetch = {y}, .threads = 2, .without = without});
    Tensor fed(x.type());
    for (int64_t i = 0; i < fed.elements(); ++i) {
      fed.values<float>()[i] = static_cast<float>(i * i % 101);
    }
    EXPECT_TRUE(plan.ok() && plan->Run({{x, fed}}).ok()) << plan.status();
    const auto values = plan->Value(y).values<float>();
    *is_one = absl::StrContains(plan->Dump(), "LayerNorm+");
    return {values.begin(), values.end()};
  };
  bool is_one = false;
  const std::vector<float> fused = value({}, &is_one);
  EXPECT_EQ(is_one, expected);
  EXPECT_EQ(fused, value({"fuse_products"}, &is_one));
  EXPECT_FALSE(is_one);
}

TEST(LayerNormTest, IsOnePassWithWhatFollowsOfAnyShape) {
  ExpectOnePassOfLayerNorm({7}, 1, {7});
  ExpectOnePassOfLayerNorm({0, 5}, 1, {5});
  ExpectOnePassOfLayerNorm({300, 300}, 1, {300});
  ExpectOnePassOfLayerNorm({300, 300}, 2, {300, 1}, false);
  // Regions of 29 rows or so, which begin amid an operand of 37.
  ExpectOnePassOfLayerNorm({9, 37, 555}, 1, {37, 555});
  ExpectOnePassOfLayerNorm({9, 37, 555}, 1, {37, 1});
  ExpectOnePassOfLayerNorm({9, 37, 55}, 2, {55});
  // Of 301 rows, amid one that is laid out as a pattern of 5.
  ExpectOnePassOfLayerNorm({301, 5, 60}, 1, {5, 60});
  ExpectOnePassOfLayerNorm({301, 5, 60}, 2, {5, 60});
}

TEST(LayerNormTest, OfRowsOfNoElementsIsEmpty) {
  Graph graph;
  const Var x = graph.Input("x", {5, 0}), scale = graph.Input("s", {0});
  const Var y = LayerNorm(x, scale, scale);
  const Var dx = Gradients(Sum(y), {x})[0];
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {y, dx}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const Tensor of_x({DType::kFloat32, {5, 0}}), none({DType::kFloat32, {0}});
  ASSERT_TRUE(plan->Run({{x, of_x}, {scale, none}}).ok());
  EXPECT_EQ(plan->Value(y).shape(), (Shape{5, 0}));
  EXPECT_EQ(plan->Value(dx).shape(), (Shape{5, 0}));
}

}  // namespace
}  // namespace tape
