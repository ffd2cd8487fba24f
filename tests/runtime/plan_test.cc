// Plan (framework/runtime/plan.h) from end to end: training, threads,
// variables, batch sizes, what Run refuses and in which words, and what is
// printed.
#include "framework/runtime/plan.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/compiler/compile.h"
#include "framework/core/gradients.h"
#include "framework/core/random.h"
#include "framework/core/reference.h"
#include "ops/ops.h"

namespace tape {
namespace {

using Floats = std::vector<float>;

Loc At(int line) { return Loc{"net.cc", line}; }

// A plan that must compile.
Plan PlanOf(const Graph& graph, const CompileOptions& options) {
  absl::StatusOr<Plan> plan = Compile(graph, options);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

// Plain gradient descent on all parameters.
Updates Descent(Graph& graph, Var loss, double rate) {
  Updates updates;
  const std::vector<Var> parameters = graph.parameters();
  const std::vector<Var> grads = Gradients(loss, parameters);
  for (size_t i = 0; i < parameters.size(); ++i) {
    updates.assignments.push_back(
        {parameters[i], parameters[i] - rate * grads[i]});
  }
  return updates;
}

Var Layer(Graph& graph, Var x, const std::string& name, int64_t outputs) {
  const Var w = graph.Parameter(name + "/w", {x.shape()[1], outputs}, Glorot());
  const Var b = graph.Parameter(name + "/b", {outputs}, Zeros());
  return MatMul(x, w) + b;
}

Tensor Uniforms(const Shape& shape, uint64_t stream) {
  RandomStream random(1, stream);
  Tensor tensor(TensorType{DType::kFloat32, shape});
  for (float& x : tensor.values<float>()) {
    x = static_cast<float>(random.Uniform());
  }
  return tensor;
}

// x [batch,2] and what is made of it by a variable w of 3s: y = w x.
struct Small {
  Graph graph;
  Var x = graph.Input("x", {kBatch, 2}, DType::kFloat32, At(1));
  Var w = graph.Parameter("w", {2}, Constant(3), Tag::kAuto, At(2));
  Var y = x * w;
};

// ---- Training ----

// A run whose errors do not have the line of the call.
absl::Status RunPlan(Plan& plan, std::initializer_list<Feed> feeds = {}) {
  return plan.Run(feeds, Loc{});
}

TEST(PlanTest, LearnsXor) {
  Graph graph({.seed = 1});
  const Var x = graph.Input("x", {4, 2}), target = graph.Input("t", {4, 1});
  const Var y = Sigmoid(Layer(graph, Tanh(Layer(graph, x, "1", 8)), "2", 1));
  const Var loss = Mean(Square(y - target));
  Plan plan =
      PlanOf(graph, {.fetch = {loss, y}, .updates = Descent(graph, loss, 2)});
  const Tensor inputs({4, 2}, Floats{0, 0, 0, 1, 1, 0, 1, 1});
  const Tensor targets({4, 1}, Floats{0, 1, 1, 0});
  for (int step = 0; step < 2000; ++step) {
    ASSERT_TRUE(plan.Run({{x, inputs}, {target, targets}}).ok());
  }
  EXPECT_LT(plan.Scalar(loss), 0.01);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(plan.Value(y).values<float>()[i] > 0.5f,
              targets.values<float>()[i] > 0.5f);
  }
}

// The weights after 20 steps of a net whose products, sums and passes are cut
// into chunks.
std::vector<Tensor> TrainedBy(int threads) {
  Graph graph({.seed = 5});
  const Var x = graph.Input("x", {kBatch, 784});
  const Var label = graph.Input("label", {kBatch}, DType::kInt32);
  const Var h = Relu(Layer(graph, x, "1", 256));
  const Var logits = Layer(graph, Relu(Layer(graph, h, "2", 128)), "3", 10);
  const Var loss = Mean(SoftmaxCrossEntropy(logits, label));
  Plan plan = PlanOf(graph, {.fetch = {loss},
                             .updates = Descent(graph, loss, 0.1),
                             .threads = threads});
  const Tensor images = Uniforms({64, 784}, 1);
  Tensor labels(TensorType{DType::kInt32, {64}});
  for (int i = 0; i < 64; ++i) labels.values<int32_t>()[i] = i * 7 % 10;
  for (int step = 0; step < 20; ++step) {
    EXPECT_TRUE(plan.Run({{x, images}, {label, labels}}).ok());
  }
  bool chunks = false;
  for (const StepCost& step : plan.Steps()) chunks |= step.chunks > 1;
  EXPECT_TRUE(chunks);
  std::vector<Tensor> weights;
  for (Var parameter : graph.parameters()) {
    weights.push_back(graph.Value(parameter));
  }
  return weights;
}

TEST(PlanTest, LearnsTheSameBitsByAnyNumberOfThreads) {
  const std::vector<Tensor> one = TrainedBy(1);
  for (int threads : {2, 3, 8}) {
    const std::vector<Tensor> more = TrainedBy(threads);
    ASSERT_EQ(more.size(), one.size());
    for (size_t i = 0; i < one.size(); ++i) {
      EXPECT_EQ(
          std::memcmp(more[i].data(), one[i].data(), one[i].type().bytes()), 0)
          << threads << " threads, parameter " << i;
    }
  }
}

TEST(PlanTest, TakesDenormalsForZeroAndLeavesTheCallersArithmetic) {
  Graph graph;
  const Var x = graph.Input("x", {1});
  const Var y = x * x;
  Plan plan = PlanOf(graph, {.fetch = {y}});
  ASSERT_TRUE(plan.Run({{x, Tensor({1}, Floats{1e-20f})}}).ok());
  EXPECT_EQ(plan.Value(y).values<float>()[0], 0);
  volatile float smallest = std::numeric_limits<float>::min();
  EXPECT_GT(smallest / 2, 0);
}

// ---- Variables ----

TEST(PlanTest, SharesVariablesWithOtherPlansOfItsGraph) {
  Small small;
  Plan train = PlanOf(small.graph,
                      {.updates = {.assignments = {{small.w, small.w + 1}}}});
  Plan use = PlanOf(small.graph, {.fetch = {small.y}});
  const Tensor x({1, 2}, Floats{1, 10});
  ASSERT_TRUE(train.Run().ok());
  ASSERT_TRUE(use.Run({{small.x, x}}).ok());
  EXPECT_EQ(use.Value(small.y).values<float>(), (Floats{4, 40}));
  EXPECT_EQ(small.graph.Value(small.w).values<float>(), (Floats{4, 4}));
  ASSERT_TRUE(small.graph.SetValue(small.w, Tensor({2}, Floats{5, 6})).ok());
  ASSERT_TRUE(use.Run({{small.x, x}}).ok());
  EXPECT_EQ(use.Value(small.y).values<float>(), (Floats{5, 60}));
}

TEST(PlanTest, ReadsAFetchedVariableBeforeItsUpdate) {
  Small small;
  Plan plan = PlanOf(small.graph,
                     {.fetch = {small.w},
                      .updates = {.assignments = {{small.w, small.w + 1}}}});
  ASSERT_TRUE(plan.Run().ok());
  EXPECT_EQ(plan.Value(small.w).values<float>(), (Floats{3, 3}));
  ASSERT_TRUE(plan.Run().ok());
  EXPECT_EQ(plan.Value(small.w).values<float>(), (Floats{4, 4}));
}

TEST(PlanTest, SwapsTwoVariables) {
  Graph graph;
  const Var a = graph.State("a", {}, Constant(1));
  const Var b = graph.State("b", {}, Constant(2));
  Plan plan = PlanOf(graph, {.updates = {.assignments = {{a, b}, {b, a}}}});
  ASSERT_TRUE(plan.Run().ok());
  EXPECT_EQ(graph.Value(a).values<float>()[0], 2);
  EXPECT_EQ(graph.Value(b).values<float>()[0], 1);
}

// Compile tries the kernels out, on memory of their own.
TEST(PlanTest, ChangesNoVariableBeforeItRuns) {
  Small small;
  Graph& graph = small.graph;
  const Updates updates = Descent(graph, Sum(Square(small.y + 1)), 0.5);
  const Plan plan = PlanOf(
      graph,
      {.fetch = {small.y, small.w}, .updates = updates, .batch_sizes = {1, 4}});
  for (float w : graph.variables()[0].value.values<float>()) EXPECT_EQ(w, 3);
}

TEST(PlanTest, CountsSteps) {
  Graph graph;
  const Var step = graph.State("step", {}, Zeros(), DType::kInt32);
  Plan plan = PlanOf(graph, {.updates = {.assignments = {{step, step + 1}}}});
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(plan.Run().ok());
  EXPECT_EQ(graph.Value(step).values<int32_t>()[0], 3);
}

TEST(PlanTest, OutlivesItsGraph) {
  auto small = std::make_unique<Small>();
  const Var x = small->x, y = small->y;
  Plan plan = PlanOf(small->graph, {.fetch = {y}});
  small.reset();
  ASSERT_TRUE(plan.Run({{x, Tensor({1, 2}, Floats{1, 2})}}).ok());
  EXPECT_EQ(plan.Value(y).values<float>(), (Floats{3, 6}));
}

// ---- Batch sizes ----

TEST(PlanTest, RunsWithChangingBatchSizes) {
  // Six roundings, 2^-24 each, of sums of five numbers below sqrt(6 / 12); and
  // a tanh of at most 4 units in the last place.
  constexpr double kLayerError = (6 * 5 * 0.71 + 4) * 0x1p-24;
  // And the mean of up to 64 numbers below 1: 64 roundings, and its division.
  constexpr double kMeanError = kLayerError + 65 * 0x1p-24;
  Graph graph({.seed = 2});
  const Var x = graph.Input("x", {kBatch, 5});
  const Var h = Tanh(Layer(graph, x, "1", 7));
  const Var mean = Mean(h, {0});
  Plan plan = PlanOf(graph, {.fetch = {h, mean}});
  for (int64_t batch : {3, 1, 64, 3, 0, 64}) {
    const Tensor input = Uniforms({batch, 5}, batch);
    ASSERT_TRUE(plan.Run({{x, input}}).ok());
    const auto expected = EvaluateReference({h, mean}, {{x, input}});
    ASSERT_TRUE(expected.ok());
    EXPECT_EQ(plan.Value(h).shape(), (Shape{batch, 7}));
    for (int64_t i = 0; i < 7 * batch; ++i) {
      EXPECT_NEAR(plan.Value(h).values<float>()[i],
                  (*expected)[0].values<double>()[i], kLayerError);
    }
    for (int i = 0; i < 7; ++i) {
      const float got = plan.Value(mean).values<float>()[i];
      const double want = (*expected)[1].values<double>()[i];
      if (batch == 0) {  // The mean of nothing.
        EXPECT_TRUE(std::isnan(got));
        EXPECT_TRUE(std::isnan(want));
      } else {
        EXPECT_NEAR(got, want, kMeanError);
      }
    }
  }
}

TEST(PlanTest, KnowsTheBatchSizeOfAnAttributeAlone) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 2});
  const Var n = ElementCount(&graph, {kBatch, 2});
  const Var y = Sum(x) * n;
  Plan alone = PlanOf(graph, {.fetch = {n}});
  EXPECT_EQ(RunPlan(alone).message(),
            "Run: the batch size is not known: no input that is fed has it");
  const Tensor two({2, 2}, Floats{1, 1, 1, 1});
  ASSERT_TRUE(alone.Run({{x, two}}).ok());  // For its size only.
  EXPECT_EQ(alone.Scalar(n), 4);
  Plan plan = PlanOf(graph, {.fetch = {y}});
  ASSERT_TRUE(plan.Run({{x, two}}).ok());
  EXPECT_EQ(plan.Scalar(y), 16);
}

