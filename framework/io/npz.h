// NumPy's .npz: named arrays in a zip archive, "layer1/w" as its member
// "layer1/w.npy". What np.savez and np.savez_compressed write is read, and what
// is written np.load reads. In a target of its own, since it needs libzip.
//
// Members may be stored or deflated, of .npy's versions 1.0, 2.0 and 3.0, in
// either byte order, in C or Fortran order; of the types b1, u1 to u8, i1 to i8,
// f2, f4 and f8. NumPy has no bfloat16.
//
// Every error names the path and the member, what was expected and what was
// found. Tested by tests/io/npz_test.cc.
#ifndef TAPE_FRAMEWORK_IO_NPZ_H_
#define TAPE_FRAMEWORK_IO_NPZ_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/io/files.h"
#include "framework/io/stored_array.h"

namespace tape {

// What a file holds. Can be moved, and the arrays stay where they are.
struct NpzFile {
  // Null if there is none of that name; a walk over the list.
  const StoredArray* Find(absl::string_view name) const;

  std::vector<StoredArray> arrays;  // In the archive's order.
  std::vector<FileBytes> members;   // What they are views of.
};

// Reads a whole file. The arrays stay within what deflate can make of the
// file's bytes, 1032 times their number, whatever it claims; libzip takes 2 MiB
// at most for members that an archive only claims. Errors: those of
// ReadWholeFile; kInvalidArgument for whatever else is wrong, a member's
// checksum for one.
absl::StatusOr<NpzFile> ReadNpz(const std::string& path);

// The same of a file's `bytes`; `path` only names them in errors.
absl::StatusOr<NpzFile> ParseNpz(absl::string_view bytes,
                                 absl::string_view path);

// Makes `path` an .npz file of these arrays, by ReplaceFile. The members are
// stored, in the order given, and of the 1st of January 1980: the same arrays
// make the same bytes. Errors: kInvalidArgument if names are not unique UTF-8
// without NUL, or a type is bfloat16; else the system's.
absl::Status WriteNpz(const std::string& path,
                      absl::Span<const StoredArray> arrays);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_IO_NPZ_H_
