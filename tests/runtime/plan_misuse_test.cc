// Plans that are asked for what they do not have, entered by several threads,
// moved from, or given more batch sizes than they keep
// (framework/runtime/plan.h).
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {
namespace {

using Floats = std::vector<float>;

Loc At(int line) { return Loc{"net.cc", line}; }

std::string Written(const std::function<void()>& f) {
  testing::internal::CaptureStderr();
  f();
  return testing::internal::GetCapturedStderr();
}

Plan MustCompile(const Graph& graph, const CompileOptions& options) {
  absl::StatusOr<Plan> plan = Compile(graph, options);
  EXPECT_TRUE(plan.ok()) << plan.status();
  return *std::move(plan);
}

struct Small {
  Small() {
    x = graph.Input("x", {kBatch, 2}, DType::kFloat32, At(1));
    w = graph.Parameter("w", {2}, Constant(3), Tag::kAuto, At(2));
    y = Mul(x, w, At(3));
    sum = Sum(y, {}, Axes::kDrop, At(4));
  }
  Tensor Batch(int size, float value = 1) const {
    return Tensor({size, 2}, Floats(2 * size, value));
  }

  Graph graph;
  Var x, w, y, sum;
};

// ---- Values that are not there ----

TEST(NoValueTest, SaysThatTheLastRunFailedAndWhy) {
  Small small;
  Plan plan = MustCompile(small.graph, {.fetch = {small.sum}});
  EXPECT_FALSE(plan.Run({}, At(8)).ok());
  EXPECT_TRUE(std::isnan(plan.Scalar(small.sum, At(9))));
  const std::string message =
      "net.cc:9: Scalar: [] from Reshape at net.cc:4 is fetched, but the last "
      "run "
      "failed: net.cc:8: Run: input \"x\" (net.cc:1) is not fed";
  EXPECT_EQ(plan.status().message(), message);
  // The next run returns it, once.
  EXPECT_EQ(plan.Run({{small.x, small.Batch(1)}}).message(), message);
  EXPECT_TRUE(plan.status().ok());
  EXPECT_TRUE(plan.Run({{small.x, small.Batch(1)}}).ok());
  EXPECT_EQ(plan.Scalar(small.sum), 6);
}

TEST(NoValueTest, GivesNoNumbersOfAnEarlierRun) {
  Small small;
  Plan plan = MustCompile(small.graph, {.fetch = {small.y}});
  ASSERT_TRUE(plan.Run({{small.x, small.Batch(3)}}).ok());
  ASSERT_FALSE(plan.Run().ok());
  const TensorView none = plan.Value(small.y);
  EXPECT_EQ(none.type().ToString(), "[3,2]");
  for (float value : none.values<float>()) EXPECT_TRUE(std::isnan(value));
  EXPECT_FALSE(plan.status().ok());
}

TEST(NoValueTest, SaysThatThereHasBeenNoRun) {
  Small small;
  Plan plan = MustCompile(small.graph,
                          {.fetch = {small.y}, .outputs = {{"s", small.sum}}});
  EXPECT_EQ(plan.Value(small.y, At(9)).type().ToString(), "[1,2]");
  EXPECT_EQ(plan.status().message(),
            "net.cc:9: Value: [batch,2] from Mul at net.cc:3 is fetched, but "
            "there has been no run");
  EXPECT_FALSE(plan.Run({{small.x, small.Batch(1)}}).ok());
  ASSERT_FALSE(plan.Run().ok());
  EXPECT_TRUE(std::isnan(plan.Scalar("s", At(10))));
  EXPECT_TRUE(absl::StrContains(plan.status().message(),
                                "net.cc:10: Scalar: \"s\" ([] from Reshape at "
                                "net.cc:4) is fetched, but the "
                                "last run failed: "))
      << plan.status();
}

TEST(NoValueTest, SaysThatItIsNotFetched) {
  Small small;
  Graph other;
  const Var foreign = other.Input("z", {2}, DType::kFloat32, At(30));
  const auto message = [&](const std::function<void(const Plan&)>& ask) {
    Plan plan = MustCompile(small.graph, {.fetch = {small.y}});
    EXPECT_TRUE(plan.Run({{small.x, small.Batch(1)}}).ok());
    ask(plan);
    return std::string(plan.status().message());
  };
  EXPECT_EQ(message([&](const Plan& plan) { plan.Value(small.w, At(9)); }),
            "net.cc:9: Value: [2] is parameter \"w\", net.cc:2 is not fetched "
            "by this plan");
  EXPECT_EQ(message([&](const Plan& plan) { plan.Value(foreign, At(9)); }),
            "net.cc:9: Value: [2] is input \"z\", net.cc:30 is not fetched by "
            "this plan");
  EXPECT_EQ(message([&](const Plan& plan) { plan.Value(Var(), At(9)); }),
            "net.cc:9: Value: an empty Var is not fetched by this plan");
  EXPECT_EQ(message([&](const Plan& plan) { plan.Scalar("a\nb", At(9)); }),
            "net.cc:9: Scalar: \"a\\nb\" is no output of this plan");
  EXPECT_EQ(message([&](const Plan& plan) {
              EXPECT_TRUE(std::isnan(plan.Scalar(small.y, At(9))));
            }),
            "net.cc:9: Scalar: expected a float32 of one element, found "
            "[batch,2] from Mul at net.cc:3");
}

TEST(NoValueTest, IntegersAreMinusOne) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kInt32);
  Plan plan = MustCompile(graph, {.fetch = {x + x}});
  const Var y = x + x;
  EXPECT_EQ(plan.Value(y).values<float>().size(), 1u);
  Plan fetched = MustCompile(graph, {.fetch = {y}});
  EXPECT_EQ(fetched.Value(y).values<int32_t>()[1], -1);
  EXPECT_FALSE(plan.status().ok());
  EXPECT_FALSE(fetched.status().ok());
}

