// The IDX format of the MNIST files, plain or gzipped. An IDX file is
//
//   byte 0   the magic: 0, 0, the type of the elements, the rank
//   byte 4   rank sizes, 4 bytes each, big-endian, outermost first
//   then     the elements in row-major order, big-endian, and nothing more
//
// ReadIdx takes what images and labels are, the type 0x08, unsigned bytes, of
// rank 1 to 4; ReadIdxTensor every type and rank that the format has. Neither
// takes a shape of more than kMaxElements, which no tensor has.
//
// An error is an absl::Status that says the path, the offset, what was expected
// there and what was found. "byte N" is an offset in the IDX content (in a
// gzipped file: once decompressed), "compressed byte N" one in the gzip file.
// Tested by tests/io/idx_test.cc and tests/data/dataset_test.cc.
#ifndef TAPE_FRAMEWORK_IO_IDX_H_
#define TAPE_FRAMEWORK_IO_IDX_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/core/tensor.h"
#include "framework/core/tensor_type.h"
#include "framework/io/files.h"

namespace tape {

struct IdxArray {
  Shape shape;                  // Rank 1 to 4; a size may be 0.
  std::vector<uint8_t> values;  // shape.elements() of them, row-major.
};

// The content of the IDX file `path`. Gzip is known by its first two bytes, not
// by the file's name. Errors: kNotFound if there is no such file,
// kInvalidArgument if it is no regular file or ParseIdx refuses its content,
// otherwise what the system said.
absl::StatusOr<IdxArray> ReadIdx(const std::string& path);

// The same without a copy of what is not compressed: the values are a part of the
// file's bytes, or of what was unpacked.
struct IdxFile {
  Shape shape;
  absl::Span<const uint8_t> values;
  FileBytes file;
  std::vector<uint8_t> unpacked;
};
absl::StatusOr<IdxFile> ReadIdxFile(const std::string& path);

// The same of a file's `bytes`; `path` only names them in errors. Every error
// is kInvalidArgument. Whatever the header claims, memory stays within three
// times what the file really holds plus 64 KiB, and a gzip stream is
// decompressed no further than one byte past that claim. A gzip file must be a
// single member.
absl::StatusOr<IdxArray> ParseIdx(absl::string_view bytes,
                                  absl::string_view path);

// The same of every type of the format (unsigned and signed bytes, integers of
// 16 and 32 bits, floats of 32 and 64) and rank (1 to 255), as a tensor of
// `dtype` by ToTensor (stored_array.h): whole numbers become int32 or uint8,
// others float32 or float64. Memory: that of the tensor besides. An element
// that the dtype cannot hold is an error.
absl::StatusOr<Tensor> ReadIdxTensor(const std::string& path, DType dtype);
absl::StatusOr<Tensor> ParseIdxTensor(absl::string_view bytes,
                                      absl::string_view path, DType dtype);

// Writes a new IDX file, not gzipped: a shape of rank 1 to 4, and as many
// values, row-major. Errors, after which there is no file: kInvalidArgument if
// the shape is another, or a size 2^32 or more; the system's, kAlreadyExists if
// `path` is taken.
absl::Status WriteIdx(const std::string& path, const Shape& shape,
                      absl::Span<const uint8_t> values);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_IO_IDX_H_
