// The readers of framework/data/{idx,dataset}.h: what they read, on files of a
// few bytes and on the real Fashion-MNIST, and that whatever else a file may
// hold is refused with a message that says where and why.
#include "framework/io/idx.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <array>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "framework/core/tensor.h"
#include "framework/data/dataset.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

// An IDX file of unsigned bytes with these sizes, whatever the elements.
std::string Idx(std::initializer_list<uint32_t> sizes,
                absl::string_view elements) {
  std::string bytes = {0, 0, 8, static_cast<char>(sizes.size())};
  for (uint32_t size : sizes) {
    for (int shift : {24, 16, 8, 0}) {
      bytes.push_back(static_cast<char>(size >> shift));
    }
  }
  return absl::StrCat(bytes, elements);
}

std::string Gzip(absl::string_view content) {
  std::string bytes(compressBound(content.size()) + 32, '\0');
  z_stream stream{};
  // 16 asks for the gzip format.
  EXPECT_EQ(deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED,
                         16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY),
            Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = content.size();
  stream.next_out = reinterpret_cast<Bytef*>(bytes.data());
  stream.avail_out = bytes.size();
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  bytes.resize(stream.total_out);
  deflateEnd(&stream);
  return bytes;
}

// A new folder for one test's files.
std::string TestFolder() {
  const testing::TestInfo& test =
      *testing::UnitTest::GetInstance()->current_test_info();
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) /
      absl::StrCat(test.test_suite_name(), ".", test.name());
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder.string();
}

void ExpectRefused(absl::string_view bytes, const std::string& message) {
  const absl::StatusOr<IdxArray> array = ParseIdx(bytes, "f");
  EXPECT_EQ(array.status(),
            absl::InvalidArgumentError(absl::StrCat("f: ", message)));
}

TEST(IdxTest, ReadsEachRank) {
  const std::string elements = "abcdefghijklmnopqrstuvwx";  // 24
  const std::vector<uint8_t> values(elements.begin(), elements.end());
  const auto expect = [&](const std::string& bytes, const Shape& shape) {
    const absl::StatusOr<IdxArray> array = ParseIdx(bytes, "f");
    ASSERT_TRUE(array.ok()) << array.status();
    EXPECT_EQ(array->shape, shape);
    EXPECT_EQ(array->values, values);
  };
  expect(Idx({24}, elements), {24});
  expect(Idx({2, 12}, elements), {2, 12});
  expect(Idx({2, 3, 4}, elements), {2, 3, 4});
  expect(Idx({2, 3, 2, 2}, elements), {2, 3, 2, 2});
}

TEST(IdxTest, ReadsSizesAsBigEndian) {
  const absl::StatusOr<IdxArray> array =
      ParseIdx(Idx({0x00010203}, std::string(0x00010203, 'x')), "f");
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_EQ(array->shape, Shape({66051}));
}

TEST(IdxTest, ReadsAnArrayWithoutElements) {
  const absl::StatusOr<IdxArray> array = ParseIdx(Idx({0, 28, 28}, ""), "f");
  ASSERT_TRUE(array.ok()) << array.status();
  EXPECT_EQ(array->shape, Shape({0, 28, 28}));
  EXPECT_TRUE(array->values.empty());
}

TEST(IdxTest, ReadsGzippedAsPlainWhateverTheName) {
  const std::string folder = TestFolder();
  std::string elements;  // More than is allocated at first.
  for (uint32_t i = 0; i < 300000; ++i) elements.push_back(i * i % 251);
  const std::string bytes = Idx({300, 1000}, elements);
  const absl::StatusOr<IdxArray> plain =
      ReadIdx(WriteText(folder + "/plain.gz", bytes));
  const absl::StatusOr<IdxArray> gzipped =
      ReadIdx(WriteText(folder + "/gzipped", Gzip(bytes)));
  ASSERT_TRUE(plain.ok()) << plain.status();
  ASSERT_TRUE(gzipped.ok()) << gzipped.status();
  EXPECT_EQ(plain->shape, Shape({300, 1000}));
  EXPECT_EQ(plain->values,
            std::vector<uint8_t>(elements.begin(), elements.end()));
  EXPECT_EQ(gzipped->shape, plain->shape);
  EXPECT_EQ(gzipped->values, plain->values);
}