TEST(PlanTest, TakesNoSamplesFromNoMemory) {
  Small small;
  Plan plan = PlanOf(small.graph, {.fetch = {small.y}});
  const TensorView nothing({DType::kFloat32, {0, 2}}, nullptr);
  ASSERT_TRUE(plan.Run({{small.x, nothing}}).ok());
  EXPECT_EQ(plan.Value(small.y).shape(), (Shape{0, 2}));
}

// ---- What is fed ----

TEST(PlanTest, PassesOverInputsThatItHasNoUseFor) {
  Small small;
  const Var other = small.graph.Input("other", {3});
  Plan plan = PlanOf(small.graph, {.fetch = {small.w}});
  const Var later = small.graph.Input("later", {3});
  const Tensor three({3}, Floats{1, 2, 3});
  EXPECT_TRUE(plan.Run({{other, three}, {later, three}}).ok());
}

TEST(PlanErrorTest, NamesTheInputThatIsNotFed) {
  Small small;
  Plan plan = PlanOf(small.graph, {.fetch = {small.y}});
  EXPECT_EQ(RunPlan(plan), absl::InvalidArgumentError(
                               "Run: input \"x\" (net.cc:1) is not fed"));
}

TEST(PlanErrorTest, NamesEveryMistakeAtOnce) {
  Graph graph, other;
  const auto input = [](Graph& graph, const char* name, int line) {
    return graph.Input(name, {kBatch, 2}, DType::kFloat32, {"net.cc", line});
  };
  const Var a = input(graph, "a", 1), b = input(graph, "b", 2),
            c = input(graph, "c", 3), d = input(graph, "d", 4);
  Plan plan = PlanOf(graph, {.fetch = {a + b + c + d}});
  const Tensor one({1, 2}, Floats{1, 2}), two({2, 2}, Floats{1, 2, 3, 4}),
      wrong({1, 3}, Floats{1, 2, 3});
  EXPECT_EQ(RunPlan(plan, {{a, one},
                           {b, two},
                           {c, wrong},
                           {a, one},
                           {input(other, "x", 5), one}})
                .message(),
            "Run: the batch has 1 samples in input \"a\" (net.cc:1), and 2 in "
            "input \"b\" (net.cc:2)\n"
            "Run: input \"c\" (net.cc:3) was declared as [batch,2], and fed "
            "[1,3]\n"
            "Run: input \"a\" (net.cc:1) is fed twice\n"
            "Run: what is fed is not an input of the plan's graph: it is of "
            "another one\n"
            "Run: input \"d\" (net.cc:4) is not fed");
}

