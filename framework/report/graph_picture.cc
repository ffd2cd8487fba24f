// The graph of a model as a figure (graph_picture.h): which nodes make a box,
// and how boxes are drawn where graph_layout.h puts them. Tested by tests/report/graph_picture_test.cc.
#include "framework/report/graph_picture.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "framework/core/floating_point.h"
#include "framework/report/graph_layout.h"

namespace tape {
namespace {

constexpr int kMostBoxes = 500;

// ---- What is in the picture ----

bool IsVariable(const Node& node) { return node.variable != kNone; }
// Neither fed, nor kept, nor computed from what is.
bool IsConstant(const Node& node) {
  return node.inputs.empty() && !node.op->traits.source;
}

std::string TypeText(const TensorType& type) {
  return type.shape.rank() == 0 && type.dtype == DType::kFloat32
             ? "scalar"
             : type.ToString();
}

// "MatMul", or "Sub(1, ·)" where constants are among the inputs.
BoxLine OpLine(const Graph& graph, const Node& node) {
  std::vector<std::string> operands;
  bool has_constant = false;
  for (int input : node.inputs) {
    const Node& operand = graph.node(input);
    const bool constant = IsConstant(operand);
    has_constant |= constant;
    operands.push_back(!constant ? "·"
                       : operand.op->traits.uniform
                           ? absl::StrFormat("%.4g", operand.attributes.value)
                           : operand.op->name);
  }
  BoxLine line{.name = node.op->name};
  if (has_constant) {
    absl::StrAppend(&line.name, "(", absl::StrJoin(operands, ", "), ")");
  }
  Attributes attributes = node.attributes;
  attributes.shape = {};  // Seen in what the op makes.
  line.shape = attributes.ToString();
  return line;
}

// The boxes of what the results need.
class Boxes {
 public:
  Boxes(const Graph& graph, absl::Span<const GraphResult> results)
      : graph_(graph),
        is_needed_(graph.size()),
        readers_(graph.size()),
        box_of_(graph.size(), kNone) {
    for (const GraphResult& result : results) {
      is_needed_[result.var.id()] = true;
      names_of_[result.var.id()].push_back(result.name);
    }
    for (int id = graph.size() - 1; id >= 0; --id) {
      if (!is_needed_[id]) continue;
      const auto& inputs = graph.node(id).inputs;
      for (int input : std::set<int>(inputs.begin(), inputs.end())) {
        is_needed_[input] = true;
        ++readers_[input];
      }
    }
    for (int id = 0; id < graph.size(); ++id) {
      if (is_needed_[id]) Add(id);
    }
    for (int id : last_nodes_) AddResultLine(id);
  }

  std::vector<GraphBox> Take() && { return std::move(boxes_); }

 private:
  void Add(int id) {
    const Node& node = graph_.node(id);
    // A result is drawn, whatever it is.
    const bool is_result = names_of_.contains(id);
    if (node.op->traits.source) {
      // Variables are drawn with who reads them.
      if (!IsVariable(node) || is_result) AddSource(id);
      return;
    }
    if (IsConstant(node) && !is_result) return;

    const int box = BoxToJoin(node);
    if (box == kNone) {
      box_of_[id] = NewBox({.gradient = node.gradient_of != kNone});
    } else {
      box_of_[id] = box;
    }
    const int mine = box_of_[id];
    std::vector<int> variables;
    for (int input : node.inputs) {
      const Node& operand = graph_.node(input);
      if (IsVariable(operand) && box_of_[input] == kNone) {
        variables.push_back(input);
      } else if (box_of_[input] != kNone && box_of_[input] != mine) {
        AddInput(mine, box_of_[input]);
      }
    }
    AddLine(mine, OpLine(graph_, node), node.op->traits.view);
    AddVariables(mine, variables);
    last_nodes_[mine] = id;
  }

