// Batches cut into tiles (framework/compiler/tile_batch.h, tile_kernels.h): the two programs
// by their text, what cannot be cut, and the numbers of large batches against
// references in double.
#include <dlfcn.h>
#include <unistd.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/compiler/tile_batch.h"
#include "framework/compiler/verify.h"
#include "framework/core/reference.h"
#include "framework/framework.h"
#include "framework/runtime/program.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace {

// What the system says of the second-level cache.
constexpr long kOfTheMachine = -1;
long second_level_cache = kOfTheMachine;

}  // namespace

// In the place of the C library's.
extern "C" long sysconf(int name) noexcept {
  if (name == _SC_LEVEL2_CACHE_SIZE && second_level_cache != kOfTheMachine) {
    return second_level_cache;
  }
  using Function = long (*)(int);
  static const auto system =
      reinterpret_cast<Function>(dlsym(RTLD_NEXT, "sysconf"));
  return system(name);
}

namespace tape {
namespace {

std::optional<Tiling> Cut(const std::vector<Var>& fetches, int64_t batch,
                          int64_t tile_rows,
                          const std::vector<Assignment>& assignments = {}) {
  const Graph& graph = *fetches[0].graph();
  EXPECT_TRUE(graph.status().ok()) << graph.status();
  const Program program = Bind(Extract(graph, fetches, assignments), batch);
  const std::optional<Tiling> tiling = CutIntoTiles(program, batch, tile_rows);
  if (tiling.has_value()) {
    Verify(tiling->outer);
    Verify(tiling->program);
  }
  return tiling;
}

TEST(TileBatchTest, CutsAStepIntoRowsSumsAndTheRest) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 3});
  const Var w = graph.Parameter("w", {3, 2}, Zeros());
  const Var y = Tanh(MatMul(x, w));
  const Var g = MatMul(x, y, {.lhs = true});
  const std::optional<Tiling> tiling = Cut({y}, 8, 4, {{w, w - 2 * g}});
  ASSERT_TRUE(tiling.has_value());
  EXPECT_EQ(Dump(tiling->outer),
            "%0 = Input(\"x\") [8,3]\n"
            "%1 = Variable(\"w\") [3,2]\n"
            "%2 = Fill(value=2) []\n"
            "%3 = Tiles(%0, %1; dtype=int32) int32[]\n"
            "%4 = OfTiles(%3; axis=1, shape=[8,2]) [8,2]\n"
            "%5 = OfTiles(%3; shape=[3,2]) [3,2]\n"
            "%6 = Mul(%2, %5) [3,2]\n"
            "%7 = Sub(%1, %6) [3,2]\n"
            "fetch %4\n"
            "variable 0 becomes %7\n");
  EXPECT_EQ(Dump(tiling->program),
            "%0 = Input(\"x\") [4,3]\n"
            "%1 = Input(\"w\") [3,2]\n"
            "%2 = MatMul(%0, %1) [4,2]\n"
            "%3 = Tanh(%2) [4,2]\n"
            "%4 = MatMul(%0, %3; transpose_lhs) [3,2]\n"
            "%5 = Variable(\"\") [3,2]\n"
            "%6 = AddN(%4, %5) [3,2]\n"
            "fetch %3\n"
            "variable 0 becomes %6\n");
  EXPECT_EQ(tiling->read_by_rows, (std::vector<bool>{true, false}));
  EXPECT_EQ(tiling->sums, std::vector<int>{5});
  EXPECT_EQ(tiling->gathered, std::vector<int>{4});
}

TEST(TileBatchTest, ReadsWhatHasRowsWithoutBeingFedByRowsToo) {
  Graph graph;
  const Var x = graph.Input("x", {8, 2});
  const Var mask = graph.Parameter("mask", {8, 2}, Zeros());
  const Var sum = Sum(x * Exp(mask) * Fill(&graph, {8, 2}, 3));
  const std::optional<Tiling> tiling = Cut({sum}, 8, 2);
  ASSERT_TRUE(tiling.has_value());
  EXPECT_EQ(tiling->read_by_rows, (std::vector<bool>{true, true}));
  EXPECT_TRUE(absl::StrContains(Dump(tiling->program),
                                "Fill(value=3, shape=[2,2]) [2,2]"));
}

