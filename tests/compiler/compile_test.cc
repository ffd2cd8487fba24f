// Compile (framework/compiler/compile.h): what it refuses, in which words, and
// what it prepares. What plans compute is tested by plan_test.cc.
#include "framework/compiler/compile.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/core/gradients.h"
#include "framework/core/graph.h"
#include "framework/runtime/threads.h"
#include "ops/ops.h"

namespace tape {
namespace {

Loc At(int line) { return Loc{"net.cc", line}; }

Var State(Graph& graph, const char* name, const Shape& shape, int line) {
  return graph.State(name, shape, Zeros(), DType::kFloat32, At(line));
}

// What Compile says of options that it must refuse.
std::string Refusal(const Graph& graph, const CompileOptions& options) {
  const absl::StatusOr<Plan> plan = Compile(graph, options, Loc{});
  EXPECT_EQ(plan.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(plan.status().message());
}

std::string AssignmentRefusal(const Graph& graph,
                              const std::vector<Assignment>& assignments) {
  return Refusal(graph, {.updates = {.assignments = assignments}});
}

// ---- Mistakes ----

TEST(CompileErrorTest, ReturnsTheMistakesOfTheGraphALineEach) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kInt32, At(1));
  const Var y = Relu(x, At(2));
  Exp(x, At(3));
  EXPECT_EQ(Refusal(graph, {.fetch = {y}}),
            "net.cc:2: Relu: expected float32, found int32 (x int32[2] is "
            "input \"x\", net.cc:1)\n"
            "net.cc:3: Exp: expected float32, found int32 (x int32[2] is "
            "input \"x\", net.cc:1)");
}

TEST(CompileErrorTest, RefusesAFetchThatIsNoNodeOfTheGraph) {
  Graph graph, other;
  const Var x = graph.Input("x", {2});
  EXPECT_EQ(Refusal(graph, {.fetch = {x, Var()}}),
            "Compile: fetch 1 is an empty Var");
  EXPECT_EQ(Refusal(graph, {.fetch = {other.Input("x", {2})}}),
            "Compile: fetch 0 is of another graph");
  EXPECT_EQ(Refusal(graph, {.fetch = {Var(&graph, kNone)}}),
            "Compile: fetch 0 is not valid");
}

TEST(CompileErrorTest, RefusesAnAssignmentOfWhatIsNoNodeOfTheGraph) {
  Graph graph, other;
  const Var a = State(graph, "a", {2}, 1);
  const Var b = State(other, "b", {2}, 2);
  EXPECT_EQ(AssignmentRefusal(graph, {{a, a}, {Var(), a}}),
            "Compile: the variable of assignment 1 is an empty Var");
  EXPECT_EQ(AssignmentRefusal(graph, {{b, a}}),
            "Compile: the variable of assignment 0 is of another graph");
  EXPECT_EQ(AssignmentRefusal(graph, {{a, Var()}}),
            "Compile: the value of assignment 0 is an empty Var");
  EXPECT_EQ(AssignmentRefusal(graph, {{a, b}}),
            "Compile: the value of assignment 0 is of another graph");
}

TEST(CompileErrorTest, RefusesAnAssignmentToNoVariable) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, At(1));
  const Var y = Exp(x, At(2));
  EXPECT_EQ(AssignmentRefusal(graph, {{x, y}}),
            "Compile: assignment 0 is to no variable, but to [2] is input "
            "\"x\", net.cc:1");
  EXPECT_EQ(AssignmentRefusal(graph, {{y, x}}),
            "Compile: assignment 0 is to no variable, but to [2] from Exp at "
            "net.cc:2");
}

TEST(CompileErrorTest, RefusesAnAssignmentOfAnotherType) {
  Graph graph;
  const Var a = State(graph, "a", {2}, 1);
  const Var b = State(graph, "b", {3}, 2);
  const Var n = graph.State("n", {2}, Zeros(), DType::kInt32, At(3));
  EXPECT_EQ(AssignmentRefusal(graph, {{a, Exp(b, At(4))}}),
            "Compile: assignment 0 to \"a\" ([2] is state \"a\", net.cc:1) has "
            "another type ([3] from Exp at net.cc:4)");
  EXPECT_EQ(AssignmentRefusal(graph, {{a, n}}),
            "Compile: assignment 0 to \"a\" ([2] is state \"a\", net.cc:1) has "
            "another type (int32[2] is state \"n\", net.cc:3)");
}

