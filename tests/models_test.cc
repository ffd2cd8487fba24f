// The experiments: declared rightly, trained on the real data, the same bits
// each time.
#include <cstring>
#include <vector>

#include "framework/framework.h"
#include "gtest/gtest.h"
#include "models/experiment.h"
#include "models/mlp.h"
#include "ops/ops.h"

namespace tape {
namespace {

constexpr char kFashionMnist[] = "/usr/share/datasets/fashion-mnist";

const DataSplits& FashionMnist() {
  static const auto* const data =
      new absl::StatusOr<DataSplits>(ReadMnistFolder(kFashionMnist));
  EXPECT_TRUE(data->ok()) << data->status();
  return **data;
}

int64_t Updates(const Settings& settings) {
  return settings.train.epochs *
         Batches(FashionMnist().train, settings.train.batches)
             .batches_per_epoch();
}

// Trains `experiment` as its defaults have it, but for the given changes, and
// leaves the weights in `graph`.
TrainResult TrainOn(const Experiment& experiment, int epochs, int threads,
                    Graph& graph) {
  Settings settings = experiment.defaults;
  settings.train.epochs = epochs;
  settings.train.threads = threads;
  const Classifier model = experiment.declare(
      graph, FashionMnist().train.pixels(), settings, Updates(settings));
  // Not a terminal: draws nothing but its table.
  std::FILE* const out = std::tmpfile();
  Progress progress(out, epochs, FashionMnist().train.size());
  const absl::StatusOr<TrainResult> result =
      Train(model, FashionMnist(), settings.train, progress,
            [](const EpochResult&) { return absl::OkStatus(); });
  std::fclose(out);
  EXPECT_TRUE(result.ok()) << result.status();
  return *result;
}

bool SameBits(const Graph& a, const Graph& b) {
  if (a.variables().size() != b.variables().size()) return false;
  for (int i = 0; i < a.variables().size(); ++i) {
    const Tensor& x = a.variables()[i].value;
    const Tensor& y = b.variables()[i].value;
    if (!(x.type() == y.type()) ||
        std::memcmp(x.data(), y.data(), x.type().bytes()) != 0) {
      return false;
    }
  }
  return true;
}

TEST(ExperimentTest, UnknownNamesAreAnsweredWithTheKnown) {
  EXPECT_EQ(FindExperiment("fashion_41").status().message(),
            "there is no experiment \"fashion_41\"; known are fashion_mlp, "
            "fashion_40_relu");
}

TEST(ExperimentTest, EachHasTheParametersOfItsDocument) {
  struct Row {
    const char* name;
    int64_t parameters;
  };
  for (const Row& row :
       {Row{"fashion_mlp", 784 * 256 + 256 + 256 * 128 + 128 + 128 * 10 + 10},
        Row{"fashion_40_relu", 784 * 40 + 40 + 40 * 10 + 10}}) {
    const Experiment& experiment = **FindExperiment(row.name);
    Graph graph;
    experiment.declare(graph, 784, experiment.defaults, 1);
    ASSERT_TRUE(graph.status().ok()) << graph.status();
    int64_t parameters = 0;
    for (Var parameter : graph.parameters()) {
      parameters += parameter.shape().elements();
    }
    EXPECT_EQ(parameters, row.parameters) << row.name;
  }
}

TEST(ExperimentTest, GradientsOfEachAgreeWithFiniteDifferences) {
  for (const Experiment& experiment : Experiments()) {
    Graph graph;
    // Twelve pixels instead of 784: the same graph, small enough for
    // differences.
    const Classifier model =
        experiment.declare(graph, 12, experiment.defaults, 1);
    std::vector<uint8_t> pixels(5 * 12);
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = i * 89 % 256;
    const ReferenceFeeds feeds = {
        {model.images, Tensor({5, 12}, pixels)},
        {model.labels, Tensor({5}, std::vector<int32_t>{3, 0, 9, 1, 3})}};
    const absl::Status status =
        CheckGradients(model.loss, graph.parameters(), feeds);
    EXPECT_TRUE(status.ok()) << experiment.name << ": " << status;
  }
}

TEST(FashionMlpTest, LearnsInOneEpoch) {
  Graph graph;
  const TrainResult result = TrainOn(FashionMlp(), 1, 0, graph);
  // Ten seeds gave 0.857 to 0.861.
  EXPECT_GE(result.last.test.accuracy, 0.85);
  EXPECT_LE(result.last.train.loss, 0.6);
}

TEST(FashionMlpTest, SameSeedGivesTheSameBitsForAnyNumberOfThreads) {
  Graph once({.seed = 7}), again({.seed = 7}), two({.seed = 7}),
      three({.seed = 7});
  TrainOn(FashionMlp(), 1, 1, once);
  TrainOn(FashionMlp(), 1, 1, again);
  TrainOn(FashionMlp(), 1, 2, two);
  TrainOn(FashionMlp(), 1, 3, three);
  EXPECT_TRUE(SameBits(once, again));
  EXPECT_TRUE(SameBits(once, two));
  EXPECT_TRUE(SameBits(once, three));
  Graph other({.seed = 8});
  TrainOn(FashionMlp(), 1, 2, other);
  EXPECT_FALSE(SameBits(once, other));
}

TEST(Fashion40ReluTest, LearnsInTwoEpochs) {
  Graph graph;
  const TrainResult result = TrainOn(Fashion40Relu(), 2, 0, graph);
  // Ten seeds gave 0.674 to 0.685.
  EXPECT_GE(result.last.test.accuracy, 0.66);
}

TEST(Fashion40ReluTest, ProximalL1LeavesATenthOfItsWeights) {
  // The last row of the table in models/README.md.
  Settings settings = Fashion40Relu().defaults;
  settings.proximal_l1 = 0.3;
  Graph graph;
  const Classifier model = Fashion40Relu().declare(
      graph, FashionMnist().train.pixels(), settings, Updates(settings));
  std::FILE* const out = std::tmpfile();
  Progress progress(out, settings.train.epochs, FashionMnist().train.size());
  const absl::StatusOr<TrainResult> result =
      Train(model, FashionMnist(), settings.train, progress,
            [](const EpochResult&) { return absl::OkStatus(); });
  std::fclose(out);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_NEAR(result->last.test.accuracy, 0.723, 0.01);
  int64_t zeros = 0, elements = 0;
  for (Var parameter : graph.parameters()) {
    if (!IsWeight(graph, parameter)) continue;
    for (float element : graph.Value(parameter).values<float>()) {
      zeros += element == 0;
      ++elements;
    }
  }
  EXPECT_NEAR(static_cast<double>(zeros) / elements, 0.912, 0.01);
}

TEST(TrainTest, AveragesOverSamplesOrOverBatches) {
  // Three images of one pixel in batches of two; the model's "loss" is the mean
  // pixel, its "accuracy" the mean label.
  DataSplits data;
  data.train.images = Tensor({3, 1}, std::vector<uint8_t>{1, 3, 8});
  data.train.labels = Tensor({3}, std::vector<int32_t>{0, 0, 1});
  data.train.classes = 2;
  data.test.images = Tensor(data.train.images);
  data.test.labels = Tensor(data.train.labels);
  data.test.classes = 2;
  for (Averaging averaging :
       {Averaging::kOverSamples, Averaging::kOverBatches}) {
    Graph g;
    Classifier model;
    model.graph = &g;
    model.images = g.Input("images", {kBatch, 1}, DType::kUint8);
    model.labels = g.Input("labels", {kBatch}, DType::kInt32);
    model.loss = Mean(Cast(model.images, DType::kFloat32));
    model.accuracy = Mean(Cast(model.labels, DType::kFloat32));
    const Var w = g.Parameter("w", {}, Zeros());
    model.updates = Chain(Sgd({.learning_rate = 0.5})).Apply({w}, {w});
    std::FILE* const out = std::tmpfile();
    Progress progress(out, 1, 3);
    const auto result =
        Train(model, data,
              {.epochs = 1,
               .batches = {.batch_size = 2, .order = Order::kFixed},
               .evaluation_batch_size = 2,
               .averaging = averaging},
              progress, [](const EpochResult&) { return absl::OkStatus(); });
    std::fclose(out);
    ASSERT_TRUE(result.ok()) << result.status();
    const bool over_samples = averaging == Averaging::kOverSamples;
    EXPECT_DOUBLE_EQ(result->last.train.loss, over_samples ? 4 : (2 + 8) / 2.0);
    EXPECT_DOUBLE_EQ(result->last.test.loss, over_samples ? 4 : (2 + 8) / 2.0);
    EXPECT_NEAR(result->last.test.accuracy, over_samples ? 1 / 3.0 : 0.5, 1e-7);
    EXPECT_EQ(result->last.train.learning_rate, 0.5);
  }
}

TEST(TrainTest, EndsWithTheErrorOfItsCaller) {
  Graph g;
  Settings settings = Fashion40Relu().defaults;
  settings.train.epochs = 3;
  const Classifier model = Fashion40Relu().declare(g, 784, settings, 1);
  std::FILE* const out = std::tmpfile();
  Progress progress(out, 3, 60000);
  int epochs = 0;
  const auto result = Train(model, FashionMnist(), settings.train, progress,
                            [&](const EpochResult&) {
                              ++epochs;
                              return absl::DataLossError("disk full");
                            });
  std::fclose(out);
  EXPECT_EQ(result.status(), absl::DataLossError("disk full"));
  EXPECT_EQ(epochs, 1);
}

}  // namespace
}  // namespace tape
