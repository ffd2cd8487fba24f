// metrics.csv, written and read back, and what is wrong with one.
#include "framework/log/read_metrics.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/log/run_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

using ::testing::HasSubstr;

constexpr char kHeader[] = "epoch,split,loss,accuracy,learning_rate,seconds";

// The status of reading a file with this text, without its path.
std::string Refusal(const std::string& text) {
  const std::string path = WriteText(testing::TempDir() + "/metrics.csv", text);
  const auto epochs = ReadMetrics(path);
  EXPECT_FALSE(epochs.ok());
  const std::string message(epochs.status().message());
  EXPECT_THAT(message, testing::StartsWith(path));
  return message.substr(path.size());
}

std::string Lines(std::vector<std::string> lines) {
  std::string text = absl::StrCat(kHeader, "\n");
  for (const std::string& line : lines) absl::StrAppend(&text, line, "\n");
  return text;
}

TEST(ReadMetricsTest, ReadsBackWhatWasWritten) {
  const std::string folder = testing::TempDir() + "/run";
  std::filesystem::remove_all(folder);
  absl::StatusOr<RunDirectory> directory = RunDirectory::Create(folder);
  ASSERT_TRUE(directory.ok()) << directory.status();
  const double figures[] = {0.1,
                            -0.0,
                            5e-324,
                            1.7976931348623157e308,
                            std::numeric_limits<double>::infinity(),
                            -std::numeric_limits<double>::infinity(),
                            kNotMeasured,
                            1.0 / 3};
  std::vector<EpochResult> written;
  for (int i = 0; i < 8; ++i) {
    EpochMetrics metrics = {.epoch = 3 * i + 1,
                            .split = "validation",
                            .loss = figures[i],
                            .accuracy = figures[(i + 1) % 8],
                            .learning_rate = figures[(i + 2) % 8],
                            .seconds = figures[(i + 3) % 8]};
    EpochResult epoch = {
        .train = metrics, .validation = metrics, .test = metrics};
    epoch.train.split = "train";
    epoch.test.split = "test";
    epoch.train.reports = {{"penalty", figures[(i + 4) % 8]},
                           {"zeros", 1.0 * i}};
    for (const EpochMetrics* pass :
         {&epoch.train, &*epoch.validation, &epoch.test}) {
      ASSERT_TRUE(directory->AppendMetrics(*pass).ok());
    }
    written.push_back(epoch);
  }
  const auto read = ReadMetrics(folder + "/metrics.csv");
  ASSERT_TRUE(read.ok()) << read.status();
  ASSERT_EQ(read->size(), written.size());
  const auto bits = [](double value) {
    // The sign of a NaN is not kept.
    return std::isnan(value) ? 0 : std::bit_cast<uint64_t>(value);
  };
  const auto expect_same = [&](const EpochMetrics& a, const EpochMetrics& b) {
    EXPECT_EQ(a.epoch, b.epoch);
    EXPECT_EQ(a.split, b.split);
    EXPECT_EQ(bits(a.loss), bits(b.loss));
    EXPECT_EQ(bits(a.accuracy), bits(b.accuracy));
    EXPECT_EQ(bits(a.learning_rate), bits(b.learning_rate));
    EXPECT_EQ(bits(a.seconds), bits(b.seconds));
    ASSERT_EQ(a.reports.size(), b.reports.size());
    for (size_t i = 0; i < a.reports.size(); ++i) {
      EXPECT_EQ(a.reports[i].name, b.reports[i].name);
      EXPECT_EQ(bits(a.reports[i].value), bits(b.reports[i].value));
    }
  };
  for (size_t i = 0; i < written.size(); ++i) {
    expect_same((*read)[i].train, written[i].train);
    ASSERT_TRUE((*read)[i].validation.has_value());
    expect_same(*(*read)[i].validation, *written[i].validation);
    expect_same((*read)[i].test, written[i].test);
  }
}

TEST(ReadMetricsTest, ReadsARunWithoutValidation) {
  const std::string path =
      WriteText(testing::TempDir() + "/metrics.csv",
                Lines({"1,train,2,0.5,0.1,3", "1,test,1,0.25,0.1,3"}));
  const auto epochs = ReadMetrics(path);
  ASSERT_TRUE(epochs.ok()) << epochs.status();
  ASSERT_EQ(epochs->size(), 1u);
  EXPECT_FALSE((*epochs)[0].validation.has_value());
  EXPECT_EQ((*epochs)[0].train.loss, 2);
  EXPECT_EQ((*epochs)[0].test.accuracy, 0.25);
}