TEST(TileBatchTest, LeavesWhatCannotBeCut) {
  Graph graph;
  const Var x = graph.Input("x", {8, 4});
  const Var square = graph.Input("square", {8, 8});
  const Var row = graph.Parameter("row", {4}, Zeros());
  EXPECT_FALSE(Cut({Exp(row)}, 8, 2).has_value());  // No rows at all.
  EXPECT_FALSE(Cut({x - Mean(x, {0})}, 8, 2).has_value());
  EXPECT_FALSE(Cut({MatMul(square, x)}, 8, 2).has_value());  // Mixes rows.
  EXPECT_FALSE(Cut({MatMul(x, x, {.rhs = true})}, 8, 2).has_value());
  EXPECT_FALSE(Cut({ArgMax(x, 0)}, 8, 2).has_value());
  EXPECT_FALSE(Cut({Softmax(x, 0)}, 8, 2).has_value());
  EXPECT_FALSE(Cut({CumSum(x, 0)}, 8, 2).has_value());
  EXPECT_TRUE(Cut({CumSum(x, 1)}, 8, 2).has_value());
  EXPECT_FALSE(Cut({Reverse(x, 0)}, 8, 2).has_value());
  EXPECT_TRUE(Cut({Reverse(x, 1)}, 8, 2).has_value());
  EXPECT_FALSE(Cut({Slice(x, 0, {0, 8})}, 8, 2).has_value());
  EXPECT_FALSE(Cut({Concat({x, x}, 0)}, 8, 2).has_value());
  EXPECT_TRUE(Cut({Concat({x, x}, 1)}, 8, 2).has_value());
  EXPECT_FALSE(Cut({Concat({x, x + row}, 0)}, 8, 2).has_value());
  EXPECT_FALSE(Cut({Transpose(square)}, 8, 2).has_value());
  EXPECT_TRUE(Cut({Transpose(ExpandDims(x, 1), {0, 2, 1})}, 8, 2).has_value());
  // An axis of as many elements as rows is not the rows.
  EXPECT_FALSE(Cut({square + Sum(square, {1})}, 8, 2).has_value());
}

TEST(TileBatchTest, KnowsTheRowsOfIndices) {
  Graph graph;
  const Var table = graph.Parameter("table", {5, 4}, Zeros());
  const Var rows = graph.Input("rows", {8}, DType::kInt32);
  const Var words = graph.Input("words", {8, 3}, DType::kInt32);
  const Var columns = graph.State("columns", {2}, Zeros(), DType::kInt32);
  const Var x = graph.Input("x", {8, 4});
  EXPECT_TRUE(Cut({Gather(table, words)}, 8, 2).has_value());
  EXPECT_TRUE(Cut({Gather(x, columns, 1)}, 8, 2).has_value());
  EXPECT_FALSE(Cut({Gather(x, rows)}, 8, 2).has_value());
  EXPECT_FALSE(Cut({Gather(x, columns)}, 8, 2).has_value());
  EXPECT_FALSE(Cut({Gather(table, rows, 1)}, 8, 2).has_value());
  EXPECT_TRUE(Cut({ScatterAdd(Square(x), rows, {5, 4})}, 8, 2).has_value());
  EXPECT_FALSE(Cut({ScatterAdd(Square(x), rows, {50, 4})}, 8, 2).has_value());
  EXPECT_FALSE(
      Cut({ScatterAdd(Square(x),
                      graph.State("order", {8}, Zeros(), DType::kInt32),
                      {5, 4})},
          8, 2)
          .has_value());
  EXPECT_TRUE(Cut({ScatterAdd(Gather(x, columns, 1), columns, {8, 4}, 1)}, 8, 2)
                  .has_value());
  EXPECT_TRUE(Cut({TopK(x, 2).values}, 8, 2).has_value());
  EXPECT_FALSE(Cut({TopK(x, 2, 0).values}, 8, 2).has_value());
}

TEST(TileBatchTest, KnowsTheRowsOfBatchesOfMatrices) {
  Graph graph;
  const Var x = graph.Input("x", {8, 3, 4});
  const Var w = graph.Parameter("w", {4, 5}, Zeros());
  const Var many = graph.Parameter("many", {8, 4, 5}, Zeros());
  const Var y = Square(MatMul(x, w));
  EXPECT_TRUE(Cut({y}, 8, 2).has_value());
  EXPECT_TRUE(Cut(Gradients(Sum(y), {w}), 8, 2).has_value());
  // What is in rows by what is not, and the other way.
  const Var c = graph.Parameter("c", {8, 3, 5}, Zeros());
  const Var d = graph.Parameter("d", {8, 3, 4}, Zeros());
  EXPECT_FALSE(
      Cut(Gradients(Sum(MatMul(Square(x), w) * c), {w}), 8, 2).has_value());
  EXPECT_FALSE(Cut(Gradients(Sum(MatMul(d, w) * y), {w}), 8, 2).has_value());
  EXPECT_TRUE(Cut({MatMul(x, x, {.rhs = true})}, 8, 2).has_value());
  EXPECT_FALSE(Cut({MatMul(x, many)}, 8, 2).has_value());
  // Rows of a matrix for each of another's.
  const Var matrix = graph.Input("matrix", {8, 4});
  EXPECT_FALSE(Cut({MatMul(matrix, many)}, 8, 2).has_value());
  const Var right = graph.Input("right", {8, 4, 5});
  EXPECT_TRUE(Cut({MatMul(x, right)}, 8, 2).has_value());
  EXPECT_FALSE(Cut({MatMul(matrix, right)}, 8, 2).has_value());
  // One matrix for all rows, even as a batch of one.
  const Var one = graph.Parameter("one", {1, 4, 5}, Zeros());
  EXPECT_TRUE(Cut({MatMul(x, one)}, 8, 2).has_value());
}

