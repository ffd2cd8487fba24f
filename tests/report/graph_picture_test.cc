// The graph of a model as a figure (framework/report/graph_picture.h): which
// boxes there are, what they say, and where they lie.
#include "framework/report/graph_picture.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "framework/core/calculus.h"
#include "framework/core/gradients.h"
#include "framework/optim/optimizer.h"
#include "framework/optim/transform.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/experiment.h"
#include "models/run.h"
#include "ops/ops.h"

namespace tape {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

struct Drawn {
  double left, top, right, bottom;
  std::string classes;
  // The texts within, a line each, its parts joined by " | ".
  std::string text = {};
};

struct Arrow {
  int from, to;  // Boxes.
};

struct Picture {
  Figure figure;
  std::vector<Drawn> boxes;
  std::vector<Arrow> arrows;

  std::vector<std::string> texts() const {
    std::vector<std::string> texts;
    for (const Drawn& box : boxes) texts.push_back(box.text);
    return texts;
  }
  // "a -> b", by the boxes' first words.
  std::vector<std::string> edges() const {
    const auto name = [&](int box) {
      const std::string& text = boxes[box].text;
      return text.substr(0, text.find_first_of(" \n"));
    };
    std::vector<std::string> edges;
    for (const Arrow& arrow : arrows) {
      edges.push_back(absl::StrCat(name(arrow.from), " -> ", name(arrow.to)));
    }
    return edges;
  }
};

std::vector<double> Numbers(absl::string_view text) {
  std::vector<double> numbers;
  for (absl::string_view word :
       absl::StrSplit(text, absl::ByAnyChar("MHVACLZ, "), absl::SkipEmpty())) {
    double number = 0;
    EXPECT_TRUE(absl::SimpleAtod(word, &number)) << text;
    numbers.push_back(number);
  }
  return numbers;
}

// The value of an attribute in an element's text.
std::string Attribute(absl::string_view element, absl::string_view name) {
  const std::string begin = absl::StrCat(" ", name, "=\"");
  const size_t at = element.find(begin);
  if (at == absl::string_view::npos) return "";
  element.remove_prefix(at + begin.size());
  return std::string(element.substr(0, element.find('"')));
}

double Number(absl::string_view element, absl::string_view name) {
  return Numbers(Attribute(element, name)).at(0);
}

int BoxAt(const Picture& picture, double x, double y) {
  constexpr double kNear = 1.5;
  for (size_t i = 0; i < picture.boxes.size(); ++i) {
    const Drawn& box = picture.boxes[i];
    if (x > box.left - kNear && x < box.right + kNear && y > box.top - kNear &&
        y < box.bottom + kNear) {
      return static_cast<int>(i);
    }
  }
  return -1;
}

// Reads the figure's SVG back. An arrow is a curve and, after it, its head,
// which begins at the tip.
Picture Draw(absl::Span<const GraphResult> results) {
  Picture picture;
  absl::StatusOr<Figure> figure = MakeGraphPicture(results);
  EXPECT_TRUE(figure.ok()) << figure.status();
  if (!figure.ok()) return picture;
  picture.figure = *std::move(figure);
  struct Ends {
    double x1, y1, x2, y2;
  };
  std::vector<Ends> ends;
  double line = 0;
  for (absl::string_view element :
       absl::StrSplit(picture.figure.svg, '<', absl::SkipEmpty())) {
    const std::string classes = Attribute(element, "class");
    if (absl::StartsWith(element, "text")) {
      Drawn& box = picture.boxes.back();
      const double y = Number(element, "y");
      absl::StrAppend(&box.text,
                      box.text.empty() ? ""
                      : y == line      ? " | "
                                       : "\n",
                      element.substr(element.find('>') + 1));
      line = y;
      EXPECT_GT(y, box.top + 10);
      EXPECT_LT(y, box.bottom - 3);
    } else if (absl::StartsWith(element, "path")) {
      const std::string d = Attribute(element, "d");
      const std::vector<double> n = Numbers(d);
      if (classes == "edge") {
        ends.push_back({n[0], n[1], 0, 0});
      } else if (classes == "muted") {
        ends.back().x2 = n[0];
        ends.back().y2 = n[1];
      } else {
        // "M left+r,top H right-r A r,r,0,0,1,right,top+r V bottom-r …"
        const double r = n[3];
        picture.boxes.push_back({.left = n[0] - r,
                                 .top = n[1],
                                 .right = n[2] + r,
                                 .bottom = n[10] + r,
                                 .classes = classes});
      }
    }
  }
  for (const Ends& end : ends) {
    picture.arrows.push_back(
        {BoxAt(picture, end.x1, end.y1), BoxAt(picture, end.x2, end.y2)});
    EXPECT_NE(picture.arrows.back().from, -1);
    EXPECT_NE(picture.arrows.back().to, -1);
  }
  return picture;
}

// Boxes within the picture, none over another.
void ExpectReadable(const Picture& picture) {
  for (const Drawn& a : picture.boxes) {
    EXPECT_GE(a.left, 0) << a.text;
    EXPECT_GE(a.top, 0) << a.text;
    EXPECT_LE(a.right, picture.figure.width) << a.text;
    EXPECT_LE(a.bottom, picture.figure.height) << a.text;
    EXPECT_LT(a.left + 10, a.right) << a.text;
    EXPECT_LT(a.top + 10, a.bottom) << a.text;
    for (const Drawn& b : picture.boxes) {
      if (&a == &b) continue;
      EXPECT_TRUE(a.right < b.left || b.right < a.left || a.bottom < b.top ||
                  b.bottom < a.top)
          << a.text << "\nand\n"
          << b.text;
    }
  }
}

Classifier Declare(const std::string& name, Graph& graph) {
  const Experiment* experiment = FindExperiment(name).value();
  return experiment->declare(graph, 784, experiment->defaults, 1000);
}

TEST(GraphPictureTest, IsTheForwardModelOfAnExperiment) {
  Graph graph;
  const Classifier model = Declare("fashion_40_leaky", graph);
  const Picture picture =
      Draw({{"loss", model.loss}, {"predicted", model.predicted}});
  ExpectReadable(picture);
  EXPECT_THAT(picture.texts(),
              UnorderedElementsAre(
                  "images | uint8[batch,784]", "labels | int32[batch]",
                  "Cast\nMul(·, 0.003922)\n[batch,784]",
                  "layer1/w | [784,40]\nlayer1/b | [40]",
                  "MatMul\nAdd\nLeakyRelu | value=0.01\n[batch,40]",
                  "layer2/w | [40,10]\nlayer2/b | [10]",
                  "MatMul\nAdd\nLeakyRelu | value=0.01\n[batch,10]",
                  "SoftmaxCrossEntropy\nMeanTo(·, ElementCount)\nloss | scalar",
                  "ArgMax | axis=-1\npredicted | int32[batch]"));
  EXPECT_THAT(picture.edges(),
              UnorderedElementsAre(
                  "images -> Cast", "Cast -> MatMul", "layer1/w -> MatMul",
                  "MatMul -> MatMul", "layer2/w -> MatMul",
                  "MatMul -> SoftmaxCrossEntropy",
                  "labels -> SoftmaxCrossEntropy", "MatMul -> ArgMax"));
}

TEST(GraphPictureTest, RunsFromTheInputsAtTheTopDownwards) {
  Graph graph;
  const Classifier model = Declare("mnist_500_250_100_relu", graph);
  const Picture picture =
      Draw({{"loss", model.loss}, {"predicted", model.predicted}});
  for (const Arrow& arrow : picture.arrows) {
    const Drawn& from = picture.boxes[arrow.from];
    const Drawn& to = picture.boxes[arrow.to];
    if (absl::StartsWith(from.text, "layer")) continue;  // Stands beside.
    EXPECT_LT(from.bottom, to.top) << from.text << "\nto\n" << to.text;
  }
  for (const Drawn& box : picture.boxes) {
    const bool is_input = absl::StartsWith(box.text, "images") ||
                          absl::StartsWith(box.text, "labels");
    EXPECT_EQ(box.top < 10, is_input) << box.text;
  }
}

// Of every experiment, whatever it declares: what is read is drawn, and the
// picture fits a page.
TEST(GraphPictureTest, IsReadableForEveryExperiment) {
  for (const Experiment& experiment : Experiments()) {
    SCOPED_TRACE(absl::StrCat(experiment.name, " ", experiment.variant));
    Graph graph;
    const Classifier model =
        experiment.declare(graph, 784, experiment.defaults, 1000);
    const Picture picture =
        Draw({{"loss", model.loss}, {"predicted", model.predicted}});
    ExpectReadable(picture);
    EXPECT_LT(picture.figure.width, 620);
    const std::string all = absl::StrJoin(picture.texts(), "\n");
    for (Var parameter : graph.parameters()) {
      EXPECT_THAT(all, HasSubstr(std::string(graph.NameOf(parameter))));
    }
    EXPECT_THAT(all, Not(HasSubstr("adam")));
    EXPECT_THAT(all, AllOf(HasSubstr("images | "), HasSubstr("labels | "),
                           HasSubstr("loss | scalar"),
                           HasSubstr("predicted | int32[batch]")));
    EXPECT_THAT(picture.figure.svg, Not(HasSubstr("dashed")));
  }
}

TEST(GraphPictureTest, LeavesOutWhatNoResultNeeds) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 2});
  const Var w = graph.Parameter("w", {2, 3}, Glorot());
  const Var y = MatMul(x, w);
  const Var other = Exp(y);
  const Var loss = Mean(Tanh(y));
  Chain(Adam({})).Apply(graph.parameters(),
                        Gradients(loss, graph.parameters()));
  const Picture picture = Draw({{"y", y}});
  EXPECT_THAT(picture.texts(),
              UnorderedElementsAre("x | [batch,2]", "w | [2,3]",
                                   "MatMul\ny | [batch,3]"));
  EXPECT_THAT(Draw({{"e", other}}).texts(),
              Contains("MatMul\nExp\ne | [batch,3]"));
}

