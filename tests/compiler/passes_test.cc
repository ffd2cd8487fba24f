// The compiler's own copy of a tape (framework/runtime/program.h), and each
// pass that rewrites it (passes.h), by the text of the program before and
// after.
#include "framework/compiler/passes.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "framework/compiler/compile.h"
#include "framework/compiler/verify.h"
#include "framework/core/basic_ops.h"
#include "framework/core/graph.h"
#include "framework/runtime/program.h"
#include "ops/ops.h"

namespace tape {
namespace {

Program ProgramOf(const std::vector<Var>& fetches,
                  const std::vector<Assignment>& assignments = {},
                  int64_t batch = 4) {
  const Graph& graph =
      fetches.empty() ? *assignments[0].value.graph() : *fetches[0].graph();
  EXPECT_TRUE(graph.status().ok()) << graph.status();
  return Bind(Extract(graph, fetches, assignments), batch);
}

// What a pass makes of a program, which the verifier must accept.
std::string Rewritten(Program (*pass)(Program), Program program) {
  Verify(program);
  const Program result = pass(std::move(program));
  Verify(result);
  return Dump(result);
}

// ---- Program ----

TEST(ProgramTest, HoldsWhatTheFetchesAndUpdatesNeed) {
  Graph graph;
  const Var unused = graph.Input("unused", {2});
  const Var x = graph.Input("x", {kBatch, 2});
  const Var w = graph.Parameter("w", {2}, Zeros());
  const Var s = graph.State("s", {2}, Zeros());
  Exp(x + unused);
  const Var y = x * w;
  const Program program = Extract(graph, {y}, {{w, s + 1}});
  EXPECT_EQ(Dump(program),
            "%0 = Input(\"x\") [batch,2]\n"
            "%1 = Variable(\"w\") [2]\n"
            "%2 = Variable(\"s\") [2]\n"
            "%3 = Mul(%0, %1) [batch,2]\n"
            "%4 = Fill(value=1) []\n"
            "%5 = Add(%2, %4) [2]\n"
            "fetch %3\n"
            "variable 0 becomes %5\n");
  EXPECT_EQ(program.Inputs(), (std::vector<int>{0}));
  EXPECT_EQ(program.tape_ids[0], x.id());
  EXPECT_EQ(program.tape_ids[3], y.id());
}

TEST(ProgramTest, BindsTheBatchInTypesAndAttributes) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 2});
  const Var y = x + Fill(&graph, {kBatch, 1}, 3);
  EXPECT_EQ(Dump(Bind(Extract(graph, {y}, {}), 4)),
            "%0 = Input(\"x\") [4,2]\n"
            "%1 = Fill(value=3, shape=[4,1]) [4,1]\n"
            "%2 = Add(%0, %1) [4,2]\n"
            "fetch %2\n");
}

TEST(ProgramTest, SeesAViewInTheMemoryOfItsSource) {
  Graph graph;
  const Var x = graph.Input("x", {6});
  const Var y = Reshape(Exp(x), {2, 3});
  const Program program = ProgramOf({Reshape(y, {3, 2})});
  EXPECT_EQ(program.StorageOf(3), 1);
  EXPECT_EQ(program.StorageOf(1), 1);
  EXPECT_EQ(program.StorageOf(0), 0);
}

TEST(VerifyDeathTest, AbortsOnANodeThatStandsBeforeItsInput) {
  Graph graph;
  Program program = ProgramOf({Exp(graph.Input("x", {2}))});
  program.nodes[1].inputs[0] = 1;
  EXPECT_DEATH(Verify(program), "input < id \\(1 against 1\\)");
}

// The error that Verify throws.
absl::Status VerifyError(const Program& program) {
  try {
    Verify(program, "some_pass");
  } catch (const StatusError& error) {
    return error.status();
  }
  return absl::OkStatus();
}

TEST(VerifyTest, ReportsATypeThatTheOpDoesNotGive) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  Program program = ProgramOf({Exp(x, Loc{"net.cc", 7})});
  program.nodes[1].type.shape = Shape{3};
  EXPECT_EQ(VerifyError(program),
            absl::InternalError("net.cc:7: Exp: has type [3], but its op gives "
                                "[2], after the pass some_pass"));
}

