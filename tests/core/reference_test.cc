// The references' interpreter (framework/core/reference.h): what is computed,
// with which numbers, and what is refused.
#include "framework/core/reference.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "framework/check/kernel_check.h"
#include "framework/core/basic_ops.h"
#include "framework/core/graph.h"
#include "ops/ops.h"

namespace tape {
namespace {

using Numbers = std::vector<double>;

Loc At(int line) { return Loc{"net.cc", line}; }

Tensor Floats(const Shape& shape, const std::vector<float>& values) {
  return Tensor(shape, values);
}

Numbers Evaluate(Var var, const ReferenceFeeds& feeds = {}) {
  const auto values =
      EvaluateReference({var}, feeds, {}, nullptr, {"user.cc", 8});
  EXPECT_TRUE(values.ok()) << values.status();
  if (!values.ok()) return {};
  const auto numbers = (*values)[0].values<double>();
  return {numbers.begin(), numbers.end()};
}

std::string Refusal(Var var, const ReferenceFeeds& feeds) {
  const auto values =
      EvaluateReference({var}, feeds, {}, nullptr, {"user.cc", 8});
  EXPECT_EQ(values.status().code(), absl::StatusCode::kInvalidArgument);
  return std::string(values.status().message());
}

// Leaves a tensor of another type of an operand or a result.
class Replacing : public ReferenceObserver {
 public:
  explicit Replacing(bool operands) : operands_(operands) {}
  void OnOperand(int, int, Tensor& value) override {
    if (operands_) value = Floats({2}, {1, 2});
  }
  void OnResult(int, Tensor& value) override {
    if (!operands_) value = Tensor({3}, std::vector<double>(3));
  }

 private:
  const bool operands_;
};

TEST(EvaluateReferenceTest, RefusesAnObserverThatLeavesAnotherType) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, {"net.cc", 4});
  const Var y = Square(x, {"net.cc", 5});
  for (const bool operands : {false, true}) {
    Replacing observer(operands);
    const auto values = EvaluateReference({y}, {{x, Floats({2}, {1, 2})}}, {},
                                          &observer, {"user.cc", 8});
    EXPECT_EQ(
        values.status(),
        absl::InvalidArgumentError(
            operands ? "user.cc:8: EvaluateReference: expected the observer "
                       "to leave the type float64[2] of [2] is input \"x\", "
                       "net.cc:4, found [2]"
                     : "user.cc:8: EvaluateReference: expected the observer "
                       "to leave the type float64[2] of [2] from Square at "
                       "net.cc:5, found float64[3]"));
  }
}

TEST(EvaluateReferenceTest, ComputesEachFetchInDouble) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Var y = x / 3;
  const auto values = EvaluateReference({y, x, y}, {{x, Floats({2}, {1, 2})}});
  ASSERT_TRUE(values.ok());
  ASSERT_EQ(values->size(), 3u);
  for (const Tensor& value : *values) {
    EXPECT_EQ(value.type().ToString(), "float64[2]");
  }
  // Not the nearest float32.
  EXPECT_EQ((*values)[0].values<double>(), (Numbers{1.0 / 3, 2.0 / 3}));
  EXPECT_EQ((*values)[1].values<double>(), (Numbers{1, 2}));
  EXPECT_EQ((*values)[2].values<double>(), (Numbers{1.0 / 3, 2.0 / 3}));
}

// As kernels do: tests/ops/op_test.cc compares them.
TEST(EvaluateReferenceTest, WrapsInt32) {
  Graph graph;
  const Var a = graph.Input("a", {3}, DType::kInt32);
  const Var b = graph.Input("b", {3}, DType::kInt32);
  const ReferenceFeeds feeds = {
      {a,
       Tensor({3}, std::vector<int32_t>{2147483647, -2147483647 - 1, 65537})},
      {b, Tensor({3}, std::vector<int32_t>{1, 1, 65535})}};
  const auto values = EvaluateReference({a + b, a - b, a * b, -a}, feeds);
  ASSERT_TRUE(values.ok()) << values.status();
  const std::vector<std::vector<double>> expected = {
      {-2147483648.0, -2147483647, 131072},
      {2147483646, 2147483647, 2},
      {2147483647, -2147483648.0, -1},
      {-2147483647, -2147483648.0, -65537}};
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ((*values)[i].values<double>(), absl::MakeConstSpan(expected[i]))
        << i;
  }
  Graph other;
  const Var x = other.Input("a", {3}, DType::kInt32);
  const Var y = other.Input("b", {3}, DType::kInt32);
  const absl::Status status = CheckKernels(
      {x + y, x - y, x * y, -x}, {{x, feeds[0].second}, {y, feeds[1].second}});
  EXPECT_TRUE(status.ok()) << status;
}

