// compare: the curves of several runs in one page; see --help. Tested by
// tests/compare_program_test.cc.
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "framework/data/files.h"
#include "framework/report/comparison.h"
#include "models/program.h"

ABSL_FLAG(std::string, output, "comparison.html",
          "file to write the page to, replaced if it is there; by default "
          "comparison.html");

namespace tape {
namespace {

constexpr char kUsage[] =
    "Puts the curves of several runs in one page.\n\n"
    "  compare RUN RUN ...    folders that //models:train wrote by --run_dir";

constexpr ShownFlag kFlags[] = {{"output", "FILE"}};

absl::Status Main(int argc, char** argv) {
  const std::vector<std::string> folders =
      ParseFlagsAndArguments(argc, argv, kUsage, kFlags);
  if (folders.empty() || folders.size() > kMostRuns) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected the folders of 1 to ", kMostRuns,
                     " runs, found ", folders.size(), "; --help tells more"));
  }
  const std::string output = absl::GetFlag(FLAGS_output);
  if (output.empty()) return WrongFlag("output", "a file", "nothing");
  std::vector<KeptRun> runs;
  for (const std::string& folder : folders) {
    absl::StatusOr<KeptRun> run = ReadRun(folder);
    if (!run.ok()) return run.status();
    runs.push_back(*std::move(run));
  }
  if (absl::Status status =
          ReplaceFile(output, MakeComparison(runs).ToString());
      !status.ok()) {
    return status;
  }
  absl::PrintF("%s: %d %s\n", output, runs.size(),
               runs.size() == 1 ? "run" : "runs");
  return absl::OkStatus();
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  return tape::ExitCode(tape::Main(argc, argv));
}
