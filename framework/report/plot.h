// Charts: each takes plain data and makes a Figure, a picture with its heading
// and caption. What is not finite is left out, and the caption says so. A chart
// that would be an empty frame is not made. Tested by tests/report/plot_test.cc.
//
//   const std::optional<Figure> figure = MakeLineChart(
//       {.id = "loss", .title = "Loss", .x_label = "epoch",
//        .series = {{.name = "train", .points = {{1, 0.9}, {2, 0.5}}}}});
//   if (figure) file << StandAloneSvg(*figure);
#ifndef TAPE_FRAMEWORK_REPORT_PLOT_H_
#define TAPE_FRAMEWORK_REPORT_PLOT_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "framework/report/axis.h"
#include "framework/report/svg.h"

namespace tape {

struct Figure {
  std::string id;  // Letters, digits and "-": of the element and the file.
  std::string title = {};
  std::string caption = {};      // Plain text, sentences; may be empty.
  std::string svg = {};          // An <svg> element, without colours (svg.h).
  double width = 0, height = 0;  // Of it, in user units.
};

// The figure as a file of its own.
std::string StandAloneSvg(const Figure& figure);

// ---- Charts ----

struct Point {
  double x = 0, y = 0;
};

enum class Stroke { kSolid, kDashed, kDotted };

struct Series {
  std::string name;
  std::vector<Point> points = {};
  int color = 0;
  Stroke stroke = Stroke::kSolid;
  bool in_legend = true;
};

// Curves over whole numbers, named by a legend if there are several. A point
// whose neighbours are missing is a dot; few points of few curves have dots
// all. Pointed at, each tells its numbers, unless there are more than some
// hundreds.
struct LineChart {
  std::string id, title, caption = {};
  std::string x_label = {}, y_label = {};
  std::vector<Series> series = {};
  Unit unit = Unit::kNumber;
  bool log = false;  // The y axis; what is not above 0 is then left out too.
};
std::optional<Figure> MakeLineChart(const LineChart& chart);

// Clouds of points, a colour for each series.
struct Scatter {
  std::string id, title, caption = {};
  std::string x_label = {}, y_label = {};
  std::vector<Series> series = {};
};
std::optional<Figure> MakeScatter(const Scatter& chart);

// Horizontal bars from 0 on, one of each group side by side for each category.
// Not made unless each group has a count for each category.
struct BarChart {
  struct Group {
    std::string name;
    std::vector<int64_t> counts = {};  // Of each category, at least 0.
    int color = 0;
  };
  std::string id, title, caption = {};
  std::string value_label = {};
  std::vector<std::string> categories = {};
  std::vector<Group> groups = {};
};
std::optional<Figure> MakeBarChart(const BarChart& chart);

// A square table of counts: what is on the diagonal is right, what is beside it
// is wrong, and each has a colour of its own, the stronger the larger its share
// of the row (or, of wrong ones, the nearer to the largest wrong share). Not
// made unless there is a count for each pair of names.
struct MatrixChart {
  std::string id, title, caption = {};
  std::string row_label = {}, column_label = {};
  std::vector<std::string> names = {};  // Of rows and columns.
  std::vector<int64_t> counts = {};     // [row, column], at least 0.
};
std::optional<Figure> MakeMatrixChart(const MatrixChart& chart);

// Small pictures in rows, each with lines of text below it.
struct ImageGrid {
  struct Image {
    std::string png;
    std::string title = {};  // Shown when pointed at.
    // At most as many as `lines`; the first one stands out.
    std::vector<std::string> lines = {};
  };
  // How colours are to be read: a strip of them, and what its ends mean.
  struct Scale {
    std::string png;
    std::string low, middle, high;
  };
  std::string id, title, caption = {};
  int columns = 10;        // At least 1, or there is no figure.
  double image_size = 30;  // In user units; a row is 420 wide.
  int lines = 0;           // That are kept free below each image.
  std::vector<std::string> row_names = {};  // At the left; or none.
  std::vector<Image> images = {};           // Row by row.
  std::optional<Scale> scale = std::nullopt;
};
std::optional<Figure> MakeImageGrid(const ImageGrid& grid);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_REPORT_PLOT_H_
