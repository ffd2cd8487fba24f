// Training on a source (framework/data/data_source.h): the bits of training on a
// table, and those of an uninterrupted run wherever it is interrupted.
#include "framework/data/data_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/gradients.h"
#include "framework/core/random.h"
#include "framework/io/safetensors.h"
#include "framework/log/progress.h"
#include "framework/optim/optimizer.h"
#include "framework/train/checkpoint.h"
#include "framework/train/trainer.h"
#include "ops/ops.h"
#include "tests/train/variable_bytes.h"

namespace tape {
namespace {

using ::testing::HasSubstr;

constexpr int kSamples = 60;

// x [n,3] and y [n,1], which is a sum of x with noise.
DataTable Samples(int begin, int count) {
  std::vector<float> x, y;
  for (int i = begin; i < begin + count; ++i) {
    RandomStream random(i, 0);
    float sum = 0;
    for (int k = 0; k < 3; ++k) {
      x.push_back(static_cast<float>(random.Uniform()));
      sum += static_cast<float>(k + 1) * x.back();
    }
    y.push_back(sum + 0.1f * static_cast<float>(random.Uniform()));
  }
  return {
      .columns = {{"x", Tensor({count, 3}, x)}, {"y", Tensor({count, 1}, y)}}};
}

ShardedSource Open() {
  std::vector<std::string> paths;
  for (const auto& [begin, count] :
       {std::pair(0, 25), std::pair(25, 5), std::pair(30, 30)}) {
    paths.push_back(
        absl::StrCat(testing::TempDir(), "/shard-", begin, ".safetensors"));
    const DataTable rows = Samples(begin, count);
    EXPECT_TRUE(
        WriteSafetensors(paths.back(), {ViewOf("x", rows.columns[0].values),
                                        ViewOf("y", rows.columns[1].values)})
            .ok());
  }
  absl::StatusOr<ShardedSource> source = ShardedSource::Open(paths);
  EXPECT_TRUE(source.ok()) << source.status();
  return *std::move(source);
}

struct Net {
  Net() {
    const Var x = graph.Input("x", {kBatch, 3});
    const Var y = graph.Input("y", {kBatch, 1});
    const Var hidden = Dropout(
        Relu(BatchNorm(MatMul(x, graph.Parameter("w1", {3, 8}, Glorot())),
                       "norm")),
        0.2);
    const Var loss = MeanSquaredError(
        MatMul(hidden, graph.Parameter("w2", {8, 1}, Glorot())), y);
    model = {.graph = &graph,
             .feeds = {{x, "x"}, {y, "y"}},
             .loss = loss,
             .updates = Chain(Adam()).Apply(
                 graph.parameters(), Gradients(loss, graph.parameters()))};
  }

  // All variables.
  std::string Bytes() const { return VariableBytes(graph); }

  Graph graph;
  Model model;
};

TrainOptions Options(Order order = Order::kShuffled) {
  return {.epochs = 3,
          .batches = {.batch_size = 8, .order = order, .seed = 2},
          .threads = 1};
}

template <typename Data>
absl::StatusOr<TrainResult> TrainOn(Net& net, const Data& data,
                                    const TrainOptions& options) {
  Progress progress(nullptr, options.epochs, kSamples);
  return Train(net.model, data, options, progress);
}

TEST(TrainOnSourceTest, HasTheBitsOfATableInItsOrder) {
  ShardedSource source = Open();
  Net of_source, of_table;
  const DataTable test = Samples(100, 20);
  const auto result = TrainOn(of_source, SourceSplits{&source, 7, test},
                              Options(Order::kFixed));
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->step, 3 * 8);
  const auto expected = TrainOn(
      of_table, TableSplits{.train = Samples(0, kSamples), .test = test},
      Options(Order::kFixed));
  ASSERT_TRUE(expected.ok()) << expected.status();
  EXPECT_EQ(of_source.Bytes(), of_table.Bytes());
  EXPECT_EQ(result->kept.test.loss, expected->kept.test.loss);
}

TEST(TrainOnSourceTest, GoesOnToTheSameBitsAfterAnyStep) {
  ShardedSource source = Open();
  const SourceSplits data = {.train = &source, .window = 11};
  Net whole;
  const auto expected = TrainOn(whole, data, Options());
  ASSERT_TRUE(expected.ok()) << expected.status();
  const std::string path = testing::TempDir() + "/source.safetensors";
  for (int64_t at = 1; at < expected->step; ++at) {
    SCOPED_TRACE(at);
    {
      Net first;
      TrainOptions options = Options();
      options.on_step = [&](const StepResult& step) {
        return step.step == at ? AfterStep::kStop : AfterStep::kGoOn;
      };
      options.save = [&](const TrainingState& state) {
        return WriteCheckpoint(path, first.graph, state, {});
      };
      const auto interrupted = TrainOn(first, data, options);
      ASSERT_TRUE(interrupted.ok()) << interrupted.status();
      ASSERT_EQ(interrupted->end, End::kInterrupted);
    }
    Net second;
    const absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(path);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    const absl::StatusOr<TrainingState> state =
        Restore(*checkpoint, second.graph);
    ASSERT_TRUE(state.ok()) << state.status();
    TrainOptions options = Options();
    options.resume_from = &*state;
    const auto result = TrainOn(second, data, options);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(second.Bytes(), whole.Bytes());
  }
}

// Gives one block, and then an error.
class Failing : public DataSource {
 public:
  const std::vector<SourceColumn>& columns() const override { return columns_; }
  int64_t size() const override { return kSamples; }
  absl::StatusOr<DataTable> Read(int64_t begin, int64_t count) override {
    if (begin > 0) return absl::DataLossError("disk.bin: no more of it");
    return Samples(0, static_cast<int>(count));
  }

 private:
  std::vector<SourceColumn> columns_ = {
      {"x", {DType::kFloat32, {kSamples, 3}}},
      {"y", {DType::kFloat32, {kSamples, 1}}}};
};

TEST(TrainOnSourceTest, EndsWithTheSourcesError) {
  Failing source;
  Net net;
  const auto result =
      TrainOn(net, SourceSplits{&source, 20}, Options(Order::kFixed));
  EXPECT_EQ(result.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(result.status().message()),
              HasSubstr("disk.bin: no more of it"));
  EXPECT_THAT(
      std::string(TrainOn(net, SourceSplits(), Options()).status().message()),
      HasSubstr("expected a source to train on, found null"));
}

}  // namespace
}  // namespace tape
