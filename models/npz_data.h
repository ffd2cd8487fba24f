// Data sets as NumPy and Keras write them, .npz (../framework/io/npz.h), for the
// programs train, predict and evaluate. The arrays have the customary names,
//
//   x_train, y_train, x_test, y_test    as in Keras's mnist.npz; the test set may
//                                       be missing
//   x, y                                as in its boston_housing.npz; X will do
//
// and x is images, uint8 [n, rows, columns] or [n, rows, columns, 1 or 3], or
// rows of a table: [n, columns] or [n] of any numbers, of which a NaN is a missing
// one. y is [n] or [n, 1]: whole numbers or truth values are classes, other
// numbers are to be predicted as such. Tested by
// tests/models/user_data_program_test.cc.
#ifndef TAPE_MODELS_NPZ_DATA_H_
#define TAPE_MODELS_NPZ_DATA_H_

#include <string>

#include "absl/status/statusor.h"
#include "models/user_files.h"

namespace tape {

// Whether `path` is such a file by its name.
bool IsNpz(const std::string& path);

// A table's columns are "x0", "x1", … and "y". Without `needs_targets` y may be
// missing. Memory is in proportion to the arrays. Errors name the file and the
// array.
absl::StatusOr<UserFile> ReadNpzData(const std::string& path,
                                     bool needs_targets);

}  // namespace tape

#endif  // TAPE_MODELS_NPZ_DATA_H_
