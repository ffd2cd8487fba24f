// Losses and activations where numbers are not ordinary: masked classes,
// infinite and huge logits, labels that are no class (ops/loss.cc,
// ops/activation.cc). What is ordinary is in the sample table.
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "framework/core/gradients.h"
#include "framework/core/random.h"
#include "framework/core/reference.h"
#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
const float kNan = std::numeric_limits<float>::quiet_NaN();

// `fetch` by a plan with all passes, by one with none, and by the reference.
std::vector<std::vector<double>> ByAll(const Graph& graph, Var fetch,
                                       const ReferenceFeeds& feeds) {
  std::vector<Feed> fed;
  for (const auto& [var, tensor] : feeds) fed.push_back({var, tensor});
  const std::vector<std::string> all(PassNames().begin(), PassNames().end());
  std::vector<std::vector<double>> results;
  for (const std::vector<std::string>& without : {{}, all}) {
    absl::StatusOr<Plan> plan =
        Compile(graph, {.fetch = {fetch}, .without = without});
    EXPECT_TRUE(plan.ok()) << plan.status();
    const absl::Status status = plan->Run(fed);
    EXPECT_TRUE(status.ok()) << status;
    const auto values = plan->Value(fetch).values<float>();
    results.emplace_back(values.begin(), values.end());
  }
  const auto exact = EvaluateReference({fetch}, feeds);
  EXPECT_TRUE(exact.ok()) << exact.status();
  const auto values = (*exact)[0].values<double>();
  results.emplace_back(values.begin(), values.end());
  return results;
}

// Expects each of `expected` to one part in 100,000, and NaN for NaN.
void ExpectAll(const Graph& graph, Var fetch, const ReferenceFeeds& feeds,
               const std::vector<double>& expected) {
  const char* const names[] = {"all passes", "no passes", "the reference"};
  const auto results = ByAll(graph, fetch, feeds);
  for (size_t k = 0; k < results.size(); ++k) {
    ASSERT_EQ(results[k].size(), expected.size()) << names[k];
    for (size_t i = 0; i < expected.size(); ++i) {
      const double found = results[k][i], right = expected[i];
      if (std::isnan(right)) {
        EXPECT_TRUE(std::isnan(found))
            << names[k] << ", " << i << ": " << found;
      } else if (right == 0) {
        EXPECT_LE(std::fabs(found), FLT_MIN) << names[k] << ", " << i;
      } else if (std::isinf(right)) {
        EXPECT_EQ(found, right) << names[k] << ", " << i;
      } else {
        EXPECT_NEAR(found, right, 1e-5 * std::fabs(right))
            << names[k] << ", " << i;
      }
    }
  }
}

struct Logits {
  explicit Logits(std::vector<float> z, std::vector<float> p)
      : logits(graph.Input("z", {1, static_cast<int64_t>(z.size())})),
        labels(graph.Input("p", {1, static_cast<int64_t>(p.size())})),
        feeds({{logits, Tensor(logits.shape(), z)},
               {labels, Tensor(labels.shape(), p)}}) {}
  Graph graph;
  Var logits, labels;
  ReferenceFeeds feeds;
};

// faults.md 1.
TEST(SoftmaxCrossEntropyTest, GivesNothingToAMaskedClass) {
  Logits of({2, 0, -kInf}, {1, 0, 0});
  const Var loss = SoftmaxCrossEntropy(of.logits, of.labels);
  ExpectAll(of.graph, loss, of.feeds, {0.12692801104297263});
  const Var dz = Gradients(Sum(loss), {of.logits})[0];
  ExpectAll(of.graph, dz, of.feeds,
            {-0.11920292202211755, 0.11920292202211755, 0});
  // Of the probability the slope towards the masked class is infinite.
  const Var second = Gradients(Sum(dz * dz), {of.logits})[0];
  const double s = 0.11920292202211755, c = 4 * s * s * (1 - s);
  ExpectAll(of.graph, second, of.feeds, {-c, c, 0});
}

