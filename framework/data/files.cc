// Whole files in and out (files.h). In go paths and bytes, out come bytes and
// files, or a Status that names the path. Tested by tests/files_test.cc,
// tests/idx_test.cc and tests/csv_test.cc.
#include "framework/data/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "framework/core/check.h"

namespace tape {
namespace {

constexpr mode_t kFilePermissions = 0666;  // Less what the umask takes away.
constexpr mode_t kFolderPermissions = 0777;

absl::Status SystemError(int error, absl::string_view path,
                         absl::string_view what) {
  return absl::ErrnoToStatus(error, absl::StrCat(path, ": ", what));
}

absl::Status NothingThere(absl::string_view path, absl::string_view kind,
                          absl::string_view found) {
  return absl::NotFoundError(
      absl::StrCat(path, ": expected ", kind, ", found ", found));
}

// Writes all of `bytes`. Returns 0 or errno.
int WriteAll(int file, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(written);
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

// Reads until `to` holds `size` bytes, or there are no more. Returns 0 or
// errno, and in `count` how many there were.
int ReadAll(int file, char* to, size_t size, size_t& count) {
  for (count = 0; count < size;) {
    const ssize_t arrived = read(file, to + count, size - count);
    if (arrived == 0) return 0;
    if (arrived > 0) {
      count += arrived;
    } else if (errno != EINTR) {
      return errno;
    }
  }
  return 0;
}

}  // namespace

absl::StatusOr<FileBytes> ReadWholeFile(const std::string& path,
                                        absl::string_view kind) {
  // Looked at before it is opened: opening a pipe might never end.
  struct stat status;
  if (stat(path.c_str(), &status) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return NothingThere(path, kind, "no such file");
    }
    return SystemError(errno, path, "cannot take its size");
  }
  if (S_ISDIR(status.st_mode)) return WrongData(path, kind, "a folder");
  if (!S_ISREG(status.st_mode)) {
    return WrongData(path, kind, "a pipe, device or socket");
  }
  if (!FitsInMemory(status.st_size)) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": its ", status.st_size,
                     " bytes are more than this machine has of memory"));
  }
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return SystemError(errno, path, "cannot open it");
  FileBytes bytes(status.st_size);
  size_t count = 0;
  const int error = ReadAll(file, bytes.data(), bytes.size(), count);
  close(file);
  if (error != 0) {
    return SystemError(error, path, absl::StrCat("cannot read byte ", count));
  }
  if (count < bytes.size()) {
    return absl::DataLossError(
        absl::StrCat(path, ": byte ", count, ": expected ", bytes.size(),
                     " bytes in all, could read no more"));
  }
  return bytes;
}

absl::Status WriteNewFile(const std::string& path,
                          std::initializer_list<absl::string_view> pieces) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                        kFilePermissions);
  if (file < 0) return SystemError(errno, path, "cannot create the file");
  int error = 0;
  for (absl::string_view piece : pieces) {
    if (error == 0) error = WriteAll(file, piece);
  }
  if (close(file) != 0 && error == 0) error = errno;
  if (error == 0) return absl::OkStatus();
  unlink(path.c_str());
  return SystemError(error, path, "cannot write the file");
}

absl::Status ReplaceFile(const std::string& path, absl::string_view bytes) {
  return ReplaceFile(path, absl::MakeConstSpan(&bytes, 1));
}

absl::Status ReplaceFile(const std::string& path,
                         absl::Span<const absl::string_view> pieces) {
  const std::string temporary = path + ".temporary";
  const int file =
      open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC,
           kFilePermissions);
  if (file < 0) return SystemError(errno, temporary, "cannot create the file");
  int error = 0;
  for (absl::string_view piece : pieces) {
    if (error == 0) error = WriteAll(file, piece);
  }
  if (error == 0 && fsync(file) != 0) error = errno;
  if (close(file) != 0 && error == 0) error = errno;
  if (error != 0) {
    unlink(temporary.c_str());
    return SystemError(error, temporary, "cannot write the file");
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    error = errno;
    unlink(temporary.c_str());
    return SystemError(error, path, "cannot put the file in its place");
  }
  return SyncFolderOf(path);
}

