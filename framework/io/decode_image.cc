// PNG and JPEG images (decode_image.h). Tested by tests/data/image_tree_test.cc.
#include "framework/io/decode_image.h"

#include <png.h>
#include <turbojpeg.h>

#include <cstddef>
#include <string>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/core/check.h"
#include "framework/core/text.h"
#include "framework/io/files.h"

namespace tape {
namespace {

constexpr absl::string_view kPngBegin = "\x89PNG\r\n\x1a\n";
constexpr absl::string_view kJpegBegin = "\xff\xd8\xff";
constexpr int64_t kMaxPixels = int64_t{1} << 24;
// That a byte of a file can hold. PNG: one bit each, of the 1032 bytes that
// deflate makes of one byte at most. JPEG: blocks of 64 pixels and more of a
// bit each, subsampled 4 to 1.
constexpr int64_t kMaxPixelsOfByte = 8 * 1032;

absl::Status CheckSize(const ImageInfo& info, absl::string_view bytes,
                       absl::string_view path) {
  const std::string found =
      absl::StrCat(info.rows, " rows of ", info.columns, " pixels");
  if (info.rows < 1 || info.columns < 1 ||
      info.rows > kMaxPixels / info.columns) {
    return WrongData(path, absl::StrCat("1 to ", kMaxPixels, " pixels"), found);
  }
  const auto most = static_cast<int64_t>(bytes.size()) * kMaxPixelsOfByte;
  if (info.rows * info.columns <= most) return absl::OkStatus();
  return WrongData(
      path,
      absl::StrCat("an image that a file of ", bytes.size(), " bytes can hold"),
      found);
}

// ---- PNG ----

// Calls use(image), for which 16 bits are as 8 bits are, not linear light.
template <typename Use>
bool Use16Bits(png_image& image, const Use& use) {
  image.flags |= PNG_IMAGE_FLAG_16BIT_sRGB;
  return use(image);
}

// Calls use(image), whose header has been read, and frees it.
template <typename Use>
absl::Status WithPng(absl::string_view bytes, absl::string_view path,
                     const Use& use) {
  png_image image = {};
  image.version = PNG_IMAGE_VERSION;
  const absl::Cleanup free = [&] { png_image_free(&image); };
  if (png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()) ==
          0 ||
      !Use16Bits(image, use)) {
    return WrongData(path, "a PNG image", Printable(image.message));
  }
  return absl::OkStatus();
}

// ---- JPEG ----

// Calls use(decompressor); what it returns is 0 of success.
template <typename Use>
absl::Status WithJpeg(absl::string_view path, const Use& use) {
  const tjhandle handle = tjInitDecompress();
  if (handle == nullptr) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": no memory for a JPEG decoder"));
  }
  const absl::Cleanup free = [&] { tjDestroy(handle); };
  if (use(handle) == 0) return absl::OkStatus();
  return WrongData(path, "a JPEG image", Printable(tjGetErrorStr2(handle)));
}

const unsigned char* JpegBytes(absl::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

// What the header says, before anything is checked.
absl::StatusOr<ImageInfo> ReadHeader(absl::string_view bytes,
                                     absl::string_view path) {
  ImageInfo info;
  absl::Status status;
  if (absl::StartsWith(bytes, kPngBegin)) {
    status = WithPng(bytes, path, [&](const png_image& image) {
      const bool has_colors = (image.format & PNG_FORMAT_FLAG_COLOR) != 0;
      info = {image.height, image.width, has_colors ? 3 : 1};
      return true;
    });
  } else if (absl::StartsWith(bytes, kJpegBegin)) {
    int columns = 0, rows = 0, subsampling = 0, colors = TJCS_RGB;
    status = WithJpeg(path, [&](tjhandle handle) {
      return tjDecompressHeader3(handle, JpegBytes(bytes), bytes.size(),
                                 &columns, &rows, &subsampling, &colors);
    });
    if (colors == TJCS_CMYK || colors == TJCS_YCCK) {
      return WrongData(path, "an image in grey or colour", "one of four inks");
    }
    info = {rows, columns, colors == TJCS_GRAY ? 1 : 3};
  } else {
    status =
        WrongData(path, "a PNG or JPEG image",
                  bytes.empty() ? "an empty file" : Quoted(bytes.substr(0, 8)));
  }
  if (!status.ok()) return status;
  return info;
}

}  // namespace

bool IsImageFile(absl::string_view bytes) {
  return absl::StartsWith(bytes, kPngBegin) ||
         absl::StartsWith(bytes, kJpegBegin);
}

absl::StatusOr<ImageInfo> ReadImageInfo(absl::string_view bytes,
                                        absl::string_view path) {
  const absl::StatusOr<ImageInfo> info = ReadHeader(bytes, path);
  if (!info.ok()) return info;
  if (absl::Status status = CheckSize(*info, bytes, path); !status.ok()) {
    return status;
  }
  return info;
}

absl::Status DecodeImage(absl::string_view bytes, absl::string_view path,
                         int channels, absl::Span<uint8_t> pixels) {
  const absl::StatusOr<ImageInfo> info = ReadImageInfo(bytes, path);
  if (!info.ok()) return info.status();
  TAPE_CHECK(channels == 1 || channels == 3);
  TAPE_CHECK_EQ(static_cast<int64_t>(pixels.size()),
                info->rows * info->columns * channels);
  if (absl::StartsWith(bytes, kPngBegin)) {
    return WithPng(bytes, path, [&](png_image& image) {
      image.format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
      const png_color white = {255, 255, 255};
      return png_image_finish_read(&image, &white, pixels.data(),
                                   /*row_stride=*/0,
                                   /*colormap=*/nullptr) != 0;
    });
  }
  return WithJpeg(path, [&](tjhandle handle) {
    // The accurate transform gives the same bytes on all processors.
    return tjDecompress2(handle, JpegBytes(bytes), bytes.size(), pixels.data(),
                         static_cast<int>(info->columns), /*pitch=*/0,
                         static_cast<int>(info->rows),
                         channels == 3 ? TJPF_RGB : TJPF_GRAY,
                         TJFLAG_ACCURATEDCT | TJFLAG_LIMITSCANS);
  });
}

}  // namespace tape
