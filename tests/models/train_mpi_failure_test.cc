// The program train_mpi with ranks that die, hang or are interrupted: the run ends
// with a message that names the rank, and --resume goes on to the same bits on any
// number of ranks.
//
// TRAIN_MPI_KILLS=30 in the environment has it kill so many runs at random moments;
// each must then end within ten seconds.
#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/distributed/mpi_testing.h"
#include "tests/models/program_testing.h"
#include "tests/models/run_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr char kTrainMpi[] = "models/train_mpi";
constexpr int64_t kStepsPerEpoch = 10;

using Arguments = std::vector<std::string>;

// A run that ends only if it is ended; resumed with fewer epochs it finishes.
Arguments RunFlags(const fs::path& run, const Arguments& more) {
  Arguments arguments = {"--experiment=mnist_500_250_100_adam",
                         "--batch_size=60",
                         "--epochs=100000",
                         "--checkpoint_every=5steps",
                         "--shards=8",
                         "--threads=1",
                         "--nohtml_report",
                         "--data_dir=" + SmallDataFolder(),
                         "--run_dir=" + run.string()};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// The step of the newest checkpoint; -1 if there is none.
int64_t LastStep(const fs::path& run) {
  // "step-000000000120.safetensors".
  const std::string name = NewestCheckpoint(run);
  int64_t step = -1;
  const size_t dash = name.find('-');
  if (dash == std::string::npos ||
      !absl::SimpleAtoi(name.substr(dash + 1, name.find('.') - dash - 1),
                        &step)) {
    return -1;
  }
  return step;
}

// Waits until a run has saved a step from `step` on, or has ended; then sends the
// signal to a rank. Returns the moment.
std::chrono::steady_clock::time_point SendToRank(pid_t mpirun,
                                                 const fs::path& run,
                                                 int64_t step, int rank,
                                                 int number) {
  while (LastStep(run) < step && !ProcessesOf(mpirun, kTrainMpi).empty()) {
    SleepFor(0.002);
  }
  const std::map<int, pid_t> ranks = ProcessesOf(mpirun, kTrainMpi);
  const auto process = ranks.find(rank);
  EXPECT_NE(process, ranks.end()) << "rank " << rank;
  const auto moment = std::chrono::steady_clock::now();
  if (process != ranks.end()) kill(process->second, number);
  return moment;
}

// Expects that a run that was ended goes on to the bits of one that was not, on 1,
// 2 and 4 ranks.
void ExpectGoesOn(const fs::path& run) {
  const int64_t step = LastStep(run);
  ASSERT_GE(step, 0);
  const std::string epochs =
      absl::StrCat("--epochs=", step / kStepsPerEpoch + 2);
  const fs::path whole = NewFolder("whole");
  const Outcome reference = RunProgram(kTrainMpi, RunFlags(whole, {epochs}));
  ASSERT_EQ(reference.exit_code, 0) << reference.err;
  const Left expected(whole);
  ASSERT_FALSE(expected.model.empty());
  for (const int ranks : {1, 2, 4}) {
    SCOPED_TRACE(absl::StrCat("resumed on ", ranks, " ranks"));
    const fs::path copy = NewFolder("copy");
    fs::copy(run, copy, fs::copy_options::recursive);
    const Outcome outcome = RunMpi(
        kTrainMpi, {{ranks,
                     {"--resume", epochs, "--run_dir=" + copy.string(),
                      "--checkpoint_every=5steps", "--threads=1",
                      "--nohtml_report", "--data_dir=" + SmallDataFolder()}}});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    EXPECT_EQ(outcome.err, "");
    EXPECT_THAT(outcome.out,
                HasSubstr(absl::StrCat("going on after step ", step, ",")));
    const Left left(copy);
    EXPECT_EQ(left.metrics, expected.metrics);
    EXPECT_TRUE(left.arrays == expected.arrays);
    EXPECT_TRUE(left.model == expected.model);
  }
}

TEST(TrainMpiFailureTest, AKilledRankEndsTheRunWhichGoesOnToTheSameBits) {
  const char* const asked = std::getenv("TRAIN_MPI_KILLS");
  const int kills = asked == nullptr ? 3 : std::atoi(asked);
  std::mt19937 random(asked == nullptr ? 22 : std::random_device()());
  double longest = 0;
  for (int i = 0; i < kills; ++i) {
    const int rank = asked == nullptr ? i + 1 : static_cast<int>(random() % 4);
    const int64_t step = 5 * (1 + static_cast<int64_t>(random() % 12));
    SCOPED_TRACE(absl::StrCat("rank ", rank, ", after step ", step));
    const fs::path run = NewFolder("killed");
    std::chrono::steady_clock::time_point killed;
    const Outcome outcome = RunMpi(
        kTrainMpi, {{4, RunFlags(run, {})}}, {.meanwhile = [&](pid_t mpirun) {
          while (ProcessesOf(mpirun, kTrainMpi).empty()) SleepFor(0.002);
          killed = SendToRank(mpirun, run, step, rank, SIGKILL);
        }});
    const double seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - killed)
            .count();
    longest = std::max(longest, seconds);
    std::printf("kill %d: rank %d, saved step %d, ended in %.2f s\n", i + 1,
                rank, static_cast<int>(LastStep(run)), seconds);
    if (asked != nullptr) {
      EXPECT_LT(seconds, 10);
    }
    EXPECT_GT(outcome.exit_code, 0);
    EXPECT_THAT(outcome.err, HasSubstr(absl::StrCat("rank ", rank)));
    EXPECT_FALSE(fs::exists(run / "model.safetensors"));
    ExpectGoesOn(run);
  }
  std::printf("%d kills, the longest end %.2f s\n", kills, longest);
}

