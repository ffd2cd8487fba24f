// Tensor: numbers with a shape and a dtype, contiguous and row-major. It never
// knows that there is a graph. TensorView: the same, borrowed, for feeding a
// plan from memory that someone else owns. Tested by tests/tensor_type_test.cc.
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

// As standard containers do, the constructors throw std::bad_alloc if there is
// no memory: an OutOfMemory, which names the bytes. Where a size comes from
// outside, Make gives an error instead.
class Tensor {
 public:
  Tensor() : Tensor(TensorType{}) {}
  // All zeros. The shape must be bound.
  explicit Tensor(TensorType type)
      : type_(std::move(type)), buffer_(type_.bytes()) {}
  // `values` in row-major order; their number must be the shape's.
  template <typename T>
  Tensor(Shape shape, const std::vector<T>& values)
      : type_{kDTypeOf<T>, std::move(shape)},
        buffer_(values.size() * sizeof(T), values.data()) {
    TAPE_CHECK_EQ(elements(), static_cast<int64_t>(values.size()));
  }
  // All zeros. kInvalidArgument if the shape is not bound or has more than
  // kMaxElements elements; kResourceExhausted, with the bytes, if there is no
  // memory.
  static absl::StatusOr<Tensor> Make(TensorType type);

  Tensor(const Tensor& other)
      : type_(other.type_), buffer_(other.type_.bytes(), other.data()) {}
  Tensor& operator=(const Tensor& other) { return *this = Tensor(other); }
  Tensor(Tensor&&) = default;
  Tensor& operator=(Tensor&&) = default;

  const TensorType& type() const { return type_; }
  DType dtype() const { return type_.dtype; }
  const Shape& shape() const { return type_.shape; }
  int64_t elements() const { return type_.shape.elements(); }
  void* data() { return buffer_.data(); }
  const void* data() const { return buffer_.data(); }

  // The elements as T, which must be the dtype's C++ type.
  template <typename T>
  absl::Span<T> values() {
    TAPE_CHECK(kDTypeOf<T> == dtype());
    return {static_cast<T*>(data()), static_cast<size_t>(elements())};
  }
  template <typename T>
  absl::Span<const T> values() const {
    TAPE_CHECK(kDTypeOf<T> == dtype());
    return {static_cast<const T*>(data()), static_cast<size_t>(elements())};
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

  template <typename T>
  absl::Span<const T> values() const {
    TAPE_CHECK(kDTypeOf<T> == dtype());
    return {static_cast<const T*>(data_),
            static_cast<size_t>(type_.shape.elements())};
  }

 private:
  TensorType type_;
  const void* data_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_TENSOR_H_
