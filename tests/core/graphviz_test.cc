// Graph::Graphviz (framework/core/graph.h): what it says of each node, and that
// it is in the language of Graphviz, by a reader of the part of its grammar
// that is used (https://graphviz.org/doc/info/lang.html).
#include <gtest/gtest.h>

#include <cctype>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/core/calculus.h"
#include "framework/core/gradients.h"
#include "framework/core/graph.h"
#include "ops/ops.h"

namespace tape {
namespace {

// digraph ID { node [a_list]; | ID [a_list]; | ID -> ID [a_list]; … }
class Reader {
 public:
  explicit Reader(std::string text) : text_(std::move(text)) {}

  // Whether the text is of the grammar; nodes and edges are then known.
  bool Read() {
    if (!Take("digraph") || !TakeId() || !Take("{")) return false;
    while (!Take("}")) {
      if (!ReadStatement()) return false;
    }
    Skip();
    return at_ == text_.size();
  }
  std::set<std::string> nodes;
  std::vector<std::pair<std::string, std::string>> edges;
  size_t at() const { return at_; }

 private:
  void Skip() {
    while (at_ < text_.size() && std::isspace(text_[at_])) ++at_;
  }
  bool Take(const std::string& token) {
    Skip();
    if (text_.compare(at_, token.size(), token) != 0) return false;
    at_ += token.size();
    return true;
  }
  bool TakeId() {
    Skip();
    id_.clear();
    if (at_ < text_.size() && text_[at_] == '"') {
      // Ends at the first quote that no backslash stands before.
      for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) {
        if (text_[at_] == '\\') id_ += text_[at_++];
        if (at_ >= text_.size() || text_[at_] == '\n') return false;
        id_ += text_[at_];
      }
      return Take("\"");
    }
    while (at_ < text_.size() &&
           (std::isalnum(text_[at_]) || text_[at_] == '_')) {
      id_ += text_[at_++];
    }
    return !id_.empty() && !std::isdigit(id_[0]);
  }
  bool ReadAttributes() {
    if (!Take("[")) return true;
    do {
      if (!TakeId() || !Take("=") || !TakeId()) return false;
    } while (Take(","));
    return Take("]");
  }
  bool ReadStatement() {
    if (!TakeId()) return false;
    const std::string from = id_;
    if (Take("->")) {
      if (!TakeId()) return false;
      edges.emplace_back(from, id_);
    } else if (from != "node" && !nodes.insert(from).second) {
      return false;
    }
    return ReadAttributes() && Take(";");
  }

  std::string text_;
  size_t at_ = 0;
  std::string id_;
};

TEST(GraphvizTest, TellsForwardAndGradientNodesApart) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, {"net.cc", 1});
  const Var y = SumTo(Exp(x, {"net.cc", 2}), {}, {"net.cc", 3});
  Gradients(y, {x}, {}, {"net.cc", 4});
  EXPECT_EQ(graph.Graphviz(),
            "digraph tape {\n"
            "  node [shape=box, fontname=\"sans-serif\"];\n"
            "  n0 [label=\"%0 Input\\nx\\n[2]\\nnet.cc:1\", shape=ellipse];\n"
            "  n1 [label=\"%1 Exp\\n[2]\\nnet.cc:2\"];\n"
            "  n0 -> n1;\n"
            "  n2 [label=\"%2 SumTo\\n[]\\nnet.cc:3\"];\n"
            "  n1 -> n2;\n"
            "  n3 [label=\"%3 Fill\\nvalue=1\\n[]\\nnet.cc:4\", "
            "style=\"dashed,filled\", fillcolor=\"#fff0e0\"];\n"
            "  n4 [label=\"%4 BroadcastTo\\nshape=[2]\\n[2]\\nnet.cc:3\", "
            "style=\"dashed,filled\", fillcolor=\"#fff0e0\"];\n"
            "  n3 -> n4 [style=dashed];\n"
            "  n5 [label=\"%5 Mul\\n[2]\\nnet.cc:2\", "
            "style=\"dashed,filled\", fillcolor=\"#fff0e0\"];\n"
            "  n4 -> n5 [style=dashed];\n"
            "  n1 -> n5 [style=dashed];\n"
            "}\n");
}

TEST(GraphvizTest, IsOfTheGrammarWhateverNamesThereAre) {
  Graph graph;
  const Var x = graph.Input("a \"quoted\" \\ name\nin two lines", {kBatch, 3},
                            DType::kFloat32, {"dir\\net \"1\".cc", 1});
  const Var w = graph.Parameter("w{}[];->", {3}, Zeros());
  Gradients(Mean(Square(StopGradient(x) * w)), {w});
  Reader reader(graph.Graphviz());
  ASSERT_TRUE(reader.Read()) << "at byte " << reader.at() << " of\n"
                             << graph.Graphviz();
  EXPECT_EQ(reader.nodes.size(), static_cast<size_t>(graph.size()));
  size_t inputs = 0;
  for (int id = 0; id < graph.size(); ++id) {
    inputs += graph.node(id).inputs.size();
    EXPECT_TRUE(reader.nodes.contains(absl::StrCat("n", id)));
  }
  EXPECT_EQ(reader.edges.size(), inputs);
  for (const auto& [from, to] : reader.edges) {
    EXPECT_TRUE(reader.nodes.contains(from) && reader.nodes.contains(to));
  }
}

TEST(GraphvizTest, OfNothingIsAnEmptyGraph) {
  Reader reader(Graph().Graphviz());
  ASSERT_TRUE(reader.Read());
  EXPECT_TRUE(reader.nodes.empty());
}

}  // namespace
}  // namespace tape
