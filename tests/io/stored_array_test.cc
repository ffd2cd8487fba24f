// Arrays of files become tensors with the numbers they hold, or an error.
#include "framework/io/stored_array.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace tape {
namespace {

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()),
          values.size() * sizeof(T)};
}

template <typename T>
std::vector<T> ValuesOf(const absl::StatusOr<Tensor>& tensor) {
  if (!tensor.ok()) {
    ADD_FAILURE() << tensor.status();
    return {};
  }
  const absl::Span<const T> values = tensor->values<T>();
  return {values.begin(), values.end()};
}

TEST(StoredArrayTest, ATensorIsViewedAndReadBackToTheBit) {
  const float nan = std::bit_cast<float>(0x7F812345);  // A signalling one.
  const Tensor tensor({2, 2}, std::vector<float>{nan, -0.0f, 1e-45f, INFINITY});
  const StoredArray array = ViewOf("w", tensor);
  EXPECT_EQ(array.name, "w");
  EXPECT_EQ(array.type, StoredType::kFloat32);
  EXPECT_EQ(array.shape, Shape({2, 2}));
  EXPECT_EQ(array.bytes.data(), static_cast<const char*>(tensor.data()));
  const absl::StatusOr<Tensor> back = ToTensor(array, DType::kFloat32);
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->type(), tensor.type());
  EXPECT_EQ(std::memcmp(back->data(), tensor.data(), 16), 0);
}

TEST(StoredArrayTest, EachDTypeHasAStoredTypeAndComesBack) {
  for (DType dtype : {DType::kFloat32, DType::kInt32, DType::kUint8,
                      DType::kBFloat16, DType::kFloat64}) {
    Tensor tensor({dtype, {3}});
    std::memset(tensor.data(), 0x41, tensor.type().bytes());
    const StoredArray array = ViewOf("a", tensor);
    EXPECT_STREQ(Name(array.type), Name(dtype));
    EXPECT_EQ(SizeOf(array.type), SizeOf(dtype));
    const absl::StatusOr<Tensor> back = ToTensor(array, dtype);
    ASSERT_TRUE(back.ok()) << back.status();
    EXPECT_EQ(std::memcmp(back->data(), tensor.data(), tensor.type().bytes()),
              0);
  }
}

TEST(StoredArrayTest, FloatingPointTypesBecomeFloat32) {
  const std::string doubles = Bytes<double>({0.1, -0.0, 1e-300, INFINITY});
  EXPECT_EQ(ValuesOf<float>(ToTensor({"a", StoredType::kFloat64, {4}, doubles},
                                     DType::kFloat32)),
            (std::vector<float>{0.1f, -0.0f, 0, INFINITY}));
  const std::string brains = Bytes<uint16_t>({0x3FC0, 0xC000});
  EXPECT_EQ(ValuesOf<float>(ToTensor({"a", StoredType::kBFloat16, {2}, brains},
                                     DType::kFloat32)),
            (std::vector<float>{1.5f, -2}));
  const std::string floats = Bytes<float>({0.1f});
  EXPECT_EQ(ValuesOf<double>(ToTensor({"a", StoredType::kFloat32, {1}, floats},
                                      DType::kFloat64)),
            (std::vector<double>{double{0.1f}}));
}

// IEEE 754's binary16 (3.4): 1 bit of sign, 5 of the exponent, 10 of the
// fraction.
float ValueOfHalf(uint16_t bits) {
  const int exponent = bits / 1024 % 32;
  const double fraction = bits % 1024 / 1024.0;
  const double magnitude = exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                           : exponent == 0
                               ? std::pow(2.0, -14) * fraction
                               : std::pow(2.0, exponent - 15) * (1 + fraction);
  return static_cast<float>(bits < 0x8000 ? magnitude : -magnitude);
}

TEST(StoredArrayTest, EveryFloat16IsReadAsIeee754SaysIt) {
  std::vector<uint16_t> halves(65536);
  for (size_t i = 0; i < halves.size(); ++i) halves[i] = i;
  const std::string bytes = Bytes(halves);
  const std::vector<float> values = ValuesOf<float>(
      ToTensor({"a", StoredType::kFloat16, {65536}, bytes}, DType::kFloat32));
  ASSERT_EQ(values.size(), halves.size());
  for (size_t i = 0; i < halves.size(); ++i) {
    const float expected = ValueOfHalf(halves[i]);
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(values[i])) << i;
    } else {
      EXPECT_EQ(std::bit_cast<uint32_t>(values[i]),
                std::bit_cast<uint32_t>(expected))
          << i;
    }
  }
}

