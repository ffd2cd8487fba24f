// One greyscale PNG image (grey_png.h). In go a file's bytes, out come grey
// levels, or a Status with libpng's own message; and the other way round.
// Tested by tests/data/image_folder_test.cc.
//
// libpng reports an error by a longjmp back to the latest setjmp. Functions
// that setjmp are therefore kept apart (Try...): in them, and in what libpng
// calls back, no object with a destructor lives, so that none is jumped over;
// and they change no local variable that is read after a jump.
#include "framework/io/grey_png.h"

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstdio>
#include <new>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/io/files.h"

namespace tape {
namespace {

constexpr absl::string_view kSignature = "\x89PNG\r\n\x1a\n";

void IgnoreWarning(png_structp, png_const_charp) {}

// "8-bit RGB with alpha"
std::string Describe(int bit_depth, int color_type, bool transparent) {
  return absl::StrCat(bit_depth, "-bit ",
                      color_type == PNG_COLOR_TYPE_PALETTE  ? "palette colour"
                      : (color_type & PNG_COLOR_MASK_COLOR) ? "RGB colour"
                                                            : "greyscale",
                      (color_type & PNG_COLOR_MASK_ALPHA) ? " with alpha" : "",
                      transparent ? " with a transparent colour" : "");
}

}  // namespace

PngDecoder::PngDecoder(absl::string_view bytes, absl::string_view path)
    : path_(path), bytes_(bytes) {}

PngDecoder::~PngDecoder() { png_destroy_read_struct(&png_, &info_, nullptr); }

absl::StatusOr<ImageSize> PngDecoder::ReadSize() {
  if (bytes_.empty()) return WrongData(path_, "a PNG image", "an empty file");
  const size_t compared = std::min(bytes_.size(), kSignature.size());
  if (bytes_.substr(0, compared) != kSignature.substr(0, compared)) {
    return WrongData(
        path_, "a PNG image",
        absl::StrCat("a file that begins with ", Quoted(bytes_.substr(0, 8))));
  }
  png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, this, Refuse,
                                IgnoreWarning);
  if (png_ == nullptr) throw std::bad_alloc();
  info_ = png_create_info_struct(png_);
  if (info_ == nullptr) throw std::bad_alloc();
  if (!TryReadSize()) return Refused();
  const int depth = png_get_bit_depth(png_, info_);
  const int color_type = png_get_color_type(png_, info_);
  const bool transparent = png_get_valid(png_, info_, PNG_INFO_tRNS) != 0;
  if (color_type != PNG_COLOR_TYPE_GRAY || depth > 8 || transparent) {
    return WrongData(path_, "a greyscale image of at most 8 bits a pixel",
                     Describe(depth, color_type, transparent));
  }
  size_ = {.rows = png_get_image_height(png_, info_),
           .columns = png_get_image_width(png_, info_)};
  return size_;
}

absl::Status PngDecoder::ReadPixels(uint8_t* to) {
  return TryReadPixels(to) ? absl::OkStatus() : Refused();
}

bool PngDecoder::TryReadSize() {
  if (setjmp(png_jmpbuf(png_)) != 0) return false;
  png_set_read_fn(png_, this, Read);
  // Comments, times and so on are not kept, nor decompressed: a small file may
  // hold gigabytes of them. (-1 is all that do not bear on the pixels.)
  png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(png_, info_);
  return true;
}

bool PngDecoder::TryReadPixels(uint8_t* to) {
  if (setjmp(png_jmpbuf(png_)) != 0) return false;
  png_set_expand_gray_1_2_4_to_8(png_);
  // An interlaced image comes in seven passes, each of which adds to the rows.
  const int passes = png_set_interlace_handling(png_);
  for (int pass = 0; pass < passes; ++pass) {
    for (int64_t row = 0; row < size_.rows; ++row) {
      png_read_row(png_, to + row * size_.columns, nullptr);
    }
  }
  png_read_end(png_, nullptr);
  return true;
}

