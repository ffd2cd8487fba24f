// Summaries of runs as JSON: written, read back, refused.
#include "framework/metrics/metrics.h"

#include <cmath>
#include <string>

#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tape {
namespace {

using ::testing::HasSubstr;

const RunSummary kSummary = {.experiment = "mnist_h1",
                             .variant = "as_written",
                             .seed = 18446744073709551615u,
                             .threads = 2,
                             .epochs = 35,
                             .kept_epoch = 33,
                             .train_loss = 6.8954,
                             .train_accuracy = 0.1,
                             .validation_loss = 6.8956,
                             .validation_accuracy = 0.18144444444444446,
                             .test_loss = 6.8921,
                             .test_accuracy = 0.1829,
                             .seconds = 2.5,
                             .samples_per_second = 1e6};

constexpr char kLine[] =
    R"({"experiment":"mnist_h1","variant":"as_written",)"
    R"("seed":18446744073709551615,"threads":2,"epochs":35,"kept_epoch":33,)"
    R"("train_loss":6.8954,"train_accuracy":0.1,"validation_loss":6.8956,)"
    R"("validation_accuracy":0.18144444444444446,"test_loss":6.8921,)"
    R"("test_accuracy":0.1829,"seconds":2.5,"samples_per_second":1000000.0})";

std::string ErrorOf(const std::string& text) {
  return std::string(RunSummaryFromJson(text).status().message());
}

TEST(RunSummaryTest, IsALineOrAnIndentedText) {
  EXPECT_EQ(ToJson(kSummary, JsonForm::kLine), kLine);
  const std::string indented = ToJson(kSummary, JsonForm::kIndented);
  EXPECT_THAT(indented, testing::StartsWith("{\n  \"experiment\": \"mnist"));
  EXPECT_THAT(indented, testing::EndsWith("\n}\n"));
}

TEST(RunSummaryTest, ReadsBackToTheSameNumbers) {
  for (JsonForm form : {JsonForm::kLine, JsonForm::kIndented}) {
    const auto read = RunSummaryFromJson(ToJson(kSummary, form));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(ToJson(*read, JsonForm::kLine), kLine);
  }
}

TEST(RunSummaryTest, WhatIsNotMeasuredIsNullOrLeftOut) {
  RunSummary summary = kSummary;
  summary.validation_loss = summary.validation_accuracy = kNotMeasured;
  summary.test_loss = kNotMeasured;
  const std::string line = ToJson(summary, JsonForm::kLine);
  EXPECT_THAT(line, testing::Not(HasSubstr("validation")));
  EXPECT_THAT(line, HasSubstr("\"test_loss\":null"));
  const auto read = RunSummaryFromJson(line);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_TRUE(std::isnan(read->validation_loss));
  EXPECT_TRUE(std::isnan(read->test_loss));
  EXPECT_EQ(read->train_loss, 6.8954);
}

TEST(RunSummaryTest, MetricsAreAnObjectIfThereAreAny) {
  RunSummary summary = kSummary;
  summary.test_metrics = {{"rmse", 2.5}, {"r2", kNotMeasured}, {"r2", 0.5}};
  summary.validation_metrics = {{"a \"b\"", -1}};
  const std::string line = ToJson(summary, JsonForm::kLine);
  EXPECT_THAT(line,
              testing::EndsWith(R"("validation_metrics":{"a \"b\"":-1.0},)"
                                R"("test_metrics":{"rmse":2.5,"r2":null,)"
                                R"("r2_2":0.5}})"));
  const auto read = RunSummaryFromJson(line);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(ToJson(*read, JsonForm::kLine), line);
  EXPECT_EQ(ErrorOf(absl::StrReplaceAll(line, {{"2.5,\"r2\"", "true,\"r2\""}})),
            "expected an object of numbers or null for \"test_metrics\", found "
            "{\"rmse\":true,\"r2\":null,\"r2_2\":0.5}");
}

TEST(RunSummaryTest, RefusesWhatIsNoSummary) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("expected the summary of a run"));
  EXPECT_THAT(ErrorOf("[1]"), HasSubstr("expected the summary of a run"));
  EXPECT_THAT(ErrorOf(std::string(kLine).substr(0, 100)),
              HasSubstr("expected the summary of a run"));
  const auto with = [](const char* old_text, const char* new_text) {
    return absl::StrReplaceAll(kLine, {{old_text, new_text}});
  };
  EXPECT_EQ(ErrorOf(with("\"threads\":2,", "")),
            "expected \"threads\", found no such member");
  EXPECT_EQ(ErrorOf(with("\"threads\":2", "\"threads\":\"two\"")),
            "expected a whole number of 0 to 2147483647 for \"threads\", found "
            "\"two\"");
  EXPECT_EQ(
      ErrorOf(with("\"threads\":2", "\"threads\":-2")),
      "expected a whole number of 0 to 2147483647 for \"threads\", found -2");
  EXPECT_EQ(ErrorOf(with("\"threads\":2", "\"threads\":4294967298")),
            "expected a whole number of 0 to 2147483647 for \"threads\", found "
            "4294967298");
  EXPECT_EQ(ErrorOf(with("\"mnist_h1\"", "7")),
            "expected a text for \"experiment\", found 7");
  EXPECT_EQ(ErrorOf(with("0.1829", "true")),
            "expected a number or null for \"test_accuracy\", found true");
  EXPECT_EQ(ErrorOf(with("\"seconds\"", "\"minutes\"")),
            "expected \"seconds\", found no such member");
  EXPECT_EQ(ErrorOf(with("\"seconds\":2.5", "\"seconds\":2.5,\"color\":1")),
            "expected the summary of a run, found \"color\"");
}

}  // namespace
}  // namespace tape
