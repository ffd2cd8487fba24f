// Whole files in and out (files.h). In go paths and bytes, out come bytes and
// files, or a Status that names the path. Tested by tests/io/files_test.cc,
// tests/io/idx_test.cc and tests/data/csv_test.cc.
#include "framework/io/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <optional>
#include <random>
#include <system_error>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/core/memory.h"
#include "framework/core/tensor.h"
#include "framework/core/text.h"

namespace tape {

absl::Status SystemError(int error, absl::string_view path,
                         absl::string_view what) {
  return absl::ErrnoToStatus(error, absl::StrCat(Printable(path), ": ", what));
}

namespace {

constexpr mode_t kFilePermissions = 0666;  // Less what the umask takes away.
constexpr mode_t kPrivatePermissions = 0600;
constexpr mode_t kFolderPermissions = 0777;

absl::Status NothingThere(absl::string_view path, absl::string_view kind,
                          absl::string_view found) {
  return absl::NotFoundError(
      absl::StrCat(Printable(path), ": expected ", kind, ", found ", found));
}

// "a folder", or what else it is.
absl::string_view KindOf(mode_t mode) {
  if (S_ISREG(mode)) return "a file";
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return S_ISFIFO(mode) ? "a pipe" : "a socket";
}

// What ReplaceFile would replace, nothing if nothing is there. Errors as there.
absl::StatusOr<std::optional<struct stat>> FindReplaceable(
    const std::string& path) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return std::nullopt;
    return SystemError(errno, path, "cannot create the file");
  }
  if (!S_ISREG(status.st_mode)) {
    return WrongData(path, "a regular file, or none yet, to write",
                     KindOf(status.st_mode));
  }
  return status;
}

// ---- Temporary files ----

constexpr absl::string_view kTemporaryMark = ".tape-";
constexpr absl::string_view kRandomCharacters =
    "abcdefghijklmnopqrstuvwxyz234567";  // 5 bits each.
constexpr size_t kRandomLength = 12;
// File systems take names of 255 bytes.
constexpr size_t kLongestBase = 255 - kTemporaryMark.size() - kRandomLength;

// The path of a temporary file for `path`, in the same folder.
std::string TemporaryFor(const std::string& path) {
  uint64_t random = 0;
  if (getrandom(&random, sizeof(random), 0) != sizeof(random)) {
    random = std::random_device()();  // O_EXCL does the rest.
  }
  const size_t name = path.rfind('/') + 1;  // npos + 1 is 0.
  std::string temporary = absl::StrCat(
      path.substr(0, name), path.substr(name, kLongestBase), kTemporaryMark);
  for (size_t i = 0; i < kRandomLength; ++i, random >>= 5) {
    temporary += kRandomCharacters[random % kRandomCharacters.size()];
  }
  return temporary;
}

// The name of the file that a temporary one is for, nothing of any other name.
std::optional<absl::string_view> TemporaryOf(absl::string_view name) {
  const size_t mark = name.rfind(kTemporaryMark);
  if (mark == name.npos || mark == 0) return std::nullopt;
  const absl::string_view random = name.substr(mark + kTemporaryMark.size());
  if (random.size() != kRandomLength ||
      random.find_first_not_of(kRandomCharacters) != random.npos) {
    return std::nullopt;
  }
  return name.substr(0, mark);
}

// Creates a file that nobody else has, with these permissions less the umask's.
// Returns it, and its path in `temporary`; negative after an error, which is in
// errno.
int CreateTemporary(const std::string& path, mode_t permissions,
                    std::string& temporary) {
  constexpr int kAttempts = 100;
  int file = -1;
  for (int i = 0; i < kAttempts && file < 0; ++i) {
    temporary = TemporaryFor(path);
    file =
        open(temporary.c_str(),
             O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, permissions);
    if (file < 0 && errno != EEXIST) return file;
  }
  return file;
}

// Gives the new file owner and permissions of the one it is to replace. Returns
// 0 or errno.
int KeepOwnerAndPermissions(int file, const struct stat& old) {
  struct stat now;
  if (fstat(file, &now) != 0) return errno;
  if ((now.st_uid != old.st_uid || now.st_gid != old.st_gid) &&
      fchown(file, old.st_uid, old.st_gid) != 0) {
    return errno;
  }
  return fchmod(file, old.st_mode & 07777) == 0 ? 0 : errno;
}

// The open file that ReplaceFile(path) writes.
struct Temporary {
  int file;
  std::string path;
};

absl::StatusOr<Temporary> MakeTemporary(const std::string& path) {
  const auto old = FindReplaceable(path);
  if (!old.ok()) return old.status();
  if (old->has_value() &&
      faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0) {
    return SystemError(errno, path, "cannot replace the file");
  }
  Temporary made;
  made.file = CreateTemporary(
      path, old->has_value() ? kPrivatePermissions : kFilePermissions,
      made.path);
  if (made.file < 0) return SystemError(errno, path, "cannot create the file");
  if (!old->has_value()) return made;
  const int error = KeepOwnerAndPermissions(made.file, **old);
  if (error == 0) return made;
  close(made.file);
  unlink(made.path.c_str());
  return SystemError(error, path,
                     "cannot keep the file's owner and permissions");
}