// ---- Numbers ----

// A perceptron wide enough that thousands of samples are cut.
struct Model {
  explicit Model(Graph& graph)
      : x(graph.Input("x", {kBatch, 784}, DType::kUint8)),
        label(graph.Input("label", {kBatch}, DType::kInt32)) {
    const Var w1 = graph.Parameter("w1", {784, 12}, Glorot());
    const Var b1 = graph.Parameter("b1", {12}, Normal(0, 1));
    const Var w2 = graph.Parameter("w2", {12, 5}, Glorot());
    // Not as bytes that products read: tiles are small where there are floats.
    const Var pixels = (Cast(x, DType::kFloat32) - 127) * (1.0 / 255);
    logits = MatMul(Tanh(MatMul(pixels, w1) + b1), w2);
    loss = Mean(SoftmaxCrossEntropy(logits, label));
    gradients = Gradients(loss, graph.parameters());
  }

  std::vector<Feed> Feeds(int64_t samples) {
    RandomStream random(3, 4);
    images = Tensor(TensorType{DType::kUint8, {samples, 784}});
    for (uint8_t& pixel : images.values<uint8_t>()) pixel = random.Below(256);
    labels = Tensor(TensorType{DType::kInt32, {samples}});
    for (int32_t& one : labels.values<int32_t>()) one = random.Below(5);
    return {{x, images}, {label, labels}};
  }

  Var x, label, logits, loss;
  std::vector<Var> gradients;
  Tensor images, labels;
};

// Nearly the reference's; what is compared is about 1 or has summands that are.
void ExpectNear(const TensorView& found, const Tensor& expected,
                double tolerance) {
  ASSERT_EQ(found.shape(), expected.shape());
  for (int64_t i = 0; i < expected.elements(); ++i) {
    ASSERT_NEAR(found.values<float>()[i], expected.values<double>()[i],
                tolerance)
        << i;
  }
}

// Tiles have a multiple of 32 rows, so 5001 samples end with another size.
constexpr int64_t kSamples[] = {8192, 5001};

TEST(TilesTest, ComputesWhatTheReferencesDo) {
  for (int64_t samples : kSamples) {
    Graph graph;
    Model model(graph);
    const std::vector<Feed> feeds = model.Feeds(samples);
    std::vector<Var> fetch = model.gradients;
    fetch.push_back(model.loss);
    fetch.push_back(model.logits);
    auto plan = Compile(graph, {.fetch = fetch, .threads = 2});
    ASSERT_TRUE(plan.ok()) << plan.status();
    ReferenceFeeds reference_feeds;
    for (const Feed& feed : feeds) {
      reference_feeds.push_back({feed.input, ToFloat64(feed.value)});
    }
    const auto expected = EvaluateReference(fetch, reference_feeds);
    ASSERT_TRUE(expected.ok()) << expected.status();
    // A second run must not see the sums of the first.
    for (int run = 0; run < 2; ++run) {
      ASSERT_TRUE(plan->Run(feeds).ok());
      for (const char* part : {" tiles of ", " lanes, ", ", each tile in "}) {
        EXPECT_TRUE(absl::StrContains(plan->Dump(), part)) << plan->Dump();
      }
      for (size_t i = 0; i < fetch.size(); ++i) {
        SCOPED_TRACE(absl::StrCat(samples, " samples, fetch ", i));
        ExpectNear(plan->Value(fetch[i]), (*expected)[i], 1e-5);
      }
    }
  }
}

