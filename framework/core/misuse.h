// Misuse: a mistake of the user's where there is no Status and no graph to
// report it, such as reading the floats of a tensor of int32. One line on
// stderr says what was expected and what was found, with the user's file and
// line, and what is given in place of the numbers cannot be mistaken for them:
// NaN, or -1 in integers. Tested by tests/core/misuse_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_MISUSE_H_
#define TAPE_FRAMEWORK_CORE_MISUSE_H_

#include <cstddef>

#include "absl/strings/string_view.h"
#include "framework/core/loc.h"
#include "framework/core/tensor_type.h"

namespace tape::internal {

// More lines than this are not written: a loop must not flood a log.
inline constexpr int kMostMisuses = 100;

// Writes "file:line: message" to stderr, with control characters escaped. From
// any thread.
void ReportMisuse(Loc loc, absl::string_view message);

// Memory of this thread of at least so many bytes, every bit set: NaN in each
// floating-point type, -1 in int32, 255 in uint8. It stays where it is as long
// as the thread lives. Null if the system has no such memory.
void* NoNumbers(size_t bytes);

}  // namespace tape::internal

#endif  // TAPE_FRAMEWORK_CORE_MISUSE_H_
