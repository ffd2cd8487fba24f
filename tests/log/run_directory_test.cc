// The folder of a run, framework/log/run_directory.h: what is in its files,
// and that what cannot work is refused with its reason, and early. Tests may be
// run by root, whom permissions do not stop: what fails here fails for anybody.
#include "framework/log/run_directory.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <charconv>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "framework/log/read_metrics.h"
#include "tests/allocation_testing.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

static_assert(std::is_nothrow_move_constructible_v<RunDirectory>);
static_assert(!std::is_copy_constructible_v<RunDirectory>);

// What is in the folder and below, as paths from there.
std::set<std::string> Below(const std::string& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    names.insert(entry.path().lexically_relative(folder).string());
  }
  return names;
}

// As a type that failed tests print as text.
std::string Message(const absl::Status& status) {
  return std::string(status.message());
}

class RunDirectoryTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string folder = (fs::path(testing::TempDir()) / "run_XXXXXX").string();
    ASSERT_NE(mkdtemp(folder.data()), nullptr);
    folder_ = folder;
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string In(absl::string_view name) const {
    return absl::StrCat(folder_, "/", name);
  }

  std::string folder_;
};

const EpochMetrics kTrain = {.epoch = 1,
                             .split = "train",
                             .loss = 0.1,
                             .accuracy = 0.5,
                             .learning_rate = 0.01,
                             .seconds = 2};
constexpr char kHeader[] = "epoch,split,loss,accuracy,learning_rate,seconds\n";
constexpr char kTrainLine[] = "1,train,0.1,0.5,0.01,2\n";

RunSummary Summary() {
  return {.experiment = "mnist",
          .variant = "wide",
          .seed = 18446744073709551615u,
          .threads = 2,
          .epochs = 10,
          .kept_epoch = 7,
          .train_loss = 0.1,
          .train_accuracy = 1,
          .test_loss = kNan,
          .test_accuracy = 0.98765,
          .seconds = 12.5,
          .samples_per_second = 123456.789};
}
constexpr char kSummaryText[] = R"({
  "experiment": "mnist",
  "variant": "wide",
  "seed": 18446744073709551615,
  "threads": 2,
  "epochs": 10,
  "kept_epoch": 7,
  "train_loss": 0.1,
  "train_accuracy": 1.0,
  "test_loss": null,
  "test_accuracy": 0.98765,
  "seconds": 12.5,
  "samples_per_second": 123456.789
}
)";

TEST_F(RunDirectoryTest, CreateMakesTheFolderAndItsParentsAndNothingElse) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(In("a/b/c/"));
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->path(), In("a/b/c/"));
  EXPECT_EQ(Below(folder_), (std::set<std::string>{"a", "a/b", "a/b/c"}));
}

TEST_F(RunDirectoryTest, AFolderWithOtherFilesIsTaken) {
  WriteText(In("notes.txt"), "mine");
  ASSERT_TRUE(RunDirectory::Create(folder_).ok());
  // Nor does a run that ended before its first epoch stand in the way.
  ASSERT_TRUE(RunDirectory::Create(folder_).ok());
  EXPECT_EQ(Below(folder_), (std::set<std::string>{"notes.txt"}));
  EXPECT_EQ(ReadText(In("notes.txt")), "mine");
}

TEST_F(RunDirectoryTest, AFolderWithARunIsRefused) {
  for (const char* name : {"metrics.csv", "metrics.jsonl", "summary.json"}) {
    WriteText(In(name), "of another run");
    const absl::Status status = RunDirectory::Create(folder_).status();
    EXPECT_EQ(status, absl::AlreadyExistsError(absl::StrCat(
                          folder_, ": already holds a run (", name,
                          "); --resume goes on with it; or choose another "
                          "--run_dir or remove it")));
    EXPECT_EQ(ReadText(In(name)), "of another run");
    fs::remove(In(name));
    // A symbolic link to nowhere would be written through.
    fs::create_symlink(In("nowhere"), In(name));
    EXPECT_TRUE(absl::IsAlreadyExists(RunDirectory::Create(folder_).status()));
    fs::remove(In(name));
  }
}

