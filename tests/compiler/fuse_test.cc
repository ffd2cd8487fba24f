// Fusion (framework/compiler/fuse.h): which nodes become which steps, in what
// order, by the text of the steps of small programs.
#include "framework/compiler/fuse.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/compiler/passes.h"
#include "framework/core/basic_ops.h"
#include "framework/core/gradients.h"
#include "framework/core/graph.h"
#include "framework/runtime/program.h"
#include "ops/ops.h"
#include "tests/compiler/steps_testing.h"

namespace tape {
namespace {

Program ProgramOf(const std::vector<Var>& fetches,
                  const std::vector<Assignment>& assignments = {}) {
  const Graph& graph =
      fetches.empty() ? *assignments[0].value.graph() : *fetches[0].graph();
  EXPECT_TRUE(graph.status().ok()) << graph.status();
  return Materialize(Prune(ShareCommonSubexpressions(
      FoldConstants(Bind(Extract(graph, fetches, assignments), 4)))));
}

// A node by its name, if it has one, else its op: "w", "MatMul".
std::string Label(const Program& program, int id) {
  const Node& node = program[id];
  return node.name.empty() ? node.op->name : node.name;
}

// A line a step: "Mul+Add(x, w) -> Add".
std::string StepsText(const Program& program,
                      Fusing fusing = Fusing::kElementwise) {
  const auto label = [&](std::string* out, int id) {
    absl::StrAppend(out, Label(program, id));
  };
  std::string text;
  for (const Step& step : StepsOf(program, fusing)) {
    absl::StrAppend(&text, step.name, "(",
                    absl::StrJoin(step.inputs, ", ", label), ") -> ",
                    absl::StrJoin(step.outputs, ", ", label), "\n");
  }
  return text;
}

TEST(FuseTest, MakesOnePassOfAChain) {
  Graph graph;
  const Var x = graph.Input("x", {4, 3});
  EXPECT_EQ(StepsText(ProgramOf({Relu(Exp(Neg(x)))})),
            "Neg+Exp+Relu(x) -> Relu\n");
}

TEST(FuseTest, ReadsAnOperandOnceHoweverOftenItIsUsed) {
  Graph graph;
  const Var x = graph.Input("x", {4, 3});
  const Var square = x * x;
  const Program program = ProgramOf({square + Exp(x)});
  EXPECT_EQ(StepsText(program), "Mul+Exp+Add(x) -> Add\n");
  EXPECT_EQ(StepsOf(program, Fusing::kProductsToo)[0].code->operands.size(),
            1u);
}

TEST(FuseTest, TakesOperandsThatAreStretchedAndFillsAsConstants) {
  Graph graph;
  const Var x = graph.Input("x", {4, 3});
  const Var b = graph.Parameter("b", {3}, Zeros());
  const Program program = ProgramOf({(x + b) * 2 + 2});
  EXPECT_EQ(StepsText(program), "Add+Mul+Add(x, b) -> Add\n");
  const ElementwiseCode code = *StepsOf(program, Fusing::kProductsToo)[0].code;
  EXPECT_EQ(code.shape, (Shape{4, 3}));
  EXPECT_EQ(code.operands[1].shape, (Shape{3}));
  ASSERT_EQ(code.constants.size(), 1u);
  EXPECT_EQ(code.constants[0].value, 2);
}

// A NaN compares with nothing, and 0 equals -0; yet 1 / 0 is not 1 / -0.
TEST(FuseTest, KeepsConstantsApartThatAreNotTheSameBits) {
  Graph graph;
  const Var x = graph.Input("x", {4});
  const Program program =
      ProgramOf({x * std::nan("") + 1 + x / 0.0 + x / -0.0});
  EXPECT_EQ(StepsOf(program, Fusing::kProductsToo)[0].code->constants.size(),
            4u);
}

TEST(FuseTest, KeepsAResultThatIsReadElsewhere) {
  Graph graph;
  const Var x = graph.Input("x", {4, 4});
  const Var e = Exp(x);
  const Var y = Neg(e);
  EXPECT_EQ(StepsText(ProgramOf({y, MatMul(e, e)})),
            "Exp+Neg(x) -> Exp, Neg\n"
            "MatMul(Exp, Exp) -> MatMul\n");
}

TEST(FuseTest, KeepsAResultThatIsFetchedOrAssigned) {
  Graph graph;
  const Var w = graph.Parameter("w", {4}, Zeros());
  const Var e = Exp(w);
  const Var n = Neg(e);
  const Var y = Relu(n);
  EXPECT_EQ(StepsText(ProgramOf({y, e}, {{w, n}})),
            "Exp+Neg+Relu(w) -> Exp, Neg, Relu\n");
}

TEST(FuseTest, DoesNotFuseWhatHasAnotherShape) {
  Graph graph;
  const Var b = graph.Parameter("b", {3}, Zeros());
  const Var x = graph.Input("x", {4, 3});
  EXPECT_EQ(StepsText(ProgramOf({Neg(x + Exp(b))})),
            "Exp(b) -> Exp\n"
            "Add+Neg(x, Exp) -> Neg\n");
}

TEST(FuseTest, LeavesOutACopyThatIsReadInsideItsPass) {
  Graph graph;
  const Var b = graph.Parameter("b", {3}, Zeros());
  const Var x = graph.Input("x", {4, 3});
  EXPECT_EQ(StepsText(ProgramOf({x * BroadcastTo(b, {4, 3})})),
            "Mul(b, x) -> Mul\n");
}

TEST(FuseTest, MakesACopyThatIsReadOutside) {
  Graph graph;
  const Var b = graph.Parameter("b", {4}, Zeros());
  const Var x = graph.Input("x", {4, 4});
  EXPECT_EQ(StepsText(ProgramOf({MatMul(x, BroadcastTo(b, {4, 4}))})),
            "BroadcastTo(b) -> BroadcastTo\n"
            "MatMul(x, BroadcastTo) -> MatMul\n");
}

TEST(FuseTest, ReadsAViewWithoutAStepForIt) {
  Graph graph;
  const Var x = graph.Input("x", {4, 3});
  EXPECT_EQ(StepsText(ProgramOf({Neg(Reshape(Exp(x), {3, 4}))})),
            "Exp(x) -> Exp\n"
            "Neg(Reshape) -> Neg\n");
}

TEST(FuseTest, DoesNotFuseTwoPassesThatShareNothingButAnOperand) {
  Graph graph;
  const Var x = graph.Input("x", {4, 4});
  const Var e = Exp(x), n = Neg(x);
  EXPECT_EQ(StepsText(ProgramOf({MatMul(e, n)})),
            "Exp(x) -> Exp\n"
            "Neg(x) -> Neg\n"
            "MatMul(Exp, Neg) -> MatMul\n");
}

TEST(FuseTest, FusesWhatFeedsNobodyWithWhatReadsAnOperandOfIts) {
  Graph graph;
  const Var x = graph.Input("x", {4, 3});
  EXPECT_EQ(StepsText(ProgramOf({Exp(x), Neg(x)})), "Exp+Neg(x) -> Exp, Neg\n");
  // Later too: Exp waits for the pass that waits for a sum.
  const Var sum = SumTo(x, {1, 1});
  EXPECT_EQ(StepsText(ProgramOf({Exp(x), x * sum})),
            "SumTo(x) -> SumTo\n"
            "Exp+Mul(x, SumTo) -> Exp, Mul\n");
  // But not what is of another shape, or shares what is stretched as it is
  // read.
  const Var row = graph.Input("row", {3});
  EXPECT_EQ(StepsText(ProgramOf({x * row, Exp(row)})),
            "Mul(x, row) -> Mul\n"
            "Exp(row) -> Exp\n");
}

TEST(FuseTest, MovesWhatIsAssignedDownToThePassThatReadsIt) {
  Graph graph;
  const Var g = graph.Input("g", {4, 3});
  const Var w = graph.Parameter("w", {4, 3}, Zeros());
  const Var v = graph.State("v", {4, 3}, Zeros());
  const Var rate = Exp(graph.Input("t", {}));
  const Var new_v = v + g;
  EXPECT_EQ(StepsText(ProgramOf({}, {{v, new_v}, {w, w - rate * new_v}})),
            "Exp(t) -> Exp\n"
            "Add+Mul+Sub(v, g, Exp, w) -> Add, Sub\n");
}

// Exp -> MatMul -> Add and Exp -> Add: were Exp and Add one step, it would have
// to run both before and after MatMul.
TEST(FuseTest, DoesNotFuseADiamondThroughAKernel) {
  Graph graph;
  const Var x = graph.Input("x", {4, 4});
  const Var e = Exp(x);
  EXPECT_EQ(StepsText(ProgramOf({e + MatMul(e, x)})),
            "Exp(x) -> Exp\n"
            "MatMul(Exp, x) -> MatMul\n"
            "Add(Exp, MatMul) -> Add\n");
}

TEST(FuseTest, DoesNotFuseADiamondThroughAPassOfAnotherShape) {
  Graph graph;
  const Var x = graph.Input("x", {4, 3});
  const Var e = Exp(x);
  const Var sums = Neg(SumTo(e, {1, 3}));
  EXPECT_EQ(StepsText(ProgramOf({e + sums})),
            "Exp(x) -> Exp\n"
            "SumTo(Exp) -> SumTo\n"
            "Neg(SumTo) -> Neg\n"
            "Add(Exp, Neg) -> Add\n");
}

TEST(FuseTest, DoesNotFuseADiamondOfTwoKernelsIntoACycle) {
  Graph graph;
  const Var x = graph.Input("x", {4, 4});
  const Var a = Exp(x), b = Neg(x);
  // a + (b through a product) and b + (a through a product): were the sums one
  // step, or each one with its own operand's maker, they would wait for each
  // other.
  const Var left = a + MatMul(b, x);
  const Var right = b + MatMul(a, x);
  EXPECT_EQ(StepsText(ProgramOf({left * right})),
            "Exp(x) -> Exp\n"
            "Neg(x) -> Neg\n"
            "MatMul(Neg, x) -> MatMul\n"
            "MatMul(Exp, x) -> MatMul\n"
            "Add+Add+Mul(Exp, MatMul, Neg, MatMul) -> Mul\n");
}

// beta m could be made before the gradient is known, but belongs to the pass
// that adds the gradient to it.
TEST(FuseTest, MakesOnePassOfAdam) {
  Graph graph;
  const Var w = graph.Parameter("w", {4, 4}, Zeros());
  const Var m = graph.State("m", {4, 4}, Zeros());
  const Var v = graph.State("v", {4, 4}, Zeros());
  const Var x = graph.Input("x", {4, 4});
  const Var decayed_m = 0.9 * m, decayed_v = 0.999 * v;
  const Var g = MatMul(x, w, {.lhs = true});
  const Var new_m = decayed_m + 0.1 * g;
  const Var new_v = decayed_v + 0.001 * Square(g);
  const Var new_w = w - 0.01 * new_m / (Sqrt(new_v) + 1e-8);
  const Program program = ProgramOf({}, {{w, new_w}, {m, new_m}, {v, new_v}});
  const std::vector<Step> steps = StepsOf(program, Fusing::kElementwise);
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].name, "MatMul");
  EXPECT_EQ(steps[1].inputs.size(), 4u);   // m, v, g and w.
  EXPECT_EQ(steps[1].outputs.size(), 3u);  // Their new values.
  EXPECT_EQ(steps[1].code->instructions.size(), 12u);
}