TEST(NoValueTest, IsWrittenAtTheEndIfNobodyHasLearnedOfIt) {
  Small small;
  const auto lose = [&](bool look) {
    Plan plan = MustCompile(small.graph, {.fetch = {small.y}});
    plan.Value(small.w, At(9));
    plan.Value(small.y, At(10));  // One is enough.
    if (look) {
      EXPECT_FALSE(plan.status().ok());
    }
  };
  EXPECT_EQ(Written([&] { lose(false); }),
            "net.cc:9: Value: [2] is parameter \"w\", net.cc:2 is not fetched "
            "by this plan\n");
  EXPECT_EQ(Written([&] { lose(true); }), "");
}

TEST(MovedFromPlanTest, RefusesEverything) {
  Small small;
  Plan first = MustCompile(small.graph, {.fetch = {small.y}, .threads = 1});
  Plan plan = std::move(first);
  // NOLINTBEGIN: that is what is tested.
  EXPECT_EQ(first.Run({{small.x, small.Batch(1)}}, At(5)),
            absl::FailedPreconditionError(
                "net.cc:5: Run: the plan has been moved from"));
  EXPECT_EQ(
      Written([&] { EXPECT_TRUE(std::isnan(first.Scalar(small.y, At(6)))); }),
      "net.cc:6: Scalar: the plan has been moved from\n");
  EXPECT_EQ(Written([&] {
              EXPECT_EQ(first.Value("y", At(7)).values<float>().size(), 1u);
            }),
            "net.cc:7: Value: the plan has been moved from\n");
  EXPECT_FALSE(first.status().ok());
  EXPECT_EQ(first.threads(), 0);
  EXPECT_TRUE(first.Steps().empty());
  EXPECT_EQ(first.Dump(), "");
  EXPECT_EQ(first.compile_seconds(), 0);
  first.Record(nullptr);
  // NOLINTEND
  EXPECT_TRUE(plan.Run({{small.x, small.Batch(1)}}).ok());
}

TEST(RunErrorTest, RefusesAViewWithoutMemory) {
  Small small;
  Plan plan = MustCompile(small.graph, {.fetch = {small.y}});
  const TensorView none({DType::kFloat32, {2, 2}}, nullptr);
  EXPECT_EQ(plan.Run({{small.x, none}}, At(5)).message(),
            "net.cc:5: Run: input \"x\" (net.cc:1) is fed a view that has no "
            "memory");
  const TensorView empty({DType::kFloat32, {0, 2}}, nullptr);
  EXPECT_TRUE(plan.Run({{small.x, empty}}).ok());
}

TEST(OutputTest, HasANameOfItsOwn) {
  Small small;
  const auto refusal = [&](std::vector<Output> outputs) {
    return std::string(
        Compile(small.graph, {.outputs = std::move(outputs)}, At(5))
            .status()
            .message());
  };
  EXPECT_EQ(refusal({{"y", small.y}, {"z", small.y}}), "");
  EXPECT_EQ(refusal({{"y\n", small.y}, {"y\n", small.sum}}),
            "net.cc:5: Compile: output \"y\\n\" is there twice");
  EXPECT_EQ(refusal({{"", small.y}}),
            "net.cc:5: Compile: expected a name of an output, found none");
  EXPECT_EQ(refusal({{"y", Var()}}),
            "net.cc:5: Compile: output \"y\" is an empty Var");
}

// ---- Threads ----

// Whose kernel waits until it is let go.
std::atomic<int> waiting = 0;
std::atomic<bool> let_go = false;

