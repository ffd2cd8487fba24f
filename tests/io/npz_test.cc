// NumPy's .npz files: what NumPy writes is read, what is written reads back
// (interop_test.cc has NumPy itself read it), and whatever else a file may hold
// is refused with a message that says where and why.
#include "framework/io/npz.h"

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

std::string LittleEndian(uint64_t value, int bytes) {
  return {reinterpret_cast<const char*>(&value), static_cast<size_t>(bytes)};
}

// A member of an archive, and what its directory says of it.
struct Member {
  std::string name;
  std::string bytes;
  uint64_t size = bytes.size();
  uint64_t compressed_size = bytes.size();
  int method = 0;
  int flags = 0;
};

// An archive of these members, put together by hand; or, if they share, one
// that has the bytes of the first, where its directory says they all are.
std::string Zip(const std::vector<Member>& members, bool share = false) {
  std::string archive;
  std::string directory;
  for (const Member& member : members) {
    const uint32_t crc =
        crc32(0, reinterpret_cast<const Bytef*>(member.bytes.data()),
              member.bytes.size());
    const std::string shared = absl::StrCat(
        LittleEndian(20, 2), LittleEndian(member.flags, 2),
        LittleEndian(member.method, 2), LittleEndian(33 << 16, 4),
        LittleEndian(crc, 4), LittleEndian(member.compressed_size, 4),
        LittleEndian(member.size, 4), LittleEndian(member.name.size(), 2),
        LittleEndian(0, 2));
    absl::StrAppend(&directory, "PK\1\2", LittleEndian(20, 2), shared,
                    LittleEndian(0, 8), LittleEndian(0, 2),
                    LittleEndian(share ? 0 : archive.size(), 4), member.name);
    if (share && !archive.empty()) continue;
    absl::StrAppend(&archive, "PK\3\4", shared, member.name, member.bytes);
  }
  return absl::StrCat(archive, directory, "PK\5\6", LittleEndian(0, 4),
                      LittleEndian(members.size(), 2),
                      LittleEndian(members.size(), 2),
                      LittleEndian(directory.size(), 4),
                      LittleEndian(archive.size(), 4), LittleEndian(0, 2));
}

// An .npy file of version 1.0.
std::string Npy(absl::string_view header, absl::string_view elements) {
  return absl::StrCat("\x93NUMPY", LittleEndian(1, 2),
                      LittleEndian(header.size(), 2), header, elements);
}

std::string PathFor(absl::string_view name) {
  return absl::StrCat(
      testing::TempDir(), "/",
      testing::UnitTest::GetInstance()->current_test_info()->name(), name);
}

template <typename T>
std::vector<T> ValuesOf(const NpzFile& file, absl::string_view name) {
  const StoredArray* array = file.Find(name);
  if (array == nullptr) return {};
  const absl::StatusOr<Tensor> tensor = ToTensor(*array, kDTypeOf<T>);
  if (!tensor.ok()) return {};
  return {tensor->values<T>().begin(), tensor->values<T>().end()};
}

TEST(NpzTest, ReadsWhatNumPyWrites) {
  // tests/io/golden/make_golden.py made these.
  for (const char* path :
       {"tests/io/golden/stored.npz", "tests/io/golden/deflated.npz"}) {
    SCOPED_TRACE(path);
    absl::StatusOr<NpzFile> read = ReadNpz(path);
    ASSERT_TRUE(read.ok()) << read.status();
    const NpzFile file = *std::move(read);
    EXPECT_EQ(file.arrays.size(), 26u);
    const std::vector<float> six = {0, 1, 2, 3, 4, 5};
    for (const char* name :
         {"f2<", "f2>", "f4<", "f4>", "f8<", "f8>", "fortran"}) {
      EXPECT_EQ(file.Find(name)->shape, Shape({2, 3})) << name;
      EXPECT_EQ(ValuesOf<float>(file, name), six) << name;
    }
    for (const char* name : {"i1", "i2<", "i2>", "i4<", "i4>", "i8<", "i8>",
                             "u1", "u2<", "u2>", "u4<", "u4>", "u8<", "u8>"}) {
      EXPECT_EQ(ValuesOf<int32_t>(file, name),
                (std::vector<int32_t>{0, 1, 2, 3, 4, 5}))
          << name;
    }
    EXPECT_EQ(file.Find("b1")->type, StoredType::kBool);
    EXPECT_EQ(ValuesOf<uint8_t>(file, "b1"),
              (std::vector<uint8_t>{0, 1, 0, 1, 0, 1}));
    std::vector<float> cube(24);
    for (int i = 0; i < 24; ++i) cube[i] = i;
    EXPECT_EQ(file.Find("fortran cube")->shape, Shape({2, 3, 4}));
    EXPECT_EQ(ValuesOf<float>(file, "fortran cube"), cube);
    EXPECT_EQ(file.Find("none")->shape, Shape({0, 3}));
    EXPECT_EQ(file.Find("scalar")->shape, Shape());
    EXPECT_EQ(ValuesOf<float>(file, "scalar"), (std::vector<float>{0.5}));
    EXPECT_EQ(ValuesOf<float>(file, "layer1/w"), (std::vector<float>{1.5}));
    EXPECT_EQ(file.Find("layer1/w.npy"), nullptr);
  }
}