TEST(PlanErrorTest, RefusesAnInputThatIsFedTwice) {
  Small small;
  Plan plan = PlanOf(small.graph, {.fetch = {small.y}});
  const Tensor x({1, 2}, Floats{1, 2}), none({0, 2}, Floats{});
  EXPECT_EQ(RunPlan(plan, {{small.x, x}, {small.x, x}}).message(),
            "Run: input \"x\" (net.cc:1) is fed twice");
  EXPECT_EQ(RunPlan(plan, {{small.x, none}, {small.x, none}}).message(),
            "Run: input \"x\" (net.cc:1) is fed twice");
}

TEST(PlanErrorTest, RefusesWhatIsNotOfTheDeclaredType) {
  Small small;
  Plan plan = PlanOf(small.graph, {.fetch = {small.y}});
  const std::string start =
      "Run: input \"x\" (net.cc:1) was declared as [batch,2], and fed ";
  EXPECT_EQ(
      RunPlan(plan, {{small.x, Tensor({1, 3}, Floats{1, 2, 3})}}).message(),
      start + "[1,3]");
  EXPECT_EQ(RunPlan(plan, {{small.x, Tensor({2}, Floats{1, 2})}}).message(),
            start + "[2]");
  const Tensor ints({1, 2}, std::vector<int32_t>{1, 2});
  EXPECT_EQ(RunPlan(plan, {{small.x, ints}}).message(), start + "int32[1,2]");
  const TensorView unbound({DType::kFloat32, {kBatch, 2}}, ints.data());
  EXPECT_EQ(RunPlan(plan, {{small.x, unbound}}).message(), start + "[batch,2]");
}

