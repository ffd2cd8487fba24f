// What the README shows is true: its program compiles (see BUILD.bazel, which
// cuts it out of the README), prints what the README says it prints, and, with
// the mistake the README tells of, ends with the error it shows.
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <regex>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

// The ```text blocks of README.md, in order.
std::vector<std::string> TextBlocks() {
  const std::string readme = ReadText("README.md");
  std::vector<std::string> blocks;
  bool inside = false;
  for (absl::string_view line : absl::StrSplit(readme, '\n')) {
    if (line == "```text") {
      blocks.emplace_back();
      inside = true;
    } else if (line == "```") {
      inside = false;
    } else if (inside) {
      absl::StrAppend(&blocks.back(), line, "\n");
    }
  }
  return blocks;
}

struct Outcome {
  std::string output;  // stdout and stderr.
  int exit_code;
};

Outcome Execute(const std::string& program) {
  std::FILE* const pipe = popen(absl::StrCat(program, " 2>&1").c_str(), "r");
  Outcome outcome;
  std::array<char, 4096> buffer;
  while (size_t bytes = std::fread(buffer.data(), 1, buffer.size(), pipe)) {
    outcome.output.append(buffer.data(), bytes);
  }
  outcome.exit_code = WEXITSTATUS(pclose(pipe));
  return outcome;
}

TEST(ReadmeTest, ProgramPrintsWhatItSays) {
  ASSERT_EQ(TextBlocks().size(), 2u);
  const Outcome outcome = Execute("tests/readme_program");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.output, TextBlocks()[0]);
}

TEST(ReadmeTest, MistakeIsReportedAsItSays) {
  ASSERT_EQ(TextBlocks().size(), 2u);
  const Outcome outcome = Execute("tests/readme_mistake");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_EQ(outcome.output, TextBlocks()[1]);
}

// What stands between backquotes in `line`.
std::vector<std::string> Quoted(absl::string_view line) {
  std::vector<std::string> quoted;
  const std::vector<absl::string_view> parts = absl::StrSplit(line, '`');
  for (size_t i = 1; i < parts.size(); i += 2) quoted.emplace_back(parts[i]);
  return quoted;
}

bool IsPath(const std::string& text) {
  return std::regex_match(text, std::regex("[a-z_/]+\\.(h|cc)"));
}

// Each item of the guided tour, and each row of its table, names files that are
// there, and identifiers that stand in one of the files it names.
TEST(ReadmeTest, TheGuidedTourNamesWhatIsThere) {
  const std::string readme = ReadText("framework/README.md");
  const size_t begin = readme.find("## One training step, file by file");
  const size_t end = readme.find("\n## ", begin + 1);
  ASSERT_NE(begin, std::string::npos);
  ASSERT_NE(end, std::string::npos);
  // A line for each item or row.
  const std::string tour =
      absl::StrReplaceAll(readme.substr(begin, end - begin), {{"\n   ", " "}});
  int checked = 0;
  for (absl::string_view line : absl::StrSplit(tour, '\n')) {
    std::string sources;
    for (const std::string& quoted : Quoted(line)) {
      if (!IsPath(quoted)) continue;
      EXPECT_TRUE(std::filesystem::exists(quoted)) << quoted;
      absl::StrAppend(&sources, ReadText(quoted));
    }
    if (sources.empty()) continue;
    for (const std::string& quoted : Quoted(line)) {
      if (!std::regex_match(quoted, std::regex("[A-Z][A-Za-z]+|k[A-Z]\\w+"))) {
        continue;
      }
      ++checked;
      EXPECT_TRUE(
          std::regex_search(sources, std::regex("\\b" + quoted + "\\b")))
          << quoted << " in: " << line;
    }
  }
  EXPECT_GE(checked, 40);
}

}  // namespace
}  // namespace tape