TEST(IdxTest, RefusesAnotherFormat) {
  ExpectRefused("", "byte 0: expected 4 bytes of IDX magic, found 0");
  ExpectRefused(
      "\x89PNG....",
      "byte 0: expected IDX magic 0x00000801 to 0x00000804 (unsigned bytes, 1 "
      "to 4 dimensions), found 0x89504e47");
  ExpectRefused(
      absl::string_view("\x00\x01\x08\x01", 4),
      "byte 0: expected IDX magic 0x00000801 to 0x00000804 (unsigned bytes, 1 "
      "to 4 dimensions), found 0x00010801");
}

TEST(IdxTest, RefusesOtherElementTypesByName) {
  const auto expect = [](char type, const std::string& found) {
    std::string bytes = Idx({1}, "abcdefgh");
    bytes[2] = type;
    ExpectRefused(
        bytes,
        absl::StrCat(
            "byte 2: expected IDX element type 0x08 (unsigned byte), found ",
            found));
  };
  expect(0x00, "0x00 (not a type of the format)");
  expect(0x09, "0x09 (signed byte)");
  expect(0x0b, "0x0b (16-bit integer)");
  expect(0x0c, "0x0c (32-bit integer)");
  expect(0x0d, "0x0d (32-bit float)");
  expect(0x0e, "0x0e (64-bit float)");
}

TEST(IdxTest, ATensorIsReadOfEveryTypeAndRank) {
  const auto with_type = [](char type, std::string bytes) {
    bytes[2] = type;
    return bytes;
  };
  const auto expect = [](const std::string& bytes, const auto& values) {
    using T = std::decay_t<decltype(values[0])>;
    for (const std::string& file : {bytes, Gzip(bytes)}) {
      const absl::StatusOr<Tensor> tensor =
          ParseIdxTensor(file, "f", kDTypeOf<T>);
      ASSERT_TRUE(tensor.ok()) << tensor.status();
      EXPECT_EQ(tensor->shape(), Shape({2}));
      EXPECT_EQ(tensor->values<T>(), absl::MakeConstSpan(values));
    }
  };
  const auto of = [](const char* bytes, size_t size) {
    return Idx({2}, {bytes, size});
  };
  const std::string ints = with_type(0x0c, of("\xff\xff\xff\xfe\0\1\2\3", 8));
  expect(with_type(0x08, of("\xff\1", 2)), std::vector<uint8_t>{255, 1});
  expect(with_type(0x09, of("\xff\1", 2)), std::vector<int32_t>{-1, 1});
  expect(with_type(0x0b, of("\xff\xfe\1\2", 4)), std::vector<int32_t>{-2, 258});
  expect(ints, std::vector<int32_t>{-2, 66051});
  const std::string floats = of("\xc0\0\0\0\x3f\x80\0\0", 8);
  expect(with_type(0x0d, floats), std::vector<float>{-2, 1});
  const std::string doubles = of("\xc0\0\0\0\0\0\0\0\x3f\xf0\0\0\0\0\0\0", 16);
  expect(with_type(0x0e, doubles), std::vector<double>{-2, 1});
  expect(with_type(0x0e, doubles), std::vector<float>{-2, 1});

  std::string deep = {0, 0, 8, '\xff'};
  for (int axis = 0; axis < 255; ++axis) deep += std::string("\0\0\0\1", 4);
  const absl::StatusOr<Tensor> tensor =
      ParseIdxTensor(deep + "x", "f", DType::kUint8);
  ASSERT_TRUE(tensor.ok()) << tensor.status();
  EXPECT_EQ(tensor->shape().rank(), 255);

  const auto expect_refused = [](const std::string& bytes, DType dtype,
                                 const std::string& message) {
    EXPECT_EQ(ParseIdxTensor(bytes, "f", dtype).status(),
              absl::InvalidArgumentError("f: " + message));
  };
  expect_refused(ints, DType::kUint8,
                 "array \"elements\": element 0: expected a number that uint8 "
                 "holds, found -2");
  expect_refused(ints, DType::kFloat32,
                 "array \"elements\": expected floating-point numbers to make "
                 "float32 of, found int32");
  expect_refused(with_type(0x0a, ints), DType::kInt32,
                 "byte 2: expected IDX element type 0x08, 0x09 or 0x0b to "
                 "0x0e, found 0x0a (not a type of the format)");
  expect_refused(Idx({}, "a"), DType::kUint8,
                 "byte 3: expected 1 to 255 dimensions, found 0");
  expect_refused(ints.substr(0, 15), DType::kInt32,
                 "byte 8: expected 8 bytes of elements for [2], found 7");
  expect_refused(with_type(0x0e, Idx({0x40000000, 0x40000000}, "")),
                 DType::kFloat32,
                 "byte 4: expected at most 1099511627776 elements, found "
                 "[1073741824,1073741824]");
}

