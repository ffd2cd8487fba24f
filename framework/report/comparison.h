// The page about several runs: their curves in one chart, and what they came
// to. Tested by tests/report/comparison_test.cc.
#ifndef TAPE_FRAMEWORK_REPORT_COMPARISON_H_
#define TAPE_FRAMEWORK_REPORT_COMPARISON_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "framework/metrics/metrics.h"
#include "framework/report/page.h"

namespace tape {

// What a folder of a run keeps (framework/log/run_directory.h).
struct KeptRun {
  std::string folder;
  RunSummary summary;
  std::vector<EpochResult> history;
};

// What comparisons name as their program (Page).
inline constexpr char kComparisonProgram[] = "Tape compare";

// Reads metrics.csv and summary.json of a run. Errors name the file: those of
// ReadMetrics and RunSummaryFromJson; kNotFound, saying whether the run has
// not ended, if one is missing; kFailedPrecondition if the run has gone on since
// its summary.
absl::StatusOr<KeptRun> ReadRun(const std::string& folder);

// Runs have a colour each, of which there are so many: of more runs some share
// theirs.
inline constexpr int kMostRuns = kSeriesColors;

// The page about these runs. They are called by the last part of their folders
// or, if two have the same one, by all of it.
Page MakeComparison(absl::Span<const KeptRun> runs);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_REPORT_COMPARISON_H_
