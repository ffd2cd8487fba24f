// Tensor: numbers with a shape and a dtype, contiguous and row-major. It never
// knows that there is a graph. TensorView: the same, borrowed, for feeding a
// plan from memory that someone else owns. Tested by tests/core/tensor_type_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_TENSOR_H_
#define TAPE_FRAMEWORK_CORE_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "framework/core/check.h"
#include "framework/core/loc.h"
#include "framework/core/misuse.h"
#include "framework/core/tensor_type.h"

namespace tape {

// Alignment of every buffer: one cache line, which is also the widest vector
// register.
inline constexpr size_t kAlignment = 64;

inline size_t RoundUpToAlignment(size_t bytes) {
  return (bytes + kAlignment - 1) / kAlignment * kAlignment;
}

// Aligned memory, zeroed, owned. Never empty, so that data() is never null.
// Throws OutOfMemory (exceptions.h).
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(size_t bytes) : Buffer(bytes, nullptr) {}
  // The same with a copy of `bytes` bytes from `from` on.
  Buffer(size_t bytes, const void* from)
      : data_(Allocate(RoundUpToAlignment(bytes + 1))) {
    size_t copied = 0;
    if (from != nullptr) {
      std::memcpy(data_.get(), from, bytes);
      copied = bytes;
    }
    std::memset(data_.get() + copied, 0,
                RoundUpToAlignment(bytes + 1) - copied);
  }
  std::byte* data() const { return data_.get(); }

 private:
  static std::byte* Allocate(size_t bytes);
  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };
  std::unique_ptr<std::byte[], Free> data_;
};

namespace internal {

// `type` if a tensor can have it: bound, and of no more than kMaxElements.
// Otherwise reports a misuse, and gives the type of an empty vector.
TensorType TypeToHold(TensorType type, Loc loc);
// The same for as many `values` as are given.
TensorType TypeToHold(TensorType type, size_t values, Loc loc);

// Whether numbers of `type` at `data` can be read as `as`: if not, reports a
// misuse.
bool CanReadSlowly(const TensorType& type, const void* data, DType as, Loc loc);
inline bool CanRead(const TensorType& type, const void* data, DType as,
                    Loc loc) {
  if (type.dtype == as && data != nullptr) return true;
  return CanReadSlowly(type, data, as, loc);
}

// The elements of `type` at `data` as T. If they are not that, as many that are
// NaN, or -1 (misuse.h).
template <typename T>
absl::Span<T> ReadAs(const TensorType& type, void* data, Loc loc) {
  const auto count = static_cast<size_t>(type.shape.elements());
  if (CanRead(type, data, kDTypeOf<T>, loc)) {
    return {static_cast<T*>(data), count};
  }
  void* const none = NoNumbers(count * sizeof(T));
  return {static_cast<T*>(none), none == nullptr ? 0 : count};
}

}  // namespace internal

// As standard containers do, the constructors throw std::bad_alloc if there is
// no memory: an OutOfMemory, which names the bytes. Where a size comes from
// outside, Make gives an error instead.
class Tensor {
 public:
  Tensor() : Tensor(TensorType{}) {}
  // All zeros. The shape must be bound, and of at most kMaxElements; otherwise
  // this is a misuse (misuse.h), and the tensor an empty vector.
  explicit Tensor(TensorType type, Loc loc = Loc::Current())
      : type_(internal::TypeToHold(std::move(type), loc)),
        buffer_(type_.bytes()) {}
  // `values` in row-major order; their number must be the shape's. Otherwise
  // the same.
  template <typename T>
  Tensor(Shape shape, const std::vector<T>& values, Loc loc = Loc::Current())
      : type_(internal::TypeToHold({kDTypeOf<T>, std::move(shape)},
                                   values.size(), loc)),
        buffer_(type_.bytes(), values.data()) {}
  // All zeros. kInvalidArgument if the shape is not bound or has more than
  // kMaxElements elements; kResourceExhausted, with the bytes, if there is no
  // memory.
  static absl::StatusOr<Tensor> Make(TensorType type);

  Tensor(const Tensor& other)
      : type_(other.type_), buffer_(other.type_.bytes(), other.data()) {}
  Tensor& operator=(const Tensor& other) { return *this = Tensor(other); }
  // What is moved from is an empty vector.
  Tensor(Tensor&& other) noexcept
      : type_(std::exchange(other.type_, {other.dtype(), {0}})),
        buffer_(std::move(other.buffer_)) {}
  Tensor& operator=(Tensor&& other) noexcept {
    type_ = std::exchange(other.type_, {other.dtype(), {0}});
    buffer_ = std::move(other.buffer_);
    return *this;
  }

  const TensorType& type() const { return type_; }
  DType dtype() const { return type_.dtype; }
  const Shape& shape() const { return type_.shape; }
  int64_t elements() const { return type_.shape.elements(); }
  void* data() { return buffer_.data(); }
  const void* data() const { return buffer_.data(); }

  // The elements as T, which must be the dtype's C++ type. If it is another,
  // this is a misuse (misuse.h): what is given are NaN or -1, as many.
  template <typename T>
  absl::Span<T> values(Loc loc = Loc::Current()) {
    return internal::ReadAs<T>(type_, buffer_.data(), loc);
  }
  template <typename T>
  absl::Span<const T> values(Loc loc = Loc::Current()) const {
    return internal::ReadAs<T>(type_, buffer_.data(), loc);
  }

 private:
  TensorType type_;
  Buffer buffer_;
};

class TensorView {
 public:
  TensorView(const Tensor& tensor)  // NOLINT: a Tensor is a view of itself.
      : type_(tensor.type()), data_(tensor.data()) {}
  TensorView(TensorType type, const void* data)
      : type_(std::move(type)), data_(data) {}

  const TensorType& type() const { return type_; }
  DType dtype() const { return type_.dtype; }
  const Shape& shape() const { return type_.shape; }
  const void* data() const { return data_; }

  // As those of a Tensor.
  template <typename T>
  absl::Span<const T> values(Loc loc = Loc::Current()) const {
    return internal::ReadAs<T>(type_, const_cast<void*>(data_), loc);
  }

 private:
  TensorType type_;
  const void* data_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_TENSOR_H_