TEST(IdxTest, RefusesOtherRanks) {
  ExpectRefused(Idx({}, "a"), "byte 3: expected 1 to 4 dimensions, found 0");
  ExpectRefused(Idx({1, 1, 1, 1, 1}, "a"),
                "byte 3: expected 1 to 4 dimensions, found 5");
}

TEST(IdxTest, RefusesShortSizes) {
  ExpectRefused(Idx({2, 3, 4}, "").substr(0, 11),
                "byte 4: expected 12 bytes of sizes of 3 dimensions, found 7");
}

TEST(IdxTest, RefusesShortData) {
  const std::string message =
      "byte 12: expected 6 bytes of elements for [2,3], found 5";
  ExpectRefused(Idx({2, 3}, "abcde"), message);
  ExpectRefused(Gzip(Idx({2, 3}, "abcde")), message);
  // Also where the elements' memory has grown several times.
  ExpectRefused(Idx({1000, 1000}, std::string(999999, 'x')),
                "byte 12: expected 1000000 bytes of elements for [1000,1000], "
                "found 999999");
}

TEST(IdxTest, RefusesTrailingData) {
  const std::string message =
      "byte 18: expected the end of the data after [2,3], found another byte, "
      "0x67";
  ExpectRefused(Idx({2, 3}, "abcdefg"), message);
  ExpectRefused(Gzip(Idx({2, 3}, "abcdefg")), message);
}

TEST(IdxTest, RefusesSizesThatNoTensorHas) {
  ExpectRefused(Idx({0x10001, 0x10000, 0x100}, ""),
                "byte 4: expected at most 1099511627776 elements, found "
                "[65537,65536,256]");
  ExpectRefused(Idx({0xffffffff, 0xffffffff}, "a"),
                "byte 4: expected at most 1099511627776 elements, found "
                "[4294967295,4294967295]");
  // Whatever the sizes after those that overflow.
  ExpectRefused(Idx({0xffffffff, 0xffffffff, 0}, ""),
                "byte 4: expected at most 1099511627776 elements, found "
                "[4294967295,4294967295,0]");
  // 2^64, which is 0 in 64 bits.
  ExpectRefused(Idx({0x10000, 0x10000, 0x10000, 0x10000}, ""),
                "byte 4: expected at most 1099511627776 elements, found "
                "[65536,65536,65536,65536]");
}

TEST(IdxTest, AllocatesForWhatAFileHoldsNotForWhatItClaims) {
  // 2^40 bytes, which no machine would give.
  const std::string bytes = Idx({0x100000, 0x100000}, "abc");
  const std::string message =
      "byte 12: expected 1099511627776 bytes of elements for "
      "[1048576,1048576], found 3";
  ExpectRefused(bytes, message);
  ExpectRefused(Gzip(bytes), message);
}

TEST(IdxTest, DecompressesNoFurtherThanOneByteBeyondTheClaim) {
  // Were it to go on, it would find that the stream is cut short.
  std::string bomb = Gzip(Idx({2}, std::string(10000000, 'x')));
  bomb.resize(bomb.size() / 2);
  ExpectRefused(bomb,
                "byte 10: expected the end of the data after [2], found "
                "another byte, 0x78");
}

TEST(IdxTest, RefusesCorruptGzip) {
  const std::string good = Gzip(Idx({2, 3}, "abcdef"));

  std::string bytes = good;
  bytes[2] = 7;  // Only method 8 exists.
  ExpectRefused(bytes,
                "compressed byte 4: expected a sound gzip stream, found "
                "unknown compression method");

  bytes = good;
  bytes[good.size() - 8] ^= 1;  // The checksum.
  ExpectRefused(bytes, absl::StrCat("compressed byte ", good.size() - 4,
                                    ": expected a sound gzip stream, found "
                                    "incorrect data check"));

  bytes = good;
  bytes[good.size() - 1] ^= 1;  // The length.
  ExpectRefused(bytes, absl::StrCat("compressed byte ", good.size(),
                                    ": expected a sound gzip stream, found "
                                    "incorrect length check"));
}