TEST(PlanErrorTest, RefusesTwoBatchSizes) {
  Small small;
  const Var z = small.graph.Input("z", {kBatch, 2}, DType::kFloat32, At(3));
  Plan plan = PlanOf(small.graph, {.fetch = {small.y + z}});
  EXPECT_EQ(
      RunPlan(plan, {{small.x, Uniforms({4, 2}, 0)}, {z, Uniforms({5, 2}, 0)}})
          .message(),
      "Run: the batch has 4 samples in input \"x\" (net.cc:1), and 5 in "
      "input \"z\" (net.cc:3)");
}

TEST(PlanErrorTest, RefusesWhatIsNoInputOfItsGraph) {
  Small small, other;
  Plan plan = PlanOf(small.graph, {.fetch = {small.w}});
  const std::string message =
      "Run: what is fed is not an input of the plan's graph: ";
  const Tensor two({2}, Floats{1, 2}), one_by_two({1, 2}, Floats{1, 2});
  EXPECT_EQ(RunPlan(plan, {{other.x, one_by_two}}).message(),
            message + "it is of another one");
  EXPECT_EQ(RunPlan(plan, {{Var(), two}}).message(), message + "an empty Var");
  EXPECT_EQ(RunPlan(plan, {{small.w, two}}).message(),
            message + small.graph.Describe(small.w.id()));
  EXPECT_EQ(RunPlan(plan, {{small.y, one_by_two}}).message(),
            message + small.graph.Describe(small.y.id()));
}

