// Parameters are loaded from arrays and saved as such, by name, all or none.
#include "framework/train/weights.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "framework/core/gradients.h"
#include "framework/core/initializer.h"
#include "framework/optim/optimizer.h"
#include "framework/optim/wrappers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace tape {
namespace {

using ::testing::ElementsAre;

// "layer1/w" [2,3] and "layer1/b" [3], of zeros, and a state that is no weight.
struct Model {
  Model() {
    w = graph.Parameter("layer1/w", {2, 3}, Zeros());
    b = graph.Parameter("layer1/b", {3}, Zeros());
    graph.State("step", {}, Zeros(), DType::kInt32);
  }
  Graph graph;
  Var w, b;
};

std::vector<float> ValuesOf(const Graph& graph, Var variable) {
  const auto values = graph.Value(variable).values<float>();
  return {values.begin(), values.end()};
}

const Tensor kMatrix({2, 3}, std::vector<float>{1, 2, 3, 4, 5, 6});
const Tensor kTransposed({3, 2}, std::vector<float>{1, 4, 2, 5, 3, 6});
const Tensor kVector({3}, std::vector<float>{7, 8, 9});

TEST(WeightsTest, ParametersAreLoadedByTheirOwnNames) {
  Model model;
  const absl::Status status = LoadWeights(
      model.graph, {ViewOf("layer1/b", kVector), ViewOf("layer1/w", kMatrix)});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(ValuesOf(model.graph, model.w), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(ValuesOf(model.graph, model.b), ElementsAre(7, 8, 9));
}

TEST(WeightsTest, TheMapGivesNamesAndLayout) {
  Model model;
  const absl::Status status = LoadWeights(
      model.graph,
      {ViewOf("fc.weight", kTransposed), ViewOf("fc.bias", kVector)},
      TorchLinears({"fc"}));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(ValuesOf(model.graph, model.w), ElementsAre(1, 2, 3, 4, 5, 6));
  EXPECT_THAT(ValuesOf(model.graph, model.b), ElementsAre(7, 8, 9));
}

TEST(WeightsTest, OtherFloatingPointTypesAreRounded) {
  Model model;
  const Tensor doubles({3}, std::vector<double>{0.1, 0.2, 0.3});
  const absl::Status status = LoadWeights(
      model.graph, {ViewOf("layer1/w", kMatrix), ViewOf("layer1/b", doubles)});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(ValuesOf(model.graph, model.b), ElementsAre(0.1f, 0.2f, 0.3f));
}

TEST(WeightsTest, AnArrayIsOfOneVariableAndItsNameOfOneArray) {
  Graph graph;
  const Var a = graph.Parameter("a", {3}, Zeros());
  graph.Parameter("b", {3}, Zeros());
  const Loc here = {"net.cc", 5};
  const WeightMap map = {{"a", {.name = "b"}}};
  const std::string message =
      ": the map of names: expected array \"b\" for one variable, found it "
      "for \"a\" and \"b\"";
  EXPECT_EQ(LoadWeights(graph, {ViewOf("b", kVector)}, map, {}, here),
            absl::InvalidArgumentError("net.cc:5: LoadWeights" + message));
  EXPECT_EQ(SaveWeights(graph, map, {}, here).status(),
            absl::InvalidArgumentError("net.cc:5: SaveWeights" + message));
  EXPECT_EQ(LoadWeights(graph,
                        {ViewOf("a", kVector), ViewOf("b", kVector),
                         ViewOf("a", kVector)},
                        {}, {}, here),
            absl::InvalidArgumentError(
                "net.cc:5: LoadWeights: array \"a\": expected one of that "
                "name, found another"));
  EXPECT_THAT(ValuesOf(graph, a), ElementsAre(0, 0, 0));
}

TEST(WeightsTest, WhatDoesNotFitIsListedAndNothingIsChanged) {
  const auto expect = [](const std::vector<StoredArray>& arrays,
                         const WeightMap& map, const std::string& message) {
    Model model;
    EXPECT_EQ(LoadWeights(model.graph, arrays, map, {}, {"net.cc", 5}),
              absl::InvalidArgumentError(message));
    EXPECT_THAT(ValuesOf(model.graph, model.w), ElementsAre(0, 0, 0, 0, 0, 0));
    EXPECT_THAT(ValuesOf(model.graph, model.b), ElementsAre(0, 0, 0));
  };
  expect({}, {},
         "net.cc:5: LoadWeights: array \"layer1/b\": expected it in the file, "
         "found none\n"
         "net.cc:5: LoadWeights: array \"layer1/w\": expected it in the file, "
         "found none");
  expect({ViewOf("layer1/w", kMatrix), ViewOf("0.bias", kVector)}, {},
         "net.cc:5: LoadWeights: array \"0.bias\": expected a parameter to "
         "take it, found none in the "
         "graph\n"
         "net.cc:5: LoadWeights: array \"layer1/b\": expected it in the file, "
         "found none");
  expect({ViewOf("layer1/w", kMatrix), ViewOf("layer1/b", kVector),
          ViewOf("layer1/c", kVector)},
         {},
         "net.cc:5: LoadWeights: array \"layer1/c\": expected a parameter to "
         "take it, found none in "
         "the graph");
  expect(
      {ViewOf("layer1/w", kTransposed), ViewOf("layer1/b", kVector)}, {},
      "net.cc:5: LoadWeights: array \"layer1/w\": expected [2,3], found [3,2]");
  expect({ViewOf("0.weight", kMatrix), ViewOf("0.bias", kVector)},
         TorchLinears({"0"}),
         "net.cc:5: LoadWeights: array \"0.weight\", parameter \"layer1/w\": "
         "expected [3,2], the "
         "parameter's shape transposed, found [2,3]");
  const Tensor numbers({3}, std::vector<int32_t>{1, 2, 3});
  expect({ViewOf("layer1/w", kMatrix), ViewOf("layer1/b", numbers)}, {},
         "net.cc:5: LoadWeights: array \"layer1/b\": expected floating-point "
         "numbers to make float32 "
         "of, found int32");
}

TEST(WeightsTest, AMapThatDoesNotFitTheGraphIsRefused) {
  Model model;
  const std::string message =
      "parameter \"layer1/b\": expected a matrix to transpose, found [3]\n"
      "the map of names: expected parameters of the graph, found \"layer2/w\"\n"
      "the map of names: expected parameters of the graph, found \"step\"";
  const WeightMap map = {{"layer1/b", {"b", /*transposed=*/true}},
                         {"layer2/w", {"w"}},
                         {"step", {"t"}}};
  const auto error_of = [&](absl::string_view call) {
    const std::string start = absl::StrCat("net.cc:5: ", call, ": ");
    return absl::InvalidArgumentError(absl::StrCat(
        start, absl::StrReplaceAll(message, {{"\n", "\n" + start}})));
  };
  EXPECT_EQ(LoadWeights(model.graph, {}, map, {}, {"net.cc", 5}),
            error_of("LoadWeights"));
  EXPECT_EQ(SaveWeights(model.graph, map, {}, {"net.cc", 5}).status(),
            error_of("SaveWeights"));
}

TEST(WeightsTest, SavedWeightsAreThoseThatWereLoaded) {
  Model model;
  ASSERT_TRUE(LoadWeights(model.graph, {ViewOf("layer1/w", kMatrix),
                                        ViewOf("layer1/b", kVector)})
                  .ok());
  absl::StatusOr<SavedWeights> saved =
      SaveWeights(model.graph, TorchLinears({"fc"}));
  ASSERT_TRUE(saved.ok()) << saved.status();
  const SavedWeights moved = *std::move(saved);
  ASSERT_EQ(moved.arrays.size(), 2u);
  EXPECT_EQ(moved.arrays[0].name, "fc.weight");
  EXPECT_EQ(moved.arrays[0].shape, Shape({3, 2}));
  EXPECT_EQ(moved.arrays[0].bytes, ViewOf("", kTransposed).bytes);
  EXPECT_EQ(moved.arrays[1].name, "fc.bias");
  // Not copied.
  EXPECT_EQ(moved.arrays[1].bytes.data(),
            static_cast<const char*>(model.graph.Value(model.b).data()));
}

// A model with running statistics, trained by a chain if asked.
struct WithStatistics {
  explicit WithStatistics(bool trains) {
    const Var x = graph.Input("x", {kBatch, 2});
    const Var scale = graph.Parameter("scale", {2}, Constant(1));
    const Var shift = graph.Parameter("shift", {2}, Zeros());
    mean = graph.State("mean", {2}, Zeros());
    variance = graph.State("variance", {2}, Constant(1));
    by_hand = graph.State("by_hand", {2}, Zeros());
    y = BatchNormInference(x, scale, shift, {mean, variance});
    if (!trains) return;
    const Var loss = Mean(BatchNorm(x, scale, shift, {mean, variance}).y);
    Chain(AverageWeights(0.5), Accumulate(2, Adam()))
        .Apply({scale, shift}, Gradients(loss, {scale, shift}));
  }
  Graph graph;
  Var mean, variance, by_hand, y;
};

std::vector<std::string> NamesOf(const SavedWeights& saved) {
  std::vector<std::string> names;
  for (const StoredArray& array : saved.arrays) names.push_back(array.name);
  return names;
}

TEST(WeightsTest, RunningStatisticsAreSavedAndLoadedWithTheParameters) {
  WithStatistics trained(/*trains=*/true);
  ASSERT_TRUE(trained.graph.status().ok()) << trained.graph.status();
  const Tensor mean({2}, std::vector<float>{5, 6});
  const Tensor variance({2}, std::vector<float>{7, 8});
  ASSERT_TRUE(trained.graph.SetValue(trained.mean, mean).ok());
  ASSERT_TRUE(trained.graph.SetValue(trained.variance, variance).ok());
  const absl::StatusOr<SavedWeights> saved = SaveWeights(trained.graph);
  ASSERT_TRUE(saved.ok()) << saved.status();
  // Nothing that the chain has declared.
  EXPECT_THAT(NamesOf(*saved),
              ElementsAre("scale", "shift", "mean", "variance", "by_hand"));
  WithStatistics loaded(/*trains=*/false);
  const absl::Status status = LoadWeights(loaded.graph, saved->arrays);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(ValuesOf(loaded.graph, loaded.mean), ElementsAre(5, 6));
  EXPECT_THAT(ValuesOf(loaded.graph, loaded.variance), ElementsAre(7, 8));

  // With outputs, the states that they depend on.
  const absl::StatusOr<SavedWeights> of_y = SaveWeights(
      trained.graph, {{"mean", {.name = "bn.running_mean"}}}, {trained.y});
  ASSERT_TRUE(of_y.ok()) << of_y.status();
  EXPECT_THAT(NamesOf(*of_y),
              ElementsAre("scale", "shift", "bn.running_mean", "variance"));
}

TEST(WeightsTest, AMissingStatisticIsNamed) {
  WithStatistics model(/*trains=*/false);
  std::vector<StoredArray> arrays = SaveWeights(model.graph)->arrays;
  std::erase_if(arrays, [](const StoredArray& array) {
    return array.name == "variance";
  });
  EXPECT_EQ(LoadWeights(model.graph, arrays, {}, {}, Loc()),
            absl::InvalidArgumentError(
                "LoadWeights: array \"variance\": expected it in the "
                "file, found none"));
}

TEST(WeightsTest, AreNotLoadedWhileAPlanRuns) {
  Model model;
  const std::vector<StoredArray> arrays = {ViewOf("layer1/b", kVector),
                                           ViewOf("layer1/w", kMatrix)};
  {
    // What a running plan holds.
    const Variables::Run run(*model.graph.shared_variables(), /*writes=*/false);
    EXPECT_EQ(LoadWeights(model.graph, arrays, {}, {}, {"net.cc", 5}),
              absl::FailedPreconditionError(
                  "net.cc:5: LoadWeights: a plan of the graph is running"));
    EXPECT_THAT(ValuesOf(model.graph, model.w), ElementsAre(0, 0, 0, 0, 0, 0));
    EXPECT_THAT(ValuesOf(model.graph, model.b), ElementsAre(0, 0, 0));
  }
  EXPECT_TRUE(LoadWeights(model.graph, arrays).ok());
}

}  // namespace
}  // namespace tape
