// One greyscale PNG image, from bytes to grey levels and back, by libpng. What
// is not accepted is refused by name: colour, alpha, a transparent grey level,
// 16 bits. (Written, for reports, are images in colour too.) Not for users of
// data sets. Tested by tests/data/image_folder_test.cc and tests/report/report_test.cc.
#ifndef TAPE_FRAMEWORK_IO_GREY_PNG_H_
#define TAPE_FRAMEWORK_IO_GREY_PNG_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

struct png_struct_def;  // libpng's.
struct png_info_def;

namespace tape {

struct ImageSize {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t pixels() const { return rows * columns; }
  friend bool operator==(const ImageSize&, const ImageSize&) = default;
};

// Decodes one file: first ReadSize, then, if the caller likes the size,
// ReadPixels. Errors are kInvalidArgument, and name the path.
class PngDecoder {
 public:
  // `bytes` and `path` must outlive this object.
  PngDecoder(absl::string_view bytes, absl::string_view path);
  ~PngDecoder();
  PngDecoder(const PngDecoder&) = delete;
  PngDecoder& operator=(const PngDecoder&) = delete;

  // Reads what precedes the pixels. Memory stays within a few MB whatever the
  // file claims or holds. Refuses what does not begin as a PNG file does, and
  // all but greyscale of 1, 2, 4 or 8 bits.
  absl::StatusOr<ImageSize> ReadSize();

  // Reads the pixels to `to`, size.pixels() of them in row-major order, and the
  // rest of the file. Levels of fewer than 8 bits are expanded: black becomes
  // 0, white 255. After an error `to` may hold part of the image.
  absl::Status ReadPixels(uint8_t* to);

 private:
  // What libpng calls: for more bytes, and when it gives up.
  static void Read(png_struct_def* png, unsigned char* to, size_t count);
  static void Refuse(png_struct_def* png, const char* message);

  // Each is one call of libpng's that may end in Refuse: then it is false.
  bool TryReadSize();
  bool TryReadPixels(uint8_t* to);

  absl::Status Refused() const;

  const absl::string_view path_;
  const absl::string_view bytes_;
  size_t consumed_ = 0;
  ImageSize size_;
  std::array<char, 128> message_{};  // libpng's last.
  png_struct_def* png_ = nullptr;
  png_info_def* info_ = nullptr;
};

// The bytes of an 8-bit greyscale PNG file with these size.pixels() levels,
// row-major. Empty unless there are 1 to 1,000,000 rows and as many columns.
std::string EncodePng(ImageSize size, const uint8_t* pixels);

struct Rgb {
  uint8_t red = 0, green = 0, blue = 0;
};

// The same of size.pixels() colours: red, green and blue side by side.
std::string EncodeRgbPng(ImageSize size, const uint8_t* pixels);

// The bytes of a PNG file in colour, whose pixel i is palette[pixels[i]]. Empty
// unless the size is as above, the palette has 1 to 256 colours, and each pixel
// one of them.
std::string EncodePalettePng(ImageSize size, const uint8_t* pixels,
                             absl::Span<const Rgb> palette);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_IO_GREY_PNG_H_