TEST_F(RunDirectoryTest, HasTheFolderForItself) {
  {
    const absl::StatusOr<RunDirectory> first = RunDirectory::Create(folder_);
    ASSERT_TRUE(first.ok()) << first.status();
    for (const absl::Status& status :
         {RunDirectory::Create(folder_).status(),
          RunDirectory::Reopen(folder_).status()}) {
      EXPECT_EQ(status, absl::UnavailableError(absl::StrCat(
                            folder_,
                            ": another process is writing to this run; wait "
                            "for it, or choose another --run_dir")));
    }
  }
  EXPECT_TRUE(RunDirectory::Reopen(folder_).ok());
}

TEST_F(RunDirectoryTest, ARunGoesOnWhereAnotherWouldBeRefused) {
  fs::create_directory(In("checkpoints"));
  EXPECT_TRUE(absl::IsAlreadyExists(RunDirectory::Create(folder_).status()));
  WriteText(In("metrics.csv"), "epoch,split,lo");  // Half a line.
  absl::StatusOr<RunDirectory> run = RunDirectory::Reopen(folder_);
  ASSERT_TRUE(run.ok()) << run.status();

  EpochMetrics train = kTrain;
  train.reports = {{"penalty", 0.25}};
  const EpochMetrics validation = {.epoch = 1,
                                   .split = "validation",
                                   .loss = 2,
                                   .accuracy = 0.25,
                                   .learning_rate = 0.01,
                                   .seconds = 1};
  EpochMetrics test = validation;
  test.split = "test";
  ASSERT_TRUE(run->ContinueMetrics(
                     {{.train = train, .test = test},
                      {.train = train, .validation = validation, .test = test}})
                  .ok());
  ASSERT_TRUE(run->AppendMetrics(train).ok());
  const std::string train_line = "1,train,0.1,0.5,0.01,2,0.25\n";
  EXPECT_EQ(
      ReadText(In("metrics.csv")),
      absl::StrCat("epoch,split,loss,accuracy,learning_rate,seconds,penalty\n",
                   train_line, "1,test,2,0.25,0.01,1,\n", train_line,
                   "1,validation,2,0.25,0.01,1,\n", "1,test,2,0.25,0.01,1,\n",
                   train_line));
  // Of no epoch nothing stays, and the next line has a header.
  ASSERT_TRUE(run->ContinueMetrics({}).ok());
  EXPECT_EQ(ReadText(In("metrics.csv")), "");
  ASSERT_TRUE(run->AppendMetrics(kTrain).ok());
  EXPECT_EQ(ReadText(In("metrics.csv")), absl::StrCat(kHeader, kTrainLine));
}

TEST_F(RunDirectoryTest, AMovedFromOneWritesNothing) {
  absl::StatusOr<RunDirectory> moved = RunDirectory::Create(folder_);
  ASSERT_TRUE(moved.ok()) << moved.status();
  const RunDirectory directory = *std::move(moved);
  const std::string before = fs::current_path();
  fs::current_path(folder_);  // Where a path without a folder is.
  const absl::Status expected = absl::FailedPreconditionError(
      "expected the folder of a run, found a RunDirectory that was moved from");
  EXPECT_EQ(moved->WriteSummary({}), expected);
  EXPECT_EQ(moved->AppendMetrics({.epoch = 1, .split = "train"}), expected);
  EXPECT_EQ(moved->ContinueMetrics({}), expected);
  fs::current_path(before);
  EXPECT_EQ(Below(folder_), std::set<std::string>());
  EXPECT_TRUE(directory.WriteSummary({}).ok());
}

TEST_F(RunDirectoryTest, WhatIsNoFolderIsRefused) {
  WriteText(In("file"), "text");
  const absl::Status no_folder = absl::InvalidArgumentError(absl::StrCat(
      In("file"),
      ": expected a folder, found a file; choose another --run_dir"));
  EXPECT_EQ(RunDirectory::Create(In("file")).status(), no_folder);
  EXPECT_EQ(RunDirectory::Create(In("file/runs/1")).status(), no_folder);
  EXPECT_EQ(
      RunDirectory::Create("").status(),
      absl::InvalidArgumentError("the path of the run's folder is empty"));
  EXPECT_EQ(ReadText(In("file")), "text");
}

TEST_F(RunDirectoryTest, WhatCannotBeWrittenIsRefusedWithItsReason) {
  // No file or folder can be made below /proc.
  EXPECT_EQ(Message(RunDirectory::Create("/proc/tape/run").status()),
            "/proc/tape: cannot create the folder: "
            "No such file or directory");
  EXPECT_EQ(Message(RunDirectory::Create("/proc").status()),
            "/proc: cannot create a file in it: No such file or directory");
}

