// Plans whose batch is divided among ranks (CompileOptions::parallel): the same
// bits for any number of ranks and threads, and the numbers of a plan that does
// not cut the batch but for rounding.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/random.h"
#include "framework/distributed/data_parallel.h"
#include "framework/distributed/local_group.h"
#include "framework/framework.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace tape {
namespace {

constexpr int64_t kPixels = 12;
constexpr int kClasses = 5;

// What a model declares in a graph with the inputs x [batch, kPixels] and label
// [batch].
struct Declared {
  Var loss;
  Updates updates;
  std::vector<Var> fetch = {};  // Besides the loss.
};
using Declare = Declared (*)(Graph& graph, Var x, Var label);

Var Layer(Graph& graph, Var x, const std::string& name, int64_t units) {
  const int64_t inputs = x.shape()[1];
  const Var w = graph.Parameter(name + "/w", {inputs, units}, Glorot());
  const Var b = graph.Parameter(name + "/b", {units}, Zeros(), Tag::kBias);
  return MatMul(x, w) + b;
}

// With gradients that have all-reduces of their own, and others that share one.
Declared Perceptron(Graph& graph, Var x, Var label) {
  const Var hidden = Relu(Layer(graph, x, "hidden", 170));
  const Var logits = Layer(graph, Sigmoid(Layer(graph, hidden, "middle", 110)),
                           "out", kClasses);
  const Var loss = Mean(SoftmaxCrossEntropy(logits, label));
  return {loss,
          Chain(Adam({.learning_rate = 0.01})).Minimize(loss),
          {ArgMax(logits)}};
}

Declared Clipped(Graph& graph, Var x, Var label) {
  const Var logits =
      Layer(graph, Tanh(Layer(graph, x, "hidden", 9)), "out", kClasses);
  const Var loss = Mean(SoftmaxCrossEntropy(logits, label));
  return {loss, Chain(L2(0.01), ClipByGlobalNorm(0.3), AverageWeights(0.9),
                      Momentum({.learning_rate = 0.5}))
                    .Minimize(loss)};
}

Declared Normalised(Graph& graph, Var x, Var label) {
  const Var hidden = Relu(BatchNorm(Layer(graph, x, "hidden", 9), "norm"));
  const Var dropped = Dropout(hidden, 0.4);
  const Var logits = Layer(graph, dropped, "out", kClasses);
  const Var loss = Mean(SoftmaxCrossEntropy(logits, label));
  return {loss,
          Chain(Sgd({.learning_rate = 0.1})).Minimize(loss),
          {dropped, Mean(hidden, {0})}};
}

// Ops that mix rows, before and after sums over them.
Declared Mixed(Graph& graph, Var x, Var label) {
  const Var hidden = Layer(graph, x, "hidden", 6);
  const Var centred = hidden - Mean(hidden, {0});
  const Var gram = MatMul(centred, centred, {.rhs = true});
  const Var pulled = MatMul(gram, hidden) * 0.01f;
  const Var spread = Variance(hidden, {0});
  const Var sums = CumSum(hidden, 0);
  const Var logits = Layer(graph, pulled / Sqrt(spread + 1), "out", kClasses);
  const Var loss =
      Mean(SoftmaxCrossEntropy(logits, label)) + Mean(Square(sums)) * 0.001f;
  return {loss,
          Chain(Sgd({.learning_rate = 0.05})).Minimize(loss),
          {gram, pulled, sums, label}};
}

// Rows that read sums over the batch themselves, and then each other.
Declared Centred(Graph& graph, Var x, Var label) {
  const Var hidden = Layer(graph, x, "hidden", 16);
  const Var centred = hidden - Sum(hidden, {0}, Axes::kKeep) * 0.1f;
  const Var squares = Sum(Square(centred), {0}, Axes::kKeep);
  const Var sums = CumSum(centred / (squares + 1), 0);
  const Var loss =
      Mean(SoftmaxCrossEntropy(Layer(graph, sums, "out", kClasses), label));
  return {loss,
          Chain(Sgd({.learning_rate = 0.05})).Minimize(loss),
          {centred, sums}};
}

struct Case {
  std::string name;
  Declare declare;
  std::vector<int64_t> batches;
};

// What a run leaves: every variable and what was fetched in each step, as bytes.
using Trace = std::map<std::string, std::string>;

std::string Bytes(const TensorView& value) {
  return {static_cast<const char*>(value.data()), value.type().bytes()};
}

// Trains for some steps. A rank is fed its own rows; the others are not numbers.
absl::Status TrainSteps(const Case& of, const DataParallel& parallel,
                        int threads, Trace& trace) {
  Graph graph({.seed = 3});
  const Var x = graph.Input("x", {kBatch, kPixels});
  const Var label = graph.Input("label", {kBatch}, DType::kInt32);
  const Declared declared = of.declare(graph, x, label);
  std::vector<Var> fetch = declared.fetch;
  fetch.push_back(declared.loss);
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = fetch,
                                              .updates = declared.updates,
                                              .threads = threads,
                                              .parallel = parallel});
  if (!plan.ok()) return plan.status();
  int step = 0;
  for (const int64_t batch : of.batches) {
    RandomStream random(step, 7);
    Tensor pixels(TensorType{DType::kFloat32, {batch, kPixels}});
    Tensor labels(TensorType{DType::kInt32, {batch}});
    const RowRange rows = RowsOfRank(batch, parallel);
    for (int64_t row = 0; row < batch; ++row) {
      const bool is_own = row >= rows.begin && row < rows.end;
      for (int64_t i = 0; i < kPixels; ++i) {
        const auto value = static_cast<float>(random.Normal());
        pixels.values<float>()[row * kPixels + i] =
            is_own ? value : std::nanf("");
      }
      const auto value = static_cast<int32_t>(random.Below(kClasses));
      labels.values<int32_t>()[row] = is_own ? value : -1;
    }
    const absl::Status status = plan->Run({{x, pixels}, {label, labels}});
    if (!status.ok()) return status;
    for (size_t i = 0; i < fetch.size(); ++i) {
      trace[absl::StrCat("step ", step, ", fetch ", i)] =
          Bytes(plan->Value(fetch[i]));
    }
    ++step;
  }
  for (int i = 0; i < graph.variables().size(); ++i) {
    const Variable& variable = graph.variables()[i];
    trace[variable.name] = Bytes(variable.value);
  }
  return absl::OkStatus();
}