TEST(SoftmaxCrossEntropyTest, IsFiniteWhereAllLogitsAre) {
  Logits of({0, 2e38f, -3e38f}, {0, 1, 0});
  ExpectAll(of.graph, SoftmaxCrossEntropy(of.logits, of.labels), of.feeds, {0});
  // The difference of two logits is beyond float32; a tenth of it is not.
  Logits far({2e38f, -3e38f}, {0.9f, 0.1f});
  ExpectAll(far.graph, SoftmaxCrossEntropy(far.logits, far.labels), far.feeds,
            {0.1f * 5e38});
}

TEST(SoftmaxCrossEntropyTest, IsInfiniteForMassOnAMaskedClass) {
  Logits of({2, 0, -kInf}, {0.8f, 0.1f, 0.1f});
  ExpectAll(of.graph, SoftmaxCrossEntropy(of.logits, of.labels), of.feeds,
            {kInf});
  Logits smoothed({2, 0, -kInf}, {1, 0, 0});
  ExpectAll(smoothed.graph,
            SoftmaxCrossEntropy(smoothed.logits, smoothed.labels,
                                {.label_smoothing = 0.1}),
            smoothed.feeds, {kInf});
}

TEST(SoftmaxCrossEntropyTest, KeepsTheDigitsOfSmallLossesAndGradients) {
  // ln(1 + 2 e^-20), and what is left of 1 - softmax.
  const double rest = 2 * std::exp(-20.0), share = std::exp(-20.0) / (1 + rest);
  Logits of({20, 0, 0}, {1, 0, 0});
  const Var loss = SoftmaxCrossEntropy(of.logits, of.labels);
  ExpectAll(of.graph, loss, of.feeds, {std::log1p(rest)});
  ExpectAll(of.graph, Gradients(Sum(loss), {of.logits})[0], of.feeds,
            {-2 * share, share, share});
  Graph graph;
  const Var z = graph.Input("z", {1, 3});
  const Var label = graph.Input("label", {1}, DType::kInt32);
  const Var of_class = SoftmaxCrossEntropy(z, label);
  const ReferenceFeeds feeds = {
      {z, Tensor({1, 3}, std::vector<float>{20, 0, 0})},
      {label, Tensor({1}, std::vector<int32_t>{0})}};
  ExpectAll(graph, of_class, feeds, {std::log1p(rest)});
  ExpectAll(graph, Gradients(Sum(of_class), {z})[0], feeds,
            {-2 * share, share, share});
}

TEST(LogSoftmaxTest, KeepsTheDigitsOfWhatIsNearZero) {
  const double rest = std::log1p(std::exp(-20.0) + std::exp(-21.0));
  for (int axis : {0, 1}) {
    Graph graph;
    const Shape shape = axis == 1 ? Shape({1, 3}) : Shape({3, 1});
    // Columns lie side by side only if there is more than one.
    const Var x = graph.Input("x", shape);
    const Var wide = axis == 1 ? x : Concat({x, x}, 1);
    const ReferenceFeeds feeds = {
        {x, Tensor(shape, std::vector<float>{0, -20, -21})}};
    const Var y = LogSoftmax(wide, axis);
    ExpectAll(graph, Slice(y, axis, {0, 1}), feeds,
              std::vector<double>(axis == 1 ? 1 : 2, -rest));
  }
}

TEST(SoftmaxCrossEntropyTest, IsNotANumberForInfiniteLogits) {
  Logits of({kInf, 0}, {0, 1});
  ExpectAll(of.graph, SoftmaxCrossEntropy(of.logits, of.labels), of.feeds,
            {kNan});
}

