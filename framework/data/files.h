// Whole files in and out, and how errors about data are worded: what the
// readers and writers of this folder share. Not for users of data sets.
// Tested by the readers' and writers' tests: tests/idx_test.cc,
// tests/csv_test.cc and tests/image_folder_test.cc.
#ifndef TAPE_FRAMEWORK_DATA_FILES_H_
#define TAPE_FRAMEWORK_DATA_FILES_H_

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/core/tensor.h"

namespace tape {

// The bytes of a file, and a NUL behind them, so that a parser may look one
// byte beyond the end.
class FileBytes {
 public:
  explicit FileBytes(size_t size) : size_(size), buffer_(size + 1) {}
  size_t size() const { return size_; }
  char* data() { return reinterpret_cast<char*>(buffer_.data()); }
  absl::string_view view() const {
    return {reinterpret_cast<const char*>(buffer_.data()), size_};
  }

 private:
  size_t size_;
  Buffer buffer_;  // Zeroed.
};

// All bytes of the file `path`, which should be `kind` ("an IDX file"). Errors,
// all of which name the path: kNotFound if there is no such file,
// kInvalidArgument if it is a folder, pipe, device or socket,
// kResourceExhausted if it is larger than this machine's memory, kDataLoss if
// the file became shorter meanwhile, otherwise what the system said.
absl::StatusOr<FileBytes> ReadWholeFile(const std::string& path,
                                        absl::string_view kind);

// Writes a new file of these pieces, one after the other. Errors are the
// system's, kAlreadyExists for one if `path` is taken, and leave no file.
absl::Status WriteNewFile(const std::string& path,
                          std::initializer_list<absl::string_view> pieces);

// Makes `bytes` the content of the file `path`, which is there as a whole or,
// if this fails, as it was before: they are written to "<path>.temporary"
// first, and bytes and name are on the disk when this returns. Errors are the
// system's; one of the folder's fsync alone comes when the file is already
// there.
absl::Status ReplaceFile(const std::string& path, absl::string_view bytes);
// The same of these pieces, one after the other.
absl::Status ReplaceFile(const std::string& path,
                         absl::Span<const absl::string_view> pieces);

// A file that grows by pieces, each of which is there as a whole or not at all:
// a log. Every piece is written by one call, and is with the system when Append
// returns, so that another process sees it, and it outlives this one (though
// not a loss of power). For one thread. Errors are the system's, and name the
// file.
class AppendOnlyFile {
 public:
  // Touches nothing.
  explicit AppendOnlyFile(std::string path) : path_(std::move(path)) {}

  const std::string& path() const { return path_; }
  // Of what this object has written; 0 if it has made no file.
  int64_t bytes() const { return bytes_; }

  // Adds `piece`, which is not empty. The first one creates the file, and is
  // kAlreadyExists if `path` is taken, unless Replace came before. After an
  // error the file is as it was.
  absl::Status Append(absl::string_view piece);

  // Makes `content` all that is in the file, whatever it was, as ReplaceFile
  // does; if that is nothing, there is no file any more.
  absl::Status Replace(absl::string_view content);

 private:
  std::string path_;
  int64_t bytes_ = 0;
};

// Puts on the disk what names the folder of `path` holds. Errors are the
// system's.
absl::Status SyncFolderOf(const std::string& path);

// Removes the file `path`. Errors are the system's.
absl::Status RemoveFile(const std::string& path);

// Makes the folder `path` in a parent that is there. Errors are the system's,
// kAlreadyExists for one if `path` is taken.
absl::Status MakeFolder(const std::string& path);

// The names in the folder `path` that are not hidden (".DS_Store"), sorted by
// their bytes. Errors, which call what was expected `kind` ("a folder of PNG
// images"): kNotFound if there is nothing, kInvalidArgument if it is no folder,
// otherwise what the system said.
absl::StatusOr<std::vector<std::string>> VisibleNames(const std::string& path,
                                                      absl::string_view kind);

// The path of `name` in `folder`.
std::string PathIn(absl::string_view folder, absl::string_view name);

// kInvalidArgument, "WHERE: expected EXPECTED, found FOUND".
absl::Status WrongData(absl::string_view where, absl::string_view expected,
                       absl::string_view found);

// The text in quotation marks, escaped to ASCII and cut after so many bytes, so
// that an error stays a short line whatever a file holds.
std::string Quoted(absl::string_view text, size_t shown = 20);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DATA_FILES_H_
