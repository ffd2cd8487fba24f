// From SVG to PNG (raster.h), by librsvg on a surface of cairo. Tested by
// tests/report/raster_test.cc.
#include "framework/report/raster.h"

#include <cairo.h>
#include <librsvg/rsvg.h>

#include <cmath>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "framework/report/shared_library.h"

namespace tape {
namespace {

struct Librsvg {
  // Most of it for fonts, and for the threads of Pango.
  SharedLibrary library{"librsvg-2.so.2", "librsvg2-2", 256 << 20};
  TAPE_FUNCTION_OF(library, rsvg_handle_new_from_data);
  TAPE_FUNCTION_OF(library, rsvg_handle_get_intrinsic_dimensions);
  TAPE_FUNCTION_OF(library, rsvg_handle_get_intrinsic_size_in_pixels);
  TAPE_FUNCTION_OF(library, rsvg_handle_render_document);
  TAPE_FUNCTION_OF(library, g_object_unref);
  TAPE_FUNCTION_OF(library, g_error_free);
  TAPE_FUNCTION_OF(library, cairo_image_surface_create);
  TAPE_FUNCTION_OF(library, cairo_image_surface_create_from_png_stream);
  TAPE_FUNCTION_OF(library, cairo_image_surface_get_height);
  TAPE_FUNCTION_OF(library, cairo_image_surface_get_width);
  TAPE_FUNCTION_OF(library, cairo_surface_destroy);
  TAPE_FUNCTION_OF(library, cairo_surface_status);
  TAPE_FUNCTION_OF(library, cairo_surface_write_to_png_stream);
  TAPE_FUNCTION_OF(library, cairo_create);
  TAPE_FUNCTION_OF(library, cairo_destroy);
  TAPE_FUNCTION_OF(library, cairo_scale);
  TAPE_FUNCTION_OF(library, cairo_get_source);
  TAPE_FUNCTION_OF(library, cairo_pattern_set_filter);
  TAPE_FUNCTION_OF(library, cairo_set_source_rgb);
  TAPE_FUNCTION_OF(library, cairo_set_source_surface);
  TAPE_FUNCTION_OF(library, cairo_paint);
  TAPE_FUNCTION_OF(library, cairo_status_to_string);
};

// The surface as the bytes of a PNG. Earlier errors of it, such as no memory,
// come out here too.
absl::StatusOr<std::string> Png(const Librsvg& rsvg, cairo_surface_t* surface) {
  std::string png;
  const cairo_status_t written = rsvg.cairo_surface_write_to_png_stream(
      surface,
      [](void* closure, const unsigned char* bytes, unsigned int count) {
        static_cast<std::string*>(closure)->append(
            reinterpret_cast<const char*>(bytes), count);
        return CAIRO_STATUS_SUCCESS;
      },
      &png);
  if (written == CAIRO_STATUS_SUCCESS) return png;
  return absl::InternalError(
      absl::StrCat("PNG: ", rsvg.cairo_status_to_string(written)));
}

// The PNG with a square of pixels for each of its own; itself if it is none, or
// not small.
std::string Enlarged(const Librsvg& rsvg, absl::string_view png) {
  constexpr int kSmall = 64, kTimes = 4;
  absl::string_view rest = png;
  cairo_surface_t* small = rsvg.cairo_image_surface_create_from_png_stream(
      [](void* closure, unsigned char* bytes, unsigned int count) {
        auto& rest = *static_cast<absl::string_view*>(closure);
        if (rest.size() < count) return CAIRO_STATUS_READ_ERROR;
        rest.copy(reinterpret_cast<char*>(bytes), count);
        rest.remove_prefix(count);
        return CAIRO_STATUS_SUCCESS;
      },
      &rest);
  const absl::Cleanup free_small = [&] { rsvg.cairo_surface_destroy(small); };
  const int width = rsvg.cairo_image_surface_get_width(small);
  const int height = rsvg.cairo_image_surface_get_height(small);
  if (rsvg.cairo_surface_status(small) != CAIRO_STATUS_SUCCESS ||
      width > kSmall || height > kSmall) {
    return std::string(png);
  }
  cairo_surface_t* large = rsvg.cairo_image_surface_create(
      CAIRO_FORMAT_ARGB32, kTimes * width, kTimes * height);
  const absl::Cleanup free_large = [&] { rsvg.cairo_surface_destroy(large); };
  cairo_t* cairo = rsvg.cairo_create(large);
  const absl::Cleanup free_cairo = [&] { rsvg.cairo_destroy(cairo); };
  rsvg.cairo_scale(cairo, kTimes, kTimes);
  rsvg.cairo_set_source_surface(cairo, small, 0, 0);
  rsvg.cairo_pattern_set_filter(rsvg.cairo_get_source(cairo),
                                CAIRO_FILTER_NEAREST);
  rsvg.cairo_paint(cairo);
  return Png(rsvg, large).value_or(std::string(png));
}

// librsvg smooths images, whatever image-rendering says: the small ones are
// enlarged before, so that their pixels stay squares.
std::string WithEnlargedImages(const Librsvg& rsvg, absl::string_view svg) {
  constexpr absl::string_view kBegin = "data:image/png;base64,";
  std::string text;
  for (;;) {
    const size_t begin = svg.find(kBegin);
    if (begin == absl::string_view::npos) break;
    const size_t data = begin + kBegin.size();
    const absl::string_view base64 =
        svg.substr(data, svg.find_first_of("'\"", data) - data);
    std::string png;
    absl::StrAppend(&text, svg.substr(0, data),
                    absl::Base64Unescape(base64, &png)
                        ? absl::Base64Escape(Enlarged(rsvg, png))
                        : std::string(base64));
    svg.remove_prefix(data + base64.size());
  }
  return absl::StrCat(text, svg);
}

// The error that librsvg left, which is freed.
absl::Status TakeError(const Librsvg& rsvg, GError* error) {
  const absl::Status status = absl::InvalidArgumentError(
      absl::StrCat("SVG: ", error == nullptr ? "unknown" : error->message));
  if (error != nullptr) rsvg.g_error_free(error);
  return status;
}

// Height over width.
absl::StatusOr<double> Proportions(const Librsvg& rsvg, RsvgHandle* handle) {
  double width = 0, height = 0;
  if (!rsvg.rsvg_handle_get_intrinsic_size_in_pixels(handle, &width, &height)) {
    gboolean has_view_box = false;
    RsvgRectangle view_box = {};
    rsvg.rsvg_handle_get_intrinsic_dimensions(
        handle, nullptr, nullptr, nullptr, nullptr, &has_view_box, &view_box);
    if (has_view_box) {
      width = view_box.width;
      height = view_box.height;
    }
  }
  if (width > 0 && height > 0) return height / width;
  return absl::InvalidArgumentError(absl::StrCat(
      "SVG: expected a width and a height above 0, or a view box of such, "
      "found ",
      width, " by ", height));
}

}  // namespace

absl::StatusOr<std::string> RasterizeSvg(absl::string_view svg, int width_px) {
  static const Librsvg& rsvg = *new Librsvg;
  if (!rsvg.library.status().ok()) return rsvg.library.status();

  GError* error = nullptr;
  const std::string text = WithEnlargedImages(rsvg, svg);
  RsvgHandle* handle = rsvg.rsvg_handle_new_from_data(
      reinterpret_cast<const guint8*>(text.data()), text.size(), &error);
  if (handle == nullptr) return TakeError(rsvg, error);
  const absl::Cleanup free_handle = [&] { rsvg.g_object_unref(handle); };
  const absl::StatusOr<double> proportions = Proportions(rsvg, handle);
  if (!proportions.ok()) return proportions.status();

  constexpr int kLargest = 32767;  // Of a side: cairo's.
  const double height_px = std::round(width_px * *proportions);
  if (width_px < 1 || width_px > kLargest || height_px < 1 ||
      height_px > kLargest) {
    return absl::InvalidArgumentError(
        absl::StrCat("PNG: expected sides of 1 to ", kLargest,
                     " pixels, found ", width_px, " by ", height_px));
  }
  cairo_surface_t* surface = rsvg.cairo_image_surface_create(
      CAIRO_FORMAT_RGB24, width_px, static_cast<int>(height_px));
  const absl::Cleanup free_surface = [&] {
    rsvg.cairo_surface_destroy(surface);
  };
  cairo_t* cairo = rsvg.cairo_create(surface);
  const absl::Cleanup free_cairo = [&] { rsvg.cairo_destroy(cairo); };
  rsvg.cairo_set_source_rgb(cairo, 1, 1, 1);
  rsvg.cairo_paint(cairo);
  const RsvgRectangle whole = {0, 0, static_cast<double>(width_px), height_px};
  if (!rsvg.rsvg_handle_render_document(handle, cairo, &whole, &error)) {
    return TakeError(rsvg, error);
  }

  return Png(rsvg, surface);
}

}  // namespace tape
