// That sums of many numbers, and of numbers of any size, are right to a few
// roundings: the table of errors (sum_errors.h), and what only a certain
// magnitude shows.
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/reference.h"
#include "framework/framework.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/ops/sum_errors.h"

namespace tape {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();

Tensor FilledTensor(Shape shape, float value) {
  Tensor tensor({DType::kFloat32, std::move(shape)});
  for (float& v : tensor.values<float>()) v = value;
  return tensor;
}

// What a plan makes of y for this x, with all passes or with none.
std::vector<float> Computed(Var y, Var x, const Tensor& value,
                            bool passes = true) {
  const std::vector<std::string> all(PassNames().begin(), PassNames().end());
  absl::StatusOr<Plan> plan = Compile(
      *y.graph(),
      {.fetch = {y}, .without = passes ? std::vector<std::string>() : all});
  EXPECT_TRUE(plan.ok()) << plan.status();
  const absl::Status status = plan->Run({{x, value}});
  EXPECT_TRUE(status.ok()) << status;
  const auto values = plan->Value(y).values<float>();
  return {values.begin(), values.end()};
}

TEST(SumsTest, ErrorsAreWithinTheirBounds) {
  for (const int64_t elements : {1000, 300012}) {
    for (const SumError& row : MeasureSumErrors(elements)) {
      EXPECT_LE(row.error, row.bound)
          << row.op << " along axis " << row.axis << ", " << row.data << ", "
          << row.elements << " elements";
    }
  }
}

TEST(SumsTest, OverManyRowsAreRight) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 2});
  const Tensor tenths = FilledTensor({1000000, 2}, 0.1f);
  for (const bool passes : {true, false}) {
    for (float mean : Computed(Mean(x, {0}), x, tenths, passes)) {
      EXPECT_EQ(mean, 0.1f);
    }
    for (float sum : Computed(Sum(x, {0}), x, tenths, passes)) {
      EXPECT_EQ(sum, 100000.0f);
    }
  }
  Tensor logits = FilledTensor({1000000, 2}, -1);
  logits.values<float>()[0] = logits.values<float>()[1] = 0;
  for (float y : Computed(LogSumExp(x, {0}), x, logits)) {
    EXPECT_NEAR(y, 12.8155125, 1e-5);
  }
  for (float y : Computed(Sum(Softmax(x, 0), {0}), x, logits)) {
    EXPECT_NEAR(y, 1, 2e-6);
  }
  // Every column number of a vector, and what is left of one.
  for (int64_t columns : {1, 7, 16, 37}) {
    Graph of_columns;
    const Var wide = of_columns.Input("wide", {1003, columns});
    const Tensor same = FilledTensor({1003, columns}, 1000.1f);
    for (float y : Computed(Mean(wide, {0}), wide, same)) EXPECT_EQ(y, 1000.1f);
    for (float y : Computed(Mean(wide, {1}), wide, same)) EXPECT_EQ(y, 1000.1f);
    for (float y : Computed(Variance(wide, {0}), wide, same)) EXPECT_EQ(y, 0);
    for (float y : Computed(Variance(wide, {1}), wide, same)) EXPECT_EQ(y, 0);
  }
}

TEST(SumsTest, NothingOverflowsWhereTheResultIsFinite) {
  Graph graph;
  const Var x = graph.Input("x", {4});
  const Tensor large({4}, std::vector<float>{3.4e38f, 3.4e38f, 1, 2});
  EXPECT_EQ(Computed(Mean(x), x, large), std::vector<float>{1.7e38f});
  EXPECT_EQ(Computed(Variance(x), x, FilledTensor({4}, -3.4e38f)),
            std::vector<float>{0});
  const Tensor cancelling({4},
                          std::vector<float>{3e38f, 3e38f, -3e38f, -3e38f});
  EXPECT_EQ(Computed(Sum(x), x, cancelling), std::vector<float>{0});
  EXPECT_EQ(Computed(Sum(x), x, large), std::vector<float>{kInf});
  EXPECT_EQ(Computed(Norm(x), x, FilledTensor({4}, 1e38f)),
            std::vector<float>{2e38f});
  EXPECT_EQ(Computed(Norm(x), x, FilledTensor({4}, 2e-38f)),
            std::vector<float>{4e-38f});
  const std::vector<float> slopes =
      Computed(Gradients(Norm(x), {x})[0], x, FilledTensor({4}, 1e38f));
  EXPECT_EQ(slopes, std::vector<float>(4, 0.5f));

  // In trees of eight, in vectors, in columns, and over several axes.
  for (const Shape& shape : {Shape({64, 64}), Shape({9, 5}), Shape({40, 3})}) {
    Graph of_shape;
    const Var m = of_shape.Input("m", shape);
    Tensor signs = FilledTensor(shape, 3e38f);
    for (int64_t i = shape.elements() / 2; i < shape.elements(); ++i) {
      signs.values<float>()[i] *= -1;
    }
    const float rest = shape.elements() % 2 == 0 ? 0.0f : -3e38f;
    EXPECT_EQ(Computed(Sum(m), m, signs)[0], rest);
    const std::vector<float> columns = Computed(Sum(m, {0}), m, signs);
    for (size_t i = 0; i < columns.size(); ++i) {
      if (shape[0] % 2 != 0) continue;
      EXPECT_EQ(columns[i], 0) << i;
    }
  }
  const Var deep = graph.Input("deep", {20, 3, 20});
  Tensor numbers = FilledTensor({20, 3, 20}, 3e38f);
  for (int64_t i = 600; i < 1200; ++i) numbers.values<float>()[i] = -3e38f;
  EXPECT_EQ(Computed(Sum(deep, {0, 2}), deep, numbers),
            (std::vector<float>{0, 0, 0}));
  EXPECT_EQ(
      Computed(Mean(deep, {0, 2}), deep, FilledTensor({20, 3, 20}, 3e38f)),
      std::vector<float>(3, 3e38f));
}

