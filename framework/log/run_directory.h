// The folder a run leaves behind: metrics.csv, a line for each epoch and split,
// and summary.json, written at the end.
// Tested by tests/log/run_directory_test.cc.
#ifndef TAPE_FRAMEWORK_LOG_RUN_DIRECTORY_H_
#define TAPE_FRAMEWORK_LOG_RUN_DIRECTORY_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/io/files.h"
#include "framework/metrics/metrics.h"

namespace tape {

// What stands in the folder of a run, beside metrics.jsonl (json_lines.h) and
// event files (event_file.h).
inline constexpr char kMetricsName[] = "metrics.csv";
inline constexpr char kSummaryName[] = "summary.json";
inline constexpr char kCheckpointsName[] = "checkpoints";
inline constexpr char kModelName[] = "model.safetensors";
inline constexpr char kReportName[] = "report.html";
inline constexpr char kPicturesName[] = "pictures";

// Whether a run may write a file or folder of this name in its folder. The one
// list, which creating, resuming and cleaning up go by.
bool IsRunFile(absl::string_view name);

// The names in `folder` that IsRunFile knows, sorted; none if there is no such
// folder. Errors: the system's.
absl::StatusOr<std::vector<std::string>> RunFilesIn(const std::string& folder);

// For one thread. One that was moved from writes nothing: kFailedPrecondition.
// Errors of the system have the code of their errno
// (absl::ErrnoToStatus), and name the file and the cause.
class RunDirectory {
 public:
  // The folder at `path`, made with its parents if it is missing, and tried at
  // once: a run must not find out after hours that it cannot be written.
  // Errors, after which the file system is as before: kAlreadyExists if the
  // folder holds anything that IsRunFile knows; kInvalidArgument if `path` is empty, or it or a parent is a file; the
  // system's if the folder or a file in it cannot be created.
  static absl::StatusOr<RunDirectory> Create(const std::string& path);

  // The same for a run that goes on: the folder may hold what it has written.
  // What it was writing when it was killed is removed.
  // Of either: kUnavailable if another RunDirectory, of any process, has the
  // folder open.
  static absl::StatusOr<RunDirectory> Reopen(const std::string& path);

  RunDirectory(RunDirectory&&) = default;
  RunDirectory& operator=(RunDirectory&&) = default;
  RunDirectory(const RunDirectory&) = delete;
  RunDirectory& operator=(const RunDirectory&) = delete;

  // As it was given to Create.
  const std::string& path() const { return path_; }

  // Appends a line to metrics.csv, which is with the system when this returns.
  // Units are those of EpochMetrics, and numbers read back to the same bits but
  // for the sign of a NaN. The first call creates the file with its header: a
  // run that ends before leaves none, so that its folder can be used again.
  // After the other columns comes one for each report of this first call, which
  // is therefore that of a training pass. The reports of later calls must be
  // among these, and the cells of those they lack are empty. Several reports of
  // one name have a column each, in their order. A name with a comma, a quote or
  // a line break is quoted, as RFC 4180 has it.
  // Errors: kAlreadyExists if somebody created the file since Create; the
  // system's, and the file then has whole lines only.
  absl::Status AppendMetrics(const EpochMetrics& metrics);

  // Goes on with metrics.csv after these epochs: it stays the same file, so that
  // a reader who has it open sees what is added, and loses what stands in it
  // beyond them. Errors: kInvalidArgument if it is no such file; the system's.
  absl::Status ContinueMetrics(absl::Span<const EpochResult> history);

  // Writes summary.json, which is there as a whole or not at all; an earlier
  // one of this run is replaced. Units are those of RunSummary; NaN and
  // infinities, which JSON has not, are null, but what was not measured of a
  // validation split is left out. Errors: the system's.
  absl::Status WriteSummary(const RunSummary& summary) const;

 private:
  // An open file that is closed with the object.
  struct Close {
    void operator()(const int* file) const;
  };
  using OpenFile = std::unique_ptr<const int, Close>;

  RunDirectory(std::string path, OpenFile lock);

  // Tries whether files can be created.
  static absl::StatusOr<RunDirectory> Open(const std::string& path);

  // A line, and before the first one of the file the header.
  absl::StatusOr<std::string> MetricsText(const EpochMetrics& metrics,
                                          bool first);

  std::string path_;
  OpenFile lock_;  // The folder, with a lock that ends with the process.
  AppendOnlyFile metrics_;
  std::vector<std::string> report_names_;  // Of its columns, in their order.
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_LOG_RUN_DIRECTORY_H_