Trace TraceOfRanks(const Case& of, int shards, int ranks, int threads,
                   bool bfloat16 = false) {
  std::vector<Trace> traces(ranks);
  LocalGroup group(ranks);
  const std::vector<absl::Status> results =
      group.Run([&](Communicator& communicator) {
        return TrainSteps(of,
                          {.shards = shards,
                           .communicator = &communicator,
                           .bfloat16_sums = bfloat16},
                          threads, traces[communicator.rank()]);
      });
  for (const absl::Status& result : results) EXPECT_TRUE(result.ok()) << result;
  for (int rank = 1; rank < ranks; ++rank) {
    for (const auto& [name, bytes] : traces[0]) {
      EXPECT_TRUE(traces[rank][name] == bytes)
          << "rank " << rank << ", " << name;
    }
  }
  return traces[0];
}

void ExpectSameBits(const Trace& expected, const Trace& found) {
  ASSERT_EQ(expected.size(), found.size());
  for (const auto& [name, bytes] : expected) {
    EXPECT_TRUE(found.at(name) == bytes) << name;
  }
}

class PlanOfRanksTest : public testing::TestWithParam<Case> {};

TEST_P(PlanOfRanksTest, HasTheSameBitsForAnyNumberOfRanksAndThreads) {
  const Trace expected = TraceOfRanks(GetParam(), 8, 1, 1);
  for (const int ranks : {1, 2, 4, 8}) {
    for (const int threads : {1, 2}) {
      SCOPED_TRACE(absl::StrCat(ranks, " ranks of ", threads, " threads"));
      ExpectSameBits(expected, TraceOfRanks(GetParam(), 8, ranks, threads));
    }
  }
}

TEST_P(PlanOfRanksTest, HasTheSameBitsWithSumsInBFloat16) {
  const Trace expected = TraceOfRanks(GetParam(), 8, 1, 1, /*bfloat16=*/true);
  for (const int ranks : {2, 4, 8}) {
    SCOPED_TRACE(absl::StrCat(ranks, " ranks"));
    ExpectSameBits(expected, TraceOfRanks(GetParam(), 8, ranks, 1, true));
  }
}

TEST_P(PlanOfRanksTest, HasTheNumbersOfAPlanWithoutShards) {
  const Trace expected = TraceOfRanks(GetParam(), 1, 1, 1);
  const Trace found = TraceOfRanks(GetParam(), 4, 2, 1);
  for (const auto& [name, bytes] : expected) {
    SCOPED_TRACE(name);
    const std::string& other = found.at(name);
    ASSERT_EQ(bytes.size(), other.size());
    for (size_t at = 0; at + sizeof(float) <= bytes.size();
         at += sizeof(float)) {
      float a, b;
      std::memcpy(&a, bytes.data() + at, sizeof(float));
      std::memcpy(&b, other.data() + at, sizeof(float));
      // Integers are the same bits; small ones are denormals as floats.
      ASSERT_NEAR(a, b, 2e-4 * (1 + std::abs(a))) << at;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Models, PlanOfRanksTest,
    testing::Values(
        // The last ones are not multiples of the shards, or fewer.
        Case{"Perceptron", Perceptron, {64, 64, 20, 9}},
        Case{"Clipped", Clipped, {64, 64, 64, 21}},
        Case{"Normalised", Normalised, {64, 40, 19, 32}},
        Case{"Mixed", Mixed, {24, 24, 13}}, Case{"Few", Clipped, {3, 1, 8, 7}},
        // Some ranks have no rows.
        Case{"Centred", Centred, {5, 3, 1, 24}},
        // Shards of more than 1024 rows are cut into tiles.
        Case{"Tiles", Perceptron, {9000, 8300}}),
    [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tape