TEST(CompileErrorTest, RefusesTwoAssignmentsToOneVariable) {
  Graph graph;
  const Var a = State(graph, "a", {2}, 1);
  const Var b = State(graph, "b", {2}, 2);
  EXPECT_EQ(AssignmentRefusal(graph, {{a, b}, {b, a}, {a, a}}),
            "Compile: \"a\" (net.cc:1) is assigned to twice");
}

TEST(CompileErrorTest, RefusesNegativeNumbersOfThreadsAndSamples) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch});
  EXPECT_EQ(Refusal(graph, {.fetch = {x}, .threads = -1}),
            "Compile: expected 1 to 1024 threads, or 0 for all, found -1");
  EXPECT_EQ(Refusal(graph, {.fetch = {x}, .batch_sizes = {4, -2}}),
            "Compile: expected a batch size of at least 0, found -2");
}

TEST(CompileErrorTest, NamesEveryMistakeAtOnce) {
  Graph graph, other;
  const Var x = graph.Input("x", {2}, DType::kInt32, At(1));
  const Var a = State(graph, "a", {2}, 2);
  const Var b = State(graph, "b", {3}, 3);
  const Var wrong = Relu(x, At(4));
  EXPECT_EQ(
      Refusal(graph,
              {.fetch = {wrong, Var(), other.Input("x", {2})},
               .updates = {.assignments =
                               {{a, wrong}, {a, b}, {x, a}, {Var(), Var()}}},
               .replace = {{"b", "a"}, {"c", "d"}},
               .threads = -1,
               .without = {"nothing"},
               .batch_sizes = {-1, 2, -3}}),
      "net.cc:4: Relu: expected float32, found int32 (x int32[2] is input "
      "\"x\", net.cc:1)\n"
      // Of fetch 0 and assignment 0 the line above says enough.
      "Compile: fetch 1 is an empty Var\n"
      "Compile: fetch 2 is of another graph\n"
      "Compile: \"a\" (net.cc:2) is assigned to twice\n"
      "Compile: assignment 1 to \"a\" ([2] is state \"a\", net.cc:2) has "
      "another type ([3] is state \"b\", net.cc:3)\n"
      "Compile: assignment 2 is to no variable, but to int32[2] is input "
      "\"x\", net.cc:1\n"
      "Compile: the variable of assignment 3 is an empty Var\n"
      "Compile: the value of assignment 3 is an empty Var\n"
      "Compile: a plan with replacements cannot make updates\n"
      "Compile: \"b\" ([3]) cannot be replaced by \"a\" ([2])\n"
      "Compile: a replacement names \"c\", which is no variable of the "
      "graph\n"
      "Compile: a replacement names \"d\", which is no variable of the "
      "graph\n"
      "Compile: expected 1 to 1024 threads, or 0 for all, found -1\n"
      "Compile: expected a batch size of at least 0, found -1\n"
      "Compile: expected a batch size of at least 0, found -3\n"
      "Compile: there is no pass \"nothing\" to leave out; known are "
      "fold_constants, simplify, share_common_subexpressions, prune, "
      "read_bytes, tile_batch, fold_into_products, cut_sums, fuse, "
      "fuse_products, "
      "fuse_sums, "
      "join_kernels, hoist_invariants, reuse_memory");
}

TEST(CompileErrorTest, NamesAllThatABatchSizeMakesWrong) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 2}, DType::kFloat32, At(1));
  const Var most = ArgMax(x, 0, Axes::kDrop, At(2));
  const Var most_too = ArgMax(Exp(x, At(3)), 0, Axes::kDrop, At(4));
  const std::string refusal =
      Refusal(graph, {.fetch = {most, most_too}, .batch_sizes = {0}});
  EXPECT_TRUE(absl::StartsWith(refusal, "net.cc:2: ArgMax: ")) << refusal;
  EXPECT_TRUE(absl::StrContains(
      refusal, ", with a batch of 0 samples\nnet.cc:4: ArgMax: "))
      << refusal;
  EXPECT_TRUE(absl::EndsWith(refusal, ", with a batch of 0 samples"))
      << refusal;
}

TEST(FailTest, PrintsTheMessageAndGivesTheExitCodeOfAFailure) {
  testing::internal::CaptureStderr();
  const int code = Fail(absl::InvalidArgumentError("net.cc:1: wrong"));
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "net.cc:1: wrong\n");
  EXPECT_EQ(code, 1);
}

// ---- What is prepared ----

