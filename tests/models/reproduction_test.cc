// Runs that are kept, and the table made of them.
#include "models/reproduction.h"

#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

using ::testing::HasSubstr;

// As much of an experiment as tables show.
Experiment AnExperiment() {
  Experiment experiment;
  experiment.name = "some";
  experiment.variant = "corrected";
  experiment.defaults.train.epochs = 30;
  experiment.published = {.train_accuracy = 0.83988,
                          .train_loss = 0.4674,
                          .test_accuracy = 0.79852,
                          .seconds_per_epoch = 4.04,
                          .remark = "88 to 91 % over runs"};
  experiment.note = "a note";
  return experiment;
}

RunSummary ARun(uint64_t seed, double test_accuracy) {
  return {.experiment = "some",
          .variant = "corrected",
          .seed = seed,
          .threads = 2,
          .epochs = 30,
          .kept_epoch = 30,
          .train_loss = 0.5,
          .train_accuracy = 0.84,
          .test_loss = 0.25,
          .test_accuracy = test_accuracy,
          .seconds = 2.0,
          .samples_per_second = 1e6};
}

std::string NewPath(const std::string& name) {
  const std::string path = testing::TempDir() + "/" + name;
  std::filesystem::remove(path);
  return path;
}

TEST(ReproductionTest, KeepsRunsInAFileOfLines) {
  const std::string path = NewPath("kept.jsonl");
  absl::StatusOr<Reproduction> kept = Reproduction::Read(path);
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_TRUE(kept->runs().empty());
  ASSERT_TRUE(kept->Add(ARun(0, 0.80)).ok());
  ASSERT_TRUE(kept->Add(ARun(1, 0.82)).ok());

  const absl::StatusOr<Reproduction> again = Reproduction::Read(path);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->runs().size(), 2u);
  ASSERT_NE(again->Find(AnExperiment(), 1), nullptr);
  EXPECT_EQ(again->Find(AnExperiment(), 1)->test_accuracy, 0.82);
  EXPECT_EQ(again->Find(AnExperiment(), 2), nullptr);
  Experiment other = AnExperiment();
  other.variant = "as_written";
  EXPECT_EQ(again->Find(other, 1), nullptr);
}

TEST(ReproductionTest, NamesTheLineThatIsWrong) {
  const std::string path = NewPath("wrong.jsonl");
  const std::string line = ToJson(ARun(0, 0.8), JsonForm::kLine);
  WriteText(path, line + "\n{\"experiment\": 1");
  EXPECT_THAT(Reproduction::Read(path).status().message(),
              HasSubstr("wrong.jsonl:2: expected the summary of a run"));
  WriteText(path, line + "\n\n" + line + "\n");
  EXPECT_THAT(Reproduction::Read(path).status().message(),
              HasSubstr("wrong.jsonl:3: expected each run once, found some "
                        "(corrected) with seed 0 again"));
}

TEST(ReproductionTest, ARunThatCannotBeKeptLeavesTheFileAsItWas) {
  const std::string path = NewPath("kept_whole.jsonl");
  absl::StatusOr<Reproduction> kept = Reproduction::Read(path);
  ASSERT_TRUE(kept->Add(ARun(0, 0.80)).ok());
  const std::string before = ReadText(path);
  {
    LargestFile limit(before.size());
    EXPECT_FALSE(kept->Add(ARun(1, 0.82)).ok());
  }
  EXPECT_EQ(ReadText(path), before);
}

TEST(FiguresTableTest, ShowsMeanAndDeviationBesideTheDocuments) {
  // Of 0.80, 0.82 and 0.84 the mean is 0.82, and the deviation of the sample
  // sqrt((0.02^2 + 0 + 0.02^2) / 2) = 0.02.
  const std::vector<RunSummary> runs = {ARun(0, 0.80), ARun(1, 0.82),
                                        ARun(2, 0.84)};
  EXPECT_THAT(
      FiguresTable({AnExperiment()}, runs),
      testing::EndsWith(
          "|---|---|---|---|---|---|---|---|---|---|\n"
          "| `some` | corrected | 83.99 / 0.4674 | 84.00 ± 0.00 / 0.5000 ± "
          "0.0000 | 79.85 | 82.00 ± 2.00 / 0.2500 ± 0.0000 | 3 | 121 | 2.0 | "
          "document: 88 to 91 % over runs; a note |\n"));
}

TEST(FiguresTableTest, ShowsASingleRunWithoutADeviation) {
  EXPECT_THAT(FiguresTable({AnExperiment()}, {ARun(0, 0.80)}),
              HasSubstr("| 79.85 | 80.00 / 0.2500 | 1 |"));
}

TEST(FiguresTableTest, ShowsNanAndEpochsAndValidation) {
  std::vector<RunSummary> runs = {ARun(0, 0.80), ARun(1, 0.82)};
  for (RunSummary& run : runs) {
    run.test_loss = kNotMeasured;
    run.validation_accuracy = 0.5;
  }
  runs[0].epochs = 17;
  runs[1].epochs = 21;
  Experiment experiment = AnExperiment();
  experiment.published.validation_accuracy = 0.51;
  const std::string table = FiguresTable({experiment}, runs);
  EXPECT_THAT(table, HasSubstr("| 81.00 ± 1.41 / nan | 2 |"));
  EXPECT_THAT(table, HasSubstr("ours stops after 17 to 21 epochs; best "
                               "validation: document 51.00, ours 50.00 ± "
                               "0.00; a note"));
}

TEST(FiguresTableTest, LeavesOutWhatHasNoRuns) {
  Experiment other = AnExperiment();
  other.name = "other";
  EXPECT_THAT(FiguresTable({other, AnExperiment()}, {ARun(0, 0.80)}),
              testing::Not(HasSubstr("other")));
}

TEST(ReplaceTableTest, ReplacesWhatStandsBetweenTheMarks) {
  const std::string begin(kTableBegin), end(kTableEnd);
  const auto replaced =
      ReplaceTable("before\n" + begin + "old\n" + end + "after\n", "new\n");
  ASSERT_TRUE(replaced.ok()) << replaced.status();
  EXPECT_EQ(*replaced, "before\n" + begin + "new\n" + end + "after\n");
  for (const std::string& text : {std::string("no marks\n"), begin, end,
                                  end + begin, begin + end + begin + end}) {
    EXPECT_FALSE(ReplaceTable(text, "new\n").ok()) << text;
  }
}

}  // namespace
}  // namespace tape
