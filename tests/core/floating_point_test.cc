// FloatingPointScope (framework/core/floating_point.h), and that whatever the
// framework computes has the same bits in every floating-point environment of
// its caller, raises no trap, and leaves that environment as it was.
#include "framework/core/floating_point.h"

#include <gtest/gtest.h>

#include <cfenv>
#include <cstdint>
#include <cstring>
#include <functional>
#include <limits>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/ported_random.h"
#include "framework/framework.h"
#include "framework/io/stored_array.h"
#include "framework/log/event_file.h"
#include "framework/log/json_lines.h"
#include "framework/metrics/classification.h"
#include "framework/metrics/metrics.h"
#include "framework/optim/optimizer.h"
#include "framework/optim/schedule.h"
#include "framework/optim/transform.h"
#include "framework/train/early_stopping.h"
#include "framework/train/training_state.h"
#include "ops/ops.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tape {
namespace {

constexpr float kSmallest = std::numeric_limits<float>::min();

// The control and status words of this thread.
std::vector<uint32_t> Words() {
  std::fenv_t environment;
  std::fegetenv(&environment);
#if defined(__x86_64__)
  // fegetenv masks the x87's traps.
  std::fesetenv(&environment);
  return {environment.__control_word, environment.__status_word,
          environment.__mxcsr};
#else
  std::vector<uint32_t> words(sizeof(environment) / sizeof(uint32_t));
  std::memcpy(words.data(), &environment, words.size() * sizeof(uint32_t));
  return words;
#endif
}

// What a host may have set.
struct Environment {
  const char* name;
  int rounding = FE_TONEAREST;
  bool traps = false;
  bool flush = false;
  bool flags = false;  // Whether an overflow has been seen.

