// The reader and writer of framework/data/image_folder.h: what they read, and
// that whatever else a tree may hold is refused with a message that names the
// file. tests/models/convert_dataset_test.cc reads and writes trees of full size.
#include "framework/data/image_folder.h"

#include <zlib.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "framework/core/tensor.h"
#include "framework/data/dataset.h"
#include "gtest/gtest.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using Greys = std::vector<uint8_t>;
using Labels = std::vector<int32_t>;

constexpr int kClasses = 2;

// ---- PNG files, made without libpng ----

// PNG's codes.
enum ColorType { kGrey = 0, kRgb = 2, kPalette = 3, kGreyAlpha = 4, kRgba = 6 };

struct Png {
  uint32_t columns = 2;
  uint32_t rows = 2;
  int depth = 8;
  ColorType color_type = kGrey;
  int interlace = 0;
  std::string before_data = "";  // Chunks.
  // Rows of a byte 0 (no filter) and the pixels.
  std::string data = std::string("\0ab\0cd", 6);
};

std::string BigEndian(uint32_t number) {
  std::string bytes;
  for (int shift : {24, 16, 8, 0}) {
    bytes.push_back(static_cast<char>(number >> shift));
  }
  return bytes;
}

std::string Chunk(const std::string& type, const std::string& content) {
  const std::string checked = type + content;
  const uLong checksum =
      crc32(0, reinterpret_cast<const Bytef*>(checked.data()), checked.size());
  return BigEndian(content.size()) + checked + BigEndian(checksum);
}

std::string Encode(const Png& png) {
  std::string data(compressBound(png.data.size()), '\0');
  uLongf size = data.size();
  EXPECT_EQ(compress(reinterpret_cast<Bytef*>(data.data()), &size,
                     reinterpret_cast<const Bytef*>(png.data.data()),
                     png.data.size()),
            Z_OK);
  data.resize(size);
  const std::string form = {static_cast<char>(png.depth),
                            static_cast<char>(png.color_type), 0, 0,
                            static_cast<char>(png.interlace)};
  return "\x89PNG\r\n\x1a\n" +
         Chunk("IHDR", BigEndian(png.columns) + BigEndian(png.rows) + form) +
         png.before_data + Chunk("IDAT", data) + Chunk("IEND", "");
}

class ImageFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }

  std::string Path(const std::string& name) const {
    return folder_ + "/" + name;
  }

  // Writes a file, and the folders it is in.
  void Write(const std::string& name, const std::string& bytes) const {
    fs::create_directories(fs::path(Path(name)).parent_path());
    std::ofstream(Path(name), std::ios::binary) << bytes;
  }
  // A tree of a good image of each class.
  void WriteTree() const {
    Write("0/a.png", Encode({}));
    Write("1/a.png", Encode({}));
  }

  void ExpectRefused(const std::string& name,
                     const std::string& message) const {
    EXPECT_EQ(ReadImageFolder(folder_, kClasses).status(),
              absl::InvalidArgumentError(Path(name) + ": " + message));
  }
  // Puts `bytes` in place of a good image.
  void ExpectImageRefused(const std::string& bytes,
                          const std::string& message) const {
    WriteTree();
    Write("1/a.png", bytes);
    ExpectRefused("1/a.png", message);
  }
  // The levels of such an image, if it is the only one of its size.
  void ExpectGreys(const Png& png, const Greys& greys) const {
    Write("0/a.png", Encode(png));
    Write("1/a.png", Encode(png));
    const absl::StatusOr<Dataset> dataset = ReadImageFolder(folder_, kClasses);
    ASSERT_TRUE(dataset.ok()) << dataset.status();
    EXPECT_EQ(dataset->images.values<uint8_t>().subspan(greys.size()),
              absl::MakeConstSpan(greys));
  }

  const std::string folder_ =
      testing::TempDir() + "/" +
      testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(ImageFolderTest, ReadsInTheOrderOfFileNamesThenLabels) {
  const auto image = [](char grey) {
    return Encode({.columns = 1, .rows = 1, .data = {'\0', grey}});
  };
  Write("1/00000.png", image(1));
  Write("0/00001.png", image(2));
  Write("1/00002.png", image(3));
  Write("1/00003.png", image(5));
  Write("0/00003.png", image(4));
  const absl::StatusOr<Dataset> dataset = ReadImageFolder(folder_, kClasses);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->images.type(), (TensorType{DType::kUint8, {5, 1}}));
  EXPECT_EQ(dataset->images.values<uint8_t>(),
            absl::MakeConstSpan(Greys{1, 2, 3, 4, 5}));
  EXPECT_EQ(dataset->labels.type(), (TensorType{DType::kInt32, {5}}));
  EXPECT_EQ(dataset->labels.values<int32_t>(),
            absl::MakeConstSpan(Labels{1, 0, 1, 0, 1}));
  EXPECT_EQ(dataset->classes, kClasses);
}

