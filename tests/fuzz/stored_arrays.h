// What must hold of the arrays that the readers of safetensors and .npz files
// give (framework/io/stored_array.h).
#ifndef TAPE_TESTS_FUZZ_STORED_ARRAYS_H_
#define TAPE_TESTS_FUZZ_STORED_ARRAYS_H_

#include <string>
#include <unordered_map>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "framework/core/check.h"
#include "framework/core/tensor.h"
#include "framework/io/stored_array.h"
#include "tests/fuzz/fuzzing.h"

namespace tape {

// Two files hold the same arrays, perhaps in another order.
template <typename File>
void CheckSameArrays(const File& a, const File& b) {
  TAPE_CHECK_EQ(a.arrays.size(), b.arrays.size());
  std::unordered_map<std::string, const StoredArray*> others;
  for (const StoredArray& other : b.arrays) others[other.name] = &other;
  for (const StoredArray& array : a.arrays) {
    const StoredArray* const other = others[array.name];
    TAPE_CHECK(other != nullptr);
    TAPE_CHECK(array.type == other->type);
    TAPE_CHECK(array.shape == other->shape);
    TAPE_CHECK(array.bytes == other->bytes);
  }
}

// Each array becomes a tensor of each type, or an error says why not.
inline void CheckConversions(absl::Span<const StoredArray> arrays) {
  for (const StoredArray& array : arrays) {
    TAPE_CHECK_EQ(array.shape.elements() * SizeOf(array.type),
                  array.bytes.size());
    for (DType dtype : {DType::kFloat32, DType::kInt32, DType::kUint8,
                        DType::kBFloat16, DType::kFloat64}) {
      const absl::StatusOr<Tensor> tensor = ToTensor(array, dtype);
      if (!tensor.ok()) {
        CheckError(tensor.status(), {ArrayText(array.name)});
        continue;
      }
      TAPE_CHECK(tensor->shape() == array.shape);
      TAPE_CHECK(tensor->dtype() == dtype);
    }
  }
}

}  // namespace tape

#endif  // TAPE_TESTS_FUZZ_STORED_ARRAYS_H_