absl::Status SyncFolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder =
      slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int file = open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return SystemError(errno, folder, "cannot open the folder");
  int error = fsync(file) == 0 ? 0 : errno;
  if (close(file) != 0 && error == 0) error = errno;
  // Some file systems have no fsync of folders, and say so.
  if (error == 0 || error == EINVAL) return absl::OkStatus();
  return SystemError(error, folder, "cannot put the folder on the disk");
}

absl::Status RemoveFile(const std::string& path) {
  if (unlink(path.c_str()) == 0) return absl::OkStatus();
  return SystemError(errno, path, "cannot remove the file");
}

absl::Status AppendOnlyFile::Append(absl::string_view piece) {
  TAPE_CHECK(!piece.empty());
  const bool first = bytes_ == 0;
  const int file =
      open(path_.c_str(),
           O_WRONLY | O_APPEND | O_CLOEXEC | (first ? O_CREAT | O_EXCL : 0),
           kFilePermissions);
  if (file < 0) {
    return SystemError(errno, path_, "cannot open the file to add to it");
  }
  int error = WriteAll(file, piece);
  if (close(file) != 0 && error == 0) error = errno;
  if (error == 0) {
    bytes_ += static_cast<int64_t>(piece.size());
    return absl::OkStatus();
  }
  // What came before a disk was full is half a piece; so away with it. If that
  // fails too, there is nothing better to report than the first error.
  const bool undone =
      first ? unlink(path_.c_str()) == 0 : truncate(path_.c_str(), bytes_) == 0;
  return SystemError(
      error, path_,
      undone ? "cannot add to the file" : "cannot add to the file as a whole");
}

absl::Status AppendOnlyFile::Replace(absl::string_view content) {
  if (!content.empty()) {
    absl::Status status = ReplaceFile(path_, content);
    if (status.ok()) bytes_ = static_cast<int64_t>(content.size());
    return status;
  }
  if (unlink(path_.c_str()) != 0 && errno != ENOENT) {
    return SystemError(errno, path_, "cannot remove the file");
  }
  bytes_ = 0;
  return absl::OkStatus();
}

absl::Status MakeFolder(const std::string& path) {
  if (mkdir(path.c_str(), kFolderPermissions) == 0) return absl::OkStatus();
  return SystemError(errno, path, "cannot make the folder");
}

absl::StatusOr<std::vector<std::string>> VisibleNames(const std::string& path,
                                                      absl::string_view kind) {
  DIR* const folder = opendir(path.c_str());
  if (folder == nullptr) {
    if (errno == ENOENT) return NothingThere(path, kind, "no such folder");
    if (errno == ENOTDIR) return WrongData(path, kind, "a file");
    return SystemError(errno, path, "cannot open the folder");
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(folder)) {
    if (entry->d_name[0] != '.') names.push_back(entry->d_name);
    errno = 0;
  }
  const int error = errno;  // Only this tells an error from the end.
  closedir(folder);
  if (error != 0) return SystemError(error, path, "cannot list the folder");
  std::sort(names.begin(), names.end());
  return names;
}

std::string PathIn(absl::string_view folder, absl::string_view name) {
  return absl::StrCat(folder, folder.empty() || folder.back() == '/' ? "" : "/",
                      name);
}

absl::Status WrongData(absl::string_view where, absl::string_view expected,
                       absl::string_view found) {
  return absl::InvalidArgumentError(
      absl::StrCat(where, ": expected ", expected, ", found ", found));
}

std::string Quoted(absl::string_view text, size_t shown) {
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, shown)),
                      text.size() > shown ? "..." : "", "\"");
}

}  // namespace tape