TEST(FuseTest, KeepsTheOrderOfTheTapeWhereItIsFree) {
  Graph graph;
  const Var x = graph.Input("x", {4, 4});
  const Var first = MatMul(x, x);
  const Var second = MatMul(x, x, {.lhs = true});
  const Var third = MatMul(second, x);
  EXPECT_EQ(StepsText(ProgramOf({third, first})),
            "MatMul(x, x) -> MatMul\n"
            "MatMul(x, x) -> MatMul\n"
            "MatMul(MatMul, x) -> MatMul\n");
  EXPECT_EQ(StepsOf(ProgramOf({third, first}), Fusing::kProductsToo)[0].outputs,
            std::vector<int>{first.id()});
}

std::string StepsOverProducts(const std::vector<Var>& fetches,
                              const std::vector<Assignment>& updates = {}) {
  return StepsText(ProgramOf(fetches, updates), Fusing::kProductsToo);
}

TEST(FuseTest, TakesAProductIntoThePassThatAloneReadsIt) {
  Graph graph;
  const Var x = graph.Input("x", {4, 3});
  const Var w = graph.Parameter("w", {3, 2}, Zeros());
  const Var b = graph.Parameter("b", {2}, Zeros());
  const Program program = ProgramOf({Relu(MatMul(x, w) + b)});
  EXPECT_EQ(StepsText(program, Fusing::kProductsToo),
            "MatMul+Add+Relu(x, w, b) -> Relu\n");
  const Step step = StepsOf(program, Fusing::kProductsToo)[0];
  EXPECT_EQ(program[step.product].op->name, std::string("MatMul"));
  // The product's value comes last, and is not read from memory.
  ASSERT_EQ(step.code->operands.size(), 2u);
  EXPECT_EQ(step.code->operands[1].shape, (Shape{4, 2}));
  EXPECT_EQ(step.inputs.size(), 3u);
}

