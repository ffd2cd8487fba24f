// Charts as SVG (plot.h). Tested by tests/report/plot_test.cc.
#include "framework/report/plot.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "framework/core/floating_point.h"

namespace tape {
namespace {

using Anchor = Svg::Anchor;

// All charts are as wide as this, so that their texts are of one size wherever
// they stand side by side.
constexpr double kWidth = 420;
constexpr double kPlotHeight = 200;
constexpr double kFont = 12;  // As in svg.cc's rules.
constexpr double kSmallFont = 10.5, kTinyFont = 8;
// Curves of more points than this have no dots, nor do more curves than these.
constexpr size_t kDots = 40, kDottedCurves = 4;
// More points than this are too near to each other to be pointed at.
constexpr size_t kPointable = 400;

std::string ExtendCaption(const std::string& caption,
                          const std::string& sentence) {
  if (sentence.empty()) return caption;
  return caption.empty() ? sentence : absl::StrCat(caption, " ", sentence);
}

// ---- What is left out ----

bool IsShown(Point point, bool log) {
  return IsOnAxes(point.x) && IsOnAxes(point.y) && (!log || point.y > 0);
}

// "Left out, being not finite: 2 of train."
std::string LeftOut(const std::vector<Series>& series, bool log) {
  std::vector<std::string> parts;
  for (const Series& one : series) {
    const auto missing =
        std::count_if(one.points.begin(), one.points.end(),
                      [log](Point point) { return !IsShown(point, log); });
    if (missing > 0) {
      parts.push_back(
          absl::StrCat(CountText(missing), " of ",
                       CountText(static_cast<int64_t>(one.points.size())),
                       one.name.empty() ? " values" : " of ", one.name));
    }
  }
  if (parts.empty()) return "";
  return absl::StrCat("Left out, being ",
                      log ? "not finite or not above 0: " : "not finite: ",
                      absl::StrJoin(parts, ", "), ".");
}

// The smallest and the largest of what is shown.
struct Range {
  double low = INFINITY, high = -INFINITY;
  void Add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  bool empty() const { return low > high; }
};

struct Ranges {
  Range x, y;
};

Ranges RangesOf(const std::vector<Series>& series, bool log) {
  Ranges ranges;
  for (const Series& one : series) {
    for (Point point : one.points) {
      if (!IsShown(point, log)) continue;
      ranges.x.Add(point.x);
      ranges.y.Add(point.y);
    }
  }
  return ranges;
}

double LongestName(const std::vector<std::string>& names, double font) {
  double longest = 0;
  for (const std::string& name : names) {
    longest = std::max(longest, TextWidth(name, font));
  }
  return longest;
}

// Cuts what is wider than this many units.
std::string CutToWidth(const std::string& name, double width, double font) {
  if (TextWidth(name, font) <= width) return name;
  std::string cut = name;
  while (!cut.empty() && TextWidth(absl::StrCat(cut, "…"), font) > width) {
    do {
      cut.pop_back();
    } while (!cut.empty() && (static_cast<uint8_t>(cut.back()) & 0xC0) == 0x80);
  }
  return absl::StrCat(cut, "…");
}

// ---- Parts of charts ----

enum class Key { kLine, kDot, kBox };

std::string CurveClasses(const Series& series) {
  return absl::StrCat("curve ", StrokeClass(series.color),
                      series.stroke == Stroke::kDashed   ? " dashed"
                      : series.stroke == Stroke::kDotted ? " dotted"
                                                         : "");
}

// The names of the series with their keys, in as many rows as they need, drawn
// if there is an `svg`. Returns their height. One series needs none.
double Legend(const std::vector<Series>& series, Key key, Svg* svg) {
  if (series.size() < 2) return 0;
  constexpr double kRow = 19, kGap = 16, kText = 6;
  const double key_width = key == Key::kLine ? 24 : 10;
  double x = 0, y = kRow - 6;
  for (const Series& one : series) {
    if (!one.in_legend) continue;
    const double width = key_width + kText + TextWidth(one.name, kFont);
    if (x > 0 && x + width > kWidth) {
      x = 0;
      y += kRow;
    }
    if (svg != nullptr) {
      switch (key) {
        case Key::kLine:
          svg->Line(x + 1, y - 4, x + key_width - 1, y - 4,
                    {.classes = CurveClasses(one)});
          break;
        case Key::kDot:
          svg->Circle(x + 5, y - 4, 4, {.classes = FillClass(one.color)});
          break;
        case Key::kBox:
          svg->Rect(x, y - 9, 10, 10, {.classes = FillClass(one.color)});
          break;
      }
      const std::string name =
          CutToWidth(one.name, kWidth - key_width - kText, kFont);
      svg->Text(x + key_width + kText, y, name, Anchor::kStart,
                {.title = name == one.name ? "" : one.name});
    }
    x += width + kGap;
  }
  return y + 6;
}

// The rectangle that the data are drawn in, with its axes and their texts.
class Frame {
 public:
  Frame(const std::vector<Series>& series, Key key, Axis x, Axis y, Unit unit,
        absl::string_view x_label, absl::string_view y_label, double height)
      : x_(std::move(x)),
        y_(std::move(y)),
        unit_(unit),
        x_label_(x_label),
        y_label_(y_label) {
    double widest = 0;
    for (double tick : y_.ticks) {
      widest = std::max(widest, TextWidth(TickText(y_, tick, unit), kFont));
    }
    left_ = widest + (y_label.empty() ? 8 : 30);
    top_ = Legend(series, key, nullptr) + 8;
    bottom_ = top_ + height;
  }

