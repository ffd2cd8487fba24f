// What an experiment makes of a data set, and a model of both (models/run.h).
#include "models/run.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/framework.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/mlp.h"
#include "ops/ops.h"

namespace tape {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// 40 samples of one pixel, their number, with labels 0, 0, 0, 1, 0, 0, 0, 1, ….
Dataset QuarterOnes() {
  std::vector<uint8_t> pixels;
  std::vector<int32_t> labels;
  for (int i = 0; i < 40; ++i) {
    pixels.push_back(static_cast<uint8_t>(i));
    labels.push_back(i % 4 == 3);
  }
  return {.images = Tensor({40, 1}, pixels),
          .labels = Tensor({40}, labels),
          .classes = 10};
}

DataSplits SmallData() {
  return {.train = QuarterOnes(), .test = QuarterOnes()};
}

// An experiment about these labels, all if there are none.
Experiment About(std::vector<int> labels) {
  Experiment experiment;
  experiment.labels = std::move(labels);
  return experiment;
}

Settings Validation(double share,
                    Stratification stratification = Stratification::kNone) {
  Settings settings = {};
  settings.validation = share;
  settings.stratification = stratification;
  return settings;
}

std::vector<int> Numbers(const Dataset& dataset) {
  const auto pixels = dataset.images.values<uint8_t>();
  return {pixels.begin(), pixels.end()};
}

int CountOf(const Dataset& dataset, int label) {
  const auto labels = dataset.labels.values<int32_t>();
  return static_cast<int>(std::count(labels.begin(), labels.end(), label));
}

DataSplits Selected(const Experiment& experiment, const Settings& settings,
                    uint64_t seed) {
  absl::StatusOr<DataSplits> data =
      SelectData(experiment, settings, seed, SmallData());
  EXPECT_TRUE(data.ok()) << data.status();
  return data.ok() ? *std::move(data) : DataSplits();
}

TEST(SelectDataTest, TakesAllUnlessToldOtherwise) {
  const DataSplits data = Selected(About({}), Validation(0), 0);
  EXPECT_EQ(Numbers(data.train), Numbers(QuarterOnes()));
  EXPECT_EQ(Numbers(data.test), Numbers(QuarterOnes()));
  EXPECT_EQ(data.validation.size(), 0);
}

TEST(SelectDataTest, TakesTheExperimentsLabelsOfTrainingAndTestSet) {
  const DataSplits data = Selected(About({1}), Validation(0), 0);
  EXPECT_THAT(Numbers(data.train),
              ElementsAre(3, 7, 11, 15, 19, 23, 27, 31, 35, 39));
  EXPECT_EQ(Numbers(data.test), Numbers(data.train));
  EXPECT_EQ(data.train.classes, 10);
}

TEST(SelectDataTest, SplitsValidationOffTheTrainingSetBySeed) {
  const Settings settings = Validation(0.25);
  const DataSplits data = Selected(About({}), settings, 7);
  EXPECT_EQ(data.train.size(), 30);
  EXPECT_EQ(data.validation.size(), 10);
  EXPECT_EQ(Numbers(data.test), Numbers(QuarterOnes()));
  std::vector<int> both = Numbers(data.train);
  for (int number : Numbers(data.validation)) both.push_back(number);
  EXPECT_THAT(both, testing::UnorderedElementsAreArray(Numbers(QuarterOnes())));

  EXPECT_EQ(Numbers(Selected(About({}), settings, 7).validation),
            Numbers(data.validation));
  EXPECT_NE(Numbers(Selected(About({}), settings, 8).validation),
            Numbers(data.validation));
}

TEST(SelectDataTest, SplitsTheSamplesWithTheLabelsNotTheOthers) {
  const DataSplits data = Selected(About({1}), Validation(0.2), 7);
  EXPECT_EQ(data.validation.size(), 2);
  EXPECT_EQ(CountOf(data.validation, 1), 2);
  EXPECT_EQ(data.train.size(), 8);
}

TEST(SelectDataTest, StratifiesIfItIsTold) {
  bool chance_differs = false;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    const Dataset by_label =
        Selected(About({}), Validation(0.2, Stratification::kByLabel), seed)
            .validation;
    EXPECT_EQ(CountOf(by_label, 0), 6);
    EXPECT_EQ(CountOf(by_label, 1), 2);
    chance_differs |=
        CountOf(Selected(About({}), Validation(0.2), seed).validation, 1) != 2;
  }
  EXPECT_TRUE(chance_differs);
}

TEST(SelectDataTest, PassesOnWhatCannotBeSelected) {
  EXPECT_THAT(
      SelectData(About({5}), Validation(0), 0, SmallData()).status().message(),
      HasSubstr("SelectLabels: "));
  EXPECT_THAT(SelectData(About({}), Validation(0.001), 0, SmallData())
                  .status()
                  .message(),
              HasSubstr("SplitAtRandom: "));
}

