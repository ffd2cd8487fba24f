// The folder of a run (run_directory.h). In go metrics, out come metrics.csv
// and summary.json, or a Status that names the file and the cause.
// Tested by tests/log/run_directory_test.cc.
#include "framework/log/run_directory.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <iterator>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "framework/core/exceptions.h"
#include "framework/core/text.h"
#include "framework/io/files.h"
#include "framework/log/event_file.h"
#include "framework/log/json_lines.h"

namespace tape {
namespace {

constexpr char kHeader[] = "epoch,split,loss,accuracy,learning_rate,seconds";

// Whether the path names anything, be it a symbolic link to nowhere.
bool IsTaken(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(
      std::filesystem::symlink_status(path, ignored));
}

// Folders that this process made. Removes those that are still empty unless
// told to keep them.
class NewFolders {
 public:
  NewFolders() = default;
  NewFolders(const NewFolders&) = delete;
  NewFolders& operator=(const NewFolders&) = delete;
  ~NewFolders() {
    for (; !made_.empty(); made_.pop_back()) rmdir(made_.back().c_str());
  }

  void Keep() { made_.clear(); }

  absl::Status Make(const std::string& path) {
    std::filesystem::path folder;
    for (const std::filesystem::path& part : std::filesystem::path(path)) {
      folder /= part;
      std::error_code error;
      if (std::filesystem::is_directory(folder, error)) continue;
      if (IsTaken(folder.string())) {
        return absl::InvalidArgumentError(absl::StrCat(
            folder.string(),
            ": expected a folder, found a file; choose another --run_dir"));
      }
      if (std::filesystem::create_directory(folder, error)) {
        made_.push_back(folder.string());
      } else if (error) {
        return SystemError(error.value(), folder.string(),
                           "cannot create the folder");
      }
    }
    return absl::OkStatus();
  }

 private:
  std::vector<std::string> made_;  // Parents first.
};

// As few digits as read back to the same number.
std::string NumberText(double value) {
  if (std::isnan(value)) return "nan";  // std::to_chars might print its sign.
  char text[32];  // -1.7976931348623157e+308 is the longest, with 24.
  const std::to_chars_result result =
      std::to_chars(text, text + sizeof(text), value);
  return std::string(text, result.ptr);
}

// As a cell of metrics.csv.
std::string NameText(const std::string& name) {
  if (name.find_first_of(",\"\r\n") == std::string::npos) return name;
  return absl::StrCat("\"", absl::StrReplaceAll(name, {{"\"", "\"\""}}), "\"");
}

// Of a RunDirectory that was moved from.
absl::Status NoRun() {
  return absl::FailedPreconditionError(
      "expected the folder of a run, found a RunDirectory that was moved from");
}

absl::Status EmptyPath() {
  return absl::InvalidArgumentError("the path of the run's folder is empty");
}

// The names of a run's files, but for event files', which vary. (Not constexpr,
// which GCC 12 refuses under -fsanitize=undefined: its bug 71962.)
const absl::string_view kNames[] = {
    kMetricsName, kJsonLinesName, kSummaryName, kCheckpointsName,
    kModelName,   kReportName,    kPicturesName};

// Of these, what shows that there is a run, and not only what one has made.
bool ShowsARun(absl::string_view name) {
  return name != kModelName && name != kReportName && name != kPicturesName;
}

}  // namespace

bool IsRunFile(absl::string_view name) {
  return std::find(std::begin(kNames), std::end(kNames), name) !=
             std::end(kNames) ||
         IsEventFile(name);
}

absl::StatusOr<std::vector<std::string>> RunFilesIn(const std::string& folder) {
  absl::StatusOr<std::vector<std::string>> names =
      VisibleNames(folder, "the folder of a run");
  if (absl::IsNotFound(names.status())) return std::vector<std::string>();
  if (!names.ok()) return names;
  names->erase(
      std::remove_if(names->begin(), names->end(),
                     [](const std::string& name) { return !IsRunFile(name); }),
      names->end());
  return names;
}

void RunDirectory::Close::operator()(const int* file) const {
  close(*file);
  delete file;
}

RunDirectory::RunDirectory(std::string path, OpenFile lock)
    : path_(std::move(path)),
      lock_(std::move(lock)),
      metrics_(PathIn(path_, kMetricsName)) {}

absl::StatusOr<RunDirectory> RunDirectory::Create(const std::string& path) try {
  if (path.empty()) return EmptyPath();
  // (What is no folder, Open says.)
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    absl::StatusOr<std::vector<std::string>> found = RunFilesIn(path);
    if (!found.ok()) return found.status();
    const auto run = std::find_if(found->begin(), found->end(), ShowsARun);
    if (run != found->end()) {
      return absl::AlreadyExistsError(
          absl::StrCat(path, ": already holds a run (", *run,
                       "); --resume goes on with it; or choose another "
                       "--run_dir or remove it"));
    }
    if (!found->empty()) {
      return absl::AlreadyExistsError(absl::StrCat(
          path, ": already holds ", found->front(),
          ", which a run would replace; choose another --run_dir or move it"));
    }
  }
  return Open(path);
} catch (...) {
  return CaughtStatus(path);
}

