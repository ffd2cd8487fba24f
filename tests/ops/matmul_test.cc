// Matrix products (ops/matmul.cc, ops/onednn.h) against products in double: all
// four transposes, odd and empty shapes, and shapes that are cut into bands.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/check/kernel_check.h"
#include "framework/compiler/compile.h"
#include "framework/core/graph.h"
#include "framework/core/random.h"
#include "framework/core/reference.h"
#include "framework/core/tensor.h"
#include "ops/ops.h"
#include "ops/tile_code.h"

namespace tape {
namespace {

constexpr Transposes kTransposes[] = {{.lhs = false, .rhs = false},
                                      {.lhs = false, .rhs = true},
                                      {.lhs = true, .rhs = false},
                                      {.lhs = true, .rhs = true}};

struct Sizes {
  int64_t m, k, n;
};

Shape Stored(int64_t rows, int64_t columns, bool transposed) {
  return transposed ? Shape{columns, rows} : Shape{rows, columns};
}

// Uniform on [-1, 1).
Tensor Random(const Shape& shape, uint64_t stream) {
  RandomStream random(1, stream);
  Tensor tensor(TensorType{DType::kFloat32, shape});
  for (float& x : tensor.values<float>()) {
    x = static_cast<float>(2 * random.Uniform() - 1);
  }
  return tensor;
}

float Element(const Tensor& matrix, bool transposed, int64_t row,
              int64_t column) {
  const int64_t at = transposed ? column * matrix.shape()[1] + row
                                : row * matrix.shape()[1] + column;
  return matrix.values<float>()[at];
}

// Each element is a sum of k products in some order. In float32 each addition
// and product, fused or not, is off by at most the factor 1 + u, u = 2^-24, so
// the sum is off by at most k u / (1 - k u) times the sum of the products'
// magnitudes (Higham, "Accuracy and Stability of Numerical Algorithms", 3.1).
// Doubles hold the products exactly and add them with an error that is smaller
// by 2^29.
void ExpectProduct(const Tensor& a, const Tensor& b, const TensorView& c,
                   const Sizes& sizes, Transposes transposes) {
  const double ku = static_cast<double>(sizes.k) * 0x1p-24;
  const auto got = c.values<float>();
  ASSERT_EQ(c.shape(), (Shape{sizes.m, sizes.n}));
  int wrong = 0;
  for (int64_t i = 0; i < sizes.m; ++i) {
    for (int64_t j = 0; j < sizes.n; ++j) {
      double sum = 0, magnitudes = 0;
      for (int64_t k = 0; k < sizes.k; ++k) {
        const double product = double{Element(a, transposes.lhs, i, k)} *
                               Element(b, transposes.rhs, k, j);
        sum += product;
        magnitudes += std::fabs(product);
      }
      const double error = std::fabs(got[i * sizes.n + j] - sum);
      wrong += !(error <= ku / (1 - ku) * magnitudes);
    }
  }
  EXPECT_EQ(wrong, 0);
}

// Multiplies random matrices by a plan of `threads` threads, checks the product
// and gives the number of chunks.
int Multiply(const Sizes& sizes, Transposes transposes, int threads = 1) {
  SCOPED_TRACE(absl::StrCat("m ", sizes.m, " k ", sizes.k, " n ", sizes.n,
                            " transposes ", transposes.lhs, transposes.rhs));
  const Tensor a = Random(Stored(sizes.m, sizes.k, transposes.lhs), 1);
  const Tensor b = Random(Stored(sizes.k, sizes.n, transposes.rhs), 2);
  Graph graph;
  const Var x = graph.Input("x", a.shape()), y = graph.Input("y", b.shape());
  const Var product = MatMul(x, y, transposes);
  auto plan = Compile(graph, {.fetch = {product}, .threads = threads});
  EXPECT_TRUE(plan.ok()) << plan.status();
  EXPECT_TRUE(plan->Run({{x, a}, {y, b}}).ok());
  ExpectProduct(a, b, plan->Value(product), sizes, transposes);
  return plan->Steps()[0].chunks;
}

TEST(MatMulTest, MultipliesSmallAndOddShapes) {
  for (const Sizes& sizes : {Sizes{1, 1, 1},
                             {1, 7, 1},
                             {5, 1, 3},
                             {1, 17, 33},
                             {31, 1, 1},
                             {3, 5, 7},
                             {16, 16, 16},
                             {17, 33, 65},
                             {64, 100, 10}}) {
    for (Transposes transposes : kTransposes) Multiply(sizes, transposes);
  }
}

TEST(MatMulTest, IsZeroWhereThereAreNoTerms) {
  for (Transposes transposes : kTransposes) Multiply({3, 0, 5}, transposes);
}

TEST(MatMulTest, IsZeroInMemoryThatHeldOtherNumbers) {
  Graph graph;
  const Var x = graph.Input("x", {4, 4}), none = graph.Input("none", {4, 0});
  const Var squares = MatMul(x, x);
  const Var sum = Sum(squares);
  const Var zeros = MatMul(none, none, {.rhs = true});
  auto plan = Compile(graph, {.fetch = {sum, zeros}, .threads = 1});
  ASSERT_TRUE(plan.ok());
  // The sum has been taken, so the products' memory is free.
  EXPECT_TRUE(absl::StrContains(plan->Dump(), "\"none\" -> arena+0"));
  ASSERT_TRUE(
      plan->Run({{x, Random({4, 4}, 0)}, {none, Random({4, 0}, 0)}}).ok());
  EXPECT_EQ(plan->Value(zeros).values<float>(), std::vector<float>(16, 0));
}

TEST(MatMulTest, IsEmptyWhereThereAreNoRowsOrColumns) {
  for (Transposes transposes : kTransposes) {
    Multiply({0, 4, 5}, transposes);
    Multiply({3, 4, 0}, transposes);
    Multiply({0, 0, 0}, transposes);
  }
}

// Some 32 million operations each, and a last band that is shorter.
TEST(MatMulTest, MultipliesBandsOfRowsAndOfColumns) {
  for (Transposes transposes : kTransposes) {
    EXPECT_EQ(Multiply({1009, 161, 99}, transposes, 1), 4);
    EXPECT_EQ(Multiply({99, 161, 1009}, transposes, 2), 4);
  }
}

// A pass takes a product's bands one by one, with operands of all shapes.
TEST(MatMulTest, IsWorkedOnBandByBand) {
  for (const auto& [m, k, n] : {Sizes{331, 127, 120}, Sizes{120, 127, 331},
                                Sizes{7, 5, 3}, Sizes{256, 784, 20}}) {
    Graph graph;
    const Var x = graph.Input("x", {m, k});
    const Var w = graph.Input("w", {k, n});
    const Var row = graph.Input("row", {n});
    const Var column = graph.Input("column", {m, 1});
    const Var whole = graph.Input("whole", {m, n});
    const Var y = Relu(MatMul(x, w) + row) * column + whole;
    auto plan = Compile(graph, {.fetch = {y}, .threads = 2});
    ASSERT_TRUE(plan.ok()) << plan.status();
    std::vector<Feed> feeds;
    ReferenceFeeds reference_feeds;
    std::vector<Tensor> tensors;
    for (Var input : {x, w, row, column, whole}) {
      tensors.push_back(Random(input.shape(), tensors.size()));
    }
    for (const Tensor& tensor : tensors) {
      const Var input(&graph, static_cast<int>(feeds.size()));
      feeds.push_back({input, tensor});
      reference_feeds.push_back({input, tensor});
    }
    ASSERT_TRUE(plan->Run(feeds).ok());
    EXPECT_TRUE(absl::StrContains(plan->Dump(), "MatMul+Add+Relu+Mul+Add: "))
        << plan->Dump();
    const auto expected = EvaluateReference({y}, reference_feeds);
    ASSERT_TRUE(expected.ok()) << expected.status();
    const auto found = plan->Value(y).values<float>();
    for (int64_t i = 0; i < m * n; ++i) {
      ASSERT_NEAR(found[i], (*expected)[0].values<double>()[i], 1e-4) << i;
    }
  }
}

TEST(MatMulTest, StaysWholeWhereItIsSmall) {
  EXPECT_EQ(Multiply({64, 70, 100}, {}), 1);
}

// Few rows times weights: each chunk has its own rows of the weights.
TEST(MatMulTest, AddsUpChunksOfTermsInOrder) {
  if (LanesOfTiles() == 0) GTEST_SKIP() << "no machine code for tiles here";
  EXPECT_EQ(Multiply({16, 784, 40}, {}, 2), 2);
  EXPECT_EQ(Multiply({1, 5000, 33}, {}, 1), 2);
  EXPECT_EQ(Multiply({200, 1001, 48}, {}, 2), 4);
  Graph graph;
  const Var x = graph.Input("x", {64, 784}), w = graph.Input("w", {784, 96});
  const Var y = Relu(MatMul(x, w) + 0.5);
  const Tensor a = Random(x.shape(), 1), b = Random(w.shape(), 2);
  std::vector<std::vector<float>> all;
  for (int threads : {1, 2, 3}) {
    auto plan = Compile(graph, {.fetch = {y}, .threads = threads});
    ASSERT_TRUE(plan.ok()) << plan.status();
    for (int run = 0; run < 20; ++run) {
      ASSERT_TRUE(plan->Run({{x, a}, {w, b}}).ok());
      const auto values = plan->Value(y).values<float>();
      all.emplace_back(values.begin(), values.end());
      ASSERT_EQ(all.back(), all[0]) << threads << " threads, run " << run;
    }
  }
}

// What a primitive ran on must not stay behind in it. (Both operands here are
// the same memory, too.)
TEST(MatMulTest, FollowsItsOperandsToNewMemory) {
  Graph graph;
  const Var x = graph.Input("x", {40, 40});
  const Var product = MatMul(x, x, {.rhs = true});
  auto plan = Compile(graph, {.fetch = {product}, .threads = 1});
  ASSERT_TRUE(plan.ok());
  for (uint64_t stream = 0; stream < 4; ++stream) {
    const Tensor a = Random({40, 40}, stream);
    ASSERT_TRUE(plan->Run({{x, a}}).ok());
    ExpectProduct(a, a, plan->Value(product), {40, 40, 40}, {.rhs = true});
  }
}

// a dies where the sum is made, and c, which is as large, does not.
TEST(MatMulAddTest, LeavesAnAddendThatIsReadLater) {
  Graph graph;
  const Var x = graph.Input("x", {8, 8}), w = graph.Input("w", {8, 8});
  const Var a = Softmax(x), c = Softmax(w);
  const Var y = MatMulAdd(a, w, c);
  const Var z = MatMul(c, x);
  Tensor numbers(TensorType{DType::kFloat32, {8, 8}});
  for (int i = 0; i < 64; ++i) numbers.values<float>()[i] = 0.1f * i;
  const absl::Status status =
      CheckKernels({y, z}, {{x, numbers}, {w, numbers}});
  EXPECT_TRUE(status.ok()) << status;
}

}  // namespace
}  // namespace tape
