// Other libraries' initial numbers, against what NumPy 1.24 and PyTorch 1.13
// print for the same seeds.
#include "framework/core/ported_random.h"

#include <cmath>
#include <string>
#include <vector>

#include "framework/core/graph.h"
#include "gtest/gtest.h"

namespace tape {
namespace {

absl::Span<const float> Declared(Graph& g, const char* name, Shape shape,
                                 const Initializer& initializer) {
  const Var w = g.Parameter(name, std::move(shape), initializer);
  EXPECT_TRUE(g.status().ok()) << g.status();
  return g.Value(w).values<float>();
}

TEST(NumpyRandomTest, DrawsTheWeightsOfDocumentC) {
  // np.random.seed(42); np.random.uniform(-m, m, (500, 784)); then (250, 500).
  Graph g;
  const NumpyRandom numpy(42);
  const double m1 = std::sqrt(6.0 / (784 + 500));
  const double m2 = std::sqrt(6.0 / (500 + 250));
  const auto w1 = Declared(g, "w1", {784, 500},
                           numpy.Uniform(-m1, m1, Layout::kOutputsByInputs));
  // Along the inputs of the first output.
  EXPECT_EQ(w1[0 * 500], static_cast<float>(-0.01715252183242596));
  EXPECT_EQ(w1[1 * 500], static_cast<float>(0.061620391394100124));
  EXPECT_EQ(w1[2 * 500], 0.031717557460069656f);
  EXPECT_EQ(w1[3 * 500], 0.013488310389220715f);
  const auto w2 = Declared(g, "w2", {500, 250},
                           numpy.Uniform(-m2, m2, Layout::kOutputsByInputs));
  EXPECT_EQ(w2[0], static_cast<float>(-0.001501291361248172));
  EXPECT_EQ(w2[1 * 250], static_cast<float>(0.06802389035079255));
  EXPECT_EQ(w2[499 * 250 + 249], static_cast<float>(-0.08139481760931931));
}

TEST(NumpyRandomTest, DrawsNormalsInPairs) {
  // np.random.seed(7): normal(1, 2, 5).
  Graph g;
  const auto five = Declared(g, "five", {5}, NumpyRandom(7).Normal(1, 2));
  const std::vector<double> expected = {4.381051407600712, 0.06812525891833443,
                                        1.0656403273571688, 1.8150325659930155,
                                        -0.5778460572514772};
  for (size_t i = 0; i < 5; ++i) {
    EXPECT_EQ(five[i], static_cast<float>(expected[i])) << i;
  }
}

TEST(NumpyRandomTest, KeepsTheSecondNormalOfAPairAcrossOtherDraws) {
  // np.random.seed(7): normal(0, 1, (3, 3)), uniform(0, 1, 2), normal(0, 1, 2).
  Graph g;
  const NumpyRandom numpy(7);
  const auto x = Declared(g, "x", {3, 3}, numpy.Normal(0, 1));
  const auto y = Declared(g, "y", {2}, numpy.Uniform(0, 1));
  const auto z = Declared(g, "z", {2}, numpy.Normal(0, 1));
  EXPECT_EQ(x[7], static_cast<float>(-1.7547243063454208));
  EXPECT_EQ(x[8], static_cast<float>(1.0176580056634932));
  EXPECT_EQ(y[0], static_cast<float>(0.3809411331485384));
  EXPECT_EQ(y[1], static_cast<float>(0.06593634690590511));
  EXPECT_EQ(z[0], static_cast<float>(0.6004985159195494));
  EXPECT_EQ(z[1], static_cast<float>(0.5052993741967516));
}

TEST(TorchRandomTest, DrawsTheLayersOfDocumentE) {
  // torch.manual_seed(0); Linear(784, 100); Linear(100, 10): first two
  // elements, last element and sum of each tensor, row by row of (outputs,
  // inputs).
  Graph g;
  const TorchRandom torch(0);
  const auto sum = [](absl::Span<const float> values) {
    double sum = 0;
    for (float value : values) sum += value;
    return sum;
  };
  const auto w1 = Declared(g, "w1", {784, 100}, torch.LinearWeight());
  EXPECT_EQ(w1[0], -0x1.186p-12f);
  EXPECT_EQ(w1[1 * 100], 0x1.39e56ap-6f);
  EXPECT_EQ(w1[783 * 100 + 99], 0x1.04576ep-9f);
  EXPECT_NEAR(sum(w1), 0.9559173323655159, 1e-9);  // Another order of adding.
  const auto b1 = Declared(g, "b1", {100}, torch.LinearBias(784));
  EXPECT_EQ(b1[0], -0x1.220298p-5f);
  EXPECT_EQ(b1[1], 0x1.29d3ep-6f);
  EXPECT_EQ(b1[99], 0x1.800a42p-7f);
  EXPECT_NEAR(sum(b1), -0.5134805729599066, 1e-9);
  const auto w2 = Declared(g, "w2", {100, 10}, torch.LinearWeight());
  EXPECT_EQ(w2[0], -0x1.68b0c6p-5f);
  EXPECT_EQ(w2[1 * 10], -0x1.4f1254p-5f);
  EXPECT_EQ(w2[99 * 10 + 9], -0x1.6e0db4p-5f);
  EXPECT_NEAR(sum(w2), 1.940860669331414, 1e-9);
  const auto b2 = Declared(g, "b2", {10}, torch.LinearBias(100));
  EXPECT_EQ(b2[0], 0x1.7f14d6p-4f);
  EXPECT_EQ(b2[9], -0x1.26b6c6p-5f);
}

TEST(TorchRandomTest, RefusesAWeightThatIsNoMatrix) {
  Graph g;
  g.Parameter("w", {5}, TorchRandom(0).LinearWeight(), Tag::kAuto,
              {"user.cc", 7});
  EXPECT_EQ(
      std::string(g.status().message()),
      "user.cc:7: bias \"w\": expected two axes, [inputs, outputs], found "
      "shape [5]");
}

}  // namespace
}  // namespace tape