TEST(GraphPictureTest, EndsABoxWhereSomebodyElseReads) {
  Graph graph;
  const Var x = graph.Input("x", {4});
  const Var a = Exp(x);
  const Var b = Tanh(a);
  EXPECT_THAT(Draw({{"b", b}}).texts(),
              UnorderedElementsAre("x | [4]", "Exp\nTanh\nb | [4]"));
  // A result, or what two read.
  const Picture results = Draw({{"a", a}, {"b", b}});
  EXPECT_THAT(results.texts(),
              UnorderedElementsAre("x | [4]", "Exp\na | [4]", "Tanh\nb | [4]"));
  EXPECT_THAT(results.edges(), UnorderedElementsAre("x -> Exp", "Exp -> Tanh"));
  const Picture shared = Draw({{"y", Sin(a) + b}});
  EXPECT_THAT(shared.edges(),
              UnorderedElementsAre("x -> Exp", "Exp -> Tanh", "Exp -> Sin",
                                   "Tanh -> Add", "Sin -> Add"));
}

TEST(GraphPictureTest, WritesConstantsWhereTheyStand) {
  Graph graph;
  const Var x = graph.Input("x", {4});
  EXPECT_THAT(Draw({{"y", 1 - x * 0.25}}).texts(),
              Contains("Mul(·, 0.25)\nSub(1, ·)\ny | [4]"));
}

