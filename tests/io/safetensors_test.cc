// Safetensors files: what other programs write is read, what is written is what
// they write, and whatever else a file may hold is refused with a message that
// says where and why.
#include "framework/io/safetensors.h"

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

// tests/io/golden/make_golden.py made these.
constexpr char kGoldenTypes[] = "tests/io/golden/types.safetensors";
constexpr char kGoldenPlain[] = "tests/io/golden/plain.safetensors";

std::string LengthBytes(uint64_t length) {
  return {reinterpret_cast<const char*>(&length), sizeof(length)};
}

// A file with this header and these bytes behind it.
std::string File(absl::string_view header, absl::string_view data) {
  return absl::StrCat(LengthBytes(header.size()), header, data);
}

absl::StatusOr<SafetensorsFile> Parse(
    absl::string_view bytes, Checksum checksum = Checksum::kIfPresent) {
  FileBytes copy(bytes.size());
  std::memcpy(copy.data(), bytes.data(), bytes.size());
  return ParseSafetensors(std::move(copy), "f", checksum);
}

std::string PathFor(absl::string_view name) {
  return absl::StrCat(
      testing::TempDir(), "/",
      testing::UnitTest::GetInstance()->current_test_info()->name(), name);
}

// Writes a file and returns its bytes.
std::string Written(absl::Span<const StoredArray> arrays,
                    const Metadata& metadata, bool with_checksum) {
  const std::string path = PathFor(".safetensors");
  const absl::Status status =
      WriteSafetensors(path, arrays, metadata, with_checksum);
  EXPECT_TRUE(status.ok()) << status;
  return ReadText(path);
}

template <typename T>
std::vector<T> ValuesOf(const SafetensorsFile& file, absl::string_view name) {
  const StoredArray* array = file.Find(name);
  if (array == nullptr) return {};
  const absl::StatusOr<Tensor> tensor = ToTensor(*array, kDTypeOf<T>);
  if (!tensor.ok()) return {};
  return {tensor->values<T>().begin(), tensor->values<T>().end()};
}

TEST(SafetensorsTest, ReadsEveryTypeOfAnotherWritersFile) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const absl::StatusOr<SafetensorsFile> file = ReadSafetensors(kGoldenTypes);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->metadata, (Metadata{{"format", "pt"}}));
  EXPECT_EQ(file->arrays.size(), 15u);
  const std::vector<float> floats = {0,         -0.0f,      1.5,
                                     kInfinity, -kInfinity, 65504};
  for (const char* name : {"float16", "float32", "float64"}) {
    EXPECT_STREQ(Name(file->Find(name)->type), name);
    EXPECT_EQ(file->Find(name)->shape, Shape({2, 3}));
    EXPECT_EQ(ValuesOf<float>(*file, name), floats) << name;
  }
  EXPECT_EQ(ValuesOf<float>(*file, "bfloat16"), (std::vector<float>{1.5, -2}));
  EXPECT_EQ(ValuesOf<int32_t>(*file, "bool"), (std::vector<int32_t>{1, 0}));
  EXPECT_EQ(ValuesOf<uint8_t>(*file, "uint8"), (std::vector<uint8_t>{0, 255}));
  EXPECT_EQ(ValuesOf<int32_t>(*file, "int32"),
            (std::vector<int32_t>{INT32_MIN, INT32_MAX}));
  EXPECT_EQ(ValuesOf<int32_t>(*file, "int8"),
            (std::vector<int32_t>{-128, 127}));
  EXPECT_EQ(ValuesOf<int32_t>(*file, "int16"),
            (std::vector<int32_t>{INT16_MIN, INT16_MAX}));
  EXPECT_EQ(ValuesOf<int32_t>(*file, "uint16"),
            (std::vector<int32_t>{0, UINT16_MAX}));
  EXPECT_EQ(ValuesOf<int32_t>(*file, "uint32"),
            (std::vector<int32_t>{1, INT32_MAX}));
  EXPECT_EQ(ValuesOf<int32_t>(*file, "uint64"),
            (std::vector<int32_t>{2, INT32_MAX}));
  int64_t longs[2];
  std::memcpy(longs, file->Find("int64")->bytes.data(), sizeof(longs));
  EXPECT_EQ(longs[0], INT64_MIN);
  EXPECT_EQ(longs[1], INT64_MAX);
  EXPECT_EQ(file->Find("no elements")->shape, Shape({0, 3}));
  const std::string odd = "rank 0, \u00fc, \"quoted\"\n";
  EXPECT_EQ(file->Find(odd)->shape, Shape());
  EXPECT_EQ(ValuesOf<float>(*file, odd), (std::vector<float>{0.1f}));
  EXPECT_EQ(file->Find("another"), nullptr);
}

