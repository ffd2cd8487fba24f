// Layouts by Graphviz (graph_layout.h). Tested by
// tests/report/graph_picture_test.cc.
#include "framework/report/graph_layout.h"

#include <gvc.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "framework/report/shared_library.h"

namespace tape {
namespace {

double LineWidth(const BoxLine& line) {
  constexpr double kBold = 1.15;  // Times as wide.
  const double gap = line.name.empty() || line.shape.empty() ? 0 : kGap;
  return TextWidth(line.name, kFontSize) * (line.bold ? kBold : 1) + gap +
         TextWidth(line.shape, kFontSize);
}

// The type of the length that gvRenderData gives: unsigned int, until
// libgvc.so.7 made it size_t.
template <typename Length>
Length LengthOf(int (*)(GVC_t*, graph_t*, const char*, char**, Length*));
using RenderedLength = decltype(LengthOf(&gvRenderData));
constexpr bool kIsGvc7 = std::is_same_v<RenderedLength, size_t>;

struct Graphviz {
  // Most of it for fonts, and for the threads of Pango.
  SharedLibrary library{kIsGvc7 ? "libgvc.so.7" : "libgvc.so.6", "graphviz",
                        256 << 20};
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
  const absl::string_view text =
      message == nullptr ? "no layout, and no reason given" : message;
  // Where the library is alone it knows of no plugins, and has no layouts.
  const bool lacks_plugins = absl::StrContains(text, "not recognized");
  return absl::InternalError(absl::StrCat(
      "Graphviz: ", absl::StripAsciiWhitespace(text),
      lacks_plugins ? " (is Debian's package graphviz installed?)" : ""));
}

// Reads Graphviz's "plain" format (https://graphviz.org/docs/outputs/plain/):
//
//   graph scale width height
//   node name x y …
//   edge tail head n x1 y1 … xn yn …
//
// in inches, y upwards.
absl::StatusOr<GraphLayout> ReadPlain(absl::string_view text, int boxes) {
  GraphLayout layout;
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

}  // namespace

BoxSize SizeOf(const GraphBox& box) {
  double width = 0;
  for (const BoxLine& line : box.lines)
    width = std::max(width, LineWidth(line));
  return {std::ceil(width + 2 * kPadding),
          kLineHeight * box.lines.size() + 2 * kVerticalPadding};
}

absl::StatusOr<GraphLayout> LayOut(const std::vector<GraphBox>& boxes) {
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
  for (const GraphBox& box : boxes) {
    Agnode_t* node =
        graphviz.agnode(graph, text(absl::StrCat(nodes.size())), true);
    const BoxSize size = SizeOf(box);
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
  RenderedLength length = 0;
  if (graphviz.gvRenderData(context, graph, "plain", &plain, &length) != 0) {
    return LayoutError(graphviz);
  }
  const absl::Cleanup free_plain = [&] { graphviz.gvFreeRenderData(plain); };
  return ReadPlain(absl::string_view(plain, length),
                   static_cast<int>(boxes.size()));
}

}  // namespace tape
