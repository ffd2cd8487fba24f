// StoredArray: an array as it lies in a file. What the storage formats
// (safetensors.h, npz.h) give and take, so that whoever loads or saves
// (../train/weights.h) knows none of them. Tested by
// tests/io/stored_array_test.cc.
#ifndef TAPE_FRAMEWORK_IO_STORED_ARRAY_H_
#define TAPE_FRAMEWORK_IO_STORED_ARRAY_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "framework/core/tensor.h"

namespace tape {

// What files hold. More than tensors may be of (DType). In the order in which
// safetensors.h sorts them, the least aligned first.
enum class StoredType : uint8_t {
  kBool,  // A byte, 0 or 1.
  kUint8,
  kInt8,
  kInt16,
  kUint16,
  kFloat16,  // IEEE 754's binary16.
  kBFloat16,
  kInt32,
  kUint32,
  kFloat32,
  kFloat64,
  kInt64,
  kUint64,
};

// "bool", "uint8", "float16", ….
const char* Name(StoredType type);
// Bytes of one element.
size_t SizeOf(StoredType type);

// A view: it must not outlive the bytes.
struct StoredArray {
  std::string name;
  StoredType type = StoredType::kFloat32;
  Shape shape;
  // The elements, little-endian, row-major, as many as the shape has; perhaps
  // not aligned.
  absl::string_view bytes;
};

// How errors call an array of that name: `array "layer1/w"`, cut if it is long.
std::string ArrayText(absl::string_view name);

// `tensor` under a name.
StoredArray ViewOf(std::string name, const TensorView& tensor);

// An error, by the array's name, unless it has the bytes of its type and shape.
absl::Status CheckBytes(const StoredArray& array);

// The array as a tensor of `dtype`: the same bits if that is its type; else any
// floating-point type becomes float32 or float64, rounded to the nearest, and
// any whole one (bool, signed or not) int32, uint8 or, up to 2^53, float64.
// Errors, all
// kInvalidArgument, naming the array: any other conversion; an element, with
// its index and value, that is out of the dtype's range.
absl::StatusOr<Tensor> ToTensor(const StoredArray& array, DType dtype);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_IO_STORED_ARRAY_H_