TEST(GraphPictureTest, ShowsAChangeOfShapeOnlyWhereThereIsNothingElse) {
  Graph graph;
  const Var x = graph.Input("x", {4});
  EXPECT_THAT(Draw({{"y", Reshape(Exp(Reshape(x, {2, 2})), {1, 4})}}).texts(),
              Contains("Exp\ny | [1,4]"));
  EXPECT_THAT(Draw({{"y", Reshape(x, {2, 2})}}).texts(),
              Contains("Reshape\ny | [2,2]"));
}

TEST(GraphPictureTest, DrawsAVariableBesideEachBoxThatReadsIt) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 2});
  const Var w = graph.Parameter("w", {2, 2}, Glorot());
  const Picture picture = Draw({{"y", MatMul(Tanh(MatMul(x, w) * 2), w)}});
  EXPECT_THAT(picture.edges(),
              UnorderedElementsAre("x -> MatMul", "w -> MatMul",
                                   "MatMul -> MatMul", "w -> MatMul"));
  for (const Arrow& arrow : picture.arrows) {
    const Drawn& from = picture.boxes[arrow.from];
    const Drawn& to = picture.boxes[arrow.to];
    if (!absl::StartsWith(from.text, "w")) continue;
    EXPECT_NEAR((from.top + from.bottom) / 2, (to.top + to.bottom) / 2, 1);
  }
}

