// Steps that depend on variables alone (framework/compiler/hoist_invariants.h): which
// they are, and that runs leave them out exactly as long as no variable changes.
#include "framework/compiler/hoist_invariants.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_join.h"
#include "framework/framework.h"
#include "ops/ops.h"
#include "tests/bfloat16_testing.h"
#include "tests/compiler/steps_testing.h"

namespace tape {
namespace {

std::atomic<int> runs = 0;         // Of Twice's kernel.
std::atomic<bool> throws = false;  // Whether Throw's kernel does.

class TwiceKernel : public Kernel {
 public:
  explicit TwiceKernel(int64_t count) : count_(count) {}
  void Run(int, const KernelArguments& arguments) const override {
    ++runs;
    const auto* const x = static_cast<const float*>(arguments.inputs[0]);
    auto* const y = static_cast<float*>(arguments.outputs[0]);
    for (int64_t i = 0; i < count_; ++i) y[i] = 2 * x[i];
  }

 private:
  int64_t count_;
};

class ThrowKernel : public TwiceKernel {
 public:
  using TwiceKernel::TwiceKernel;
  void Run(int chunk, const KernelArguments& arguments) const override {
    if (throws) throw std::runtime_error("as asked");
    TwiceKernel::Run(chunk, arguments);
  }
};

template <typename K>
constexpr OpDef Op(const char* name, bool side_effects = false) {
  return {
      .name = name,
      .operands = {"x"},
      .shape = [](absl::Span<const TensorType> x, const Attributes&)
          -> absl::StatusOr<TensorType> { return x[0]; },
      .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
        return std::make_unique<K>(spec.output.shape.elements());
      },
      .traits = {.side_effects = side_effects},
  };
}
constexpr OpDef kTwice = Op<TwiceKernel>("Twice");
constexpr OpDef kTwiceAloud = Op<TwiceKernel>("TwiceAloud", true);
constexpr OpDef kThrow = Op<ThrowKernel>("Throw");

Var Do(const OpDef& op, Var x) { return Append(op, {x}, {}, Loc::Current()); }

// The names of the steps, those that are invariant in brackets.
std::string StepsFor(const Graph& graph, const std::vector<Var>& fetches,
                     const std::vector<Assignment>& assignments = {}) {
  const Program program = Extract(graph, fetches, assignments);
  const std::vector<Step> steps =
      HoistInvariants(program, StepsOf(program, Fusing::kElementwise));
  VerifySteps(program, steps);
  return absl::StrJoin(steps, " ", [](std::string* out, const Step& step) {
    out->append(step.invariant ? "[" + step.name + "]" : step.name);
  });
}

TEST(HoistInvariantsTest, MovesWhatVariablesAloneMake) {
  Graph graph;
  const Var x = graph.Input("x", {2, 2});
  const Var w = graph.Parameter("w", {2, 2}, Glorot());
  const Var y = MatMul(Softmax(x), Transpose(Tanh(w)));
  EXPECT_EQ(StepsFor(graph, {y}), "[Tanh] [Transpose] Softmax MatMul");
  EXPECT_EQ(StepsFor(graph, {Relu(w) + x}), "Relu+Add");
}

TEST(HoistInvariantsTest, MovesNothingWhereVariablesAreUpdated) {
  Graph graph;
  const Var x = graph.Input("x", {2, 2});
  const Var w = graph.Parameter("w", {2, 2}, Glorot());
  const Var v = graph.Parameter("v", {2, 2}, Glorot());
  // Declared apart: compilers evaluate arguments in an order of their own.
  const Var softmax = Softmax(x), transposed = Transpose(w);
  const Var y = MatMul(softmax, transposed);
  EXPECT_EQ(StepsFor(graph, {y}, {{v, v * 2}}), "Softmax Transpose MatMul Mul");
}

TEST(HoistInvariantsTest, MovesNothingThatDependsOnSideEffects) {
  Graph graph;
  const Var w = graph.Parameter("w", {2, 2}, Glorot());
  EXPECT_EQ(StepsFor(graph, {Do(kTwice, Do(kTwiceAloud, Do(kTwice, w)))}),
            "[Twice] TwiceAloud Twice");
}

// y = x 2w, of which 2w depends on the variable alone.
struct Net {
  Graph graph;
  Var x = graph.Input("x", {kBatch, 2});
  Var w = graph.Parameter(
      "w", {2, 2}, Values(Tensor({2, 2}, std::vector<float>{1, 2, 3, 4})));
  Var y = MatMul(Relu(x), Do(kTwice, w));

