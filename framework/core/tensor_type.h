// DType, Shape and TensorType: what is known of a tensor before it has numbers.
//
// A shape may hold the symbolic dimension kBatch, which the plan binds to a
// number when it first sees a batch of that size. Only kBatch equals kBatch:
// two different inputs that use it have the same batch size. Tested by
// tests/core/tensor_type_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_TENSOR_TYPE_H_
#define TAPE_FRAMEWORK_CORE_TENSOR_TYPE_H_

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace tape {

enum class DType : uint8_t {
  kFloat32,
  kInt32,
  kUint8,
  kBFloat16,  // What products may read; there is no other arithmetic.
  kFloat64,   // The references' own numbers (op.h); no node of a graph has it.
};

// The upper half of a float32: its sign, its exponent, and 8 bits of precision.
struct BFloat16 {
  BFloat16() = default;
  // The nearest, of two the even one; a NaN stays one.
  explicit BFloat16(float value) {
    const auto word = std::bit_cast<uint32_t>(value);
    const uint32_t half =
        std::isnan(value) ? word | 0x400000 : word + 0x7FFF + (word >> 16 & 1);
    bits = static_cast<uint16_t>(half >> 16);
  }
  // Exact. NOLINTNEXTLINE(google-explicit-constructor)
  operator float() const { return std::bit_cast<float>(uint32_t{bits} << 16); }

  uint16_t bits = 0;
};

// "float32", "int32", …; "unknown" for a number that is no DType.
const char* Name(DType dtype);
// Bytes of one element; 0 for a number that is no DType.
size_t SizeOf(DType dtype);
// Whether nodes of a graph may have it: all but float64.
bool IsForNodes(DType dtype);

// Calls f with an unsigned integer of the dtype's size and returns the result:
// for what moves elements and does not look at them. Here and in every switch
// over dtypes the compiler names the one that is missing; what is no DType is
// refused where nodes are declared.
template <typename F>
auto WithWordOf(DType dtype, F f) {
  switch (dtype) {
    case DType::kUint8:
      return f(uint8_t{});
    case DType::kBFloat16:
      return f(uint16_t{});
    case DType::kFloat32:
    case DType::kInt32:
      return f(uint32_t{});
    case DType::kFloat64:
      return f(uint64_t{});
  }
  __builtin_unreachable();
}

// Calls f with a number of the dtype's C++ type and returns the result.
template <typename F>
auto WithNumberOf(DType dtype, F f) {
  switch (dtype) {
    case DType::kFloat32:
      return f(float{});
    case DType::kInt32:
      return f(int32_t{});
    case DType::kUint8:
      return f(uint8_t{});
    case DType::kBFloat16:
      return f(BFloat16(0.0f));
    case DType::kFloat64:
      return f(double{});
  }
  __builtin_unreachable();
}

// Whether an element of this dtype can be `value`; in floating point, rounded.
bool CanHold(DType dtype, double value);

// The DType of a C++ type. There is none for other types than these.
template <typename T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType kValue = DType::kFloat32;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType kValue = DType::kInt32;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType kValue = DType::kUint8;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType kValue = DType::kBFloat16;
};
template <>
struct DTypeOf<double> {
  static constexpr DType kValue = DType::kFloat64;
};
template <typename T>
inline constexpr DType kDTypeOf = DTypeOf<T>::kValue;

// The symbolic batch dimension.
inline constexpr int64_t kBatch = -1;
// What a shape gives for an axis that it does not have: no dimension of a valid
// shape, so that a declaration made of it is refused.
inline constexpr int64_t kNoDim = -(int64_t{1} << 32);

// More elements than any machine has room for, few enough that counts of bytes
// do not overflow.
inline constexpr int64_t kMaxElements = int64_t{1} << 40;

// "784", "batch" or, for kNoDim, "unknown".
std::string DimText(int64_t dim);

// A list of dimensions, outermost first; row-major order of elements.
class Shape {
 public:
  Shape() = default;  // Rank 0: one element.
  // Shapes are written as lists. NOLINTNEXTLINE(google-explicit-constructor)
  Shape(std::initializer_list<int64_t> dims) : dims_(dims) {}
  explicit Shape(absl::Span<const int64_t> dims)
      : dims_(dims.begin(), dims.end()) {}

  int rank() const { return static_cast<int>(dims_.size()); }
  // The dimension of an axis from 0 on; kNoDim if there is no such axis.
  int64_t operator[](int axis) const {
    return axis >= 0 && axis < rank() ? dims_[axis] : kNoDim;
  }
  absl::Span<const int64_t> dims() const { return dims_; }

  // Whether every dimension is a number.
  bool is_bound() const;
  // Whether every dimension is a number or kBatch, and the numbers' product is
  // at most kMaxElements.
  bool is_valid() const;
  // Whether `bound` is this shape with a number for each kBatch.
  bool Allows(const Shape& bound) const;
  // The same shape with kBatch replaced by `batch`.
  Shape Bind(int64_t batch) const;
  // Number of elements, at most 2^56; 0 if the shape is not bound.
  int64_t elements() const;
  // "[batch,784]"; "[]" for rank 0.
  std::string ToString() const;

  friend bool operator==(const Shape& a, const Shape& b) {
    return a.dims_ == b.dims_;
  }

 private:
  absl::InlinedVector<int64_t, 4> dims_;
};

// The shape of an elementwise operation on `a` and `b` by NumPy's rule: aligned
// at the last axis, a missing or 1 dimension stretches to the other's. An error
// names the first axis (from the last) that fits neither way.
absl::StatusOr<Shape> Broadcast(const Shape& a, const Shape& b);

// Whether `from` stretches to exactly `to` by that rule.
bool BroadcastsTo(const Shape& from, const Shape& to);

// The axis `axis` names in a shape of `rank` axes, counting from the end if
// negative (-1 is the last). An error names the axis and the rank.
absl::StatusOr<int> ResolveAxis(int axis, int rank);

struct TensorType {
  DType dtype = DType::kFloat32;
  Shape shape;

  // Bytes of the whole tensor; 0 if the shape is not bound.
  size_t bytes() const { return shape.elements() * SizeOf(dtype); }
  // "[4,8]" for float32, "int32[4]" for others.
  std::string ToString() const;

  friend bool operator==(const TensorType& a, const TensorType& b) {
    return a.dtype == b.dtype && a.shape == b.shape;
  }
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_TENSOR_TYPE_H_
