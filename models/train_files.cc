// The folder of a run that train makes or goes on with (OpenFiles in
// train_flags.h). Tested by tests/models/train_program_test.cc and
// tests/models/resume_program_test.cc.
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "framework/core/text.h"
#include "framework/io/files.h"
#include "framework/io/safetensors.h"
#include "framework/log/epoch_log.h"
#include "framework/log/event_file.h"
#include "framework/log/json_lines.h"
#include "framework/log/run_directory.h"
#include "framework/metrics/metrics.h"
#include "framework/report/page.h"
#include "framework/report/report.h"
#include "models/train_flags.h"

namespace tape {
namespace {

// The logs beside metrics.csv: those that flags ask for, and, of a run that is
// resumed, those that it has.
absl::StatusOr<std::vector<EpochLog>> Logs(const std::string& folder,
                                           bool resumed) {
  bool json_lines = absl::GetFlag(FLAGS_jsonl);
  bool events = absl::GetFlag(FLAGS_tensorboard);
  if (resumed) {
    const absl::StatusOr<std::vector<std::string>> names = RunFilesIn(folder);
    if (!names.ok()) return names.status();
    for (const std::string& name : *names) {
      json_lines |= name == kJsonLinesName;
      events |= IsEventFile(name);
    }
  }
  std::vector<EpochLog> logs;
  if (json_lines) logs.push_back(JsonLinesLog(folder));
  if (events) {
    absl::StatusOr<EpochLog> log = EventFileLog(folder);
    if (!log.ok()) return log.status();
    logs.push_back(*std::move(log));
  }
  return logs;
}

// Whether the newest checkpoint still is the one that the run was read from,
// now that the folder is locked.
absl::Status CheckNewest(const TrainingRun& training,
                         const CheckpointFolder& checkpoints) {
  std::vector<absl::Status> damaged;
  const absl::StatusOr<std::optional<Checkpoint>> newest =
      checkpoints.Newest(damaged);
  if (!newest.ok()) return newest.status();
  const std::string then =
      training.from ? training.from->path : "no checkpoint";
  const std::string now =
      newest->has_value() ? (*newest)->path : "no checkpoint";
  if (now == then) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("--resume: another process has gone on with the run: "
                   "expected ",
                   then, ", found ", now));
}

// Whether a result of `found` epochs may be replaced by that of a run of `epochs`:
// by none of fewer.
absl::Status CheckNotLonger(const std::string& path, int found, int epochs) {
  if (found <= epochs) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "--resume: ", Printable(path), ": expected the result of at most ",
      epochs, " epochs, to which the run would go on, found that of ", found,
      "; --epochs=", found, " goes on to these"));
}

// Whether the report and the pictures in `folder` can be replaced.
absl::Status CheckReportFiles(const std::string& folder) {
  absl::Status status = CheckCanReplace(PathIn(folder, kReportName));
  if (!status.ok()) return status;
  const std::string pictures = PathIn(folder, kPicturesName);
  const absl::StatusOr<std::vector<std::string>> names =
      VisibleNames(pictures, "the folder of a report's pictures");
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  if (!names.ok()) return names.status();
  status = CheckWritable(pictures);
  for (const std::string& name : *names) {
    if (!absl::EndsWith(name, ".svg") && !absl::EndsWith(name, ".png")) {
      continue;
    }
    if (status.ok()) status = CheckCanReplace(PathIn(pictures, name));
  }
  return status;
}

// Whether the results in the folder of a run that goes on to `epochs` epochs are
// of a run, and of no longer one, as its end will replace them.
absl::Status CheckResults(const std::string& folder, int epochs) {
  absl::Status status =
      CheckReplaceable(PathIn(folder, kReportName),
                       Page::Beginning(kReportProgram), "a report of train");
  if (!status.ok()) return status;
  // The report is written before its pictures.
  std::error_code ignored;
  const std::string pictures = PathIn(folder, kPicturesName);
  if (std::filesystem::exists(pictures, ignored) &&
      !std::filesystem::exists(PathIn(folder, kReportName), ignored)) {
    return WrongData(pictures, "the pictures of a report, to be replaced",
                     absl::StrCat("others, without ", kReportName));
  }
  if (absl::GetFlag(FLAGS_html_report)) status = CheckReportFiles(folder);
  const std::string summary = PathIn(folder, kSummaryName);
  const std::string model = ModelFileIn(folder);
  if (status.ok()) status = CheckCanReplace(summary);
  if (status.ok()) status = CheckCanReplace(model);
  if (!status.ok()) return status;
  const absl::StatusOr<FileBytes> text = ReadWholeFile(summary, "a summary");
  if (!text.ok() && !absl::IsNotFound(text.status())) return text.status();
  if (text.ok()) {
    const absl::StatusOr<RunSummary> had = RunSummaryFromJson(text->view());
    if (!had.ok()) {
      return WrongData(
          summary, "the summary of a run, to be replaced",
          absl::StrCat("another file: ", Printable(had.status().message())));
    }
    status = CheckNotLonger(summary, had->epochs, epochs);
    if (!status.ok()) return status;
  }
  const absl::StatusOr<SafetensorsFile> file = ReadSafetensors(model);
  if (absl::IsNotFound(file.status())) return absl::OkStatus();
  if (!file.ok()) return file.status();
  if (ValueOf(file->metadata, "experiment").empty()) {
    return WrongData(model, "the model of a run, to be replaced at its end",
                     "another one");
  }
  int had = 0;  // Of a model that does not tell.
  if (!absl::SimpleAtoi(ValueOf(file->metadata, "epochs"), &had)) had = 0;
  return CheckNotLonger(model, had, epochs);
}

}  // namespace

absl::StatusOr<std::optional<RunFiles>> OpenFiles(const TrainingRun& training) {
  const std::string path = absl::GetFlag(FLAGS_run_dir);
  if (path.empty()) return std::nullopt;
  const bool resumes = absl::GetFlag(FLAGS_resume);
  absl::StatusOr<RunDirectory> directory =
      resumes ? RunDirectory::Reopen(path) : RunDirectory::Create(path);
  if (!directory.ok()) return directory.status();
  const RunSettings& run = training.run;
  CheckpointFolder checkpoints(CheckpointsIn(path), run.goes_back
                                                        ? run.back_to_newest
                                                        : KeepCheckpoints());
  if (resumes) {
    absl::Status status = CheckNewest(training, checkpoints);
    if (status.ok()) status = CheckResults(path, run.settings.train.epochs);
    if (status.ok()) status = checkpoints.RemoveUnfinished();
    if (!status.ok()) return status;
  }
  absl::StatusOr<std::vector<EpochLog>> logs =
      Logs(path, training.from.has_value());
  if (!logs.ok()) return logs.status();
  const absl::StatusOr<CheckpointEvery> every = CheckpointEveryOf(run);
  if (!every.ok()) return every.status();
  RunFiles files = {.directory = *std::move(directory),
                    .logs = *std::move(logs),
                    .checkpoints = std::move(checkpoints),
                    .checkpoint_every = *every};
  if (training.from.has_value() && KeepsCheckpoints(files)) {
    absl::Status status = CheckWritable(files.checkpoints.path());
    if (!status.ok()) return status;
  }
  return files;
}

}  // namespace tape
