// A run of Tape 0.7, kept: golden/0.7/run, which that version's
//   train --experiment=fashion_64_64_adam --epochs=40
//     --checkpoint_every=20epochs --keep_checkpoints=1 --nohtml_report --jsonl
// made of 200 images of 6x6, in data, and predictions.txt, what its predict said
// of the 50 of the test set. What reads files of a run must go on reading these.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "framework/train/checkpoint.h"
#include "tests/file_testing.h"
#include "tests/models/program_testing.h"

namespace tape {
namespace {

using ::testing::HasSubstr;

constexpr char kFolder[] = "tests/models/golden/0.7";
constexpr char kCheckpoint[] =
    "tests/models/golden/0.7/run/checkpoints/step-000000000040.safetensors";

// The class of each image, out of lines of index, class and probability.
std::vector<std::string> ClassesIn(const std::string& lines) {
  std::vector<std::string> classes;
  for (absl::string_view line : absl::StrSplit(lines, '\n')) {
    const std::vector<std::string> words =
        absl::StrSplit(line, ' ', absl::SkipEmpty());
    if (words.size() == 3) classes.push_back(words[1]);
  }
  return classes;
}

TEST(GoldenTest, ModelsAndCheckpointsPredictWhatTheyDid) {
  const std::vector<std::string> expected =
      ClassesIn(ReadText(absl::StrCat(kFolder, "/predictions.txt")));
  ASSERT_EQ(expected.size(), 50u);
  for (const std::string& model :
       {absl::StrCat(kFolder, "/run"),
        absl::StrCat(kFolder, "/run/model.safetensors"),
        std::string(kCheckpoint)}) {
    const Outcome outcome = RunProgram(
        "models/predict",
        {"--checkpoint=" + model,
         absl::StrCat("--images=", kFolder, "/data/t10k-images-idx3-ubyte")});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(ClassesIn(outcome.out), expected) << model;
  }
}

TEST(GoldenTest, CheckpointsHoldTheStateOfTheRun) {
  const absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(kCheckpoint);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  EXPECT_EQ(checkpoint->state.step, 40);
  EXPECT_EQ(checkpoint->state.epoch, 41);  // That would be next.
  // Epochs 1, 11, 21, 31 and 40.
  ASSERT_EQ(checkpoint->state.history.size(), 5u);
  EXPECT_NEAR(checkpoint->state.history.back().test.loss, 0.7452577, 1e-6);
}

TEST(GoldenTest, FiguresAreComparedAndRead) {
  const std::string page = testing::TempDir() + "/golden.html";
  std::filesystem::remove(page);
  const Outcome outcome = RunProgram(
      "models/compare", {absl::StrCat(kFolder, "/run"), "--output=" + page});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(ReadText(page), HasSubstr("fashion_64_64_adam"));
}

// As CHANGELOG.md says.
TEST(GoldenTest, RunsAreNotGoneOnWith) {
  const std::string run = testing::TempDir() + "/golden_run";
  std::filesystem::remove_all(run);
  std::filesystem::copy(absl::StrCat(kFolder, "/run"), run,
                        std::filesystem::copy_options::recursive);
  const Outcome outcome = RunProgram(
      "models/train", {"--resume", "--epochs=41", "--run_dir=" + run,
                       absl::StrCat("--data_dir=", kFolder, "/data")});
  EXPECT_EQ(outcome.exit_code, 1);
  ExpectOneLineOfError(outcome, {"expected tape 0.7, as the run began"});
}

}  // namespace
}  // namespace tape