TEST_F(RunDirectoryTest, AFailedCreateLeavesNothingBehind) {
  const std::string long_name(300, 'x');  // File systems take 255.
  const std::string path = absl::StrCat(In("a/b/"), long_name);
  EXPECT_EQ(Message(RunDirectory::Create(path).status()),
            absl::StrCat(path,
                         ": cannot create the folder: "
                         "File name too long"));
  EXPECT_EQ(Below(folder_), std::set<std::string>{});
}

TEST_F(RunDirectoryTest, MetricsAreLinesThatAreThereAtOnce) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(folder_);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(Below(folder_), std::set<std::string>{});
  ASSERT_TRUE(run->AppendMetrics(kTrain).ok());
  EXPECT_EQ(ReadText(In("metrics.csv")), absl::StrCat(kHeader, kTrainLine));
  // Goes on where it was, wherever the object is now.
  RunDirectory moved = *std::move(run);
  ASSERT_TRUE(moved
                  .AppendMetrics({.epoch = 1,
                                  .split = "test",
                                  .loss = -kNan,
                                  .accuracy = 1.0 / 3,
                                  .learning_rate = kInfinity,
                                  .seconds = -kInfinity})
                  .ok());
  EXPECT_EQ(ReadText(In("metrics.csv")),
            absl::StrCat(kHeader, kTrainLine,
                         "1,test,nan,0.3333333333333333,inf,-inf\n"));
}

TEST_F(RunDirectoryTest, AnotherProcessSeesEachLineAtOnce) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(folder_);
  ASSERT_TRUE(run.ok()) << run.status();
  std::string expected = kHeader;
  for (int line = 0; line < 3; ++line) {
    ASSERT_TRUE(run->AppendMetrics(kTrain).ok());
    expected += kTrainLine;
    EXPECT_EQ(ReadByAnotherProcess(In("metrics.csv")), expected);
  }
}

TEST_F(RunDirectoryTest, ReportsOfTheFirstLineHaveTheirColumns) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(folder_);
  ASSERT_TRUE(run.ok()) << run.status();
  EpochMetrics train = kTrain;
  train.reports = {{"penalty", 0.25}, {"skipped steps", 3}};
  ASSERT_TRUE(run->AppendMetrics(train).ok());
  EpochMetrics test = kTrain;
  test.split = "test";
  ASSERT_TRUE(run->AppendMetrics(test).ok());
  RunDirectory moved = *std::move(run);
  // By name: neither their order nor their number need be that of the header.
  train.reports = {{"skipped steps", kInfinity}, {"penalty", -kNan}};
  ASSERT_TRUE(moved.AppendMetrics(train).ok());
  train.reports = {{"skipped steps", 1.0 / 3}};
  ASSERT_TRUE(moved.AppendMetrics(train).ok());
  EXPECT_EQ(ReadText(In("metrics.csv")),
            "epoch,split,loss,accuracy,learning_rate,seconds,penalty,skipped "
            "steps\n"
            "1,train,0.1,0.5,0.01,2,0.25,3\n"
            "1,test,0.1,0.5,0.01,2,,\n"
            "1,train,0.1,0.5,0.01,2,nan,inf\n"
            "1,train,0.1,0.5,0.01,2,,0.3333333333333333\n");
}

// The zeros of two groups of parameters, for example.
TEST_F(RunDirectoryTest, ReportsOfOneNameHaveAColumnEach) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(folder_);
  ASSERT_TRUE(run.ok()) << run.status();
  EpochMetrics train = kTrain;
  train.reports = {{"zeros", 0.5}, {"cost", 7}, {"zeros", 0.25}};
  ASSERT_TRUE(run->AppendMetrics(train).ok());
  EXPECT_EQ(ReadText(In("metrics.csv")),
            "epoch,split,loss,accuracy,learning_rate,seconds,zeros,cost,zeros\n"
            "1,train,0.1,0.5,0.01,2,0.5,7,0.25\n");
}