void PngDecoder::Read(png_structp png, png_bytep to, size_t count) {
  auto& self = *static_cast<PngDecoder*>(png_get_io_ptr(png));
  if (count > self.bytes_.size() - self.consumed_) {
    png_error(png, "the file ends within the image");
  }
  std::copy_n(self.bytes_.data() + self.consumed_, count, to);
  self.consumed_ += count;
}

void PngDecoder::Refuse(png_structp png, const char* message) {
  auto& self = *static_cast<PngDecoder*>(png_get_error_ptr(png));
  std::snprintf(self.message_.data(), self.message_.size(), "%s", message);
  png_longjmp(png, 1);
}

absl::Status PngDecoder::Refused() const {
  return WrongData(absl::StrCat(path_, ": byte ", consumed_),
                   "a sound PNG image", message_.data());
}

namespace {

// ---- Writing ----

void Append(png_structp png, png_bytep bytes, size_t count) {
  static_cast<std::string*>(png_get_io_ptr(png))
      ->append(reinterpret_cast<const char*>(bytes), count);
}

void Flush(png_structp) {}

void FailToEncode(png_structp png, const char*) { png_longjmp(png, 1); }

constexpr int64_t kLargestSide = 1'000'000;  // libpng's.

bool IsEncodable(ImageSize size) {
  return size.rows >= 1 && size.rows <= kLargestSide && size.columns >= 1 &&
         size.columns <= kLargestSide;
}

// False if libpng gives up. In a function of its own, as told above.
bool TryEncode(png_structp png, png_infop info, ImageSize size, int channels,
               const uint8_t* pixels, absl::Span<const png_color> palette,
               std::string* bytes) {
  if (setjmp(png_jmpbuf(png)) != 0) return false;
  png_set_write_fn(png, bytes, Append, Flush);
  png_set_IHDR(png, info, size.columns, size.rows, /*bit_depth=*/8,
               channels == 3     ? PNG_COLOR_TYPE_RGB
               : palette.empty() ? PNG_COLOR_TYPE_GRAY
                                 : PNG_COLOR_TYPE_PALETTE,
               PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (!palette.empty()) {
    png_set_PLTE(png, info, palette.data(), static_cast<int>(palette.size()));
  }
  png_write_info(png, info);
  for (int64_t row = 0; row < size.rows; ++row) {
    png_write_row(png, pixels + row * size.columns * channels);
  }
  png_write_end(png, nullptr);
  return true;
}

// An image of bytes: levels of grey, three channels or, given a palette, its
// colours.
std::string Encode(ImageSize size, int channels, const uint8_t* pixels,
                   absl::Span<const png_color> palette) {
  if (!IsEncodable(size)) return "";
  std::string bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr,
                                            FailToEncode, IgnoreWarning);
  png_infop info = png == nullptr ? nullptr : png_create_info_struct(png);
  const bool encoded = info != nullptr && TryEncode(png, info, size, channels,
                                                    pixels, palette, &bytes);
  png_destroy_write_struct(&png, &info);
  // Of an image of this size there is nothing else that libpng could refuse.
  if (!encoded) throw std::bad_alloc();
  return bytes;
}

}  // namespace

std::string EncodePng(ImageSize size, const uint8_t* pixels) {
  return Encode(size, 1, pixels, {});
}

std::string EncodeRgbPng(ImageSize size, const uint8_t* pixels) {
  return Encode(size, 3, pixels, {});
}

std::string EncodePalettePng(ImageSize size, const uint8_t* pixels,
                             absl::Span<const Rgb> palette) {
  if (!IsEncodable(size) || palette.empty() || palette.size() > 256 ||
      *std::max_element(pixels, pixels + size.pixels()) >= palette.size()) {
    return "";
  }
  std::vector<png_color> colors;
  for (const Rgb& color : palette) {
    colors.push_back({color.red, color.green, color.blue});
  }
  return Encode(size, 1, pixels, colors);
}

}  // namespace tape
