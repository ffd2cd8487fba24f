// Sums over all elements, cut into sums over pieces (CutSums), which passes make
// (FuseSums): which pass makes which, and that the bits are those of the sums by
// themselves.
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/compiler/fuse.h"
#include "framework/compiler/passes.h"
#include "framework/compiler/verify.h"
#include "framework/core/basic_ops.h"
#include "framework/core/random.h"
#include "framework/framework.h"
#include "framework/runtime/program.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace tape {
namespace {

// The names of the steps, a line each.
std::string StepNames(const std::vector<Var>& fetches,
                      const std::vector<Assignment>& assignments = {}) {
  const Graph& graph = *fetches[0].graph();
  EXPECT_TRUE(graph.status().ok()) << graph.status();
  const Program program = Materialize(CutSums(Prune(ShareCommonSubexpressions(
      FoldConstants(Bind(Extract(graph, fetches, assignments), 4))))));
  std::vector<Group> groups = FuseElementwise(program);
  FuseProducts(program, groups);
  FuseSums(program, groups);
  VerifyGroups(program, groups);
  const std::vector<Step> steps = MakeSteps(program, groups);
  VerifySteps(program, steps);
  std::vector<std::string> names;
  for (const Step& step : steps) {
    // (Copies of constants, which Materialize makes for kernels.)
    if (step.name != "BroadcastTo") names.push_back(step.name);
  }
  return absl::StrJoin(names, "\n");
}

TEST(SumsInPassesTest, ThePassThatMakesAValueSumsIt) {
  Graph graph;
  const Var x = graph.Input("x", {64, 100});
  EXPECT_EQ(StepNames({Sum(Exp(x) * 2)}), "Exp+Mul+PieceSums\nTotal");
  EXPECT_EQ(StepNames({Sum(Exp(x)), Norm(x * 2)}),
            "Exp+PieceSums\nTotal\nMul+PieceSquares\nNorm");
}

TEST(SumsInPassesTest, APassThatReadsAValueSumsIt) {
  Graph graph;
  const Var x = graph.Input("x", {64, 100});
  EXPECT_EQ(StepNames({x * 2, Mean(x)}), "Mul+PieceSums\nMean");
}

// As LAMB does: both norms are wanted after the pass that makes u of w.
TEST(SumsInPassesTest, AFirstPassSumsForASecond) {
  Graph graph;
  const Var w = graph.Parameter("w", {5000}, Zeros());
  const Var g = graph.Input("g", {5000});
  const Var u = g + w * 0.5;
  EXPECT_EQ(StepNames({w - u * (Norm(w) / Norm(u))}),
            "Mul+Add+PieceSquares+PieceSquares\n"
            "Norm\nNorm\nDiv\nMul+Sub");
}

TEST(SumsInPassesTest, NoPassSumsWhatItWaitsFor) {
  Graph graph;
  const Var x = graph.Input("x", {64, 100});
  EXPECT_EQ(StepNames({x / Norm(x)}), "PieceSquares\nNorm\nDiv");
  // Nor through another pass.
  EXPECT_EQ(StepNames({x + Exp(graph.Input("y", {64, 100}) * Norm(x))}),
            "PieceSquares\nNorm\nMul+Exp+Add");
}

TEST(SumsInPassesTest, SumsOfAPieceOrLessAreOneStep) {
  Graph graph;
  const Var x = graph.Input("x", {kPieceElements});
  EXPECT_EQ(StepNames({Sum(Exp(x))}), "Exp\nSumTo");
  const Var more = graph.Input("more", {kPieceElements + 1});
  EXPECT_EQ(StepNames({Sum(Exp(more))}), "Exp+PieceSums\nTotal");
}

TEST(SumsInPassesTest, SumsOfRowsAreNotCut) {
  Graph graph;
  const Var x = graph.Input("x", {2, 5000});
  EXPECT_EQ(StepNames({Sum(Exp(x), {1})}), "Exp\nSumTo");
  const Var one = graph.Input("one", {1, 5000});
  EXPECT_EQ(StepNames({Norm(Exp(one), {1})}), "Exp+PieceSquares\nNorm");
}

// Blocks of such a pass are no pieces.
TEST(SumsInPassesTest, APassThatReadsRowsOrMakesProductsDoesNotSum) {
  Graph graph;
  const Var x = graph.Input("x", {64, 100});
  const Var row = graph.Input("row", {100});
  EXPECT_EQ(StepNames({Sum(Exp(x + row))}), "Add+Exp\nPieceSums\nTotal");
  const Var w = graph.Parameter("w", {100, 100}, Zeros());
  EXPECT_EQ(StepNames({Sum(Exp(MatMul(x, w)))}),
            "MatMul+Exp\nPieceSums\nTotal");
}

TEST(SumsInPassesTest, ConstantsOfAnyShapeAreNoRows) {
  Graph graph;
  const Var x = graph.Input("x", {64, 100});
  EXPECT_EQ(StepNames({Norm(Exp(x) * Fill(&graph, {64, 1}, 2))}),
            "Exp+Mul+PieceSquares\nNorm");
}

// The pass only stretches the number as it is read.
TEST(SumsInPassesTest, ACopyThatNoPassMakesIsNotSummedByIt) {
  Graph graph;
  const Var x = graph.Input("x", {});
  const Var stretched = BroadcastTo(x, {5000});
  EXPECT_EQ(StepNames({Sum(stretched), Exp(stretched)}),
            "BroadcastTo+Exp\nPieceSums\nTotal");
}

// ---- Bits ----

Tensor RandomTensor(const Shape& shape, uint64_t stream) {
  RandomStream random(/*seed=*/7, stream);
  Tensor tensor({DType::kFloat32, shape});
  for (float& x : tensor.values<float>()) x = 4 * random.Uniform() - 2;
  return tensor;
}

// A program over one shape: elementwise ops, some with machine code and some
// without, and sums, whose numbers go on into later ops.
struct RandomTape {
  RandomTape(int64_t elements, uint64_t seed)
      : random(/*seed=*/9, seed), shape({elements}) {
    x = graph.Input("x", shape);
    w = graph.Parameter("w", shape, Values(RandomTensor(shape, seed)));
    std::vector<Var> values = {x, w, x * w};
    std::vector<Var> sums;
    for (int i = 0; i < 12; ++i) {
      const Var a = Pick(values), b = Pick(values);
      switch (random.Below(9)) {
        case 0:
          values.push_back(a + b + 0.25);
          break;
        case 1:
          values.push_back(a - 0.5 * b);
          break;
        case 2:
          values.push_back(Maximum(a, b));
          break;
        case 3:
          values.push_back(Tanh(a));
          break;
        case 4:
          values.push_back(a / (Abs(b) + 1));
          break;
        case 5:
          sums.push_back(Sum(a));
          break;
        case 6:
          sums.push_back(Norm(a));
          break;
        case 7: {
          const ScaledNorm norm = NormWithScale(a);
          sums.push_back(norm.scale + norm.ratio);
          break;
        }
        default:
          if (sums.empty()) sums.push_back(NormScale(a));
          values.push_back(a * Tanh(Pick(sums)));
      }
    }
    sums.push_back(Mean(values.back()));
    sums.push_back(Norm(w));
    fetches = sums;
    fetches.push_back(Pick(values) + Pick(sums));
    updates.assignments = {{w, w - 0.1 * values.back() * Tanh(Pick(sums))}};
  }