TEST(NpzTest, ReadsEveryVersion) {
  const absl::StatusOr<NpzFile> file = ReadNpz("tests/io/golden/versions.npz");
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->arrays.size(), 3u);
  for (int version : {1, 2, 3}) {
    EXPECT_EQ(ValuesOf<int32_t>(*file, absl::StrCat("v", version)),
              (std::vector<int32_t>{version}));
  }
}

TEST(NpzTest, WritesWhatReadsBackAndAlwaysTheSameBytes) {
  const std::string bytes = "The elements, whatever they may mean: 6 x 8 bytes";
  std::vector<StoredArray> arrays;
  for (StoredType type :
       {StoredType::kBool, StoredType::kUint8, StoredType::kInt8,
        StoredType::kInt16, StoredType::kUint16, StoredType::kFloat16,
        StoredType::kInt32, StoredType::kUint32, StoredType::kFloat32,
        StoredType::kFloat64, StoredType::kInt64, StoredType::kUint64}) {
    arrays.push_back({absl::StrCat("\u00fc/", Name(type)), type,
                      SizeOf(type) == 4 ? Shape({6}) : Shape({2, 3}),
                      absl::string_view(bytes).substr(0, 6 * SizeOf(type))});
  }
  arrays.push_back({"none", StoredType::kFloat32, {3, 0}, ""});
  arrays.push_back({"", StoredType::kUint8, {}, "x"});
  const std::string path = PathFor(".npz");
  ASSERT_TRUE(WriteNpz(path, arrays).ok());
  const std::string written = ReadText(path);
  const absl::StatusOr<NpzFile> file = ParseNpz(written, "f");
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->arrays.size(), arrays.size());
  for (size_t k = 0; k < arrays.size(); ++k) {
    EXPECT_EQ(file->arrays[k].name, arrays[k].name);
    EXPECT_EQ(file->arrays[k].type, arrays[k].type);
    EXPECT_EQ(file->arrays[k].shape, arrays[k].shape);
    EXPECT_EQ(file->arrays[k].bytes, arrays[k].bytes);
  }
  // Stored: the elements stand there as they are.
  EXPECT_TRUE(absl::StrContains(written, bytes.substr(0, 48)));
  // The date 1980-01-01, 00:00, of the first member.
  EXPECT_EQ(written.substr(10, 4), absl::string_view("\0\0\x21\0", 4));
  ASSERT_TRUE(WriteNpz(path, file->arrays).ok());
  EXPECT_EQ(ReadText(path), written);
}

TEST(NpzTest, AnArchiveMayHaveNoMembers) {
  const std::string path = PathFor(".npz");
  ASSERT_TRUE(WriteNpz(path, {}).ok());
  EXPECT_EQ(ReadText(path), Zip({}));
  const absl::StatusOr<NpzFile> file = ReadNpz(path);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_TRUE(file->arrays.empty());
}

TEST(NpzTest, RefusesToWriteWhatNumPyHasNot) {
  const std::string path = PathFor(".npz");
  std::filesystem::remove(path);
  const auto expect = [&](const std::vector<StoredArray>& arrays,
                          const std::string& message) {
    EXPECT_EQ(WriteNpz(path, arrays),
              absl::InvalidArgumentError(path + ": " + message));
    EXPECT_FALSE(std::filesystem::exists(path));
  };
  const auto byte = [](std::string name) {
    return StoredArray{std::move(name), StoredType::kUint8, {1}, "x"};
  };
  expect({{"a", StoredType::kBFloat16, {1}, "xx"}},
         "array \"a\": expected a type that NumPy has, found bfloat16");
  expect({byte("a"), byte("b"), byte("a")},
         "member \"a.npy\": expected unique names in UTF-8, found File already "
         "exists");
  expect({byte("\xFF")},
         "member \"\\xff.npy\": expected unique names in "
         "UTF-8, found Invalid argument");
  expect({byte(std::string("a\0b", 3))},
         "array \"a\\x00\\x62\": expected a name without NUL of at most 65000 "
         "bytes, found one of 3");
  EXPECT_FALSE(WriteNpz(path, {byte(std::string(70000, 'a'))}).ok());
}