TEST(IdxTest, RefusesTruncatedGzip) {
  const std::string good = Gzip(Idx({2, 3}, "abcdef"));
  for (size_t left = 2; left < good.size(); ++left) {
    ExpectRefused(good.substr(0, left),
                  absl::StrCat("compressed byte ", left,
                               ": expected more of the gzip stream, found the "
                               "file's end"));
  }
}

TEST(IdxTest, RefusesWhatFollowsTheGzipStream) {
  const std::string good = Gzip(Idx({2, 3}, "abcdef"));
  const std::string message =
      absl::StrCat("compressed byte ", good.size(),
                   ": expected the file's end after the gzip stream, found ");
  ExpectRefused(good + "xy", message + "2 more bytes");
  ExpectRefused(good + good, absl::StrCat(message, good.size(), " more bytes"));
}

TEST(IdxTest, RefusesAFileCutAnywhere) {
  const std::string plain = Idx({2, 3, 4}, "abcdefghijklmnopqrstuvwx");
  for (const std::string& bytes : {plain, Gzip(plain)}) {
    ASSERT_TRUE(ParseIdx(bytes, "f").ok());
    for (size_t left = 0; left < bytes.size(); ++left) {
      // A copy of its own, so that the sanitizers see any read past its end.
      const std::vector<char> cut(bytes.begin(), bytes.begin() + left);
      EXPECT_FALSE(ParseIdx({cut.data(), cut.size()}, "f").ok()) << left;
    }
  }
}

TEST(IdxTest, RefusesAHeaderWithAnyBitFlipped) {
  const std::string good = Idx({2, 3, 4}, "abcdefghijklmnopqrstuvwx");
  for (int bit = 0; bit < 16 * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] ^= 1 << bit % 8;
    EXPECT_FALSE(ParseIdx(bytes, "f").ok()) << "bit " << bit;
  }
}

TEST(IdxTest, SurvivesEveryValueOfEveryHeaderByte) {
  const std::string good = Idx({2, 3, 4}, "abcdefghijklmnopqrstuvwx");
  for (int i = 0; i < 16; ++i) {
    for (int value = 0; value < 256; ++value) {
      std::string bytes = good;
      bytes[i] = static_cast<char>(value);
      EXPECT_EQ(ParseIdx(bytes, "f").ok(), bytes == good)
          << "byte " << i << " is " << value;
    }
  }
}

TEST(IdxTest, NeverTakesOtherValuesFromAFlippedGzip) {
  // A flip of the file's time, say, changes nothing; all others are found out.
  const std::string content = Idx({2, 3, 4}, "abcdefghijklmnopqrstuvwx");
  const std::string good = Gzip(content);
  for (int bit = 0; bit < static_cast<int>(good.size()) * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] ^= 1 << bit % 8;
    const absl::StatusOr<IdxArray> array = ParseIdx(bytes, "f");
    if (!array.ok()) continue;
    EXPECT_EQ(array->shape, Shape({2, 3, 4})) << "bit " << bit;
    EXPECT_EQ(std::string(array->values.begin(), array->values.end()),
              content.substr(16))
        << "bit " << bit;
  }
}

TEST(IdxTest, SaysThatThereIsNoFile) {
  const std::string path = TestFolder() + "/none";
  EXPECT_EQ(ReadIdx(path).status(),
            absl::NotFoundError(absl::StrCat(
                path, ": expected an IDX file, found no such file")));
}

TEST(IdxTest, SaysThatAPathIsNoFile) {
  const std::string folder = TestFolder();
  EXPECT_EQ(ReadIdx(folder).status(),
            absl::InvalidArgumentError(absl::StrCat(
                folder, ": expected an IDX file, found a folder")));
  EXPECT_EQ(ReadIdx("/dev/zero").status(),
            absl::InvalidArgumentError("/dev/zero: expected an IDX file, found "
                                       "a pipe, device or socket"));
}

TEST(IdxTest, PassesOnWhatTheSystemSays) {
  const std::string path = TestFolder() + "/loop";
  std::filesystem::create_symlink(path, path);
  const absl::Status status = ReadIdx(path).status();
  EXPECT_TRUE(absl::StrContains(status.message(),
                                "/loop: cannot take its size: Too many levels"))
      << status;
}