TEST_F(ImageFolderTest, ReadsRowByRow) {
  ExpectGreys({.columns = 3, .rows = 2, .data = {"\0abc\0def", 8}},
              {'a', 'b', 'c', 'd', 'e', 'f'});
}

TEST_F(ImageFolderTest, ExpandsFewerBits) {
  ExpectGreys({.columns = 8, .rows = 1, .depth = 1, .data = {"\0\xa5", 2}},
              {255, 0, 255, 0, 0, 255, 0, 255});
  ExpectGreys({.columns = 4, .rows = 1, .depth = 2, .data = {"\0\x1b", 2}},
              {0, 85, 170, 255});
  ExpectGreys({.columns = 2, .rows = 1, .depth = 4, .data = {"\0\x1f", 2}},
              {17, 255});
}

TEST_F(ImageFolderTest, ReadsInterlacedImages) {
  // Of Adam7's passes, a 2 x 2 image has the first, the sixth and the seventh:
  // its first pixel, the one beside it, and the second row.
  ExpectGreys({.interlace = 1, .data = {"\0a\0b\0cd", 7}},
              {'a', 'b', 'c', 'd'});
}

TEST_F(ImageFolderTest, TakesLevelsAsTheyStandWhateverTheGamma) {
  ExpectGreys({.before_data = Chunk("gAMA", BigEndian(100000))},
              {'a', 'b', 'c', 'd'});
}

TEST_F(ImageFolderTest, PassesOverHiddenFiles) {
  WriteTree();
  Write(".DS_Store", "not an image");
  Write("0/.DS_Store", "not an image");
  const absl::StatusOr<Dataset> dataset = ReadImageFolder(folder_, kClasses);
  ASSERT_TRUE(dataset.ok()) << dataset.status();
  EXPECT_EQ(dataset->size(), 2);
}

TEST_F(ImageFolderTest, RefusesWhatIsNoFolder) {
  EXPECT_EQ(ReadImageFolder(Path("none"), kClasses).status(),
            absl::NotFoundError(
                Path("none") +
                ": expected a folder of PNG images, found no such folder"));
  Write("file", "");
  EXPECT_EQ(
      ReadImageFolder(Path("file"), kClasses).status(),
      absl::InvalidArgumentError(
          Path("file") + ": expected a folder of PNG images, found a file"));
}

TEST_F(ImageFolderTest, RefusesAMissingClass) {
  Write("0/a.png", Encode({}));
  EXPECT_EQ(ReadImageFolder(folder_, kClasses).status(),
            absl::InvalidArgumentError(
                folder_ + ": expected folders 0 to 1, one for each class, "
                          "found none named 1"));
}

TEST_F(ImageFolderTest, RefusesAnEmptyClass) {
  Write("0/a.png", Encode({}));
  Write("1/.DS_Store", "");
  ExpectRefused("1",
                "expected a folder with PNG images of class 1, found a folder "
                "without files");
}

TEST_F(ImageFolderTest, RefusesAFileInAClassesPlace) {
  Write("0/a.png", Encode({}));
  Write("1", Encode({}));
  ExpectRefused("1",
                "expected a folder with PNG images of class 1, found a file");
}

TEST_F(ImageFolderTest, RefusesANameThatIsNoLabel) {
  for (const char* name : {"2", "-1", "00", "0 ", "shoe", "99999999999999"}) {
    WriteTree();
    Write(absl::StrCat(name, "/a.png"), Encode({}));
    EXPECT_EQ(
        ReadImageFolder(folder_, kClasses).status(),
        absl::InvalidArgumentError(absl::StrCat(
            folder_, ": expected folders 0 to 1, one for each class, found \"",
            name, "\"")));
    fs::remove_all(Path(name));
  }
}

