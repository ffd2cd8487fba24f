// Training on shards (framework/data/data_source.h) in a process that is killed
// and continued.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/core/random.h"
#include "framework/core/tensor.h"
#include "framework/io/safetensors.h"
#include "tests/file_testing.h"
#include "tests/models/program_testing.h"

namespace tape {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// A file of x [samples,4], and y [samples,1]: a product of two columns of x with
// noise. Returns its path.
std::string WriteSamples(int64_t samples, uint64_t seed) {
  RandomStream random(seed, 0);
  std::vector<float> x, y;
  for (int64_t i = 0; i < samples; ++i) {
    for (int k = 0; k < 4; ++k) {
      x.push_back(static_cast<float>(random.Uniform()));
    }
    y.push_back(4 * x[4 * i] * x[4 * i + 1] +
                0.1F * static_cast<float>(random.Uniform()));
  }
  const Tensor inputs({samples, 4}, x), targets({samples, 1}, y);
  const std::string path =
      absl::StrCat(testing::TempDir(), "/samples-", seed, ".safetensors");
  EXPECT_TRUE(
      WriteSafetensors(path, {ViewOf("x", inputs), ViewOf("y", targets)}).ok());
  return path;
}

std::string NewFolder(const std::string& name) {
  const std::string folder = absl::StrCat(testing::TempDir(), "/", name);
  std::filesystem::remove_all(folder);
  return folder;
}

std::string ModelIn(const std::string& folder) {
  return ReadText(folder + "/model.safetensors");
}

// Number of kills: 8, or DATA_SOURCE_KILLS of the environment.
int Kills() {
  const char* const asked = std::getenv("DATA_SOURCE_KILLS");
  return asked == nullptr ? 8 : std::atoi(asked);
}

// The checkpoints hold the states of ReduceOnPlateau, BatchNorm, Dropout and
// AverageWeights, and the place in the source, whose blocks of 37 samples cross
// the ends of shards.
TEST(DataSourceKillTest, AKilledTrainingContinuesToTheSameBytes) {
  const std::string validation = WriteSamples(60, 1);
  const std::vector<std::string> shards = {
      WriteSamples(70, 2), WriteSamples(5, 3), WriteSamples(101, 4),
      WriteSamples(64, 5)};
  const auto train = [&](const std::string& folder,
                         ProcessOptions options = {}) {
    std::vector<std::string> arguments = {folder, validation};
    arguments.insert(arguments.end(), shards.begin(), shards.end());
    return RunProgram("tests/train/data_source_program", arguments,
                      std::move(options));
  };
  const std::string whole = NewFolder("whole");
  Calls calls;
  const Outcome expected = train(whole, {.calls = &calls});
  ASSERT_EQ(expected.exit_code, 0) << expected.err;
  // 15 steps in each of 8 epochs. The rate has fallen from 0.05.
  EXPECT_THAT(expected.out,
              AllOf(HasSubstr("steps 120,"), Not(HasSubstr("rate 0.05\n"))));
  const std::string model = ModelIn(whole);
  ASSERT_FALSE(model.empty());

  const int kills = Kills();
  int same = 0, from_checkpoint = 0;
  for (int i = 1; i <= kills; ++i) {
    // Half of the kills are at calls that change files.
    const bool at_files = i % 2 == 0;
    const SignalAt kill = {
        .signal = SIGKILL,
        .call = (at_files ? calls.files : calls.all) * i / (kills + 1),
        .calls = at_files ? SignalAt::kFiles : SignalAt::kAll,
        .and_end = true};
    SCOPED_TRACE(absl::StrCat("killed at call ", kill.call,
                              at_files ? " that changes files" : ""));
    const std::string folder = NewFolder("killed");
    EXPECT_EQ(train(folder, {.signals_at = {kill}}).exit_code, -SIGKILL);
    const Outcome continued = train(folder);
    EXPECT_EQ(continued.exit_code, 0) << continued.err;
    EXPECT_EQ(continued.out, expected.out);
    const bool is_same = ModelIn(folder) == model;
    EXPECT_TRUE(is_same);
    same += is_same;
    from_checkpoint += absl::StrContains(continued.err, "continues");
  }
  std::printf("%d of %d have the same bytes, %d from a checkpoint\n", same,
              kills, from_checkpoint);
  EXPECT_GT(from_checkpoint, kills / 2);
}

}  // namespace
}  // namespace tape
