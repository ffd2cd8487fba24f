// Checks of constants that transformations are given: each returns what is
// wrong, or nothing.
#ifndef TAPE_FRAMEWORK_OPTIM_CHECK_CONSTANT_H_
#define TAPE_FRAMEWORK_OPTIM_CHECK_CONSTANT_H_

#include <cmath>
#include <initializer_list>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace tape {

inline std::string CheckFraction(absl::string_view what, double value) {
  if (value >= 0 && value < 1) return "";
  return absl::StrCat("expected a ", what, " in [0, 1), found ", value);
}

inline std::string CheckNotNegative(absl::string_view what, double value) {
  if (value >= 0 && std::isfinite(value)) return "";
  return absl::StrCat("expected a finite ", what, " of at least 0, found ",
                      value);
}

inline std::string CheckPositive(absl::string_view what, double value) {
  if (value > 0 && std::isfinite(value)) return "";
  return absl::StrCat("expected a finite ", what, " above 0, found ", value);
}

inline std::string FirstError(std::initializer_list<std::string> errors) {
  for (const std::string& error : errors) {
    if (!error.empty()) return error;
  }
  return "";
}

}  // namespace tape

#endif  // TAPE_FRAMEWORK_OPTIM_CHECK_CONSTANT_H_
