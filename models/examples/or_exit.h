// What the examples do about errors.
#ifndef TAPE_MODELS_EXAMPLES_OR_EXIT_H_
#define TAPE_MODELS_EXAMPLES_OR_EXIT_H_

#include <cstdlib>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/core/exceptions.h"

namespace tape {

// Ends the program with the error, if there is one.
inline void OrExit(const absl::Status& status) {
  if (!status.ok()) std::exit(Fail(status));
}

// The value, or the program ends with the error.
template <typename T>
T OrExit(absl::StatusOr<T> value) {
  OrExit(value.status());
  return *std::move(value);
}

}  // namespace tape

#endif  // TAPE_MODELS_EXAMPLES_OR_EXIT_H_