TEST(VerifyTest, ReportsInputsThatTheOpRefuses) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  Program program = ProgramOf({Exp(x, Loc{"net.cc", 7})});
  program.nodes[0].type.dtype = DType::kInt32;
  program.nodes[0].attributes.dtype = DType::kInt32;
  EXPECT_EQ(VerifyError(program),
            absl::InternalError("net.cc:7: Exp: expected float32, found int32, "
                                "after the pass some_pass"));
}

TEST(VerifyDeathTest, AbortsOnAFetchOrUpdateOfNoNode) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  Program fetch = ProgramOf({x}), update = ProgramOf({x});
  fetch.fetches[0] = 1;
  update.updates.push_back({0, 1});
  EXPECT_DEATH(Verify(fetch), "fetch < program.size\\(\\) \\(1 against 1\\)");
  EXPECT_DEATH(Verify(update),
               "update.value < program.size\\(\\) \\(1 against 1\\)");
}

// ---- FoldConstants ----

TEST(FoldConstantsTest, MakesAFillOfAnElementwiseNodeOfFills) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Var y = x * Exp(Fill(&graph, {}, 2) - 2);
  EXPECT_EQ(Rewritten(FoldConstants, ProgramOf({y})),
            "%0 = Input(\"x\") [2]\n"
            "%1 = Fill(value=2) []\n"
            "%2 = Fill(value=2) []\n"
            "%3 = Fill() []\n"
            "%4 = Fill(value=1) []\n"
            "%5 = Mul(%0, %4) [2]\n"
            "fetch %5\n");
}

TEST(FoldConstantsTest, KeepsTheShapeAndDTypeOfAFoldedNode) {
  Graph graph;
  const Var ones = Fill(&graph, {kBatch, 1}, 1);
  const Var more = BroadcastTo(ones, {kBatch, 3});
  const Var y = Equal(more, Fill(&graph, {}, 1));
  EXPECT_EQ(Rewritten(FoldConstants, ProgramOf({y})),
            "%0 = Fill(value=1, shape=[4,1]) [4,1]\n"
            "%1 = Fill(value=1, shape=[4,3]) [4,3]\n"
            "%2 = Fill(value=1) []\n"
            "%3 = Fill(value=1, dtype=uint8, shape=[4,3]) uint8[4,3]\n"
            "fetch %3\n");
}

TEST(FoldConstantsTest, SeesThroughAView) {
  Graph graph;
  const Var y = Neg(Reshape(Fill(&graph, {6}, 5), {2, 3}));
  EXPECT_EQ(Rewritten(FoldConstants, ProgramOf({y})),
            "%0 = Fill(value=5, shape=[6]) [6]\n"
            "%1 = Fill(value=5, shape=[2,3]) [2,3]\n"
            "%2 = Fill(value=-5, shape=[2,3]) [2,3]\n"
            "fetch %2\n");
}

TEST(FoldConstantsTest, CountsElementsOnceTheBatchIsKnown) {
  Graph graph;
  const Var n = ElementCount(&graph, {kBatch, 3});
  EXPECT_EQ(Rewritten(FoldConstants, ProgramOf({n}, {}, 5)),
            "%0 = Fill(value=15) []\n"
            "fetch %0\n");
}

// A sum of one element would be 1.
TEST(FoldConstantsTest, LeavesWhatIsNotConstantOrNotElementwise) {
  Graph graph;
  const Var x = graph.Input("x", {2, 2});
  const Var ones = Fill(&graph, {2, 2}, 1);
  const Program program =
      ProgramOf({MatMul(ones, ones), x + ones, SumTo(ones, {})});
  EXPECT_EQ(Rewritten(FoldConstants, program), Dump(program));
}

