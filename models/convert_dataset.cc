// convert_dataset: reads a data set in any form and writes it in another; see
// --help. What it writes is there as a whole or not at all: it grows in a
// folder beside --to, DIR.unfinished.PID, which takes that name at the end; a
// killed program leaves it. Tested by tests/models/convert_dataset_test.cc.
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <new>
#include <string>
#include <system_error>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "framework/data/dataset.h"
#include "framework/io/files.h"
#include "models/program.h"

ABSL_FLAG(std::string, from, "",
          "folder of the data set to read, in any of the forms");
ABSL_FLAG(std::string, to, "",
          "folder to write, in one that is there; refused if taken");
ABSL_FLAG(std::string, form, "",
          "form to write. idx: the four files of MNIST. csv: trainData.csv, "
          "trainLabels.csv, testData.csv, testLabels.csv. labelled_csv: "
          "mnist_train.csv, mnist_test.csv. png: train/LABEL/INDEX.png and "
          "test/LABEL/INDEX.png");

namespace tape {
namespace {

namespace fs = std::filesystem;

constexpr char kUsage[] =
    "Converts a data set of ten classes to another form.\n\n"
    "  convert_dataset --from=DIR --to=DIR --form=png";

constexpr ShownFlag kFlags[] = {
    {"from", "DIR"}, {"to", "DIR"}, {"form", "FORM"}};

absl::StatusOr<DatasetForm> FormFromFlag(absl::string_view name) {
  for (DatasetForm form : DatasetForms()) {
    if (name == NameOf(form)) return form;
  }
  return WrongFlag("form",
                   absl::StrJoin(DatasetForms(), " or ",
                                 [](std::string* text, DatasetForm form) {
                                   absl::StrAppend(text, NameOf(form));
                                 }),
                   Quoted(name));
}

// The folder to write, where nothing is yet.
absl::StatusOr<std::string> NewFolderFromFlag(const std::string& flag) {
  if (flag.empty()) return WrongFlag("to", "a folder to write", "none");
  fs::path folder = flag;
  if (!folder.has_filename()) folder = folder.parent_path();  // "new/"
  std::error_code error;
  switch (fs::symlink_status(folder, error).type()) {
    case fs::file_type::not_found:
      return folder.string();
    case fs::file_type::none:
      return WrongFlag("to", "a new folder",
                       absl::StrCat(flag, " (", error.message(), ")"));
    default:
      return WrongFlag("to", "a new folder",
                       absl::StrCat(flag, ", which is there already"));
  }
}

// A folder beside `path` that is to become `path`. If it has not when this
// object comes to its end, it is removed with all that is in it.
class UnfinishedFolder {
 public:
  explicit UnfinishedFolder(const std::string& path)
      : final_path_(path),
        path_(absl::StrCat(path, ".unfinished.", getpid())) {}
  ~UnfinishedFolder() {
    if (!is_made_) return;
    try {
      std::error_code ignored;  // An error is on its way to the user already.
      fs::remove_all(path_, ignored);
    } catch (const std::bad_alloc&) {
    }
  }
  UnfinishedFolder(const UnfinishedFolder&) = delete;
  UnfinishedFolder& operator=(const UnfinishedFolder&) = delete;

  const std::string& path() const { return path_; }

  absl::Status Make() {
    std::error_code error;
    is_made_ = fs::create_directory(path_, error);
    if (is_made_) return absl::OkStatus();
    // The user's path, not the one beside it.
    return SystemError(error ? error.value() : EEXIST,
                       absl::StrCat("--to: ", final_path_),
                       "cannot make the folder");
  }

  absl::Status Finish() {
    std::error_code error;
    fs::rename(path_, final_path_, error);
    if (error) {
      return SystemError(error.value(), final_path_,
                         "cannot put the folder in its place");
    }
    is_made_ = false;
    return absl::OkStatus();
  }

 private:
  const std::string final_path_;
  const std::string path_;
  bool is_made_ = false;
};

// Of the files at and below `path`.
int64_t BytesAt(const std::string& path) {
  std::error_code error;
  if (!fs::is_directory(path, error)) return fs::file_size(path, error);
  int64_t bytes = 0;
  for (fs::recursive_directory_iterator entry(path, error), end;
       !error && entry != end; entry.increment(error)) {
    if (entry->is_regular_file(error)) bytes += entry->file_size(error);
  }
  return bytes;  // A count is not worth a failure.
}

// "30.9 MB in 0.41 s (75.4 MB/s, 170732 images/s)"
std::string Rates(int64_t bytes, int64_t images,
                  std::chrono::steady_clock::duration time) {
  const double megabytes = static_cast<double>(bytes) * 1e-6;
  const double seconds =
      std::max(std::chrono::duration<double>(time).count(), 1e-9);
  return absl::StrFormat("%.1f MB in %.2f s (%.1f MB/s, %.0f images/s)",
                         megabytes, seconds, megabytes / seconds,
                         static_cast<double>(images) / seconds);
}

absl::Status Convert(const std::string& from, const std::string& to,
                     DatasetForm form) {
  using Clock = std::chrono::steady_clock;
  // Want of memory is an error here, which names the file and leaves nothing.
  std::set_new_handler(nullptr);
  const absl::StatusOr<FoundDataset> found = FindDataset(from);
  if (!found.ok()) return found.status();
  const Clock::time_point start = Clock::now();
  const absl::StatusOr<DataSplits> splits = ReadDatasetFolder(from);
  if (!splits.ok()) return splits.status();
  const Clock::duration reading = Clock::now() - start;

  UnfinishedFolder unfinished(to);
  if (absl::Status status = unfinished.Make(); !status.ok()) return status;
  const Clock::time_point middle = Clock::now();
  absl::Status status = WriteDatasetFolder(*splits, form, unfinished.path());
  if (!status.ok()) return status;
  const Clock::duration writing = Clock::now() - middle;
  const int64_t bytes_written = BytesAt(unfinished.path());
  if (status = unfinished.Finish(); !status.ok()) return status;

  int64_t bytes_read = 0;
  for (const std::string& path : found->paths) bytes_read += BytesAt(path);
  const int64_t train = splits->train.size(), test = splits->test.size();
  absl::PrintF(
      "%d training and %d test images of %d pixels: read as %s, %s; "
      "written as %s, %s\n",
      train, test, splits->train.pixels(), NameOf(found->form),
      Rates(bytes_read, train + test, reading), NameOf(form),
      Rates(bytes_written, train + test, writing));
  return absl::OkStatus();
}

absl::Status Main(int argc, char** argv) {
  absl::Status status = ParseFlags(argc, argv, kUsage, kFlags);
  if (!status.ok()) return status;
  const std::string from = absl::GetFlag(FLAGS_from);
  if (from.empty()) return WrongFlag("from", "a folder to read", "none");
  const absl::StatusOr<std::string> to =
      NewFolderFromFlag(absl::GetFlag(FLAGS_to));
  if (!to.ok()) return to.status();
  const absl::StatusOr<DatasetForm> form =
      FormFromFlag(absl::GetFlag(FLAGS_form));
  if (!form.ok()) return form.status();
  return Convert(from, *to, *form);
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  return tape::ExitCode([&] { return tape::Main(argc, argv); });
}
