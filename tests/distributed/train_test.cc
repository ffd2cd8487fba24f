// Training on several ranks (TrainOptions::parallel): the bits of one process with
// the same shards, whatever the data come from and wherever the run is interrupted;
// ranks that disagree, and ranks that fail.
#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "framework/distributed/data_parallel.h"
#include "framework/distributed/local_group.h"
#include "framework/framework.h"
#include "framework/train/training_state.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"
#include "tests/train/variable_bytes.h"

namespace tape {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

constexpr int kClasses = 3, kShards = 8;
constexpr int64_t kColumns = 6, kSamples = 110, kBatchSize = 20;
constexpr int64_t kStepsPerEpoch = 6;  // The last batch has 10 rows.

// Rows whose label follows from one of their columns.
DataTable Rows(int64_t count, uint64_t seed) {
  RandomStream random(seed, 0);
  std::vector<float> x;
  std::vector<int32_t> label;
  for (int64_t row = 0; row < count; ++row) {
    label.push_back(static_cast<int32_t>(random.Below(kClasses)));
    for (int64_t i = 0; i < kColumns; ++i) {
      x.push_back(static_cast<float>(random.Normal()) +
                  (i == label.back() ? 2.0F : 0.0F));
    }
  }
  return {
      {{"x", Tensor({count, kColumns}, x)}, {"label", Tensor({count}, label)}}};
}

// A source that has its rows in memory.
class MemorySource : public DataSource {
 public:
  explicit MemorySource(DataTable rows) : rows_(std::move(rows)) {
    for (const Column& column : rows_.columns) {
      columns_.push_back({column.name, column.values.type()});
    }
  }
  const std::vector<SourceColumn>& columns() const override { return columns_; }
  int64_t size() const override { return rows_.size(); }
  absl::StatusOr<DataTable> Read(int64_t begin, int64_t count) override {
    const float* const x = rows_.columns[0].values.values<float>().data();
    const int32_t* const label =
        rows_.columns[1].values.values<int32_t>().data();
    return DataTable{
        {{"x", Tensor({count, kColumns},
                      std::vector<float>(x + begin * kColumns,
                                         x + (begin + count) * kColumns))},
         {"label",
          Tensor({count},
                 std::vector<int32_t>(label + begin, label + begin + count))}}};
  }

 private:
  DataTable rows_;
  std::vector<SourceColumn> columns_;
};

// With states of BatchNorm, Dropout, clipping, Adam and averages.
struct Net {
  explicit Net(uint64_t seed = 4, int64_t units = 9) : graph({.seed = seed}) {
    const Var x = graph.Input("x", {kBatch, kColumns});
    const Var label = graph.Input("label", {kBatch}, DType::kInt32);
    const Var w = graph.Parameter("w", {kColumns, units}, He());
    const Var hidden = Dropout(Relu(BatchNorm(MatMul(x, w), "norm")), 0.2);
    const Var logits =
        MatMul(hidden, graph.Parameter("out", {units, kClasses}, Glorot()));
    const Var loss = Mean(SoftmaxCrossEntropy(logits, label));
    model = {
        .graph = &graph,
        .feeds = {{x, "x"}, {label, "label"}},
        .loss = loss,
        .updates = Chain(L2(0.001), ClipByGlobalNorm(0.5), AverageWeights(0.9),
                         Adam({.learning_rate = 0.01}))
                       .Minimize(loss),
        .classification = Classification{.predicted = ArgMax(logits),
                                         .labels = "label",
                                         .classes = kClasses}};
  }