// review.md 11.
struct Labelled {
  explicit Labelled(std::vector<int32_t> labels,
                    SoftmaxCrossEntropyOptions options = {})
      : z(graph.Input("z", {kBatch, 3}, DType::kFloat32, {"user.cc", 1})),
        label(graph.Input("label", {kBatch}, DType::kInt32, {"user.cc", 2})),
        w(graph.Parameter("w", {3}, Zeros())),
        loss(SoftmaxCrossEntropy(z + w, label, options, {"user.cc", 3})) {
    const auto n = static_cast<int64_t>(labels.size());
    feeds = {{z, Tensor({n, 3}, std::vector<float>(3 * n, 1.0f))},
             {label, Tensor({n}, labels)}};
  }
  absl::Status Step() {
    const Updates updates = Chain(Sgd({.learning_rate = 1.0}))
                                .Apply({w}, Gradients(Sum(loss), {w}));
    absl::StatusOr<Plan> plan = Compile(graph, {.updates = updates});
    EXPECT_TRUE(plan.ok()) << plan.status();
    std::vector<Feed> fed;
    for (const auto& [var, tensor] : feeds) fed.push_back({var, tensor});
    return plan->Run(fed);
  }
  Graph graph;
  Var z, label, w, loss;
  ReferenceFeeds feeds;
};

TEST(SoftmaxCrossEntropyTest, RefusesFedLabelsOutsideTheClasses) {
  for (int32_t wrong : {-1, 3, 2147483647}) {
    Labelled of({0, 2, wrong, 1});
    EXPECT_EQ(of.Step().message(),
              absl::StrCat("user.cc:3: SoftmaxCrossEntropy: expected labels of "
                           "0 to 2, found ",
                           wrong, " at row 2"));
    // Nothing has changed.
    for (float w : of.graph.Value(of.w).values<float>()) EXPECT_EQ(w, 0);
    EXPECT_EQ(EvaluateReference({of.loss}, of.feeds).status().message(),
              of.Step().message());
  }
  EXPECT_TRUE(Labelled({0, 2, 1}).Step().ok());
}

