// Ops whose run is more than its result (Traits::side_effects): each node that
// a plan depends on is run once in each run, whatever passes could do without,
// and not by Compile.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {
namespace {

std::atomic<int> runs = 0;

// y = x, or 7 without an x; counts its runs.
class CountKernel : public Kernel {
 public:
  CountKernel(bool has_input, int64_t count)
      : has_input_(has_input), count_(count) {}
  void Run(int, const KernelArguments& arguments) const override {
    ++runs;
    auto* const y = static_cast<float*>(arguments.outputs[0]);
    for (int64_t i = 0; i < count_; ++i) {
      y[i] = has_input_ ? static_cast<const float*>(arguments.inputs[0])[i] : 7;
    }
  }

 private:
  bool has_input_;
  int64_t count_;
};

std::unique_ptr<Kernel> MakeCount(const KernelSpec& spec) {
  return std::make_unique<CountKernel>(!spec.inputs.empty(),
                                       spec.output.shape.elements());
}

constexpr OpDef CountOp(bool side_effects) {
  return {
      .name = "Count",
      .operands = {"x"},
      .shape = [](absl::Span<const TensorType> x, const Attributes&)
          -> absl::StatusOr<TensorType> { return x[0]; },
      .reference = MapReference<[](double x) { return x; }>,
      .kernel = MakeCount,
      .rows = [](const RowQuery&) { return RowRole::kApart; },
      .simplify = SimplifyIdempotent,
      .traits = {.side_effects = side_effects},
  };
}
constexpr OpDef kCount = CountOp(true), kPure = CountOp(false);

constexpr OpDef SourceOp(bool side_effects) {
  return {
      .name = "Receive",
      .shape = [](absl::Span<const TensorType>, const Attributes&)
          -> absl::StatusOr<TensorType> { return TensorType(); },
      .reference = [](const Attributes&, absl::Span<const Tensor>,
                      Tensor& y) { y.values<double>()[0] = 7; },
      .kernel = MakeCount,
      .traits = {.side_effects = side_effects},
  };
}
constexpr OpDef kReceive = SourceOp(true), kSeven = SourceOp(false);

// An elementwise one: one block, so that blocks can be counted.
constexpr OpDef kCountBlocks = {
    .name = "CountBlocks",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x, const Attributes&)
        -> absl::StatusOr<TensorType> { return x[0]; },
    .reference = MapReference<[](double x) { return x; }>,
    .block = [](absl::Span<const DType>, DType) -> Block {
      return [](const BlockArguments& block) {
        ++runs;
        std::copy_n(static_cast<const float*>(block.inputs[0]), block.count,
                    static_cast<float*>(block.output));
      };
    },
    .traits = {.elementwise = true, .identity = true, .side_effects = true},
};

// Its first operand; a pass does without the other.
constexpr OpDef kFirst = {
    .name = "First",
    .operands = {"a", "b"},
    .shape = [](absl::Span<const TensorType> x, const Attributes&)
        -> absl::StatusOr<TensorType> { return x[0]; },
    .kernel = MakeCount,
    .simplify = [](const SimplifyQuery&) -> Simplification {
      return {Simplification::kInput, 0};
    },
};

Var Do(const OpDef& op, std::vector<Var> x) {
  return Append(op, x, {}, Loc::Current());
}

// How often a run of a plan that fetches `fetch` runs the counting ops. With
// all passes, and without each of them, it must be the same; and none is run
// before.
int RunsOf(Graph& graph, Var fetch, std::vector<Feed> feeds = {},
           int64_t batch = 3) {
  std::vector<std::vector<std::string>> withouts = {{}};
  for (absl::string_view pass : PassNames()) {
    withouts.push_back({std::string(pass)});
  }
  withouts.push_back({PassNames().begin(), PassNames().end()});
  int first = -1;
  for (const auto& without : withouts) {
    runs = 0;
    absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {fetch},
                                                .threads = 2,
                                                .without = without,
                                                .batch_sizes = {batch}});
    EXPECT_TRUE(plan.ok()) << plan.status();
    EXPECT_EQ(runs, 0) << "Compile has run it";
    for (int run = 1; run <= 3; ++run) {
      runs = 0;
      const absl::Status status = plan->Run(feeds);
      EXPECT_TRUE(status.ok()) << status;
      if (first < 0) first = runs;
      EXPECT_EQ(runs, first) << absl::StrJoin(without, ",");
    }
  }
  return first;
}

TEST(SideEffectsTest, AreNotFolded) {
  Graph graph;
  EXPECT_EQ(RunsOf(graph, graph.Append(kReceive, {}, {}, Loc())), 1);
  const Var seven = graph.Append(kSeven, {}, {}, Loc());
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {seven}});
  ASSERT_TRUE(plan.ok());
  runs = 0;
  ASSERT_TRUE(plan->Run().ok());
  EXPECT_EQ(plan->Scalar(seven), 7);
  EXPECT_EQ(runs, 0) << "this one is folded, so the test above tests nothing";
  EXPECT_EQ(RunsOf(graph, Do(kCountBlocks, {Fill(&graph, {3}, 1)})), 1);
}

TEST(SideEffectsTest, AreNotShared) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Tensor two({2}, std::vector<float>{1, 2});
  EXPECT_EQ(RunsOf(graph, Do(kCount, {x}) + Do(kCount, {x}), {{x, two}}), 2);
  EXPECT_EQ(RunsOf(graph, graph.Append(kReceive, {}, {}, Loc()) +
                              graph.Append(kReceive, {}, {}, Loc())),
            2);
}

TEST(SideEffectsTest, AreNotSimplified) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Tensor two({2}, std::vector<float>{1, 2});
  EXPECT_EQ(RunsOf(graph, Do(kCount, {Do(kCount, {x})}), {{x, two}}), 2);
}

TEST(SideEffectsTest, AreNotRemovedWithWhatReadsThem) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Tensor two({2}, std::vector<float>{1, 2});
  for (const OpDef* op : {&kCount, &kCountBlocks}) {
    const Var y = Do(kFirst, {x, Relu(Do(*op, {x}))});
    absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {y}, .threads = 1});
    ASSERT_TRUE(plan.ok()) << plan.status();
    runs = 0;
    ASSERT_TRUE(plan->Run({{x, two}}).ok());
    EXPECT_EQ(runs, 1) << op->name << "\n" << plan->Dump();
    EXPECT_EQ(plan->Value(y).values<float>(), (std::vector<float>{1, 2}));
  }
  // But what a plan does not depend on is none of it.
  Do(kCount, {x});
  EXPECT_EQ(RunsOf(graph, Relu(x), {{x, two}}), 0);
}

TEST(SideEffectsTest, AreNotCutIntoTiles) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 64});
  const Var w = graph.Parameter("w", {64, 64}, Glorot());
  const Tensor fed({20000, 64}, std::vector<float>(20000 * 64, 1));
  const auto loss = [&](const OpDef& op) {
    return Mean(Square(MatMul(Do(op, {MatMul(x, w)}), w)));
  };
  EXPECT_EQ(RunsOf(graph, loss(kCount), {{x, fed}}, 20000), 1);
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {loss(kPure)}});
  ASSERT_TRUE(plan.ok());
  runs = 0;
  ASSERT_TRUE(plan->Run({{x, fed}}).ok());
  EXPECT_GT(runs, 1) << "this one is cut, so the test above tests nothing";
}

}  // namespace
}  // namespace tape
