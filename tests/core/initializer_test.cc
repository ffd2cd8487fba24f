// What variables hold before the first step (framework/core/initializer.h): the
// distributions by their bounds and moments, which numbers a seed and a name
// mean, and what is refused.
#include "framework/core/initializer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "framework/core/graph.h"

namespace tape {
namespace {

// Statistics of n draws are normal with a known deviation. Five of those is
// passed by chance once in 1.7 million tests; the seed is fixed anyway.
constexpr double kDeviations = 5;
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// The numbers with which a parameter "w" starts.
std::vector<float> Start(const Shape& shape, const Initializer& initializer,
                         uint64_t seed = 0, const char* name = "w") {
  Graph graph({.seed = seed});
  const Var w = graph.Parameter(name, shape, initializer);
  const auto values = graph.Value(w).values<float>();
  return {values.begin(), values.end()};
}

// What is said of a parameter "w" that is refused.
std::string Refusal(const Shape& shape, const Initializer& initializer,
                    DType dtype = DType::kFloat32) {
  Graph graph;
  const Var w = graph.State("w", shape, initializer, dtype, Loc{"net.cc", 3});
  EXPECT_FALSE(w.valid());
  return std::string(graph.status().message());
}

struct Moments {
  double mean = 0;
  double variance = 0;  // About 0.
};

Moments MomentsOf(absl::Span<const float> x) {
  Moments moments;
  for (double value : x) {
    moments.mean += value / x.size();
    moments.variance += value * value / x.size();
  }
  return moments;
}

// Uniform on ±limit: every draw within, the extremes near it, and the moments.
void ExpectUniform(absl::Span<const float> x, double limit) {
  double largest = 0;
  for (float value : x) {
    // The limit itself may be rounded up to float32.
    ASSERT_LE(std::fabs(value), static_cast<float>(limit));
    largest = std::max<double>(largest, std::fabs(value));
  }
  const double n = x.size();
  // The largest of n falls short of the limit by more than the fraction
  // 15 / n with the probability e^-15.
  EXPECT_GT(largest, limit * (1 - 15 / n));
  // x has the variance limit^2 / 3; x^2 has the mean limit^2 / 3 and the
  // variance limit^4 (1/5 - 1/9).
  const Moments moments = MomentsOf(x);
  EXPECT_NEAR(moments.mean, 0, kDeviations * limit / std::sqrt(3 * n));
  EXPECT_NEAR(moments.variance, limit * limit / 3,
              kDeviations * limit * limit * std::sqrt(4.0 / 45 / n));
}

// Normal with mean 0: the variance of x^2 is 2 variance^2.
void ExpectNormal(absl::Span<const float> x, double variance) {
  const double n = x.size();
  const Moments moments = MomentsOf(x);
  EXPECT_NEAR(moments.mean, 0, kDeviations * std::sqrt(variance / n));
  EXPECT_NEAR(moments.variance, variance,
              kDeviations * variance * std::sqrt(2 / n));
}

TEST(InitializerTest, FillsWithZeros) {
  EXPECT_EQ(Start({2, 2}, Zeros()), (std::vector<float>{0, 0, 0, 0}));
}

TEST(InitializerTest, FillsWithAConstant) {
  EXPECT_EQ(Start({3}, Constant(0.1)), (std::vector<float>{0.1f, 0.1f, 0.1f}));
}

TEST(InitializerTest, FillsInt32) {
  Graph graph;
  const Var ones = graph.State("ones", {2}, Constant(-3), DType::kInt32);
  const Var given =
      graph.State("given", {2}, Values(Tensor({2}, std::vector<int32_t>{4, 5})),
                  DType::kInt32);
  EXPECT_EQ(graph.Value(ones).values<int32_t>(), absl::MakeConstSpan({-3, -3}));
  EXPECT_EQ(graph.Value(given).values<int32_t>(), absl::MakeConstSpan({4, 5}));
}

TEST(InitializerTest, FillsWithGivenValues) {
  const std::vector<float> values = {1, -2, 3, 0.5, 0, 7};
  const Initializer given = Values(Tensor({2, 3}, values));
  EXPECT_EQ(Start({2, 3}, given), values);
  EXPECT_EQ(Start({2, 3}, given), values);  // From the first again.
}

TEST(InitializerTest, RefusesValuesOfAnotherShapeOrDType) {
  const Initializer given = Values(Tensor({2}, std::vector<float>{1, 2}));
  EXPECT_EQ(Refusal({3}, given),
            "net.cc:3: state \"w\": Values: the numbers given have the type "
            "[2], the variable [3]");
  EXPECT_EQ(Refusal({2}, given, DType::kInt32),
            "net.cc:3: state \"w\": Values: the numbers given have the type "
            "[2], the variable int32[2]");
}

TEST(InitializerTest, FillsUniformlyBetweenTheBounds) {
  std::vector<float> x = Start({100, 100}, Uniform(2, 6));
  for (float& value : x) value -= 4;
  ExpectUniform(x, 2);
}

TEST(InitializerTest, FillsUniformlyBetweenEqualBounds) {
  EXPECT_EQ(Start({2}, Uniform(3, 3)), (std::vector<float>{3, 3}));
}

TEST(InitializerTest, RefusesUniformBoundsInTheWrongOrderOrNotFinite) {
  EXPECT_EQ(Refusal({2}, Uniform(1, 0)),
            "net.cc:3: state \"w\": Uniform: expected finite low <= high, "
            "found low 1 and high 0");
  EXPECT_EQ(Refusal({2}, Uniform(0, kInfinity)),
            "net.cc:3: state \"w\": Uniform: expected finite low <= high, "
            "found low 0 and high inf");
  EXPECT_EQ(Refusal({2}, Uniform(std::nan(""), 0)),
            "net.cc:3: state \"w\": Uniform: expected finite low <= high, "
            "found low nan and high 0");
}

TEST(InitializerTest, FillsNormally) {
  std::vector<float> x = Start({100, 100}, Normal(-1, 3));
  for (float& value : x) value += 1;
  ExpectNormal(x, 9);
}

TEST(InitializerTest, RefusesANegativeStandardDeviationOrOneNotFinite) {
  const std::string start =
      "net.cc:3: state \"w\": Normal: expected a finite mean and a finite "
      "standard deviation of at least 0, found ";
  EXPECT_EQ(Refusal({2}, Normal(0, -1)), start + "0 and -1");
  EXPECT_EQ(Refusal({2}, Normal(kInfinity, 1)), start + "inf and 1");
  EXPECT_EQ(Refusal({2}, Normal(0, kInfinity)), start + "0 and inf");
  EXPECT_EQ(Refusal({2}, Normal(0, std::nan(""))), start + "0 and nan");
}

TEST(InitializerTest, FillsByGlorotWithinItsBound) {
  ExpectUniform(Start({100, 50}, Glorot()), std::sqrt(6.0 / 150));
  ExpectUniform(Start({100, 50}, Glorot(std::sqrt(2))), std::sqrt(12.0 / 150));
}

TEST(InitializerTest, RefusesANegativeGainOrOneNotFinite) {
  const std::string start =
      "net.cc:3: state \"w\": Glorot: expected a finite gain of at least 0, "
      "found ";
  EXPECT_EQ(Refusal({2}, Glorot(-1)), start + "-1");
  EXPECT_EQ(Refusal({2}, Glorot(kInfinity)), start + "inf");
  EXPECT_EQ(Refusal({2}, Glorot(std::nan(""))), start + "nan");
}

TEST(InitializerTest, FillsByHeWithItsVariance) {
  ExpectNormal(Start({100, 1000}, He()), 2.0 / 100);
}

TEST(InitializerTest, TakesAVectorToHaveFanInOne) {
  ExpectUniform(Start({5000}, Glorot()), std::sqrt(6.0 / 5001));
  ExpectNormal(Start({100'000}, He()), 2.0);
}

TEST(InitializerTest, DrawsTheSameNumbersInAnyOrderOfDeclaration) {
  Graph first({.seed = 5}), second({.seed = 5});
  const Var a1 = first.Parameter("a", {4, 4}, Glorot());
  const Var b1 = first.Parameter("b", {4, 4}, He());
  const Var b2 = second.Parameter("b", {4, 4}, He());
  second.Parameter("c", {4, 4}, He());
  const Var a2 = second.Parameter("a", {4, 4}, Glorot());
  EXPECT_EQ(first.Value(a1).values<float>(), second.Value(a2).values<float>());
  EXPECT_EQ(first.Value(b1).values<float>(), second.Value(b2).values<float>());
}

TEST(InitializerTest, DrawsOtherNumbersForAnotherSeed) {
  EXPECT_NE(Start({4, 4}, Glorot(), 1), Start({4, 4}, Glorot(), 2));
  EXPECT_NE(Start({4, 4}, He(), 1), Start({4, 4}, He(), 2));
}

TEST(InitializerTest, DrawsOtherNumbersForAnotherName) {
  EXPECT_NE(Start({4, 4}, Glorot(), 1, "a"), Start({4, 4}, Glorot(), 1, "b"));
}

// From a program in Python that shares no code with this one, and rounds to
// float32 once: what seed 42 means to everybody.
TEST(InitializerTest, StartsAGlorotWeightWithTheseNumbers) {
  const std::vector<float> w = Start({784, 128}, Glorot(), 42, "hidden/w");
  EXPECT_EQ(w[0], -0.06761350482702255f);
  EXPECT_EQ(w[1], -0.023849770426750183f);
  EXPECT_EQ(w[2], 0.008558999747037888f);
  EXPECT_EQ(w[3], -0.047964874655008316f);
}

TEST(InitializerTest, FillsATensorWithoutElements) {
  EXPECT_TRUE(Start({0, 4}, Glorot()).empty());
  EXPECT_TRUE(Start({0}, He()).empty());
}

TEST(InitializerTest, RefusesNumbersThatInt32DoesNotHold) {
  for (double value : {2.5, 3e9, -3e9, 1e20}) {
    Graph g;
    g.State("counter", {}, Constant(value), DType::kInt32, {"user.cc", 7});
    EXPECT_EQ(std::string(g.status().message()),
              absl::StrCat("user.cc:7: state \"counter\": expected numbers "
                           "that int32 holds, found ",
                           value));
  }
}

}  // namespace
}  // namespace tape
