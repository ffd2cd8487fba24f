// The program train_mpi under mpirun: the same bits for any number of processes and
// threads, and ranks that cannot train together. Ranks that die:
// train_mpi_failure_test.cc.
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "framework/core/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/distributed/mpi_testing.h"
#include "tests/file_testing.h"
#include "tests/models/program_testing.h"
#include "tests/models/run_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kTrainMpi[] = "models/train_mpi";

using Arguments = std::vector<std::string>;

Arguments With(Arguments arguments, const Arguments& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// An experiment on the small data set, in a folder of its own.
Arguments RunFlags(const fs::path& run, const Arguments& arguments) {
  return With(arguments, {"--data_dir=" + SmallDataFolder(),
                          "--run_dir=" + run.string(), "--nohtml_report"});
}

// Expects that training with these arguments leaves the same on any number of
// ranks and threads, and returns what it leaves.
Left ExpectSameOnAnyRanks(Arguments arguments) {
  arguments.push_back("--shards=8");
  const fs::path one = NewFolder("one");
  const Outcome outcome =
      RunMpi(kTrainMpi, {{1, With(RunFlags(one, arguments), {"--threads=1"})}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  Left expected(one);
  EXPECT_FALSE(expected.model.empty());
  EXPECT_GT(expected.arrays.size(), 1u);
  EXPECT_GT(expected.metrics.size(), 100u);
  for (const int ranks : {1, 2, 4, 8}) {
    for (const int threads : {1, 2}) {
      if (ranks == 1 && threads == 1) continue;
      SCOPED_TRACE(absl::StrCat(ranks, " ranks of ", threads, " threads"));
      const fs::path run = NewFolder("run");
      const Outcome other = RunMpi(
          kTrainMpi, {{ranks, With(RunFlags(run, arguments),
                                   {absl::StrCat("--threads=", threads)})}});
      EXPECT_EQ(other.exit_code, 0) << other.err;
      EXPECT_EQ(other.err, "");
      const Left left(run);
      EXPECT_EQ(left.metrics, expected.metrics);
      EXPECT_TRUE(left.arrays == expected.arrays);
      EXPECT_TRUE(left.model == expected.model);
    }
  }
  return expected;
}

TEST(TrainMpiTest, FashionMlpHasTheSameBitsOnAnyRanks) {
  ExpectSameOnAnyRanks(
      {"--experiment=fashion_mlp", "--batch_size=100", "--epochs=2"});
}

TEST(TrainMpiTest, AdamHasTheSameBitsOnAnyRanks) {
  // The last batch has fewer rows, and those of 60 are not a multiple of 8.
  ExpectSameOnAnyRanks(
      {"--experiment=mnist_500_250_100_adam", "--batch_size=70", "--epochs=2"});
}

TEST(TrainMpiTest, FullBatchesHaveTheSameBitsOnAnyRanks) {
  ExpectSameOnAnyRanks({"--experiment=fashion_64_64_momentum",
                        "--batch_size=600", "--epochs=4"});
}

TEST(TrainMpiTest, SumsInBFloat16HaveTheSameBitsOnAnyRanks) {
  const Arguments arguments = {"--experiment=fashion_mlp", "--batch_size=100",
                               "--epochs=1"};
  const Left left = ExpectSameOnAnyRanks(With(arguments, {"--bf16_sums"}));
  const fs::path exact = NewFolder("exact");
  ASSERT_EQ(
      RunMpi(kTrainMpi, {{2, With(RunFlags(exact, arguments), {"--shards=8"})}})
          .exit_code,
      0);
  EXPECT_FALSE(Left(exact).model == left.model);
}

// A table of a user's: which of three it is follows from two columns.
std::string Table() {
  std::string text = "size,weight,colour,kind\n";
  RandomStream random(1, 0);
  for (int i = 0; i < 240; ++i) {
    const double size = random.Uniform(), weight = random.Uniform();
    const char* const kind = size > 0.6     ? "melon"
                             : weight > 0.5 ? "apple"
                                            : "cherry";
    absl::StrAppendFormat(&text, "%.3f,%.3f,%s,%s\n", size, weight,
                          random.Uniform() < 0.5 ? "red" : "green", kind);
  }
  return WriteText(testing::TempDir() + "/table.csv", text);
}

TEST(TrainMpiTest, AUsersTableHasTheSameBitsOnAnyRanks) {
  const Arguments arguments = {"--data=" + Table(), "--target=kind",
                               "--layers=16,8",     "--batch_norm",
                               "--dropout=0.1",     "--epochs=3",
                               "--batch_size=25",   "--validation=0.1",
                               "--shards=8",        "--nohtml_report"};
  const auto run = [&](int ranks, int threads) {
    const fs::path folder = NewFolder("table");
    const Outcome outcome = RunMpi(
        kTrainMpi,
        {{ranks, With(arguments, {"--run_dir=" + folder.string(),
                                  absl::StrCat("--threads=", threads)})}});
    EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    return Left(folder);
  };
  const Left expected = run(1, 1);
  EXPECT_FALSE(expected.model.empty());
  EXPECT_GT(expected.arrays.size(), 1u);
  for (const int ranks : {2, 4, 8}) {
    for (const int threads : {1, 2}) {
      SCOPED_TRACE(absl::StrCat(ranks, " ranks of ", threads, " threads"));
      EXPECT_TRUE(run(ranks, threads) == expected);
    }
  }
}

TEST(TrainMpiTest, OneShardOnOneProcessIsTrainWithoutTheFlag) {
  const Arguments arguments = {"--experiment=fashion_mlp", "--batch_size=70",
                               "--epochs=2"};
  const fs::path plain = NewFolder("plain"), one = NewFolder("one_shard"),
                 mpi = NewFolder("mpi");
  EXPECT_EQ(RunProgram("models/train", RunFlags(plain, arguments)).exit_code,
            0);
  EXPECT_EQ(
      RunProgram("models/train", RunFlags(one, With(arguments, {"--shards=1"})))
          .exit_code,
      0);
  // Without mpirun.
  EXPECT_EQ(RunProgram(kTrainMpi, RunFlags(mpi, arguments)).exit_code, 0);
  const Left expected(plain);
  EXPECT_FALSE(expected.model.empty());
  EXPECT_TRUE(Left(one) == expected);
  EXPECT_TRUE(Left(mpi) == expected);
}

TEST(TrainMpiTest, ShardsOnOneProcessAreThoseOfTrain) {
  const Arguments arguments = {"--experiment=fashion_mlp", "--batch_size=70",
                               "--epochs=2", "--shards=4"};
  const fs::path one = NewFolder("train"), four = NewFolder("four");
  EXPECT_EQ(RunProgram("models/train", RunFlags(one, arguments)).exit_code, 0);
  EXPECT_EQ(RunMpi(kTrainMpi, {{4, RunFlags(four, arguments)}}).exit_code, 0);
  EXPECT_TRUE(Left(four) == Left(one));
}

TEST(TrainMpiTest, RankZeroAlonePrints) {
  const fs::path run = NewFolder("prints");
  const Outcome outcome = RunMpi(
      kTrainMpi, {{4, RunFlags(run, {"--experiment=fashion_mlp", "--epochs=1",
                                     "--shards=4", "--report"})}});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.err, "");
  for (const char* const text : {"seed 0, 1 epoch of 600", "test accuracy"}) {
    const size_t at = outcome.out.find(text);
    EXPECT_NE(at, std::string::npos) << text;
    EXPECT_EQ(outcome.out.find(text, at + 1), std::string::npos) << text;
  }
}

// Expects that a run ends with this line of error, printed once, and leaves no
// model.
void ExpectRefusal(const std::vector<Ranks>& parts, const std::string& line) {
  SCOPED_TRACE(line);
  const Outcome outcome = RunMpi(kTrainMpi, parts);
  EXPECT_GT(outcome.exit_code, 0);
  EXPECT_THAT("\n" + outcome.err, HasSubstr("\n" + line));
  const size_t again = outcome.err.find(line, outcome.err.find(line) + 1);
  EXPECT_EQ(again, std::string::npos) << outcome.err;
  EXPECT_THAT(outcome.out, Not(HasSubstr("epoch")));
}

TEST(TrainMpiTest, RefusesWrongFlagsOnce) {
  const fs::path run = NewFolder("refused");
  const auto refuse = [&](int ranks, const Arguments& arguments,
                          const std::string& line) {
    ExpectRefusal({{ranks, RunFlags(run, arguments)}}, line);
    EXPECT_FALSE(fs::exists(run));
  };
  refuse(2, {"--shards=3"},
         "--shards: expected a power of two, 1 to 1024, found 3\n");
  refuse(2, {"--shards=1"},
         "--shards: expected at least as many as the 2 processes, found 1\n");
  refuse(4, {},
         "--shards: expected at least as many as the 4 processes, found");
  refuse(3, {"--shards=8"},
         "mpirun: expected a power of two of processes, found 3\n");
  refuse(2, {"--shards=8", "--mpi_timeout=0"},
         "--mpi_timeout: expected a finite number of seconds above 0, found "
         "0\n");
  refuse(1, {"--bf16_sums"},
         "--bf16_sums: expected --shards of at least 2, found 1\n");
  refuse(2, {"--shards=8", "--epochs=0"},
         "--epochs: expected at least 1, found 0\n");
  refuse(2, {"--no_such_flag"}, "ERROR: Unknown command line flag");
}

TEST(TrainMpiTest, RefusesRanksThatDisagree) {
  const fs::path run = NewFolder("disagree");
  const auto refuse = [&](const Arguments& first, const Arguments& second,
                          const std::string& line) {
    ExpectRefusal({{1, RunFlags(run, With({"--shards=4"}, first))},
                   {1, RunFlags(run, With({"--shards=4"}, second))}},
                  line);
    EXPECT_FALSE(fs::exists(run));
  };
  refuse({"--seed=1"}, {"--seed=2"},
         "rank 1: expected seed 1, as on rank 0, found 2\n");
  refuse({"--batch_size=50"}, {"--batch_size=60"},
         "rank 1: expected batch_size 50, as on rank 0, found 60\n");
  refuse({}, {"--shards=8"},
         "rank 1: expected shards 4, as on rank 0, found 8\n");
  refuse({"--bf16_sums"}, {},
         "rank 1: expected bf16_sums true, as on rank 0, found false\n");
  refuse({}, {"--experiment=fashion_40_relu"},
         "rank 1: expected experiment fashion_mlp, as on rank 0, found "
         "fashion_40_relu\n");
  // By which the ranks would go different ways.
  refuse({}, {"--resume"}, "rank 1: expected the arguments \"");
  refuse({"--no_such_flag"}, {}, "rank 1: expected the arguments \"");
  refuse({}, {"--list"}, "rank 1: expected the arguments \"");
  // A flag that is wrong on one rank alone.
  refuse({}, {"--epochs=0"},
         "rank 1: --epochs: expected at least 1, found 0\n");
}

// A folder like the small data set's, with other labels, or without some file.
TEST(TrainMpiTest, RefusesRanksWithOtherOrMissingData) {
  const fs::path data = NewFolder("other_data"), run = NewFolder("other");
  fs::create_directory(data);
  for (const auto& entry : fs::directory_iterator(SmallDataFolder())) {
    fs::copy(entry.path(), data);
  }
  const Arguments first = RunFlags(run, {"--shards=4"});
  const Arguments second = With(first, {"--data_dir=" + data.string()});
  const fs::path labels = data / "train-labels-idx1-ubyte";
  std::string bytes = ReadText(labels);
  ASSERT_FALSE(bytes.empty());
  bytes.back() = bytes.back() == 0 ? 1 : 0;
  WriteText(labels, bytes);
  ExpectRefusal({{1, first}, {1, second}},
                "rank 1: expected train_data 600 samples, CRC-32C ");
  fs::remove(labels);
  const std::string missing =
      data.string() + ": expected the file train-labels-idx1-ubyte";
  ExpectRefusal({{1, first}, {1, second}}, "rank 1: " + missing);
  // Once, if all ranks have the error.
  ExpectRefusal({{2, second}}, missing);
  EXPECT_FALSE(fs::exists(run));
}

}  // namespace
}  // namespace tape
