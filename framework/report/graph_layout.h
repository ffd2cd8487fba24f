// Where the boxes and edges of a graph's picture lie: Graphviz says it. Tested by
// tests/report/graph_picture_test.cc.
#ifndef TAPE_FRAMEWORK_REPORT_GRAPH_LAYOUT_H_
#define TAPE_FRAMEWORK_REPORT_GRAPH_LAYOUT_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "framework/report/plot.h"

namespace tape {

struct BoxLine {
  std::string name;
  std::string shape = {};  // Or attributes: what is printed more quietly.
  bool bold = false;       // Of a result's name.
};

struct GraphBox {
  std::vector<BoxLine> lines = {};
  bool source = false;    // Inputs and variables.
  bool gradient = false;  // Declared by Gradients.
  bool beside = false;    // Variables, which stand beside who reads them.
  std::vector<int> inputs = {};  // Boxes.
};

// In user units.
struct BoxSize {
  double width = 0, height = 0;
};

// Fonts and room of boxes.
inline constexpr double kFontSize = 12;  // Of svg.h.
inline constexpr double kLineHeight = 16;
inline constexpr double kPadding = 8;          // Left and right of the text.
inline constexpr double kVerticalPadding = 3;  // Above and below.
inline constexpr double kMargin = 3;           // Around the picture.
inline constexpr double kGap = 10;             // Between a line's two texts.

// How large a box is, so that its lines have room.
BoxSize SizeOf(const GraphBox& box);

struct GraphLayout {
  BoxSize size = {};                           // Without the margin.
  std::vector<Point> centres = {};             // Of boxes.
  std::vector<std::vector<Point>> edges = {};  // Bézier curves, end to end.
};

// The layout of the boxes from top to bottom, by Graphviz's dot. Errors: its
// library is not there, or gives none.
absl::StatusOr<GraphLayout> LayOut(const std::vector<GraphBox>& boxes);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_REPORT_GRAPH_LAYOUT_H_
