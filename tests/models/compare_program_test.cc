// The program that compares runs, as a user meets it: run as a process, on what
// train left, wrong arguments included.
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"
#include "tests/models/program_testing.h"
#include "tests/report/markup_testing.h"

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
  EXPECT_EQ(
      outcome.err,
      absl::StrCat("read: ", Runs()[0],
                   "/metrics.csv and summary.json, 2 epochs\nread: ", Runs()[1],
                   "/metrics.csv and summary.json, 2 epochs\n"));
  const std::string text = ReadText(output);
  const Markup page(text);
  ASSERT_TRUE(page.ok());
  // Two runs, three splits, two epochs.
  EXPECT_EQ(page.Within("loss", "circle").size(), 12u);
  EXPECT_EQ(page.Within("accuracy", "circle").size(), 12u);
  EXPECT_THAT(text, HasSubstr("rate_0.01"));
}

TEST(CompareProgramTest, ReplacesAPageOfItsOwnAndNothingElse) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(testing::TempDir()) / "outputs";
  fs::remove_all(folder);
  fs::create_directories(folder / "folder");
  const std::string page = (folder / "page.html").string();
  ASSERT_EQ(Compare({Runs()[0], "--output=" + page}).exit_code, 0);
  fs::permissions(page, fs::perms::owner_read | fs::perms::owner_write);
  ASSERT_EQ(Compare({Runs()[0], Runs()[1], "--output=" + page}).exit_code, 0);
  EXPECT_THAT(ReadText(page), HasSubstr("2 runs compared"));
  EXPECT_EQ(fs::status(page).permissions(),
            fs::perms::owner_read | fs::perms::owner_write);

  const std::string mine = WriteText((folder / "mine.html").string(), "MINE");
  WriteText((folder / "empty.html").string(), "");
  fs::create_symlink(mine, folder / "link.html");
  fs::create_symlink(page, folder / "link_to_page.html");
  ASSERT_EQ(mkfifo((folder / "pipe").c_str(), 0600), 0);
  for (const auto& [name, found] :
       {std::pair("mine.html", "another file"),
        std::pair("empty.html", "an empty file"),
        std::pair("link.html", "a symbolic link"),
        std::pair("link_to_page.html", "a symbolic link"),
        std::pair("pipe", "a pipe"), std::pair("folder", "a folder")}) {
    ExpectOneLineOfError(
        Compare({Runs()[0], "--output=" + (folder / name).string()}),
        {"--output: ", (folder / name).string(),
         absl::StrCat("found ", found)});
  }
  EXPECT_EQ(ReadText(mine), "MINE");
  EXPECT_TRUE(fs::is_symlink(folder / "link.html"));
  EXPECT_TRUE(fs::is_fifo(folder / "pipe"));

  // Nor into a run that is read, be it by another way.
  const std::string metrics = ReadText(Runs()[0] + "/metrics.csv");
  fs::create_directory_symlink(Runs()[0], folder / "run");
  for (const std::string& output :
       {Runs()[0] + "/metrics.csv", Runs()[0] + "/new.html",
        (folder / "run/new.html").string(),
        Runs()[0] + "/checkpoints/../new.html"}) {
    ExpectOneLineOfError(
        Compare({Runs()[1], Runs()[0], "--output=" + output}),
        {"--output: expected a file outside of the run " + Runs()[0]});
  }
  EXPECT_EQ(ReadText(Runs()[0] + "/metrics.csv"), metrics);
  EXPECT_FALSE(fs::exists(Runs()[0] + "/new.html"));
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
                       {"--output: expected a value, found nothing"});
}

}  // namespace
}  // namespace tape