absl::StatusOr<RunDirectory> RunDirectory::Reopen(const std::string& path) try {
  if (path.empty()) return EmptyPath();
  absl::StatusOr<RunDirectory> directory = Open(path);
  if (!directory.ok()) return directory;
  absl::Status status = RemoveTemporaries(path, IsRunFile);
  status.Update(RemoveTemporaries(
      PathIn(path, kPicturesName), [](absl::string_view name) {
        return absl::EndsWith(name, ".svg") || absl::EndsWith(name, ".png");
      }));
  if (!status.ok()) return status;
  return directory;
} catch (...) {
  return CaughtStatus(path);
}

absl::StatusOr<RunDirectory> RunDirectory::Open(const std::string& path) {
  NewFolders folders;
  if (absl::Status status = folders.Make(path); !status.ok()) return status;

  const int folder = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return SystemError(errno, path, "cannot open the folder");
  OpenFile lock(new int(folder));
  // Some file systems have no locks, and then there is none.
  if (flock(folder, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    return absl::UnavailableError(absl::StrCat(
        path,
        ": another process is writing to this run; wait for it, or "
        "choose another --run_dir"));
  }
  absl::Status status = CheckWritable(path);
  if (!status.ok()) return status;
  folders.Keep();
  return RunDirectory(path, std::move(lock));
}

absl::StatusOr<std::string> RunDirectory::MetricsText(
    const EpochMetrics& metrics, bool first) {
  std::string text;
  if (first) {
    text = kHeader;
    report_names_.clear();
    for (const Measurement& report : metrics.reports) {
      absl::StrAppend(&text, ",", NameText(report.name));
      report_names_.push_back(report.name);
    }
    text += "\n";
  }
  absl::StrAppend(&text, metrics.epoch, ",", NameText(metrics.split), ",",
                  NumberText(metrics.loss), ",", NumberText(metrics.accuracy),
                  ",", NumberText(metrics.learning_rate), ",",
                  NumberText(metrics.seconds));
  std::vector<std::string> cells(report_names_.size());
  for (const Measurement& report : metrics.reports) {
    size_t column = 0;  // The first of this name that is still free.
    while (column < cells.size() &&
           (report_names_[column] != report.name || !cells[column].empty())) {
      ++column;
    }
    if (column == cells.size()) {
      const bool is_known =
          std::find(report_names_.begin(), report_names_.end(), report.name) !=
          report_names_.end();
      return WrongData(
          PathIn(path_, kMetricsName),
          absl::StrCat("the reports of the first line, ",
                       Printable(absl::StrJoin(report_names_, ", "))),
          absl::StrCat("\"", Printable(report.name), "\"",
                       is_known ? " once more" : ""));
    }
    cells[column] = NumberText(report.value);
  }
  for (const std::string& cell : cells) absl::StrAppend(&text, ",", cell);
  return text + "\n";
}

absl::Status RunDirectory::AppendMetrics(const EpochMetrics& metrics) try {
  if (lock_ == nullptr) return NoRun();
  const absl::StatusOr<std::string> text =
      MetricsText(metrics, metrics_.bytes() == 0);
  return text.ok() ? metrics_.Append(*text) : text.status();
} catch (...) {
  return CaughtStatus(path_);
}

absl::Status RunDirectory::ContinueMetrics(
    absl::Span<const EpochResult> history) try {
  if (lock_ == nullptr) return NoRun();
  std::string text;
  for (const EpochResult& epoch : history) {
    const EpochMetrics* const all[] = {
        &epoch.train,
        epoch.validation.has_value() ? &*epoch.validation : nullptr,
        &epoch.test};
    for (const EpochMetrics* metrics : all) {
      if (metrics == nullptr) continue;
      const absl::StatusOr<std::string> line =
          MetricsText(*metrics, text.empty());
      if (!line.ok()) return line.status();
      text += *line;
    }
  }
  return metrics_.Continue(text, kHeader);
} catch (...) {
  return CaughtStatus(path_);
}

absl::Status RunDirectory::WriteSummary(const RunSummary& summary) const try {
  if (lock_ == nullptr) return NoRun();
  return ReplaceFile(PathIn(path_, kSummaryName),
                     ToJson(summary, JsonForm::kIndented));
} catch (...) {
  return CaughtStatus(path_);
}

}  // namespace tape
