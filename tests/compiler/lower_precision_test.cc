// Products in bfloat16 (framework/compiler/lower_precision.h): the program that
// is made, its numbers, alone and in tiles. What happens where the processor has
// no such products: machine_test.cc.
#include "framework/compiler/lower_precision.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/compiler/verify.h"
#include "framework/core/random.h"
#include "framework/framework.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/bfloat16_testing.h"

namespace tape {
namespace {

Tensor Draw(const Shape& shape, uint64_t seed) {
  RandomStream random(seed, StreamOf("lower_precision_test"));
  Tensor tensor(TensorType{DType::kFloat32, shape});
  for (float& value : tensor.values<float>()) {
    value = static_cast<float>(2 * random.Uniform() - 1);
  }
  return tensor;
}

std::vector<float> Numbers(const TensorView& view) {
  const auto values = view.values<float>();
  return {values.begin(), values.end()};
}

TEST(BFloat16Test, IsTheNearestOfTwoTheEvenOne) {
  const float one_ulp = 0x1p-7;
  EXPECT_EQ(float(BFloat16(1)), 1);
  EXPECT_EQ(float(BFloat16(255)), 255);
  EXPECT_EQ(float(BFloat16(1 + one_ulp / 2)), 1);  // Halfway: to the even one.
  EXPECT_EQ(float(BFloat16(1 + 1.5f * one_ulp)), 1 + 2 * one_ulp);
  EXPECT_EQ(float(BFloat16(1 + 0.51f * one_ulp)), 1 + one_ulp);
  EXPECT_EQ(float(BFloat16(-1 - 0.51f * one_ulp)), -1 - one_ulp);
  EXPECT_EQ(float(BFloat16(INFINITY)), INFINITY);
  EXPECT_EQ(float(BFloat16(3.4e38f)), INFINITY);
  EXPECT_TRUE(std::isnan(BFloat16(NAN)));
  EXPECT_TRUE(std::isnan(BFloat16(std::bit_cast<float>(0x7F800001u))));
  EXPECT_TRUE(std::isnan(BFloat16(std::bit_cast<float>(0xFFFFFFFFu))));
}

TEST(LowerPrecisionTest, ChangesNothingWhereThereAreNoProducts) {
  Graph graph;
  const Var x = graph.Input("x", {2});
  EXPECT_TRUE(
      Compile(graph, {.fetch = {Exp(x)}, .precision = Precision::kBFloat16})
          .ok());
}

TEST(LowerPrecisionTest, RoundsEachOperandOnceForAllProducts) {
  Graph graph;
  const Var x = graph.Input("x", {2, 3});
  const Var w = graph.Parameter("w", {3, 3}, Zeros());
  const Var h = MatMul(x, w);
  const Var y = MatMulAdd(h, w, x, {.alpha = 2});
  const Program lowered = LowerPrecision(Extract(graph, {y}, {}));
  Verify(lowered);
  EXPECT_EQ(Dump(lowered),
            "%0 = Input(\"x\") [2,3]\n"
            "%1 = Variable(\"w\") [3,3]\n"
            "%2 = Cast(%0; dtype=bfloat16) bfloat16[2,3]\n"
            "%3 = Cast(%1; dtype=bfloat16) bfloat16[3,3]\n"
            "%4 = MatMul(%2, %3) [2,3]\n"
            "%5 = Cast(%4; dtype=bfloat16) bfloat16[2,3]\n"
            "%6 = MatMulAdd(%5, %3, %0; alpha=2) [2,3]\n"
            "fetch %6\n");
  // What reads bfloat16 already stays.
  EXPECT_EQ(Dump(LowerPrecision(lowered)), Dump(lowered));
}

TEST(LowerPrecisionTest, GivesTheBitsOfRoundedOperands) {
  if (!HasBFloat16Products()) GTEST_SKIP() << kNoBFloat16Products;
  Graph graph;
  const Var x = graph.Input("x", {70, 131});
  const Var w = graph.Input("w", {131, 45});
  const Tensor lhs = Draw({70, 131}, 1), rhs = Draw({131, 45}, 2);
  const std::vector<Feed> feeds = {{x, lhs}, {w, rhs}};
  const Var plain = MatMul(x, w);
  const Var rounded =
      MatMul(Cast(x, DType::kBFloat16), Cast(w, DType::kBFloat16));
  auto low =
      Compile(graph, {.fetch = {plain}, .precision = Precision::kBFloat16});
  auto full = Compile(graph, {.fetch = {plain, rounded}});
  ASSERT_TRUE(low.ok() && full.ok()) << low.status() << full.status();
  ASSERT_TRUE(low->Run(feeds).ok() && full->Run(feeds).ok());
  EXPECT_EQ(Numbers(low->Value(plain)), Numbers(full->Value(rounded)));
  EXPECT_NE(Numbers(low->Value(plain)), Numbers(full->Value(plain)));
}

// A perceptron wide enough that thousands of samples are cut into tiles.
struct Model {
  explicit Model(int64_t samples)
      : images(TensorType{DType::kUint8, {samples, 784}}),
        labels(TensorType{DType::kInt32, {samples}}) {
    const Var w1 = graph.Parameter("w1", {784, 32}, Glorot());
    const Var b1 = graph.Parameter("b1", {32}, Normal(0, 1));
    const Var w2 = graph.Parameter("w2", {32, 5}, Glorot());
    const Var pixels = Cast(x, DType::kFloat32) * (1.0 / 255);
    loss = Mean(
        SoftmaxCrossEntropy(MatMul(Tanh(MatMul(pixels, w1) + b1), w2), label));
    gradients = Gradients(loss, graph.parameters());
    RandomStream random(3, 4);
    for (uint8_t& pixel : images.values<uint8_t>()) pixel = random.Below(256);
    for (int32_t& one : labels.values<int32_t>()) one = random.Below(5);
  }