TEST(ReadMetricsTest, SaysOfWhichLineWhatIsWrong) {
  const std::string train = "1,train,2,0.5,0.1,3", test = "1,test,1,0.5,0.1,3",
                    validation = "1,validation,1,0.5,0.1,3";
  EXPECT_THAT(Refusal(""), HasSubstr(":1: expected \"epoch,split,"));
  EXPECT_THAT(Refusal("epoch,loss\n"), HasSubstr(":1: expected \"epoch,split"));
  EXPECT_THAT(Refusal(absl::StrCat(kHeader, "x\n")), HasSubstr(":1: expected"));
  EXPECT_THAT(Refusal(Lines({})), HasSubstr(":1: expected the line of an "
                                            "epoch, found the file's end"));
  // Half an epoch, half a line.
  EXPECT_THAT(Refusal(Lines({train})),
              HasSubstr(":3: expected the line of epoch 1's validation or test "
                        "pass, found the file's end"));
  EXPECT_THAT(Refusal(Lines({train, validation})),
              HasSubstr(":4: expected the line of epoch 1's test pass, found "
                        "the file's end"));
  EXPECT_THAT(Refusal(Lines({train, test}) + "2,train,2,0"),
              HasSubstr(":4: expected the line of an epoch's train pass that "
                        "ends with a newline, found \"2,train,2,0\""));
  EXPECT_THAT(Refusal(Lines({test, train})),
              HasSubstr(":2: expected the line of an epoch's train pass, found "
                        "\"test\""));
  EXPECT_THAT(Refusal(Lines({train, "2,test,1,0.5,0.1,3"})),
              HasSubstr(":3: expected the line of epoch 1's validation or test "
                        "pass, found \"2\""));
  EXPECT_THAT(Refusal(Lines({train, test, train})),
              HasSubstr(":4: expected an epoch after 1, found 1"));
  EXPECT_THAT(
      Refusal(Lines({train, test, "2,train,2,0.5,0.1,3",
                     "2,validation,2,0.5,0.1,3", "2,test,2,0.5,0.1,3"})),
      HasSubstr(":5: expected the line of epoch 2's test pass, found "
                "\"validation\""));
  EXPECT_THAT(Refusal(Lines({train, validation, test, "2,train,2,0.5,0.1,3",
                             "2,test,2,0.5,0.1,3"})),
              HasSubstr(":6: expected the line of epoch 2's validation pass"));
  // Cells.
  EXPECT_THAT(Refusal(Lines({"1,train,2,0.5,0.1"})),
              HasSubstr(":2: expected 6 cells, found 5"));
  EXPECT_THAT(Refusal(Lines({"1,train,2,0.5,0.1,3,4"})),
              HasSubstr(":2: expected 6 cells, found 7"));
  EXPECT_THAT(Refusal(Lines({""})), HasSubstr(":2: expected 6 cells, found 1"));
  EXPECT_THAT(Refusal(Lines({"0,train,2,0.5,0.1,3"})),
              HasSubstr(":2: expected an epoch, 1 or more, found \"0\""));
  EXPECT_THAT(Refusal(Lines({"one,train,2,0.5,0.1,3"})), HasSubstr("\"one\""));
  EXPECT_THAT(Refusal(Lines({"99999999999,train,2,0.5,0.1,3"})),
              HasSubstr(":2: expected an epoch"));
  EXPECT_THAT(Refusal(Lines({"1,train,2x,0.5,0.1,3"})),
              HasSubstr(":2: expected a number as loss, found \"2x\""));
  EXPECT_THAT(Refusal(Lines({"1,train,2, 0.5,0.1,3"})),
              HasSubstr(":2: expected a number as accuracy, found \" 0.5\""));
  EXPECT_THAT(Refusal(Lines({"1,train,2,0.5,0.1,3\r"})),
              HasSubstr(":2: expected a number as seconds, found \"3\\r\""));
  EXPECT_THAT(Refusal(absl::StrCat(kHeader, ",penalty\n1,train,1,1,1,1,z\n")),
              HasSubstr(":2: expected a number as penalty, found \"z\""));
  EXPECT_THAT(ReadMetrics("/no/such/metrics.csv").status().ToString(),
              HasSubstr("/no/such/metrics.csv"));
}

}  // namespace
}  // namespace tape
