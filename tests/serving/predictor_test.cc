// Predictions by saved models (framework/serving/predictor.h): from one thread
// and from many at once, by columns and by tables of text.
#include "framework/serving/predictor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/graph.h"
#include "framework/core/random.h"
#include "framework/data/features.h"
#include "ops/ops.h"
#include "tests/allocation_testing.h"

namespace tape {
namespace {

using ::testing::ElementsAreArray;
using ::testing::HasSubstr;

constexpr int kWidth = 5;

// A network of one hidden layer, saved.
std::string SaveNet(const ModelCard& card = {}) {
  Graph graph({.seed = 3});
  const Var x = graph.Input("x", {kBatch, kWidth});
  const Var hidden =
      Tanh(MatMul(x, graph.Parameter("w1", {kWidth, 16}, Glorot())));
  const Var logits = MatMul(hidden, graph.Parameter("w2", {16, 3}, Glorot()));
  const Model model = {.graph = &graph,
                       .feeds = {{x, "features"}},
                       .outputs = {{"probabilities", Softmax(logits)},
                                   {"class", ArgMax(logits)}}};
  const std::string path = testing::TempDir() + "/net.safetensors";
  const absl::Status status = SaveModel(path, model, card);
  EXPECT_TRUE(status.ok()) << status;
  return path;
}

Predictor Load(const std::string& path, const PredictorOptions& options = {}) {
  absl::StatusOr<Predictor> predictor = Predictor::Load(path, options);
  EXPECT_TRUE(predictor.ok()) << predictor.status();
  return *std::move(predictor);
}

DataTable Samples(uint64_t seed, int64_t count) {
  Tensor x({DType::kFloat32, {count, kWidth}});
  RandomStream random(seed, 0);
  for (float& one : x.values<float>()) {
    one = static_cast<float>(random.Uniform());
  }
  return {.columns = {{"features", std::move(x)}}};
}

std::vector<float> Answer(const Predictor& predictor, const DataTable& rows) {
  const absl::StatusOr<DataTable> found = predictor.Predict(rows);
  EXPECT_TRUE(found.ok()) << found.status();
  if (!found.ok()) return {};
  const auto values = found->Find("probabilities")->values<float>();
  return {values.begin(), values.end()};
}

TEST(PredictorTest, PredictsAnyNumberOfRowsInBatches) {
  const std::string path = SaveNet();
  const Predictor whole = Load(path);
  const Predictor batches = Load(path, {.batch_size = 4});
  for (const int64_t count : {0, 1, 3, 4, 5, 11}) {
    const DataTable rows = Samples(1, count);
    const auto found = batches.Predict(rows);
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->size(), count);
    EXPECT_EQ(found->Find("class")->type(),
              (TensorType{DType::kInt32, {count}}));
    const std::vector<float> all = Answer(whole, rows);
    const std::vector<float> parts = Answer(batches, rows);
    ASSERT_EQ(parts.size(), all.size());
    for (size_t i = 0; i < all.size(); ++i) EXPECT_NEAR(parts[i], all[i], 1e-6);
  }
}

TEST(PredictorTest, ThreadsPredictAtOnceAsOneDoes) {
  const Predictor predictor = Load(SaveNet());
  constexpr int kThreads = 4, kRequests = 200;
  const auto request = [](int i) { return Samples(i, 1 + i * 7 % 20); };
  std::vector<std::vector<float>> expected;
  for (int i = 0; i < kRequests; ++i) {
    expected.push_back(Answer(predictor, request(i)));
  }
  std::vector<int> different(kThreads, 0);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRequests; ++i) {
        different[t] += Answer(predictor, request(i)) != expected[i];
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(different, ElementsAreArray(std::vector<int>(kThreads, 0)));
}

// Saves a model without products, in which oneDNN would allocate. Returns its
// path.
std::string SaveElementwise() {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, kWidth});
  const Model model = {
      .graph = &graph, .feeds = {{x, "features"}}, .outputs = {{"y", Tanh(x)}}};
  const std::string path = testing::TempDir() + "/elementwise.safetensors";
  EXPECT_TRUE(SaveModel(path, model).ok());
  return path;
}

// Returns how often one prediction calls operator new, which a Tensor's memory
// does not come from.
int64_t AllocationsOfCall(const Predictor& predictor, const DataTable& rows) {
  const int64_t before = AllocationCount();
  const absl::StatusOr<DataTable> found = predictor.Predict(rows);
  const int64_t allocations = AllocationCount() - before;
  EXPECT_TRUE(found.ok()) << found.status();
  return allocations;
}