TEST_F(RunDirectoryTest, AHeaderThatFailedIsWrittenAnew) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(folder_);
  ASSERT_TRUE(run.ok()) << run.status();
  EpochMetrics train = kTrain;
  train.reports = {{"penalty", 0.25}};
  {
    LargestFile limit(10);
    EXPECT_FALSE(run->AppendMetrics(train).ok());
  }
  train.reports = {{"cost", 1.5}};
  ASSERT_TRUE(run->AppendMetrics(train).ok());
  EXPECT_EQ(ReadText(In("metrics.csv")),
            "epoch,split,loss,accuracy,learning_rate,seconds,cost\n"
            "1,train,0.1,0.5,0.01,2,1.5\n");
}

TEST_F(RunDirectoryTest, NamesThatNeedQuotesHaveThemAndAreReadBack) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(folder_);
  ASSERT_TRUE(run.ok()) << run.status();
  const std::vector<std::string> names = {"a,b", "say \"a\"", "a\nb", "\""};
  EpochMetrics train = kTrain;
  for (const std::string& name : names) train.reports.push_back({name, 2});
  EpochMetrics test = kTrain;
  test.split = "test";
  ASSERT_TRUE(run->AppendMetrics(train).ok());
  ASSERT_TRUE(run->AppendMetrics(test).ok());
  EXPECT_EQ(ReadText(In("metrics.csv")),
            "epoch,split,loss,accuracy,learning_rate,seconds,\"a,b\",\"say "
            "\"\"a\"\"\",\"a\nb\",\"\"\"\"\n"
            "1,train,0.1,0.5,0.01,2,2,2,2,2\n"
            "1,test,0.1,0.5,0.01,2,,,,\n");
  const absl::StatusOr<std::vector<EpochResult>> read =
      ReadMetrics(In("metrics.csv"));
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->front().train.reports.size(), names.size());
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_EQ(read->front().train.reports[i].name, names[i]);
  }
}

TEST_F(RunDirectoryTest, ReportsWithoutAColumnAreRefused) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(folder_);
  ASSERT_TRUE(run.ok()) << run.status();
  EpochMetrics train = kTrain;
  train.reports = {{"penalty", 1}, {"cost", 2}};
  ASSERT_TRUE(run->AppendMetrics(train).ok());
  const std::string before = ReadText(In("metrics.csv"));
  const std::string start = In("metrics.csv") +
                            ": expected the reports of the first line, "
                            "penalty, cost, found ";
  train.reports = {{"la\nte", 1}};
  EXPECT_EQ(run->AppendMetrics(train).message(), start + "\"la\\nte\"");
  train.reports = {{"cost", 1}, {"cost", 2}};
  EXPECT_EQ(run->AppendMetrics(train).message(), start + "\"cost\" once more");
  EXPECT_EQ(ReadText(In("metrics.csv")), before);
}

TEST_F(RunDirectoryTest, NumbersReadBackExactly) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(folder_);
  ASSERT_TRUE(run.ok()) << run.status();
  std::vector<double> numbers = {
      0.0,
      -0.0,
      0.1f,
      1e23,
      0.1 + 0.2,
      std::numeric_limits<double>::max(),
      std::numeric_limits<double>::lowest(),
      std::numeric_limits<double>::min(),
      std::numeric_limits<double>::denorm_min(),
      -2.2250738585072014e-308,
  };
  for (double number : numbers) {
    ASSERT_TRUE(
        run->AppendMetrics({.epoch = 1, .split = "train", .loss = number})
            .ok());
  }
  const std::vector<std::string> lines =
      absl::StrSplit(ReadText(In("metrics.csv")), '\n');
  ASSERT_EQ(lines.size(), numbers.size() + 2);  // The header, and the end.
  for (size_t i = 0; i < numbers.size(); ++i) {
    const std::vector<std::string> cells = absl::StrSplit(lines[i + 1], ',');
    const std::string& text = cells[2];
    double read = kNan;
    std::from_chars(text.data(), text.data() + text.size(), read);
    EXPECT_EQ(std::memcmp(&read, &numbers[i], sizeof(read)), 0) << text;
  }
}

TEST_F(RunDirectoryTest, DoesNotMixWithWhatOthersPutThere) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(folder_);
  ASSERT_TRUE(run.ok()) << run.status();
  WriteText(In("metrics.csv"), "of another program");
  EXPECT_EQ(run->AppendMetrics(kTrain),
            absl::AlreadyExistsError(
                absl::StrCat(In("metrics.csv"),
                             ": cannot open the file to add to it: "
                             "File exists")));
  EXPECT_EQ(ReadText(In("metrics.csv")), "of another program");
}