// What file managers leave in folders. Case differs between their versions.
bool IsOfAFileManager(absl::string_view name) {
  for (const char* known : {"Thumbs.db", "ehthumbs.db", "desktop.ini"}) {
    if (absl::EqualsIgnoreCase(name, known)) return true;
  }
  return name == "__MACOSX" || name == "Icon\r";
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

// A file that is removed unless it is finished.
class NewFile {
 public:
  explicit NewFile(const std::string& path)
      : path_(path),
        file_(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC,
                   kFilePermissions)),
        error_(file_ < 0 ? errno : 0) {}
  ~NewFile() {
    if (file_ < 0) return;
    close(file_);
    unlink(path_.c_str());
  }
  NewFile(const NewFile&) = delete;
  NewFile& operator=(const NewFile&) = delete;

  bool ok() const { return error_ == 0; }
  void Write(absl::string_view bytes) {
    if (ok()) error_ = WriteAll(file_, bytes);
  }
  // The first error, after which there is no file.
  absl::Status Finish() {
    if (file_ < 0) return SystemError(error_, path_, "cannot create the file");
    if (close(file_) != 0 && ok()) error_ = errno;
    file_ = -1;
    if (ok()) return absl::OkStatus();
    unlink(path_.c_str());
    return SystemError(error_, path_, "cannot write the file");
  }

 private:
  const std::string& path_;
  int file_;
  int error_;
};

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

FileBytes::FileBytes(size_t size) : size_(size) {
  // A large buffer is on huge pages, where the system has them: one costs as
  // much to get as a small one.
  constexpr size_t kHugePage = 2 << 20;
  const size_t alignment = size < kHugePage ? kAlignment : kHugePage;
  if (size > std::numeric_limits<size_t>::max() - kHugePage) return;
  const size_t bytes = (size / alignment + 1) * alignment;
  bytes_.reset(static_cast<char*>(std::aligned_alloc(alignment, bytes)));
  if (bytes_ == nullptr) return;
  if (alignment == kHugePage) madvise(bytes_.get(), bytes, MADV_HUGEPAGE);
  bytes_[size] = '\0';
}

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
  const auto no_memory = [&] {
    return absl::ResourceExhaustedError(absl::StrCat(
        Printable(path), ": its ", status.st_size, " bytes are more than the ",
        AvailableMemory(), " bytes of memory that this process may take"));
  };
  if (!FitsInMemory(static_cast<uint64_t>(status.st_size))) return no_memory();
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return SystemError(errno, path, "cannot open it");
  FileBytes bytes(status.st_size);
  if (!bytes.ok()) {
    close(file);
    return no_memory();
  }
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
  NewFile file(path);
  for (absl::string_view piece : pieces) file.Write(piece);
  return file.Finish();
}

absl::Status WriteNewFile(const std::string& path,
                          const std::function<bool(std::string& piece)>& next) {
  NewFile file(path);
  std::string piece;
  while (file.ok() && next(piece)) {
    file.Write(piece);
    piece.clear();
  }
  return file.Finish();
}

absl::Status ReplaceFile(const std::string& path, absl::string_view bytes) {
  return ReplaceFile(path, absl::MakeConstSpan(&bytes, 1));
}

absl::Status CheckCanReplace(const std::string& path) {
  const absl::StatusOr<Temporary> temporary = MakeTemporary(path);
  if (!temporary.ok()) return temporary.status();
  close(temporary->file);
  return RemoveFile(temporary->path);
}

absl::Status ReplaceFile(const std::string& path,
                         absl::Span<const absl::string_view> pieces) {
  const absl::StatusOr<Temporary> made = MakeTemporary(path);
  if (!made.ok()) return made.status();
  const auto& [file, temporary] = *made;
  int error = 0;
  for (absl::string_view piece : pieces) {
    if (error == 0) error = WriteAll(file, piece);
  }
  if (error == 0 && fsync(file) != 0) error = errno;
  if (close(file) != 0 && error == 0) error = errno;
  if (error != 0) {
    unlink(temporary.c_str());
    return SystemError(error, path, "cannot write the file");
  }
  if (std::rename(temporary.c_str(), path.c_str()) != 0) {
    error = errno;
    unlink(temporary.c_str());
    return SystemError(error, path, "cannot put the file in its place");
  }
  return SyncFolderOf(path);
}

absl::Status CheckReplaceable(const std::string& path, absl::string_view mark,
                              absl::string_view kind) {
  const auto old = FindReplaceable(path);
  if (!old.ok() || !old->has_value()) return old.status();
  const int file = open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0) return SystemError(errno, path, "cannot open the file");
  std::string beginning(mark.size(), '\0');
  size_t count = 0;
  const int error = ReadAll(file, beginning.data(), beginning.size(), count);
  close(file);
  if (error != 0) return SystemError(error, path, "cannot read the file");
  if (count == mark.size() && beginning == mark) return absl::OkStatus();
  return WrongData(path, absl::StrCat("no file yet, or ", kind, ", to write"),
                   (*old)->st_size == 0 ? "an empty file" : "another file");
}