TEST(SumsTest, VarianceAndNormalisationsHoldForALargeMean) {
  Graph graph;
  const Var x = graph.Input("x", {128, 2});
  const Var one = Fill(&graph, {2}, 1), none = Fill(&graph, {2}, 0);
  const RunningStatistics running = {graph.State("m", {2}, Zeros()),
                                     graph.State("v", {2}, Constant(1))};
  const Var norm = BatchNorm(x, one, none, running).y;
  const Tensor same = FilledTensor({128, 2}, 1000.1f);
  Tensor steps = FilledTensor({128, 2}, 1e6f);
  for (int i = 0; i < 256; ++i) steps.values<float>()[i] += i / 2 % 2;
  for (float y : Computed(Variance(x, {0}), x, same)) EXPECT_EQ(y, 0);
  for (float y : Computed(norm, x, same)) EXPECT_EQ(y, 0);
  for (float y : Computed(Mean(x, {0}), x, steps)) EXPECT_EQ(y, 1000000.5f);
  for (float y : Computed(Variance(x, {0}), x, steps)) EXPECT_EQ(y, 0.25f);
  const std::vector<float> normal = Computed(norm, x, steps);
  for (int i = 0; i < 256; ++i) {
    EXPECT_NEAR(normal[i], i / 2 % 2 == 0 ? -0.99998 : 0.99998, 1e-6);
  }
  // Whose mean is no float32.
  const Var row = graph.Input("row", {2, 999});
  Tensor thirds = FilledTensor({2, 999}, 1e6f);
  for (int i = 0; i < 1998; ++i) thirds.values<float>()[i] += i % 3;
  const Var scale = Fill(&graph, {999}, 1), shift = Fill(&graph, {999}, 0);
  const std::vector<float> layer =
      Computed(LayerNorm(row, scale, shift, {.epsilon = 0}), row, thirds);
  for (int i = 0; i < 1998; ++i) {
    EXPECT_NEAR(layer[i], (i % 3 - 1) * std::sqrt(1.5), 1e-6);
  }
  for (float y : Computed(Variance(row, {1}), row, thirds)) {
    EXPECT_FLOAT_EQ(y, 2.0f / 3);
  }
}

// Whose variance is no float32, though the result is.
TEST(SumsTest, LayerNormHoldsForRowsOfAnyMagnitude) {
  for (float size : {1e-30f, 1e-20f, 1.0f, 1e20f, 1e30f, 2e38f}) {
    for (int64_t length : {3, 99}) {
      SCOPED_TRACE(absl::StrCat(size, " ", length));
      Graph graph;
      const Var x = graph.Input("x", {2, length});
      const Var one = Fill(&graph, {length}, 1),
                none = Fill(&graph, {length}, 0);
      const Var y = LayerNorm(x, one, none, {.epsilon = 0});
      const Var weight = graph.Input("weight", {2, length});
      const Var slope = Gradients(Sum(y * weight), {x})[0];
      Tensor rows(TensorType{DType::kFloat32, {2, length}});
      Tensor weights(rows.type());
      for (int64_t i = 0; i < 2 * length; ++i) {
        rows.values<float>()[i] = size * static_cast<float>(i % 3 - 1);
        weights.values<float>()[i] = static_cast<float>(i * i % 7);
      }
      auto plan = Compile(graph, {.fetch = {y, slope}});
      ASSERT_TRUE(plan.ok()) << plan.status();
      ASSERT_TRUE(plan->Run({{x, rows}, {weight, weights}}).ok());
      const auto exact = EvaluateReference(
          {y, slope}, {{x, ToFloat64(rows)}, {weight, ToFloat64(weights)}});
      ASSERT_TRUE(exact.ok()) << exact.status();
      for (int64_t i = 0; i < 2 * length; ++i) {
        EXPECT_NEAR(plan->Value(y).values<float>()[i],
                    static_cast<float>(i % 3 - 1) * std::sqrt(1.5), 1e-6);
        // Slopes are some 1 / size, below the normal numbers for the largest,
        // times weights of up to 6.
        EXPECT_NEAR(plan->Value(slope).values<float>()[i],
                    (*exact)[1].values<double>()[i],
                    1e-6 / size + 6 * 0x1p-126);
      }
    }
  }
}