TEST(IdxTest, NamesThePathInErrors) {
  const std::string path = WriteText(TestFolder() + "/short", "abc");
  EXPECT_EQ(ReadIdx(path).status(),
            absl::InvalidArgumentError(absl::StrCat(
                path, ": byte 0: expected 4 bytes of IDX magic, found 3")));
}

// ---- Data sets ----

// Three images of 2 x 2 and their labels.
const char kPixels[] = "abcdefghijkl";

class DatasetTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, absl::string_view bytes) {
    return WriteText(folder_ + "/" + name, bytes);
  }
  std::string Images() { return Write("images", Idx({3, 2, 2}, kPixels)); }
  std::string Labels(absl::string_view labels) {
    return Write("labels", Idx({static_cast<uint32_t>(labels.size())}, labels));
  }
  void ExpectRefused(const std::string& images, const std::string& labels,
                     const std::string& message) {
    EXPECT_EQ(ReadIdxDataset(images, labels, 3).status(),
              absl::InvalidArgumentError(message));
  }
  // Writes a data set's four files with images of 2 x `columns`.
  void WriteSplit(const std::string& split, uint32_t images, uint32_t columns) {
    Write(split + "-images-idx3-ubyte",
          Idx({images, 2, columns}, std::string(images * 2 * columns, 'p')));
    Write(split + "-labels-idx1-ubyte",
          Idx({images}, std::string(images, '\x09')));
  }

  const std::string folder_ = TestFolder();
};

TEST_F(DatasetTest, FlattensImagesAndWidensLabels) {
  const absl::StatusOr<Dataset> dataset =
      ReadIdxDataset(Images(), Labels({"\x02\x00\x01", 3}), 3);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->size(), 3);
  EXPECT_EQ(dataset->pixels(), 4);
  EXPECT_EQ(dataset->classes, 3);
  EXPECT_EQ(dataset->images.type(), (TensorType{DType::kUint8, {3, 4}}));
  EXPECT_EQ(dataset->labels.type(), (TensorType{DType::kInt32, {3}}));
  const auto images = dataset->images.values<uint8_t>();
  EXPECT_EQ(std::string(images.begin(), images.end()), kPixels);
  EXPECT_EQ(dataset->labels.values<int32_t>(), absl::MakeConstSpan({2, 0, 1}));
}

TEST_F(DatasetTest, IsEmptyByDefault) {
  EXPECT_EQ(Dataset().size(), 0);
  EXPECT_EQ(Dataset().pixels(), 0);
}

TEST_F(DatasetTest, RefusesFilesOfAnotherRank) {
  const std::string images = Images(), labels = Labels("\x01\x01\x01");
  ExpectRefused(labels, images,
                labels +
                    ": byte 0: expected IDX magic 0x00000803 (unsigned bytes, "
                    "3 dimensions), found IDX magic 0x00000801 (unsigned "
                    "bytes, 1 dimension)");
  ExpectRefused(images, images,
                images +
                    ": byte 0: expected IDX magic 0x00000801 (unsigned bytes, "
                    "1 dimension), found IDX magic 0x00000803 (unsigned "
                    "bytes, 3 dimensions)");
}

TEST_F(DatasetTest, RefusesALabelOutOfRange) {
  const std::string labels = Labels({"\x00\x02\x03", 3});
  ExpectRefused(Images(), labels,
                labels + ": byte 10: expected a label in 0 to 2, found 3");
}

TEST_F(DatasetTest, RefusesCountsThatDiffer) {
  const std::string images = Images(), labels = Labels("\x01\x01");
  ExpectRefused(images, labels,
                absl::StrCat(labels,
                             ": byte 4: expected 3 labels, one for each image "
                             "in ",
                             images, ", found 2"));
}

TEST_F(DatasetTest, RefusesNoImagesAndNoPixels) {
  const std::string labels = Labels("");
  const std::string none = Write("none", Idx({0, 28, 28}, ""));
  ExpectRefused(none, labels,
                none +
                    ": byte 4: expected at least 1 image of at least 1 pixel, "
                    "found [0,28,28]");
  const std::string blank = Write("blank", Idx({3, 28, 0}, ""));
  ExpectRefused(blank, labels,
                blank +
                    ": byte 4: expected at least 1 image of at least 1 pixel, "
                    "found [3,28,0]");
}