  Var Pick(const std::vector<Var>& of) {
    return of[random.Below(static_cast<uint32_t>(of.size()))];
  }

  Graph graph;
  RandomStream random;
  Shape shape;
  Var x, w;
  std::vector<Var> fetches;
  Updates updates;
};

// All bytes of two runs.
std::string BytesOf(int64_t elements, uint64_t seed, int threads,
                    const std::vector<std::string>& without) {
  RandomTape tape(elements, seed);
  absl::StatusOr<Plan> plan = Compile(tape.graph, {.fetch = tape.fetches,
                                                   .updates = tape.updates,
                                                   .threads = threads,
                                                   .without = without});
  EXPECT_TRUE(plan.ok()) << plan.status();
  std::string bytes;
  const auto add = [&](const void* data, int64_t size) {
    bytes.append(static_cast<const char*>(data), size);
  };
  for (uint64_t run = 0; run < 2; ++run) {
    const Tensor fed = RandomTensor(tape.shape, 1000 + run);
    const absl::Status status = plan->Run({{tape.x, fed}});
    EXPECT_TRUE(status.ok()) << status;
    for (const Var fetch : tape.fetches) {
      add(plan->Value(fetch).data(), plan->Value(fetch).type().bytes());
    }
    const Tensor& w = tape.graph.variables()[0].value;
    add(w.data(), w.type().bytes());
  }
  return bytes;
}

TEST(SumsInPassesTest, HaveTheBitsOfSumsByThemselves) {
  const std::vector<std::string> all(PassNames().begin(), PassNames().end());
  for (const int64_t elements :
       {2047, 2048, 2049, 4096, 4100, 10'007, 200'003}) {
    const uint64_t programs = elements > 100'000 ? 5 : 60;
    for (uint64_t seed = 0; seed < programs; ++seed) {
      SCOPED_TRACE(absl::StrCat(elements, " elements, program ", seed));
      const std::string expected = BytesOf(elements, seed, 1, {"fuse_sums"});
      ASSERT_EQ(BytesOf(elements, seed, 1, {}), expected);
      ASSERT_EQ(BytesOf(elements, seed, 2, {}), expected);
      ASSERT_EQ(BytesOf(elements, seed, 3, {"cut_sums"}), expected);
      ASSERT_EQ(BytesOf(elements, seed, 2, all), expected);
    }
  }
}

}  // namespace
}  // namespace tape
