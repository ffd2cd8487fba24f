// What is kept of the runs of //models:reproduce, and the tables made of it:
// our figures beside the documents'. Tested by tests/models/reproduction_test.cc.
#ifndef TAPE_MODELS_REPRODUCTION_H_
#define TAPE_MODELS_REPRODUCTION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/metrics/metrics.h"
#include "models/experiment.h"

namespace tape {

// The runs that are kept in a file of JSON lines, one RunSummary each
// (framework/metrics/metrics.h).
class Reproduction {
 public:
  // Reads the file at `path`; one that is missing has no runs. Errors name the
  // file and the line: one that is no summary, or the second of a run.
  static absl::StatusOr<Reproduction> Read(const std::string& path);

  // The run of that experiment and seed, if it is kept.
  const RunSummary* Find(const Experiment& experiment, uint64_t seed) const;

  // Adds a run and writes the file anew: it holds the old runs or the new ones,
  // never less.
  absl::Status Add(RunSummary run);

  const std::vector<RunSummary>& runs() const { return runs_; }

 private:
  explicit Reproduction(std::string path) : path_(std::move(path)) {}

  std::string path_;
  std::vector<RunSummary> runs_;
};

// A Markdown table with a row for each of the experiments that has runs: mean ±
// standard deviation (of a sample, n - 1) over them, beside what the document
// prints.
std::string FiguresTable(absl::Span<const Experiment> experiments,
                         absl::Span<const RunSummary> runs);

// `text` with what stands between the lines kTableBegin and kTableEnd replaced.
// An error if it has not each of them once, in this order.
inline constexpr absl::string_view kTableBegin =
    "<!-- Written by //models:reproduce, from here on -->\n";
inline constexpr absl::string_view kTableEnd =
    "<!-- Written by //models:reproduce, up to here -->\n";
absl::StatusOr<std::string> ReplaceTable(absl::string_view text,
                                         absl::string_view table);

}  // namespace tape

#endif  // TAPE_MODELS_REPRODUCTION_H_
