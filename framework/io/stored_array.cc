// Arrays of files as tensors and back (stored_array.h). In go bytes of a
// StoredType, out comes a Tensor, or a Status that names the array and the
// element. Tested by tests/io/stored_array_test.cc.
#include "framework/io/stored_array.h"

#include <bit>
#include <cmath>
#include <concepts>
#include <cstring>
#include <limits>
#include <optional>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "framework/core/check.h"
#include "framework/core/floating_point.h"
#include "framework/io/files.h"

namespace tape {
namespace {

static_assert(std::endian::native == std::endian::little,
              "the elements of files are read and written as they are");

struct Float16 {
  // Exact. NOLINTNEXTLINE(google-explicit-constructor)
  operator float() const {
    const int exponent = bits >> 10 & 0x1F;
    const int fraction = bits & 0x3FF;
    float magnitude;
    if (exponent == 0x1F) {
      magnitude = fraction == 0 ? std::numeric_limits<float>::infinity()
                                : std::numeric_limits<float>::quiet_NaN();
    } else if (exponent == 0) {
      magnitude = std::ldexp(static_cast<float>(fraction), -24);
    } else {
      magnitude =
          std::ldexp(static_cast<float>(fraction + 0x400), exponent - 25);
    }
    return bits >> 15 != 0 ? -magnitude : magnitude;
  }

  uint16_t bits;
};

// The type that holds the same bits.
StoredType StoredTypeOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32:
      return StoredType::kFloat32;
    case DType::kInt32:
      return StoredType::kInt32;
    case DType::kUint8:
      return StoredType::kUint8;
    case DType::kBFloat16:
      return StoredType::kBFloat16;
    case DType::kFloat64:
      return StoredType::kFloat64;
  }
  TAPE_CHECK(false);
}

// `value` as a T, or none if it is out of its range.
template <typename T, std::integral Wide>
std::optional<T> Narrow(Wide value) {
  if constexpr (std::is_same_v<T, double>) {  // As far as each has its own.
    constexpr int64_t kMost = int64_t{1} << std::numeric_limits<T>::digits;
    if (std::cmp_greater(value, kMost) || std::cmp_less(value, -kMost)) {
      return std::nullopt;
    }
    return static_cast<T>(value);
  } else {
    if (!std::in_range<T>(value)) return std::nullopt;
    return static_cast<T>(value);
  }
}
template <typename T>
std::optional<T> Narrow(double value) {
  const T narrow = static_cast<T>(value);
  if (std::isinf(narrow) && std::isfinite(value)) return std::nullopt;
  return narrow;
}

absl::Status WrongElement(const StoredArray& array, size_t index,
                          absl::string_view expected, absl::string_view found) {
  return WrongData(absl::StrCat(ArrayText(array.name), ": element ", index),
                   expected, found);
}

// Fills `to`, whose elements are of type T, from elements that lie in the file
// as `Stored` and are each held by a `Wide`.
template <typename Stored, typename Wide, typename T>
absl::Status Convert(const StoredArray& array, Tensor& to) {
  const absl::Span<T> values = to.values<T>();
  for (size_t i = 0; i < values.size(); ++i) {
    Stored stored;
    std::memcpy(&stored, array.bytes.data() + i * sizeof(Stored),
                sizeof(Stored));
    const Wide value = stored;
    const std::optional<T> narrow = Narrow<T>(value);
    if (!narrow.has_value()) {
      return WrongElement(
          array, i, absl::StrCat("a number that ", Name(to.dtype()), " holds"),
          absl::StrCat(value));
    }
    values[i] = *narrow;
  }
  return absl::OkStatus();
}

absl::Status RefuseToConvert(const StoredArray& array, DType dtype) {
  const bool whole = dtype == DType::kInt32 || dtype == DType::kUint8;
  return WrongData(
      ArrayText(array.name),
      whole ? absl::StrCat("whole numbers to make ", Name(dtype), " of")
      : dtype == DType::kFloat32
          ? absl::StrCat("floating-point numbers to make ", Name(dtype), " of")
          : Name(dtype),
      Name(array.type));
}

template <typename Stored>
absl::Status ConvertFloating(const StoredArray& array, Tensor& to) {
  if (to.dtype() == DType::kFloat32) {
    return Convert<Stored, double, float>(array, to);
  }
  if (to.dtype() == DType::kFloat64) {
    return Convert<Stored, double, double>(array, to);
  }
  return RefuseToConvert(array, to.dtype());
}

template <typename Stored>
absl::Status ConvertWhole(const StoredArray& array, Tensor& to) {
  // int64_t prints all but uint64_t as numbers, bytes too.
  using Wide =
      std::conditional_t<std::is_same_v<Stored, uint64_t>, uint64_t, int64_t>;
  if (to.dtype() == DType::kInt32) {
    return Convert<Stored, Wide, int32_t>(array, to);
  }
  if (to.dtype() == DType::kUint8) {
    return Convert<Stored, Wide, uint8_t>(array, to);
  }
  if (to.dtype() == DType::kFloat64) {
    return Convert<Stored, Wide, double>(array, to);
  }
  return RefuseToConvert(array, to.dtype());
}