// A run has 1e-60 as 0, and what 0 is multiplied by stays 0.
TEST(FoldConstantsTest, RoundsEachValueAsARunDoes) {
  Graph graph;
  const auto number = [&](double value) { return Fill(&graph, {}, value); };
  const auto folded = [](Var y) {
    const Program program = FoldConstants(ProgramOf({y}));
    const Node& node = program[program.fetches[0]];
    EXPECT_TRUE(node.op->traits.uniform) << Dump(program);
    return node.attributes.value;
  };
  EXPECT_EQ(folded(number(1e-60) * number(1e30)), 0);
  EXPECT_EQ(folded(number(1e-30) * number(1e-30) * number(1e30)), 0);
  EXPECT_TRUE(std::signbit(folded(number(-1e-30) * number(1e-10))));
  EXPECT_TRUE(std::isinf(folded(number(1e30) * number(1e30) * number(1e-30))));
  EXPECT_EQ(folded(number(0.1) + number(0.2)),
            static_cast<float>(double{0.1f} + double{0.2f}));
  EXPECT_EQ(folded(number(16777216) + number(1)), 16777216);
}

TEST(FoldConstantsTest, WrapsInt32) {
  Graph graph;
  const auto number = [&](double value) {
    return Fill(&graph, {}, value, DType::kInt32);
  };
  const Var most = number(2147483647), least = number(-2147483648.0);
  const auto folded = [](Var y) {
    const Program program = FoldConstants(ProgramOf({y}));
    return program[program.fetches[0]].attributes.value;
  };
  EXPECT_EQ(folded(most + number(1)), -2147483648.0);
  EXPECT_EQ(folded(least - number(1)), 2147483647);
  EXPECT_EQ(folded(most * most), 1);
  EXPECT_EQ(folded(-least), -2147483648.0);
}

// ---- ShareCommonSubexpressions ----

TEST(ShareCommonSubexpressionsTest, MakesOneNodeOfEqualNodes) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Var y = Exp(x) * 2, z = Exp(x) * 2;
  EXPECT_EQ(Rewritten(ShareCommonSubexpressions, ProgramOf({y + z, z})),
            "%0 = Input(\"x\") [2]\n"
            "%1 = Exp(%0) [2]\n"
            "%2 = Fill(value=2) []\n"
            "%3 = Mul(%1, %2) [2]\n"
            "%4 = Add(%3, %3) [2]\n"
            "fetch %4, %3\n");
}

TEST(ShareCommonSubexpressionsTest, KeepsWhatDiffersInOpInputsOrAttributes) {
  Graph graph;
  const Var x = graph.Input("x", {2, 2});
  const Var same_x = graph.Input("same_x", {2, 2});
  const std::vector<Var> different = {Exp(x),
                                      Log(x),
                                      Exp(same_x),
                                      LeakyRelu(x, 0.1),
                                      LeakyRelu(x, 0.2),
                                      x - same_x,
                                      same_x - x,
                                      MatMul(x, x),
                                      MatMul(x, x, {.lhs = true}),
                                      MatMul(x, x, {.rhs = true}),
                                      ArgMax(x, 0),
                                      ArgMax(x, 1),
                                      Reshape(x, {4}),
                                      Reshape(x, {1, 4}),
                                      OneHot(ArgMax(x, 0), 2),
                                      OneHot(ArgMax(x, 0), 3),
                                      Fill(&graph, {2}, 0),
                                      Fill(&graph, {2}, 0, DType::kInt32)};
  const Program before = ProgramOf(different);
  const Program after = ShareCommonSubexpressions(before);
  // The three times that ArgMax(x, 0) was asked for are one, as are the
  // Reshapes that drop its axis.
  EXPECT_EQ(after.size(), before.size() - 4);
}

// Dump prints six digits, and 0 and -0 compare equal.
TEST(ShareCommonSubexpressionsTest, KeepsValuesThatOnlyPrintOrCompareAlike) {
  Graph graph;
  const Program before =
      ProgramOf({Fill(&graph, {}, 1), Fill(&graph, {}, 1 + 1e-12),
                 Fill(&graph, {}, 0.0), Fill(&graph, {}, -0.0)});
  EXPECT_EQ(ShareCommonSubexpressions(before).size(), 4);
}

TEST(ShareCommonSubexpressionsTest, RenumbersUpdates) {
  Graph graph;
  const Var w = graph.Parameter("w", {2}, Zeros());
  const Var unused = Exp(w);
  EXPECT_EQ(Rewritten(ShareCommonSubexpressions,
                      ProgramOf({unused}, {{w, Neg(Exp(w))}})),
            "%0 = Variable(\"w\") [2]\n"
            "%1 = Exp(%0) [2]\n"
            "%2 = Neg(%1) [2]\n"
            "fetch %1\n"
            "variable 0 becomes %2\n");
}