  void Set() const {
    std::fesetround(rounding);
    if (flags) {
      volatile float huge = std::numeric_limits<float>::max();
      huge = huge * 2;
    }
#if defined(__x86_64__)
    if (flush) _mm_setcsr(_mm_getcsr() | 0x8040);
#endif
    if (traps) feenableexcept(FE_ALL_EXCEPT);
  }
};

constexpr Environment kEnvironments[] = {
    {.name = "up", .rounding = FE_UPWARD},
    {.name = "down", .rounding = FE_DOWNWARD},
    {.name = "towards zero", .rounding = FE_TOWARDZERO},
    {.name = "traps", .traps = true},
    {.name = "flush", .flush = true},
    {.name = "flags", .flags = true},
    {.name = "all",
     .rounding = FE_UPWARD,
     .traps = true,
     .flush = true,
     .flags = true}};

// Numbers as text, to the bit: made of what a run leaves, outside of it.
template <typename T>
std::string Bits(absl::Span<const T> values) {
  return std::string(reinterpret_cast<const char*>(values.data()),
                     values.size() * sizeof(T));
}

std::string BitsOfVariables(const Graph& graph) {
  std::string bits;
  for (int i = 0; i < graph.variables().size(); ++i) {
    const Tensor& value = graph.variables()[i].value;
    bits.append(static_cast<const char*>(value.data()), value.type().bytes());
  }
  return bits;
}

// Expects that `run` returns the same in each environment as in the usual one,
// and leaves the environment alone.
void ExpectTheSame(const std::function<std::string()>& run) {
  const std::string expected = run();
  EXPECT_FALSE(expected.empty());
  for (const Environment& environment : kEnvironments) {
    std::fenv_t usual;
    std::fegetenv(&usual);
    environment.Set();
    const std::vector<uint32_t> before = Words();
    const std::string found = run();
    const std::vector<uint32_t> after = Words();
    std::fesetenv(&usual);
    // Not EXPECT_EQ, which would print bits.
    EXPECT_TRUE(found == expected) << environment.name;
    EXPECT_EQ(after, before) << environment.name;
  }
}

// ---- The scope ----

// One of the results that depend on the rounding mode.
float Third() {
  volatile float one = 1, three = 3;
  volatile float third = one / three;  // Lest it be divided later.
  return third;
}

TEST(FloatingPointScopeTest, RoundsToNearestWhateverTheHostHas) {
  const float nearest = Third();
  for (int mode : {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO}) {
    std::fesetround(mode);
    const float outside = Third();
    float inside;
    {
      const FloatingPointScope scope;
      inside = Third();
      EXPECT_EQ(std::fegetround(), FE_TONEAREST);
    }
    EXPECT_EQ(std::fegetround(), mode);
    std::fesetround(FE_TONEAREST);
    EXPECT_EQ(inside, nearest);
    EXPECT_EQ(outside != nearest, mode == FE_DOWNWARD || mode == FE_TOWARDZERO);
  }
}

TEST(FloatingPointScopeTest, FlushesDenormalsIfItIsAskedTo) {
  volatile float smallest = kSmallest, denormal = smallest / 2;
  {
    const FloatingPointScope flush(Denormals::kFlush);
    volatile float result = smallest / 2;
    EXPECT_EQ(result, 0);
    result = denormal * 4;
    EXPECT_EQ(result, 0);
    {
      const FloatingPointScope keep;
      result = smallest / 2;
      EXPECT_GT(result, 0);
    }
    result = smallest / 2;
    EXPECT_EQ(result, 0);
  }
  volatile float result = denormal * 2;
  EXPECT_EQ(result, smallest);
}

TEST(FloatingPointScopeTest, RaisesNoTrapAndLeavesNoFlag) {
  ExpectTheSame([] {
    const FloatingPointScope scope;
    volatile float zero = 0, big = std::numeric_limits<float>::max();
    volatile long double long_zero = 0;
    volatile float results[] = {1 / zero, zero / zero, big * big,
                                kSmallest * kSmallest, Third()};
    volatile long double x87 = 1 / long_zero;
    x87 = long_zero / long_zero;
    return std::string(1, results[0] > 1 && x87 != x87 ? 'y' : 'n');
  });
}

// ---- What the framework computes ----

// A model whose step divides, takes roots, pads vectors and folds constants.
struct Model {
  Model() : graph({.seed = 5}) {
    x = graph.Input("x", {kBatch, 13});
    label = graph.Input("label", {kBatch}, DType::kInt32);
    const Var w = graph.Parameter("w", {13, 7}, Glorot());
    const Var b = graph.Parameter("b", {7}, Normal(0, 0.1));
    const Var v = graph.Parameter("v", {7, 3}, Uniform(-0.3, 0.7));
    const Var h = Tanh(MatMul(x, w) + b);
    const Var folded = Fill(&graph, {}, 0.1) / Fill(&graph, {}, 0.3) +
                       Exp(Fill(&graph, {}, -1.7));
    const Var positive = Square(h) + 0.3;
    loss = Mean(SoftmaxCrossEntropy(MatMul(Gelu(h), v), label)) +
           folded * Mean(Reciprocal(positive) + Rsqrt(positive)) +
           Mean(Variance(h, {0}));
  }

  Updates Train() {
    return Chain(L2(1e-3), ClipByGlobalNorm(3),
                 Adam({.learning_rate = Warmup(3, CosineDecay(0.07, 1e-3, 9))}))
        .Apply(graph.parameters(), Gradients(loss, graph.parameters()));
  }

  static Tensor Images(int64_t batch) {
    Tensor images(TensorType{DType::kFloat32, {batch, 13}});
    for (int64_t i = 0; i < images.elements(); ++i) {
      // Exact: no rounding mode changes them.
      images.values<float>()[i] =
          static_cast<float>(i * 7919 % 1009 - 500) * 0x1p-9f;
    }
    return images;
  }
  static Tensor Labels(int64_t batch) {
    Tensor labels(TensorType{DType::kInt32, {batch}});
    for (int64_t i = 0; i < batch; ++i) {
      labels.values<int32_t>()[i] = static_cast<int32_t>(i % 3);
    }
    return labels;
  }