TEST(GraphPictureTest, DrawsResultsThatAreNotComputed) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Var w = graph.Parameter("w", {2}, Glorot());
  const Var c = Fill(&graph, {2}, 3);
  EXPECT_THAT(
      Draw({{"x", x}, {"w", w}, {"c", c}}).texts(),
      UnorderedElementsAre("x | [2]", "w | [2]", "Fill | value=3\nc | [2]"));
  // A variable that is a result is drawn as such, and read from there.
  EXPECT_THAT(Draw({{"w", w}, {"y", Exp(w)}}).edges(),
              UnorderedElementsAre("w -> Exp"));
}

TEST(GraphPictureTest, NamesAResultThatIsTwo) {
  Graph graph;
  const Var y = Exp(graph.Input("x", {2}));
  EXPECT_THAT(Draw({{"a", y}, {"b", y}}).texts(), Contains("Exp\na, b | [2]"));
}

TEST(GraphPictureTest, DashesWhatGradientsDeclared) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Var dx = Gradients(Sum(Exp(x)), {x})[0];
  const Picture picture = Draw({{"penalty", Sum(Square(dx))}});
  int dashed = 0;
  for (const Drawn& box : picture.boxes) {
    const bool is_dashed = absl::StrContains(box.classes, "dashed");
    dashed += is_dashed;
    EXPECT_FALSE(is_dashed && absl::StrContains(box.text, "penalty"));
    EXPECT_FALSE(is_dashed && absl::StrContains(box.text, "Exp"));
  }
  EXPECT_GT(dashed, 0);
}

TEST(GraphPictureTest, EscapesNames) {
  Graph graph;
  const Var x = graph.Input("<a & \"b\">", {2});
  EXPECT_THAT(Draw({{"<y>", Exp(x)}}).texts(),
              UnorderedElementsAre("&lt;a &amp; &quot;b&quot;&gt; | [2]",
                                   "Exp\n&lt;y&gt; | [2]"));
}

TEST(GraphPictureTest, IsTheSameEachTime) {
  Graph graph;
  const Classifier model = Declare("mnist_500_250_100_relu", graph);
  const std::vector<GraphResult> results = {{"loss", model.loss},
                                            {"predicted", model.predicted}};
  EXPECT_EQ(MakeGraphPicture(results)->svg, MakeGraphPicture(results)->svg);
}

TEST(GraphPictureTest, RefusesWhatItCannotDraw) {
  Graph graph, other;
  const Var x = graph.Input("x", {2});
  const auto message = [](absl::Span<const GraphResult> results) {
    return std::string(MakeGraphPicture(results).status().message());
  };
  EXPECT_EQ(message({}), "graph picture: expected results to draw, found none");
  EXPECT_EQ(message({{"x", x}, {"y", Var()}}),
            "graph picture: expected a valid Var for \"y\", found one that is "
            "empty or mistaken");
  EXPECT_EQ(message({{"x", MatMul(x, x)}}),
            "graph picture: expected a valid Var for \"x\", found one that is "
            "empty or mistaken");
  EXPECT_EQ(message({{"x", x}, {"y", other.Input("y", {2})}}),
            "graph picture: expected results of one graph, found \"x\" and "
            "\"y\" of two");
}

TEST(GraphPictureTest, DrawsLongChainsAsOneBoxAndRefusesTooManyBoxes) {
  Graph graph;
  Var y = graph.Input("x", {2});
  for (int i = 0; i < 498; ++i) y = Exp(y) + y;
  EXPECT_EQ(MakeGraphPicture({{"y", y}}).status().message(),
            "graph picture: expected at most 500 boxes, found 997");
  Var z = graph.Input("z", {2});
  for (int i = 0; i < 1000; ++i) z = Tanh(z);
  EXPECT_EQ(Draw({{"z", z}}).boxes.size(), 2u);
}

}  // namespace
}  // namespace tape
