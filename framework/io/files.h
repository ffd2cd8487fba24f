// Whole files in and out, and how errors about data are worded: what the
// readers and writers of this folder share. Not for users of data sets.
// Tested by tests/io/files_test.cc.
#ifndef TAPE_FRAMEWORK_IO_FILES_H_
#define TAPE_FRAMEWORK_IO_FILES_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace tape {

// The error of a call of the system that failed with errno `error`: "path: what:
// the system's words".
absl::Status SystemError(int error, absl::string_view path,
                         absl::string_view what);

// The bytes of a file, and a NUL behind them, so that a parser may look one
// byte beyond the end. For ReadWholeFile.
class FileBytes {
 public:
  explicit FileBytes(size_t size);
  // Whether there was memory for them.
  bool ok() const { return bytes_ != nullptr; }
  size_t size() const { return size_; }
  char* data() { return bytes_.get(); }
  absl::string_view view() const { return {bytes_.get(), size_}; }

 private:
  struct Free {
    void operator()(char* bytes) const { std::free(bytes); }
  };
  size_t size_;
  std::unique_ptr<char[], Free> bytes_;  // Aligned as tensors are.
};

// All bytes of the file `path`, which should be `kind` ("an IDX file"). Errors,
// all of which name the path: kNotFound if there is no such file,
// kInvalidArgument if it is a folder, pipe, device or socket,
// kResourceExhausted if it is larger than the memory that this process may take
// (memory.h), kDataLoss if the file became shorter meanwhile, otherwise what the
// system said.
absl::StatusOr<FileBytes> ReadWholeFile(const std::string& path,
                                        absl::string_view kind);

// Writes a new file of these pieces, one after the other. Errors are the
// system's, kAlreadyExists for one if `path` is taken, and leave no file.
absl::Status WriteNewFile(const std::string& path,
                          std::initializer_list<absl::string_view> pieces);

// The same of the pieces that `next` makes, one after the other, until it returns
// false: for a file that need not be in memory as a whole. What `next` throws
// leaves no file either.
absl::Status WriteNewFile(const std::string& path,
                          const std::function<bool(std::string& piece)>& next);

// Makes `bytes` the content of the file `path`, which is there as a whole or,
// if this fails, as it was before: they are written to a new file of a name that
// nobody can guess beside it, "<path>.tape-<12 letters>", and bytes and name are
// on the disk when this returns. A file that is replaced keeps its permissions
// and its owner. Errors: kInvalidArgument if `path` is a folder, a symbolic
// link, a device, a pipe or a socket, which are never replaced; the system's,
// kPermissionDenied for one if the file is not ours to write, or its owner
// cannot be kept; one of the folder's fsync alone comes when the file is already
// there.
absl::Status ReplaceFile(const std::string& path, absl::string_view bytes);
// The same of these pieces, one after the other.
absl::Status ReplaceFile(const std::string& path,
                         absl::Span<const absl::string_view> pieces);

// What ReplaceFile(path) would say of the path, its folder, the file's owner and
// permissions: makes its new file, and removes it. For who must not find out
// after hours.
absl::Status CheckCanReplace(const std::string& path);

// Whether ReplaceFile(path) would replace nothing but what the same program has
// written: nothing is there, or a file that begins with `mark`, as all files do
// that errors call `kind` ("a page that compare wrote"). kInvalidArgument, which
// says what was found, if not.
absl::Status CheckReplaceable(const std::string& path, absl::string_view mark,
                              absl::string_view kind);

// Removes what calls of ReplaceFile that were killed have left in `folder`, of
// the files whose names `is_ours` knows: regular files of this user alone.
// Nobody must be replacing these now. Errors: the system's; none if there is no
// folder.
absl::Status RemoveTemporaries(
    const std::string& folder,
    const std::function<bool(absl::string_view name)>& is_ours);

// Whether files can be made in `folder`: makes one of a new name, and removes
// it. Errors: the system's.
absl::Status CheckWritable(const std::string& folder);

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
  // In the file; 0 if this object has made none.
  int64_t bytes() const { return bytes_; }

  // Adds `piece`, which is not empty. The first one creates the file, and is
  // kAlreadyExists if `path` is taken, unless Continue came before. After an
  // error the file is as it was.
  absl::Status Append(absl::string_view piece);

  // Goes on with the file of an earlier process: makes `content` all that is in
  // it. What the two have in common stays as it is, and the file stays the same
  // one, so that a reader who has it open sees what is added. Without a file and
  // with content, one is made. kInvalidArgument, after which nothing has
  // changed, if the file does not begin with `beginning` (or, a shorter one, as
  // that begins): it is not such a log.
  absl::Status Continue(absl::string_view content, absl::string_view beginning);

 private:
  std::string path_;
  bool exists_ = false;  // This object has made or continued the file.
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

// The names in the folder `path` that are neither hidden (".DS_Store") nor those
// that systems leave in folders of images ("Thumbs.db", "desktop.ini"), sorted
// by their bytes. Errors, which call what was expected `kind` ("a folder of PNG
// images"): kNotFound if there is nothing, kInvalidArgument if it is no folder,
// otherwise what the system said.
absl::StatusOr<std::vector<std::string>> VisibleNames(const std::string& path,
                                                      absl::string_view kind);

// The path of `name` in `folder`.
std::string PathIn(absl::string_view folder, absl::string_view name);

// The path of `path` from `folder`, links followed: "." if they are the same,
// empty if `path` is not in `folder`. Neither need be there.
std::string PathFrom(const std::string& folder, const std::string& path);

// kInvalidArgument, "WHERE: expected EXPECTED, found FOUND".
absl::Status WrongData(absl::string_view where, absl::string_view expected,
                       absl::string_view found);

// The text in quotation marks, escaped to ASCII and cut after so many bytes, so
// that an error stays a short line whatever a file holds.
std::string Quoted(absl::string_view text, size_t shown = 20);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_IO_FILES_H_