TEST(SafetensorsTest, WritesTheBytesThatTheReferenceWrites) {
  for (const char* path : {kGoldenTypes, kGoldenPlain}) {
    const absl::StatusOr<SafetensorsFile> file = ReadSafetensors(path);
    ASSERT_TRUE(file.ok()) << file.status();
    // From any order.
    std::vector<StoredArray> arrays(file->arrays.rbegin(), file->arrays.rend());
    EXPECT_EQ(Written(arrays, file->metadata, /*with_checksum=*/false),
              ReadText(path));
  }
}

TEST(SafetensorsTest, KeepsTheOrderOfMetadataAndPutsTheChecksumFirst) {
  const Metadata metadata = {
      {"z", "1"}, {"crc32c", "another file's"}, {"a", "\"\\\n\u00fc"}};
  const absl::StatusOr<SafetensorsFile> file =
      Parse(Written({}, metadata, /*with_checksum=*/true), Checksum::kRequired);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->metadata.size(), 3u);
  EXPECT_EQ(file->metadata[0].first, "crc32c");
  EXPECT_EQ(file->metadata[0].second.size(), 8u);
  EXPECT_EQ(file->metadata[1], metadata[0]);
  EXPECT_EQ(file->metadata[2], metadata[2]);
  EXPECT_EQ(*file->FindMetadata("z"), "1");
  EXPECT_EQ(file->FindMetadata("y"), nullptr);
}

TEST(SafetensorsTest, ArraysLieAligned) {
  const Tensor bytes({3}, std::vector<uint8_t>{1, 2, 3});
  const Tensor floats({1}, std::vector<float>{4});
  const Tensor doubles({1}, std::vector<double>{5});
  absl::StatusOr<SafetensorsFile> file = Parse(
      Written({ViewOf("a", bytes), ViewOf("b", floats), ViewOf("c", doubles)},
              {{"some", "metadata"}}, /*with_checksum=*/true));
  ASSERT_TRUE(file.ok()) << file.status();
  const SafetensorsFile moved = *std::move(file);
  for (const StoredArray& array : moved.arrays) {
    EXPECT_EQ(
        reinterpret_cast<uintptr_t>(array.bytes.data()) % SizeOf(array.type),
        0u)
        << array.name;
  }
  EXPECT_EQ(ValuesOf<double>(moved, "c"), (std::vector<double>{5}));
}