TEST(TrainMpiFailureTest, ARankThatHangsEndsTheRunAndIsNamed) {
  for (const int rank : {1, 3}) {
    SCOPED_TRACE(absl::StrCat("rank ", rank));
    const fs::path run = NewFolder("stopped");
    const Outcome outcome =
        RunMpi(kTrainMpi, {{4, RunFlags(run, {"--mpi_timeout=2"})}},
               {.meanwhile = [&](pid_t mpirun) {
                 while (ProcessesOf(mpirun, kTrainMpi).empty()) SleepFor(0.002);
                 SendToRank(mpirun, run, 5, rank, SIGSTOP);
               }});
    EXPECT_GT(outcome.exit_code, 0);
    EXPECT_THAT(
        outcome.err,
        testing::ContainsRegex(absl::StrCat(
            "rank 0 of 4: expected an answer of rank ", rank,
            " in [a-z -]+[0-9]*, found none in 2 s \\(--mpi_timeout\\)")));
    ExpectGoesOn(run);
  }
}

// As a cluster's scheduler sends it. (mpirun, which passes signals on, sleeps before
// and after it does, and takes no output meanwhile: a rank that prints more than a
// pseudo-terminal holds would wait for it until it is killed.)
TEST(TrainMpiFailureTest, ASignalToTheRanksSavesAndLeaves) {
  for (const int number : {SIGTERM, SIGINT}) {
    const fs::path run = NewFolder("interrupted");
    // Seldom enough that the last checkpoint is of the interruption.
    const Outcome outcome = RunMpi(
        kTrainMpi, {{4, RunFlags(run, {"--checkpoint_every=1000000steps"})}},
        {.meanwhile = [&](pid_t mpirun) {
          while (MetricsOf(run).size() < 200) SleepFor(0.002);
          for (const auto& [rank, process] : ProcessesOf(mpirun, kTrainMpi)) {
            kill(process, number);
          }
        }});
    EXPECT_NE(outcome.exit_code, 0);
    EXPECT_THAT(outcome.out, HasSubstr("interrupted after step "))
        << outcome.err;
    EXPECT_GT(LastStep(run), 0);
    EXPECT_FALSE(fs::exists(run / "model.safetensors"));
    ExpectGoesOn(run);
  }
}

}  // namespace
}  // namespace tape