// ---- Prune ----

TEST(PruneTest, TakesOutWhatNothingNeeds) {
  Graph graph;
  const Var w = graph.Parameter("w", {2}, Zeros());
  const Var x = graph.Input("x", {2});
  const Var y = Exp(x), unneeded = Log(w);
  Program program = ProgramOf({y, unneeded}, {{w, Neg(x)}});
  program.fetches.pop_back();
  EXPECT_EQ(Rewritten(Prune, program),
            "%0 = Input(\"x\") [2]\n"
            "%1 = Exp(%0) [2]\n"
            "%2 = Neg(%0) [2]\n"
            "fetch %1\n"
            "variable 0 becomes %2\n");
}

// ---- Materialize ----

TEST(MaterializeTest, CopiesWhatIsFetchedButHasNoMemoryOfItsOwn) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kUint8);
  const Var w = graph.Parameter("w", {2}, Zeros());
  const Var fill = Fill(&graph, {3}, 7, DType::kInt32);
  EXPECT_EQ(Rewritten(Materialize, ProgramOf({x, w, fill, x})),
            "%0 = Input(\"x\") uint8[2]\n"
            "%1 = Variable(\"w\") [2]\n"
            "%2 = Fill(value=7, dtype=int32, shape=[3]) int32[3]\n"
            "%3 = BroadcastTo(%0; shape=[2]) uint8[2]\n"
            "%4 = BroadcastTo(%1; shape=[2]) [2]\n"
            "%5 = BroadcastTo(%2; shape=[3]) int32[3]\n"
            "fetch %3, %4, %5, %3\n");
}

TEST(MaterializeTest, CopiesAFetchedViewOfASourceButNotOfAResult) {
  Graph graph;
  const Var x = graph.Input("x", {4});
  const Program program =
      ProgramOf({Reshape(x, {2, 2}), Reshape(Exp(x), {2, 2})});
  EXPECT_EQ(Rewritten(Materialize, program),
            "%0 = Input(\"x\") [4]\n"
            "%1 = Reshape(%0; shape=[2,2]) [2,2]\n"
            "%2 = Exp(%0) [4]\n"
            "%3 = Reshape(%2; shape=[2,2]) [2,2]\n"
            "%4 = BroadcastTo(%1; shape=[2,2]) [2,2]\n"
            "fetch %4, %3\n");
}

TEST(MaterializeTest, CopiesWhatBecomesAVariableButHasNoMemoryOfItsOwn) {
  Graph graph;
  const Var a = graph.State("a", {2}, Zeros());
  const Var b = graph.State("b", {2}, Zeros());
  const Var c = graph.State("c", {}, Zeros());
  EXPECT_EQ(
      Rewritten(Materialize,
                ProgramOf({}, {{a, b}, {b, a}, {c, Fill(&graph, {}, 1)}})),
      "%0 = Variable(\"a\") [2]\n"
      "%1 = Variable(\"b\") [2]\n"
      "%2 = Fill(value=1) []\n"
      "%3 = BroadcastTo(%1; shape=[2]) [2]\n"
      "%4 = BroadcastTo(%0; shape=[2]) [2]\n"
      "%5 = BroadcastTo(%2) []\n"
      "fetch \n"
      "variable 0 becomes %3\n"
      "variable 1 becomes %4\n"
      "variable 2 becomes %5\n");
}

TEST(MaterializeTest, CopiesAFillForAKernelButNotForAFusedPass) {
  Graph graph;
  const Var x = graph.Input("x", {2, 2});
  const Var ones = Fill(&graph, {2, 2}, 1);
  EXPECT_EQ(Rewritten(Materialize, ProgramOf({MatMul(ones, ones), x + ones})),
            "%0 = Input(\"x\") [2,2]\n"
            "%1 = Fill(value=1, shape=[2,2]) [2,2]\n"
            "%2 = BroadcastTo(%1; shape=[2,2]) [2,2]\n"
            "%3 = MatMul(%2, %2) [2,2]\n"
            "%4 = Add(%0, %1) [2,2]\n"
            "fetch %3, %4\n");
}