  Graph graph;
  Var x, label, loss;
};

TEST(EnvironmentTest, DeclaringCompilingAndRunningAreTheSame) {
  for (int threads : {1, 2, 3}) {
    for (int64_t batch : {5, 3000}) {
      SCOPED_TRACE(absl::StrCat(threads, " threads, batch ", batch));
      const Tensor images = Model::Images(batch), labels = Model::Labels(batch);
      ExpectTheSame([&]() -> std::string {
        Model model;
        const Updates updates = model.Train();
        absl::StatusOr<Plan> plan = Compile(
            model.graph,
            {.fetch = {model.loss}, .updates = updates, .threads = threads});
        if (!plan.ok()) return "";
        std::string bits;
        for (int step = 0; step < 3; ++step) {
          const absl::Status status =
              plan->Run({{model.x, images}, {model.label, labels}});
          if (!status.ok()) return "";
          bits += Bits(plan->Value(model.loss).values<float>());
        }
        return bits + BitsOfVariables(model.graph);
      });
    }
  }
}

// A plan of one environment, run in another: its threads have inherited the
// first.
TEST(EnvironmentTest, APlanRunsTheSameInAnother) {
  const Tensor images = Model::Images(3000), labels = Model::Labels(3000);
  const auto train = [&](const Environment& compile, const Environment& run) {
    std::fenv_t usual;
    std::fegetenv(&usual);
    compile.Set();
    Model model;
    const Updates updates = model.Train();
    absl::StatusOr<Plan> plan = Compile(
        model.graph, {.fetch = {model.loss}, .updates = updates, .threads = 3});
    std::fesetenv(&usual);
    EXPECT_TRUE(plan.ok());
    run.Set();
    const absl::Status status =
        plan->Run({{model.x, images}, {model.label, labels}});
    std::fesetenv(&usual);
    EXPECT_TRUE(status.ok());
    return BitsOfVariables(model.graph);
  };
  constexpr Environment kUsual = {.name = "usual"};
  const std::string expected = train(kUsual, kUsual);
  for (const Environment& environment : kEnvironments) {
    EXPECT_TRUE(train(environment, kUsual) == expected) << environment.name;
    EXPECT_TRUE(train(kUsual, environment) == expected) << environment.name;
  }
}

TEST(EnvironmentTest, CheckedRunsAreTheSame) {
  const Tensor images = Model::Images(5), labels = Model::Labels(5);
  ExpectTheSame([&]() -> std::string {
    Model model;
    absl::StatusOr<Plan> plan =
        Compile(model.graph, {.fetch = {model.loss}, .check_finite = true});
    if (!plan.ok()) return "";
    if (!plan->Run({{model.x, images}, {model.label, labels}}).ok()) return "";
    return Bits(plan->Value(model.loss).values<float>());
  });
}

TEST(EnvironmentTest, InitialisersAreTheSame) {
  ExpectTheSame([] {
    Graph graph({.seed = 11});
    graph.Parameter("a", {31, 17}, Glorot(1.3));
    graph.Parameter("b", {31, 17}, He());
    graph.Parameter("c", {7}, Normal(0.1, 0.3));
    graph.Parameter("d", {7}, Uniform(-0.1, 0.3));
    graph.Parameter("e", {7}, Constant(0.1));
    const NumpyRandom numpy(3);
    graph.Parameter("f", {5, 3}, numpy.Normal(0.1, 0.3));
    return BitsOfVariables(graph);
  });
}

TEST(EnvironmentTest, TheReferenceAndTheChecksAreTheSame) {
  ExpectTheSame([]() -> std::string {
    Graph graph;
    const Var x = graph.Input("x", {4});
    const Var y = Exp(x * 0.1) / 3 + Reciprocal(x);
    const Var gradient = Gradients(Sum(y), {x})[0];
    const ReferenceFeeds feeds = {
        {x, Tensor({4}, std::vector<float>{1, 2, -3, 0x1p-140f})}};
    const auto values = EvaluateReference({y, gradient}, feeds);
    if (!values.ok()) return "";
    const std::string checks =
        absl::StrCat(CheckGradients(y, {x}, feeds).message(),
                     CheckKernels({y, gradient}, feeds).message());
    return Bits((*values)[0].values<double>()) +
           Bits((*values)[1].values<double>()) + checks;
  });
}

TEST(EnvironmentTest, DecisionsOfTheLoopAreTheSame) {
  ExpectTheSame([] {
    EarlyStopping early_stopping({.split = DataSplit::kTest,
                                  .metric = Metric::kAccuracy,
                                  .decimals = 2});
    EpochResult epoch;
    epoch.test.accuracy = 0.123456;
    early_stopping.Observe(epoch);
    const double best = *early_stopping.state().best;
    return Bits(absl::MakeConstSpan(&best, 1));
  });
}

// ---- Numbers of files, and of reports ----

TEST(EnvironmentTest, ConvertingArraysOfFilesIsTheSame) {
  const Tensor doubles({4}, std::vector<double>{0.7, -0.7, 1e-42, 1e300});
  const StoredArray all = ViewOf("all", doubles);
  StoredArray three = all;
  three.shape = {3};
  three.bytes = three.bytes.substr(0, 3 * sizeof(double));
  ExpectTheSame([&]() -> std::string {
    const auto beyond = ToTensor(all, DType::kFloat32);
    const auto floats = ToTensor(three, DType::kFloat32);
    if (beyond.ok() || !floats.ok()) return "";
    return Bits(floats->values<float>()) +
           std::string(beyond.status().message());
  });
}

TEST(EnvironmentTest, StatesAndSummariesOfFilesAreTheSame) {
  TrainingState state;
  state.seconds = 0.1;
  state.history.resize(1);
  state.history[0].train.loss = 1e-310;
  state.losses.recent = {0.1f, 3e-39f};
  const std::string state_json = ToJson(state);
  RunSummary summary;
  summary.train_loss = 0.3;
  const std::string summary_json = ToJson(summary, JsonForm::kLine);
  ExpectTheSame([&]() -> std::string {
    const auto read = TrainingStateFromJson(state_json);
    const auto read_summary = RunSummaryFromJson(summary_json);
    if (!read.ok() || !read_summary.ok()) return "";
    const double numbers[] = {read->seconds, read->history[0].train.loss,
                              read_summary->train_loss};
    return ToJson(*read) + ToJson(*read_summary, JsonForm::kLine) +
           Bits(absl::MakeConstSpan(numbers)) +
           Bits(absl::MakeConstSpan(read->losses.recent));
  });
}

TEST(EnvironmentTest, ScoresAndTheirTextsAreTheSame) {
  ExpectTheSame([] {
    std::string text;
    ConfusionMatrix matrix(3);
    for (const int samples : {0, 1, 7}) {
      EXPECT_TRUE(matrix.Add(samples % 3, 1, samples).ok());
      text += MakeClassificationReport(matrix).ToString({.digits = 17});
      text += matrix.ToString();
      const double accuracy = matrix.accuracy();
      text += Bits(absl::MakeConstSpan(&accuracy, 1));
    }
    return text;
  });
}

TEST(EnvironmentTest, LogsOfAnEpochAreTheSame) {
  EpochResult epoch;
  for (EpochMetrics* const metrics : {&epoch.train, &epoch.test}) {
    metrics->loss = 1e300;
    metrics->accuracy = 0.1;
    metrics->seconds = 0.7;
  }
  ExpectTheSame([&] { return JsonLines(epoch) + EpochRecord(epoch, 0.1); });
}

}  // namespace
}  // namespace tape
