// How much memory this process may still take: asked before a large buffer is
// made, and by the readers before they believe the size of a file. Tested by
// tests/core/memory_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_MEMORY_H_
#define TAPE_FRAMEWORK_CORE_MEMORY_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tape {

// Returns the bytes of memory that this process may take beside what it has:
// the least of the machine's memory, the limits of its control groups, and its
// own limits (ulimit -v, -d). That others use some of it is not seen.
uint64_t AvailableMemory();

// Whether this process may take so many bytes; of a megabyte or less, true
// without a look at the limits.
bool FitsInMemory(uint64_t bytes);

// kResourceExhausted, with both figures, unless `bytes` of memory are there for
// the file `path`.
absl::Status CheckMemory(absl::string_view path, uint64_t bytes);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_MEMORY_H_