TEST(PlanErrorTest, ChangesNothingWhenItRefuses) {
  Small small;
  Plan plan = PlanOf(small.graph,
                     {.fetch = {small.y},
                      .updates = {.assignments = {{small.w, small.w + 1}}}});
  ASSERT_TRUE(RunPlan(plan, {{small.x, Tensor({1, 2}, Floats{1, 2})}}).ok());
  EXPECT_FALSE(RunPlan(plan).ok());
  EXPECT_EQ(small.graph.Value(small.w).values<float>(), (Floats{4, 4}));
}

// ---- What comes out ----

TEST(PlanTest, GivesAValueOfAnyDTypeAndOneElementAsAScalar) {
  Graph graph;
  const Var x = graph.Input("x", {2, 2});
  const Var total = Sum(x), where = ArgMax(x), same = Equal(x, total);
  Plan plan = PlanOf(graph, {.fetch = {total, where, same}});
  ASSERT_TRUE(plan.Run({{x, Tensor({2, 2}, Floats{1, 2, 3, -4})}}).ok());
  EXPECT_EQ(plan.Scalar(total), 2);
  EXPECT_EQ(plan.Value(where).values<int32_t>(), (std::vector<int32_t>{1, 0}));
  EXPECT_EQ(plan.Value(same).values<uint8_t>(),
            (std::vector<uint8_t>{0, 1, 0, 0}));
}

TEST(PlanTest, WorksOnAfterItIsMoved) {
  Small small;
  Plan first = PlanOf(small.graph, {.fetch = {small.y}, .threads = 2});
  Plan plan = std::move(first);
  ASSERT_TRUE(plan.Run({{small.x, Tensor({1, 2}, Floats{1, 2})}}).ok());
  EXPECT_EQ(plan.Value(small.y).values<float>(), (Floats{3, 6}));
}

// relu(x w + b), and a new b.
struct Dumped {
  Graph graph;
  Var x = graph.Input("x", {kBatch, 4});
  Var w = graph.Parameter("w", {4, 2}, Zeros());
  Var b = graph.Parameter("b", {2}, Zeros());
  Var product = MatMul(x, w);
  Var y = Relu(product + b);
  CompileOptions options = {
      .fetch = {y}, .updates = {.assignments = {{b, 0.5 * b}}}, .threads = 1};
};

