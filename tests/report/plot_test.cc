// The charts of reports (framework/report/plot.h) and the SVG under them, read
// back as XML.
#include "framework/report/plot.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "framework/io/grey_png.h"
#include "framework/report/svg.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/report/markup_testing.h"

namespace tape {
namespace {

using ::testing::DoubleNear;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pointwise;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

MATCHER(IsNear, "") {
  return std::abs(std::get<0>(arg) - std::get<1>(arg)) <=
         1e-12 * std::abs(std::get<1>(arg));
}

std::vector<std::string> TickTexts(const Axis& axis,
                                   Unit unit = Unit::kNumber) {
  std::vector<std::string> texts;
  for (double tick : axis.ticks) texts.push_back(TickText(axis, tick, unit));
  return texts;
}

// What is between the quotes, of all elements of that name and class.
std::vector<double> Numbers(const std::vector<Element>& elements,
                            const std::string& attribute) {
  std::vector<double> numbers;
  for (const Element& element : elements) {
    // A fill-opacity of 1 is not written.
    const std::string text = element[attribute];
    numbers.push_back(text.empty() ? 1 : std::stod(text));
  }
  return numbers;
}

std::string Titles(const Markup& markup) {
  std::string titles;
  for (const Element& title : markup.All("title")) {
    absl::StrAppend(&titles, title.text, "\n");
  }
  return titles;
}

LineChart Curve(std::vector<double> values) {
  Series series = {.name = "train"};
  for (size_t i = 0; i < values.size(); ++i) {
    series.points.push_back({static_cast<double>(i + 1), values[i]});
  }
  return {.id = "loss",
          .title = "Loss",
          .x_label = "epoch",
          .y_label = "loss",
          .series = {series}};
}

// ---- SVG ----

TEST(SvgTest, EscapesWhatXmlWouldTakeForItsOwn) {
  EXPECT_EQ(EscapeXml("a < b & c > \"d\" 'e'"),
            "a &lt; b &amp; c &gt; &quot;d&quot; &#39;e&#39;");
  EXPECT_EQ(EscapeXml("Größe – 速度 😀\n"), "Größe – 速度 😀\n");
}

TEST(SvgTest, ReplacesWhatIsNoCharacter) {
  const std::string mark = "\xEF\xBF\xBD";
  EXPECT_EQ(EscapeXml(std::string("a\0b", 3)), "a" + mark + "b");
  EXPECT_EQ(EscapeXml("\x1b[0m"), mark + "[0m");
  // A byte that begins nothing, an end that is missing, one byte too long a
  // form of '/', a surrogate, beyond Unicode, and U+FFFE.
  EXPECT_EQ(EscapeXml("\xFF"), mark);
  EXPECT_EQ(EscapeXml("\xC3"), mark);
  EXPECT_EQ(EscapeXml("\xC3("), mark + "(");
  EXPECT_EQ(EscapeXml("\xC0\xAF"), mark + mark);
  EXPECT_EQ(EscapeXml("\xED\xA0\x80"), mark + mark + mark);
  EXPECT_EQ(EscapeXml("\xF4\x90\x80\x80"), mark + mark + mark + mark);
  EXPECT_EQ(EscapeXml("\xEF\xBF\xBE"), mark + mark + mark);
}

TEST(SvgTest, WritesCoordinatesShortly) {
  EXPECT_EQ(Coordinate(12), "12");
  EXPECT_EQ(Coordinate(-0.001), "0");
  EXPECT_EQ(Coordinate(0.126), "0.13");
  EXPECT_EQ(Coordinate(120.5), "120.5");
}

TEST(SvgTest, TakesTextAndTitlesAsTheyAre) {
  Svg svg(10, 20, "a & b");
  svg.Text(1, 2, "x < y", Svg::Anchor::kEnd, {.title = "1 & 2"});
  svg.Rect(0, 0, 1, 1, {.classes = "cell", .opacity = 0.25});
  const Markup markup(svg.ToString());
  ASSERT_TRUE(markup.ok());
  EXPECT_EQ(markup.elements()[0]["aria-label"], "a & b");
  EXPECT_EQ(markup.elements()[0]["viewBox"], "0 0 10 20");
  ASSERT_EQ(markup.All("text").size(), 1u);
  EXPECT_EQ(markup.All("text")[0].text, "1 & 2x < y");
  EXPECT_EQ(markup.All("title")[0].text, "1 & 2");
  EXPECT_EQ(markup.All("rect", "cell")[0]["fill-opacity"], "0.25");
}

TEST(SvgTest, StandingAloneItHasColoursForLightAndDark) {
  Svg svg(10, 20, "label");
  svg.Circle(1, 2, 3, {.classes = FillClass(1)});
  const std::string text = StandAloneSvg(svg.ToString(), 10, 20, "A & B");
  const Markup markup(text);
  ASSERT_TRUE(markup.ok());
  ASSERT_EQ(markup.All("style").size(), 1u);
  const std::string rules = markup.All("style")[0].text;
  EXPECT_THAT(rules, HasSubstr("@media (prefers-color-scheme:dark)"));
  EXPECT_THAT(rules, Not(HasSubstr("var(")));
  // Orange, once in each.
  EXPECT_THAT(rules, HasSubstr(".picture .fill1{fill:#d9701a}"));
  EXPECT_THAT(rules, HasSubstr(".picture .fill1{fill:#f5a35c}"));
  EXPECT_EQ(markup.All("text", "title")[0].text, "A & B");
  EXPECT_EQ(markup.All("circle").size(), 1u);
  EXPECT_EQ(markup.elements()[0].name, "svg");
  EXPECT_NE(markup.elements()[0]["width"], "");
}

TEST(SvgTest, EveryVariableOfTheRulesHasAColour) {
  const std::string rules = PictureRules();
  for (const std::string& part :
       std::vector<std::string>(absl::StrSplit(rules, "var("))) {
    if (part.rfind("--", 0) != 0) continue;
    const std::string name = part.substr(0, part.find(')'));
    EXPECT_THAT(LightColors(), HasSubstr(name + ":#"));
    EXPECT_THAT(DarkColors(), HasSubstr(name + ":#"));
  }
}

// ---- Axes ----

TEST(AxisTest, TicksAreRoundNumbersAroundTheData) {
  EXPECT_THAT(LinearAxis(0.13, 0.97, 5).ticks,
              Pointwise(IsNear(), {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}));
  EXPECT_THAT(LinearAxis(0, 6000, 5).ticks,
              Pointwise(IsNear(), {0.0, 2000.0, 4000.0, 6000.0}));
  EXPECT_THAT(LinearAxis(-3, 12, 5).ticks,
              Pointwise(IsNear(), {-5.0, 0.0, 5.0, 10.0, 15.0}));
  const Axis axis = LinearAxis(2.31, 2.34, 5);
  EXPECT_THAT(axis.ticks, Pointwise(IsNear(), {2.31, 2.32, 2.33, 2.34}));
  EXPECT_NEAR(axis.At(2.325), 0.5, 1e-9);
}

TEST(AxisTest, EqualValuesGetRoom) {
  for (double value : {0.0, 1e-4, -3.0, 1e300, 5e-324, 0.1}) {
    const Axis axis = LinearAxis(value, value, 5);
    EXPECT_LT(axis.low, axis.high) << value;
    EXPECT_LE(axis.low, value) << value;
    EXPECT_GE(axis.high, value) << value;
    EXPECT_GE(axis.ticks.size(), 2u) << value;
    EXPECT_LE(axis.ticks.size(), 9u) << value;
    EXPECT_TRUE(std::isfinite(axis.At(value))) << value;
  }
}

TEST(AxisTest, VeryLargeRangesDoNotOverflow) {
  const Axis axis = LinearAxis(-kLargestOfAxes, kLargestOfAxes, 5);
  EXPECT_LE(axis.ticks.size(), 9u);
  EXPECT_GE(axis.ticks.size(), 2u);
  EXPECT_EQ(axis.At(0), 0.5);
  const auto figure = MakeLineChart(Curve({1.7e308, 1e300, -1e300, 3e-324}));
  ASSERT_TRUE(figure.has_value());
  EXPECT_EQ(figure->caption, "Left out, being not finite: 1 of 4 of train.");
}

TEST(AxisTest, LogarithmicTicksArePowersOfTen) {
  EXPECT_THAT(LogAxis(3e-4, 0.1, 6).ticks,
              Pointwise(IsNear(), {1e-4, 1e-3, 1e-2, 1e-1}));
  EXPECT_THAT(LogAxis(0.3, 4, 6).ticks,
              Pointwise(IsNear(), {0.2, 0.5, 1.0, 2.0, 5.0}));
  EXPECT_NEAR(LogAxis(1e-4, 1, 6).At(0.01), 0.5, 1e-12);
  // Not a tick for each of forty powers.
  EXPECT_LE(LogAxis(1e-20, 1e20, 6).ticks.size(), 9u);
  EXPECT_GE(LogAxis(7, 7, 6).ticks.size(), 2u);
}

TEST(AxisTest, EpochsHaveWholeTicks) {
  EXPECT_THAT(WholeAxis(1, 30, 8).ticks, ElementsAre(1, 5, 10, 15, 20, 25, 30));
  EXPECT_THAT(WholeAxis(1, 3, 8).ticks, ElementsAre(1, 2, 3));
  EXPECT_THAT(WholeAxis(1, 200, 8).ticks, ElementsAre(1, 50, 100, 150, 200));
  const Axis one = WholeAxis(1, 1, 8);
  EXPECT_THAT(one.ticks, ElementsAre(1));
  EXPECT_EQ(one.At(1), 0.5);
}

TEST(AxisTest, TextsTellTicksApart) {
  EXPECT_THAT(TickTexts(LinearAxis(0.5, 0.9, 5), Unit::kPercent),
              ElementsAre("50 %", "60 %", "70 %", "80 %", "90 %"));
  EXPECT_THAT(
      TickTexts(LinearAxis(0.981, 0.989, 4), Unit::kPercent),
      ElementsAre("98.0 %", "98.2 %", "98.4 %", "98.6 %", "98.8 %", "99.0 %"));
  EXPECT_THAT(TickTexts(LinearAxis(0, 1e-4, 2)),
              ElementsAre("0", "0.5e-4", "1e-4"));
  EXPECT_THAT(TickTexts(LinearAxis(-0.3, 0.3, 4)),
              ElementsAre("-0.4", "-0.2", "0", "0.2", "0.4"));
  EXPECT_THAT(TickTexts(LinearAxis(0, 60000, 3)),
              ElementsAre("0", "20,000", "40,000", "60,000"));
  EXPECT_THAT(TickTexts(LogAxis(1e-6, 1e-3, 6)),
              ElementsAre("1e-6", "1e-5", "0.0001", "0.001"));
}

TEST(AxisTest, CountsHaveCommas) {
  EXPECT_EQ(CountText(0), "0");
  EXPECT_EQ(CountText(999), "999");
  EXPECT_EQ(CountText(1000), "1,000");
  EXPECT_EQ(CountText(-123456), "-123,456");
  EXPECT_EQ(CountText(1234567), "1,234,567");
}

// ---- Line charts ----

TEST(LineChartTest, DrawsEveryPointWhereItBelongs) {
  const auto figure = MakeLineChart(Curve({4, 2, 0}));
  ASSERT_TRUE(figure.has_value());
  EXPECT_EQ(figure->caption, "");
  const Markup markup(figure->svg);
  ASSERT_TRUE(markup.ok());
  const std::vector<Element> dots = markup.All("circle");
  ASSERT_EQ(dots.size(), 3u);
  // In the middle, between the first and the last.
  const auto x = Numbers(dots, "cx"), y = Numbers(dots, "cy");
  EXPECT_NEAR(x[1], (x[0] + x[2]) / 2, 0.02);
  EXPECT_NEAR(y[1], (y[0] + y[2]) / 2, 0.02);
  EXPECT_LT(y[0], y[1]);
  EXPECT_THAT(Titles(markup), HasSubstr("train, epoch 2: 2\n"));
  const std::vector<Element> curves = markup.All("path", "curve");
  ASSERT_EQ(curves.size(), 1u);
  EXPECT_EQ(curves[0]["d"],
            absl::StrCat("M", Coordinate(x[0]), " ", Coordinate(y[0]), "L",
                         Coordinate(x[1]), " ", Coordinate(y[1]), "L",
                         Coordinate(x[2]), " ", Coordinate(y[2])));
}

TEST(LineChartTest, WhatIsNotFiniteIsAGapAndIsTold) {
  const auto figure = MakeLineChart(Curve({1, 2, kNan, 3, kInfinity, 1, 2}));
  ASSERT_TRUE(figure.has_value());
  EXPECT_EQ(figure->caption, "Left out, being not finite: 2 of 7 of train.");
  const Markup markup(figure->svg);
  ASSERT_TRUE(markup.ok());
  EXPECT_EQ(markup.All("circle").size(), 5u);
  // 1-2 and 1-2; 3 is a dot alone.
  const std::string d = markup.All("path", "curve")[0]["d"];
  EXPECT_EQ(std::count(d.begin(), d.end(), 'M'), 2);
  EXPECT_EQ(std::count(d.begin(), d.end(), 'L'), 2);
}

TEST(LineChartTest, ALogarithmicAxisLeavesOutWhatHasNoLogarithm) {
  LineChart chart = Curve({1, 0, 0.01, -1});
  chart.log = true;
  const auto figure = MakeLineChart(chart);
  ASSERT_TRUE(figure.has_value());
  EXPECT_EQ(Markup(figure->svg).All("circle").size(), 2u);
  EXPECT_EQ(figure->caption,
            "Left out, being not finite or not above 0: 2 of 4 of train.");
}

TEST(LineChartTest, OneEpochIsAPoint) {
  const auto figure = MakeLineChart(Curve({0.5}));
  ASSERT_TRUE(figure.has_value());
  const Markup markup(figure->svg);
  ASSERT_EQ(markup.All("circle").size(), 1u);
  EXPECT_FALSE(markup.All("circle")[0].HasClass("ghost"));
  EXPECT_TRUE(markup.All("path").empty());
}

TEST(LineChartTest, ManyEpochsHaveALineWithoutDotsAndStillTheirTooltips) {
  std::vector<double> values(200);
  for (size_t i = 0; i < values.size(); ++i) values[i] = 1.0 / (i + 1.0);
  values[100] = values[102] = kNan;
  const auto figure = MakeLineChart(Curve(values));
  ASSERT_TRUE(figure.has_value());
  const Markup markup(figure->svg);
  EXPECT_EQ(markup.All("circle").size(), 198u);
  // Without neighbours it would not be seen.
  EXPECT_EQ(markup.All("circle", "ghost").size(), 197u);
}

TEST(LineChartTest, AThousandEpochsAreOneLine) {
  std::vector<double> values(1100, 1.0);
  values[1] = kNan;  // The first is alone.
  const auto figure = MakeLineChart(Curve(values));
  const Markup markup(figure->svg);
  EXPECT_EQ(markup.All("circle").size(), 1u);
  const std::string d = markup.All("path", "curve")[0]["d"];
  EXPECT_EQ(std::count(d.begin(), d.end(), 'L'), 1097);
  EXPECT_LT(figure->svg.size(), 40000u);
}

TEST(LineChartTest, NothingFiniteIsNoChart) {
  EXPECT_FALSE(MakeLineChart(Curve({kNan, kInfinity})).has_value());
  EXPECT_FALSE(MakeLineChart(Curve({})).has_value());
}

TEST(LineChartTest, TheLegendNamesSeveralSeriesAndWraps) {
  LineChart chart = Curve({1, 2});
  EXPECT_TRUE(Markup(MakeLineChart(chart)->svg).All("line", "curve").empty());
  for (int i = 0; i < 8; ++i) {
    Series series = chart.series[0];
    series.name = absl::StrCat("a run with a long name ", i);
    chart.series.push_back(series);
  }
  chart.series[0].in_legend = false;
  const auto figure = MakeLineChart(chart);
  const Markup markup(figure->svg);
  const std::vector<Element> keys = markup.All("line", "curve");
  EXPECT_EQ(keys.size(), 8u);
  for (double x : Numbers(keys, "x2")) EXPECT_LT(x, figure->width / 2 + 40);
  EXPECT_GT(figure->height, MakeLineChart(Curve({1, 2}))->height + 3 * 19);
  // What is wider than the chart is cut, between two letters.
  chart.series[1].name = std::string(99, 'a') + "ä";
  const std::string svg = MakeLineChart(chart)->svg;
  EXPECT_THAT(svg, HasSubstr("aaa…</text>"));
  EXPECT_THAT(svg, Not(HasSubstr(std::string(70, 'a') + "…")));
}

// ---- Other charts ----

TEST(ScatterTest, HasADotForEveryPoint) {
  Scatter chart = {.id = "s", .title = "S"};
  for (int i = 0; i < 3; ++i) {
    Series series = {.name = absl::StrCat("class ", i), .color = i};
    for (int j = 0; j < 100; ++j) {
      series.points.push_back({std::sin(i + j), std::cos(3.0 * j)});
    }
    chart.series.push_back(series);
  }
  chart.series[1].points[7].y = kNan;
  const auto figure = MakeScatter(chart);
  ASSERT_TRUE(figure.has_value());
  const Markup markup(figure->svg);
  ASSERT_TRUE(markup.ok());
  std::vector<int> dots;
  for (const Element& cloud : markup.All("path", "cloud")) {
    const std::string d = cloud["d"];
    dots.push_back(static_cast<int>(std::count(d.begin(), d.end(), 'M')));
  }
  EXPECT_THAT(dots, ElementsAre(100, 99, 100));
  EXPECT_EQ(figure->caption,
            "Left out, being not finite: 1 of 100 of class 1.");
}

TEST(BarChartTest, BarsAreAsLongAsTheirCounts) {
  const auto figure = MakeBarChart(
      {.id = "labels",
       .title = "Labels",
       .value_label = "samples",
       .categories = {"a", "b", "c"},
       .groups = {{"train", {4000, 2000, 0}, 0}, {"test", {400, 1000, 4}, 1}}});
  ASSERT_TRUE(figure.has_value());
  const Markup markup(figure->svg);
  ASSERT_TRUE(markup.ok());
  std::vector<double> widths;
  for (const Element& bar : markup.All("rect")) {
    if (bar["height"] == "8") widths.push_back(std::stod(bar["width"]));
  }
  ASSERT_EQ(widths.size(), 6u);
  EXPECT_NEAR(widths[2], widths[0] / 2, 0.01);
  EXPECT_NEAR(widths[1], widths[0] / 10, 0.01);
  EXPECT_EQ(widths[4], 0);
  EXPECT_THAT(Titles(markup), HasSubstr("train, b: 2,000\n"));
  EXPECT_FALSE(MakeBarChart({.id = "none", .title = ""}).has_value());
}

TEST(MatrixChartTest, HasEveryCountInItsCell) {
  const auto figure = MakeMatrixChart({.id = "confusion",
                                       .title = "Confusion matrix",
                                       .row_label = "label",
                                       .column_label = "taken for",
                                       .names = {"cat", "dog", "<b>"},
                                       .counts = {90, 10, 0,  //
                                                  0, 5, 45,   //
                                                  0, 0, 1200}});
  ASSERT_TRUE(figure.has_value());
  const Markup markup(figure->svg);
  ASSERT_TRUE(markup.ok());
  const std::vector<Element> cells = markup.All("rect", "cell");
  ASSERT_EQ(cells.size(), 9u);
  EXPECT_EQ(cells[3].text, "label dog, taken for cat: 0 (0.0 %)");
  EXPECT_EQ(cells[5].text, "label dog, taken for <b>: 45 (90.0 %)");
  EXPECT_TRUE(cells[4].HasClass("right"));
  EXPECT_TRUE(cells[5].HasClass("wrong"));
  // The larger the share of the row, the stronger.
  const auto strength = Numbers(cells, "fill-opacity");
  EXPECT_GT(strength[5], strength[1]);
  EXPECT_GT(strength[0], strength[4]);
  EXPECT_THAT(cells[8].text, HasSubstr("1,200"));
  int counts = 0;
  for (const Element& text : markup.All("text")) {
    counts += text.text == "90" || text.text == "10" || text.text == "5" ||
              text.text == "45" || text.text == "1200";
    EXPECT_NE(text.text, "0");
  }
  EXPECT_EQ(counts, 5);
}

TEST(MatrixChartTest, ManyClassesKeepTheirCellsWithoutTexts) {
  const int n = 100;
  MatrixChart chart = {.id = "m", .title = "M"};
  for (int i = 0; i < n; ++i) chart.names.push_back(absl::StrCat("class ", i));
  chart.counts.assign(n * n, 7);
  const auto figure = MakeMatrixChart(chart);
  ASSERT_TRUE(figure.has_value());
  const Markup markup(figure->svg);
  EXPECT_EQ(markup.All("rect", "cell").size(), 10000u);
  EXPECT_EQ(markup.All("text").size(), 2u);  // What rows and columns are.
}

TEST(ImageGridTest, PlacesImagesRowByRow) {
  const uint8_t grey = 128;
  const std::string png = EncodePng({1, 1}, &grey);
  ImageGrid grid = {.id = "samples",
                    .title = "Samples",
                    .columns = 3,
                    .image_size = 20,
                    .lines = 1,
                    .row_names = {"first", "second"}};
  for (int i = 0; i < 5; ++i) {
    grid.images.push_back(
        {.png = png, .title = absl::StrCat("image ", i), .lines = {"& more"}});
  }
  grid.images[1].png = "";
  const auto figure = MakeImageGrid(grid);
  ASSERT_TRUE(figure.has_value());
  const Markup markup(figure->svg);
  ASSERT_TRUE(markup.ok());
  const std::vector<Element> images = markup.All("image");
  ASSERT_EQ(images.size(), 4u);
  EXPECT_EQ(images[0]["href"].rfind("data:image/png;base64,iVBOR", 0), 0u);
  const auto x = Numbers(images, "x"), y = Numbers(images, "y");
  EXPECT_EQ(x[0], x[2]);  // Image 3 is below image 0.
  EXPECT_GT(y[2], y[0]);
  EXPECT_EQ(y[1], y[0]);
  EXPECT_FALSE(MakeImageGrid({.id = "none", .title = ""}).has_value());
  grid.columns = 0;
  EXPECT_FALSE(MakeImageGrid(grid).has_value());
}

TEST(PlotTest, CountsOfAnotherNumberMakeNoChart) {
  BarChart bars = {.id = "b", .title = "B", .categories = {"one", "two"}};
  bars.groups = {{.name = "train", .counts = {1, 2}}};
  EXPECT_TRUE(MakeBarChart(bars).has_value());
  bars.groups.push_back({.name = "test", .counts = {1}});
  EXPECT_FALSE(MakeBarChart(bars).has_value());
  MatrixChart matrix = {.id = "m", .title = "M", .names = {"a", "b"}};
  matrix.counts = {1, 2, 3};
  EXPECT_FALSE(MakeMatrixChart(matrix).has_value());
}

TEST(PlotTest, LimitsThatNoAxisCanHaveAreReplaced) {
  for (double low : {kNan, -kInfinity, -1e300, -1.0, 0.0, 1.0, 1e300}) {
    for (double high : {kNan, kInfinity, -1e300, -1.0, 0.0, 1.0, 1e300}) {
      for (int most : {-1, 0, 1, 5}) {
        for (const Axis& axis :
             {LinearAxis(low, high, most), LogAxis(low, high, most),
              WholeAxis(low, high, most)}) {
          EXPECT_LT(axis.low, axis.high) << low << " " << high;
          ASSERT_FALSE(axis.ticks.empty());
          EXPECT_LE(axis.ticks.size(), 1000u);
          for (double tick : axis.ticks) EXPECT_TRUE(std::isfinite(tick));
        }
      }
    }
  }
}

TEST(SvgTest, WhatIsNoNumberOrNoPictureIsLeftOut) {
  EXPECT_EQ(Coordinate(kNan), "0");
  EXPECT_EQ(Coordinate(-kInfinity), "0");
  const Markup markup(StandAloneSvg("<p>", 10, 10, "title"));
  ASSERT_TRUE(markup.ok());
  EXPECT_EQ(markup.All("svg").size(), 1u);
  EXPECT_EQ(markup.All("p").size(), 0u);
}

TEST(PngTest, WhatNoPngFileCanHoldIsNotEncoded) {
  const std::vector<uint8_t> pixels(6, 2);
  const std::vector<Rgb> colors(3);
  EXPECT_EQ(EncodePng({0, 6}, pixels.data()), "");
  EXPECT_EQ(EncodePng({6, 0}, pixels.data()), "");
  EXPECT_EQ(EncodePng({-1, -6}, pixels.data()), "");
  EXPECT_EQ(EncodePng({1, int64_t{1} << 32}, pixels.data()), "");
  EXPECT_NE(EncodePalettePng({2, 3}, pixels.data(), colors), "");
  EXPECT_EQ(EncodePalettePng({2, 3}, pixels.data(), {}), "");
  EXPECT_EQ(EncodePalettePng({2, 3}, pixels.data(), {colors[0], colors[1]}),
            "");
  EXPECT_EQ(EncodePalettePng({2, 3}, pixels.data(), std::vector<Rgb>(257)), "");
}

}  // namespace
}  // namespace tape