  // The gradients, one after the other.
  std::vector<std::vector<float>> Run(int threads, Precision precision,
                                      std::string* dump = nullptr) {
    auto plan = Compile(
        graph,
        {.fetch = gradients, .threads = threads, .precision = precision});
    EXPECT_TRUE(plan.ok()) << plan.status();
    EXPECT_TRUE(plan->Run({{x, images}, {label, labels}}).ok());
    if (dump != nullptr) *dump = plan->Dump();
    std::vector<std::vector<float>> found;
    for (Var gradient : gradients) {
      found.push_back(Numbers(plan->Value(gradient)));
    }
    return found;
  }

  Graph graph = Graph({.seed = 1});
  Var x = graph.Input("x", {kBatch, 784}, DType::kUint8);
  Var label = graph.Input("label", {kBatch}, DType::kInt32);
  Var loss;
  std::vector<Var> gradients;
  Tensor images, labels;
};

// A batch that stays whole, and one in tiles, of which the last is shorter.
constexpr int64_t kSamples[] = {64, 5001};

TEST(LowerPrecisionTest, GivesGradientsAsFarAwayAsItsRoundings) {
  if (!HasBFloat16Products()) GTEST_SKIP() << kNoBFloat16Products;
  for (int64_t samples : kSamples) {
    SCOPED_TRACE(samples);
    Model model(samples);
    const auto expected = EvaluateReference(
        model.gradients, {{model.x, ToFloat64(model.images)},
                          {model.label, ToFloat64(model.labels)}});
    ASSERT_TRUE(expected.ok()) << expected.status();
    const auto full = model.Run(2, Precision::kFloat32);
    const auto low = model.Run(2, Precision::kBFloat16);
    for (size_t i = 0; i < low.size(); ++i) {
      SCOPED_TRACE(i);
      double size = 0, apart = 0, apart_in_full = 0;
      for (size_t j = 0; j < low[i].size(); ++j) {
        const double want = (*expected)[i].values<double>()[j];
        size += want * want;
        apart += std::pow(low[i][j] - want, 2.0);
        apart_in_full += std::pow(full[i][j] - want, 2.0);
      }
      // At most four products lie on a gradient's way, two forward and two
      // back. Each has two operands, off by 2^-9 of their size at most; twice
      // as much if terms cancel.
      EXPECT_LE(std::sqrt(apart / size), 2 * 4 * 2 * 0x1p-9);
      // And it is bfloat16 that was read: float32 is far nearer.
      EXPECT_GT(std::sqrt(apart), 10 * std::sqrt(apart_in_full));
    }
  }
}

TEST(LowerPrecisionTest, GivesTheSameBitsForAnyNumberOfThreads) {
  if (!HasBFloat16Products()) GTEST_SKIP() << kNoBFloat16Products;
  for (int64_t samples : kSamples) {
    Model model(samples);
    const auto one = model.Run(1, Precision::kBFloat16);
    for (int threads : {2, 3, 8}) {
      EXPECT_TRUE(model.Run(threads, Precision::kBFloat16) == one)
          << samples << " samples, " << threads << " threads";
    }
  }
}

TEST(LowerPrecisionTest, RoundsWeightsOutsideOfTheTiles) {
  if (!HasBFloat16Products()) GTEST_SKIP() << kNoBFloat16Products;
  std::string dump;
  Model(5001).Run(1, Precision::kBFloat16, &dump);
  const size_t tiles = dump.find(" tiles of ");
  ASSERT_NE(tiles, std::string::npos) << dump;
  for (const char* weight : {"w1", "w2"}) {
    EXPECT_LT(dump.find(absl::StrCat("Cast: variable \"", weight, "\" -> ")),
              tiles)
        << dump;
    EXPECT_FALSE(absl::StrContains(
        dump.substr(tiles), absl::StrCat("Cast: input \"", weight, "\"")))
        << dump;
  }
  // The pixels are written as bfloat16 by the pass that scales them.
  EXPECT_TRUE(absl::StrContains(dump.substr(tiles), "Cast+Mul+Cast: input"))
      << dump;
}

}  // namespace
}  // namespace tape