TEST_F(RunDirectoryTest, AFolderThatVanishedIsAnError) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(In("run"));
  ASSERT_TRUE(run.ok()) << run.status();
  ASSERT_TRUE(run->AppendMetrics(kTrain).ok());
  fs::remove_all(In("run"));
  EXPECT_EQ(Message(run->AppendMetrics(kTrain)),
            absl::StrCat(In("run/metrics.csv"),
                         ": cannot open the file to add to it: "
                         "No such file or directory"));
  EXPECT_EQ(Message(run->WriteSummary(Summary())),
            absl::StrCat(In("run/summary.json"),
                         ": cannot create the file: "
                         "No such file or directory"));
}

TEST_F(RunDirectoryTest, DoesNotWriteThroughALinkThatTookAFilesPlace) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(folder_);
  ASSERT_TRUE(run.ok()) << run.status();
  ASSERT_TRUE(run->AppendMetrics(kTrain).ok());
  WriteText(In("precious"), "mine");
  fs::remove(In("metrics.csv"));
  for (const char* name : {"metrics.csv", "summary.json"}) {
    fs::create_symlink(In("precious"), In(name));
  }
  EXPECT_FALSE(run->AppendMetrics(kTrain).ok());
  EXPECT_FALSE(run->WriteSummary(Summary()).ok());
  EXPECT_EQ(ReadText(In("precious")), "mine");
}

TEST_F(RunDirectoryTest, AFolderWithWhatARunWouldReplaceIsRefused) {
  for (const char* name : {"model.safetensors", "report.html", "pictures"}) {
    WriteText(In(name), "MINE");
    EXPECT_EQ(RunDirectory::Create(folder_).status(),
              absl::AlreadyExistsError(absl::StrCat(
                  folder_, ": already holds ", name,
                  ", which a run would replace; choose another --run_dir or "
                  "move it")));
    EXPECT_EQ(ReadText(In(name)), "MINE");
    fs::remove(In(name));
  }
  WriteText(In("events.out.tfevents.1.host.tape"), "of another run");
  EXPECT_TRUE(absl::IsAlreadyExists(RunDirectory::Create(folder_).status()));
  EXPECT_FALSE(IsRunFile("events.out.tfevents.1.host"));
}

TEST_F(RunDirectoryTest, LeavesWhatHasANameLikeATemporaryFiles) {
  for (const char* name : {"summary.json.temporary", "summary.json.tape-x",
                           "mine.tape-abcdefghijkl"}) {
    WriteText(In(name), "MINE");
  }
  const std::set<std::string> before = Below(folder_);
  WriteText(In("summary.json.tape-abcdefghijkl"), "half");
  {
    absl::StatusOr<RunDirectory> run = RunDirectory::Reopen(folder_);
    ASSERT_TRUE(run.ok()) << run.status();
    EXPECT_EQ(Below(folder_), before);
  }
  ASSERT_TRUE(RunDirectory::Create(folder_).ok());
  EXPECT_EQ(Below(folder_), before);
}

TEST_F(RunDirectoryTest, AFailedLineLeavesWholeLines) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(folder_);
  ASSERT_TRUE(run.ok()) << run.status();
  const std::string one_line = absl::StrCat(kHeader, kTrainLine);
  absl::Status status;
  {
    LargestFile limit(one_line.size() - 3);
    status = run->AppendMetrics(kTrain);
  }
  EXPECT_EQ(Message(status), absl::StrCat(In("metrics.csv"),
                                          ": cannot add to the file: "
                                          "File too large"));
  EXPECT_EQ(Below(folder_), std::set<std::string>{});
  ASSERT_TRUE(run->AppendMetrics(kTrain).ok());
  EXPECT_EQ(ReadText(In("metrics.csv")), one_line);
  {
    LargestFile limit(one_line.size() + 3);
    status = run->AppendMetrics(kTrain);
  }
  EXPECT_EQ(Message(status), absl::StrCat(In("metrics.csv"),
                                          ": cannot add to the file: "
                                          "File too large"));
  EXPECT_EQ(ReadText(In("metrics.csv")), one_line);
  ASSERT_TRUE(run->AppendMetrics(kTrain).ok());
  EXPECT_EQ(ReadText(In("metrics.csv")), absl::StrCat(one_line, kTrainLine));
}