TEST(SafetensorsTest, AcceptsWhatTheFormatLeavesOpen) {
  const auto expect_arrays = [](const std::string& bytes,
                                const std::vector<std::string>& names) {
    const absl::StatusOr<SafetensorsFile> file = Parse(bytes);
    ASSERT_TRUE(file.ok()) << file.status();
    std::vector<std::string> found;
    for (const StoredArray& array : file->arrays) found.push_back(array.name);
    EXPECT_EQ(found, names);
  };
  expect_arrays(File("{}", ""), {});
  expect_arrays(File("{ }    ", ""), {});
  expect_arrays(File(R"({"__metadata__":{}})", ""), {});
  // Keys of the metadata are not names of arrays.
  expect_arrays(File(R"({"a":{"dtype":"U8","shape":[],"data_offsets":[0,1]},)"
                     R"("__metadata__":{"a":"","dtype":""}})",
                     "x"),
                {"a"});
  // Members in any order, arrays in another order than their bytes.
  expect_arrays(File(R"({"b":{"data_offsets":[2,3],"shape":[1],"dtype":"U8"},
               "a":{"shape":[2,1],"dtype":"U8","data_offsets":[0,2]}})",
                     "abc"),
                {"a", "b"});
  // Without elements, however large the other dimensions.
  expect_arrays(File(R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},)"
                     R"("a":{"dtype":"F32","shape":[0,1099511627776],)"
                     R"("data_offsets":[0,0]}})",
                     "a"),
                {"a", "b"});
  // In the order of the header if they all lie at the same offset; more of them
  // than std::sort keeps in order by itself.
  std::vector<std::string> names;
  std::vector<std::string> members;
  for (int i = 40; i > 0; --i) {
    names.push_back(absl::StrCat("empty", i));
    members.push_back(
        absl::StrCat(R"(")", names.back(),
                     R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})"));
  }
  expect_arrays(File(absl::StrCat("{", absl::StrJoin(members, ","), "}"), ""),
                names);
  // A name of no bytes, and one that is written otherwise than it reads.
  expect_arrays(
      File(R"({"":{"dtype":"U8","shape":[],"data_offsets":[0,1]},)"
           R"("\u0061\u0000":{"dtype":"U8","shape":[],"data_offsets":[1,2]}})",
           "ab"),
      {"", std::string("a\0", 2)});
}

void ExpectRefused(absl::string_view bytes, const std::string& message) {
  EXPECT_EQ(Parse(bytes).status(), absl::InvalidArgumentError("f" + message));
}

TEST(SafetensorsTest, RefusesAWrongLength) {
  ExpectRefused("",
                ": byte 0: expected 8 bytes of the header's length, found "
                "0");
  ExpectRefused("1234567",
                ": byte 0: expected 8 bytes of the header's length, found 7");
  ExpectRefused(LengthBytes(100'000'001) + "{}",
                ": byte 0: expected a header of at most 100000000 bytes, found "
                "100000001");
  ExpectRefused(LengthBytes(UINT64_MAX) + "{}",
                ": byte 0: expected a header of at most 100000000 bytes, found "
                "18446744073709551615");
  ExpectRefused(LengthBytes(3) + "{}",
                ": byte 0: expected a header within the file's 10 bytes, found "
                "3 bytes of header");
}

TEST(SafetensorsTest, RefusesAHeaderThatIsNoObject) {
  const auto expect = [](absl::string_view header, const std::string& message) {
    ExpectRefused(File(header, ""), message);
  };
  expect("", ": byte 8: expected a header that begins with {, found \"\"");
  expect(" {}", ": byte 8: expected a header that begins with {, found \" \"");
  expect("\xEF\xBB\xBF{}",
         ": byte 8: expected a header that begins with {, found \"\\xef\"");
  expect("{}\n",
         ": byte 10: expected a header that ends with } and then "
         "spaces only, found \"\\n\"");
  expect(absl::string_view("{}\0}", 4),
         ": byte 10: expected sound JSON in UTF-8, found a NUL byte");
  expect("{} {}", ": byte 11: expected sound JSON in UTF-8, found \"{} {\"");
  expect("{\"a\":}",
         ": byte 13: expected sound JSON in UTF-8, found \"\\\"a\\\":}\"");
  expect("{\"\xFF\":{}}",
         ": byte 10: expected sound JSON in UTF-8, found \"\\\"\\xff\"");
  expect(
      R"({"\ud800":{}})",
      ": byte 16: expected sound JSON in UTF-8, found \"\\\"\\\\ud800\\\"\"");
}

