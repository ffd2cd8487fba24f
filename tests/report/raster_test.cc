// From SVG to PNG (framework/report/raster.h), the PNG read by libpng.
#include "framework/report/raster.h"

#include <png.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

using ::testing::HasSubstr;

using Color = std::array<int, 3>;  // Red, green, blue.
constexpr Color kWhite = {255, 255, 255};
constexpr Color kRed = {255, 0, 0};
constexpr Color kBlue = {0, 0, 255};

struct Picture {
  int width = 0, height = 0;
  std::vector<png_byte> bytes;

  Color At(int x, int y) const {
    const png_byte* pixel = &bytes[3 * (y * width + x)];
    return {pixel[0], pixel[1], pixel[2]};
  }
};

Picture Read(const absl::StatusOr<std::string>& png) {
  EXPECT_TRUE(png.ok()) << png.status();
  if (!png.ok()) return {};
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  EXPECT_TRUE(
      png_image_begin_read_from_memory(&image, png->data(), png->size()));
  image.format = PNG_FORMAT_RGB;
  Picture picture{.width = static_cast<int>(image.width),
                  .height = static_cast<int>(image.height),
                  .bytes = std::vector<png_byte>(PNG_IMAGE_SIZE(image))};
  EXPECT_TRUE(
      png_image_finish_read(&image, nullptr, picture.bytes.data(), 0, nullptr))
      << image.message;
  return picture;
}

std::string Svg(absl::string_view size, absl::string_view content) {
  return absl::StrCat("<svg xmlns='http://www.w3.org/2000/svg' ", size, ">",
                      content, "</svg>");
}

std::string Svg(absl::string_view content) {
  return Svg("width='10' height='10'", content);
}

TEST(RasterTest, IsAsWideAsAskedForAndInProportion) {
  const auto picture = [](absl::string_view size, int width) {
    return Read(RasterizeSvg(
        Svg(size, "<rect width='100%' height='100%' fill='#f00'/>"), width));
  };
  for (const char* size : {"width='30' height='20'",
                           "width='30' height='20' viewBox='5 5 300 200'",
                           "viewBox='0 0 300 200'"}) {
    const Picture wide = picture(size, 600);
    EXPECT_EQ(wide.width, 600) << size;
    EXPECT_EQ(wide.height, 400) << size;
    EXPECT_EQ(picture(size, 15).height, 10) << size;
  }
  const Picture large = picture("width='30' height='20'", 600);
  EXPECT_EQ(large.At(0, 0), kRed);
  EXPECT_EQ(large.At(599, 399), kRed);
}

TEST(RasterTest, StandsOnWhite) {
  const Picture picture = Read(RasterizeSvg(
      Svg("<rect width='5' height='10' fill='#00f' fill-opacity='.5'/>"), 10));
  EXPECT_EQ(picture.At(2, 5), (Color{127, 127, 255}));
  EXPECT_EQ(picture.At(7, 5), kWhite);
}

TEST(RasterTest, HasTheLightColoursOfAStyleSheetThatHasDarkOnesToo) {
  const Picture picture = Read(
      RasterizeSvg(Svg("<style>.a{fill:#00f}"
                       "@media (prefers-color-scheme:dark){.a,.b{fill:#0f0}}"
                       "svg .b{fill:#f00}</style>"
                       "<rect class='a' width='5' height='10'/>"
                       "<rect class='b' x='5' width='5' height='10'/>"),
                   10));
  EXPECT_EQ(picture.At(2, 5), kBlue);
  EXPECT_EQ(picture.At(7, 5), kRed);
}

TEST(RasterTest, DrawsText) {
  const Picture picture = Read(RasterizeSvg(
      Svg("width='100' height='20'",
          "<text y='16' font-family='sans-serif' font-size='16'>Tape</text>"),
      100));
  int dark = 0;
  for (int x = 0; x < 100; ++x) {
    for (int y = 0; y < 20; ++y) dark += picture.At(x, y)[0] < 100;
  }
  EXPECT_GT(dark, 50);
  EXPECT_LT(dark, 500);
}

