// The safetensors format: named arrays in a file that other programs (PyTorch,
// JAX, Candle, …) read and write too. A file is
//
//   byte 0    n, the length of the header, 8 bytes, little-endian
//   byte 8    the header: a JSON object, padded with spaces
//     {"__metadata__": {"key": "value", …},
//      "layer1/w": {"dtype": "F32", "shape": [784, 256],
//                   "data_offsets": [0, 802816]}, …}
//   byte 8+n  the arrays' bytes, which the offsets count from here, one after
//             the other and nothing more
//
// The reader is at least as strict as the reference implementation, the Rust
// crate of Hugging Face of this name. Beyond it, it refuses a name
// that stands twice, members it does not know, padding other than spaces, more
// than 64 dimensions, and types that are not in StoredType.
//
// Our own files carry a checksum: the metadata's first entry, "crc32c", is
// eight hexadecimal digits, the CRC-32C of the whole file with eight zeros in
// their place. To others it is metadata like any.
//
// Every error names the path, what was expected and what was found. Tested by
// tests/io/safetensors_test.cc.
#ifndef TAPE_FRAMEWORK_IO_SAFETENSORS_H_
#define TAPE_FRAMEWORK_IO_SAFETENSORS_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/io/files.h"
#include "framework/io/stored_array.h"

namespace tape {

// Keys and values, in their order.
using Metadata = std::vector<std::pair<std::string, std::string>>;

// What a file holds. Can be moved, and the arrays stay where they are.
struct SafetensorsFile {
  // Null if there is none of that name; a walk over the list.
  const StoredArray* Find(absl::string_view name) const;
  const std::string* FindMetadata(absl::string_view key) const;

  std::vector<StoredArray> arrays;  // Views of `bytes`, in their order there.
  Metadata metadata;
  FileBytes bytes;
};

enum class Checksum {
  kIfPresent,  // For files from anywhere. A damaged key passes as absent.
  kRequired,   // For our own: then every flipped bit is found.
};

// Reads a whole file. Memory is in proportion to its size, whatever it claims.
// Errors: those of ReadWholeFile; kDataLoss if the checksum is wrong, or is
// missing though required; kInvalidArgument for whatever else is wrong.
absl::StatusOr<SafetensorsFile> ReadSafetensors(
    const std::string& path, Checksum checksum = Checksum::kIfPresent);

// The same of a file's `bytes`; `path` only names them in errors.
absl::StatusOr<SafetensorsFile> ParseSafetensors(
    FileBytes bytes, absl::string_view path,
    Checksum checksum = Checksum::kIfPresent);

// Makes `path` a file of these arrays, by ReplaceFile. They lie in the order of
// their types' alignment, then of their names, as the reference implementation
// has it, so that each is aligned; without metadata and checksum the bytes are
// those it writes. The metadata's keys are in the order given; a "crc32c" among
// them is left out, since it would be another file's. Errors: kInvalidArgument
// if names or keys are not unique, a name is "__metadata__", or a text is no
// UTF-8; else the system's.
absl::Status WriteSafetensors(const std::string& path,
                              absl::Span<const StoredArray> arrays,
                              const Metadata& metadata = {},
                              bool with_checksum = true);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_IO_SAFETENSORS_H_