TEST_F(ImageFolderTest, RefusesWhatIsNoImage) {
  ExpectImageRefused("", "expected a PNG image, found an empty file");
  ExpectImageRefused(
      "GIF89a and so on",
      "expected a PNG image, found a file that begins with \"GIF89a a\"");
  ExpectImageRefused("\xff\xd8\xff",
                     "expected a PNG image, found a file that begins with "
                     "\"\\xff\\xd8\\xff\"");
  WriteTree();
  fs::create_directories(Path("1/b.png"));
  ExpectRefused("1/b.png", "expected a PNG image, found a folder");
}

TEST_F(ImageFolderTest, PassesOnWhatTheSystemSays) {
  WriteTree();
  fs::create_symlink(Path("1/b.png"), Path("1/b.png"));
  const absl::Status status = ReadImageFolder(folder_, kClasses).status();
  EXPECT_TRUE(absl::StartsWith(status.message(), Path("1/b.png") + ": ") &&
              absl::StrContains(status.message(), "Too many levels"))
      << status;
}

TEST_F(ImageFolderTest, RefusesOtherFormsByName) {
  const auto expect = [&](const Png& png, const std::string& found) {
    ExpectImageRefused(
        Encode(png),
        "expected a greyscale image of at most 8 bits a pixel, found " + found);
  };
  expect({.depth = 16}, "16-bit greyscale");
  expect({.color_type = kRgb}, "8-bit RGB colour");
  expect({.depth = 16, .color_type = kRgb}, "16-bit RGB colour");
  expect({.depth = 4,
          .color_type = kPalette,
          .before_data = Chunk("PLTE", "abcdef")},
         "4-bit palette colour");
  expect({.color_type = kGreyAlpha}, "8-bit greyscale with alpha");
  expect({.color_type = kRgba}, "8-bit RGB colour with alpha");
  expect({.before_data = Chunk("tRNS", std::string("\0\x07", 2))},
         "8-bit greyscale with a transparent colour");
}

TEST_F(ImageFolderTest, RefusesAnotherSize) {
  ExpectImageRefused(Encode({.columns = 3, .rows = 1}),
                     "expected 2 rows of 2 pixels, as in " + Path("0/a.png") +
                         ", found 1 rows of 3 pixels");
  // As many pixels are not enough.
  ExpectImageRefused(Encode({.columns = 4, .rows = 1}),
                     "expected 2 rows of 2 pixels, as in " + Path("0/a.png") +
                         ", found 1 rows of 4 pixels");
}

TEST_F(ImageFolderTest, AllocatesNothingForAHugeHeader) {
  ExpectImageRefused(Encode({.columns = 1000000, .rows = 1000000}),
                     "expected 2 rows of 2 pixels, as in " + Path("0/a.png") +
                         ", found 1000000 rows of 1000000 pixels");
  // Beyond what libpng would take.
  ExpectImageRefused(
      Encode({.columns = 0x7fffffff, .rows = 0x7fffffff}),
      "byte 33: expected a sound PNG image, found Invalid IHDR data");
  WriteTree();
  Write("0/a.png", Encode({.columns = 4097, .rows = 4096}));
  ExpectRefused("0/a.png",
                "expected at most 16777216 pixels, found 4096 rows of 4097 "
                "pixels");
}

TEST_F(ImageFolderTest, RefusesMorePixelsThanTheFileCanHold) {
  // The most that deflate can do: black pixels of one bit.
  Png png = {.columns = 2048, .rows = 2048, .depth = 1};
  png.data = std::string(png.rows * (1 + png.columns / 8), '\0');
  WriteTree();
  Write("0/a.png", Encode(png));
  Write("1/a.png", Encode(png));
  EXPECT_TRUE(ReadImageFolder(folder_, kClasses).ok());

  png.data.resize(1);
  const std::string bytes = Encode(png);
  Write("0/a.png", bytes);
  ExpectRefused("0/a.png",
                absl::StrCat("expected at most ", 8 * 1032 * bytes.size(),
                             " pixels in a file of ", bytes.size(),
                             " bytes, found 2048 rows of 2048 "
                             "pixels"));
}

