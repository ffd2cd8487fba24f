// A run with its folder (models/training_run.h), of a model that diverges when
// it is told to. (Runs as a user makes them are in resume_program_test.cc.)
#include "models/training_run.h"

#include <cstdio>
#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/framework.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

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

  // Trains on two samples; in `said`, what it says.
  TrainedRun Train() {
    const auto samples = [](int64_t size) {
      return Dataset{.images = Tensor(TensorType{DType::kUint8, {size, 4}}),
                     .labels = Tensor(TensorType{DType::kInt32, {size}}),
                     .classes = 4};
    };
    const DataSplits data = {.train = samples(2), .test = samples(1)};
    absl::StatusOr<RunDirectory> directory = RunDirectory::Create(folder_);
    EXPECT_TRUE(directory.ok()) << directory.status();
    RunFiles files = {
        .directory = *std::move(directory),
        .logs = {},
        .checkpoints = CheckpointFolder(CheckpointsIn(folder_), 9),
        .checkpoint_every = every_};
    TrainingRun run;
    run.run = {.experiment = &experiment_, .settings = experiment_.defaults};
    run.run.goes_back = true;
    run.files = &files;
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
