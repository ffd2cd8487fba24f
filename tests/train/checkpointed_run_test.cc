// Runs that keep their checkpoints and go on by themselves
// (framework/train/checkpointed_run.h): a run that is cut off at each of its steps,
// one after the other, ends with the bits of one that is not.
#include "framework/train/checkpointed_run.h"

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "framework/framework.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/train/variable_bytes.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr int64_t kSteps = 12;  // 3 epochs of 4.

std::string NewFolder(const std::string& name) {
  const std::string folder = absl::StrCat(
      testing::TempDir(), "/",
      testing::UnitTest::GetInstance()->current_test_info()->name(), "_", name);
  fs::remove_all(folder);
  return folder;
}

struct Net {
  Net() {
    const Var x = graph.Input("x", {kBatch, 3});
    const Var y = graph.Input("y", {kBatch, 1});
    const Var h =
        Dropout(Relu(MatMul(x, graph.Parameter("w1", {3, 8}, He()))), 0.3);
    const Var predicted = MatMul(h, graph.Parameter("w2", {8, 1}, Glorot()));
    const Var loss = MeanSquaredError(predicted, y);
    model = {.graph = &graph,
             .feeds = {{x, "x"}, {y, "y"}},
             .loss = loss,
             .updates = Chain(Adam()).Apply(
                 graph.parameters(), Gradients(loss, graph.parameters()))};
  }

  // All its numbers' bytes.
  std::string Bytes() const { return VariableBytes(graph); }

  Graph graph;
  Model model;
};

DataTable Rows(int64_t count) {
  RandomStream random(1, 0);
  std::vector<float> x(3 * count), y(count);
  for (float& one : x) one = static_cast<float>(random.Uniform());
  for (float& one : y) one = static_cast<float>(random.Uniform());
  return {{{"x", Tensor({count, 3}, x)}, {"y", Tensor({count, 1}, y)}}};
}

TrainOptions Options(const std::string& folder) {
  TrainOptions options;
  options.epochs = 3;
  options.batches.batch_size = 5;
  options.batches.order = Order::kShuffled;
  options.checkpoints = folder;
  return options;
}

absl::StatusOr<TrainResult> TrainNet(Net& net, const TrainOptions& options) {
  Progress progress(nullptr, options.epochs, 20);
  return Train(net.model, {.train = Rows(20)}, options, progress);
}

TEST(CheckpointedRunTest, ARunCutOffAtEachStepEndsWithTheSameBits) {
  Net whole;
  const auto expected = TrainNet(whole, Options(NewFolder("whole")));
  ASSERT_TRUE(expected.ok()) << expected.status();
  EXPECT_EQ(expected->step, kSteps);

  const std::string folder = NewFolder("parts");
  for (int64_t part = 1;; ++part) {
    Net net;
    TrainOptions options = Options(folder);
    options.on_step = [](const StepResult&) { return AfterStep::kStop; };
    const auto result = TrainNet(net, options);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_TRUE(result->damaged_checkpoints.empty());
    ASSERT_EQ(result->step, std::min(part, kSteps));
    if (result->end == End::kInterrupted) continue;
    EXPECT_GE(part, kSteps);
    EXPECT_EQ(net.Bytes(), whole.Bytes());
    EXPECT_EQ(result->kept.train.loss, expected->kept.train.loss);
    break;
  }
  // Two are kept.
  EXPECT_EQ(std::distance(fs::directory_iterator(folder), {}), 2);
}

TEST(CheckpointedRunTest, AFinishedRunIsNotRepeated) {
  const std::string folder = NewFolder("run");
  Net first, again;
  ASSERT_TRUE(TrainNet(first, Options(folder)).ok());
  TrainOptions options = Options(folder);
  int64_t steps = 0;
  options.on_step = [&](const StepResult&) {
    ++steps;
    return AfterStep::kGoOn;
  };
  const auto result = TrainNet(again, options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->end, End::kFinished);
  EXPECT_EQ(steps, 0);
  EXPECT_EQ(again.Bytes(), first.Bytes());
}

TEST(CheckpointedRunTest, ADamagedCheckpointIsPassedOver) {
  const std::string folder = NewFolder("run");
  Net first, again;
  TrainOptions options = Options(folder);
  options.checkpoint_every.steps = 5;
  ASSERT_TRUE(TrainNet(first, options).ok());
  const std::string newest = folder + "/step-000000000012.safetensors";
  fs::resize_file(newest, fs::file_size(newest) - 1);
  const auto result = TrainNet(again, options);
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->damaged_checkpoints.size(), 1u);
  EXPECT_THAT(std::string(result->damaged_checkpoints[0].message()),
              HasSubstr(newest));
  EXPECT_EQ(again.Bytes(), first.Bytes());
}

TEST(CheckpointedRunTest, RefusesWhatContradictsIt) {
  const auto error = [](const TrainOptions& options) {
    Net net;
    return std::string(TrainNet(net, options).status().message());
  };
  TrainOptions options = Options(NewFolder("run"));
  options.save = [](const TrainingState&) { return absl::OkStatus(); };
  EXPECT_THAT(error(options),
              HasSubstr("expected checkpoints, or save and resume_from, found "
                        "both"));
  options = Options(NewFolder("run"));
  options.keep_checkpoints = 0;
  EXPECT_THAT(error(options),
              HasSubstr("expected keep_checkpoints of at least 1, found 0"));
  // Of another model.
  options = Options(NewFolder("run"));
  Net net;
  ASSERT_TRUE(TrainNet(net, options).ok());
  Net other;
  other.graph.State("more", {}, Zeros());
  EXPECT_THAT(
      std::string(TrainNet(other, options).status().message()),
      testing::AllOf(HasSubstr(options.checkpoints), HasSubstr("\"more\"")));
}

}  // namespace
}  // namespace tape
