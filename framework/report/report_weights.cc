// The weights of a report as images (report_parts.h). Tested by
// tests/report/report_test.cc.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/io/grey_png.h"
#include "framework/report/plot.h"
#include "framework/report/report_parts.h"

namespace tape::internal {
namespace {

constexpr int64_t kUnits = 100;  // Shown at most.

bool IsFloatMatrix(const std::optional<Tensor>& tensor) {
  return tensor.has_value() && tensor->dtype() == DType::kFloat32 &&
         tensor->shape().rank() == 2;
}

// Blue for -1, white for 0, red for 1: ColorBrewer's RdBu of five classes, the
// other way round, and what lies between.
constexpr int kShades = 65;  // Odd: one of them is 0's.

std::vector<Rgb> DivergingShades() {
  constexpr std::array<Rgb, 5> kStops = {{{0x05, 0x71, 0xb0},
                                          {0x92, 0xc5, 0xde},
                                          {0xf7, 0xf7, 0xf7},
                                          {0xf4, 0xa5, 0x82},
                                          {0xca, 0x00, 0x20}}};
  const auto between = [](uint8_t a, uint8_t b, double part) {
    return static_cast<uint8_t>(std::lround(a + (b - a) * part));
  };
  std::vector<Rgb> shades;
  for (int i = 0; i < kShades; ++i) {
    const double place = 4.0 * i / (kShades - 1);
    const int stop = std::min(3, static_cast<int>(place));
    const Rgb &a = kStops[stop], &b = kStops[stop + 1];
    const double part = place - stop;
    shades.push_back({between(a.red, b.red, part),
                      between(a.green, b.green, part),
                      between(a.blue, b.blue, part)});
  }
  shades.push_back({0x80, 0x80, 0x80});  // Not a number.
  return shades;
}

uint8_t ShadeOf(double value, double largest) {
  if (std::isnan(value)) return kShades;
  const double part = std::clamp(value / largest, -1.0, 1.0);
  return static_cast<uint8_t>(std::lround((part + 1) / 2 * (kShades - 1)));
}

}  // namespace

void AddWeights(const ReportInput& input, Page& page) {
  if (!IsFloatMatrix(input.weights)) return;
  const int64_t pixels = input.weights->shape()[0];
  const int64_t units = input.weights->shape()[1];
  // A Dataset of no samples, for the shape that its images would have.
  const absl::StatusOr<ImageSize> image_size = SizeOfImages(
      {.images = Tensor(TensorType{DType::kUint8, {0, pixels}}),
       .rows = HasData(input) && input.data->train.pixels() == pixels
                   ? input.data->train.rows
                   : 0});
  if (!image_size.ok() || units == 0) return;
  const auto values = input.weights->values<float>();
  const int64_t shown = std::min(units, kUnits);

  // A scale for all, which a few large weights must not fade.
  std::vector<float> sizes;
  for (int64_t i = 0; i < pixels; ++i) {
    for (int64_t unit = 0; unit < shown; ++unit) {
      const float size = std::abs(values[i * units + unit]);
      if (std::isfinite(size)) sizes.push_back(size);
    }
  }
  if (sizes.empty()) {
    page.AddNote("First layer's weights: none is finite.");
    return;
  }
  const auto high =
      sizes.begin() + static_cast<int64_t>(0.995 * (sizes.size() - 1));
  std::nth_element(sizes.begin(), high, sizes.end());
  const double largest = *high > 0 ? *high : 1;

  const std::vector<Rgb> shades = DivergingShades();
  std::vector<uint8_t> strip(kShades);
  for (int i = 0; i < kShades; ++i) strip[i] = static_cast<uint8_t>(i);
  ImageGrid grid = {
      .id = "weights",
      .title = "Weights of the first layer",
      .caption = absl::StrCat(
          shown < units ? absl::StrCat("The first ", shown, " of ",
                                       CountText(units), " units")
                        : Counted(units, "unit"),
          ": what each multiplies the pixels by, on one scale for all; the "
          "0.5 % that are larger have the colours of its ends."),
      .columns = shown <= 3    ? 3
                 : shown <= 4  ? 4
                 : shown <= 48 ? 8
                               : 10,
      .image_size = shown <= 4 ? 130.0 : 50.0,
      .scale = ImageGrid::Scale{
          .png = EncodePalettePng({.rows = 1, .columns = kShades}, strip.data(),
                                  shades),
          .low = absl::StrCat("−", ValueText(largest, Unit::kNumber)),
          .middle = "0",
          .high = ValueText(largest, Unit::kNumber)}};
  std::vector<uint8_t> image(pixels);
  for (int64_t unit = 0; unit < shown; ++unit) {
    for (int64_t i = 0; i < pixels; ++i) {
      image[i] = ShadeOf(values[i * units + unit], largest);
    }
    grid.images.push_back(
        {.png = EncodePalettePng(*image_size, image.data(), shades),
         .title = absl::StrCat("unit ", unit + 1)});
  }
  if (const std::optional<Figure> figure = MakeImageGrid(grid)) {
    page.Add(*figure);
  }
}

}  // namespace tape::internal
