// A run with its folder (models/training_run.h), of a model that diverges when
// it is told to. (Runs as a user makes them are in resume_program_test.cc.)
#include "models/training_run.h"

#include <cstdio>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "framework/framework.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;

class TrainingRunTest : public testing::Test {
 protected:
  TrainingRunTest()
      : folder_((fs::path(testing::TempDir()) /
                 testing::UnitTest::GetInstance()->current_test_info()->name())
                    .string()) {
    fs::remove_all(folder_);
    experiment_.name = "test";
    experiment_.variant = "own";
    experiment_.defaults.learning_rate = 4;
    experiment_.defaults.train = {
        .epochs = 10,
        .batches = {.batch_size = 1, .order = Order::kFixed},
        .on_divergence = OnDivergence::kStop};
    experiment_.declare = [this](Graph& graph, int64_t pixels,
                                 const Settings& settings, int64_t) {
      found_.push_back(Checkpoints());
      Classifier model;
      model.graph = &graph;
      model.images = graph.Input("images", {kBatch, pixels}, DType::kUint8);
      model.labels = graph.Input("labels", {kBatch}, DType::kInt32);
      const Var count = graph.Parameter("count", {}, Zeros());
      const Var steps = graph.State("steps", {}, Zeros());
      const Var images = Cast(model.images, DType::kFloat32);
      model.predicted = ArgMax(images);
      // NaN from the sixth update on, unless the rate is small.
      model.loss =
          settings.learning_rate > good_rate_ ? Log(5.5 - count) : Mean(images);
      if (settings.learning_rate > good_rate_ && ruined_after_ > 0) {
        const Var ruined =
            Greater(count, Fill(&graph, {}, ruined_after_ - 0.5));
        model.loss = Select(ruined, model.loss + 1e19, model.loss);
      }
      model.updates.assignments = {{count, count + 1.0}, {steps, steps + 1.0}};
      return model;
    };
  }

  std::set<std::string> Checkpoints() const {
    std::set<std::string> names;
    const fs::path path = CheckpointsIn(folder_);
    if (!fs::exists(path)) return names;
    for (const auto& entry : fs::directory_iterator(path)) {
      names.insert(entry.path().stem().string());
    }
    return names;
  }

  // Trains on two samples, or goes on; in `said`, what it says. Interrupted, if
  // it is not 0, after so many steps.
  TrainedRun Train(int interrupted_after = 0) {
    const auto samples = [](int64_t size) {
      return Dataset{.images = Tensor(TensorType{DType::kUint8, {size, 4}}),
                     .labels = Tensor(TensorType{DType::kInt32, {size}}),
                     .classes = 4};
    };
    const DataSplits data = {.train = samples(2), .test = samples(1)};
    const bool resumes = fs::exists(folder_);
    absl::StatusOr<RunDirectory> directory =
        resumes ? RunDirectory::Reopen(folder_) : RunDirectory::Create(folder_);
    EXPECT_TRUE(directory.ok()) << directory.status();
    RunFiles files = {
        .directory = *std::move(directory),
        .logs = {},
        .checkpoints = CheckpointFolder(CheckpointsIn(folder_), keep_),
        .checkpoint_every = every_};
    TrainingRun run;
    run.run = {.experiment = &experiment_, .settings = experiment_.defaults};
    run.run.goes_back = true;
    run.files = &files;
    int steps = 0;
    if (interrupted_after > 0) {
      run.run.settings.train.interrupted = [&steps, interrupted_after] {
        return ++steps == interrupted_after;
      };
    }
    if (resumes) {
      absl::StatusOr<std::optional<Checkpoint>> from =
          FindCheckpoint(folder_, stderr);
      EXPECT_TRUE(from.ok() && from->has_value()) << from.status();
      run.from = *std::move(from);
      EXPECT_TRUE(absl::SimpleAtoi(ValueOf(run.from->file.metadata, "returns"),
                                   &run.run.returns));
    }
    std::FILE* const out = std::tmpfile();
    std::FILE* const messages = std::tmpfile();
    absl::StatusOr<TrainedRun> trained;
    {
      Progress progress(out, experiment_.defaults.train.epochs, 2);
      trained = RunTraining(run, data, progress, messages);
    }
    EXPECT_TRUE(trained.ok()) << trained.status();
    std::rewind(messages);
    for (int c = std::fgetc(messages); c != EOF; c = std::fgetc(messages)) {
      said_.push_back(static_cast<char>(c));
    }
    std::fclose(messages);
    std::fclose(out);
    return *std::move(trained);
  }

  static std::string GoingBack(int step, double rate) {
    return absl::StrCat(
        "step 7, in epoch 4: the loss is nan; going back to step ", step,
        ", with a learning rate of ", rate, "\n");
  }

