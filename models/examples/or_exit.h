// What the examples do about errors.
#ifndef TAPE_MODELS_EXAMPLES_OR_EXIT_H_
#define TAPE_MODELS_EXAMPLES_OR_EXIT_H_

#include <cstdlib>
#include <utility>

#include "absl/status/statusor.h"
#include "framework/core/exceptions.h"

namespace tape {

// The value, or the program ends with the error.
template <typename T>
T OrExit(absl::StatusOr<T> value) {
  if (!value.ok()) std::exit(Fail(value.status()));
  return *std::move(value);
}

}  // namespace tape

#endif  // TAPE_MODELS_EXAMPLES_OR_EXIT_H_
