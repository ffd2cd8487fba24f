// compare: the curves of several runs in one page; see --help. Tested by
// tests/models/compare_program_test.cc.
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "framework/core/text.h"
#include "framework/io/files.h"
#include "framework/log/run_directory.h"
#include "framework/report/comparison.h"
#include "framework/report/page.h"
#include "models/program.h"

ABSL_FLAG(std::string, output, "comparison.html",
          "file to write the page to, outside of the runs, replaced if it is "
          "such a page; by default comparison.html");

namespace tape {
namespace {

constexpr char kUsage[] =
    "Puts the curves of several runs in one page.\n\n"
    "  compare RUN RUN ...    folders that //models:train wrote by "
    "--run_dir\n\n"
    "Exits with 0 if the page is written, else with 1, after an error on "
    "stderr:\n"
    "a run that has not ended, for one.";

constexpr ShownFlag kFlags[] = {{"output", "FILE"}};

// Whether the page may be written to `output`: to no other file than an earlier
// page, and to none in a run.
absl::Status CheckOutput(const std::string& output,
                         absl::Span<const std::string> folders) {
  for (const std::string& folder : folders) {
    if (PathFrom(folder, output).empty()) continue;
    return WrongFlag(
        "output", absl::StrCat("a file outside of the run ", Printable(folder)),
        Printable(output));
  }
  const absl::Status status = CheckReplaceable(
      output, Page::Beginning(kComparisonProgram), "a page that compare wrote");
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat("--output: ", status.message()));
}

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
  if (absl::Status status = CheckOutput(output, folders); !status.ok()) {
    return status;
  }
  if (absl::Status status =
          ReplaceFile(output, MakeComparison(runs).ToString());
      !status.ok()) {
    return status;
  }
  for (const KeptRun& run : runs) {
    absl::FPrintF(stderr, "read: %s and %s, %d %s\n",
                  Printable(PathIn(run.folder, kMetricsName)), kSummaryName,
                  run.summary.epochs,
                  run.summary.epochs == 1 ? "epoch" : "epochs");
  }
  absl::PrintF("%s: %d %s\n", Printable(output), runs.size(),
               runs.size() == 1 ? "run" : "runs");
  return absl::OkStatus();
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  return tape::ExitCode([&] { return tape::Main(argc, argv); });
}
