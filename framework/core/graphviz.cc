// Graph::Graphviz (graph.h): the tape as a drawing. Tested by
// tests/core/graphviz_test.cc.
#include <algorithm>
#include <cstddef>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "framework/core/graph.h"
#include "framework/core/text.h"

namespace tape {
namespace {

// Within a quoted string of the language. "\n" ends a line of a label, so a
// backslash of the text is doubled. Control characters are escaped.
std::string Escaped(absl::string_view text) {
  std::string escaped;
  while (!text.empty()) {
    const size_t plain = std::min(text.find_first_of("\n\"\\"), text.size());
    absl::StrAppend(&escaped,
                    absl::StrReplaceAll(Printable(text.substr(0, plain)),
                                        {{"\\", "\\\\"}}));
    text.remove_prefix(plain);
    if (text.empty()) break;
    escaped += '\\';
    escaped += text[0] == '\n' ? 'n' : text[0];
    text.remove_prefix(1);
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
