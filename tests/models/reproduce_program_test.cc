// The program that puts our figures beside the documents', as a user meets it:
// run as a process, wrong flags included.
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/reproduction.h"
#include "tests/file_testing.h"
#include "tests/models/program_testing.h"

namespace tape {
namespace {

using ::testing::HasSubstr;

Outcome Reproduce(std::vector<std::string> arguments) {
  return RunProgram("models/reproduce", std::move(arguments));
}

// A folder of its own for a test.
std::string NewFolder(const std::string& name) {
  const std::string folder = testing::TempDir() + "/" + name;
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

TEST(ReproduceProgramTest, RunsAnExperimentAndPrintsJson) {
  const Outcome outcome =
      Reproduce({"--experiment=mnist_h1", "--variant=as_written", "--seeds=0,3",
                 "--json", "--threads=1"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<std::string> lines =
      absl::StrSplit(outcome.out, '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 2u);
  const auto run = RunSummaryFromJson(lines[1]);
  ASSERT_TRUE(run.ok()) << run.status();
  EXPECT_EQ(run->experiment, "mnist_h1");
  EXPECT_EQ(run->variant, "as_written");
  EXPECT_EQ(run->seed, 3u);
  EXPECT_EQ(run->threads, 1);
  // As the document, from its own weights.
  EXPECT_NEAR(run->test_accuracy, 0.1829, 0.006);
  EXPECT_NEAR(run->test_loss, 6.8921, 0.004);
}

TEST(ReproduceProgramTest, PrintsATableOfAllVariants) {
  const Outcome outcome =
      Reproduce({"--experiment=mnist_h1", "--seeds=0", "--threads=1"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("| `mnist_h1` | corrected |"));
  EXPECT_THAT(outcome.out, HasSubstr("| `mnist_h1` | as_written |"));
}

TEST(ReproduceProgramTest, AllGoesOnWhereItStopped) {
  const std::string folder = NewFolder("resumed");
  const std::string results = folder + "/reproduced.jsonl";
  const std::string readme = folder + "/README.md";
  // The repository's own runs with seed 0, but for one.
  std::vector<std::string> kept;
  std::string text;
  const std::vector<std::string> lines_of_all =
      absl::StrSplit(ReadText("models/reproduced.jsonl"), '\n');
  for (const std::string& line : lines_of_all) {
    const auto run = RunSummaryFromJson(line);
    if (!run.ok() || run->seed != 0) continue;
    if (run->experiment == "mnist_h1" && run->variant == "as_written") continue;
    kept.push_back(line);
    absl::StrAppend(&text, line, "\n");
  }
  WriteText(results, text);
  WriteText(readme, absl::StrCat("head\n", kTableBegin, kTableEnd));

  const Outcome outcome =
      Reproduce({"--all", "--seeds=0", "--results=" + results,
                 "--readme=" + readme, "--threads=1"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  const std::vector<std::string> lines =
      absl::StrSplit(outcome.out, '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 1u) << outcome.out;
  EXPECT_THAT(lines[0], HasSubstr("mnist_h1 (as_written), seed 0: test"));
  const auto all = Reproduction::Read(results);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->runs().size(), kept.size() + 1);
  EXPECT_THAT(ReadText(readme), HasSubstr("| `mnist_h1` | as_written |"));

  // Nothing is left to do.
  const std::string table = ReadText(readme);
  const Outcome again = Reproduce(
      {"--all", "--seeds=0", "--results=" + results, "--readme=" + readme});
  EXPECT_EQ(again.exit_code, 0) << again.err;
  EXPECT_EQ(again.out, "");
  EXPECT_EQ(ReadText(readme), table);
}

TEST(ReproduceProgramTest, RefusesWrongFlags) {
  const auto refuses = [](std::vector<std::string> arguments,
                          const std::string& part) {
    ExpectOneLineOfError(Reproduce(std::move(arguments)), {part});
  };
  refuses({}, "expected one of --all and --experiment=NAME");
  refuses({"--all", "--experiment=mnist_h1"}, "expected one of --all and");
  refuses({"--all", "--json"}, "--variant and --json go with --experiment");
  for (const char* flag : {"--results=F", "--readme=F"}) {
    refuses({"--experiment=mnist_h1", flag},
            "--results and --readme go with --all, not with --experiment");
  }
  refuses({"--experiment=mnist_h1", "--seeds=0,1,00"},
          "--seeds: expected each seed once, found 0,1,00");
  refuses({"--experiment=mnist_h2"},
          "--experiment: there is no experiment \"mnist_h2\"; known are ");
  refuses({"--experiment=mnist_h1", "--variant=right"},
          "--variant: there is no variant \"right\" of mnist_h1; known are "
          "corrected, as_written");
  refuses({"--experiment=mnist_h1", "--seeds=0,x"},
          "--seeds: expected numbers with commas between, found 0,x");
  refuses({"--experiment=mnist_h1", "--threads=0"},
          "--threads: expected 1 to 1024, found 0");
}

TEST(ReproduceProgramTest, SaysBeforeARunThatTheTableCannotBeWritten) {
  const std::string folder = NewFolder("wrong");
  const std::string results = "--results=" + folder + "/reproduced.jsonl";
  ExpectOneLineOfError(
      Reproduce({"--all", results, "--readme=/no/such/README.md"}),
      {"/no/such/README.md"});
  const std::string readme = folder + "/README.md";
  WriteText(readme, "no marks\n");
  ExpectOneLineOfError(Reproduce({"--all", results, "--readme=" + readme}),
                       {readme, "Written by //models:reproduce"});
  EXPECT_EQ(ReadText(readme), "no marks\n");
  EXPECT_FALSE(std::filesystem::exists(folder + "/reproduced.jsonl"));
}

}  // namespace
}  // namespace tape