TEST(PlanTest, DumpsItsProgramAndThenTheStepsAndTheMapOfTheSizeLastRun) {
  Dumped net;
  Plan plan = PlanOf(net.graph, net.options);
  EXPECT_EQ(plan.Dump(), R"(%0 = Input("x") [batch,4]
%1 = Variable("w") [4,2]
%2 = Variable("b") [2]
%3 = MatMul(%0, %1) [batch,2]
%4 = Add(%3, %2) [batch,2]
%5 = Relu(%4) [batch,2]
%6 = Fill(value=0.5) []
%7 = Mul(%6, %2) [2]
fetch %5
variable 1 becomes %7
)");
  ASSERT_TRUE(plan.Run({{net.x, Uniforms({20, 4}, 0)}}).ok());
  EXPECT_EQ(plan.Dump(),
            R"(batch 20, 2 steps, peak 192 bytes of arena (192 unshared)
  step  chunks  FLOPs  read  written  what
     1       1    400   360      160  MatMul+Add+Relu: input "x", variable "w", variable "b" -> arena+0
     2       1      2     8        8  Mul: variable "b" -> variable "b"
   all            402   368      168
  value        type    bytes  made  read  place         shares
  %0 Input     [20,4]    320     -     1  input "x"
  %1 Variable  [4,2]      32     -     1  variable "w"
  %2 Variable  [2]         8     -     2  variable "b"
  %5 Relu      [20,2]    160     1   end  arena+0
  %7 Mul       [2]         8     2   end  variable "b"  over %2
)");
  ASSERT_TRUE(plan.Run({{net.x, Uniforms({600'000, 4}, 0)}}).ok());
  EXPECT_EQ(
      plan.Dump(),
      R"(batch 600000, 2 steps, peak 4800000 bytes of arena (4800000 unshared)
  step  chunks     FLOPs     read  written  what
     1       2  12000000  9600040  4800000  MatMul+Add+Relu: input "x", variable "w", variable "b" -> arena+0
     2       1         2        8        8  Mul: variable "b" -> variable "b"
   all          12000002  9600048  4800008
  value        type          bytes  made  read  place         shares
  %0 Input     [600000,4]  9600000     -     1  input "x"
  %1 Variable  [4,2]            32     -     1  variable "w"
  %2 Variable  [2]               8     -     2  variable "b"
  %5 Relu      [600000,2]  4800000     1   end  arena+0
  %7 Mul       [2]               8     2   end  variable "b"  over %2
)");
}

TEST(PlanTest, DumpsWhatSharesMemory) {
  Graph graph;
  const Var x = graph.Input("x", {2, 8});
  const Var w = graph.Parameter("w", {8, 8}, Zeros());
  const Var v = graph.State("v", {8, 8}, Zeros());
  const Var square = MatMul(w, w);
  const Var rows = Reshape(MatMul(x, square), {4, 4});
  const Var y = Softmax(MatMul(rows, rows));
  // The old v is still read when the new one is made.
  const Plan plan =
      PlanOf(graph, {.fetch = {y},
                     .updates = {.assignments = {{v, v + square}, {w, v}}},
                     .threads = 1});
  EXPECT_EQ(plan.Dump(),
            R"(batch 0, 6 steps, peak 384 bytes of arena (704 unshared)
  step  chunks  FLOPs  read  written  what
     1       1   1024   256      256  MatMul: variable "w", variable "w" -> arena+0
     2       1    256   320       64  MatMul: input "x", arena+0 -> arena+256
     3       1    128    64       64  MatMul: arena+256, arena+256 -> arena+320
     4       1      0    64       64  Softmax: arena+320 -> arena+256
     5       1    128   512      512  Add+BroadcastTo: variable "v", arena+0 -> arena+0, variable "w"
     6       1     64   256      256  Copy: arena+0 -> variable "v"
   all           1600  1472     1216
  value           type   bytes  made  read  place         shares
  %0 Input        [2,8]     64     -     2  input "x"
  %1 Variable     [8,8]    256     -     1  variable "w"
  %2 Variable     [8,8]    256     -     5  variable "v"
  %3 MatMul       [8,8]    256     1     5  arena+0
  %4 MatMul       [2,8]     64     2     3  arena+256
  %5 Reshape      [4,4]     64     -     3  arena+256     view of %4
  %6 MatMul       [4,4]     64     3     4  arena+320
  %7 Softmax      [4,4]     64     4   end  arena+256
  %8 Add          [8,8]    256     5   end  arena+0       over %3
  %9 BroadcastTo  [8,8]    256     5   end  variable "w"
)");
}

TEST(PlanTest, NamesInDumpsCommandNoTerminal) {
  Graph graph;
  const Var x = graph.Input("x\n\x1b[31m", {2});
  auto plan = Compile(graph, {.fetch = {Exp(x)}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const auto expect = [&](const std::string& text) {
    EXPECT_TRUE(absl::StrContains(text, "\"x\\n\\x1b[31m\"")) << text;
    EXPECT_FALSE(absl::StrContains(text, "\x1b"));
  };
  expect(graph.Dump());
  expect(plan->Dump());
  ASSERT_TRUE(plan->Run({{x, Tensor(TensorType{DType::kFloat32, {2}})}}).ok());
  expect(plan->Dump());
}

TEST(PlanTest, NamesInADumpCommandNoTerminal) {
  constexpr OpDef kRed = {
      .name = "O\x1b[31m",
      .operands = {"x"},
      .shape = [](absl::Span<const TensorType> x, const Attributes&)
          -> absl::StatusOr<TensorType> { return x[0]; },
      .block = [](absl::Span<const DType>, DType) -> Block {
        return [](const BlockArguments& block) {
          std::copy_n(static_cast<const float*>(block.inputs[0]), block.count,
                      static_cast<float*>(block.output));
        };
      },
      .traits = {.elementwise = true},
  };
  Graph graph;
  const Var x = graph.Input("x\x1b[32m", {2});
  const Var y = Append(kRed, {x}, {}, {"net.cc", 5});
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {y}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  for (const std::string& text : {graph.Dump(), plan->Dump()}) {
    EXPECT_EQ(text.find('\x1b'), text.npos) << text;
    EXPECT_NE(text.find("O\\x1b[31m"), text.npos) << text;
    EXPECT_NE(text.find("x\\x1b[32m"), text.npos) << text;
  }
}

TEST(PlanTest, DumpsTheSameTextEachTime) {
  const auto dump = [] {
    Dumped net;
    net.options.batch_sizes = {64};
    return PlanOf(net.graph, net.options).Dump();
  };
  EXPECT_EQ(dump(), dump());
}

TEST(PlanTest, CountsWhatEachStepCosts) {
  Dumped net;
  Plan plan = PlanOf(net.graph, net.options);
  EXPECT_TRUE(plan.Steps().empty());  // Of no batch size yet.
  ASSERT_TRUE(plan.Run({{net.x, Uniforms({20, 4}, 0)}}).ok());
  const std::vector<StepCost> steps = plan.Steps();
  ASSERT_EQ(steps.size(), 2u);
  EXPECT_EQ(steps[0].name, "MatMul+Add+Relu");
  EXPECT_EQ(steps[0].chunks, 1);
  EXPECT_EQ(steps[0].flops, 2 * 20 * 4 * 2 + 2 * 20 * 2);
  EXPECT_EQ(steps[0].bytes_read, 4 * (20 * 4 + 4 * 2 + 2));
  EXPECT_EQ(steps[0].bytes_written, 4 * 20 * 2);
  EXPECT_EQ(steps[1].name, "Mul");
  EXPECT_EQ(steps[1].bytes_read, 4 * 2);
  EXPECT_EQ(steps[1].bytes_written, 4 * 2);
}

TEST(PlanTest, CountsAnOperandOnceAndACopyAtTheEnd) {
  Graph graph;
  const Var x = graph.Input("x", {8, 8});
  const Var a = graph.State("a", {4}, Zeros());
  const Var b = graph.State("b", {4}, Zeros());
  const Plan plan = PlanOf(graph, {.fetch = {MatMul(x, x)},
                                   .updates = {.assignments = {{a, b}, {b, a}}},
                                   .threads = 1});
  double read = 0, written = 0;
  int copies = 0;
  for (const StepCost& step : plan.Steps()) {
    read += step.bytes_read;
    written += step.bytes_written;
    copies += step.name == "Copy" ? 1 : 0;
  }
  EXPECT_GE(copies, 1);
  // Each of a and b to a new value's memory, and `copies` of these further on.
  EXPECT_EQ(read, 4 * 8 * 8 + 16 * (2 + copies));
  EXPECT_EQ(written, 4 * 8 * 8 + 16 * (2 + copies));
}

TEST(PlanTest, SaysHowLongItWasMade) {
  Dumped net;
  Plan plan = PlanOf(net.graph, net.options);
  const double compiled = plan.compile_seconds();
  EXPECT_GT(compiled, 0);
  const Tensor x = Uniforms({20, 4}, 0);
  ASSERT_TRUE(plan.Run({{net.x, x}}).ok());
  const double prepared = plan.compile_seconds();
  EXPECT_GT(prepared, compiled);
  ASSERT_TRUE(plan.Run({{net.x, x}}).ok());
  EXPECT_EQ(plan.compile_seconds(), prepared);  // Nothing was prepared.
}

TEST(PlanTest, TakesTheBatchSizeFromAnInputItHasNoOtherUseFor) {
  Graph g;
  const Var x = g.Input("x", {kBatch, 2});
  const Var gradient = Gradients(Mean(x), {x})[0];  // 1 / (2 batch), and no x.
  absl::StatusOr<Plan> plan = Compile(g, {.fetch = {gradient}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(plan->Run({{x, Tensor({4, 2}, std::vector<float>(8))}}).ok());
  const auto values = plan->Value(gradient).values<float>();
  EXPECT_EQ(std::vector<float>(values.begin(), values.end()),
            std::vector<float>(8, 0.125f));
}

TEST(PlanTest, RefusesFeedsFromMemoryThatTheRunWrites) {
  Graph g;
  const Var x = g.Input("x", {2}, DType::kFloat32, {"user.cc", 7});
  const Var w = g.Parameter("w", {2}, Constant(4));
  const Var y = x + 1;
  absl::StatusOr<Plan> plan =
      Compile(g, {.fetch = {y}, .updates = {.assignments = {{w, w * 2}}}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(plan->Run({{x, Tensor({2}, std::vector<float>{1, 2})}}).ok());
  const std::string message =
      "Run: input \"x\" (user.cc:7) is fed from memory that this run writes, "
      "what it fetched before or a variable that it updates; feed a copy";
  EXPECT_EQ(RunPlan(*plan, {{x, plan->Value(y)}}).message(), message);
  EXPECT_EQ(RunPlan(*plan, {{x, g.Value(w)}}).message(), message);
  EXPECT_EQ(g.Value(w).values<float>()[0], 8);  // Nothing was computed.
  const Tensor copy = g.Value(w);
  EXPECT_TRUE(plan->Run({{x, copy}}).ok());
  EXPECT_EQ(plan->Value(y).values<float>()[0], 9);
}

TEST(PlanTest, RefusesABatchSizeThatAnOpRefuses) {
  Graph g;
  const Var x = g.Input("x", {kBatch});
  const Var y = ArgMax(x, 0, Axes::kDrop, {"user.cc", 7});
  absl::StatusOr<Plan> plan = Compile(g, {.fetch = {y}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const std::string message =
      "user.cc:7: ArgMax: expected at least one element along axis 0, found "
      "shape [0], with a batch of 0 samples";
  EXPECT_EQ(std::string(
                plan->Run({{x, Tensor({0}, std::vector<float>())}}).message()),
            message);
  EXPECT_EQ(
      std::string(
          Compile(g, {.fetch = {y}, .batch_sizes = {0}}).status().message()),
      message);
  EXPECT_TRUE(plan->Run({{x, Tensor({1}, std::vector<float>{3})}}).ok());
}

}  // namespace
}  // namespace tape