  double height() const { return bottom_ + (x_label_.empty() ? 22 : 40); }
  double X(double value) const {
    return left_ + (kRight - left_) * x_.At(value);
  }
  double Y(double value) const {
    return bottom_ - (bottom_ - top_) * y_.At(value);
  }

  void Draw(Svg& svg) const {
    for (double tick : y_.ticks) {
      svg.Line(left_, Y(tick), kRight, Y(tick), {.classes = "grid"});
      svg.Text(left_ - 8, Y(tick) + 4, TickText(y_, tick, unit_), Anchor::kEnd,
               {.classes = "muted"});
    }
    svg.Line(left_, bottom_, kRight, bottom_, {.classes = "axis"});
    for (double tick : x_.ticks) {
      svg.Line(X(tick), bottom_, X(tick), bottom_ + 4, {.classes = "axis"});
      svg.Text(X(tick), bottom_ + 17, TickText(x_, tick, Unit::kNumber),
               Anchor::kMiddle, {.classes = "muted"});
    }
    if (!x_label_.empty()) {
      svg.Text((left_ + kRight) / 2, bottom_ + 35, x_label_, Anchor::kMiddle,
               {.classes = "muted"});
    }
    if (!y_label_.empty()) {
      svg.Text(11, (top_ + bottom_) / 2, y_label_, Anchor::kMiddle,
               {.classes = "muted"}, -90);
    }
  }

 private:
  static constexpr double kRight = kWidth - 12;

