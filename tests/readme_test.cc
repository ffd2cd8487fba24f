// What the README shows is true: its program compiles (see BUILD.bazel, which
// cuts it out of the README), prints what the README says it prints, and, with
// the mistake the README tells of, ends with the error it shows.
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
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

}  // namespace
}  // namespace tape
