// PNG and JPEG images as bytes of pixels, by libpng and libjpeg-turbo. (Grey PNG
// alone, both ways: grey_png.h.) Tested by tests/data/image_tree_test.cc.
#ifndef TAPE_FRAMEWORK_IO_DECODE_IMAGE_H_
#define TAPE_FRAMEWORK_IO_DECODE_IMAGE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace tape {

struct ImageInfo {
  int64_t rows = 0;
  int64_t columns = 0;
  int channels = 1;  // 1 of a grey image, 3 of a colour image.
};

// Whether `bytes` begin as a PNG or JPEG file does.
bool IsImageFile(absl::string_view bytes);

// What the header of a PNG or JPEG file says. `path` names it in errors:
// kInvalidArgument for another format, a JPEG of four inks, a damaged header, or
// an image of more than 2^24 pixels, or of more than a file of its size can hold.
absl::StatusOr<ImageInfo> ReadImageInfo(absl::string_view bytes,
                                        absl::string_view path);

// Decodes the file to rows * columns * channels bytes, 0 to 255 in sRGB, row by
// row, the channels of a pixel (red, green, blue) side by side. `channels` is 1 or
// 3: grey images become colour images of three equal channels, colour images the
// grey of their luminance. Where a PNG is transparent, white shows through.
// Errors: those of ReadImageInfo; kInvalidArgument for damaged data.
absl::Status DecodeImage(absl::string_view bytes, absl::string_view path,
                         int channels, absl::Span<uint8_t> pixels);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_IO_DECODE_IMAGE_H_