TEST(SafetensorsTest, RefusesMembersThatAreNotOfTheFormat) {
  // Each is a header's array "a".
  const auto expect = [](absl::string_view members,
                         const std::string& message) {
    ExpectRefused(File(absl::StrCat("{\"a\":", members, "}"), "0123"),
                  ": header: " + message);
  };
  const std::string types =
      "BOOL, U8, I8, I16, U16, F16, BF16, I32, U32, F32, F64, I64, U64";
  expect("[]", "\"a\": expected an object, found a list");
  expect("null", "\"a\": expected an object, found null");
  expect("true", "\"a\": expected an object, found a truth value");
  expect("{}",
         "array \"a\": expected dtype, shape and data_offsets, found not "
         "all of them");
  expect(R"({"dtype":"F32","shape":[1]})",
         "array \"a\": expected dtype, shape and data_offsets, found not all "
         "of them");
  expect(R"({"dtype":"F32","shape":[1],"data_offsets":[0,4],"strides":[1]})",
         "array \"a\": expected dtype, shape and data_offsets only, found "
         "\"strides\"");
  expect(R"({"dtype":"F32","dtype":"F32"})",
         "array \"a\": dtype: expected it once, found it twice");
  expect(R"({"dtype":"F8_E4M3"})",
         absl::StrCat("array \"a\": dtype: expected one of ", types,
                      ", found \"F8_E4M3\""));
  expect(R"({"dtype":5})", absl::StrCat("array \"a\": dtype: expected one of ",
                                        types, ", found 5"));
  expect(R"({"dtype":["F32"]})",
         absl::StrCat("array \"a\": dtype: expected one of ", types,
                      ", found a list"));
  expect(R"({"shape":"[1]"})",
         "array \"a\": shape: expected a list, found \"[1]\"");
  expect(R"({"shape":"F32"})",
         "array \"a\": shape: expected a list, found \"F32\"");
  expect(R"({"shape":[-1]})",
         "array \"a\": shape: expected a whole number, found -1");
  expect(R"({"shape":[1.0]})",
         "array \"a\": shape: expected a whole number, found 1.0");
  expect(R"({"shape":[1e2]})",
         "array \"a\": shape: expected a whole number, found 1e2");
  expect(R"({"shape":[[1]]})",
         "array \"a\": shape: expected a whole number, found a list");
  expect(R"({"shape":[18446744073709551616]})",
         "array \"a\": shape: expected a whole number, found "
         "18446744073709551616");
  expect(R"({"data_offsets":[0]})",
         "array \"a\": data_offsets: expected two numbers, found 1");
  expect(R"({"data_offsets":[0,4,4]})",
         "array \"a\": data_offsets: expected at most 2 numbers, found more");
}

TEST(SafetensorsTest, RefusesNamesThatStandTwice) {
  const std::string one = R"("a":{"dtype":"U8","shape":[1],"data_offsets":)";
  ExpectRefused(File(absl::StrCat("{", one, "[0,1]},", one, "[1,2]}}"), "ab"),
                ": header: \"a\": expected it once, found it twice");
  // Also if the other is written otherwise.
  ExpectRefused(File(absl::StrCat("{", one, "[0,1]},\"\\u0061\":{}}"), "ab"),
                ": header: \"a\": expected it once, found it twice");
  ExpectRefused(File(R"({"__metadata__":{},"__metadata__":{}})", ""),
                ": header: \"__metadata__\": expected it once, found it twice");
  ExpectRefused(
      File(R"({"__metadata__":{"k":"1","k":"1"}})", ""),
      ": header: __metadata__: \"k\": expected it once, found it twice");
}

TEST(SafetensorsTest, RefusesMetadataThatIsNotStrings) {
  ExpectRefused(File(R"({"__metadata__":null})", ""),
                ": header: \"__metadata__\": expected an object, found null");
  ExpectRefused(File(R"({"__metadata__":{"k":1}})", ""),
                ": header: __metadata__: \"k\": expected a string, found 1");
  ExpectRefused(
      File(R"({"__metadata__":{"k":{}}})", ""),
      ": header: __metadata__: \"k\": expected a string, found an object");
}