void ExpectRefused(absl::string_view bytes, const std::string& message) {
  EXPECT_EQ(ParseNpz(bytes, "f").status(),
            absl::InvalidArgumentError("f: " + message));
}

constexpr char kHeader[] =
    "{'descr': '|u1', 'fortran_order': False, 'shape': (2,), }";

TEST(NpzTest, AcceptsWhatAHeaderMayLookLike) {
  for (const char* header :
       {kHeader, "{\"shape\":(2,1),\"descr\":\"<u1\",\"fortran_order\":True}",
        "  {'descr': '>u1', 'fortran_order': False, 'shape': ( 1 , 2 ) , }  "
        "\n"}) {
    const absl::StatusOr<NpzFile> file =
        ParseNpz(Zip({{"a.npy", Npy(header, "xy")}}), "f");
    ASSERT_TRUE(file.ok()) << file.status();
    EXPECT_EQ(file->arrays[0].bytes, "xy");
  }
}

TEST(NpzTest, RefusesOtherHeaders) {
  const auto expect = [](absl::string_view header, const std::string& message) {
    ExpectRefused(Zip({{"a.npy", Npy(header, "xy")}}),
                  "member \"a.npy\": expected " + message);
  };
  expect("", "header with {, found \"\"");
  expect("{", "header with a name in quotation marks, found \"\"");
  expect("{}", "a header with descr, found none");
  expect("{'descr': '|u1', 'shape': (2,)}",
         "a header with fortran_order, found none");
  expect("{'descr': '|u1', 'descr': '|u1'}",
         "each name once, found \"descr\" twice");
  expect("{'strides': 1}",
         "descr, fortran_order and shape only, found \"strides\"");
  expect("{'shape' (2,)}", "header with :, found \"(2,)}\"");
  expect("{'shape': (2,) 'descr': '|u1'}",
         "header with , or }, found " + Quoted("'descr': '|u1'}"));
  expect("{'shape': [2]}",
         "header with a shape in parentheses, found \"[2]}\"");
  const std::string sizes =
      "header with at most 32 sizes and commas between "
      "them, found ";
  expect("{'shape': (2)}", "header with (n,) for a single size n, found \"}\"");
  expect("{'shape': (-2,)}", sizes + "\"-2,)}\"");
  expect("{'shape': (2 1)}", sizes + "\"1)}\"");
  expect("{'shape': (99999999999999999999,)}",
         sizes + "\"99999999999999999999...\"");
  std::string ones;
  for (int i = 0; i < 33; ++i) ones += "1,";
  expect(absl::StrCat("{'shape': (", ones, ")}"), sizes + "\",)}\"");
  expect("{'shape': (1048576, 1048577)}",
         "at most 2^40 elements, found [1048576,1048577]");
  expect("{'fortran_order': 0}", "header with True or False, found \"0}\"");
  const std::string types =
      "header with a descr of <, > or | and one of b1, "
      "u1, u2, u4, u8, i1, i2, i4, i8, f2, f4, f8, found ";
  for (const char* descr : {"'<c8'", "'|i4'", "'=f4'", "'f4'", "''", "'|O'",
                            "[('a', '<f4')]", "'<f4"}) {
    expect(absl::StrCat("{'descr': ", descr, "}"),
           absl::StrCat(types, Quoted(absl::StrCat(descr, "}"))));
  }
  expect(absl::StrCat(kHeader, "x"),
         "header with the header's end, found \"x\"");
}

TEST(NpzTest, RefusesOtherNpyFiles) {
  const auto expect = [](const std::string& npy, const std::string& message) {
    ExpectRefused(Zip({{"a.npy", npy}}),
                  "member \"a.npy\": expected " + message);
  };
  const std::string good = Npy(kHeader, "xy");
  const std::string magic =
      "the magic of .npy, \\x93NUMPY, and a version, found ";
  expect("", magic + "\"\"");
  expect("PK", magic + "\"PK\"");
  expect(good.substr(0, 7), magic + "\"\\x01\"");
  expect("\x93NUMPY\4" + good.substr(7), "version 1.0, 2.0 or 3.0, found 4.0");
  expect("\x93NUMPY\1\1" + good.substr(8),
         "version 1.0, 2.0 or 3.0, found 1.1");
  expect(good.substr(0, 9), "the header's length, found the end");
  expect(good.substr(0, 20), "a header of 57 bytes, found 10");
  expect(good + "z", "2 bytes of elements for uint8[2], found 3");
  expect(good.substr(0, good.size() - 1),
         "2 bytes of elements for uint8[2], found 1");
}