TEST(FuseTest, LeavesAProductThatIsNeededElsewhere) {
  Graph graph;
  const Var x = graph.Input("x", {4, 4});
  const Var y = graph.Input("y", {4, 4});
  const Var b = graph.Input("b", {4});
  const Var product = MatMul(x, y);
  const std::string apart = "MatMul(x, y) -> MatMul\n";
  const Var pass = Exp(product + b);
  EXPECT_EQ(StepsOverProducts({pass, product}),
            apart + "Add+Exp(MatMul, b) -> Exp\n");
  EXPECT_EQ(StepsOverProducts({pass, Sum(product, {0})}),
            apart + "Add+Exp(MatMul, b) -> Exp\nSumTo(MatMul) -> SumTo\n");
  EXPECT_EQ(StepsOverProducts({Reshape(product, {16}) * 2, pass}),
            apart +
                "Add+Exp(MatMul, b) -> Exp\n"
                "Mul(Reshape) -> Mul\n");
  // The pass may write over what both read.
  EXPECT_EQ(StepsOverProducts({product * x}),
            apart + "Mul(MatMul, x) -> Mul\n");
  // The product is stretched.
  const Var row = MatMul(graph.Input("r", {1, 4}), y);
  EXPECT_EQ(StepsOverProducts({row + x}),
            "MatMul(r, y) -> MatMul\n"
            "Add(MatMul, x) -> Add\n");
}