TEST(SafetensorsTest, RefusesSizesThatOverflow) {
  const auto expect = [](const std::string& shape) {
    ExpectRefused(
        File(absl::StrCat(R"({"a":{"dtype":"U8","data_offsets":[0,0],"shape":)",
                          shape, "}}"),
             ""),
        absl::StrCat(": header: array \"a\": shape: expected at most 2^40 "
                     "elements, found ",
                     shape));
  };
  expect("[18446744073709551615]");  // -1, the batch, in 64 bits.
  expect("[9223372036854775808]");
  expect("[4294967296,4294967296]");  // 2^64, which is 0 in 64 bits.
  expect("[4294967296,4294967296,0]");
  expect("[1099511627777]");
}

TEST(SafetensorsTest, RefusesTooManyDimensions) {
  std::string ones = "1";
  for (int i = 1; i < 64; ++i) ones += ",1";
  const auto file = [](const std::string& shape) {
    return File(absl::StrCat(R"({"a":{"dtype":"U8","data_offsets":[0,1],)",
                             "\"shape\":[", shape, "]}}"),
                "x");
  };
  EXPECT_TRUE(Parse(file(ones)).ok()) << Parse(file(ones)).status();
  ExpectRefused(file(ones + ",1"),
                ": header: array \"a\": shape: expected at most 64 numbers, "
                "found more");
}

TEST(SafetensorsTest, RefusesHolesOverlapsAndTrailingBytes) {
  const auto two = [](const std::string& a, const std::string& b) {
    return File(absl::StrCat(R"({"a":{"dtype":"U8","shape":[2],)",
                             "\"data_offsets\":", a,
                             R"(},"b":{"dtype":"U8","shape":[2],)",
                             "\"data_offsets\":", b, "}}"),
                "0123");
  };
  ASSERT_TRUE(Parse(two("[0,2]", "[2,4]")).ok());
  const std::string a = ": header: array \"a\": data_offsets: expected ";
  const std::string b = ": header: array \"b\": data_offsets: expected ";
  ExpectRefused(two("[0,2]", "[3,5]"),
                b + "a begin of 2, where what comes before it ends, found "
                    "[3,5]");
  ExpectRefused(two("[0,2]", "[1,3]"),
                b + "a begin of 2, where what comes before it ends, found "
                    "[1,3]");
  ExpectRefused(two("[0,2]", "[0,2]"),
                b + "a begin of 2, where what comes before it ends, found "
                    "[0,2]");
  ExpectRefused(two("[1,3]", "[3,5]"),
                a + "a begin of 0, where what comes before it ends, found "
                    "[1,3]");
  ExpectRefused(two("[0,2]", "[2,5]"),
                b + "an end within the 4 bytes behind the header, found "
                    "[2,5]");
  ExpectRefused(two("[0,2]", "[2,18446744073709551615]"),
                b + "an end within the 4 bytes behind the header, found "
                    "[2,18446744073709551615]");
  ExpectRefused(two("[0,2]", "[2,3]"), b + "2 bytes for uint8[2], found [2,3]");
  ExpectRefused(two("[0,2]", "[2,1]"), b + "2 bytes for uint8[2], found [2,1]");
  ExpectRefused(two("[0,2]", "[2,4]") + "x",
                ": expected 4 bytes behind the header, found 5");
  ExpectRefused(File("{}", "x"),
                ": expected 0 bytes behind the header, found 1");
}

TEST(SafetensorsTest, RefusesDepthWithoutFollowingIt) {
  const std::string deep(10'000'000, '[');
  ExpectRefused(File(absl::StrCat("{\"a\":", deep, "}"), ""),
                ": header: \"a\": expected an object, found a list");
  std::string objects = "{";
  for (int i = 0; i < 1'000'000; ++i) objects += "\"a\":{";
  EXPECT_FALSE(Parse(File(objects + "}", "")).ok());
}

// A small file with a checksum.
std::string Checked() {
  const Tensor floats({3}, std::vector<float>{1, 2, 3});
  const Tensor numbers({2}, std::vector<int32_t>{4, 5});
  return Written({ViewOf("w", floats), ViewOf("n", numbers)}, {{"k", "v"}},
                 /*with_checksum=*/true);
}