  const std::string folder_;
  double good_rate_ = 1;
  int ruined_after_ = 0;  // So many updates the loss is huge, but finite.
  int keep_ = 9;
  CheckpointEvery every_ = {.steps = 2};
  Experiment experiment_;
  std::vector<std::set<std::string>> found_;  // By each try, at its start.
  std::string said_;
};

TEST_F(TrainingRunTest, GoesBackFurtherEachTimeWithHalfTheRate) {
  const TrainedRun trained = Train();
  EXPECT_EQ(trained.result.end, End::kFinished);
  EXPECT_EQ(trained.settings.learning_rate, 1);
  // Step 6 has led to the bad loss at once, and step 4 to nothing better.
  EXPECT_EQ(said_, GoingBack(4, 2) + GoingBack(2, 1));
  const std::string step = "step-00000000000";
  EXPECT_THAT(
      found_,
      ElementsAre(std::set<std::string>{},
                  std::set<std::string>{step + "0", step + "2", step + "4"},
                  std::set<std::string>{step + "0", step + "2"}));

  // The weights that it ends with, and no state beside them.
  const absl::StatusOr<SafetensorsFile> model =
      ReadSafetensors(ModelFileIn(folder_), Checksum::kRequired);
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_EQ(model->arrays.size(), 1u);
  EXPECT_EQ(model->arrays[0].name, "count");
  EXPECT_EQ(ValueOf(model->metadata, "learning_rate"), "4");
  EXPECT_EQ(ValueOf(model->metadata, "returns"), "2");
}

TEST_F(TrainingRunTest, GoesBackToTheStartAgainIfThereIsNothingBetter) {
  every_ = {.epochs = 10};
  EXPECT_EQ(Train().result.end, End::kFinished);
  EXPECT_EQ(said_, GoingBack(0, 2) + GoingBack(0, 1));
}

TEST_F(TrainingRunTest, GoesBackToTheSameHoweverOftenItIsInterrupted) {
  for (const int keep : {9, 2}) {
    keep_ = keep;
    fs::remove_all(folder_);
    said_.clear();
    Train();
    const std::string said = said_;
    const std::string expected = ReadText(ModelFileIn(folder_));
    for (int after = 1; after <= 12; ++after) {
      SCOPED_TRACE(absl::StrCat("keeping ", keep, ", after ", after));
      fs::remove_all(folder_);
      said_.clear();
      int processes = 1;
      while (Train(after).result.end == End::kInterrupted) ++processes;
      EXPECT_GT(processes, 1);
      EXPECT_TRUE(ReadText(ModelFileIn(folder_)) == expected);
      EXPECT_EQ(said_, said);
    }
  }
}

TEST_F(TrainingRunTest, GoesBackByEpochsWhereTheClockSaves) {
  every_ = {.seconds = 1e-9};
  Train();
  EXPECT_EQ(said_, GoingBack(4, 2) + GoingBack(2, 1));
  EXPECT_EQ(Checkpoints().count("step-000000000000"), 1u);
}

TEST_F(TrainingRunTest, TheStartIsKeptHoweverFewAre) {
  keep_ = 1;
  EXPECT_EQ(Train().result.end, End::kFinished);
  EXPECT_EQ(said_, GoingBack(0, 2) + GoingBack(0, 1));
}

TEST_F(TrainingRunTest, DoesNotGoBackToRuinedWeights) {
  ruined_after_ = 3;
  EXPECT_EQ(Train().result.end, End::kFinished);
  EXPECT_EQ(said_, GoingBack(2, 2) + GoingBack(0, 1));
}

TEST_F(TrainingRunTest, TheModelFileHasTheStatesThatItsOutputsRead) {
  const auto declare = experiment_.declare;
  experiment_.declare = [&](Graph& graph, int64_t pixels,
                            const Settings& settings, int64_t updates) {
    Classifier model = declare(graph, pixels, settings, updates);
    const Var mean = graph.State("running_mean", {pixels}, Constant(3));
    model.predicted = ByMode(
        model.predicted, ArgMax(Cast(model.images, DType::kFloat32) - mean));
    return model;
  };
  good_rate_ = 4;
  EXPECT_EQ(Train().result.end, End::kFinished);
  const absl::StatusOr<SafetensorsFile> model =
      ReadSafetensors(ModelFileIn(folder_), Checksum::kRequired);
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_EQ(model->arrays.size(), 2u);
  EXPECT_EQ(model->arrays[0].name, "count");
  EXPECT_EQ(model->arrays[1].name, "running_mean");
}

TEST_F(TrainingRunTest, GivesUpGoingBackAfterTenTimes) {
  good_rate_ = 0;
  const TrainedRun trained = Train();
  EXPECT_EQ(trained.result.end, End::kDiverged);
  EXPECT_EQ(trained.settings.learning_rate, 4.0 / 1024);
  EXPECT_EQ(found_.size(), 1u + TrainingRun::kMostReturns);
  EXPECT_FALSE(fs::exists(ModelFileIn(folder_)));
}

}  // namespace
}  // namespace tape
