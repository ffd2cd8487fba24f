// metrics.jsonl, framework/log/json_lines.h, and how logs of epochs grow and
// are written anew, framework/log/epoch_log.h.
#include "framework/log/json_lines.h"

#include <sys/stat.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/file_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Four epochs: numbers of all kinds, with and without validation and reports.
std::vector<EpochResult> History() {
  std::vector<EpochResult> history;
  for (int epoch = 1; epoch <= 4; ++epoch) {
    EpochResult result = {.train = {.epoch = epoch,
                                    .split = "train",
                                    .loss = 1.0 / (3 * epoch),
                                    .accuracy = 0.1 * epoch,
                                    .learning_rate = 1e-300 * epoch,
                                    .seconds = 0.7},
                          .test = {.epoch = epoch,
                                   .split = "test",
                                   .loss = 5e-324,
                                   .accuracy = 1,
                                   .seconds = 0.25}};
    if (epoch == 2) {
      result.validation = {.epoch = epoch, .split = "validation", .loss = 2.5};
      result.train.loss = kInfinity;
      result.train.reports = {{"penalty", 0.1 + 0.2}, {"skipped steps", -3}};
    }
    history.push_back(result);
  }
  return history;
}

// What a line must say of a number.
void ExpectNumber(const nlohmann::json& line, const std::string& name,
                  double expected) {
  ASSERT_TRUE(line.contains(name)) << line;
  if (std::isfinite(expected)) {
    EXPECT_EQ(line[name].get<double>(), expected) << name;
  } else {
    EXPECT_TRUE(line[name].is_null()) << name << " in " << line;
  }
}

void ExpectLine(const std::string& text, const EpochMetrics& metrics) {
  const nlohmann::json line = nlohmann::json::parse(text);
  EXPECT_EQ(line.size(), 6 + metrics.reports.size()) << text;
  EXPECT_EQ(line["epoch"], metrics.epoch);
  EXPECT_EQ(line["split"], metrics.split);
  ExpectNumber(line, "loss", metrics.loss);
  ExpectNumber(line, "accuracy", metrics.accuracy);
  ExpectNumber(line, "learning_rate", metrics.learning_rate);
  ExpectNumber(line, "seconds", metrics.seconds);
  for (const Measurement& report : metrics.reports) {
    ExpectNumber(line, report.name, report.value);
  }
}

// That `text` is the log of `history`.
void ExpectLines(const std::string& text,
                 const std::vector<EpochResult>& history) {
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  std::vector<EpochMetrics> expected;
  for (const EpochResult& epoch : history) {
    expected.push_back(epoch.train);
    if (epoch.validation.has_value()) expected.push_back(*epoch.validation);
    expected.push_back(epoch.test);
  }
  ASSERT_EQ(lines.size(), expected.size() + 1);
  EXPECT_EQ(lines.back(), "");  // Every line has its newline.
  for (size_t i = 0; i < expected.size(); ++i) {
    ExpectLine(lines[i], expected[i]);
  }
}

class JsonLinesTest : public testing::Test {
 protected:
  JsonLinesTest()
      : folder_(testing::TempDir() + "/" +
                testing::UnitTest::GetInstance()->current_test_info()->name()),
        path_(folder_ + "/metrics.jsonl") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }

  const std::string folder_, path_;
};

TEST_F(JsonLinesTest, ALineIsThisText) {
  EpochResult epoch = {
      .train = {.epoch = 7,
                .split = "train",
                .loss = 0.1,
                .accuracy = 0.5,
                .learning_rate = 0.01,
                .seconds = 2,
                .reports = {{"penalty", 0.25}}},
      .test = {.epoch = 7, .split = "test", .loss = -kNotMeasured}};
  EXPECT_EQ(JsonLines(epoch),
            "{\"epoch\":7,\"split\":\"train\",\"loss\":0.1,\"accuracy\":0.5,"
            "\"learning_rate\":0.01,\"seconds\":2.0,\"penalty\":0.25}\n"
            "{\"epoch\":7,\"split\":\"test\",\"loss\":null,\"accuracy\":null,"
            "\"learning_rate\":null,\"seconds\":null}\n");
}

TEST_F(JsonLinesTest, AnotherProcessSeesEachEpochAtOnce) {
  EpochLog log = JsonLinesLog(folder_);
  EXPECT_EQ(log.path(), path_);
  EXPECT_FALSE(fs::exists(path_));
  std::vector<EpochResult> so_far;
  for (const EpochResult& epoch : History()) {
    ASSERT_TRUE(log.Append(epoch).ok());
    so_far.push_back(epoch);
    ExpectLines(ReadByAnotherProcess(path_), so_far);
  }
}