  Axis x_, y_;
  Unit unit_;
  std::string x_label_, y_label_;
  double left_, top_, bottom_;
};

void DrawCurve(const Series& series, const LineChart& chart, const Frame& frame,
               Svg& svg) {
  const auto shown = [&](size_t i) {
    return i < series.points.size() && IsShown(series.points[i], chart.log);
  };
  std::string d;
  for (size_t i = 0; i < series.points.size(); ++i) {
    if (!shown(i)) continue;
    const bool begins = i == 0 || !shown(i - 1);
    if (begins && !shown(i + 1)) continue;  // A dot of its own.
    absl::StrAppend(&d, begins ? "M" : "L",
                    Coordinate(frame.X(series.points[i].x)), " ",
                    Coordinate(frame.Y(series.points[i].y)));
  }
  if (!d.empty()) {
    svg.Path(d, {.classes = CurveClasses(series), .title = series.name});
  }
  const bool few =
      series.points.size() <= kDots && chart.series.size() <= kDottedCurves;
  for (size_t i = 0; i < series.points.size(); ++i) {
    if (!shown(i)) continue;
    const Point point = series.points[i];
    const bool alone = (i == 0 || !shown(i - 1)) && !shown(i + 1);
    if (!alone && series.points.size() > kPointable) continue;
    svg.Circle(frame.X(point.x), frame.Y(point.y), few || alone ? 2.5 : 4,
               {.classes = absl::StrCat(FillClass(series.color),
                                        few || alone ? "" : " ghost"),
                .title = absl::StrCat(
                    series.name, series.name.empty() ? "" : ", ", chart.x_label,
                    " ", ValueText(point.x, Unit::kNumber), ": ",
                    ValueText(point.y, chart.unit))});
  }
}

}  // namespace

std::string StandAloneSvg(const Figure& figure) {
  return StandAloneSvg(figure.svg, figure.width, figure.height, figure.title);
}

// ---- Charts ----

std::optional<Figure> MakeLineChart(const LineChart& chart) {
  const FloatingPointScope environment;
  const Ranges ranges = RangesOf(chart.series, chart.log);
  if (ranges.x.empty()) return std::nullopt;
  const Frame frame(chart.series, Key::kLine,
                    WholeAxis(ranges.x.low, ranges.x.high, 8),
                    chart.log ? LogAxis(ranges.y.low, ranges.y.high, 6)
                              : LinearAxis(ranges.y.low, ranges.y.high, 5),
                    chart.unit, chart.x_label, chart.y_label, kPlotHeight);
  Svg svg(kWidth, frame.height(), chart.title);
  Legend(chart.series, Key::kLine, &svg);
  frame.Draw(svg);
  for (const Series& series : chart.series) {
    DrawCurve(series, chart, frame, svg);
  }
  return Figure{
      .id = chart.id,
      .title = chart.title,
      .caption = ExtendCaption(chart.caption, LeftOut(chart.series, chart.log)),
      .svg = svg.ToString(),
      .width = kWidth,
      .height = frame.height()};
}

std::optional<Figure> MakeScatter(const Scatter& chart) {
  const FloatingPointScope environment;
  const Ranges ranges = RangesOf(chart.series, /*log=*/false);
  if (ranges.x.empty()) return std::nullopt;
  const Frame frame(chart.series, Key::kDot,
                    LinearAxis(ranges.x.low, ranges.x.high, 5),
                    LinearAxis(ranges.y.low, ranges.y.high, 6), Unit::kNumber,
                    chart.x_label, chart.y_label, 1.5 * kPlotHeight);
  Svg svg(kWidth, frame.height(), chart.title);
  Legend(chart.series, Key::kDot, &svg);
  frame.Draw(svg);
  for (const Series& series : chart.series) {
    // A line of no length has round ends: a dot in a few bytes.
    std::string d;
    for (Point point : series.points) {
      if (!IsShown(point, /*log=*/false)) continue;
      absl::StrAppend(&d, "M", Coordinate(frame.X(point.x)), " ",
                      Coordinate(frame.Y(point.y)), "h0");
    }
    if (d.empty()) continue;
    svg.Path(d, {.classes = absl::StrCat("cloud ", StrokeClass(series.color)),
                 .title = series.name});
  }
  return Figure{
      .id = chart.id,
      .title = chart.title,
      .caption = ExtendCaption(chart.caption, LeftOut(chart.series, false)),
      .svg = svg.ToString(),
      .width = kWidth,
      .height = frame.height()};
}

std::optional<Figure> MakeBarChart(const BarChart& chart) {
  const FloatingPointScope environment;
  if (chart.categories.empty() || chart.groups.empty()) return std::nullopt;
  const size_t categories = chart.categories.size();
  const size_t groups = chart.groups.size();
  std::vector<Series> keys;
  int64_t largest = 0;
  for (const BarChart::Group& group : chart.groups) {
    if (group.counts.size() != categories) return std::nullopt;
    for (int64_t count : group.counts) largest = std::max(largest, count);
    keys.push_back({.name = group.name, .points = {}, .color = group.color});
  }
  if (largest == 0) return std::nullopt;
  const double left =
      std::min(LongestName(chart.categories, kFont), 0.4 * kWidth) + 8;
  const double right = kWidth - 24;  // Half of the last tick's text.
  const double top = Legend(keys, Key::kBox, nullptr) + 4;
  const double bar = groups == 1 ? 14 : groups == 2 ? 9 : 7;
  const double row = bar * static_cast<double>(groups) + 9;
  const double bottom = top + row * static_cast<double>(categories);
  const double height = bottom + 40;
  const Axis axis = LinearAxis(0, static_cast<double>(largest), 5);
  const auto x = [&](double value) {
    return left + (right - left) * axis.At(value);
  };

  Svg svg(kWidth, height, chart.title);
  Legend(keys, Key::kBox, &svg);
  for (double tick : axis.ticks) {
    svg.Line(x(tick), top, x(tick), bottom, {.classes = "grid"});
    svg.Text(x(tick), bottom + 16, TickText(axis, tick, Unit::kNumber),
             Anchor::kMiddle, {.classes = "muted"});
  }
  for (size_t i = 0; i < categories; ++i) {
    const double y = top + row * static_cast<double>(i);
    svg.Text(left - 8, y + row / 2 + 4,
             CutToWidth(chart.categories[i], left - 8, kFont), Anchor::kEnd,
             {});
    for (size_t g = 0; g < groups; ++g) {
      const BarChart::Group& group = chart.groups[g];
      const auto count = static_cast<double>(group.counts[i]);
      svg.Rect(left, y + 4.5 + bar * static_cast<double>(g), x(count) - left,
               bar - 1,
               {.classes = FillClass(group.color),
                .title = absl::StrCat(group.name, ", ", chart.categories[i],
                                      ": ", CountText(group.counts[i]))});
    }
  }
  svg.Line(left, top, left, bottom, {.classes = "axis"});
  svg.Text((left + right) / 2, bottom + 34, chart.value_label, Anchor::kMiddle,
           {.classes = "muted"});
  return Figure{.id = chart.id,
                .title = chart.title,
                .caption = chart.caption,
                .svg = svg.ToString(),
                .width = kWidth,
                .height = height};
}

std::optional<Figure> MakeMatrixChart(const MatrixChart& chart) {
  const FloatingPointScope environment;
  const size_t n = chart.names.size();
  if (chart.counts.size() != n * n) return std::nullopt;
  const int64_t total =
      std::accumulate(chart.counts.begin(), chart.counts.end(), int64_t{0});
  if (total == 0) return std::nullopt;
  std::vector<double> shares(n * n, 0.0);  // Of each row.
  double largest_wrong = 0;
  int64_t largest_count = 0;
  for (size_t i = 0; i < n; ++i) {
    int64_t sum = 0;
    for (size_t j = 0; j < n; ++j) sum += chart.counts[i * n + j];
    for (size_t j = 0; j < n && sum > 0; ++j) {
      const int64_t count = chart.counts[i * n + j];
      largest_count = std::max(largest_count, count);
      shares[i * n + j] = static_cast<double>(count) / static_cast<double>(sum);
      if (i != j) largest_wrong = std::max(largest_wrong, shares[i * n + j]);
    }
  }

  const double longest =
      std::min(LongestName(chart.names, kSmallFont), 0.3 * kWidth);
  const double left = 18 + longest + 6;
  const double cell = (kWidth - 2 - left) / static_cast<double>(n);
  const double top = 4, side = cell * static_cast<double>(n);
  // Long names of columns are turned.
  const bool turned = longest > cell - 4;
  const double bottom = top + side;
  const double height = bottom + (turned ? longest * 0.71 + 12 : 16) + 22;
  // Counts are left out where they would not be read.
  const double font =
      (cell - 4) / TextWidth(absl::StrCat(largest_count), /*size=*/1);
  const bool has_text = font >= kTinyFont;
  const std::string text_size = font >= kSmallFont ? "small" : "tiny";

  Svg svg(kWidth, height, chart.title);
  for (size_t i = 0; i < n; ++i) {
    const double middle = cell * (static_cast<double>(i) + 0.5);
    const std::string name = CutToWidth(chart.names[i], longest, kSmallFont);
    if (cell >= 8) {
      svg.Text(left - 6, top + middle + 4, name, Anchor::kEnd,
               {.classes = "small"});
      if (turned) {
        svg.Text(left + middle + 4, bottom + 12, name, Anchor::kEnd,
                 {.classes = "small"}, -45);
      } else {
        svg.Text(left + middle, bottom + 14, name, Anchor::kMiddle,
                 {.classes = "small"});
      }
    }
    for (size_t j = 0; j < n; ++j) {
      const int64_t count = chart.counts[i * n + j];
      const double share = shares[i * n + j];
      const double x = left + cell * static_cast<double>(j);
      const double y = top + cell * static_cast<double>(i);
      const double strength = i == j ? share
                              : largest_wrong == 0
                                  ? 0
                                  : 0.85 * share / largest_wrong;
      svg.Rect(
          x, y, cell - 1, cell - 1,
          {.classes = i == j ? "right cell" : "wrong cell",
           .opacity = count == 0 ? 0.04 : 0.08 + 0.92 * strength,
           .title = absl::StrCat(chart.row_label, " ", chart.names[i], ", ",
                                 chart.column_label, " ", chart.names[j], ": ",
                                 CountText(count), " (",
                                 absl::StrFormat("%.1f", 100 * share), " %)")});
      if (has_text && count > 0) {
        svg.Text(x + (cell - 1) / 2, y + cell / 2 + 3.5, absl::StrCat(count),
                 Anchor::kMiddle,
                 {.classes = absl::StrCat(text_size,
                                          strength <= 0.1 ? " muted" : "")});
      }
    }
  }
  svg.Text(11, top + side / 2, chart.row_label, Anchor::kMiddle,
           {.classes = "muted"}, -90);
  svg.Text(left + side / 2, height - 6, chart.column_label, Anchor::kMiddle,
           {.classes = "muted"});
  return Figure{.id = chart.id,
                .title = chart.title,
                .caption = chart.caption,
                .svg = svg.ToString(),
                .width = kWidth,
                .height = height};
}

std::optional<Figure> MakeImageGrid(const ImageGrid& grid) {
  const FloatingPointScope environment;
  if (grid.images.empty() || grid.columns < 1) return std::nullopt;
  constexpr double kLine = 14;
  const double longest = LongestName(grid.row_names, kFont);
  const double left = grid.row_names.empty() ? 0 : longest + 8;
  const double cell = (kWidth - left) / grid.columns;
  const double size = std::min(grid.image_size, cell - 2);
  const double row = size + 3 + kLine * grid.lines + (grid.lines > 0 ? 10 : 0);
  const size_t rows = (grid.images.size() + grid.columns - 1) / grid.columns;
  const double top = grid.scale.has_value() ? 34 : 0;
  const double height = top + row * static_cast<double>(rows);

  Svg svg(kWidth, height, grid.title);
  if (grid.scale.has_value()) {
    const ImageGrid::Scale& scale = *grid.scale;
    svg.Image(0, 0, kWidth, 10, scale.png, {.classes = "scale"},
              /*stretched=*/true);
    svg.Text(0, 24, scale.low, Anchor::kStart, {.classes = "small muted"});
    svg.Text(kWidth / 2, 24, scale.middle, Anchor::kMiddle,
             {.classes = "small muted"});
    svg.Text(kWidth, 24, scale.high, Anchor::kEnd, {.classes = "small muted"});
  }
  for (size_t i = 0; i < grid.row_names.size() && i < rows; ++i) {
    svg.Text(left - 8, top + row * static_cast<double>(i) + size / 2 + 4,
             grid.row_names[i], Anchor::kEnd, {});
  }
  for (size_t i = 0; i < grid.images.size(); ++i) {
    const ImageGrid::Image& image = grid.images[i];
    if (image.png.empty()) continue;  // A free place.
    const double x = left + cell * static_cast<double>(i % grid.columns);
    const double y = top + row * static_cast<double>(i / grid.columns);
    svg.Image(x, y, size, size, image.png, {.title = image.title});
    for (size_t line = 0; line < image.lines.size(); ++line) {
      svg.Text(x, y + size + kLine * static_cast<double>(line + 1) - 1,
               image.lines[line], Anchor::kStart,
               {.classes = line == 0 ? "small bold" : "small muted"});
    }
  }
  return Figure{.id = grid.id,
                .title = grid.title,
                .caption = grid.caption,
                .svg = svg.ToString(),
                .width = kWidth,
                .height = height};
}

}  // namespace tape