TEST(EvaluateReferenceTest, GivesNothingForNothing) {
  const auto values = EvaluateReference({});
  ASSERT_TRUE(values.ok());
  EXPECT_TRUE(values->empty());
}

TEST(EvaluateReferenceTest, TakesFeedsOfAnyDType) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Var n = graph.Input("n", {2}, DType::kInt32);
  EXPECT_EQ(Evaluate(x, {{x, Tensor({2}, Numbers{0.1, 0.2})}}),
            (Numbers{0.1, 0.2}));
  EXPECT_EQ(Evaluate(n, {{n, Tensor({2}, std::vector<uint8_t>{255, 0})}}),
            (Numbers{255, 0}));
  EXPECT_EQ(Evaluate(n, {{n, Tensor({2}, std::vector<int32_t>{-5, 1})}}),
            (Numbers{-5, 1}));
}

TEST(EvaluateReferenceTest, ReadsVariablesUnlessTheyAreFed) {
  Graph graph;
  const Var w = graph.Parameter("w", {2}, Constant(3));
  EXPECT_EQ(Evaluate(2 * w), (Numbers{6, 6}));
  ASSERT_TRUE(graph.SetValue(w, Floats({2}, {1, 2})).ok());
  EXPECT_EQ(Evaluate(2 * w), (Numbers{2, 4}));
  EXPECT_EQ(Evaluate(2 * w, {{w, Floats({2}, {5, 5})}}), (Numbers{10, 10}));
  EXPECT_EQ(graph.Value(w).values<float>(), (std::vector<float>{1, 2}));
}

TEST(EvaluateReferenceTest, NeedsOnlyTheInputsThatTheFetchesDependOn) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  const Var unused = graph.Input("unused", {3});
  const Var y = Exp(x);
  Exp(unused);
  EXPECT_EQ(Evaluate(y, {{x, Floats({2}, {0, 0})}}), (Numbers{1, 1}));
  EXPECT_EQ(
      Evaluate(y, {{x, Floats({2}, {0, 0})}, {unused, Floats({3}, {1, 2, 3})}}),
      (Numbers{1, 1}));
}

TEST(EvaluateReferenceTest, BindsTheBatchInShapesAndAttributes) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 2});
  const Var y = Mean(x + BroadcastTo(Fill(&graph, {}, 1), {kBatch, 2}));
  EXPECT_EQ(Evaluate(y, {{x, Floats({3, 2}, {1, 2, 3, 4, 5, 6})}}),
            (Numbers{4.5}));
  EXPECT_EQ(Evaluate(y, {{x, Floats({1, 2}, {1, 2})}}), (Numbers{2.5}));
}

TEST(EvaluateReferenceTest, NamesTheInputThatIsMissing) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, At(3));
  EXPECT_EQ(Refusal(Exp(x), {}),
            "net.cc:3: input \"x\" is needed and was not fed");
}

TEST(EvaluateReferenceTest, NamesTheSourceThatDoesNotFit) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 2}, DType::kFloat32, At(3));
  const Var w = graph.Parameter("w", {2}, Zeros(), Tag::kAuto, At(4));
  const Var y = x * w;
  EXPECT_EQ(Refusal(y, {{x, Floats({2, 3}, {1, 2, 3, 4, 5, 6})}}),
            "net.cc:3: Input \"x\" was declared as [batch,2], and fed [2,3]");
  EXPECT_EQ(Refusal(y, {{x, Floats({2}, {1, 2})}}),
            "net.cc:3: Input \"x\" was declared as [batch,2], and fed [2]");
  EXPECT_EQ(Refusal(y, {{w, Floats({1}, {1})}}),
            "net.cc:4: Variable \"w\" was declared as [2], and fed [1]");
}

TEST(EvaluateReferenceTest, RefusesTwoBatchSizes) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch}, DType::kFloat32, At(3));
  const Var z = graph.Input("z", {kBatch}, DType::kFloat32, At(4));
  EXPECT_EQ(Refusal(x + z, {{x, Floats({2}, {1, 2})}, {z, Floats({1}, {1})}}),
            "net.cc:4: Input \"z\" was declared as [batch], and fed [1]");
}

TEST(EvaluateReferenceTest, RefusesToBeFedWhatIsNoSource) {
  Graph graph;
  const Var x = graph.Input("x", {2}, DType::kFloat32, At(3));
  const Var y = Exp(x, At(4));
  EXPECT_EQ(Refusal(Neg(y), {{y, Floats({2}, {1, 2})}}),
            "net.cc:4: Exp \"\" was declared as [2], and fed [2]");
}