// An experiment whose declaration is `declare`.
Experiment Declaring(
    std::function<void(Graph& graph, int64_t pixels, int64_t updates)>
        declare) {
  Experiment experiment;
  experiment.variant = "corrected";
  experiment.declare = [declare](Graph& graph, int64_t pixels, const Settings&,
                                 int64_t updates) {
    declare(graph, pixels, updates);
    Classifier model;
    model.graph = &graph;
    return model;
  };
  return experiment;
}

TEST(DeclareModelTest, TellsPixelsAndHowManyUpdatesThereWillBe) {
  // 40 samples in batches of 12, five epochs.
  Settings settings = {};
  settings.train.epochs = 5;
  settings.train.batches.batch_size = 12;
  int64_t pixels = 0, updates = 0;
  const Experiment experiment = Declaring([&](Graph&, int64_t p, int64_t u) {
    pixels = p;
    updates = u;
  });
  Graph kept;
  ASSERT_TRUE(DeclareModel(experiment, settings, SmallData(), kept).ok());
  EXPECT_EQ(pixels, 1);
  EXPECT_EQ(updates, 20);
  settings.train.batches.last = LastBatch::kDrop;
  Graph dropped;
  ASSERT_TRUE(DeclareModel(experiment, settings, SmallData(), dropped).ok());
  EXPECT_EQ(updates, 15);
}

TEST(DeclareModelTest, MistakesOfTheDeclarationComeOutALineEach) {
  Graph graph;
  const absl::Status status =
      DeclareModel(Declaring([](Graph& graph, int64_t pixels, int64_t) {
                     const auto [images, labels] = SampleInputs(graph, pixels);
                     MatMul(images, labels);
                     Relu(labels);
                   }),
                   Settings(), SmallData(), graph)
          .status();
  EXPECT_THAT(status.message(), HasSubstr("run_test.cc"));
  EXPECT_THAT(status.message(), HasSubstr("MatMul"));
  EXPECT_THAT(status.message(), HasSubstr("\n"));
  EXPECT_THAT(status.message(), HasSubstr("Relu"));
}

TEST(DeclareModelTest, AsWrittenTakesNoRegularizers) {
  const Experiment& as_written = **FindExperiment("mnist_h5", "as_written");
  const Experiment& corrected = **FindExperiment("mnist_h5", "corrected");
  for (double Settings::*strength :
       {&Settings::l1, &Settings::l2, &Settings::proximal_l1}) {
    Settings settings = as_written.defaults;
    settings.*strength = 1e-3;
    Graph refused;
    EXPECT_EQ(DeclareModel(as_written, settings, SmallData(), refused).status(),
              absl::InvalidArgumentError(
                  "mnist_h5: the variant as_written has the updates of its "
                  "document, and takes no regularisers"));
    Graph taken;
    EXPECT_TRUE(DeclareModel(corrected, settings, SmallData(), taken).ok());
  }
  Graph graph;
  EXPECT_TRUE(
      DeclareModel(as_written, as_written.defaults, SmallData(), graph).ok());
}

TEST(SummarizeTest, HasTheFiguresOfTheKeptEpoch) {
  Experiment experiment = About({});
  experiment.name = "small";
  experiment.variant = "own";
  TrainResult result;
  result.kept.train = {.epoch = 3, .loss = 1, .accuracy = 0.1};
  result.kept.test = {.epoch = 3, .loss = 2, .accuracy = 0.2};
  result.epochs = 5;
  result.threads = 2;
  result.seconds = 6;
  result.samples_per_second = 7;
  const RunSummary without = Summarize(experiment, 9, result);
  EXPECT_EQ(without.experiment, "small");
  EXPECT_EQ(without.variant, "own");
  EXPECT_EQ(without.seed, 9u);
  EXPECT_EQ(without.threads, 2);
  EXPECT_EQ(without.epochs, 5);
  EXPECT_EQ(without.kept_epoch, 3);
  EXPECT_EQ(without.train_loss, 1);
  EXPECT_EQ(without.train_accuracy, 0.1);
  EXPECT_TRUE(std::isnan(without.validation_loss));
  EXPECT_TRUE(std::isnan(without.validation_accuracy));
  EXPECT_EQ(without.test_loss, 2);
  EXPECT_EQ(without.test_accuracy, 0.2);
  EXPECT_EQ(without.seconds, 6);
  EXPECT_EQ(without.samples_per_second, 7);

  result.kept.validation = {.epoch = 3, .loss = 4, .accuracy = 0.4};
  const RunSummary with = Summarize(experiment, 9, result);
  EXPECT_EQ(with.validation_loss, 4);
  EXPECT_EQ(with.validation_accuracy, 0.4);
}

}  // namespace
}  // namespace tape