TEST(StoredArrayTest, WholeTypesBecomeInt32AndUint8) {
  const std::string bools = Bytes<uint8_t>({1, 0});
  const std::string bytes = Bytes<int8_t>({127, 0});
  const std::string words = Bytes<int16_t>({255, 0});
  const std::string ints = Bytes<uint32_t>({255, 0});
  const std::string longs = Bytes<int64_t>({255, 0});
  for (const StoredArray& array :
       {StoredArray{"a", StoredType::kBool, {2}, bools},
        StoredArray{"a", StoredType::kInt8, {2}, bytes},
        StoredArray{"a", StoredType::kInt16, {2}, words},
        StoredArray{"a", StoredType::kUint16, {2}, words},
        StoredArray{"a", StoredType::kUint32, {2}, ints},
        StoredArray{"a", StoredType::kInt64, {2}, longs},
        StoredArray{"a", StoredType::kUint64, {2}, longs}}) {
    const int one = array.type == StoredType::kBool   ? 1
                    : array.type == StoredType::kInt8 ? 127
                                                      : 255;
    EXPECT_EQ(ValuesOf<int32_t>(ToTensor(array, DType::kInt32)),
              (std::vector<int32_t>{one, 0}));
    EXPECT_EQ(ValuesOf<uint8_t>(ToTensor(array, DType::kUint8)),
              (std::vector<uint8_t>{static_cast<uint8_t>(one), 0}));
    EXPECT_EQ(ValuesOf<double>(ToTensor(array, DType::kFloat64)),
              (std::vector<double>{static_cast<double>(one), 0}));
  }
}

TEST(StoredArrayTest, NoElementsAreNoBytes) {
  for (const DType dtype : {DType::kUint8, DType::kInt32}) {
    const absl::StatusOr<Tensor> tensor =
        ToTensor({"a", StoredType::kUint8, {0, 3}, absl::string_view()}, dtype);
    ASSERT_TRUE(tensor.ok()) << tensor.status();
    EXPECT_EQ(tensor->shape(), Shape({0, 3}));
  }
}

TEST(StoredArrayTest, BytesNeedNotBeAligned) {
  const std::string bytes = "x" + Bytes<double>({0.5, 2});
  const absl::string_view unaligned = absl::string_view(bytes).substr(1);
  EXPECT_EQ(ValuesOf<float>(ToTensor(
                {"a", StoredType::kFloat64, {2}, unaligned}, DType::kFloat32)),
            (std::vector<float>{0.5f, 2}));
}

TEST(StoredArrayTest, AnElementOutOfRangeIsNamed) {
  const auto expect = [](StoredType type, const std::string& bytes, DType dtype,
                         const std::string& message) {
    const Shape shape({static_cast<int64_t>(bytes.size() / SizeOf(type))});
    EXPECT_EQ(ToTensor({"layer1/w", type, shape, bytes}, dtype).status(),
              absl::InvalidArgumentError("array \"layer1/w\": " + message));
  };
  constexpr int64_t kMost = int64_t{1} << 53;
  expect(StoredType::kInt64, Bytes<int64_t>({1, int64_t{1} << 31}),
         DType::kInt32,
         "element 1: expected a number that int32 holds, found 2147483648");
  expect(StoredType::kInt64, Bytes<int64_t>({-(int64_t{1} << 31) - 1}),
         DType::kInt32,
         "element 0: expected a number that int32 holds, found -2147483649");
  expect(StoredType::kInt64, Bytes<int64_t>({-kMost, -kMost - 1}),
         DType::kFloat64,
         "element 1: expected a number that float64 holds, found "
         "-9007199254740993");
  expect(StoredType::kUint64, Bytes<uint64_t>({kMost, kMost + 1}),
         DType::kFloat64,
         "element 1: expected a number that float64 holds, found "
         "9007199254740993");
  expect(StoredType::kInt8, Bytes<int8_t>({1, -1}), DType::kUint8,
         "element 1: expected a number that uint8 holds, found -1");
  expect(StoredType::kUint32, Bytes<uint32_t>({uint32_t{1} << 31}),
         DType::kInt32,
         "element 0: expected a number that int32 holds, found 2147483648");
  expect(StoredType::kUint64, Bytes<uint64_t>({~uint64_t{0}}), DType::kInt32,
         "element 0: expected a number that int32 holds, found "
         "18446744073709551615");
  expect(StoredType::kInt32, Bytes<int32_t>({7, 255, 256}), DType::kUint8,
         "element 2: expected a number that uint8 holds, found 256");
  expect(StoredType::kFloat64, Bytes<double>({1, -1e39}), DType::kFloat32,
         "element 1: expected a number that float32 holds, found -1e+39");
  expect(StoredType::kBool, Bytes<uint8_t>({1, 2}), DType::kInt32,
         "element 1: expected 0 or 1, found 2");
}

TEST(StoredArrayTest, OtherConversionsAreRefused) {
  const std::string bytes(8, '\0');
  const auto expect = [&](StoredType type, DType dtype,
                          const std::string& message) {
    const Shape shape({static_cast<int64_t>(bytes.size() / SizeOf(type))});
    EXPECT_EQ(ToTensor({"a", type, shape, bytes}, dtype).status(),
              absl::InvalidArgumentError("array \"a\": " + message));
  };
  expect(StoredType::kFloat32, DType::kInt32,
         "expected whole numbers to make int32 of, found float32");
  expect(StoredType::kFloat16, DType::kUint8,
         "expected whole numbers to make uint8 of, found float16");
  expect(StoredType::kInt32, DType::kFloat32,
         "expected floating-point numbers to make float32 of, found int32");
  expect(StoredType::kBool, DType::kFloat32,
         "expected floating-point numbers to make float32 of, found bool");
  expect(StoredType::kFloat32, DType::kBFloat16,
         "expected bfloat16, found float32");
}

}  // namespace
}  // namespace tape
