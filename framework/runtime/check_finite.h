// Runs that look for where numbers go wrong (CompileOptions::check_finite).
// Tested by tests/runtime/check_finite_test.cc.
#ifndef TAPE_FRAMEWORK_RUNTIME_CHECK_FINITE_H_
#define TAPE_FRAMEWORK_RUNTIME_CHECK_FINITE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "framework/runtime/executable.h"

namespace tape {

// Runs the steps on the calling thread until an op makes a value that is not
// finite of operands that are: then the error, kOutOfRange, says which op, where
// in its value, and that it was in run `run`, and no variable has been changed.
// `executable` must have been compiled without any pass. `fed` is as for
// Executable::Run. Throws what Executable::RunAlone throws.
absl::Status RunChecked(Executable& executable,
                        absl::Span<const void* const> fed, int64_t run);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_RUNTIME_CHECK_FINITE_H_
