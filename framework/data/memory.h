// How much memory this process may still take: what the readers ask before they
// believe the size of a file. Tested by tests/memory_test.cc.
#ifndef TAPE_FRAMEWORK_DATA_MEMORY_H_
#define TAPE_FRAMEWORK_DATA_MEMORY_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tape {

// Returns the bytes of memory that this process may take beside what it has:
// the least of the machine's memory, the limits of its control groups, and its
// own limits (ulimit -v, -d). That others use some of it is not seen.
uint64_t AvailableMemory();

// Returns the smallest memory limit, in bytes, of the control groups that
// `groups` names (the text of /proc/self/cgroup, version 1 or 2), from each up
// to the root of the hierarchy, which is mounted below `mounts`
// (/sys/fs/cgroup). UINT64_MAX if there is none.
uint64_t ControlGroupMemoryLimit(absl::string_view groups,
                                 const std::string& mounts);

// Whether this process may take so many bytes; of a megabyte or less, true
// without a look at the limits.
bool FitsInMemory(uint64_t bytes);

// kResourceExhausted, with both figures, unless `bytes` of memory are there for
// the file `path`.
absl::Status CheckMemory(absl::string_view path, uint64_t bytes);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DATA_MEMORY_H_
