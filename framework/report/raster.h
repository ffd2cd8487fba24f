// Pictures for where SVG cannot be shown. Tested by tests/report/raster_test.cc.
#ifndef TAPE_FRAMEWORK_REPORT_RASTER_H_
#define TAPE_FRAMEWORK_REPORT_RASTER_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tape {

// A stand-alone SVG drawn on white, as the bytes of a PNG `width_px` wide and
// as high as the SVG's own width and height (or view box) ask for.
//
// Drawn by librsvg, which takes a style sheet's rules but for those in @media,
// whatever the query: of an SVG whose dark colours are there, the PNG has the
// light ones. It knows no var(), and drops a declaration that has one; nor
// image-rendering, but embedded PNG images of up to 64 pixels a side keep their
// pixels sharp. What the SVG refers to outside of itself is left out.
//
// Errors: an SVG that is malformed or has no size; a picture of no pixels, or
// wider or higher than 32767; librsvg missing; kResourceExhausted
// without the memory that it needs (shared_library.h), which one call finds out
// for all.
absl::StatusOr<std::string> RasterizeSvg(absl::string_view svg, int width_px);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_REPORT_RASTER_H_