TEST(RasterTest, KeepsThePixelsOfSmallImagesSharp) {
  // Two pixels, a black one and a white one.
  const Picture picture = Read(RasterizeSvg(
      Svg("<image width='10' height='10' preserveAspectRatio='none' "
          "href='data:image/png;base64,"
          "iVBORw0KGgoAAAANSUhEUgAAAAIAAAABCAAAAADRSSBWAAAAC0lEQVR4nGNg+A8A"
          "AQIBAEK+vGgAAAAASUVORK5CYII='/>"),
      100));
  EXPECT_EQ(picture.At(40, 50), (Color{0, 0, 0}));
  EXPECT_EQ(picture.At(60, 50), kWhite);
}

// Be they no images at all.
TEST(RasterTest, LeavesOutImagesThatDoNotDecode) {
  for (const char* data : {"AAAA", "no base64!", "iVBORw0KGgo="}) {
    const Picture picture =
        Read(RasterizeSvg(Svg(absl::StrCat("<image width='10' height='10' "
                                           "href='data:image/png;base64,",
                                           data, "'/>")),
                          10));
    EXPECT_EQ(picture.At(5, 5), kWhite);
  }
}

TEST(RasterTest, LeavesOutWhatIsOutsideOfTheSvg) {
  const std::string file =
      WriteText(testing::TempDir() + "/red.svg",
                Svg("<rect width='10' height='10' fill='#f00'/>"));
  const Picture picture = Read(RasterizeSvg(
      Svg(absl::StrCat("<image width='10' height='10' href='file://", file,
                       "'/><image width='10' height='10' href='", file, "'/>")),
      10));
  EXPECT_EQ(picture.At(5, 5), kWhite);
}

TEST(RasterTest, GivesTheSameBytesForTheSameSvg) {
  const std::string svg = Svg("<circle r='7' fill='#f00'/>");
  EXPECT_EQ(*RasterizeSvg(svg, 100), *RasterizeSvg(svg, 100));
}

TEST(RasterTest, RefusesWhatIsNoSvg) {
  for (const std::string& text :
       {std::string(), std::string("no svg"), Svg("<g>"),
        std::string("<html/>"), Svg("").substr(0, 30)}) {
    const absl::StatusOr<std::string> png = RasterizeSvg(text, 10);
    ASSERT_FALSE(png.ok()) << text;
    EXPECT_EQ(png.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(png.status().message(), HasSubstr("SVG: ")) << text;
  }
}

TEST(RasterTest, RefusesAnSvgWithoutASize) {
  for (const char* size : {"", "width='10'", "width='0' height='10'",
                           "width='-1' height='10'", "viewBox='0 0 0 10'"}) {
    const absl::StatusOr<std::string> png = RasterizeSvg(Svg(size, ""), 10);
    ASSERT_FALSE(png.ok()) << size;
    EXPECT_THAT(png.status().message(), HasSubstr("SVG: ")) << size;
  }
}

TEST(RasterTest, RefusesAPictureOfNoPixelsOrTooMany) {
  const std::string high = Svg("width='1' height='1000'", "");
  const std::string wide = Svg("width='1000' height='1'", "");
  for (const auto& [svg, width] :
       {std::pair(high, 0), std::pair(high, -5), std::pair(high, 33),
        std::pair(wide, 32768), std::pair(wide, 400)}) {
    const absl::StatusOr<std::string> png = RasterizeSvg(svg, width);
    ASSERT_FALSE(png.ok()) << width;
    EXPECT_THAT(png.status().message(),
                HasSubstr(absl::StrCat("PNG: expected sides of 1 to 32767 "
                                       "pixels, found ",
                                       width, " by ")));
  }
  EXPECT_TRUE(RasterizeSvg(wide, 500).ok());
}

}  // namespace
}  // namespace tape