TEST(SumsTest, TheReferenceOfSoftmaxHoldsForHugeLogits) {
  Graph graph;
  const Var x = graph.Input("x", {4});
  const Tensor huge({4}, std::vector<float>{3.4e38f, 3.4e38f, 1, 2});
  const auto exact =
      EvaluateReference({Softmax(x, 0), LogSoftmax(x, 0)}, {{x, huge}});
  ASSERT_TRUE(exact.ok()) << exact.status();
  EXPECT_EQ((*exact)[0].values<double>()[0], 0.5);
  EXPECT_EQ((*exact)[0].values<double>()[2], 0);
  EXPECT_DOUBLE_EQ((*exact)[1].values<double>()[1], -std::log(2.0));
  EXPECT_EQ(Computed(Softmax(x, 0), x, huge),
            (std::vector<float>{0.5, 0.5, 0, 0}));
}

// Both ways of adding up what is scattered: a table with few updates links
// those of a place, any other has sums in double.
TEST(SumsTest, ScatterAddAddsUpInDoubleHoweverLargeTheTable) {
  for (const int64_t places : {3, 100000}) {
    for (const int64_t width : {1, 3, 130}) {
      Graph graph;
      const Var x = graph.Input("x", {1001, width});
      const Var indices = graph.Input("i", {1001}, DType::kInt32);
      const Var y = ScatterAdd(x, indices, {places, width});
      Tensor updates = FilledTensor({1001, width}, 1e-9f);
      for (int64_t i = 0; i < width; ++i) updates.values<float>()[i] = 1;
      Tensor at({DType::kInt32, {1001}});
      for (int i = 0; i < 1001; ++i) {
        at.values<int32_t>()[i] = i % 2 == 0 ? 1 : (i % 5 == 0 ? -1 : 2);
      }
      std::vector<float> expected(places * width);
      for (int64_t i = 0; i < width; ++i) {
        expected[width + i] = static_cast<float>(1 + 500 * 1e-9);
        expected[2 * width + i] =
            static_cast<float>(400 * static_cast<double>(1e-9f));
      }
      absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {y}});
      ASSERT_TRUE(plan.ok()) << plan.status();
      for (int run = 0; run < 2; ++run) {
        ASSERT_TRUE(plan->Run({{x, updates}, {indices, at}}).ok());
        const auto values = plan->Value(y).values<float>();
        EXPECT_EQ(std::vector<float>(values.begin(), values.end()), expected)
            << places << " places of " << width;
      }
    }
  }
}

// Few updates are added in float32, unless that could overflow on the way.
TEST(SumsTest, AFewScatteredUpdatesDoNotOverflowOnTheWay) {
  for (const int64_t width : {1, 3, 130}) {
    Graph graph;
    const Var x = graph.Input("x", {2, 3, width});
    const Var zeros = Fill(&graph, {3}, 0, DType::kInt32);
    const Var y = ScatterAdd(x, zeros, {2, 4, width}, 1);
    // 3e38 + 3e38 - 3e38, in both lines.
    Tensor updates = FilledTensor({2, 3, width}, 3e38f);
    for (int64_t i = 0; i < width; ++i) {
      for (int line : {0, 1}) {
        updates.values<float>()[(line * 3 + 2) * width + i] = -3e38f;
      }
    }
    std::vector<float> expected(8 * width);
    for (int64_t i = 0; i < width; ++i) {
      expected[i] = expected[4 * width + i] = 3e38f;
    }
    EXPECT_EQ(Computed(y, x, updates), expected) << width;
    const Var z = graph.Input("z", {2, 4, width});
    const Var taken =
        GatherAlong(z, Fill(&graph, {2, 3, width}, 0, DType::kInt32), 1);
    EXPECT_EQ(Computed(Gradients(taken, {z}, {.seed = x})[0], x, updates),
              expected)
        << width;
  }
}

}  // namespace
}  // namespace tape
