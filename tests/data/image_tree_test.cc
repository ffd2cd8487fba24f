// Images by class (framework/data/image_tree.h), PNG and JPEG, grey and colour
// (framework/io/decode_image.h).
#include "framework/data/image_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <turbojpeg.h>

#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "framework/io/decode_image.h"
#include "framework/io/grey_png.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kRows = 4, kColumns = 6;

// One colour all over.
std::vector<uint8_t> Plain(uint8_t red, uint8_t green, uint8_t blue) {
  std::vector<uint8_t> pixels;
  for (int i = 0; i < kRows * kColumns; ++i) {
    pixels.insert(pixels.end(), {red, green, blue});
  }
  return pixels;
}

std::string Png(const std::vector<uint8_t>& pixels) {
  return EncodeRgbPng({kRows, kColumns}, pixels.data());
}

std::string GreyPng(uint8_t level) {
  const std::vector<uint8_t> pixels(kRows * kColumns, level);
  return EncodePng({kRows, kColumns}, pixels.data());
}

std::string Jpeg(const std::vector<uint8_t>& pixels, bool grey = false) {
  const tjhandle handle = tjInitCompress();
  unsigned char* bytes = nullptr;
  unsigned long size = 0;  // NOLINT: libjpeg-turbo's type.
  EXPECT_EQ(tjCompress2(handle, pixels.data(), kColumns, 0, kRows, TJPF_RGB,
                        &bytes, &size, grey ? TJSAMP_GRAY : TJSAMP_444,
                        /*quality=*/100, TJFLAG_ACCURATEDCT),
            0);
  std::string jpeg(reinterpret_cast<const char*>(bytes), size);
  tjFree(bytes);
  tjDestroy(handle);
  return jpeg;
}

class ImageTreeTest : public testing::Test {
 protected:
  ImageTreeTest()
      : folder_(testing::TempDir() + "/" +
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(folder_);
  }
  std::string Add(const std::string& name, const std::string& bytes) const {
    const std::string path = folder_ + "/" + name;
    fs::create_directories(fs::path(path).parent_path());
    return WriteText(path, bytes);
  }
  std::string Refusal(const ImageTreeOptions& options = {}) const {
    const absl::StatusOr<ImageTree> tree = ReadImageTree(folder_, options);
    EXPECT_FALSE(tree.ok());
    return std::string(tree.status().message());
  }

  const std::string folder_;
};

TEST_F(ImageTreeTest, HasPngAndJpegByClass) {
  Add("tulip/b.png", Png(Plain(10, 200, 30)));
  Add("tulip/a.jpg", Jpeg(Plain(255, 0, 0)));
  Add("rose/x.jpeg", GreyPng(77));  // Known by how it begins.
  Add("rose/Thumbs.db", "x");
  Add(".DS_Store", "x");
  const absl::StatusOr<ImageTree> tree = ReadImageTree(folder_);
  ASSERT_TRUE(tree.ok()) << tree.status();
  EXPECT_THAT(tree->classes, ElementsAre("rose", "tulip"));
  EXPECT_THAT(tree->labels.values<int32_t>(), ElementsAre(0, 1, 1));
  EXPECT_THAT(tree->images.names,
              ElementsAre("rose/x.jpeg", "tulip/a.jpg", "tulip/b.png"));
  EXPECT_THAT(tree->images.notes,
              ElementsAre("passed over 2 files, hidden or of a file manager"));
  EXPECT_EQ(tree->images.rows, kRows);
  EXPECT_EQ(tree->images.columns, kColumns);
  EXPECT_EQ(tree->images.channels, 3);
  const auto pixels = tree->images.pixels.values<uint8_t>();
  ASSERT_EQ(pixels.size(), 3u * kRows * kColumns * 3);
  const auto pixel = [&](int image) {
    return pixels.subspan(image * kRows * kColumns * 3 + 3 * 7, 3);
  };
  EXPECT_THAT(pixel(0), ElementsAre(77, 77, 77));
  EXPECT_NEAR(pixel(1)[0], 255, 2);
  EXPECT_NEAR(pixel(1)[1], 0, 2);
  EXPECT_NEAR(pixel(1)[2], 0, 2);
  EXPECT_THAT(pixel(2), ElementsAre(10, 200, 30));

  const absl::StatusOr<ImageTree> grey =
      ReadImageTree(folder_, {.channels = 1});
  ASSERT_TRUE(grey.ok()) << grey.status();
  EXPECT_EQ(grey->images.pixels.shape(), Shape({3, kRows * kColumns}));
  EXPECT_EQ(grey->images.pixels.values<uint8_t>()[0], 77);
}

TEST_F(ImageTreeTest, OfGreyImagesAloneIsGrey) {
  Add("10/a.png", GreyPng(1));
  Add("9/a.jpg", Jpeg(Plain(200, 200, 200), /*grey=*/true));
  const absl::StatusOr<ImageTree> tree = ReadImageTree(folder_);
  ASSERT_TRUE(tree.ok()) << tree.status();
  EXPECT_THAT(tree->classes, ElementsAre("9", "10"));
  EXPECT_EQ(tree->images.channels, 1);
  EXPECT_EQ(tree->images.pixels.values<uint8_t>()[0], 200);
  EXPECT_EQ(tree->images.pixels.values<uint8_t>()[kRows * kColumns], 1);
}

