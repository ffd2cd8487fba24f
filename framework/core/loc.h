// Loc: the place in a user's program where a node was declared.
//
// Taken as a defaulted last argument, it captures the caller's own line:
//
//   Var Tanh(Var x, Loc loc = Loc::Current());
//
// The builtins are used instead of std::source_location because clang 14, which
// builds the fuzzers, lacks the latter.
#ifndef TAPE_FRAMEWORK_CORE_LOC_H_
#define TAPE_FRAMEWORK_CORE_LOC_H_

#include <string>

#include "absl/strings/str_cat.h"

namespace tape {

struct Loc {
  const char* file = "";
  int line = 0;

  static constexpr Loc Current(const char* file = __builtin_FILE(),
                               int line = __builtin_LINE()) {
    return Loc{file, line};
  }

  // "models/xor.cc:12".
  std::string ToString() const { return absl::StrCat(file, ":", line); }
};

// "net.cc:5: Compile": a call of `function` in an error, without the place if
// that is not known.
inline std::string CallText(Loc loc, const char* function) {
  return loc.line > 0 ? absl::StrCat(loc.ToString(), ": ", function) : function;
}

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_LOC_H_