class WaitKernel : public Kernel {
 public:
  void Run(int, const KernelArguments& arguments) const override {
    ++waiting;
    while (!let_go) std::this_thread::yield();
    *static_cast<float*>(arguments.outputs[0]) =
        *static_cast<const float*>(arguments.inputs[0]);
  }
};

constexpr OpDef kWait = {
    .name = "Wait",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x, const Attributes&)
        -> absl::StatusOr<TensorType> { return x[0]; },
    .kernel = [](const KernelSpec&) -> std::unique_ptr<Kernel> {
      return std::make_unique<WaitKernel>();
    },
    .traits = {.side_effects = true},
};

// Runs `plan` in a thread of its own, until its kernel waits.
class RunningPlan {
 public:
  explicit RunningPlan(Plan& plan) {
    let_go = false;
    waiting = 0;
    thread_ = std::thread([&plan, this] { status_ = plan.Run(); });
    while (waiting == 0) std::this_thread::yield();
  }
  absl::Status LetGo() {
    let_go = true;
    thread_.join();
    return status_;
  }

 private:
  std::thread thread_;
  absl::Status status_;
};

struct Waiting {
  Waiting() {
    w = graph.Parameter("w", {}, Constant(2));
    y = Append(kWait, {w}, {}, At(1));
  }
  Plan Reader() { return MustCompile(graph, {.fetch = {y}, .threads = 1}); }
  Plan Writer() {
    return MustCompile(graph, {.fetch = {y},
                               .updates = {.assignments = {{w, y + 1.0}}},
                               .threads = 1});
  }

  Graph graph;
  Var w, y;
};

TEST(ThreadsTest, APlanIsRunByOneAtATime) {
  Waiting net;
  Plan plan = net.Reader();
  RunningPlan running(plan);
  EXPECT_EQ(plan.Run({}, At(7)),
            absl::FailedPreconditionError(
                "net.cc:7: Run: another thread is running this plan; make a "
                "session of it for each thread (NewSession)"));
  EXPECT_TRUE(std::isnan(plan.Scalar(net.y)));  // Nor is it read.
  EXPECT_TRUE(running.LetGo().ok());
  EXPECT_EQ(plan.Scalar(net.y), 2);
  EXPECT_TRUE(absl::StrContains(plan.Run().message(), "during a run"));
  EXPECT_TRUE(plan.Run().ok());
}

TEST(ThreadsTest, PlansThatOnlyReadRunBesideOneAnother) {
  Waiting net;
  Plan first = net.Reader();
  Plan second = MustCompile(net.graph, {.fetch = {net.w * 3.0}, .threads = 1});
  RunningPlan running(first);
  EXPECT_TRUE(second.Run().ok());
  EXPECT_TRUE(running.LetGo().ok());
}

TEST(ThreadsTest, APlanWithUpdatesRunsAlone) {
  Waiting net;
  Plan reader = net.Reader(), writer = net.Writer();
  {
    RunningPlan running(reader);
    EXPECT_EQ(writer.Run({}, At(7)).code(),
              absl::StatusCode::kFailedPrecondition);
    const Tensor one(Shape(), Floats{1});
    EXPECT_EQ(net.graph.SetValue(net.w, one, At(8)),
              absl::FailedPreconditionError(
                  "net.cc:8: SetValue: a plan of the graph of \"w\" is "
                  "running"));
    EXPECT_TRUE(running.LetGo().ok());
  }
  EXPECT_EQ(net.graph.Value(net.w).values<float>()[0], 2);
  RunningPlan running(writer);
  EXPECT_EQ(reader.Run({}, At(7)),
            absl::FailedPreconditionError(
                "net.cc:7: Run: a plan that updates variables of this graph is "
                "running"));
  EXPECT_TRUE(running.LetGo().ok());
  EXPECT_EQ(net.graph.Value(net.w).values<float>()[0], 3);
  EXPECT_TRUE(reader.Run().ok());
  EXPECT_EQ(reader.Scalar(net.y), 3);
}

// ---- Batch sizes ----

// How many kernels of kCounting are alive.
std::atomic<int> alive = 0, made = 0;

class CountingKernel : public Kernel {
 public:
  explicit CountingKernel(int64_t count) : count_(count) { ++alive, ++made; }
  ~CountingKernel() override { --alive; }
  void Run(int, const KernelArguments& arguments) const override {
    for (int64_t i = 0; i < count_; ++i) {
      static_cast<float*>(arguments.outputs[0])[i] =
          2 * static_cast<const float*>(arguments.inputs[0])[i];
    }
  }

 private:
  int64_t count_;
};