TEST(SafetensorsTest, EveryTruncatedFileIsRefused) {
  const std::string good = Checked();
  ASSERT_TRUE(Parse(good, Checksum::kRequired).ok());
  for (size_t left = 0; left < good.size(); ++left) {
    EXPECT_FALSE(Parse(good.substr(0, left)).ok()) << left;
  }
}

TEST(SafetensorsTest, EveryFlippedBitIsFound) {
  const std::string good = Checked();
  for (size_t i = 0; i < good.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[i] ^= 1 << bit;
      EXPECT_FALSE(Parse(bad, Checksum::kRequired).ok()) << i << ":" << bit;
      // Without the checksum: either way, but no crash.
      (void)Parse(bad, Checksum::kIfPresent);
    }
    std::string bad = good;
    bad[i] ^= 0xFF;
    EXPECT_FALSE(Parse(bad, Checksum::kRequired).ok()) << i;
  }
}

TEST(SafetensorsTest, AWrongChecksumIsNamed) {
  std::string bytes = Checked();
  const std::string digits = bytes.substr(35, 8);
  bytes.back() ^= 1;
  for (Checksum checksum : {Checksum::kIfPresent, Checksum::kRequired}) {
    const absl::Status status = Parse(bytes, checksum).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_TRUE(absl::StartsWith(
        status.message(), absl::StrCat("f: expected the checksum \"", digits,
                                       "\" that stands in it, found ")))
        << status;
  }
}

TEST(SafetensorsTest, AMissingChecksumIsAnErrorWhereItIsRequired) {
  for (const char* header :
       {"{}", R"({"__metadata__":{"a":"b","crc32c":"00000000"}})"}) {
    const std::string bytes = File(header, "");
    EXPECT_TRUE(Parse(bytes).ok());
    const absl::Status status = Parse(bytes, Checksum::kRequired).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_TRUE(
        absl::StartsWith(status.message(), "f: byte 8: expected a checksum, "))
        << status;
  }
  // A checksum of which the digits are missing.
  EXPECT_FALSE(Parse(File(R"({"__metadata__":{"crc32c":""}})", "")).ok());
}

TEST(SafetensorsTest, RefusesToWriteWhatCouldNotBeRead) {
  const std::string path = PathFor(".safetensors");
  std::filesystem::remove(path);
  const Tensor one({1}, std::vector<float>{1});
  const auto expect = [&](const std::vector<std::string>& names,
                          const Metadata& metadata,
                          const std::string& message) {
    std::vector<StoredArray> arrays;
    for (const std::string& name : names) arrays.push_back(ViewOf(name, one));
    EXPECT_EQ(WriteSafetensors(path, arrays, metadata),
              absl::InvalidArgumentError(path + ": expected " + message));
    EXPECT_FALSE(std::filesystem::exists(path));
  };
  expect({"a", "b", "a"}, {},
         "unique names, none of them __metadata__, found array \"a\"");
  expect({"__metadata__"}, {},
         "unique names, none of them __metadata__, found array "
         "\"__metadata__\"");
  expect({}, {{"k", "1"}, {"k", "2"}}, "unique keys of metadata, found \"k\"");
  expect({"\xFF"}, {}, "names and metadata in UTF-8, found \"\\xff\"");
  expect({}, {{"\xFF", ""}}, "names and metadata in UTF-8, found \"\\xff\"");
  expect({}, {{"k", "\xC3"}}, "names and metadata in UTF-8, found \"\\xc3\"");
  // Not what replaces it either.
  EXPECT_TRUE(WriteSafetensors(path, {ViewOf("\uFFFD", one)}).ok());
}

TEST(SafetensorsTest, ErrorsOfTheSystemNameThePath) {
  EXPECT_EQ(ReadSafetensors("no/such/file").status(),
            absl::NotFoundError("no/such/file: expected a safetensors file, "
                                "found no such file"));
  EXPECT_TRUE(absl::StartsWith(WriteSafetensors("no/such/file", {}).message(),
                               "no/such/file"));
}

}  // namespace
}  // namespace tape