TEST_F(JsonLinesTest, NoNameStandsTwice) {
  EpochResult epoch = {.train = {.epoch = 1,
                                 .split = "train",
                                 .loss = 0.5,
                                 .reports = {{"zeros", 1},
                                             {"zeros_2", 2},
                                             {"zeros", 3},
                                             {"loss", 4},
                                             {"gr\"\xff", 5}}},
                       .test = {.epoch = 1, .split = "test"}};
  const std::vector<std::string> lines = absl::StrSplit(JsonLines(epoch), '\n');
  const nlohmann::json line = nlohmann::json::parse(lines[0]);
  EXPECT_EQ(line["zeros"], 1);
  EXPECT_EQ(line["zeros_2"], 2);
  EXPECT_EQ(line["zeros_3"], 3);
  EXPECT_EQ(line["loss"], 0.5);
  EXPECT_EQ(line["loss_2"], 4);
  EXPECT_EQ(line["gr\"\uFFFD"], 5);  // No UTF-8.
}

TEST_F(JsonLinesTest, AContinuedRunGoesOnInTheSameFile) {
  const std::vector<EpochResult> history = History();
  WriteText(path_, "{\"epoch\":1,\"split\":\"tr");  // Half a line.
  struct stat first, now;
  ASSERT_EQ(stat(path_.c_str(), &first), 0);
  for (size_t known = 0; known <= history.size(); ++known) {
    EpochLog log = JsonLinesLog(folder_);
    const std::vector<EpochResult> past(history.begin(),
                                        history.begin() + known);
    ASSERT_TRUE(log.Continue(past).ok());
    ExpectLines(ReadText(path_), past);
    for (size_t i = known; i < history.size(); ++i) {
      ASSERT_TRUE(log.Append(history[i]).ok());
    }
    ExpectLines(ReadText(path_), history);
    ASSERT_EQ(stat(path_.c_str(), &now), 0);
    EXPECT_EQ(now.st_ino, first.st_ino);
  }
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 1);
}

TEST_F(JsonLinesTest, AContinuedRunDoesNotTouchAnothersFile) {
  WriteText(path_, "mine");
  const absl::Status status = JsonLinesLog(folder_).Continue(History());
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_EQ(ReadText(path_), "mine");
}

TEST_F(JsonLinesTest, ANewRunDoesNotTouchAnothersLog) {
  WriteText(path_, "of another run");
  EpochLog log = JsonLinesLog(folder_);
  EXPECT_EQ(log.Append(History()[0]),
            absl::AlreadyExistsError(absl::StrCat(
                path_, ": cannot open the file to add to it: File exists")));
  EXPECT_EQ(ReadText(path_), "of another run");
}

TEST_F(JsonLinesTest, AFullDiskIsAnErrorAndLeavesWholeEpochs) {
  const std::vector<EpochResult> history = History();
  const auto fail = [&](EpochLog& log, const EpochResult& epoch) {
    // In the middle of the epoch's second line.
    LargestFile limit((fs::exists(path_) ? fs::file_size(path_) : 0) +
                      JsonLines(epoch).find('\n') + 20);
    EXPECT_EQ(std::string(log.Append(epoch).message()),
              path_ + ": cannot add to the file: File too large");
  };
  EpochLog log = JsonLinesLog(folder_);
  fail(log, history[0]);
  EXPECT_FALSE(fs::exists(path_));
  ASSERT_TRUE(log.Append(history[0]).ok());
  fail(log, history[1]);
  ExpectLines(ReadText(path_), {history[0]});
  {
    LargestFile limit(100);
    EXPECT_EQ(std::string(log.Continue(history).message()),
              path_ + ": cannot add to the file: File too large");
  }
  // The epoch that was there is there still.
  EXPECT_TRUE(absl::StartsWith(ReadText(path_), JsonLines(history[0])));
}

TEST(EpochLogTest, OneThatWasMovedFromOrHasNoFormatSaysSo) {
  EpochLog moved = JsonLinesLog(testing::TempDir());
  const EpochLog log = std::move(moved);
  EpochLog without("a log", {});
  for (EpochLog* const bad : {&moved, &without}) {
    const absl::Status status = bad->Append(History()[0]);
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    EXPECT_THAT(status.message(),
                testing::HasSubstr("expected a log with a format and a clock"));
    EXPECT_EQ(bad->Continue(History()), status);
  }
}

}  // namespace
}  // namespace tape
