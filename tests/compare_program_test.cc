// The program that compares runs, as a user meets it: run as a process, on what
// train left, wrong arguments included.
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"
#include "tests/markup_testing.h"
#include "tests/program_testing.h"

namespace tape {
namespace {

using ::testing::HasSubstr;

Outcome Compare(std::vector<std::string> arguments) {
  return RunProgram("models/compare", std::move(arguments));
}

// The folders of two runs of one epoch, made once.
const std::vector<std::string>& Runs() {
  static const auto* const runs = [] {
    auto* const made = new std::vector<std::string>;
    for (const char* rate : {"0.1", "0.01"}) {
      made->push_back(absl::StrCat(testing::TempDir(), "/rate_", rate));
      std::filesystem::remove_all(made->back());
      const Outcome outcome = RunProgram(
          "models/train", {"--experiment=mnist_h1", "--epochs=2", "--threads=1",
                           absl::StrCat("--learning_rate=", rate),
                           "--run_dir=" + made->back()});
      EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
    }
    return made;
  }();
  return *runs;
}

TEST(CompareProgramTest, PutsRunsInOnePage) {
  const std::string output = testing::TempDir() + "/comparison.html";
  std::filesystem::remove(output);
  const Outcome outcome = Compare({Runs()[0], Runs()[1], "--output=" + output});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_EQ(outcome.out, output + ": 2 runs\n");
  const std::string text = ReadText(output);
  const Markup page(text);
  ASSERT_TRUE(page.ok());
  // Two runs, three splits, two epochs.
  EXPECT_EQ(page.Within("loss", "circle").size(), 12u);
  EXPECT_EQ(page.Within("accuracy", "circle").size(), 12u);
  EXPECT_THAT(text, HasSubstr("rate_0.01"));
}

TEST(CompareProgramTest, RefusesWrongArgumentsAndBrokenRuns) {
  const std::string output = "--output=" + testing::TempDir() + "/refused.html";
  const auto refuses = [&](std::vector<std::string> arguments,
                           const std::string& part) {
    arguments.push_back(output);
    ExpectOneLineOfError(Compare(std::move(arguments)), {part});
  };
  refuses({}, "expected the folders of 1 to 10 runs, found 0");
  refuses(std::vector<std::string>(11, Runs()[0]), "found 11");
  refuses({Runs()[0], "/no/such/run"},
          "/no/such/run: expected the folder of a run");
  const std::string broken = testing::TempDir() + "/broken";
  std::filesystem::remove_all(broken);
  std::filesystem::create_directories(broken);
  refuses({broken}, broken + "/metrics.csv");
  WriteText(broken + "/metrics.csv", "epoch,split\n");
  refuses({Runs()[0], broken}, broken + "/metrics.csv:1: expected ");
  std::filesystem::copy_file(Runs()[0] + "/metrics.csv",
                             broken + "/metrics.csv",
                             std::filesystem::copy_options::overwrite_existing);
  refuses({broken}, broken + "/summary.json: expected");
  EXPECT_FALSE(std::filesystem::exists(testing::TempDir() + "/refused.html"));
  ExpectOneLineOfError(Compare({Runs()[0], "--output=/no/such/page.html"}),
                       {"/no/such/page.html"});
  ExpectOneLineOfError(Compare({Runs()[0], "--output="}),
                       {"--output: expected a file, found nothing"});
}

}  // namespace
}  // namespace tape
