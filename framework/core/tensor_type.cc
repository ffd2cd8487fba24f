// DType, Shape and TensorType (tensor_type.h). Tested by
// tests/core/tensor_type_test.cc.
#include "framework/core/tensor_type.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace tape {

std::string DimText(int64_t dim) {
  if (dim == kBatch) return "batch";
  return dim == kNoDim ? "unknown" : absl::StrCat(dim);
}

const char* Name(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return "float32";
    case DType::kInt32:
      return "int32";
    case DType::kUint8:
      return "uint8";
    case DType::kBFloat16:
      return "bfloat16";
    case DType::kFloat64:
      return "float64";
  }
  return "unknown";
}

size_t SizeOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
    case DType::kInt32:
      return 4;
    case DType::kUint8:
      return 1;
    case DType::kBFloat16:
      return 2;
    case DType::kFloat64:
      return 8;
  }
  return 0;
}

bool IsForNodes(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
    case DType::kInt32:
    case DType::kUint8:
    case DType::kBFloat16:
      return true;
    case DType::kFloat64:
      return false;
  }
  return false;
}

bool CanHold(DType dtype, double value) {
  const auto is_whole_from = [value](double low, double high) {
    return value >= low && value <= high && value == std::floor(value);
  };
  switch (dtype) {
    case DType::kInt32:
      return is_whole_from(std::numeric_limits<int32_t>::min(),
                           std::numeric_limits<int32_t>::max());
    case DType::kUint8:
      return is_whole_from(0, std::numeric_limits<uint8_t>::max());
    case DType::kFloat32:
    case DType::kBFloat16:
    case DType::kFloat64:
      return true;
  }
  return false;
}

bool Shape::is_bound() const {
  return std::all_of(dims_.begin(), dims_.end(),
                     [](int64_t dim) { return dim >= 0; });
}

bool Shape::is_valid() const {
  int64_t elements = 1;
  for (int64_t dim : dims_) {
    if (dim == kBatch) continue;
    if (dim < 0 || dim > kMaxElements) return false;
    // Either factor may be 0 and the other large.
    if (dim != 0 && elements > kMaxElements / dim) return false;
    elements *= dim;
  }
  return true;
}

bool Shape::Allows(const Shape& bound) const {
  if (bound.rank() != rank() || !bound.is_bound() || !bound.is_valid()) {
    return false;
  }
  for (int axis = 0; axis < rank(); ++axis) {
    if (dims_[axis] != kBatch && dims_[axis] != bound[axis]) return false;
  }
  return true;
}

Shape Shape::Bind(int64_t batch) const {
  Shape bound = *this;
  std::replace(bound.dims_.begin(), bound.dims_.end(), kBatch, batch);
  return bound;
}

int64_t Shape::elements() const {
  constexpr int64_t kMost = int64_t{1} << 56;
  int64_t elements = 1;
  bool is_too_large = false;
  for (int64_t dim : dims_) {
    if (dim <= 0) return 0;
    is_too_large |= __builtin_mul_overflow(elements, dim, &elements);
  }
  return is_too_large ? kMost : std::min(elements, kMost);
}

std::string Shape::ToString() const {
  const auto append = [](std::string* out, int64_t dim) {
    out->append(DimText(dim));
  };
  return absl::StrCat("[", absl::StrJoin(dims_, ",", append), "]");
}

absl::StatusOr<Shape> Broadcast(const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  absl::InlinedVector<int64_t, 4> dims(rank);
  for (int back = 1; back <= rank; ++back) {  // Axes counted from the last.
    const int64_t from_a = back <= a.rank() ? a[a.rank() - back] : 1;
    const int64_t from_b = back <= b.rank() ? b[b.rank() - back] : 1;
    if (from_a != from_b && from_a != 1 && from_b != 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("shapes ", a.ToString(), " and ", b.ToString(),
                       " do not broadcast: axis -", back, " is ",
                       DimText(from_a), " against ", DimText(from_b)));
    }
    dims[rank - back] = from_a == 1 ? from_b : from_a;
  }
  return Shape(dims);
}

bool BroadcastsTo(const Shape& from, const Shape& to) {
  const absl::StatusOr<Shape> both = Broadcast(from, to);
  return both.ok() && *both == to;
}

absl::StatusOr<int> ResolveAxis(int axis, int rank) {
  if (axis < -rank || axis >= rank) {
    return absl::InvalidArgumentError(absl::StrCat(
        "axis ", axis, " does not exist in a tensor of rank ", rank));
  }
  return axis < 0 ? axis + rank : axis;
}

std::string TensorType::ToString() const {
  if (dtype == DType::kFloat32) return shape.ToString();
  return absl::StrCat(Name(dtype), shape.ToString());
}

}  // namespace tape