  Graph graph;
  Model model;
};

// Where the training set comes from.
enum class From { kTable, kSource };

TrainOptions Options() {
  return {.epochs = 3,
          .batches = {.batch_size = kBatchSize, .seed = 2},
          .evaluation_batch_size = 16,
          .threads = 1};
}

absl::StatusOr<TrainResult> TrainNet(
    Net& net, TrainOptions options, From from = From::kTable,
    const std::function<absl::Status(const EpochResult&)>& on_epoch = nullptr,
    uint64_t data_seed = 1) {
  options.evaluate_with = AveragedWeights(net.graph);
  Progress progress(nullptr, options.epochs, kSamples);
  const DataTable rows = Rows(kSamples, data_seed);
  if (from == From::kTable) {
    return Train(net.model,
                 {.train = rows, .test = Rows(37, 8), .validation = Rows(5, 9)},
                 options, progress, on_epoch);
  }
  MemorySource source(rows);
  return Train(net.model,
               SourceSplits{.train = &source,
                            .window = 33,
                            .test = Rows(37, 8),
                            .validation = Rows(5, 9)},
               options, progress, on_epoch);
}

// The state as text and bytes, without the wall clock.
std::string Text(TrainingState state) {
  state.seconds = state.training_seconds = state.pass.seconds = 0;
  const auto forget = [](EpochResult& epoch) {
    epoch.train.seconds = epoch.test.seconds = 0;
    if (epoch.validation.has_value()) epoch.validation->seconds = 0;
  };
  for (EpochResult& epoch : state.history) forget(epoch);
  forget(state.kept);
  std::string text = ToJson(state);
  for (const uint32_t sample : state.batches.order) {
    absl::StrAppend(&text, " ", sample);
  }
  for (const NamedTensor& best : state.best) {
    absl::StrAppend(&text, best.name);
    text.append(static_cast<const char*>(best.value.data()),
                best.value.type().bytes());
  }
  return text;
}

// What a rank has after Train.
struct Left {
  TrainResult result;
  std::string variables;
  // The results as text, and each state that was saved with the variables then:
  // rank 0's.
  std::string results;
  std::vector<std::string> saved;
};

// Trains on so many ranks; `adapt` changes the options of a rank. Expects that all
// ranks have the same in the end, and returns what rank 0 has.
Left TrainOnRanks(int ranks, const TrainOptions& options,
                  From from = From::kTable,
                  const std::function<void(int rank, TrainOptions& options)>&
                      adapt = nullptr) {
  std::vector<Left> left(ranks);
  LocalGroup group(ranks);
  const auto statuses = group.Run([&](Communicator& rank) {
    Left& mine = left[rank.rank()];
    Net net;
    TrainOptions of_rank = options;
    of_rank.parallel = {.shards = kShards, .communicator = &rank};
    if (options.checkpoints.empty()) {
      of_rank.save = [&](const TrainingState& state) {
        mine.saved.push_back(Text(state) + VariableBytes(net.graph));
        return absl::OkStatus();
      };
    }
    if (adapt) adapt(rank.rank(), of_rank);
    absl::StatusOr<TrainResult> result = TrainNet(net, of_rank, from);
    if (!result.ok()) return result.status();
    mine.result = *result;
    mine.variables = VariableBytes(net.graph);
    TrainingState results;
    results.step = result->step;
    results.epoch = result->epochs;
    results.history = result->history;
    results.kept = result->kept;
    results.confusion = result->confusion;
    results.not_good = result->not_good;
    mine.results = Text(results);
    return absl::OkStatus();
  });
  for (const absl::Status& status : statuses)
    EXPECT_TRUE(status.ok()) << status;
  for (int rank = 1; rank < ranks; ++rank) {
    EXPECT_EQ(left[rank].result.end, left[0].result.end);
    EXPECT_EQ(left[rank].results, left[0].results);
    EXPECT_TRUE(left[rank].variables == left[0].variables) << rank;
    EXPECT_TRUE(left[rank].saved.empty());
  }
  return left[0];
}

void ExpectSame(const Left& found, const Left& expected) {
  EXPECT_EQ(found.result.end, expected.result.end);
  EXPECT_EQ(found.results, expected.results);
  EXPECT_TRUE(found.variables == expected.variables);
  ASSERT_EQ(found.saved.size(), expected.saved.size());
  for (size_t i = 0; i < found.saved.size(); ++i) {
    EXPECT_TRUE(found.saved[i] == expected.saved[i]) << "saved state " << i;
  }
}

std::string NewFolder(const std::string& name) {
  const std::string folder = absl::StrCat(
      testing::TempDir(), "/",
      testing::UnitTest::GetInstance()->current_test_info()->name(), "_", name);
  fs::remove_all(folder);
  return folder;
}

TEST(TrainOnRanksTest, HasTheBitsOfOneProcess) {
  for (const auto& [order, from] : {std::pair(Order::kShuffled, From::kTable),
                                    std::pair(Order::kSampled, From::kTable),
                                    std::pair(Order::kFixed, From::kTable),
                                    std::pair(Order::kShuffled, From::kSource),
                                    std::pair(Order::kFixed, From::kSource)}) {
    TrainOptions options = Options();
    options.batches.order = order;
    options.checkpoint_every = {.steps = 4};
    const Left expected = TrainOnRanks(1, options, from);
    EXPECT_EQ(expected.result.end, End::kFinished);
    const int64_t steps = 3 * (order == Order::kSampled ? 5 : kStepsPerEpoch);
    EXPECT_EQ(expected.result.step, steps);
    EXPECT_EQ(expected.result.history.size(), 3u);
    EXPECT_GT(expected.result.kept.test.accuracy, 0.5);
    // Before the first step, after each four, and in the end.
    EXPECT_EQ(expected.saved.size(), 1u + steps / 4 + 1);
    for (const int ranks : {2, 4, 8}) {
      SCOPED_TRACE(absl::StrCat("order ", static_cast<int>(order), ", from ",
                                static_cast<int>(from), ", ", ranks, " ranks"));
      ExpectSame(TrainOnRanks(ranks, options, from), expected);
    }
    options.threads = 2;
    ExpectSame(TrainOnRanks(2, options, from), expected);
  }
}

TEST(TrainOnRanksTest, KeepsTheBestModelOfOneProcess) {
  TrainOptions options = Options();
  options.epochs = 12;
  options.batches.seed = 5;
  options.train_figures = TrainFigures::kAfterEpoch;
  options.early_stopping = EarlyStoppingOptions{.patience = 2};
  options.on_divergence = OnDivergence::kSkip;
  const Left expected = TrainOnRanks(1, options);
  ExpectSame(TrainOnRanks(4, options), expected);
}

TEST(TrainOnRanksTest, WithoutShardsItHasTheBitsOfPlainTraining) {
  Net plain, one_shard;
  ASSERT_TRUE(TrainNet(plain, Options()).ok());
  TrainOptions options = Options();
  options.parallel = {.shards = 1};
  ASSERT_TRUE(TrainNet(one_shard, options).ok());
  EXPECT_TRUE(VariableBytes(plain.graph) == VariableBytes(one_shard.graph));
  // The shards are of the run's identity: sums are rounded in another order.
  EXPECT_FALSE(VariableBytes(plain.graph) ==
               TrainOnRanks(1, Options()).variables);
}

// Of any number of ranks: a checkpoint does not know of them.
TEST(TrainOnRanksTest, GoesOnFromCheckpointsOnOtherNumbersOfRanks) {
  const Left expected = TrainOnRanks(1, Options());
  const std::string folder = NewFolder("run");
  int64_t last = 0;
  for (const auto& [ranks, stop] :
       {std::pair(4, 1), std::pair(1, 5), std::pair(2, 6), std::pair(8, 11),
        std::pair(4, 13), std::pair(2, 0)}) {
    SCOPED_TRACE(absl::StrCat("to step ", stop, " on ", ranks, " ranks"));
    TrainOptions options = Options();
    options.checkpoints = folder;
    const int64_t end = stop;
    const auto adapt = [&](int rank, TrainOptions& of_rank) {
      of_rank.on_step = [=, &last](const StepResult& step) {
        // The first step is the one after the last run's.
        if (rank == 0) {
          EXPECT_EQ(step.step, ++last);
        }
        return step.step == end ? AfterStep::kStop : AfterStep::kGoOn;
      };
    };
    const Left left = TrainOnRanks(ranks, options, From::kTable, adapt);
    EXPECT_EQ(left.result.end, stop > 0 ? End::kInterrupted : End::kFinished);
    if (stop > 0) continue;
    EXPECT_EQ(left.results, expected.results);
    EXPECT_TRUE(left.variables == expected.variables);
  }
}

TEST(TrainOnRanksTest, OneRankThatIsInterruptedStopsAllAfterTheSameStep) {
  const Left expected = TrainOnRanks(1, Options());
  for (const int interrupted : {0, 3}) {
    SCOPED_TRACE(absl::StrCat("rank ", interrupted));
    TrainOptions options = Options();
    options.checkpoints = NewFolder("run");
    const Left left = TrainOnRanks(
        4, options, From::kTable, [=](int rank, TrainOptions& of_rank) {
          if (rank != interrupted) return;
          // It asks before each step: from the eighth on.
          of_rank.interrupted = [asked = 0]() mutable { return ++asked >= 8; };
        });
    // The ranks' steps were compared there.
    EXPECT_EQ(left.result.end, End::kInterrupted);
    EXPECT_EQ(left.result.step, 8);
    const Left rest = TrainOnRanks(2, options);
    EXPECT_EQ(rest.result.end, End::kFinished);
    EXPECT_EQ(rest.results, expected.results);
    EXPECT_TRUE(rest.variables == expected.variables);
  }
}

// Rank 0's clock decides; that it has no effect on the bits is what saves show.
TEST(TrainOnRanksTest, SavesByTheClockOfRankZero) {
  TrainOptions options = Options();
  options.checkpoint_every = {.seconds = 1e-9};
  const Left left = TrainOnRanks(4, options);
  EXPECT_EQ(left.saved.size(), 1u + 3 * kStepsPerEpoch + 1);
  ExpectSame(left, TrainOnRanks(1, options));
}

// The errors of ranks with nets, options or data of their own.
std::vector<absl::Status> Statuses(
    int ranks,
    const std::function<absl::StatusOr<TrainResult>(TrainOptions options,
                                                    int rank)>& train) {
  LocalGroup group(ranks);
  return group.Run([&](Communicator& rank) {
    rank.set_timeout_seconds(1e6);
    TrainOptions options = Options();
    options.parallel = {.shards = kShards, .communicator = &rank};
    return train(options, rank.rank()).status();
  });
}

std::string Message(const absl::Status& status) {
  return std::string(status.message());
}

// Rank 0 has the error, and the others end because of it.
void ExpectOthersEnd(const std::vector<absl::Status>& statuses) {
  for (size_t rank = 1; rank < statuses.size(); ++rank) {
    EXPECT_EQ(Message(statuses[rank]),
              absl::StrCat("rank 0: ", Message(statuses[0])));
  }
}

TEST(TrainOnRanksTest, RefusesRanksWithOtherOptions) {
  const auto statuses = Statuses(4, [](TrainOptions options, int rank) {
    if (rank == 2) options.batches.seed = 3;
    Net net;
    return TrainNet(net, options);
  });
  const auto text = [](int seed) {
    return absl::StrCat(
        "the options 3 epochs of batches of 20, order 1, last 0, seed ", seed,
        ", evaluated every 1 in batches of 16, averaging 0, training figures "
        "0, "
        "precision 0, divergence 1, 8 shards, step 0");
  };
  std::string found = text(3);
  found.erase(0, std::string("the options ").size());
  EXPECT_EQ(Message(statuses[0]),
            absl::StrCat("rank 2: expected ", text(2), ", as on rank 0, found ",
                         found));
  ExpectOthersEnd(statuses);
}

// One rank alone would stop.
TEST(TrainOnRanksTest, RefusesRanksThatStopEarlyOtherwise) {
  const auto statuses = Statuses(2, [](TrainOptions options, int rank) {
    options.early_stopping = EarlyStoppingOptions{.patience = rank + 1};
    Net net;
    return TrainNet(net, options);
  });
  EXPECT_THAT(Message(statuses[0]), HasSubstr("patience 1"));
  EXPECT_THAT(Message(statuses[0]), HasSubstr("patience 2"));
  ExpectOthersEnd(statuses);
}

// They would take other samples for the same batch.
TEST(TrainOnRanksTest, RefusesRanksThatReadASourceInOtherBlocks) {
  const auto statuses = Statuses(2, [](TrainOptions options, int rank) {
    Net net;
    Progress progress(nullptr, options.epochs, kSamples);
    MemorySource source(Rows(kSamples, 1));
    return Train(net.model,
                 SourceSplits{.train = &source,
                              .window = 33 + rank,
                              .test = Rows(37, 8),
                              .validation = Rows(5, 9)},
                 options, progress);
  });
  EXPECT_EQ(Message(statuses[0]),
            "rank 1: expected the training set 110 samples in blocks of 33, x "
            "[110,6], label int32[110], as on rank 0, found 110 samples in "
            "blocks of 34, x [110,6], label int32[110]");
  ExpectOthersEnd(statuses);
}

TEST(TrainOnRanksTest, RefusesRanksWithOtherVariables) {
  const auto statuses = Statuses(2, [](TrainOptions options, int rank) {
    Net net;
    if (rank == 1) {
      EXPECT_TRUE(
          net.graph
              .SetValue(net.graph.parameters()[0],
                        Tensor(TensorType{DType::kFloat32, {kColumns, 9}}))
              .ok());
    }
    return TrainNet(net, options);
  });
  EXPECT_THAT(Message(statuses[0]),
              MatchesRegex("rank 1: expected the model with [0-9]+ variables, "
                           "CRC-32C [0-9a-f]{8}, as on rank 0, found [0-9]+ "
                           "variables, CRC-32C [0-9a-f]{8}"));
  ExpectOthersEnd(statuses);
}

// Another seed, which Dropout has among its attributes, or another shape.
TEST(TrainOnRanksTest, RefusesRanksWithOtherModels) {
  for (const auto& [seed, units] : {std::pair(5, 9), std::pair(4, 10)}) {
    const auto statuses = Statuses(2, [=](TrainOptions options, int rank) {
      Net net(rank == 1 ? seed : 4, rank == 1 ? units : 9);
      return TrainNet(net, options);
    });
    EXPECT_THAT(Message(statuses[0]),
                MatchesRegex("rank 1: expected the model [0-9]+ nodes, CRC-32C "
                             "[0-9a-f]{8}, as on rank 0, found [0-9]+ nodes, "
                             "CRC-32C [0-9a-f]{8}"));
    ExpectOthersEnd(statuses);
  }
}

TEST(TrainOnRanksTest, RefusesRanksWithOtherData) {
  const auto statuses = Statuses(4, [](TrainOptions options, int rank) {
    Net net;
    return TrainNet(net, options, From::kTable, nullptr,
                    /*data_seed=*/rank == 3 ? 2 : 1);
  });
  EXPECT_THAT(
      Message(statuses[0]),
      MatchesRegex("rank 3: expected the training set 110 samples, x "
                   "\\[110,6\\] of CRC-32C [0-9a-f]{8}, label "
                   "int32\\[110\\] of CRC-32C [0-9a-f]{8}, as on rank 0, found "
                   "110 samples, x \\[110,6\\] of CRC-32C [0-9a-f]{8}, "
                   "label int32\\[110\\] of CRC-32C [0-9a-f]{8}"));
  ExpectOthersEnd(statuses);
}

TEST(TrainOnRanksTest, RefusesShardsThatRanksCannotShare) {
  const auto statuses = Statuses(4, [](TrainOptions options, int) {
    options.parallel.shards = 2;
    Net net;
    return TrainNet(net, options);
  });
  for (const absl::Status& status : statuses) {
    EXPECT_THAT(
        Message(status),
        HasSubstr("Train: expected a power of two of ranks, at most the "
                  "2 shards of a batch, found 4"));
  }
}

TEST(TrainOnRanksTest, ARankThatFailsEndsTheOthers) {
  const auto statuses = Statuses(4, [](TrainOptions options, int rank) {
    Net net;
    return TrainNet(net, options, From::kTable, [=](const EpochResult& epoch) {
      return rank == 2 && epoch.train.epoch == 2
                 ? absl::DataLossError("the disk is full")
                 : absl::OkStatus();
    });
  });
  EXPECT_EQ(statuses[2], absl::DataLossError("the disk is full"));
  for (const int rank : {0, 1, 3}) {
    EXPECT_THAT(Message(statuses[rank]), HasSubstr("rank 2: the disk is full"));
  }
}

}  // namespace
}  // namespace tape
