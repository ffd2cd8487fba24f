// Where tensors' memory comes from (tensor.h). Tested by
// tests/core/tensor_type_test.cc and tests/core/exceptions_test.cc; what is said where a
// tensor is misused, by tests/core/misuse_test.cc.
#include "framework/core/tensor.h"

#include <sys/mman.h>

#include <limits>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/exceptions.h"
#include "framework/core/memory.h"

namespace tape {

// A large buffer is on huge pages, where the system has them: one costs as much
// to get as a small one, and what is read at random is found sooner.
std::byte* Buffer::Allocate(size_t bytes) {
  constexpr size_t kHugePage = 2 << 20;
  // Below this, looking at the limits would take longer than filling it. Above,
  // the system promises more than it has, and ends who takes it.
  constexpr size_t kLookAtLimits = 64 << 20;
  if (bytes > std::numeric_limits<ptrdiff_t>::max() - kHugePage ||
      (bytes >= kLookAtLimits && !FitsInMemory(bytes))) {
    throw OutOfMemory(bytes);
  }
  const size_t alignment = bytes < kHugePage ? kAlignment : kHugePage;
  const size_t rounded = (bytes + alignment - 1) / alignment * alignment;
  void* const data = std::aligned_alloc(alignment, rounded);
  if (data == nullptr) throw OutOfMemory(bytes);
  if (alignment == kHugePage) madvise(data, rounded, MADV_HUGEPAGE);
  return static_cast<std::byte*>(data);
}

absl::StatusOr<Tensor> Tensor::Make(TensorType type) {
  if (!type.shape.is_bound() || !type.shape.is_valid()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "Tensor: expected dimensions of at least 0, and at most 2^40 elements, "
        "found ",
        type.ToString()));
  }
  try {
    return Tensor(type);
  } catch (...) {
    return CaughtStatus(absl::StrCat("Tensor: ", type.ToString()));
  }
}

}  // namespace tape

namespace tape::internal {

TensorType TypeToHold(TensorType type, Loc loc) {
  if (type.shape.is_bound() && type.shape.is_valid()) return type;
  ReportMisuse(loc, absl::StrCat("Tensor: expected a shape of numbers, of at "
                                 "most 2^40 elements, found ",
                                 type.ToString()));
  return {type.dtype, {0}};
}

TensorType TypeToHold(TensorType type, size_t values, Loc loc) {
  type = TypeToHold(std::move(type), loc);
  const int64_t expected = type.shape.elements();
  if (expected == static_cast<int64_t>(values)) return type;
  ReportMisuse(
      loc, absl::StrCat("Tensor: expected ", expected, " values, for the type ",
                        type.ToString(), ", found ", values));
  return {type.dtype, {0}};
}

bool CanReadSlowly(const TensorType& type, const void* data, DType as,
                   Loc loc) {
  if (type.dtype != as) {
    ReportMisuse(
        loc, absl::StrCat("values: the tensor is ", Name(type.dtype),
                          type.shape.ToString(), ", and read as ", Name(as)));
    return false;
  }
  if (data != nullptr || type.shape.elements() == 0) return true;
  ReportMisuse(loc, absl::StrCat("values: a view of type ", type.ToString(),
                                 " has no memory"));
  return false;
}

}  // namespace tape::internal