TEST_F(ImageTreeTest, FilesAreReadWithoutClassesToo) {
  const std::string path = Add("a/one.png", GreyPng(5));
  Add("two.jpg", Jpeg(Plain(9, 9, 9), /*grey=*/true));
  const absl::StatusOr<ColorImages> all = ReadColorImages(folder_);
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_THAT(all->names, ElementsAre("a/one.png", "two.jpg"));
  const absl::StatusOr<ColorImages> one =
      ReadColorImages(path, {.channels = 3});
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_THAT(one->names, ElementsAre("one.png"));
  EXPECT_EQ(one->pixels.shape(), Shape({1, kRows * kColumns * 3}));
}

TEST_F(ImageTreeTest, RefusesWhatIsNoTree) {
  EXPECT_THAT(Refusal(), HasSubstr(folder_));
  Add("rose/a.png", GreyPng(1));
  EXPECT_THAT(Refusal(), HasSubstr("expected folders of at least two classes, "
                                   "found 1"));
  fs::create_directories(folder_ + "/tulip");
  EXPECT_THAT(Refusal(), HasSubstr("tulip: expected images of a class, found a "
                                   "folder without files"));
  Add("tulip/a.png", GreyPng(2));
  EXPECT_THAT(Refusal({.channels = 2}), HasSubstr("expected 0, 1 or 3"));
  const std::string readme = Add("readme.txt", "hello");
  EXPECT_THAT(Refusal(), HasSubstr("expected a folder for each class, found "
                                   "the file \"readme.txt\""));
  fs::remove(readme);
  const std::string text = Add("tulip/b.png", "hello");
  EXPECT_THAT(Refusal(),
              HasSubstr(absl::StrCat(text,
                                     ": expected a PNG or JPEG image, "
                                     "found \"hello\"")));
  const std::vector<uint8_t> wide(4 * 7);
  Add("tulip/b.png", EncodePng({4, 7}, wide.data()));
  EXPECT_THAT(Refusal(), HasSubstr("expected 4 rows of 6 pixels, as in "));
  const std::string png = Png(Plain(1, 2, 3)), jpeg = Jpeg(Plain(1, 2, 3));
  for (const std::string& whole : {png, jpeg}) {
    for (const size_t size : {whole.size() / 2, whole.size() - 20}) {
      Add("tulip/b.png", whole.substr(0, size));
      EXPECT_THAT(Refusal(), HasSubstr(text)) << size;
    }
  }
}

TEST(DecodeImageTest, SixteenBitsAreThoseOfEight) {
  // 1 row of 2 grey pixels of 16 bits: 100 and 200 times 257.
  constexpr uint8_t kPng[] = {
      0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d,
      0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x01,
      0x10, 0x00, 0x00, 0x00, 0x00, 0x81, 0xd9, 0xfc, 0x15, 0x00, 0x00, 0x00,
      0x0d, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0x48, 0x49, 0x39, 0x71,
      0x02, 0x00, 0x05, 0x19, 0x02, 0x59, 0x64, 0x42, 0xfd, 0x62, 0x00, 0x00,
      0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
  const std::string png(reinterpret_cast<const char*>(kPng), sizeof(kPng));
  std::vector<uint8_t> pixels(2);
  const absl::Status status =
      DecodeImage(png, "a.png", 1, absl::MakeSpan(pixels));
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_THAT(pixels, ElementsAre(100, 200));
}

TEST(DecodeImageTest, WhatIsTransparentIsWhite) {
  // 1 row of 2 pixels of grey and alpha: black, transparent and opaque.
  constexpr uint8_t kPng[] = {
      0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d,
      0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0x00, 0x02, 0x00, 0x00, 0x00, 0x01,
      0x08, 0x04, 0x00, 0x00, 0x00, 0x5e, 0x2b, 0xb7, 0x01, 0x00, 0x00, 0x00,
      0x0d, 0x49, 0x44, 0x41, 0x54, 0x78, 0x9c, 0x63, 0x60, 0x60, 0x60, 0xf8,
      0x0f, 0x00, 0x01, 0x04, 0x01, 0x00, 0x5f, 0xe5, 0xc3, 0x4b, 0x00, 0x00,
      0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};
  const std::string png(reinterpret_cast<const char*>(kPng), sizeof(kPng));
  const absl::StatusOr<ImageInfo> info = ReadImageInfo(png, "a.png");
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_EQ(info->columns, 2);
  EXPECT_EQ(info->channels, 1);
  std::vector<uint8_t> pixels(2);
  ASSERT_TRUE(DecodeImage(png, "a.png", 1, absl::MakeSpan(pixels)).ok());
  EXPECT_THAT(pixels, ElementsAre(255, 0));
}

}  // namespace
}  // namespace tape