// ---- FoldIntoProducts ----

std::string Folded(Program program) {
  return Rewritten(
      [](Program from) { return Prune(FoldIntoProducts(std::move(from))); },
      FoldConstants(std::move(program)));
}

TEST(FoldIntoProductsTest, MakesAnUpdateWithinTheProductOfItsGradient) {
  Graph graph;
  const Var x = graph.Input("x", {4, 2});
  const Var gy = graph.Input("gy", {4, 3});
  const Var w = graph.Parameter("w", {2, 3}, Zeros());
  const Var g = MatMul(x, gy, {.lhs = true}) + 0.5 * w;
  EXPECT_EQ(Folded(ProgramOf({}, {{w, w - 0.25 * g}})),
            "%0 = Input(\"x\") [4,2]\n"
            "%1 = Input(\"gy\") [4,3]\n"
            "%2 = Variable(\"w\") [2,3]\n"
            "%3 = MatMulAdd(%0, %1, %2; alpha=-0.25, beta=0.875, "
            "transpose_lhs) [2,3]\n"
            "fetch \n"
            "variable 0 becomes %3\n");
}

TEST(FoldIntoProductsTest, GoesAsFarAsTheProductIsNeededOnce) {
  Graph graph;
  const Var x = graph.Input("x", {2, 2});
  const Var v = graph.State("v", {2, 2}, Zeros());
  const Var new_v = v / 2 - MatMul(x, x);  // Assigned, and the factor of more.
  const Var read = MatMul(new_v, x);
  EXPECT_EQ(Folded(ProgramOf({read}, {{v, new_v}})),
            "%0 = Input(\"x\") [2,2]\n"
            "%1 = Variable(\"v\") [2,2]\n"
            "%2 = MatMulAdd(%0, %0, %1; alpha=-1, beta=0.5) [2,2]\n"
            "%3 = MatMul(%2, %0) [2,2]\n"
            "fetch %3\n"
            "variable 0 becomes %2\n");
}

TEST(FoldIntoProductsTest, LeavesASumThatAPassReads) {
  Graph graph;
  const Var x = graph.Input("x", {2, 2});
  const Var v = graph.State("v", {2, 2}, Zeros());
  const Var w = graph.Parameter("w", {2, 2}, Zeros());
  const Var g = MatMul(x, x);
  const Var new_v = v / 2 - g;  // Of momentum: read again.
  EXPECT_EQ(Folded(ProgramOf({}, {{v, new_v}, {w, w + new_v}})),
            "%0 = Input(\"x\") [2,2]\n"
            "%1 = Variable(\"v\") [2,2]\n"
            "%2 = Variable(\"w\") [2,2]\n"
            "%3 = MatMul(%0, %0) [2,2]\n"
            "%4 = Fill(value=2) []\n"
            "%5 = Div(%1, %4) [2,2]\n"
            "%6 = Sub(%5, %3) [2,2]\n"
            "%7 = Add(%2, %6) [2,2]\n"
            "fetch \n"
            "variable 0 becomes %6\n"
            "variable 1 becomes %7\n");
}

TEST(FoldIntoProductsTest, AddsOneProductToAnother) {
  Graph graph;
  const Var x = graph.Input("x", {2, 2});
  const Var y = graph.Input("y", {2, 2});
  const Var first = MatMul(x, x);
  const Var second = MatMul(x, y);
  EXPECT_EQ(Folded(ProgramOf({-(first + second)})),
            "%0 = Input(\"x\") [2,2]\n"
            "%1 = Input(\"y\") [2,2]\n"
            "%2 = MatMul(%0, %1) [2,2]\n"
            "%3 = MatMulAdd(%0, %0, %2; alpha=-1, beta=-1) [2,2]\n"
            "fetch %3\n");
}

