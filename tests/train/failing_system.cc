// Calls of the system that fail (failing_system.h). For one thread.
#include "tests/train/failing_system.h"

#include <fcntl.h>
#include <sys/types.h>

#include <cerrno>
#include <cstdarg>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace tape {
namespace {

std::optional<Failure> failure;
int calls_until_it = 0;
bool failed = false;
std::vector<std::string> seen;
std::map<int, std::string> paths;  // Of open files.

void See(const std::string& call, const std::string& path) {
  if (failure.has_value()) seen.push_back(call + " " + path);
}

// Whether this call is to fail; errno is then set.
bool FailsNow() {
  if (!failure.has_value() || --calls_until_it != 0) return false;
  failed = true;
  errno = *failure == Failure::kBrokenDisk ? EIO : ENOSPC;
  return true;
}

}  // namespace

FailingSystem::FailingSystem(Failure how, int call) {
  failure = how;
  calls_until_it = call;
  failed = false;
  seen.clear();
}

FailingSystem::~FailingSystem() { failure.reset(); }

bool FailingSystem::has_failed() const { return failed; }

const std::vector<std::string>& FailingSystem::calls() const { return seen; }

extern "C" {

int __real_open(const char* path, int flags, ...);
ssize_t __real_write(int file, const void* bytes, size_t size);
int __real_fsync(int file);
int __real_close(int file);
int __real_rename(const char* from, const char* to);
int __real_unlink(const char* path);

int __wrap_open(const char* path, int flags, ...) {
  See("open", path);
  if (FailsNow()) return -1;
  std::va_list arguments;
  va_start(arguments, flags);
  const auto mode =
      (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : mode_t{0};
  va_end(arguments);
  const int file = __real_open(path, flags, mode);
  paths[file] = path;
  return file;
}

ssize_t __wrap_write(int file, const void* bytes, size_t size) {
  if (!FailsNow()) return __real_write(file, bytes, size);
  if (failure != Failure::kHalfAWrite || size < 2) return -1;
  calls_until_it = 1;  // And what follows.
  return __real_write(file, bytes, size / 2);
}

int __wrap_fsync(int file) {
  See("fsync", paths[file]);
  return FailsNow() ? -1 : __real_fsync(file);
}

int __wrap_close(int file) {
  See("close", paths[file]);
  // A close that fails has closed.
  const int result = __real_close(file);
  return FailsNow() ? -1 : result;
}

int __wrap_rename(const char* from, const char* to) {
  See("rename", to);
  return FailsNow() ? -1 : __real_rename(from, to);
}

int __wrap_unlink(const char* path) {
  See("unlink", path);
  return FailsNow() ? -1 : __real_unlink(path);
}

}  // extern "C"

}  // namespace tape
