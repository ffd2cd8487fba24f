// The graph of a model as a figure (graph_picture.h): which nodes make a box,
// where Graphviz puts the boxes, and how they are drawn. In go Vars, out comes
// SVG. Tested by tests/report/graph_picture_test.cc.
#include "framework/report/graph_picture.h"

#include <gvc.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "framework/report/shared_library.h"

namespace tape {
namespace {

constexpr int kMostBoxes = 500;

// ---- What is in the picture ----

struct Line {
  std::string name;
  std::string shape = {};  // Or attributes: what is printed more quietly.
  bool bold = false;       // Of a result's name.
};

struct Box {
  std::vector<Line> lines = {};
  bool source = false;    // Inputs and variables.
  bool gradient = false;  // Declared by Gradients.
  bool beside = false;    // Variables, which stand beside who reads them.
  std::vector<int> inputs = {};  // Boxes.
};

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
Line OpLine(const Graph& graph, const Node& node) {
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
  Line line{.name = node.op->name};
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

  std::vector<Box> Take() && { return std::move(boxes_); }

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

  int NewBox(Box box) {
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
  void AddLine(int box, Line line, bool is_view) {
    std::vector<Line>& lines = boxes_[box].lines;
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
    std::vector<Line>& lines = boxes_[at->second].lines;
    for (int variable : variables) {
      const Node& node = graph_.node(variable);
      const bool is_there =
          std::any_of(lines.begin(), lines.end(),
                      [&](const Line& line) { return line.name == node.name; });
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
  std::vector<Box> boxes_;
  std::vector<int> last_nodes_;       // Of boxes of ops.
  std::vector<bool> has_only_views_;  // Of boxes.
  std::map<int, int> variables_of_;   // From a box to the box beside it.
};

// ---- How large, in user units ----

constexpr double kFontSize = 12;  // Of svg.h.
constexpr double kLineHeight = 16;
constexpr double kPadding = 8;          // Left and right of the text.
constexpr double kVerticalPadding = 3;  // Above and below.
constexpr double kGap = 10;             // Between a line's two texts.
constexpr double kMargin = 3;           // Around the picture.
constexpr double kArrowLength = 8, kArrowWidth = 7;

double LineWidth(const Line& line) {
  constexpr double kBold = 1.15;  // Times as wide.
  const double gap = line.name.empty() || line.shape.empty() ? 0 : kGap;
  return TextWidth(line.name, kFontSize) * (line.bold ? kBold : 1) + gap +
         TextWidth(line.shape, kFontSize);
}

struct Size {
  double width = 0, height = 0;
};

Size SizeOf(const Box& box) {
  double width = 0;
  for (const Line& line : box.lines) width = std::max(width, LineWidth(line));
  return {std::ceil(width + 2 * kPadding),
          kLineHeight * box.lines.size() + 2 * kVerticalPadding};
}

// ---- Where: Graphviz ----

struct Layout {
  Size size = {};                              // Without the margin.
  std::vector<Point> centres = {};             // Of boxes.
  std::vector<std::vector<Point>> edges = {};  // Bézier curves, end to end.
};

struct Graphviz {
  // Most of it for fonts, and for the threads of Pango.
  SharedLibrary library{"libgvc.so.6", "libgvc6", 256 << 20};
  TAPE_FUNCTION_OF(library, gvContext);
  TAPE_FUNCTION_OF(library, gvFreeContext);
  TAPE_FUNCTION_OF(library, gvLayout);
  TAPE_FUNCTION_OF(library, gvFreeLayout);
  TAPE_FUNCTION_OF(library, gvRenderData);
  TAPE_FUNCTION_OF(library, gvFreeRenderData);
  TAPE_FUNCTION_OF(library, agopen);
  TAPE_FUNCTION_OF(library, agclose);
  TAPE_FUNCTION_OF(library, agnode);
  TAPE_FUNCTION_OF(library, agedge);
  TAPE_FUNCTION_OF(library, agsubg);
  TAPE_FUNCTION_OF(library, agsubnode);
  TAPE_FUNCTION_OF(library, agsafeset);
  TAPE_FUNCTION_OF(library, agattr);
  TAPE_FUNCTION_OF(library, agseterr);
  TAPE_FUNCTION_OF(library, aglasterr);
};

constexpr double kInch = 72;  // User units, of which Graphviz's figures are.

absl::Status LayoutError(const Graphviz& graphviz) {
  const char* message = graphviz.aglasterr();
  return absl::InternalError(absl::StrCat(
      "Graphviz: ",
      message == nullptr ? "no layout, and no reason given" : message));
}

// Reads Graphviz's "plain" format (https://graphviz.org/docs/outputs/plain/):
//
//   graph scale width height
//   node name x y …
//   edge tail head n x1 y1 … xn yn …
//
// in inches, y upwards.
absl::StatusOr<Layout> ReadPlain(absl::string_view text, int boxes) {
  Layout layout;
  layout.centres.resize(boxes);
  const auto broken = [](absl::string_view line) {
    return absl::InternalError(absl::StrCat(
        "Graphviz: expected a line of its plain format, found \"", line, "\""));
  };
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    const auto number = [&](size_t at, double* value) {
      return at < words.size() && absl::SimpleAtod(words[at], value);
    };
    const auto point = [&](size_t at, Point* p) {
      if (!number(at, &p->x) || !number(at + 1, &p->y)) return false;
      p->x = kMargin + p->x * kInch;
      p->y = kMargin + layout.size.height - p->y * kInch;
      return true;
    };
    if (words[0] == "graph") {
      if (!number(2, &layout.size.width) || !number(3, &layout.size.height)) {
        return broken(line);
      }
      layout.size.width *= kInch;
      layout.size.height *= kInch;
    } else if (words[0] == "node") {
      int box = 0;
      if (words.size() < 2 || !absl::SimpleAtoi(words[1], &box) || box < 0 ||
          box >= boxes || !point(2, &layout.centres[box])) {
        return broken(line);
      }
    } else if (words[0] == "edge") {
      int count = 0;
      if (words.size() < 4 || !absl::SimpleAtoi(words[3], &count) ||
          count < 4 || count > static_cast<int>(words.size())) {
        return broken(line);
      }
      std::vector<Point> curve(count);
      for (int i = 0; i < count; ++i) {
        if (!point(4 + 2 * i, &curve[i])) return broken(line);
      }
      layout.edges.push_back(std::move(curve));
    }
  }
  return layout;
}

absl::StatusOr<Layout> LayOut(const std::vector<Box>& boxes) {
  static const Graphviz& graphviz = *new Graphviz;
  if (!graphviz.library.status().ok()) return graphviz.library.status();
  // What it has to say is for the Status, not for standard error.
  graphviz.agseterr(AGMAX);

  // The libraries' interfaces take char*, and change nothing.
  const auto text = [](absl::string_view string) {
    return const_cast<char*>(string.data());
  };
  Agdesc_t directed = {};
  directed.directed = 1;
  directed.maingraph = 1;
  Agraph_t* graph = graphviz.agopen(text("picture"), directed, nullptr);
  const absl::Cleanup close = [&] { graphviz.agclose(graph); };
  const auto set = [&](int kind, const char* name, const char* value) {
    graphviz.agattr(graph, kind, text(name), text(value));
  };
  set(AGRAPH, "nodesep", "0.25");
  set(AGRAPH, "ranksep", "0.36");
  set(AGNODE, "shape", "box");
  set(AGNODE, "fixedsize", "true");
  set(AGNODE, "label", "");
  // Its "plain" leaves arrowheads out; curves then end at the boxes.
  set(AGEDGE, "arrowhead", "none");

  std::vector<Agnode_t*> nodes;
  for (const Box& box : boxes) {
    Agnode_t* node =
        graphviz.agnode(graph, text(absl::StrCat(nodes.size())), true);
    const Size size = SizeOf(box);
    for (const auto& [name, px] :
         {std::pair("width", size.width), std::pair("height", size.height)}) {
      graphviz.agsafeset(node, text(name),
                         text(absl::StrFormat("%.4f", px / kInch)), text(""));
    }
    nodes.push_back(node);
  }
  for (size_t i = 0; i < boxes.size(); ++i) {
    for (int input : boxes[i].inputs) {
      graphviz.agedge(graph, nodes[input], nodes[i], nullptr, true);
      if (!boxes[input].beside) continue;
      Agraph_t* same =
          graphviz.agsubg(graph, text(absl::StrCat("same", i)), true);
      graphviz.agsafeset(same, text("rank"), text("same"), text(""));
      graphviz.agsubnode(same, nodes[input], true);
      graphviz.agsubnode(same, nodes[i], true);
    }
  }

  // Inputs at the top, where they would else stand just above their readers,
  // and make the picture wide there.
  Agraph_t* top = graphviz.agsubg(graph, text("inputs"), true);
  graphviz.agsafeset(top, text("rank"), text("source"), text(""));
  for (size_t i = 0; i < boxes.size(); ++i) {
    if (boxes[i].source && !boxes[i].beside) {
      graphviz.agsubnode(top, nodes[i], true);
    }
  }

  GVC_t* context = graphviz.gvContext();
  const absl::Cleanup free_context = [&] { graphviz.gvFreeContext(context); };
  if (graphviz.gvLayout(context, graph, "dot") != 0) {
    return LayoutError(graphviz);
  }
  const absl::Cleanup free_layout = [&] {
    graphviz.gvFreeLayout(context, graph);
  };
  char* plain = nullptr;
  unsigned int length = 0;
  if (graphviz.gvRenderData(context, graph, "plain", &plain, &length) != 0) {
    return LayoutError(graphviz);
  }
  const absl::Cleanup free_plain = [&] { graphviz.gvFreeRenderData(plain); };
  return ReadPlain(absl::string_view(plain, length),
                   static_cast<int>(boxes.size()));
}

// ---- Drawn ----

// "10,20".
std::string At(double x, double y) {
  return absl::StrCat(Coordinate(x), ",", Coordinate(y));
}

void DrawBox(const Box& box, Point centre, Svg& svg) {
  const Size size = SizeOf(box);
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
    const Line& line = box.lines[i];
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

void DrawEdge(std::vector<Point> curve, Svg& svg) {
  const Point tip = curve.back();
  const Point from = curve[curve.size() - 2];
  const double length = std::hypot(tip.x - from.x, tip.y - from.y);
  // The way that the arrow flies.
  const double x = length == 0 ? 0 : (tip.x - from.x) / length;
  const double y = length == 0 ? 1 : (tip.y - from.y) / length;
  const Point base = {tip.x - kArrowLength * x, tip.y - kArrowLength * y};
  curve.back() = base;
  std::string d = absl::StrCat("M", At(curve[0].x, curve[0].y), "C");
  for (size_t i = 1; i < curve.size(); ++i) {
    absl::StrAppend(&d, i == 1 ? "" : " ", At(curve[i].x, curve[i].y));
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
  const std::vector<Box> boxes = Boxes(*results[0].var.graph(), results).Take();
  if (boxes.size() > kMostBoxes) {
    return absl::InvalidArgumentError(
        absl::StrCat("graph picture: expected at most ", kMostBoxes,
                     " boxes, found ", boxes.size()));
  }
  const absl::StatusOr<Layout> layout = LayOut(boxes);
  if (!layout.ok()) return layout.status();

  const Size size = {layout->size.width + 2 * kMargin,
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