TEST_F(RunDirectoryTest, TheSummaryIsJsonInThisOrder) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(folder_);
  ASSERT_TRUE(run.ok()) << run.status();
  ASSERT_TRUE(run->WriteSummary(Summary()).ok());
  EXPECT_EQ(ReadText(In("summary.json")), kSummaryText);
  EXPECT_EQ(Below(folder_), (std::set<std::string>{"summary.json"}));
}

TEST_F(RunDirectoryTest, TheSummaryHasWhatWasMeasuredOfAValidationSplit) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(folder_);
  ASSERT_TRUE(run.ok()) << run.status();
  RunSummary summary = Summary();
  summary.validation_loss = 0.25;
  summary.validation_accuracy = 0.75;
  ASSERT_TRUE(run->WriteSummary(summary).ok());
  const std::string loss = "  \"validation_loss\": 0.25,\n";
  const std::string accuracy = "  \"validation_accuracy\": 0.75,\n";
  const std::string before = "  \"test_loss\": null,\n";
  EXPECT_EQ(
      ReadText(In("summary.json")),
      absl::StrReplaceAll(kSummaryText,
                          {{before, absl::StrCat(loss, accuracy, before)}}));
  summary.validation_loss = kNan;
  ASSERT_TRUE(run->WriteSummary(summary).ok());
  EXPECT_EQ(ReadText(In("summary.json")),
            absl::StrReplaceAll(kSummaryText,
                                {{before, absl::StrCat(accuracy, before)}}));
}

TEST_F(RunDirectoryTest, AFailedSummaryLeavesTheEarlierOne) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(folder_);
  ASSERT_TRUE(run.ok()) << run.status();
  ASSERT_TRUE(run->WriteSummary(Summary()).ok());
  absl::Status status;
  {
    LargestFile limit(50);
    status = run->WriteSummary({.experiment = "another"});
  }
  EXPECT_EQ(Message(status), absl::StrCat(In("summary.json"),
                                          ": cannot write the file: "
                                          "File too large"));
  EXPECT_EQ(ReadText(In("summary.json")), kSummaryText);
  EXPECT_EQ(Below(folder_), (std::set<std::string>{"summary.json"}));

  fs::remove(In("summary.json"));
  fs::create_directory(In("summary.json"));  // Nothing is renamed to a folder.
  EXPECT_EQ(Message(run->WriteSummary(Summary())),
            absl::StrCat(In("summary.json"),
                         ": expected a regular file, or none yet, to write, "
                         "found a folder"));
  EXPECT_EQ(Below(folder_), (std::set<std::string>{"summary.json"}));
}

TEST_F(RunDirectoryTest, NamesThatAreNoUtf8DoNotStopTheSummary) {
  absl::StatusOr<RunDirectory> run = RunDirectory::Create(folder_);
  ASSERT_TRUE(run.ok()) << run.status();
  ASSERT_TRUE(
      run->WriteSummary({.experiment = "\xff", .variant = "\"größer\"\n"})
          .ok());
  const std::vector<std::string> lines =
      absl::StrSplit(ReadText(In("summary.json")), '\n');
  EXPECT_EQ(lines[1], "  \"experiment\": \"\uFFFD\",");
  EXPECT_EQ(lines[2], "  \"variant\": \"\\\"größer\\\"\\n\",");
}

TEST_F(RunDirectoryTest, WantOfMemoryIsAnError) {
  EpochMetrics metrics = kTrain;
  metrics.reports = {{"a name that is no short string", 1}};
  absl::Status status;
  int allocation = 0;
  // Of Create, of Reopen, and of each function thereafter, each allocation.
  const auto fail_each = [&](const auto& call) {
    for (allocation = 0;; ++allocation) {
      const FailingAllocation failing(allocation);
      status = call();
      if (status.ok()) break;
      ASSERT_EQ(status.code(), absl::StatusCode::kResourceExhausted)
          << allocation << ": " << status;
    }
    EXPECT_GT(allocation, 3);
  };
  const std::string path = In("of a path that is long");
  fail_each([&] { return RunDirectory::Create(path).status(); });
  fail_each([&] { return RunDirectory::Reopen(path).status(); });
  absl::StatusOr<RunDirectory> run = RunDirectory::Reopen(path);
  ASSERT_TRUE(run.ok()) << run.status();
  fail_each([&] { return run->AppendMetrics(metrics); });
}

}  // namespace
}  // namespace tape
