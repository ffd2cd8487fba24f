// What a real run's report shows (models/report_run.h).
#include "models/report_run.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "framework/data/subset.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/run.h"
#include "tests/file_testing.h"
#include "tests/report/markup_testing.h"

namespace tape {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

// An experiment run on the first samples of its data, and its report.
struct Example {
  explicit Example(const std::string& name)
      : experiment(**FindExperiment(name)),
        settings(experiment.defaults),
        data(Part(experiment, settings)),
        graph({.seed = 3}) {
    settings.train.epochs = 2;
    settings.train.threads = 1;
    settings.train.profile = &profile;
    model = *DeclareModel(experiment, settings, data, graph);
    std::FILE* const nowhere = std::fopen("/dev/null", "w");
    Progress progress(nowhere, 2, data.train.size());
    result = *Train(model, data, settings.train, progress,
                    [](const EpochResult&) { return absl::OkStatus(); });
    std::fclose(nowhere);
    const auto gathered = GatherReport(Finished());
    EXPECT_TRUE(gathered.ok()) << gathered.status();
    if (gathered.ok()) input = *gathered;
  }

  FinishedRun Finished() const {
    return {experiment, settings, /*seed=*/3, "the/data",
            data,       model,    result,     profile};
  }

  static DataSplits Part(const Experiment& experiment,
                         const Settings& settings) {
    DataSplits all = *ReadDatasetFolder(experiment.data_dir);
    all.train = SplitAtRandom(all.train, {.fraction = 0.02})->part;
    // No multiple of the evaluation's batches.
    all.test = SplitAtRandom(all.test, {.fraction = 0.1234})->part;
    return *SelectData(experiment, settings, /*seed=*/3, std::move(all));
  }

  const Experiment& experiment;
  Settings settings;
  Profile profile = Profile(/*max_events=*/0);
  DataSplits data;
  Graph graph;
  Classifier model;
  TrainResult result;
  ReportInput input;
};

std::vector<std::string> Values(const std::vector<Fact>& facts,
                                const std::string& name) {
  std::vector<std::string> values;
  for (const Fact& fact : facts) {
    if (fact.name == name) values.push_back(fact.value);
  }
  return values;
}

TEST(ReportRunTest, GathersPredictionsThatAgreeWithTheRunsFigures) {
  const Example example("fashion_2_bottleneck");
  const ReportInput& input = example.input;
  const auto labels = example.data.test.labels.values<int32_t>();
  const auto predicted = input.predicted->values<int32_t>();
  const auto probabilities = input.probabilities->values<float>();
  const int64_t n = example.data.test.size();
  ASSERT_EQ(n, 1234);
  ASSERT_EQ(input.predicted->shape(), (Shape{n}));
  ASSERT_EQ(input.probabilities->shape(), (Shape{n, 10}));
  ASSERT_EQ(input.two_units->shape(), (Shape{n, 2}));
  ConfusionMatrix confusion(10);
  EXPECT_TRUE(confusion.Add(labels, predicted).ok());
  EXPECT_EQ(confusion.ToString(), example.result.confusion.ToString());
  for (int64_t i = 0; i < n; ++i) {
    const float* const row = &probabilities[i * 10];
    EXPECT_NEAR(std::accumulate(row, row + 10, 0.0), 1, 1e-5);
    EXPECT_EQ(row[predicted[i]], *std::max_element(row, row + 10));
  }
  // Each row has its own numbers, to the last.
  const auto outputs = input.two_units->values<float>();
  EXPECT_GT(std::abs(outputs[2 * n - 1]) + std::abs(outputs[2 * n - 2]), 0);
  EXPECT_EQ(input.weights->shape(), (Shape{784, 2}));
  EXPECT_FALSE(input.costliest.empty());
  EXPECT_EQ(input.class_names[9], "Ankle boot");
  EXPECT_EQ(Values(input.settings, "batch size"),
            std::vector<std::string>{"16"});
  EXPECT_EQ(Values(input.settings, "data"),
            std::vector<std::string>{"the/data"});
  EXPECT_EQ(Values(input.settings, "seed"), std::vector<std::string>{"3"});
  // 784 * 2 + 2 + 2 * 10 + 10.
  EXPECT_EQ(Values(input.settings, "parameters"),
            std::vector<std::string>{"1,600"});
  EXPECT_THAT(Values(input.versions, "oneDNN"),
              Contains(testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+")));
}

TEST(ReportRunTest, WritesAllFiguresOfARunWithTwoHiddenUnits) {
  const Example example("fashion_2_bottleneck");
  const std::string folder = testing::TempDir() + "/bottleneck";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  const absl::Status status = ReportRun(example.Finished(), folder);
  ASSERT_TRUE(status.ok()) << status;
  const Markup page(ReadText(folder + "/report.html"));
  ASSERT_TRUE(page.ok());
  for (const char* id :
       {"loss", "accuracy", "learning-rate", "confusion", "mistakes", "weights",
        "two-units", "graph", "labels", "samples"}) {
    EXPECT_EQ(page.Within(id, "svg").size(), 1u) << id;
    EXPECT_TRUE(std::filesystem::exists(folder + "/pictures/" + id + ".svg"));
    EXPECT_TRUE(std::filesystem::exists(folder + "/pictures/" + id + ".png"));
  }
  int64_t dots = 0;
  for (const Element& cloud : page.Within("two-units", "path", "cloud")) {
    const std::string d = cloud["d"];
    dots += std::count(d.begin(), d.end(), 'M');
  }
  EXPECT_EQ(dots, 1234);
  EXPECT_EQ(page.Within("mistakes", "image").size(), 12u);
  EXPECT_EQ(page.Within("samples", "image").size(), 100u);
}

TEST(ReportRunTest, OtherRunsHaveNoSuchCloud) {
  const Example example("mnist_h100_fast");
  EXPECT_FALSE(example.input.two_units.has_value());
  EXPECT_TRUE(example.input.class_names.empty());
  EXPECT_EQ(example.input.weights->shape()[0], 784);
  EXPECT_TRUE(example.input.graph.has_value()) << example.input.graph_note;
}

}  // namespace
}  // namespace tape