TEST(FoldIntoProductsTest, LeavesWhatItCannotSay) {
  Graph graph;
  const Var x = graph.Input("x", {2, 2});
  const Var y = graph.Input("y", {2, 2});
  const Var row = graph.Input("row", {2});
  const Var wanted = MatMul(x, y);
  const Var read_twice = MatMul(y, y);
  for (const Program& program :
       {ProgramOf({wanted, wanted + x}),  // Fetched.
        ProgramOf({read_twice + x, Exp(read_twice)}),
        ProgramOf({MatMul(x, x) + row}),  // Of another shape.
        ProgramOf({MatMul(x, x) + 1}),    // No node at all.
        ProgramOf({3 * MatMul(x, x)}),
        ProgramOf({MatMul(x, x) * y + x})}) {  // Not linear.
    const std::string folded = Folded(program);
    EXPECT_EQ(folded.find("MatMulAdd"), folded.npos) << folded;
  }
}

// Times 0, and less itself, an infinity is NaN: such terms stay nodes.
TEST(FoldIntoProductsTest, HidesNothingThatIsNotFinite) {
  Graph graph;
  const Var x = graph.Input("x", {2, 2});
  const Var y = graph.Input("y", {2, 2});
  const auto product = [&] { return MatMul(x, x); };
  const Var one = product();
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<Var> fetch = {product() + 0.0 * y,
                                  0.0 * product() + y,
                                  product() + y / infinity,
                                  product() + 1e-45 * y,
                                  product() + 1e30 * (1e-30 * (1e-20 * y)),
                                  product() + y * infinity,
                                  product() + (y - y),
                                  product() + (y - 0.5 * y),
                                  one - 0.5 * one + y,
                                  (product() + y) - y,
                                  product() - 2 * (y + 0.25 * y)};
  // A product that is shared is not folded into.
  const std::string share = "share_common_subexpressions";
  absl::StatusOr<Plan> with =
      Compile(graph, {.fetch = fetch, .without = {share}});
  absl::StatusOr<Plan> without = Compile(
      graph, {.fetch = fetch, .without = {share, "fold_into_products"}});
  ASSERT_TRUE(with.ok() && without.ok());
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (float special : {inf, -inf, nan, 1e38f, 1e-40f, 0.0f}) {
    const Tensor numbers({2, 2}, std::vector<float>{special, 2, 0, -special});
    const Tensor finite({2, 2}, std::vector<float>{1, 2, 3, 4});
    for (const auto& [of_x, of_y] :
         {std::pair(numbers, finite), std::pair(finite, numbers)}) {
      ASSERT_TRUE(with->Run({{x, of_x}, {y, of_y}}).ok());
      ASSERT_TRUE(without->Run({{x, of_x}, {y, of_y}}).ok());
      for (size_t f = 0; f < fetch.size(); ++f) {
        for (int i = 0; i < 4; ++i) {
          const float found = with->Value(fetch[f]).values<float>()[i];
          const float right = without->Value(fetch[f]).values<float>()[i];
          if (std::isnan(found) && std::isnan(right)) continue;
          if (found == right) continue;
          EXPECT_LE(std::fabs(found - right), 1e-6f * std::fabs(right))
              << "fetch " << f << ", element " << i << ", " << special << ": "
              << found << " for " << right;
        }
      }
    }
  }
}

TEST(FoldIntoProductsTest, PutsTermsTogetherThatDoNotCancelAndVariables) {
  Graph graph;
  const Var x = graph.Input("x", {2, 2});
  const Var y = graph.Input("y", {2, 2});
  const Var w = graph.Parameter("w", {2, 2}, Zeros());
  const auto product = [&] { return MatMul(x, x); };
  const auto beta = [](Var sum) {
    Program program = Prune(FoldIntoProducts(ProgramOf({sum})));
    const Node& node = program[program.fetches[0]];
    const bool from_source = program[node.inputs.back()].op->traits.source &&
                             node.inputs.size() == 3;
    return from_source ? node.attributes.beta : 0;
  };
  EXPECT_EQ(beta(product() + (y + 0.5 * y)), 1.5);
  EXPECT_EQ(beta(product() - (-0.5 * y - y)), 1.5);
  EXPECT_EQ(beta(product() + (w - 0.25 * w)), 0.75);
  // But these do not.
  EXPECT_EQ(beta(product() + (y - 0.25 * y)), 0);
  EXPECT_EQ(beta(product() + (w - w)), 0);
}

}  // namespace
}  // namespace tape