  // The box whose last op alone feeds this one, or kNone.
  int BoxToJoin(const Node& node) const {
    int from = kNone;
    bool has_variable = false;
    for (int input : node.inputs) {
      const Node& operand = graph_.node(input);
      if (IsConstant(operand)) continue;
      if (IsVariable(operand)) {
        has_variable = true;
      } else if (from == kNone || from == input) {
        from = input;
      } else {
        return kNone;
      }
    }
    if (from == kNone || graph_.node(from).op->traits.source ||
        readers_[from] != 1 || names_of_.contains(from)) {
      return kNone;
    }
    // A layer begins.
    if (has_variable && !node.op->traits.elementwise) return kNone;
    const Node& last = graph_.node(from);
    if ((last.gradient_of != kNone) != (node.gradient_of != kNone)) {
      return kNone;
    }
    return box_of_[from];
  }

  int NewBox(GraphBox box) {
    boxes_.push_back(std::move(box));
    last_nodes_.push_back(kNone);
    has_only_views_.push_back(true);
    return static_cast<int>(boxes_.size()) - 1;
  }

  void AddSource(int id) {
    const Node& node = graph_.node(id);
    box_of_[id] =
        NewBox({.lines = {{node.name, TypeText(node.type)}}, .source = true});
  }

  void AddInput(int box, int input) {
    std::vector<int>& inputs = boxes_[box].inputs;
    if (std::find(inputs.begin(), inputs.end(), input) == inputs.end()) {
      inputs.push_back(input);
    }
  }

  // A change of shape says something only if nothing else is there.
  void AddLine(int box, BoxLine line, bool is_view) {
    std::vector<BoxLine>& lines = boxes_[box].lines;
    if (!is_view && has_only_views_[box]) lines.clear();
    if (!is_view || has_only_views_[box]) lines.push_back(std::move(line));
    has_only_views_[box] = has_only_views_[box] && is_view;
  }

  void AddVariables(int box, const std::vector<int>& variables) {
    if (variables.empty()) return;
    auto [at, is_new] = variables_of_.try_emplace(box, kNone);
    if (is_new) {
      at->second = NewBox({.source = true, .beside = true});
      boxes_[box].inputs.push_back(at->second);
    }
    std::vector<BoxLine>& lines = boxes_[at->second].lines;
    for (int variable : variables) {
      const Node& node = graph_.node(variable);
      const bool is_there = std::any_of(
          lines.begin(), lines.end(),
          [&](const BoxLine& line) { return line.name == node.name; });
      if (!is_there) lines.push_back({node.name, TypeText(node.type)});
    }
  }

  // "loss = scalar", or just the shape of what the box gives.
  void AddResultLine(int id) {
    if (id == kNone) return;
    const auto names = names_of_.find(id);
    boxes_[box_of_[id]].lines.push_back(
        {names == names_of_.end() ? "" : absl::StrJoin(names->second, ", "),
         TypeText(graph_.node(id).type), true});
  }