TEST_F(DatasetTest, PassesOnErrorsOfEitherFile) {
  EXPECT_EQ(
      ReadIdxDataset(folder_ + "/none", Labels("\x01"), 3).status().code(),
      absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadIdxDataset(Images(), folder_ + "/none", 3).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(DatasetTest, PrefersPlainFilesInAFolder) {
  WriteSplit("train", 5, 2);
  WriteSplit("t10k", 2, 2);
  Write("train-images-idx3-ubyte.gz", "not read");
  std::filesystem::remove(folder_ + "/t10k-labels-idx1-ubyte");
  Write("t10k-labels-idx1-ubyte.gz", Gzip(Idx({2}, "\x03\x04")));
  const absl::StatusOr<DataSplits> splits = ReadMnistFolder(folder_);
  ASSERT_TRUE(splits.ok()) << splits.status();
  EXPECT_EQ(splits->train.size(), 5);
  EXPECT_EQ(splits->train.classes, 10);
  EXPECT_EQ(splits->test.labels.values<int32_t>(), absl::MakeConstSpan({3, 4}));
}

TEST_F(DatasetTest, SaysWhichFileIsMissingAndWhoInstallsIt) {
  EXPECT_EQ(ReadMnistFolder(folder_ + "/none").status(),
            absl::NotFoundError(
                folder_ + "/none: expected the file train-images-idx3-ubyte or "
                          "train-images-idx3-ubyte.gz, found no such folder "
                          "(third_party/install.sh installs the data sets)"));
  EXPECT_EQ(
      ReadMnistFolder(Images()).status(),
      absl::NotFoundError(
          folder_ + "/images: expected the file train-images-idx3-ubyte or "
                    "train-images-idx3-ubyte.gz, found no folder but a file "
                    "(third_party/install.sh installs the data sets)"));
  WriteSplit("train", 5, 2);
  EXPECT_EQ(
      ReadMnistFolder(folder_).status(),
      absl::NotFoundError(
          folder_ + ": expected the file t10k-images-idx3-ubyte or "
                    "t10k-images-idx3-ubyte.gz, found neither in that folder "
                    "(third_party/install.sh installs the data sets)"));
}

TEST_F(DatasetTest, RefusesSplitsOfDifferentSizes) {
  WriteSplit("train", 5, 2);
  WriteSplit("t10k", 2, 3);
  EXPECT_EQ(ReadMnistFolder(folder_).status(),
            absl::InvalidArgumentError(
                folder_ +
                ": expected train and test images of one size, found 4 and 6 "
                "pixels an image"));
}

// ---- The real thing, as third_party/install.sh installs it ----

// CRC-32 of all elements. What is expected of it below was computed by Python's
// gzip and zlib modules.
uint32_t Checksum(const Tensor& images) {
  const auto values = images.values<uint8_t>();
  return crc32(0, values.data(), values.size());
}

std::array<int, 10> ClassCounts(const Dataset& dataset) {
  std::array<int, 10> counts{};
  for (int32_t label : dataset.labels.values<int32_t>()) ++counts[label];
  return counts;
}

TEST(FashionMnistTest, IsReadToTheLastByte) {
  const absl::StatusOr<DataSplits> splits =
      ReadMnistFolder("/usr/share/datasets/fashion-mnist");
  ASSERT_TRUE(splits.ok()) << splits.status();
  const Dataset& train = splits->train;
  const Dataset& test = splits->test;
  EXPECT_EQ(train.images.shape(), Shape({60000, 784}));
  EXPECT_EQ(test.images.shape(), Shape({10000, 784}));
  EXPECT_EQ(Checksum(train.images), 0xae65dccd);
  EXPECT_EQ(Checksum(test.images), 0x12728439);
  std::array<int, 10> counts;
  counts.fill(6000);
  EXPECT_EQ(ClassCounts(train), counts);
  counts.fill(1000);
  EXPECT_EQ(ClassCounts(test), counts);
  // Ankle boot, then T-shirts; ankle boot, then a pullover.
  EXPECT_EQ(train.labels.values<int32_t>().subspan(0, 4),
            absl::MakeConstSpan({9, 0, 0, 3}));
  EXPECT_EQ(test.labels.values<int32_t>().subspan(0, 4),
            absl::MakeConstSpan({9, 2, 1, 1}));
}

}  // namespace
}  // namespace tape
