// Products that read bytes (framework/compiler/read_bytes.cc): which ones, and that
// no bit changes where a batch is cut into the same tiles, or none.
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "framework/compiler/passes.h"
#include "framework/compiler/verify.h"
#include "framework/core/random.h"
#include "framework/framework.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "ops/tile_code.h"

namespace tape {
namespace {

class ReadBytesTest : public testing::Test {
 protected:
  void SetUp() override {
    if (LanesOfTiles() == 0) GTEST_SKIP() << "no machine code for tiles here";
  }
};

Var Pixels(Graph& graph) { return graph.Input("x", {3, 6}, DType::kUint8); }

std::string Made(const Graph& graph, Var y) {
  const Program program = Prune(ReadBytes(Extract(graph, {y}, {})));
  Verify(program);
  return Dump(program);
}

TEST_F(ReadBytesTest, TakesInTheCastAndItsFactor) {
  Graph graph;
  const Var x = Pixels(graph), w = graph.Parameter("w", {6, 4}, Zeros());
  const Var scaled = 0.25 * Cast(x, DType::kFloat32);
  EXPECT_EQ(Made(graph, MatMul(scaled, w)),
            "%0 = Input(\"x\") uint8[3,6]\n"
            "%1 = Variable(\"w\") [6,4]\n"
            "%2 = MatMulOfBytes(%0, %1; value=0.25) [3,4]\n"
            "fetch %2\n");
}

TEST_F(ReadBytesTest, TakesInACastAlone) {
  Graph graph;
  const Var x = Pixels(graph), w = graph.Parameter("w", {3, 4}, Zeros());
  EXPECT_TRUE(absl::StrContains(
      Made(graph, MatMul(Cast(x, DType::kFloat32), w, {.lhs = true})),
      "MatMulOfBytes(%0, %1; "));
}

TEST_F(ReadBytesTest, LeavesFloatsThatAreNeeded) {
  Graph graph;
  const Var x = Pixels(graph), w = graph.Parameter("w", {6, 4}, Zeros());
  const Var scaled = Cast(x, DType::kFloat32) * 0.25;
  const Var product = MatMul(scaled, w);
  // By another op, as a right factor, beside another factor, and by a wide product.
  const Var wide = graph.Parameter("wide", {6, 1000}, Zeros());
  for (Var y : {Sum(product) + Sum(scaled), MatMul(w, scaled, {true, true}),
                MatMul(scaled - 0.5, w), MatMul(scaled, wide)}) {
    EXPECT_FALSE(absl::StrContains(Made(graph, y), "OfBytes"));
  }
}

// A step of training on so many rows of bytes; 60,000 are cut into tiles.
std::vector<float> Trained(int64_t rows, bool reads_bytes, int threads) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 70}, DType::kUint8);
  const Var scaled = Cast(x, DType::kFloat32) * (1.0 / 255);
  const Var w = graph.Parameter("w", {70, 40}, Glorot());
  const Var b = graph.Parameter("b", {40}, Zeros());
  const Var loss = Mean(Square(Tanh(MatMul(scaled, w) + b)));
  const std::vector<Var> parameters = graph.parameters();
  const Updates updates = Chain(L2(0.01), Sgd({.learning_rate = 0.5}))
                              .Apply(parameters, Gradients(loss, parameters));
  CompileOptions options = {
      .fetch = {loss, w}, .updates = updates, .threads = threads};
  if (!reads_bytes) options.without = {"read_bytes"};
  absl::StatusOr<Plan> plan = Compile(graph, options);
  EXPECT_TRUE(plan.ok()) << plan.status();
  Tensor images(TensorType{DType::kUint8, {rows, 70}});
  RandomStream random(1, StreamOf("read_bytes_test"));
  for (uint8_t& pixel : images.values<uint8_t>()) {
    pixel = static_cast<uint8_t>(256 * random.Uniform());
  }
  for (int step = 0; step < 3; ++step) {
    EXPECT_TRUE(plan->Run({{x, images}}).ok());
  }
  if (reads_bytes) {
    EXPECT_TRUE(absl::StrContains(plan->Dump(), "OfBytes"));
    EXPECT_EQ(absl::StrContains(plan->Dump(), " tiles of "), rows > 10'000);
  }
  std::vector<float> numbers = {plan->Scalar(loss)};
  const auto weights = plan->Value(w).values<float>();
  numbers.insert(numbers.end(), weights.begin(), weights.end());
  return numbers;
}

TEST_F(ReadBytesTest, ChangesNoBit) {
  for (int threads : {1, 2}) {
    EXPECT_EQ(Trained(200, true, threads), Trained(200, false, threads));
  }
}

TEST_F(ReadBytesTest, TrainsTheSameOnAnyNumberOfThreads) {
  for (int64_t rows : {200, 60000}) {
    EXPECT_EQ(Trained(rows, true, 1), Trained(rows, true, 3));
  }
}

}  // namespace
}  // namespace tape