TEST(TilesTest, UpdatesVariablesAfterAllTiles) {
  Graph graph({.seed = 1});
  Model model(graph);
  const std::vector<Feed> feeds = model.Feeds(5001);
  std::vector<Var> wanted;
  Updates updates;
  for (size_t i = 0; i < graph.parameters().size(); ++i) {
    const Var w = graph.parameters()[i];
    wanted.push_back(w - 0.5 * (model.gradients[i] + 0.1 * w));
    updates.assignments.push_back({w, wanted.back()});
  }
  ReferenceFeeds reference_feeds;
  for (const Feed& feed : feeds) {
    reference_feeds.push_back({feed.input, ToFloat64(feed.value)});
  }
  const auto expected = EvaluateReference(wanted, reference_feeds);
  ASSERT_TRUE(expected.ok()) << expected.status();
  auto plan = Compile(graph, {.updates = updates, .threads = 2});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(plan->Run(feeds).ok());
  for (size_t i = 0; i < wanted.size(); ++i) {
    SCOPED_TRACE(i);
    ExpectNear(graph.Value(graph.parameters()[i]), (*expected)[i], 1e-5);
  }
}

TEST(TilesTest, GivesTheSameBitsForAnyNumberOfThreads) {
  std::vector<std::vector<float>> found;
  for (int threads : {1, 2, 3, 8}) {
    Graph graph;
    Model model(graph);
    auto plan = Compile(graph, {.fetch = model.gradients, .threads = threads});
    ASSERT_TRUE(plan.ok()) << plan.status();
    ASSERT_TRUE(plan->Run(model.Feeds(5001)).ok());
    const auto values = plan->Value(model.gradients[0]).values<float>();
    found.emplace_back(values.begin(), values.end());
    EXPECT_EQ(found.back(), found[0]) << threads;
  }
}

// Tiles that are each too small to change a float32 sum near 1, by which they
// stand in hundreds.
TEST(TilesTest, LosesNothingOfManyTiles) {
  constexpr int64_t kRows = 20000, kColumns = 16384;
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 1});
  const Var w = graph.Parameter("w", {1, kColumns}, Zeros());
  const Var y = Tanh(MatMul(x, w));
  // The derivative of tanh at 0 is 1.
  const Var sums = Gradients(Sum(y), {w})[0];
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {sums}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  Tensor rows({DType::kFloat32, {kRows, 1}});
  for (float& row : rows.values<float>()) row = 3e-10f;
  rows.values<float>()[0] = 1;
  ASSERT_TRUE(plan->Run({{x, rows}}).ok());
  EXPECT_TRUE(absl::StrContains(plan->Dump(), "tiles of 64 rows in 2 lanes"))
      << plan->Dump();
  // Of the first lane's tiles, the first 16 may lose 16 * 2^-24.
  EXPECT_NEAR(plan->Value(sums).values<float>()[5], 1 + 19999 * 3e-10, 1e-6);
}

// So the same bits come out on machines with other caches.
TEST(TilesTest, AreTheSameWhateverTheCacheOfTheMachine) {
  const auto dump = [](long bytes) {
    second_level_cache = bytes;
    Graph graph;
    const Var x = graph.Input("x", {kBatch, 64});
    const Var w = graph.Parameter("w", {64, 64}, Glorot());
    const Var y = Mean(Square(Tanh(MatMul(x, w))));
    const absl::StatusOr<Plan> plan =
        Compile(graph, {.fetch = {y}, .batch_sizes = {100'000}});
    second_level_cache = kOfTheMachine;
    return plan->Dump();
  };
  const std::string expected = dump(kOfTheMachine);
  EXPECT_TRUE(absl::StrContains(expected, "tiles of")) << expected;
  for (const long bytes : {0, 256 << 10, 2 << 20, 16 << 20}) {
    EXPECT_EQ(dump(bytes), expected) << bytes;
  }
}

// 80 MB of sums would be read and written for each tile of 64 rows.
TEST(TilesTest, AreLargeWhereSumsAre) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 784});
  const Var w = graph.Parameter("w", {784, 4096}, Zeros());
  const Var v = graph.Parameter("v", {4096, 4096}, Zeros());
  const Var loss = Mean(Square(Tanh(MatMul(Tanh(MatMul(x, w)), v))));
  const std::vector<Var> gradients = Gradients(loss, {w, v});
  const auto plan = Compile(graph, {.fetch = gradients, .batch_sizes = {1024}});
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_FALSE(absl::StrContains(plan->Dump(), " tiles of "));
}

TEST(TilesTest, LeavesSmallBatchesWhole) {
  Graph graph;
  Model model(graph);
  auto plan = Compile(graph, {.fetch = model.gradients, .threads = 1});
  ASSERT_TRUE(plan.ok()) << plan.status();
  ASSERT_TRUE(plan->Run(model.Feeds(512)).ok());
  EXPECT_FALSE(absl::StrContains(plan->Dump(), "tiles"));
}

}  // namespace
}  // namespace tape
