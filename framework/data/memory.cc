// Limits of memory (memory.h). Tested by tests/memory_test.cc.
#include "framework/data/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>
#include <limits>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "framework/core/text.h"

namespace tape {
namespace {

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The number in a file such as memory.max; no limit if there is no file, or no
// number ("max").
uint64_t LimitIn(const std::string& path) {
  uint64_t limit;
  return absl::SimpleAtoi(ReadText(path), &limit) ? limit : kNoLimit;
}

// The smallest limit of the group `path` ("/a/b") and those above it. A
// container may see its own group as the root, and have the path of the
// machine: folders that are not there have no limit.
uint64_t SmallestLimit(const std::string& mount, absl::string_view path,
                       absl::string_view name) {
  uint64_t smallest = kNoLimit;
  while (true) {
    smallest =
        std::min(smallest, LimitIn(absl::StrCat(mount, path, "/", name)));
    if (path.empty()) return smallest;
    path = path.substr(0, path.rfind('/'));
  }
}

// Of a limit, what is left beside `used`.
uint64_t Left(uint64_t limit, uint64_t used) {
  return limit > used ? limit - used : 0;
}

uint64_t LimitOf(int resource) {
  rlimit limit;
  if (getrlimit(static_cast<__rlimit_resource>(resource), &limit) != 0) {
    return kNoLimit;
  }
  return limit.rlim_cur == RLIM_INFINITY ? kNoLimit : limit.rlim_cur;
}

}  // namespace

uint64_t ControlGroupMemoryLimit(absl::string_view groups,
                                 const std::string& mounts) {
  uint64_t limit = kNoLimit;
  for (absl::string_view line : absl::StrSplit(groups, '\n')) {
    // "5:memory,hugetlb:/a/b", or "0::/a/b" of version 2.
    const std::vector<absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    const absl::string_view path = parts[2] == "/" ? "" : parts[2];
    if (parts[1].empty()) {
      // With both versions, the second is in a folder of its own.
      for (const char* mount : {"", "/unified"}) {
        limit =
            std::min(limit, SmallestLimit(mounts + mount, path, "memory.max"));
      }
      continue;
    }
    const std::vector<absl::string_view> controllers =
        absl::StrSplit(parts[1], ',');
    if (std::find(controllers.begin(), controllers.end(), "memory") !=
        controllers.end()) {
      limit = std::min(limit, SmallestLimit(mounts + "/memory", path,
                                            "memory.limit_in_bytes"));
    }
  }
  return limit;
}

uint64_t AvailableMemory() {
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  // All, resident, shared, text, libraries, data: in pages.
  std::array<uint64_t, 6> used = {};
  std::ifstream sizes("/proc/self/statm");
  for (uint64_t& size : used) {
    if (sizes >> size) size *= page;
  }
  const uint64_t machine =
      static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * page;
  const uint64_t groups =
      ControlGroupMemoryLimit(ReadText("/proc/self/cgroup"), "/sys/fs/cgroup");
  return std::min({Left(std::min(machine, groups), used[1]),
                   Left(LimitOf(RLIMIT_AS), used[0]),
                   Left(LimitOf(RLIMIT_DATA), used[5])});
}

bool FitsInMemory(uint64_t bytes) {
  // Looking takes time, and some memory of its own.
  constexpr uint64_t kAlways = 1 << 20;
  return bytes <= kAlways || bytes <= AvailableMemory();
}

absl::Status CheckMemory(absl::string_view path, uint64_t bytes) {
  if (FitsInMemory(bytes)) return absl::OkStatus();
  const uint64_t available = AvailableMemory();
  return absl::ResourceExhaustedError(absl::StrCat(
      Printable(path), ": expected to need at most the ", available,
      " bytes of memory that this process may take, "
      "found ",
      bytes));
}

}  // namespace tape