TEST(SoftmaxCrossEntropyTest, RefusesLabelsThatAreFedThroughAView) {
  Graph graph;
  const Var z = graph.Input("z", {4, 3});
  const Var label = graph.Input("label", {2, 2}, DType::kInt32);
  const Var loss = SoftmaxCrossEntropy(z, Reshape(label, {4}));
  auto plan = Compile(graph, {.fetch = {loss}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const Tensor logits({4, 3}, std::vector<float>(12, 0));
  const absl::Status status = plan->Run(
      {{z, logits}, {label, Tensor({2, 2}, std::vector<int32_t>{0, 1, 9, 2})}});
  EXPECT_NE(
      status.message().find("expected labels of 0 to 2, found 9 at row 2"),
      absl::string_view::npos)
      << status;
}

TEST(SoftmaxCrossEntropyTest, ComputedLabelsOutsideGiveNanGradients) {
  Graph graph;
  const Var z = graph.Input("z", {2, 3});
  const Var label = graph.Input("label", {2}, DType::kInt32);
  const Var loss = SoftmaxCrossEntropy(z, label + 1);
  const ReferenceFeeds feeds = {
      {z, Tensor({2, 3}, std::vector<float>(6, 0))},
      {label, Tensor({2}, std::vector<int32_t>{0, 2})}};
  ExpectAll(graph, loss, feeds, {std::log(3.0), kNan});
  ExpectAll(graph, Gradients(Sum(loss), {z})[0], feeds,
            {1.0 / 3, -2.0 / 3, 1.0 / 3, kNan, kNan, kNan});
}

TEST(SoftmaxCrossEntropyTest, IgnoresALabel) {
  const SoftmaxCrossEntropyOptions options = {.reduction = Reduction::kMean,
                                              .ignored_label = -100};
  Labelled of({0, -100, 2}, options);
  ExpectAll(of.graph, of.loss, of.feeds, {std::log(3.0)});
  ExpectAll(of.graph, Gradients(of.loss, {of.w})[0], of.feeds,
            {-1.0 / 6, 1.0 / 3, -1.0 / 6});
  // A row that does not count passes nothing on, whatever its logits.
  of.feeds[0].second.values<float>()[4] = kNan;
  ExpectAll(of.graph, of.loss, of.feeds, {std::log(3.0)});
  EXPECT_EQ(Labelled({0, 3, -100}, options).Step().message(),
            "user.cc:3: SoftmaxCrossEntropy: expected labels of 0 to 2, or "
            "-100, found 3 at row 1");
  Labelled none({-100, -100}, options);
  ExpectAll(none.graph, none.loss, none.feeds, {0});
}

TEST(SigmoidCrossEntropyTest, HasItsLimitsAtInfinity) {
  Graph graph;
  const Var z = graph.Input("z", {6}), p = graph.Input("p", {6});
  const Var loss = SigmoidCrossEntropy(z, p);
  const ReferenceFeeds feeds = {
      {z, Tensor({6}, std::vector<float>{kInf, kInf, -kInf, -kInf, 20, 3e38f})},
      {p, Tensor({6}, std::vector<float>{1, 0.5f, 0, 1, 1, 1})}};
  ExpectAll(graph, loss, feeds,
            {0, kInf, 0, kInf, std::log1p(std::exp(-20.0)), 0});
  const double small = 1 / (1 + std::exp(20.0));
  ExpectAll(graph, Gradients(Sum(loss), {z})[0], feeds,
            {0, 0.5, 0, -1, -small, 0});
}

// faults.md 8.
TEST(ActivationTest, HasItsLimitsAtInfinity) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const ReferenceFeeds feeds = {
      {x, Tensor({2}, std::vector<float>{-kInf, kInf})}};
  for (Var y : {Silu(x), Gelu(x), Gelu(x, GeluForm::kTanh), LeakyRelu(x, 0)}) {
    ExpectAll(graph, y, feeds, {0, kInf});
    const Var first = Gradients(Sum(y), {x})[0];
    ExpectAll(graph, first, feeds, {0, 1});
    ExpectAll(
        graph,
        Gradients(Sum(first), {x}, {.unconnected = Unconnected::kZero})[0],
        feeds, {0, 0});
  }
  const Var y = Softsign(x);
  ExpectAll(graph, y, feeds, {-1, 1});
  const Var first = Gradients(Sum(y), {x})[0];
  ExpectAll(graph, first, feeds, {0, 0});
  ExpectAll(graph, Gradients(Sum(first), {x})[0], feeds, {0, 0});
}

// faults.md 7.
TEST(ActivationTest, GeluKeepsItsNegativeTail) {
  Graph graph;
  const Var x = graph.Input("x", {6});
  const ReferenceFeeds feeds = {
      {x, Tensor({6}, std::vector<float>{-4, -5, -5.5, -6, -8, -12})}};
  ExpectAll(graph, Gelu(x), feeds,
            {-1.266850e-4, -1.433258e-6, -1.044426e-7, -5.919526e-9,
             -4.976768e-15, -2.131778e-32});
  ExpectAll(graph, Gradients(Sum(Gelu(x)), {x})[0], feeds,
            {-5.0364966e-4, -7.146946e-6, -5.7334724e-7, -3.5468709e-8,
             -3.9796073e-14, -2.5578957e-31});
}

// A loss and its gradient, by one kernel or by two: all bytes. Only one of the
// plans has the step for both.
std::string LossAndSlope(const Tensor& z, const Tensor& labels,
                         std::optional<int32_t> ignored, int threads,
                         bool joined) {
  Graph graph;
  const Var logits = graph.Input("z", z.shape());
  const Var classes = graph.Input("labels", labels.shape(), labels.dtype());
  const Var loss = SoftmaxCrossEntropy(
      logits, classes,
      {.reduction = Reduction::kNone, .ignored_label = ignored});
  const Var slope = Gradients(Sum(loss), {logits})[0];
  absl::StatusOr<Plan> plan = Compile(
      graph, {.fetch = {loss, slope},
              .threads = threads,
              .without = joined ? std::vector<std::string>()
                                : std::vector<std::string>{"join_kernels"}});
  EXPECT_TRUE(plan.ok()) << plan.status();
  const absl::Status status = plan->Run({{logits, z}, {classes, labels}});
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(absl::StrContains(plan->Dump(),
                              "SoftmaxCrossEntropy+SoftmaxCrossEntropySlope"),
            joined);
  std::string bytes;
  for (const Var fetch : {loss, slope}) {
    const TensorView value = plan->Value(fetch);
    bytes.append(static_cast<const char*>(value.data()), value.type().bytes());
  }
  return bytes;
}

// Of few columns a vector has a row in each lane: any number of rows, and of columns
// on both sides of what is few.
TEST(LossTest, NarrowRowsHaveWhatTheReferenceHas) {
  RandomStream random(/*seed=*/4, 0);
  for (int64_t columns = 1; columns <= 20; ++columns) {
    for (const int64_t rows : {1, 15, 16, 37}) {
      SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(columns));
      Tensor z({DType::kFloat32, {rows, columns}});
      Tensor classes({DType::kInt32, {rows}});
      for (float& logit : z.values<float>()) {
        logit = static_cast<float>(40 * random.Uniform() - 20);
      }
      for (int32_t& label : classes.values<int32_t>()) {
        label = static_cast<int32_t>(random.Below(columns));
      }
      Graph graph;
      const Var logits = graph.Input("z", z.shape());
      const Var labels = graph.Input("labels", {rows}, DType::kInt32);
      const Var loss = SoftmaxCrossEntropy(
          logits, labels, {.reduction = Reduction::kNone, .ignored_label = 1});
      const ReferenceFeeds feeds = {{logits, z}, {labels, classes}};
      for (const Var fetch : {loss, Gradients(Sum(loss), {logits})[0]}) {
        ExpectAll(graph, fetch, feeds, ByAll(graph, fetch, feeds).back());
      }
    }
  }
}