TEST(CompileTest, LeavesTheGraphAsItIs) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 2});
  const Var w = graph.Parameter("w", {2}, Constant(3));
  const CompileOptions options = {.fetch = {Exp(x * w), w},
                                  .updates = {.assignments = {{w, w + 1}}}};
  const std::string before = graph.Dump();
  ASSERT_TRUE(Compile(graph, options).ok());
  ASSERT_TRUE(Compile(graph, options).ok());
  EXPECT_EQ(graph.Dump(), before);
  EXPECT_EQ(graph.Value(w).values<float>()[0], 3);
}

TEST(CompileTest, PreparesTheBatchSizesAskedFor) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch});
  const CompileOptions none = {.fetch = {Exp(x)}};
  CompileOptions two = none;
  two.batch_sizes = {4, 7};
  // Before any size is known, a plan's text is its program's.
  EXPECT_TRUE(
      absl::StrContains(Compile(graph, none)->Dump(), "Exp(%0) [batch]"));
  EXPECT_TRUE(absl::StartsWith(Compile(graph, two)->Dump(), "batch 7, "));
}

TEST(CompileTest, PreparesAPlanWithoutABatchAtOnce) {
  Graph graph;
  const Var x = graph.Input("x", {3});
  const std::string dump = Compile(graph, {.fetch = {Exp(x)}})->Dump();
  EXPECT_TRUE(absl::StartsWith(
      dump, "batch 0, 1 steps, peak 64 bytes of arena (64 unshared)\n"))
      << dump;
  EXPECT_TRUE(absl::StrContains(dump, "  Exp: input \"x\" -> arena+0\n"))
      << dump;
}

TEST(CompileTest, UsesTheThreadsAskedForOrAllThereAre) {
  Graph graph;
  const Var x = graph.Input("x", {3});
  EXPECT_EQ(Compile(graph, {.fetch = {x}, .threads = 3})->threads(), 3);
  EXPECT_EQ(Compile(graph, {.fetch = {x}})->threads(), AvailableThreads());
}

TEST(CompileTest, MakesAPlanOfNothing) {
  Graph graph;
  absl::StatusOr<Plan> plan = Compile(graph, {});
  ASSERT_TRUE(plan.ok());
  EXPECT_TRUE(plan->Run().ok());
  EXPECT_EQ(plan->Dump(),
            "batch 0, 0 steps, peak 0 bytes of arena (0 unshared)\n");
}

// Recursion would overflow the stack, and what takes quadratic time would not
// end within the test's time limit.
TEST(CompileTest, CompilesALongChainOfOneShape) {
  constexpr int kLength = 20'000;
  Graph graph;
  const Var x = graph.Input("x", {3});
  Var y = x;
  for (int i = 0; i < kLength; ++i) y = -y;
  const Var gradient = Gradients(Sum(y), {x})[0];
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {y, gradient}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(plan->Run({{x, Tensor({3}, std::vector<float>{1, 2, 3})}}).ok());
  EXPECT_EQ(plan->Value(y).values<float>(), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(plan->Value(gradient).values<float>(),
            (std::vector<float>{1, 1, 1}));
}

TEST(CompileTest, CompilesALongChainOfManySteps) {
  constexpr int kLength = 10'000;
  Graph graph;
  const Var x = graph.Input("x", {4});
  Var y = x;
  // The shapes alternate, so no two nodes share a pass.
  for (int i = 0; i < kLength; ++i) {
    y = -Reshape(y, i % 2 == 0 ? Shape{2, 2} : Shape{4});
  }
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {y}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(
      plan->Run({{x, Tensor({4}, std::vector<float>{1, 2, 3, 4})}}).ok());
  EXPECT_EQ(plan->Value(y).values<float>(), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_TRUE(absl::StartsWith(
      plan->Dump(),
      absl::StrCat("batch 0, ", kLength, " steps, peak 64 bytes ")));
}

TEST(CompileTest, RefusesReplacementsThatDoNotFit) {
  Graph g;
  const Var w = g.Parameter("w", {2}, Zeros());
  g.State("other", {3}, Zeros());
  g.State("same", {2}, Zeros());
  const auto message = [&](CompileOptions options) {
    options.fetch = {w};
    return std::string(Compile(g, options, Loc{}).status().message());
  };
  EXPECT_EQ(message({.replace = {{"w", "nothing"}}}),
            "Compile: a replacement names \"nothing\", which is no variable of "
            "the graph");
  EXPECT_EQ(message({.replace = {{"w", "other"}}}),
            "Compile: \"w\" ([2]) cannot be replaced by \"other\" ([3])");
  EXPECT_EQ(message({.updates = {.assignments = {{w, w * 2}}},
                     .replace = {{"w", "same"}}}),
            "Compile: a plan with replacements cannot make updates");
}

}  // namespace
}  // namespace tape