absl::Status RemoveTemporaries(
    const std::string& folder,
    const std::function<bool(absl::string_view name)>& is_ours) {
  const absl::StatusOr<std::vector<std::string>> names =
      VisibleNames(folder, "a folder");
  if (absl::IsNotFound(names.status())) return absl::OkStatus();
  if (!names.ok()) return names.status();
  for (const std::string& name : *names) {
    const std::optional<absl::string_view> base = TemporaryOf(name);
    if (!base.has_value() || !is_ours(*base)) continue;
    const std::string path = PathIn(folder, name);
    struct stat status;
    if (lstat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
        status.st_uid != geteuid() || status.st_nlink != 1) {
      continue;
    }
    absl::Status removed = RemoveFile(path);
    if (!removed.ok() && !absl::IsNotFound(removed)) return removed;
  }
  return absl::OkStatus();
}

absl::Status CheckWritable(const std::string& folder) {
  std::string temporary;
  const int file =
      CreateTemporary(PathIn(folder, "try"), kFilePermissions, temporary);
  if (file < 0) return SystemError(errno, folder, "cannot create a file in it");
  close(file);
  return RemoveFile(temporary);
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
  if (piece.empty()) return absl::OkStatus();
  const bool first = !exists_;
  const int file = open(path_.c_str(),
                        O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC |
                            (first ? O_CREAT | O_EXCL : 0),
                        kFilePermissions);
  if (file < 0) {
    return SystemError(errno, path_, "cannot open the file to add to it");
  }
  int error = WriteAll(file, piece);
  // What came before a disk was full is half a piece; so away with it. If that
  // fails too, there is nothing better to report than the first error.
  const bool undone = error == 0 || (first ? unlink(path_.c_str()) == 0
                                           : ftruncate(file, bytes_) == 0);
  if (close(file) != 0 && error == 0) error = errno;
  if (error == 0) {
    exists_ = true;
    bytes_ += static_cast<int64_t>(piece.size());
    return absl::OkStatus();
  }
  return SystemError(
      error, path_,
      undone ? "cannot add to the file" : "cannot add to the file as a whole");
}

absl::Status AppendOnlyFile::Continue(absl::string_view content,
                                      absl::string_view beginning) {
  const auto old = FindReplaceable(path_);
  if (!old.ok()) return old.status();
  if (!old->has_value()) {
    exists_ = false;
    bytes_ = 0;
    return content.empty() ? absl::OkStatus() : Append(content);
  }
  const absl::StatusOr<FileBytes> bytes = ReadWholeFile(path_, "a log");
  if (!bytes.ok()) return bytes.status();
  const absl::string_view found = bytes->view();
  if (found.substr(0, beginning.size()) !=
      beginning.substr(0, std::min(beginning.size(), found.size()))) {
    return WrongData(
        path_,
        absl::StrCat("a file of this run, which begins with ", beginning),
        Quoted(found));
  }
  const size_t common =
      std::mismatch(found.begin(),
                    found.begin() + std::min(found.size(), content.size()),
                    content.begin())
          .first -
      found.begin();
  const int file =
      open(path_.c_str(), O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
  if (file < 0) {
    return SystemError(errno, path_, "cannot open the file to add to it");
  }
  int error = 0;
  if (common < found.size() && ftruncate(file, common) != 0) error = errno;
  if (error == 0) error = WriteAll(file, content.substr(common));
  if (close(file) != 0 && error == 0) error = errno;
  if (error != 0) return SystemError(error, path_, "cannot add to the file");
  exists_ = true;
  bytes_ = static_cast<int64_t>(content.size());
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
    if (entry->d_name[0] != '.' && !IsOfAFileManager(entry->d_name)) {
      names.push_back(entry->d_name);
    }
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

std::string PathFrom(const std::string& folder, const std::string& path) {
  // Absolute first: of a relative path of which nothing is there,
  // weakly_canonical makes none.
  const auto canonical = [](const std::string& name) {
    std::error_code ignored;  // What cannot be looked at is left as it is.
    return std::filesystem::weakly_canonical(
        std::filesystem::absolute(name, ignored), ignored);
  };
  std::filesystem::path base = canonical(folder);
  if (!base.has_filename()) base = base.parent_path();  // "run/"
  const std::filesystem::path from = canonical(path).lexically_relative(base);
  return from.empty() || *from.begin() == ".." ? "" : from.string();
}

absl::Status WrongData(absl::string_view where, absl::string_view expected,
                       absl::string_view found) {
  return absl::InvalidArgumentError(absl::StrCat(
      Printable(where), ": expected ", expected, ", found ", found));
}

std::string Quoted(absl::string_view text, size_t shown) {
  return absl::StrCat("\"", absl::CHexEscape(text.substr(0, shown)),
                      text.size() > shown ? "..." : "", "\"");
}

}  // namespace tape
