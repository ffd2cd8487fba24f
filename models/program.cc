// Flags and help of the programs of this folder (program.h). Tested by
// tests/models/train_program_test.cc.
#include "models/program.h"

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <new>
#include <string>
#include <system_error>
#include <vector>

#include "absl/flags/parse.h"
#include "absl/flags/reflection.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "framework/compiler/compile.h"
#include "framework/core/check.h"
#include "framework/core/exceptions.h"
#include "framework/core/version.h"

namespace tape {
namespace {

// Where the explanations start and end.
constexpr size_t kColumn = 24, kWidth = 80;

// Prints `text`, the first line of which starts at column `column`, in lines
// that start at kColumn.
void PrintWrapped(absl::string_view text, size_t column) {
  std::string line(kColumn > column ? kColumn - column : 2, ' ');
  column = std::max(kColumn, column + 2);
  bool first = true;
  for (absl::string_view word : absl::StrSplit(text, ' ')) {
    if (!first && column + 1 + word.size() > kWidth) {
      absl::StrAppend(&line, "\n", std::string(kColumn, ' '));
      column = kColumn;
      first = true;
    }
    absl::StrAppend(&line, first ? "" : " ", word);
    column += word.size() + (first ? 0 : 1);
    first = false;
  }
  absl::PrintF("%s\n", line);
}

void PrintHelp(absl::string_view usage, absl::Span<const ShownFlag> flags) {
  absl::PrintF("%s\n\n", usage);
  for (const ShownFlag& shown : flags) {
    const absl::CommandLineFlag* const flag =
        absl::FindCommandLineFlag(shown.name);
    TAPE_CHECK(flag != nullptr);
    const std::string left = absl::StrCat(
        "  --", shown.name, shown.value.empty() ? "" : "=", shown.value);
    absl::PrintF("%s", left);
    PrintWrapped(flag->Help(), left.size());
  }
}

// The name of the flag in `argument` whose value is empty, be it the next
// argument (null after the last): such as a script's variable that is not set.
// It must not count as a flag that is not given.
absl::string_view FlagWithoutValue(absl::string_view argument,
                                   const char* next) {
  if (!absl::ConsumePrefix(&argument, "-")) return "";
  absl::ConsumePrefix(&argument, "-");
  if (absl::ConsumeSuffix(&argument, "=")) return argument;
  const absl::CommandLineFlag* const flag = absl::FindCommandLineFlag(argument);
  const bool takes_next = flag != nullptr && !flag->IsOfType<bool>();
  return takes_next && next != nullptr && *next == '\0' ? argument : "";
}

int FailWithoutMemory() {
  std::fputs("there is no memory left for this program\n", stderr);
  return 1;
}

}  // namespace

std::vector<std::string> ParseFlagsAndArguments(
    int argc, char** argv, absl::string_view usage,
    absl::Span<const ShownFlag> flags) {
  // `bazel run` starts programs in a folder of its own, and tells where the
  // user is: paths of flags are meant from there.
  if (const char* const folder = std::getenv("BUILD_WORKING_DIRECTORY")) {
    // If it is gone, a path will be said to be missing.
    std::error_code ignored;
    std::filesystem::current_path(folder, ignored);
  }
  // A file beyond `ulimit -f` is then an error as any other, not a death.
  std::signal(SIGXFSZ, SIG_IGN);
  // Without memory there is no way on, but one to say so.
  std::set_new_handler([] { std::_Exit(FailWithoutMemory()); });
  for (int i = 1; i < argc; ++i) {
    const absl::string_view argument = argv[i];
    if (argument == "--") break;  // No flags after this.
    if (argument == "--version" || argument == "-version") {
      absl::PrintF("Tape %s\n", kVersion);
      std::exit(ExitCode(absl::OkStatus()));
    }
    if (const absl::string_view flag = FlagWithoutValue(argument, argv[i + 1]);
        !flag.empty()) {
      std::exit(Fail(WrongFlag(flag, "a value", "nothing")));
    }
    // Abseil has further kinds of help, for its own flags.
    if (absl::StartsWith(argument, "--help") ||
        absl::StartsWith(argument, "-help") || argument == "-h") {
      PrintHelp(usage, flags);
      std::exit(ExitCode(absl::OkStatus()));
    }
  }
  const std::vector<char*> rest = absl::ParseCommandLine(argc, argv);
  return {rest.begin() + 1, rest.end()};
}

absl::Status ParseFlags(int argc, char** argv, absl::string_view usage,
                        absl::Span<const ShownFlag> flags) {
  const std::vector<std::string> rest =
      ParseFlagsAndArguments(argc, argv, usage, flags);
  if (rest.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "expected flags only, found \"", rest[0], "\"; --help shows them"));
}

absl::Status WrongFlag(absl::string_view flag, absl::string_view expected,
                       absl::string_view found) {
  return absl::InvalidArgumentError(
      absl::StrCat("--", flag, ": expected ", expected, ", found ", found));
}

absl::StatusOr<int> ThreadsFromFlag(std::optional<int> flag) {
  if (!flag.has_value()) return 0;
  if (*flag >= 1 && *flag <= kMaxThreads) return *flag;
  return WrongFlag("threads", absl::StrCat("1 to ", kMaxThreads),
                   absl::StrCat(*flag));
}

int ExitCode(const absl::Status& status) {
  // Without a message if there was no memory for one (CaughtStatus).
  if (absl::IsResourceExhausted(status) && status.message().empty()) {
    return FailWithoutMemory();
  }
  if (!status.ok()) return Fail(status);
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0) return 0;
  return Fail(absl::DataLossError("standard output: not all could be written"));
}

int ExitCode(const std::function<absl::Status()>& program) {
  try {
    return ExitCode(program());
  } catch (...) {
    try {
      return ExitCode(CaughtStatus("this program"));
    } catch (const std::bad_alloc&) {
      return FailWithoutMemory();
    }
  }
}

}  // namespace tape
