// TAPE_CHECK: for our own bugs only. Prints what was expected and both values,
// then aborts. A user's mistake is never a CHECK: it becomes an absl::Status,
// or an error of the graph (graph.h). Debian 12's Abseil has no absl/log, hence
// this.
#ifndef TAPE_FRAMEWORK_CORE_CHECK_H_
#define TAPE_FRAMEWORK_CORE_CHECK_H_

#include <cstdio>
#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"

namespace tape::internal {

[[noreturn]] inline void CheckFailed(const char* file, int line,
                                     const std::string& what) {
  std::fprintf(stderr, "%s:%d: CHECK failed: %s\n", file, line, what.c_str());
  std::abort();
}

}  // namespace tape::internal

#define TAPE_CHECK(condition)                                        \
  do {                                                               \
    if (!(condition)) {                                              \
      ::tape::internal::CheckFailed(__FILE__, __LINE__, #condition); \
    }                                                                \
  } while (false)

// `a` and `b` are evaluated once each; both must be something absl::StrCat
// takes.
#define TAPE_CHECK_OP_(a, op, b)                                       \
  do {                                                                 \
    const auto check_a_ = (a);                                         \
    const auto check_b_ = (b);                                         \
    if (!(check_a_ op check_b_)) {                                     \
      ::tape::internal::CheckFailed(                                   \
          __FILE__, __LINE__,                                          \
          absl::StrCat(#a " " #op " " #b, " (", check_a_, " against ", \
                       check_b_, ")"));                                \
    }                                                                  \
  } while (false)
#define TAPE_CHECK_EQ(a, b) TAPE_CHECK_OP_(a, ==, b)
#define TAPE_CHECK_LT(a, b) TAPE_CHECK_OP_(a, <, b)
#define TAPE_CHECK_LE(a, b) TAPE_CHECK_OP_(a, <=, b)

#endif  // TAPE_FRAMEWORK_CORE_CHECK_H_
