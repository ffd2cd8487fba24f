// Confusion matrices and classification reports
// (framework/metrics/classification.h): the counts by hand, the reports character
// for character against classification_reports.json, which scikit-learn made
// (see classification_reports.py).
#include "framework/metrics/classification.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

namespace tape {
namespace {

using Json = nlohmann::json;

struct Count {
  int32_t label;
  int32_t predicted;
  int64_t samples;
};

ConfusionMatrix Matrix(int classes, const std::vector<Count>& counts) {
  ConfusionMatrix matrix(classes);
  for (const Count& count : counts) {
    EXPECT_TRUE(matrix
                    .Add(std::vector<int32_t>(count.samples, count.label),
                         std::vector<int32_t>(count.samples, count.predicted))
                    .ok());
  }
  return matrix;
}

TEST(ConfusionMatrixTest, CountsEachPair) {
  ConfusionMatrix matrix(3);
  EXPECT_TRUE(matrix
                  .Add(std::vector<int32_t>{0, 0, 1, 2},
                       std::vector<int32_t>{0, 2, 1, 0})
                  .ok());
  EXPECT_TRUE(matrix.Add({}, {}).ok());
  EXPECT_TRUE(
      matrix.Add(std::vector<int32_t>{0}, std::vector<int32_t>{2}).ok());
  const std::vector<std::vector<int64_t>> expected = {
      {1, 0, 2}, {0, 1, 0}, {1, 0, 0}};
  EXPECT_EQ(matrix.classes(), 3);
  for (int label = 0; label < 3; ++label) {
    for (int predicted = 0; predicted < 3; ++predicted) {
      EXPECT_EQ(matrix.count(label, predicted), expected[label][predicted]);
    }
  }
  EXPECT_EQ(matrix.total(), 5);
  EXPECT_EQ(matrix.accuracy(), 0.4);
}

TEST(ConfusionMatrixTest, OfNothingHasNoAccuracy) {
  const ConfusionMatrix matrix(2);
  EXPECT_EQ(matrix.total(), 0);
  EXPECT_TRUE(std::isnan(matrix.accuracy()));
}

TEST(ConfusionMatrixTest, IsPrintedAsATable) {
  EXPECT_EQ(Matrix(3, {{0, 0, 11}, {0, 2, 1}, {1, 1, 3}, {2, 0, 2}, {2, 2, 8}})
                .ToString(),
            R"(      predicted
label     0     1     2 total
    0    11     0     1    12
    1     0     3     0     3
    2     2     0     8    10
total    13     3     9    25
)");
  EXPECT_EQ(Matrix(2, {{0, 1, 1234567}, {1, 1, 8}}).ToString(),
            R"(        predicted
  label       0       1   total
      0       0 1234567 1234567
      1       0       8       8
  total       0 1234575 1234575
)");
}

TEST(ConfusionMatrixTest, RefusesMoreSamplesThanItCounts) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  ConfusionMatrix matrix(2);
  EXPECT_EQ(matrix.Add(0, 0, -5).message(),
            "ConfusionMatrix: expected 0 to 9223372036854775807 samples "
            "more, found -5");
  EXPECT_TRUE(matrix.Add(0, 0, kMost - 1).ok());
  EXPECT_EQ(matrix.Add(1, 1, 2).message(),
            "ConfusionMatrix: expected 0 to 1 samples more, found 2");
  const std::vector<int32_t> two = {0, 1};
  EXPECT_EQ(matrix.Add(two, two).message(),
            "ConfusionMatrix: expected 0 to 1 samples more, found 2");
  EXPECT_EQ(matrix.total(), kMost - 1);
  EXPECT_EQ(matrix.count(1, 1), 0);
}

TEST(ConfusionMatrixTest, RefusesWhatIsNoClass) {
  ConfusionMatrix matrix(3);
  const std::vector<int32_t> good = {2}, above = {3}, below = {-1};
  const std::string start = "ConfusionMatrix: expected ";
  EXPECT_EQ(matrix.Add(good, above).message(),
            start + "predictions in 0 to 2, found 3");
  EXPECT_EQ(matrix.Add(good, below).message(),
            start + "predictions in 0 to 2, found -1");
  EXPECT_EQ(matrix.Add(above, good).message(),
            start + "labels in 0 to 2, found 3");
  EXPECT_EQ(matrix.Add(below, good).message(),
            start + "labels in 0 to 2, found -1");
  EXPECT_EQ(matrix.Add(good, {}).message(),
            start + "a prediction for each of 1 labels, found 0");
  EXPECT_EQ(matrix.Add(2, 3, 7).message(),
            start + "predictions in 0 to 2, found 3");
  EXPECT_EQ(matrix.Add({2, 3}, {2, 2}).message(),
            start + "labels in 0 to 2, found 3");
  EXPECT_EQ(matrix.total(), 0);  // Not the first of the two either.
  EXPECT_EQ(matrix.count(0, 3), 0);
  EXPECT_EQ(matrix.count(-1, 0), 0);
  EXPECT_EQ(ConfusionMatrix(0).classes(), 1);
  EXPECT_EQ(ConfusionMatrix(-7).classes(), 1);
}

TEST(ClassificationReportTest, HasTheScoresOfTheirDefinitions) {
  // Label 2 does not occur, and label 3 is only predicted.
  const ClassificationReport report = MakeClassificationReport(
      Matrix(4, {{0, 0, 3}, {0, 1, 1}, {1, 1, 3}, {1, 3, 1}}));
  const std::vector<ClassScores> expected = {
      {.label = 0, .precision = 1, .recall = 0.75, .f1 = 6. / 7, .support = 4},
      {.label = 1, .precision = 0.75, .recall = 0.75, .f1 = 0.75, .support = 4},
      {.label = 3, .precision = 0, .recall = 0, .f1 = 0, .support = 0}};
  ASSERT_EQ(report.classes.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(report.classes[i].label, expected[i].label);
    EXPECT_DOUBLE_EQ(report.classes[i].precision, expected[i].precision);
    EXPECT_DOUBLE_EQ(report.classes[i].recall, expected[i].recall);
    EXPECT_DOUBLE_EQ(report.classes[i].f1, expected[i].f1);
    EXPECT_EQ(report.classes[i].support, expected[i].support);
  }
  EXPECT_DOUBLE_EQ(report.macro.precision, 1.75 / 3);
  EXPECT_DOUBLE_EQ(report.macro.recall, 0.5);
  EXPECT_DOUBLE_EQ(report.macro.f1, (6. / 7 + 0.75) / 3);
  EXPECT_DOUBLE_EQ(report.weighted.precision, 0.875);
  EXPECT_DOUBLE_EQ(report.weighted.recall, 0.75);
  EXPECT_DOUBLE_EQ(report.weighted.f1, (6. / 7 + 0.75) / 2);
  EXPECT_DOUBLE_EQ(report.accuracy, 0.75);
  EXPECT_EQ(report.support, 8);
}

TEST(ClassificationReportTest, IsPrintedAsScikitLearnDoes) {
  std::ifstream file("tests/metrics/classification_reports.json");
  const Json cases = Json::parse(file);
  EXPECT_EQ(cases.size(), 14);
  for (const Json& test_case : cases) {
    std::vector<Count> counts;
    for (const Json& count : test_case["counts"]) {
      counts.push_back({count[0], count[1], count[2]});
    }
    const std::vector<std::string> lines = test_case["report"];
    EXPECT_EQ(MakeClassificationReport(Matrix(test_case["classes"], counts))
                  .ToString({.digits = test_case["digits"]}),
              absl::StrJoin(lines, "\n"))
        << test_case["name"];
  }
}

TEST(ClassificationReportTest, HasTwoDigitsUnlessAskedForMore) {
  const ClassificationReport report =
      MakeClassificationReport(Matrix(2, {{0, 0, 2}, {0, 1, 1}}));
  EXPECT_EQ(report.ToString(), report.ToString({.digits = 2}));
  EXPECT_NE(report.ToString(), report.ToString({.digits = 3}));
}

TEST(ClassificationReportTest, GrowsBeyondItsColumnOfSupports) {
  ClassificationReport report =
      MakeClassificationReport(Matrix(2, {{0, 0, 1}, {1, 0, 1}, {1, 1, 2}}));
  // More samples than a test has time to count.
  for (ClassScores& scores : report.classes) scores.support *= 1'000'000'000;
  report.support *= 1'000'000'000;
  // What scikit-learn prints if its multilabel_confusion_matrix is replaced by
  // one that multiplies as much.
  EXPECT_EQ(report.ToString(),
            R"(              precision    recall  f1-score   support

           0       0.50      1.00      0.67 1000000000
           1       1.00      0.67      0.80 3000000000

    accuracy                           0.75 4000000000
   macro avg       0.75      0.83      0.73 4000000000
weighted avg       0.88      0.75      0.77 4000000000
)");
}

TEST(ClassificationReportTest, OfNothingHasNoScores) {
  const ClassificationReport report =
      MakeClassificationReport(ConfusionMatrix(2));
  EXPECT_TRUE(report.classes.empty());
  EXPECT_EQ(report.support, 0);
  for (double score :
       {report.accuracy, report.macro.precision, report.macro.recall,
        report.macro.f1, report.weighted.precision, report.weighted.recall,
        report.weighted.f1}) {
    EXPECT_TRUE(std::isnan(score));
  }
}

TEST(ClassificationReportTest, TakesNegativeDigitsForNone) {
  const ClassificationReport report;
  EXPECT_EQ(report.ToString({.digits = -1}), report.ToString({.digits = 0}));
  EXPECT_EQ(report.ToString({.digits = 2000000000}),
            report.ToString({.digits = 100}));
}

// classification_report([0, 1, 2], [0, 1, 1], target_names=[...]), but that a
// class without a name has its number.
TEST(ClassificationReportTest, ShowsTheNamesOfClasses) {
  ConfusionMatrix matrix(3);
  EXPECT_TRUE(
      matrix.Add(std::vector<int32_t>{0, 1, 2}, std::vector<int32_t>{0, 1, 1})
          .ok());
  EXPECT_EQ(MakeClassificationReport(matrix).ToString(
                {.class_names = {"cat", "a very long name"}}),
            "                  precision    recall  f1-score   support\n"
            "\n"
            "             cat       1.00      1.00      1.00         1\n"
            "a very long name       0.50      1.00      0.67         1\n"
            "               2       0.00      0.00      0.00         1\n"
            "\n"
            "        accuracy                           0.67         3\n"
            "       macro avg       0.50      0.67      0.56         3\n"
            "    weighted avg       0.50      0.67      0.56         3\n");
}

TEST(ConfusionMatrixTest, RefusesCountsThatAreNone) {
  ConfusionMatrix matrix(2);
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(matrix.Add(0, 0, -5), absl::InvalidArgumentError(absl::StrCat(
                                      "ConfusionMatrix: expected 0 to ", kMost,
                                      " samples more, found -5")));
  EXPECT_TRUE(matrix.Add(0, 1, kMost - 1).ok());
  EXPECT_TRUE(matrix.Add(1, 0, 0).ok());
  EXPECT_FALSE(matrix.Add(1, 0, 2).ok());
  EXPECT_TRUE(matrix.Add(1, 0, 1).ok());
  EXPECT_EQ(matrix.total(), kMost);
}

}  // namespace
}  // namespace tape
