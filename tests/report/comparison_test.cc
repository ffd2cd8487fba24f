// The page about several runs (framework/report/comparison.h).
#include "framework/report/comparison.h"

#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/log/run_directory.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"
#include "tests/report/markup_testing.h"

namespace tape {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

KeptRun SomeRun(const std::string& folder, int epochs, double loss) {
  KeptRun run = {.folder = folder,
                 .summary = {.experiment = "some_experiment",
                             .variant = "own",
                             .seed = 5,
                             .epochs = epochs,
                             .train_loss = loss / 2,
                             .train_accuracy = 0.75,
                             .test_loss = loss,
                             .test_accuracy = 0.5,
                             .seconds = 12.34},
                 .history = {}};
  for (int epoch = 1; epoch <= epochs; ++epoch) {
    const EpochMetrics metrics = {
        .epoch = epoch, .loss = loss / epoch, .accuracy = 0.5};
    run.history.push_back({.train = metrics, .test = metrics});
  }
  return run;
}

std::vector<std::string> Texts(const std::vector<Element>& elements) {
  std::vector<std::string> texts;
  for (const Element& element : elements) texts.push_back(element.text);
  return texts;
}

TEST(ComparisonTest, HasTheCurvesOfEveryRunInAColourOfItsOwn) {
  const std::vector<KeptRun> runs = {SomeRun("runs/fast", 3, 1),
                                     SomeRun("runs/slow/", 5, 2)};
  const Page page = MakeComparison(runs);
  const Markup markup(page.ToString());
  ASSERT_TRUE(markup.ok());
  for (const char* chart : {"loss", "accuracy"}) {
    EXPECT_EQ(markup.Within(chart, "circle").size(), 2u * (3 + 5)) << chart;
    const std::vector<Element> curves = markup.Within(chart, "path", "curve");
    ASSERT_EQ(curves.size(), 4u) << chart;
    EXPECT_THAT(Texts(curves),
                ElementsAre("fast, train", "fast", "slow, train", "slow"));
    EXPECT_EQ(curves[0]["class"], "curve stroke0 dashed");
    EXPECT_EQ(curves[1]["class"], "curve stroke0");
    EXPECT_EQ(curves[2]["class"], "curve stroke1 dashed");
    EXPECT_EQ(curves[3]["class"], "curve stroke1");
    // A key for each run.
    EXPECT_EQ(markup.Within(chart, "line", "curve").size(), 2u);
  }
  EXPECT_THAT(Texts(markup.Within("runs", "td")),
              ElementsAre("some_experiment", "own", "5", "3", "50.00", "1.0000",
                          "75.00", "0.5000", "12.3",  //
                          "some_experiment", "own", "5", "5", "50.00", "2.0000",
                          "75.00", "1.0000", "12.3"));
  EXPECT_THAT(page.ToString(), Not(HasSubstr("validation")));
}

TEST(ComparisonTest, ShowsValidationWhereThereIsOne) {
  std::vector<KeptRun> runs = {SomeRun("a", 2, 1), SomeRun("b", 2, 1)};
  for (EpochResult& epoch : runs[1].history) epoch.validation = epoch.test;
  runs[1].summary.validation_accuracy = 0.625;
  const Page page = MakeComparison(runs);
  const Markup markup(page.ToString());
  EXPECT_EQ(markup.Within("loss", "path", "dotted").size(), 1u);
  EXPECT_THAT(Texts(markup.Within("runs", "td")), Contains("62.50"));
  EXPECT_THAT(Texts(markup.Within("runs", "td")), Contains("–"));
  EXPECT_EQ(markup.Within("runs", "td").size(), 2u * 10);
  EXPECT_THAT(Texts(markup.Within("runs", "th")),
              Contains("validation accuracy"));
}

TEST(ComparisonTest, RunsOfOneNameAreCalledByTheirPaths) {
  const std::vector<KeptRun> runs = {SomeRun("a/run", 2, 1),
                                     SomeRun("b/run", 2, 1)};
  const Markup markup(MakeComparison(runs).ToString());
  EXPECT_THAT(Texts(markup.Within("runs", "th")), Contains("a/run"));
  EXPECT_THAT(Texts(markup.Within("runs", "th")), Contains("b/run"));
}

TEST(ComparisonTest, ARunThatDivergedIsSaidToHave) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const std::vector<KeptRun> runs = {SomeRun("good", 2, 1),
                                     SomeRun("bad", 2, nan)};
  const Page page = MakeComparison(runs);
  EXPECT_EQ(Markup(page.ToString()).Within("loss", "circle").size(), 4u);
  EXPECT_THAT(page.ToString(),
              HasSubstr("Left out, being not finite: 2 of 2 of bad, train, 2 "
                        "of 2 of bad."));
  EXPECT_THAT(page.ToString(), HasSubstr(">not finite<"));
}

TEST(ComparisonTest, TakesAnyNumberOfRunsAndOfEpochs) {
  std::vector<KeptRun> runs;
  EXPECT_TRUE(Markup(MakeComparison(runs).ToString()).ok());
  runs.emplace_back().folder = "runs/without_history";
  for (int i = 0; i <= kMostRuns; ++i) {
    runs.push_back(SomeRun(absl::StrCat("runs/", i), 2, 1));
  }
  const Markup markup(MakeComparison(runs).ToString());
  EXPECT_TRUE(markup.ok());
  EXPECT_EQ(markup.Within("loss", "path", "curve").size(),
            2u * (kMostRuns + 1));
}

TEST(ComparisonTest, ReadsTheFoldersThatRunsLeave) {
  const std::string folder = testing::TempDir() + "/kept";
  std::filesystem::remove_all(folder);
  const KeptRun run = SomeRun(folder, 2, 0.75);
  absl::StatusOr<RunDirectory> directory = RunDirectory::Create(folder);
  ASSERT_TRUE(directory.ok()) << directory.status();
  std::string csv = "epoch,split,loss,accuracy,learning_rate,seconds\n";
  for (int epoch = 1; epoch <= 2; ++epoch) {
    absl::StrAppend(&csv, epoch, ",train,0.5,0.5,1,1\n", epoch,
                    ",test,0.25,0.5,1,1\n");
  }
  WriteText(folder + "/metrics.csv", csv);
  // A run that has not ended has no summary.
  EXPECT_THAT(ReadRun(folder).status().ToString(),
              HasSubstr(folder + "/summary.json: expected the summary of a run "
                                 "that has ended"));
  ASSERT_TRUE(directory->WriteSummary(run.summary).ok());
  const auto read = ReadRun(folder);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->summary.test_loss, 0.75);
  EXPECT_EQ(read->history.size(), 2u);
  EXPECT_EQ(read->history[1].test.loss, 0.25);

  WriteText(folder + "/summary.json", "{}");
  EXPECT_THAT(ReadRun(folder).status().ToString(),
              HasSubstr(folder + "/summary.json: expected \"experiment\""));
  WriteText(folder + "/metrics.csv", csv + "3,train");
  EXPECT_THAT(ReadRun(folder).status().ToString(),
              HasSubstr(folder + "/metrics.csv:6: expected"));
  EXPECT_THAT(ReadRun(folder + "/missing").status().ToString(),
              HasSubstr(folder + "/missing: expected the folder of a run"));
}

}  // namespace
}  // namespace tape