TEST_F(ImageFolderTest, PassesOnWhatLibpngSays) {
  std::string bytes = Encode({});
  bytes[bytes.size() - 14] ^= 1;  // Of the data's checksum.
  ExpectImageRefused(bytes, absl::StrCat("byte ", bytes.size() - 12,
                                         ": expected a sound PNG image, found "
                                         "IDAT: CRC error"));
  ExpectImageRefused(Encode({.columns = 0}),
                     "byte 33: expected a sound PNG image, found Invalid IHDR "
                     "data");
  ExpectImageRefused(Encode({.data = {"\0ab", 3}}),
                     "byte 64: expected a sound PNG image, found Not enough "
                     "image data");
}

TEST_F(ImageFolderTest, RefusesAnImageCutAnywhere) {
  const std::string good = Encode({});
  WriteTree();
  for (size_t left = 1; left < good.size(); ++left) {
    Write("1/a.png", good.substr(0, left));
    const absl::Status status = ReadImageFolder(folder_, kClasses).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << left;
    EXPECT_TRUE(absl::EndsWith(status.message(),
                               "expected a sound PNG image, found the file "
                               "ends within the image"))
        << status;
  }
}

TEST_F(ImageFolderTest, NeverTakesOtherLevelsFromAFlippedImage) {
  // A flip of what is not essential, a time for one, may change nothing; every
  // other is found out.
  const std::string good =
      Encode({.before_data = Chunk("tIME", std::string("\x07\xe8\1\1\1\1\1"))});
  WriteTree();
  int accepted = 0;
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bytes = good;
    bytes[bit / 8] ^= 1 << bit % 8;
    Write("1/a.png", bytes);
    const absl::StatusOr<Dataset> dataset = ReadImageFolder(folder_, kClasses);
    if (!dataset.ok()) {
      EXPECT_TRUE(absl::StartsWith(dataset.status().message(), Path("1/a.png")))
          << dataset.status();
      continue;
    }
    ++accepted;
    EXPECT_EQ(
        dataset->images.values<uint8_t>(),
        absl::MakeConstSpan(Greys{'a', 'b', 'c', 'd', 'a', 'b', 'c', 'd'}))
        << "bit " << bit;
  }
  EXPECT_GT(accepted, 0);
  EXPECT_LT(accepted, 20 * 8);  // The time's chunk has 19 bytes.
}

// ---- Writing ----

TEST_F(ImageFolderTest, WritesWhatItReads) {
  Greys greys;
  for (int i = 0; i < 6 * 9; ++i) greys.push_back(static_cast<uint8_t>(i * 37));
  const Dataset dataset = {.images = Tensor({6, 9}, greys),
                           .labels = Tensor({6}, Labels{1, 0, 0, 1, 1, 0}),
                           .classes = kClasses};
  ASSERT_TRUE(WriteImageFolder(dataset, Path("tree")).ok());
  EXPECT_TRUE(fs::exists(Path("tree/1/00000.png")));
  EXPECT_TRUE(fs::exists(Path("tree/0/00005.png")));
  const absl::StatusOr<Dataset> read = ReadImageFolder(Path("tree"), kClasses);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->images.shape(), dataset.images.shape());
  EXPECT_EQ(read->images.values<uint8_t>(), dataset.images.values<uint8_t>());
  EXPECT_EQ(read->labels.values<int32_t>(), dataset.labels.values<int32_t>());

  EXPECT_EQ(WriteImageFolder(dataset, Path("tree")),
            absl::AlreadyExistsError(Path("tree") +
                                     ": cannot make the folder: File exists"));
}

TEST_F(ImageFolderTest, WritesNothingThatItWouldNotRead) {
  const Dataset oblong = {.images = Tensor({2, 3}, Greys(6)),
                          .labels = Tensor({2}, Labels{0, 1}),
                          .classes = kClasses};
  EXPECT_EQ(WriteImageFolder(oblong, Path("tree")),
            absl::InvalidArgumentError(
                "the data set: expected square images, 28 x 28 for one, found "
                "3 pixels an image"));
  const Dataset classless = {.images = Tensor({2, 4}, Greys(8)),
                             .labels = Tensor({2}, Labels{0, 0}),
                             .classes = kClasses};
  EXPECT_EQ(WriteImageFolder(classless, Path("tree")),
            absl::InvalidArgumentError(
                Path("tree") +
                ": expected images of every class to write, found none of "
                "class 1"));
  EXPECT_FALSE(fs::exists(Path("tree")));
}

}  // namespace
}  // namespace tape