TEST(PredictorTest, ALaterCallAllocatesItsAnswerAlone) {
  const Predictor predictor = Load(SaveElementwise());
  const DataTable rows = Samples(1, 1);
  EXPECT_GT(AllocationsOfCall(predictor, rows), 1);  // Makes a session.
  EXPECT_EQ(AllocationsOfCall(predictor, rows), 1);
}

TEST(PredictorTest, ANewThreadTakesASessionThatIsThere) {
  const Predictor predictor = Load(SaveElementwise());
  const DataTable rows = Samples(1, 1);
  AllocationsOfCall(predictor, rows);
  // More threads than lists of sessions. A list allocates as it grows.
  for (int i = 0; i < 40; ++i) {
    int64_t allocations = 0;
    std::thread([&] {
      allocations = AllocationsOfCall(predictor, rows);
    }).join();
    EXPECT_LE(allocations, 2) << i;
  }
}

// A table of two numbers and a category of three.
Tabular Text() {
  return {.columns = {{.name = "size", .numbers = {1, 2, 3, 5}},
                      {.name = "age", .numbers = {4, 4, 2, 1}},
                      {.name = "kind",
                       .categories = {0, 1, 2, 0},
                       .values = {"a", "b", "c"}}},
          .rows = 4};
}

TEST(PredictorTest, PredictsTablesOfTextByTheFeaturesOfTheFile) {
  const absl::StatusOr<Features> features = Features::Fit(Text());
  ASSERT_TRUE(features.ok()) << features.status();
  ASSERT_EQ(features->width(), kWidth);
  const Predictor predictor = Load(SaveNet({.features = *features}));
  const absl::StatusOr<DataTable> found = predictor.Predict(Text());
  ASSERT_TRUE(found.ok()) << found.status();
  DataTable rows;
  rows.columns.push_back({"features", *features->Apply(Text())});
  const auto expected = Answer(predictor, rows);
  EXPECT_THAT(found->Find("probabilities")->values<float>(),
              ElementsAreArray(expected));

  Tabular other = Text();
  other.columns.erase(other.columns.begin());
  EXPECT_THAT(std::string(predictor.Predict(other).status().message()),
              HasSubstr("expected a column \"size\", found \"age\", \"kind\""));
  EXPECT_THAT(std::string(Load(SaveNet()).Predict(Text()).status().message()),
              HasSubstr("saved with features, found one without"));
}

Tensor Zeros(int64_t width) {
  return Tensor(TensorType{DType::kFloat32, {1, width}});
}

TEST(PredictorTest, RefusesOtherColumns) {
  const Predictor predictor = Load(SaveNet());
  const auto refused = [&](const DataTable& table) {
    return std::string(predictor.Predict(table).status().message());
  };
  EXPECT_THAT(refused({}),
              HasSubstr("Predict: expected a column \"features\", found no "
                        "column"));
  EXPECT_THAT(refused({.columns = {{"x", Zeros(5)}}}),
              HasSubstr("expected a column \"features\", found \"x\""));
  EXPECT_THAT(
      refused({.columns = {{"features", Zeros(4)}}}),
      HasSubstr("column \"features\": expected [batch,5], found [1,4]"));
  DataTable whole;
  whole.columns.push_back(
      {"features", Tensor(TensorType{DType::kInt32, {1, 5}})});
  EXPECT_THAT(refused(whole),
              HasSubstr("expected [batch,5], found int32[1,5]"));
  Predictor moved = Load(SaveNet());
  const Predictor to = std::move(moved);
  // NOLINTNEXTLINE(bugprone-use-after-move)
  EXPECT_EQ(moved.Predict(Samples(1, 1)).status().code(),
            absl::StatusCode::kFailedPrecondition);
}

TEST(PredictorTest, RefusesOutputsThatAreNotOfSamples) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 2});
  const Model model = {
      .graph = &graph, .feeds = {{x, "x"}}, .outputs = {{"mean", Mean(x)}}};
  const std::string path = testing::TempDir() + "/mean.safetensors";
  ASSERT_TRUE(SaveModel(path, model).ok());
  EXPECT_EQ(Predictor::Load(path).status(),
            absl::InvalidArgumentError(absl::StrCat(
                path,
                ": expected outputs [batch, …], a row for each sample, found "
                "\"mean\" []")));
}

}  // namespace
}  // namespace tape