constexpr OpDef kCounting = {
    .name = "Counting",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x, const Attributes&)
        -> absl::StatusOr<TensorType> { return x[0]; },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      return std::make_unique<CountingKernel>(spec.output.shape.elements());
    },
};

struct Counting {
  Counting() {
    x = graph.Input("x", {kBatch});
    y = Append(kCounting, {x}, {}, At(1));
    made = 0;
  }
  // Runs a batch of that size, and checks what comes out.
  static void Run(Plan& plan, int size) {
    Floats numbers;
    for (int i = 0; i < size; ++i) numbers.push_back(static_cast<float>(i));
    const Tensor fed({size}, numbers);
    ASSERT_TRUE(plan.Run({{"x", fed}}).ok());
    const TensorView y = plan.Value("y");
    ASSERT_EQ(y.shape()[0], size);
    for (int i = 0; i < size; ++i) EXPECT_EQ(y.values<float>()[i], 2 * i);
  }
  Plan PlanOf(int max_batch_sizes, std::vector<int64_t> batch_sizes = {}) {
    return MustCompile(graph, {.outputs = {{"y", y}},
                               .threads = 1,
                               .batch_sizes = std::move(batch_sizes),
                               .max_batch_sizes = max_batch_sizes});
  }

  Graph graph;
  Var x, y;
};

TEST(BatchSizesTest, KeepsThoseThatWereRunLast) {
  Counting net;
  Plan plan = net.PlanOf(2);
  Counting::Run(plan, 1);
  Counting::Run(plan, 2);
  EXPECT_EQ(made, 2);
  Counting::Run(plan, 1);
  EXPECT_EQ(made, 2);
  Counting::Run(plan, 3);  // In place of 2.
  EXPECT_EQ(made, 3);
  EXPECT_EQ(alive, 2);
  Counting::Run(plan, 1);
  EXPECT_EQ(made, 3);
  Counting::Run(plan, 2);
  EXPECT_EQ(made, 4);
  EXPECT_EQ(alive, 2);
}

TEST(BatchSizesTest, StayFewWhateverSizesCome) {
  Counting net;
  Plan plan = net.PlanOf(1),
       by_default =
           MustCompile(net.graph, {.outputs = {{"y", net.y}}, .threads = 1});
  for (int size = 1; size <= 40; ++size) {
    Counting::Run(plan, size);
    EXPECT_EQ(alive, 1);
  }
  for (int size = 1; size <= 40; ++size) Counting::Run(by_default, size);
  EXPECT_EQ(alive, 1 + CompileOptions().max_batch_sizes);
}

TEST(BatchSizesTest, AreAtLeastAsManyAsArePrepared) {
  Counting net;
  Plan plan = net.PlanOf(1, {4, 5, 6});
  EXPECT_EQ(alive, 3);
  for (int size : {4, 5, 6, 4, 5, 6}) Counting::Run(plan, size);
  EXPECT_EQ(made, 3);
}

TEST(BatchSizesTest, WhatIsFedMayLieInOneThatIsDropped) {
  Counting net;
  Plan plan = net.PlanOf(1);
  Counting::Run(plan, 3);
  // Of the plan's own values: of another size, whose memory is dropped by then.
  const TensorView before = plan.Value("y");
  const TensorView part({DType::kFloat32, {2}}, before.data());
  ASSERT_TRUE(plan.Run({{"x", part}}).ok());
  EXPECT_EQ(plan.Value("y").values<float>(), (Floats{0, 4}));
  EXPECT_EQ(alive, 1);
}

TEST(BatchSizesTest, AreDroppedAfterRunsThatAreRefusedToo) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 3});
  const Var labels = graph.Input("labels", {kBatch}, DType::kInt32);
  const Var loss =
      Mean(SoftmaxCrossEntropy(Append(kCounting, {x}, {}, At(1)), labels));
  Plan plan =
      MustCompile(graph, {.fetch = {loss}, .threads = 1, .max_batch_sizes = 1});
  for (int size = 1; size < 9; ++size) {
    const Tensor images({size, 3}, Floats(3 * size, 1));
    const Tensor wrong({size}, std::vector<int32_t>(size, 3));
    EXPECT_FALSE(plan.Run({{x, images}, {labels, wrong}}).ok());
    EXPECT_EQ(alive, 1);
    EXPECT_FALSE(plan.Steps().empty());
  }
}

TEST(BatchSizesTest, AreAtLeastOne) {
  Counting net;
  EXPECT_EQ(Compile(net.graph, {.fetch = {net.y}, .max_batch_sizes = 0}, At(3))
                .status()
                .message(),
            "net.cc:3: Compile: expected max_batch_sizes of at least 1, found "
            "0");
}

}  // namespace
}  // namespace tape
