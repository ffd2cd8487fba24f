// Graph::Graphviz (graph.h): the tape as a drawing. Tested by
// tests/graphviz_test.cc.
#include "absl/strings/str_cat.h"
#include "framework/core/graph.h"

namespace tape {
namespace {

// Within a quoted string of the language. "\n" ends a line of a label, so a
// backslash of the text is doubled.
std::string Escaped(absl::string_view text) {
  std::string escaped;
  for (char c : text) {
    if (c == '\n') {
      escaped += "\\n";
      continue;
    }
    if (c == '"' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

}  // namespace

std::string Graph::Graphviz() const {
  std::string text =
      "digraph tape {\n  node [shape=box, fontname=\"sans-serif\"];\n";
  for (int id = 0; id < size(); ++id) {
    const Node& node = nodes_[id];
    const std::string attributes =
        node.op->traits.source ? "" : node.attributes.ToString();
    absl::StrAppend(&text, "  n", id, " [label=\"%", id, " ");
    absl::StrAppend(&text, Escaped(node.op->name), "\\n");
    if (!node.name.empty()) absl::StrAppend(&text, Escaped(node.name), "\\n");
    if (!attributes.empty()) absl::StrAppend(&text, Escaped(attributes), "\\n");
    absl::StrAppend(&text, Escaped(node.type.ToString()), "\\n",
                    Escaped(node.loc.ToString()), "\"");
    if (node.op->traits.source) {
      absl::StrAppend(&text, ", shape=ellipse");
    } else if (node.gradient_of != kNone) {
      absl::StrAppend(&text,
                      ", style=\"dashed,filled\", fillcolor=\"#fff0e0\"");
    }
    absl::StrAppend(&text, "];\n");
    for (int input : node.inputs) {
      absl::StrAppend(&text, "  n", input, " -> n", id,
                      node.gradient_of == kNone ? "" : " [style=dashed]",
                      ";\n");
    }
  }
  return text + "}\n";
}

}  // namespace tape
