// Text of other people: whether it is UTF-8, and how it is shown so that it
// stays one line and does not command a terminal. Tested by tests/core/text_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_TEXT_H_
#define TAPE_FRAMEWORK_CORE_TEXT_H_

#include <string>

#include "absl/strings/string_view.h"

namespace tape {

// Whether all of `text` is UTF-8 (RFC 3629).
bool IsUtf8(absl::string_view text);

// Returns `text` with every control character (C0, DEL, C1, line and paragraph
// separators, changes of direction) and every byte that is not UTF-8 escaped:
// "\n", "\x1b". Backslashes stay single, so that escaped text stays as it is.
std::string Printable(absl::string_view text);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_TEXT_H_