TEST(NpzTest, RefusesOtherArchives) {
  const std::string npy = Npy(kHeader, "xy");
  const uint64_t size = npy.size();
  ExpectRefused("", "expected a zip archive, found an empty file");
  ExpectRefused("no zip", "expected a zip archive, found Not a zip archive");
  ExpectRefused(Zip({{"a.txt", npy}}),
                "member \"a.txt\": expected a member that ends in .npy, found "
                "\"a.txt\"");
  ExpectRefused(Zip({{"a.npy", npy}, {"a.npy", npy}}),
                "member \"a.npy\": expected each name once, found it twice");
  ExpectRefused(Zip({{"a.npy", npy, size, size, /*method=*/12}}),
                "member \"a.npy\": expected a member stored or deflated, found "
                "compression method 12");
  ExpectRefused(Zip({{"a.npy", npy, size, size, 0, /*flags=*/1}}),
                "member \"a.npy\": expected no encryption, found a member that "
                "is encrypted");
  std::string bytes = Zip({{"a.npy", npy}});
  bytes[bytes.find("xy")] = 'z';
  ExpectRefused(bytes,
                "member \"a.npy\": expected a sound member, found CRC error");
}

TEST(NpzTest, AllocatesForWhatAFileHoldsNotForWhatItClaims) {
  const std::string npy = Npy(kHeader, "xy");
  const uint64_t size = npy.size();
  constexpr uint64_t kHuge = 0xFFFFFF00;
  const std::string member = "member \"a.npy\": expected at most ";
  ExpectRefused(Zip({{"a.npy", npy, kHuge, size}}),
                absl::StrCat(member, size, " bytes, made of ", size,
                             ", found 4294967040"));
  ExpectRefused(Zip({{"a.npy", npy, kHuge, size, /*method=*/8}}),
                absl::StrCat(member, 1032 * size, " bytes, made of ", size,
                             ", found 4294967040"));
  const std::string bytes = Zip({{"a.npy", npy, kHuge, kHuge}});
  ExpectRefused(bytes, absl::StrCat(member, bytes.size(),
                                    " bytes, which the file has left, found "
                                    "4294967040"));
}

TEST(NpzTest, AMemberHasAsManyBytesAsItClaims) {
  const std::string npy = Npy(kHeader, "xy");
  ExpectRefused(Zip({{"a.npy", npy, npy.size() - 1, npy.size()}}),
                absl::StrCat("member \"a.npy\": expected ", npy.size() - 1,
                             " bytes, found more"));
}

TEST(NpzTest, MembersDoNotShareBytes) {
  const std::string npy =
      Npy("{'descr': '|u1', 'fortran_order': False, 'shape': (1000,)}",
          std::string(1000, 'x'));
  const std::string bytes = Zip({{"a.npy", npy}, {"b.npy", npy}}, true);
  ASSERT_LT(bytes.size(), 2 * npy.size());
  ExpectRefused(bytes, absl::StrCat("member \"b.npy\": expected at most ",
                                    bytes.size() - npy.size(),
                                    " bytes, which the file has left, found ",
                                    npy.size()));
}

TEST(NpzTest, EveryTruncatedFileIsRefusedAndNoDamageCrashes) {
  for (const char* path :
       {"tests/io/golden/stored.npz", "tests/io/golden/deflated.npz"}) {
    const std::string good = ReadText(path);
    for (size_t left = 0; left < good.size(); ++left) {
      EXPECT_FALSE(ParseNpz(good.substr(0, left), "f").ok()) << left;
    }
    for (size_t i = 0; i < good.size(); ++i) {
      for (int flip : {0x01, 0x80, 0xFF}) {
        std::string bad = good;
        bad[i] ^= flip;
        (void)ParseNpz(bad, "f");
      }
    }
  }
}

TEST(NpzTest, AFlippedBitOfAnArrayIsFound) {
  const std::string good = ReadText("tests/io/golden/stored.npz");
  const size_t begin = good.find("\x93NUMPY");
  for (size_t i = begin; i < begin + 128 + 24; ++i) {  // The first member's.
    std::string bad = good;
    bad[i] ^= 1;
    EXPECT_FALSE(ParseNpz(bad, "f").ok()) << i;
  }
}

TEST(NpzTest, ErrorsOfTheSystemNameThePath) {
  EXPECT_EQ(ReadNpz("no/such/file").status(),
            absl::NotFoundError(
                "no/such/file: expected an .npz file, found no such file"));
}

}  // namespace
}  // namespace tape