TEST(EvaluateReferenceTest, RefusesToBeFedAVarOfAnotherGraph) {
  Graph graph, other;
  const Var x = graph.Input("x", {2});
  const Var z = other.Input("z", {2});
  EXPECT_EQ(Refusal(x, {{z, Floats({2}, {1, 2})}}),
            "user.cc:8: EvaluateReference: what is fed is not a Var of the "
            "graph of the fetches");
}

TEST(EvaluateReferenceTest, RefusesABatchOfUnknownSize) {
  Graph graph;
  const Var y = Fill(&graph, {kBatch}, 1, DType::kFloat32, At(3));
  EXPECT_EQ(Refusal(y, {}),
            "net.cc:3: the batch size of [batch] from Fill at net.cc:3 is not "
            "known: no input that is fed has it");
}

TEST(EvaluateReferenceTest, RefusesABatchThatAnOpRefuses) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch}, DType::kFloat32, At(3));
  for (Var y : {Softmax(x, 0, At(4)), Max(x, {0}, Axes::kDrop, At(4))}) {
    const std::string refusal =
        Refusal(y, {{x, Tensor(TensorType{DType::kFloat32, {0}})}});
    EXPECT_TRUE(absl::StartsWith(refusal, "net.cc:4: ")) << refusal;
    EXPECT_TRUE(absl::EndsWith(refusal, ", with a batch of 0 samples"))
        << refusal;
  }
}

TEST(EvaluateReferenceTest, ReturnsTheMistakesOfTheGraph) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  Add(x, graph.Input("z", {3}));
  EXPECT_EQ(EvaluateReference({x}).status(), graph.status());
}

TEST(ToFloat64Test, KeepsShapeAndNumbers) {
  const Tensor tensor =
      ToFloat64(Tensor({2, 1}, std::vector<int32_t>{-1, 2147483647}));
  EXPECT_EQ(tensor.type().ToString(), "float64[2,1]");
  EXPECT_EQ(tensor.values<double>(), (Numbers{-1, 2147483647}));
}

TEST(ForEachBroadcastTest, VisitsEachElementWithItsOperands) {
  std::vector<std::vector<int64_t>> visits;
  ForEachBroadcast({2, 1, 3}, {{2, 1, 3}, {3}, {2, 1, 1}, {}},
                   [&](int64_t i, absl::Span<const int64_t> at) {
                     visits.push_back({i, at[0], at[1], at[2], at[3]});
                   });
  EXPECT_EQ(visits, (std::vector<std::vector<int64_t>>{{0, 0, 0, 0, 0},
                                                       {1, 1, 1, 0, 0},
                                                       {2, 2, 2, 0, 0},
                                                       {3, 3, 0, 1, 0},
                                                       {4, 4, 1, 1, 0},
                                                       {5, 5, 2, 1, 0}}));
}

TEST(ForEachBroadcastTest, VisitsRankZeroOnceAndNothingNever) {
  int visits = 0;
  const auto count = [&](int64_t, absl::Span<const int64_t>) { ++visits; };
  ForEachBroadcast({}, {{}}, count);
  EXPECT_EQ(visits, 1);
  ForEachBroadcast({2, 0}, {{1}}, count);
  EXPECT_EQ(visits, 1);
}

double Twice(double x) { return 2 * x; }
double Less(double x, double y) { return x - y; }
double Between(double x, double y, double z) { return 100 * x + 10 * y + z; }
double Scaled(const Attributes& attributes, double x) {
  return attributes.value * x;
}
double ScaledSum(const Attributes& attributes, double x, double y) {
  return attributes.value * (x + y);
}

template <auto f>
Numbers Mapped(const std::vector<Tensor>& inputs) {
  Tensor output(TensorType{DType::kFloat64, {2}});
  MapReference<f>({.value = 3}, inputs, output);
  return {output.values<double>().begin(), output.values<double>().end()};
}

TEST(MapReferenceTest, AppliesAFormulaOfOneToThreeInputs) {
  const Tensor x({2}, Numbers{1, 2}), y({1}, Numbers{5}), z({2}, Numbers{7, 8});
  EXPECT_EQ(Mapped<Twice>({x}), (Numbers{2, 4}));
  EXPECT_EQ(Mapped<Less>({x, y}), (Numbers{-4, -3}));
  EXPECT_EQ(Mapped<Between>({x, y, z}), (Numbers{157, 258}));
  EXPECT_EQ(Mapped<Scaled>({x}), (Numbers{3, 6}));
  EXPECT_EQ(Mapped<ScaledSum>({x, y}), (Numbers{18, 21}));
}

}  // namespace
}  // namespace tape