  Plan Compiled(CompileOptions options = {}) const {
    options.fetch = {y};
    options.batch_sizes = {1, 3};
    absl::StatusOr<Plan> plan = Compile(graph, options);
    EXPECT_TRUE(plan.ok()) << plan.status();
    runs = 0;
    return *std::move(plan);
  }
  // The sum of y's elements for `batch` rows of ones.
  float Answer(Plan& plan, int64_t batch = 1) const {
    const Tensor ones({batch, 2}, std::vector<float>(2 * batch, 1));
    const absl::Status status = plan.Run({{x, ones}});
    EXPECT_TRUE(status.ok()) << status;
    float sum = 0;
    for (float one : plan.Value(y).values<float>()) sum += one;
    return sum;
  }
};

TEST(HoistInvariantsTest, RunsThemAgainAfterEachWriteToVariables) {
  Net net;
  Plan plan = net.Compiled();
  EXPECT_EQ(net.Answer(plan), 20);
  EXPECT_EQ(net.Answer(plan), 20);
  EXPECT_EQ(runs, 1);
  // A value that is set,
  ASSERT_TRUE(
      net.graph.SetValue(net.w, Tensor({2, 2}, std::vector<float>(4, 1))).ok());
  EXPECT_EQ(net.Answer(plan), 8);
  EXPECT_EQ(net.Answer(plan), 8);
  EXPECT_EQ(runs, 2);
  // and an update by another plan.
  absl::StatusOr<Plan> update =
      Compile(net.graph, {.updates = {.assignments = {{net.w, net.w * 3}}}});
  ASSERT_TRUE(update.ok()) << update.status();
  for (float expected : {24.0f, 72.0f}) {
    ASSERT_TRUE(update->Run().ok());
    EXPECT_EQ(net.Answer(plan), expected);
    EXPECT_EQ(net.Answer(plan), expected);
  }
  EXPECT_EQ(runs, 4);
}

TEST(HoistInvariantsTest, RunsThemOnceForEachBatchSizeAndSession) {
  const Net net;
  Plan plan = net.Compiled();
  absl::StatusOr<Plan> session = plan.NewSession(2);
  ASSERT_TRUE(session.ok()) << session.status();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(net.Answer(plan, 1), 20);
    EXPECT_EQ(net.Answer(plan, 3), 60);
  }
  EXPECT_EQ(runs, 2);
  EXPECT_EQ(net.Answer(*session, 3), 60);  // Is compiled, and warmed up.
  runs = 0;
  EXPECT_EQ(net.Answer(*session, 3), 60);
  EXPECT_EQ(runs, 0);
}

TEST(HoistInvariantsTest, RunsThemEachTimeWithoutThePass) {
  const Net net;
  Plan plan = net.Compiled({.without = {"hoist_invariants"}});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(net.Answer(plan), 20);
  EXPECT_EQ(runs, 3);
}

TEST(HoistInvariantsTest, RunsThemAgainAfterARunThatFailed) {
  Graph graph;
  const Var w = graph.Parameter("w", {2}, Constant(3));
  const Var y = Do(kThrow, Do(kTwice, w));
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {y}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  for (int i = 0; i < 2; ++i) {
    throws = true;
    EXPECT_FALSE(plan->Run().ok());
    throws = false;
    ASSERT_TRUE(plan->Run().ok());
    EXPECT_EQ(plan->Value(y).values<float>()[1], i == 0 ? 12 : 4);
    ASSERT_TRUE(graph.SetValue(w, Tensor({2}, std::vector<float>(2, 1))).ok());
  }
}

TEST(HoistInvariantsTest, KeepsRoundedWeightsOfBFloat16) {
  if (!HasBFloat16Products()) GTEST_SKIP() << kNoBFloat16Products;
  constexpr int64_t kUnits = 300;  // Rounded in several chunks.
  Graph graph;
  const Var x = graph.Input("x", {kBatch, kUnits});
  Var y = x;
  std::vector<Var> weights;
  for (const char* name : {"w1", "w2", "w3"}) {
    weights.push_back(graph.Parameter(name, {kUnits, kUnits}, Glorot()));
    y = Tanh(MatMul(y, weights.back()));
  }
  Tensor images({5, kUnits}, std::vector<float>(5 * kUnits, 0.7f));
  for (int threads : {1, 2}) {
    const auto answers = [&](std::vector<std::string> without) {
      absl::StatusOr<Plan> plan =
          Compile(graph, {.fetch = {y},
                          .threads = threads,
                          .precision = Precision::kBFloat16,
                          .without = std::move(without)});
      EXPECT_TRUE(plan.ok()) << plan.status();
      std::vector<std::vector<float>> all;
      for (int run = 0; run < 6; ++run) {
        if (run % 2 == 0) {
          const Tensor value({kUnits, kUnits},
                             std::vector<float>(kUnits * kUnits, 0.01f * run));
          EXPECT_TRUE(graph.SetValue(weights[run / 2], value).ok());
        }
        images.values<float>()[run] = 0.1f;
        EXPECT_TRUE(plan->Run({{x, images}}).ok());
        const auto values = plan->Value(y).values<float>();
        all.emplace_back(values.begin(), values.end());
      }
      return all;
    };
    const auto with = answers({});
    images = Tensor({5, kUnits}, std::vector<float>(5 * kUnits, 0.7f));
    EXPECT_EQ(with, answers({"hoist_invariants"}));
    images = Tensor({5, kUnits}, std::vector<float>(5 * kUnits, 0.7f));
  }
}

}  // namespace
}  // namespace tape