  const Graph& graph_;
  std::vector<bool> is_needed_;
  std::vector<int> readers_;                          // Among the needed nodes.
  std::vector<int> box_of_;                           // Of nodes.
  std::map<int, std::vector<std::string>> names_of_;  // Of results.
  std::vector<GraphBox> boxes_;
  std::vector<int> last_nodes_;       // Of boxes of ops.
  std::vector<bool> has_only_views_;  // Of boxes.
  std::map<int, int> variables_of_;   // From a box to the box beside it.
};

// ---- Drawn ----

constexpr double kArrowLength = 8, kArrowWidth = 7;

// "10,20".
std::string At(double x, double y) {
  return absl::StrCat(Coordinate(x), ",", Coordinate(y));
}

void DrawBox(const GraphBox& box, Point centre, Svg& svg) {
  const BoxSize size = SizeOf(box);
  const double left = centre.x - size.width / 2;
  const double right = centre.x + size.width / 2;
  const double top = centre.y - size.height / 2;
  const double bottom = centre.y + size.height / 2;
  const double r = box.source ? 8 : 3;  // Of the corners.
  const auto corner = [r](double x, double y) {
    return absl::StrCat("A", At(r, r), ",0,0,1,", At(x, y));
  };
  svg.Path(absl::StrCat("M", At(left + r, top), "H", Coordinate(right - r),
                        corner(right, top + r), "V", Coordinate(bottom - r),
                        corner(right - r, bottom), "H", Coordinate(left + r),
                        corner(left, bottom - r), "V", Coordinate(top + r),
                        corner(left + r, top), "Z"),
           {.classes = absl::StrCat(box.source ? "source " : "op ",
                                    FillClass(box.beside ? 1 : 0), " axis",
                                    box.gradient ? " dashed" : ""),
            .opacity = box.source && !box.beside ? 0 : 0.1});
  for (size_t i = 0; i < box.lines.size(); ++i) {
    const BoxLine& line = box.lines[i];
    const double y = top + kVerticalPadding + kLineHeight * (i + 0.75);
    if (!line.name.empty()) {
      svg.Text(left + kPadding, y, line.name, Svg::Anchor::kStart,
               {.classes = line.bold ? "bold" : ""});
    }
    if (!line.shape.empty()) {
      svg.Text(right - kPadding, y, line.shape, Svg::Anchor::kEnd,
               {.classes = "muted"});
    }
  }
}

void DrawEdge(absl::Span<const Point> curve, Svg& svg) {
  const Point tip = curve.back();
  const Point from = curve[curve.size() - 2];
  const double length = std::hypot(tip.x - from.x, tip.y - from.y);
  // The way that the arrow flies.
  const double x = length == 0 ? 0 : (tip.x - from.x) / length;
  const double y = length == 0 ? 1 : (tip.y - from.y) / length;
  const Point base = {tip.x - kArrowLength * x, tip.y - kArrowLength * y};
  std::string d = absl::StrCat("M", At(curve[0].x, curve[0].y), "C");
  for (size_t i = 1; i < curve.size(); ++i) {
    const Point to = i + 1 < curve.size() ? curve[i] : base;
    absl::StrAppend(&d, i == 1 ? "" : " ", At(to.x, to.y));
  }
  svg.Path(d, {.classes = "edge"});
  constexpr double kHalf = kArrowWidth / 2;
  svg.Path(absl::StrCat("M", At(tip.x, tip.y), "L",
                        At(base.x - kHalf * y, base.y + kHalf * x), " ",
                        At(base.x + kHalf * y, base.y - kHalf * x), "Z"),
           {.classes = "muted"});
}

}  // namespace

absl::StatusOr<Figure> MakeGraphPicture(absl::Span<const GraphResult> results) {
  const FloatingPointScope environment;
  if (results.empty()) {
    return absl::InvalidArgumentError(
        "graph picture: expected results to draw, found none");
  }
  for (const GraphResult& result : results) {
    if (!result.var.valid()) {
      return absl::InvalidArgumentError(
          absl::StrCat("graph picture: expected a valid Var for \"",
                       result.name, "\", found one that is empty or mistaken"));
    }
    if (result.var.graph() != results[0].var.graph()) {
      return absl::InvalidArgumentError(
          absl::StrCat("graph picture: expected results of one graph, found \"",
                       results[0].name, "\" and \"", result.name, "\" of two"));
    }
  }
  const std::vector<GraphBox> boxes =
      Boxes(*results[0].var.graph(), results).Take();
  if (boxes.size() > kMostBoxes) {
    return absl::InvalidArgumentError(
        absl::StrCat("graph picture: expected at most ", kMostBoxes,
                     " boxes, found ", boxes.size()));
  }
  const absl::StatusOr<GraphLayout> layout = LayOut(boxes);
  if (!layout.ok()) return layout.status();

  const BoxSize size = {layout->size.width + 2 * kMargin,
                        layout->size.height + 2 * kMargin};
  Svg svg(size.width, size.height, "The graph of the model");
  for (const std::vector<Point>& edge : layout->edges) DrawEdge(edge, svg);
  for (size_t i = 0; i < boxes.size(); ++i) {
    DrawBox(boxes[i], layout->centres[i], svg);
  }
  return Figure{.id = "graph",
                .title = "Graph",
                .caption =
                    "A box is a run of operations, one after the other, "
                    "and the shape of what it gives; beside it stand "
                    "the variables that it reads.",
                .svg = svg.ToString(),
                .width = size.width,
                .height = size.height};
}

}  // namespace tape
