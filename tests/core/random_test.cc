// The random generator (framework/core/random.h) against its paper's known
// answers, and what is drawn from it against the distributions it promises. All
// seeds are fixed, so a test that passes once passes always.
#include "framework/core/random.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <set>
#include <vector>

namespace tape {
namespace {

using Counter = std::array<uint32_t, 4>;

// Statistics of n draws are normal with a known deviation. Five of those is
// passed by chance once in 1.7 million tests.
constexpr double kDeviations = 5;

std::vector<double> Uniforms(int count) {
  RandomStream random(1, 2);
  std::vector<double> draws(count);
  for (double& x : draws) x = random.Uniform();
  return draws;
}

std::vector<double> Normals(int count) {
  RandomStream random(3, 4);
  std::vector<double> draws(count);
  for (double& x : draws) x = random.Normal();
  return draws;
}

double MeanOf(const std::vector<double>& x) {
  return std::accumulate(x.begin(), x.end(), 0.0) / x.size();
}

// The standard normal distribution function.
double NormalBelow(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

// Known answers from Random123's kat_vectors, philox4x32 with 10 rounds.
TEST(PhiloxTest, GivesThePapersKnownAnswers) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  constexpr uint32_t kOnes = 0xffffffff;
  EXPECT_EQ(Philox4x32({kOnes, kOnes, kOnes, kOnes}, {kOnes, kOnes}),
            (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
                       {0xa4093822, 0x299f31d0}),
            (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// The values that the authors of FNV publish for 64-bit FNV-1a.
TEST(StreamOfTest, IsFnv1aOfTheName) {
  EXPECT_EQ(StreamOf(""), 0xcbf29ce484222325);
  EXPECT_EQ(StreamOf("a"), 0xaf63dc4c8601ec8c);
  EXPECT_EQ(StreamOf("foobar"), 0x85944171f73967e8);
}

// From a program in Python that shares no code with this one.
TEST(RandomStreamTest, StartsWithTheseBits) {
  RandomStream random(42, 7);
  for (uint32_t expected : {0x67ee6f2cu, 0xe55410ccu, 0x6c7eca35u, 0x557398d3u,
                            0xe5dde940u, 0x600f6196u}) {
    EXPECT_EQ(random.Bits(), expected);
  }
}

TEST(RandomStreamTest, StartsWithTheseUniforms) {
  RandomStream random(42, 7);
  for (double expected : {0x1.9fb9bcb395504p-2, 0x1.b1fb28d555ce6p-2,
                          0x1.cbbbd280c01ecp-1, 0x1.1f9bf1e2591dbp-1}) {
    EXPECT_EQ(random.Uniform(), expected);
  }
}

// From Python's statistics.NormalDist, which uses the same approximation of the
// inverse and the C library's logarithm: one unit in the last place of the
// result, here below 2, is left to the latter.
TEST(RandomStreamTest, StartsWithTheseNormals) {
  RandomStream random(42, 7);
  for (double expected : {-0.23789319099857756, -0.19215688157086774,
                          1.2697735373283174, 0.15537369548738406}) {
    EXPECT_NEAR(random.Normal(), expected, 0x1p-52);
  }
}

TEST(RandomStreamTest, PutsTheBlocksNumberStreamAndSeedIntoTheCipher) {
  RandomStream random(0x123456789abcdef0, 0x0fedcba987654321);
  for (uint32_t block = 0; block < 3; ++block) {
    const Counter expected = Philox4x32({block, 0, 0x87654321, 0x0fedcba9},
                                        {0x9abcdef0, 0x12345678});
    for (uint32_t bits : expected) EXPECT_EQ(random.Bits(), bits);
  }
}

TEST(RandomStreamTest, DiffersBySeedAndByStream) {
  const auto first = [](uint64_t seed, uint64_t stream) {
    RandomStream random(seed, stream);
    return uint64_t{random.Bits()} << 32 | random.Bits();
  };
  // The halves of a seed and a stream each count.
  const std::set<uint64_t> firsts = {first(0, 0), first(1, 0), first(0, 1),
                                     first(1ull << 32, 0),
                                     first(0, 1ull << 32)};
  EXPECT_EQ(firsts.size(), 5u);
}

TEST(RandomStreamTest, IsUniformOnZeroToOne) {
  constexpr int kDraws = 100'000;
  const std::vector<double> draws = Uniforms(kDraws);
  EXPECT_GE(*std::min_element(draws.begin(), draws.end()), 0.0);
  EXPECT_LT(*std::max_element(draws.begin(), draws.end()), 1.0);
  // Variance 1/12.
  EXPECT_NEAR(MeanOf(draws), 0.5, kDeviations * std::sqrt(1.0 / 12 / kDraws));
  // Each tenth holds a binomial number with p = 1/10.
  std::array<int, 10> tenths{};
  for (double x : draws) ++tenths[static_cast<int>(x * 10)];
  for (int count : tenths) {
    EXPECT_NEAR(count, kDraws / 10,
                kDeviations * std::sqrt(kDraws * 0.1 * 0.9));
  }
}

TEST(RandomStreamTest, GivesUniformsThatAreMultiplesOfTwoToTheMinus53) {
  for (double x : Uniforms(1000)) {
    EXPECT_EQ(std::ldexp(x, 53), std::floor(std::ldexp(x, 53)));
  }
}

TEST(RandomStreamTest, IsNormalInItsMoments) {
  constexpr int kDraws = 100'000;
  const std::vector<double> draws = Normals(kDraws);
  double second = 0, third = 0, fourth = 0;
  for (double x : draws) {
    second += x * x;
    third += x * x * x;
    fourth += x * x * x * x;
  }
  // The variances of x, x^2, x^3 and x^4 are 1, 2, 15 and 96.
  const auto bound = [](double variance) {
    return kDeviations * std::sqrt(variance / kDraws);
  };
  EXPECT_NEAR(MeanOf(draws), 0, bound(1));
  EXPECT_NEAR(second / kDraws, 1, bound(2));
  EXPECT_NEAR(third / kDraws, 0, bound(15));
  EXPECT_NEAR(fourth / kDraws, 3, bound(96));
}

TEST(RandomStreamTest, IsNormalInItsQuantiles) {
  constexpr int kDraws = 100'000;
  const std::vector<double> draws = Normals(kDraws);
  for (double x : {-3.0, -2.0, -1.0, -0.3, 0.0, 0.3, 1.0, 2.0, 3.0}) {
    const double p = NormalBelow(x);
    const auto below = std::count_if(draws.begin(), draws.end(),
                                     [x](double draw) { return draw < x; });
    EXPECT_NEAR(below, kDraws * p,
                kDeviations * std::sqrt(kDraws * p * (1 - p)))
        << x;
  }
}

// The Uniform of the same place, moved off 0 and 1 by half a step, is the
// distribution function of the Normal. A relative error of x becomes x^2 times
// that of the function, and x is at most 4.5 in so many draws: 20 times 5
// roundings of 1.1e-16 (AS 241's own, the draw's, and on the way into erfc).
TEST(RandomStreamTest, InvertsTheDistributionFunction) {
  RandomStream uniform(5, 6), normal(5, 6);
  for (int i = 0; i < 20'000; ++i) {
    const double p = uniform.Uniform() * (1 - 0x1p-53) + 0x1p-54;
    EXPECT_NEAR(NormalBelow(normal.Normal()) / p, 1, 1.2e-14);
  }
}

TEST(RandomStreamTest, StaysBelowTheBound) {
  RandomStream random(7, 8);
  for (uint32_t bound : {1u, 2u, 3u, 1000u, 0x80000001u, 0xffffffffu}) {
    for (int i = 0; i < 1000; ++i) EXPECT_LT(random.Below(bound), bound);
  }
}

TEST(RandomStreamTest, GivesEachNumberBelowTheBoundAlike) {
  constexpr int kBound = 7, kDraws = 70'000;
  RandomStream random(9, 10);
  std::array<int, kBound> counts{};
  for (int i = 0; i < kDraws; ++i) ++counts[random.Below(kBound)];
  for (int count : counts) {
    EXPECT_NEAR(count, kDraws / kBound,
                kDeviations * std::sqrt(kDraws * (1.0 / 7) * (6.0 / 7)));
  }
}

// At 3 * 2^30 the plain product of Lemire's method would give every third
// number twice as often as the others.
TEST(RandomStreamTest, HasNoBiasAtALargeBound) {
  constexpr uint32_t kBound = 3u << 30;
  constexpr int kDraws = 30'000;
  RandomStream random(11, 12);
  std::array<int, 3> rest{};
  for (int i = 0; i < kDraws; ++i) ++rest[random.Below(kBound) % 3];
  for (int count : rest) {
    EXPECT_NEAR(count, kDraws / 3,
                kDeviations * std::sqrt(kDraws * (1.0 / 3) * (2.0 / 3)));
  }
}

TEST(ShuffleTest, KeepsTheItems) {
  std::vector<uint32_t> items(1000);
  std::iota(items.begin(), items.end(), 0);
  std::vector<uint32_t> shuffled = items;
  RandomStream random(13, 14);
  Shuffle(random, shuffled);
  EXPECT_NE(shuffled, items);
  std::sort(shuffled.begin(), shuffled.end());
  EXPECT_EQ(shuffled, items);
}

TEST(ShuffleTest, GivesEveryOrderAlike) {
  constexpr int kShuffles = 24'000;
  RandomStream random(15, 16);
  std::array<int, 256> counts{};  // By the order, two bits an item.
  for (int i = 0; i < kShuffles; ++i) {
    std::vector<uint32_t> items = {0, 1, 2, 3};
    Shuffle(random, items);
    ++counts[items[0] << 6 | items[1] << 4 | items[2] << 2 | items[3]];
  }
  EXPECT_EQ(std::count(counts.begin(), counts.end(), 0), 256 - 24);
  for (int count : counts) {
    if (count == 0) continue;  // Not an order.
    EXPECT_NEAR(count, kShuffles / 24,
                kDeviations * std::sqrt(kShuffles * (1.0 / 24) * (23.0 / 24)));
  }
}

TEST(ShuffleTest, LeavesNoneOrOneItemAsItIs) {
  RandomStream random(17, 18);
  std::vector<uint32_t> none, one = {5};
  Shuffle(random, none);
  Shuffle(random, one);
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(one, (std::vector<uint32_t>{5}));
}

TEST(RandomStreamTest, OfAStepDependsOnSeedStreamAndStep) {
  const auto first = [](uint64_t seed, uint64_t stream, uint32_t step) {
    return StreamOfStep(seed, stream, step).Bits();
  };
  // A change of the generator would be seen here.
  EXPECT_EQ(first(1, 2, 3), 3036427270u);
  EXPECT_NE(first(1, 2, 3), first(2, 2, 3));
  EXPECT_NE(first(1, 2, 3), first(1, 3, 3));
  EXPECT_NE(first(1, 2, 3), first(1, 2, 4));
}

TEST(RandomStreamTest, SkipsNormalsAsIfTheyHadBeenDrawn) {
  RandomStream drawn(4, 9);
  for (int skipped = 0; skipped < 9; ++skipped) {
    RandomStream skipping(4, 9);
    skipping.SkipNormals(skipped);
    EXPECT_EQ(skipping.Normal(), drawn.Normal()) << skipped;
  }
}

}  // namespace
}  // namespace tape