TEST(FuseTest, TakesInTheLargestOfTwoProducts) {
  Graph graph;
  const Var x = graph.Input("x", {4, 3});
  const Var y = graph.Input("y", {4, 5});
  const Var v = graph.Input("v", {3, 2});
  const Var w = graph.Input("w", {5, 2});
  const Var small = MatMul(x, v);
  const Var large = MatMul(y, w);
  EXPECT_EQ(StepsOverProducts({Exp(small) * large}),
            "MatMul(x, v) -> MatMul\n"
            "MatMul+Exp+Mul(y, w, MatMul) -> Mul\n");
  // Normalised rows are as large, and less work.
  const Var z = graph.Input("z", {4, 8}), row = graph.Input("row", {8});
  const Var u = graph.Input("u", {3, 8});
  EXPECT_EQ(StepsOverProducts({MatMul(x, u) * LayerNorm(z, row, row)}),
            "LayerNorm(z, row, row) -> LayerNorm\n"
            "MatMul+Mul(x, u, LayerNorm) -> Mul\n");
  EXPECT_EQ(StepsOverProducts({Exp(LayerNorm(z, row, row))}),
            "LayerNorm+Exp(z, row, row) -> Exp\n");
}

TEST(FuseTest, MakesAResultAlongWithAnotherOfTheSameOperand) {
  Graph graph;
  const Var x = graph.Input("x", {4, 3}), z = graph.Input("z", {4, 3});
  const Var a = Gelu(x), b = Gelu(z), c = Silu(x);
  const Var y = a + b + c;
  const Program program = ProgramOf({y, Gradients(Sum(y), {x})[0]});
  const std::vector<Step> steps = StepsOf(program, Fusing::kJointToo);
  ASSERT_EQ(steps.size(), 1u);
  std::vector<std::string> made;  // With what is made along in brackets.
  for (size_t i = 0; i < steps[0].nodes.size(); ++i) {
    const bool with_next = steps[0].code->instructions[i].with_next;
    made.push_back(program[steps[0].nodes[i]].op->name);
    if (with_next) made.back() += "(";
    if (i > 0 && steps[0].code->instructions[i - 1].with_next)
      made.back() += ")";
  }
  EXPECT_EQ(absl::StrJoin(made, " "),
            "Gelu( GeluSlope) Gelu Silu( SiluSlope) Add Add Mul Mul AddN");
}

TEST(FuseTest, MakesNoStepsOfNothing) {
  EXPECT_TRUE(StepsOf(Program(), Fusing::kProductsToo).empty());
}

TEST(VerifyDeathTest, AbortsOnGroupsAndStepsThatDoNotFit) {
  Graph graph;
  const Var x = graph.Input("x", {4, 4});
  const Program program = ProgramOf({Exp(MatMul(x, x))});
  std::vector<Group> groups = EachByItself(program);
  VerifyGroups(program, groups);
  std::vector<Step> steps = MakeSteps(program, groups);
  VerifySteps(program, steps);
  ASSERT_EQ(steps.size(), 2u);
  std::swap(steps[0], steps[1]);
  EXPECT_DEATH(VerifySteps(program, steps), "is_there");
  steps.pop_back();
  EXPECT_DEATH(VerifySteps(program, steps), "is_there");
  groups.push_back(groups.back());
  EXPECT_DEATH(VerifyGroups(program, groups), "times\\[id\\]");
  EXPECT_DEATH(VerifyGroups(program, {}), "times\\[id\\]");
}

}  // namespace
}  // namespace tape