TEST(LossTest, OneKernelForLossAndSlopeHasTheBitsOfTwo) {
  RandomStream random(/*seed=*/3, 0);
  for (const int64_t columns : {1, 2, 10, 16, 17, 100, 128, 129, 300}) {
    SCOPED_TRACE(columns);
    const int64_t rows = 403;
    Tensor z({DType::kFloat32, {rows, columns}});
    Tensor p(z.type()), classes({DType::kInt32, {rows}});
    for (int64_t r = 0; r < rows; ++r) {
      // Rows of ordinary logits, of large ones, of one that is far above the
      // others, and of what is not finite.
      const float scale = r % 4 == 1 ? 1e4f : r % 4 == 2 ? 1e38f : 3;
      for (int64_t c = 0; c < columns; ++c) {
        z.values<float>()[r * columns + c] =
            scale * static_cast<float>(2 * random.Uniform() - 1);
        p.values<float>()[r * columns + c] =
            static_cast<float>(random.Uniform());
      }
      const auto place = static_cast<int32_t>(random.Below(columns));
      if (r % 4 == 3) z.values<float>()[r * columns + place] += 40;
      if (r % 50 == 7) {
        z.values<float>()[r * columns + place] = r % 3 == 0   ? kInf
                                                 : r % 3 == 1 ? -kInf
                                                              : kNan;
      }
      classes.values<int32_t>()[r] = r % 2 == 0 ? place : random.Below(columns);
    }
    for (const Tensor* labels : {&classes, &p}) {
      const std::optional<int32_t> ignored =
          labels == &classes ? std::optional<int32_t>(0) : std::nullopt;
      for (const int threads : {1, 2}) {
        EXPECT_EQ(LossAndSlope(z, *labels, ignored, threads, true),
                  LossAndSlope(z, *labels, ignored, threads, false));
      }
    }
  }
}

}  // namespace
}  // namespace tape