absl::Status ConvertBool(const StoredArray& array, Tensor& to) {
  for (size_t i = 0; i < array.bytes.size(); ++i) {
    const auto byte = static_cast<uint8_t>(array.bytes[i]);
    if (byte > 1) return WrongElement(array, i, "0 or 1", absl::StrCat(byte));
  }
  return ConvertWhole<uint8_t>(array, to);
}

absl::Status Convert(const StoredArray& array, Tensor& to) {
  switch (array.type) {
    case StoredType::kBool:
      return ConvertBool(array, to);
    case StoredType::kUint8:
      return ConvertWhole<uint8_t>(array, to);
    case StoredType::kInt8:
      return ConvertWhole<int8_t>(array, to);
    case StoredType::kInt16:
      return ConvertWhole<int16_t>(array, to);
    case StoredType::kUint16:
      return ConvertWhole<uint16_t>(array, to);
    case StoredType::kInt32:
      return ConvertWhole<int32_t>(array, to);
    case StoredType::kUint32:
      return ConvertWhole<uint32_t>(array, to);
    case StoredType::kInt64:
      return ConvertWhole<int64_t>(array, to);
    case StoredType::kUint64:
      return ConvertWhole<uint64_t>(array, to);
    case StoredType::kFloat16:
      return ConvertFloating<Float16>(array, to);
    case StoredType::kBFloat16:
      return ConvertFloating<BFloat16>(array, to);
    case StoredType::kFloat32:
      return ConvertFloating<float>(array, to);
    case StoredType::kFloat64:
      return ConvertFloating<double>(array, to);
  }
  TAPE_CHECK(false);
}

}  // namespace

const char* Name(StoredType type) {
  switch (type) {
    case StoredType::kBool:
      return "bool";
    case StoredType::kUint8:
      return "uint8";
    case StoredType::kInt8:
      return "int8";
    case StoredType::kInt16:
      return "int16";
    case StoredType::kUint16:
      return "uint16";
    case StoredType::kFloat16:
      return "float16";
    case StoredType::kBFloat16:
      return "bfloat16";
    case StoredType::kInt32:
      return "int32";
    case StoredType::kUint32:
      return "uint32";
    case StoredType::kFloat32:
      return "float32";
    case StoredType::kFloat64:
      return "float64";
    case StoredType::kInt64:
      return "int64";
    case StoredType::kUint64:
      return "uint64";
  }
  return "unknown";
}

size_t SizeOf(StoredType type) {
  switch (type) {
    case StoredType::kBool:
    case StoredType::kUint8:
    case StoredType::kInt8:
      return 1;
    case StoredType::kInt16:
    case StoredType::kUint16:
    case StoredType::kFloat16:
    case StoredType::kBFloat16:
      return 2;
    case StoredType::kInt32:
    case StoredType::kUint32:
    case StoredType::kFloat32:
      return 4;
    case StoredType::kFloat64:
    case StoredType::kInt64:
    case StoredType::kUint64:
      return 8;
  }
  return 0;
}

std::string ArrayText(absl::string_view name) {
  return absl::StrCat("array ", Quoted(name, /*shown=*/80));
}

absl::Status CheckBytes(const StoredArray& array) {
  const bool is_valid = array.shape.is_bound() && array.shape.is_valid();
  const size_t expected = array.shape.elements() * SizeOf(array.type);
  if (is_valid && expected == array.bytes.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      ArrayText(array.name), ": expected ", expected, " bytes, of shape ",
      array.shape.ToString(), ", found ", array.bytes.size()));
}

StoredArray ViewOf(std::string name, const TensorView& tensor) {
  return {std::move(name),
          StoredTypeOf(tensor.dtype()),
          tensor.shape(),
          {static_cast<const char*>(tensor.data()), tensor.type().bytes()}};
}

absl::StatusOr<Tensor> ToTensor(const StoredArray& array, DType dtype) {
  const FloatingPointScope environment;
  if (absl::Status status = CheckBytes(array); !status.ok()) return status;
  absl::StatusOr<Tensor> tensor = Tensor::Make({dtype, array.shape});
  if (!tensor.ok()) return tensor.status();
  if (array.bytes.empty()) return tensor;
  if (array.type == StoredTypeOf(dtype)) {  // To the bit, NaNs too.
    std::memcpy(tensor->data(), array.bytes.data(), array.bytes.size());
    return tensor;
  }
  absl::Status status = Convert(array, *tensor);
  if (!status.ok()) return status;
  return tensor;
}

}  // namespace tape
