// Limits of memory (memory.h). Tested by tests/core/memory_test.cc.
#include "framework/core/memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <limits>

#include "absl/strings/str_cat.h"
#include "framework/core/control_groups.h"
#include "framework/core/text.h"

namespace tape {
namespace {

constexpr uint64_t kNoLimit = std::numeric_limits<uint64_t>::max();

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
  return std::min({Left(std::min(machine, ControlGroupMemory()), used[1]),
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
