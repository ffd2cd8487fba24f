// The training loop (framework/train/trainer.h), on models so simple that all
// their figures are known beforehand.
#include "framework/train/trainer.h"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <functional>
#include <limits>
#include <numeric>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "framework/framework.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ops/ops.h"

namespace tape {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr int kClasses = 10;

// Samples of one pixel each.
Dataset Samples(const std::vector<uint8_t>& pixels,
                const std::vector<int32_t>& labels) {
  const auto size = static_cast<int64_t>(pixels.size());
  return {.images = Tensor({size, 1}, pixels),
          .labels = Tensor({size}, labels),
          .classes = kClasses};
}

// Whose samples have pixel 0 and these labels: what is asked of it is how many
// of them are right.
Dataset Labelled(const std::vector<int32_t>& labels) {
  return Samples(std::vector<uint8_t>(labels.size()), labels);
}

// A model that counts its updates. It takes all samples for the class of that
// number, and its loss is the number plus the mean pixel.
struct Counter {
  Counter() {
    model.graph = &graph;
    model.images = graph.Input("images", {kBatch, 1}, DType::kUint8);
    model.labels = graph.Input("labels", {kBatch}, DType::kInt32);
    count = graph.Parameter("count", {}, Zeros());
    const Var bystander =
        graph.Parameter("bystander", {3}, Constant(1), Tag::kBias);
    std::vector<float> numbers(kClasses);
    std::iota(numbers.begin(), numbers.end(), 0);
    const Var classes =
        graph.State("classes", {kClasses}, Values(Tensor({kClasses}, numbers)));
    model.predicted =
        ArgMax(BroadcastTo(-Square(classes - count), Shape{kBatch, kClasses}));
    mean_pixel = Mean(Cast(model.images, DType::kFloat32));
    model.loss = count + mean_pixel;
    // By hand: there is neither a step nor a rate.
    model.updates.assignments = {{count, count + 1.0},
                                 {bystander, bystander * 1.1}};
  }

  // All its parameters' numbers.
  std::vector<float> Weights() {
    std::vector<float> weights;
    for (Var parameter : graph.parameters()) {
      for (float value : graph.Value(parameter).values<float>()) {
        weights.push_back(value);
      }
    }
    return weights;
  }

  Graph graph;
  Var count, mean_pixel;
  Classifier model;
};

// A run, as its caller saw it.
struct Watched {
  absl::StatusOr<TrainResult> result;
  std::vector<EpochResult> epochs;          // Those of which on_epoch was told.
  std::vector<std::vector<float>> weights;  // A Counter's, at that moment.
  std::string printed;

  std::vector<int> EpochNumbers() const {
    std::vector<int> numbers;
    for (const EpochResult& epoch : epochs) {
      numbers.push_back(epoch.train.epoch);
    }
    return numbers;
  }
};

// A run of `model`, with what its caller sees.
Watched TrainAndWatch(
    const Classifier& model, const DataSplits& data,
    const TrainOptions& options,
    std::function<void(Watched&)> watch = [](Watched&) {}) {
  Watched run;
  std::FILE* const out = std::tmpfile();
  {
    Progress progress(out, options.epochs, data.train.size());
    run.result =
        Train(model, data, options, progress, [&](const EpochResult& epoch) {
          run.epochs.push_back(epoch);
          watch(run);
          return absl::OkStatus();
        });
  }
  std::rewind(out);
  for (int c = std::fgetc(out); c != EOF; c = std::fgetc(out)) {
    run.printed.push_back(static_cast<char>(c));
  }
  std::fclose(out);
  EXPECT_TRUE(run.result.ok()) << run.result.status();
  return run;
}

Watched TrainAndWatch(Counter& counter, const DataSplits& data,
                      const TrainOptions& options) {
  return TrainAndWatch(counter.model, data, options, [&](Watched& run) {
    run.weights.push_back(counter.Weights());
  });
}

// One update an epoch: after epoch e all samples are taken for class e.
TrainOptions OneUpdateAnEpoch(int epochs) {
  return {.epochs = epochs,
          .batches = {.batch_size = 100, .order = Order::kFixed}};
}

TEST(TrainTest, AveragesOverSamplesOrOverBatches) {
  // Three samples in batches of two.
  const DataSplits data = {.train = Samples({1, 3, 8}, {0, 1, 0}),
                           .test = Samples({1, 3, 9}, {2, 2, 0})};
  for (Averaging averaging :
       {Averaging::kOverSamples, Averaging::kOverBatches}) {
    const bool samples = averaging == Averaging::kOverSamples;
    Counter counter;
    const EpochResult epoch =
        TrainAndWatch(counter, data,
                      {.epochs = 1,
                       .batches = {.batch_size = 2, .order = Order::kFixed},
                       .evaluation_batch_size = 2,
                       .averaging = averaging})
            .epochs[0];
    // The losses are 0 + 2 and 1 + 8, the accuracies 1/2 and 0.
    EXPECT_DOUBLE_EQ(epoch.train.loss, samples ? (2 * 2 + 9) / 3.0 : 5.5);
    EXPECT_DOUBLE_EQ(epoch.train.accuracy, samples ? 1 / 3.0 : 0.25);
    // 2 + 2 and 2 + 9, 1 and 0.
    EXPECT_DOUBLE_EQ(epoch.test.loss, samples ? (2 * 4 + 11) / 3.0 : 7.5);
    EXPECT_DOUBLE_EQ(epoch.test.accuracy, samples ? 2 / 3.0 : 0.5);
  }
}

// What a run that is an error says.
absl::Status StatusOf(const Classifier& model, const DataSplits& data,
                      const TrainOptions& options) {
  std::FILE* const out = std::tmpfile();
  absl::Status status;
  {
    Progress progress(out, options.epochs, data.train.size());
    status = Train(
                 model, data, options, progress,
                 [](const EpochResult&) { return absl::OkStatus(); }, Loc{})
                 .status();
  }
  std::fclose(out);
  return status;
}

TEST(TrainTest, ClassesBeyondThoseOfTheDataAreAnError) {
  Counter counter;
  // It predicts 1 after its first update.
  DataSplits data = {.train = Labelled({0, 0}), .test = Labelled({0, 0})};
  data.test.classes = 1;
  const auto message = [&] {
    return std::string(
        StatusOf(counter.model, data, {.batches = {.batch_size = 2}})
            .message());
  };
  EXPECT_EQ(message(),
            "Train: expected predictions in 0 to 0, the classes of the data "
            "set, found 1");
  data.test = Labelled({0, kClasses});
  EXPECT_EQ(message(),
            absl::StrCat("Train: expected labels in 0 to ", kClasses - 1,
                         ", the classes of the data set, found ", kClasses));
}

// ---- Data and models that do not fit ----

// Two classes by the sign of the only pixel, from images of float32.
struct FloatModel {
  FloatModel() {
    x = graph.Input("x", {kBatch, 1}, DType::kFloat32, {"user.cc", 3});
    labels = graph.Input("label", {kBatch}, DType::kInt32);
    w = graph.Parameter("w", {1, 2}, Zeros());
    logits = MatMul(x, w);
    model.graph = &graph;
    model.images = x;
    model.labels = labels;
    model.loss = Mean(SoftmaxCrossEntropy(logits, labels));
    model.predicted = ArgMax(logits);
    model.updates =
        Chain(Sgd({.learning_rate = 1})).Apply({w}, Gradients(model.loss, {w}));
  }
  static Dataset Data() {
    return {.images = Tensor({4, 1}, std::vector<float>{-.5, .5, -1, 1}),
            .labels = Tensor({4}, std::vector<int32_t>{0, 1, 0, 1}),
            .classes = 2};
  }
  // Of a run at user.cc:9.
  absl::StatusOr<TrainResult> Run(const DataSplits& data,
                                  TrainOptions options = {
                                      .epochs = 3, .batches = {}}) const {
    Progress progress(nullptr, 3, data.train.size());
    return Train(model, data, options, progress, nullptr, {"user.cc", 9});
  }

  Graph graph;
  Var x, labels, w, logits;
  Classifier model;
};

TEST(TrainTest, TrainsOnImagesOfFloat32) {
  FloatModel m;
  const Dataset data = FloatModel::Data();
  const auto result = m.Run({.train = data, .test = data, .validation = data});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->kept.test.accuracy, 1);
}

TEST(TrainTest, NamesTheTypesOfDataThatDoesNotFit) {
  FloatModel m;
  const Dataset floats = FloatModel::Data();
  Dataset bytes = floats, vector = floats, whole = floats;
  bytes.images = Tensor({4, 1}, std::vector<uint8_t>{1, 2, 3, 4});
  vector.images = Tensor({4}, std::vector<float>{1, 2, 3, 4});
  whole.labels = Tensor({4}, std::vector<float>{0, 1, 0, 1});
  const auto message = [&](const Dataset& train, const Dataset& test) {
    return std::string(
        m.Run({.train = train, .test = test}).status().message());
  };
  EXPECT_EQ(
      message(bytes, floats),
      "user.cc:9: Run: input \"x\" (user.cc:3) was declared as [batch,1], "
      "and fed uint8[4,1]");
  EXPECT_EQ(message(vector, floats),
            "user.cc:9: Train: in training: the data set: expected images as a "
            "matrix [n, pixels] of a dtype that inputs have, found float32[4]");
  EXPECT_EQ(message(floats, whole),
            "user.cc:9: Train: in evaluation: the data set: expected labels "
            "int32[4], one for each image, found float32[4]");
}

TEST(TrainTest, NamesWhatOfTheModelDoesNotFit) {
  const Dataset data = FloatModel::Data();
  const auto message = [&](const std::function<void(FloatModel&)>& change) {
    FloatModel m;
    change(m);
    return std::string(m.Run({.train = data, .test = data}).status().message());
  };
  EXPECT_EQ(message([](FloatModel&) {}), "");
  EXPECT_EQ(message([](FloatModel& m) { m.model.graph = nullptr; }),
            "user.cc:9: Train: the model has no graph");
  EXPECT_EQ(message([](FloatModel& m) {
              m.model.loss = Relu(m.logits, {"user.cc", 5});
            }),
            "user.cc:9: Train: expected a loss of type float32[], found "
            "float32[batch,2] ([batch,2] from Relu at user.cc:5)");
  EXPECT_EQ(message([](FloatModel& m) {
              m.model.predicted = Relu(m.logits, {"user.cc", 6});
            }),
            "user.cc:9: Train: expected predictions of type int32[batch], "
            "found float32[batch,2] ([batch,2] from Relu at user.cc:6)");
  EXPECT_EQ(message([](FloatModel& m) { m.model.predicted = Var(); }),
            "user.cc:9: Compile: fetch 1 is an empty Var");
  EXPECT_EQ(message([](FloatModel& m) {
              m.model.updates.reports.push_back(
                  {"a\nb", Relu(m.logits, {"user.cc", 7})});
            }),
            "user.cc:9: Train: expected the report \"a\\nb\" of type "
            "float32[], found float32[batch,2] ([batch,2] from Relu at "
            "user.cc:7)");
}

TEST(TrainTest, NamesTheOptionThatDoesNotFit) {
  FloatModel m;
  const Dataset data = FloatModel::Data();
  const auto message = [&](const TrainOptions& options) {
    return std::string(
        m.Run({.train = data, .test = data}, options).status().message());
  };
  EXPECT_EQ(message({.batches = {}, .evaluate_every = 0}),
            "user.cc:9: Train: expected evaluate_every of at least 1, found 0");
  EXPECT_EQ(message({.batches = {.batch_size = 0}}),
            "user.cc:9: Train: in training: expected batches of at least 1 "
            "sample, found a batch_size of 0");
  EXPECT_EQ(message({.batches = {}, .evaluation_batch_size = -3}),
            "user.cc:9: Train: in evaluation: expected batches of at least 1 "
            "sample, found a batch_size of -3");
  const auto expected = [&](const TrainOptions& options,
                            const std::string& what) {
    EXPECT_EQ(message(options), "user.cc:9: Train: expected " + what);
  };
  for (const int epochs : {0, -3}) {
    expected({.epochs = epochs, .batches = {}},
             absl::StrCat("epochs of at least 1, found ", epochs));
  }
  expected({.batches = {}, .checkpoint_every = {.steps = -1}},
           "checkpoint_every.steps of at least 0, found -1");
  expected({.batches = {}, .checkpoint_every = {.epochs = -1}},
           "checkpoint_every.epochs of at least 0, found -1");
  expected({.batches = {}, .checkpoint_every = {.seconds = std::nan("")}},
           "checkpoint_every.seconds of at least 0, found nan");
  const auto stopping = [](EarlyStoppingOptions early_stopping) {
    early_stopping.split = DataSplit::kTest;
    return TrainOptions{.batches = {}, .early_stopping = early_stopping};
  };
  expected(stopping({.min_change = -1}),
           "a finite min_change of early stopping of at least 0, found -1");
  expected(stopping({.min_change = std::nan("")}),
           "a finite min_change of early stopping of at least 0, found nan");
  for (const int patience : {0, -5}) {
    expected(stopping({.patience = patience}),
             absl::StrCat("a patience of early stopping of at least 1, found ",
                          patience));
  }
  expected(stopping({.decimals = 400}),
           "decimals of early stopping in 0 to 100, found 400");
}

TEST(TrainTest, ReportsWithNamesThatNoFileCanHoldAreAnError) {
  Counter counter;
  counter.model.updates.reports.push_back({"a\xff", counter.count});
  const DataSplits data = {.train = Labelled({0}), .test = Labelled({0})};
  EXPECT_EQ(
      StatusOf(counter.model, data, {.batches = {.batch_size = 1}}),
      absl::InvalidArgumentError("Train: expected names of reports in UTF-8, "
                                 "found \"a\\xff\""));
}

TEST(TrainTest, TrainFiguresAreAsMetOrOfTheWeightsAfterTheEpoch) {
  // Training leaves the last sample out, an evaluation does not.
  const Dataset samples = Samples({1, 3, 8, 4, 7}, {0, 1, 2, 2, 5});
  const DataSplits data = {.train = samples, .test = samples};
  TrainOptions options = {.epochs = 2,
                          .batches = {.batch_size = 2,
                                      .order = Order::kFixed,
                                      .last = LastBatch::kDrop},
                          .evaluation_batch_size = 2,
                          .averaging = Averaging::kOverBatches};
  Counter as_met;
  const EpochResult met = TrainAndWatch(as_met, data, options).epochs[0];
  EXPECT_DOUBLE_EQ(met.train.loss, (2 + (1 + 6)) / 2.0);
  EXPECT_DOUBLE_EQ(met.train.accuracy, 0.25);

  Counter after;
  options.train_figures = TrainFigures::kAfterEpoch;
  const Watched run = TrainAndWatch(after, data, options);
  for (const EpochResult& epoch : run.epochs) {
    EXPECT_EQ(epoch.train.loss, epoch.test.loss);
    EXPECT_EQ(epoch.train.accuracy, epoch.test.accuracy);
  }
  EXPECT_DOUBLE_EQ(run.epochs[0].train.loss, 2 + (2 + 6 + 7) / 3.0);
  EXPECT_DOUBLE_EQ(run.epochs[0].train.accuracy, (0 + 1 + 0) / 3.0);
  EXPECT_EQ(run.epochs[1].train.epoch, 2);
}

TEST(TrainTest, EvaluatesTheFirstEpochEveryKthAfterItAndTheLast) {
  const DataSplits data = {.train = Labelled({0}), .test = Labelled({8})};
  const auto epochs_of = [&](int epochs, int every) {
    Counter counter;
    TrainOptions options = OneUpdateAnEpoch(epochs);
    options.evaluate_every = every;
    const Watched run = TrainAndWatch(counter, data, options);
    // The others are trained all the same.
    EXPECT_EQ(counter.Weights()[0], epochs);
    EXPECT_EQ(run.result->epochs, epochs);
    EXPECT_EQ(run.result->kept.test.epoch, epochs);
    // A line of the table for each, below the header.
    const std::vector<std::string> lines =
        absl::StrSplit(run.printed, '\n', absl::SkipEmpty());
    EXPECT_EQ(lines.size(), 1 + run.epochs.size()) << run.printed;
    return run.EpochNumbers();
  };
  EXPECT_THAT(epochs_of(8, 3), ElementsAre(1, 4, 7, 8));
  EXPECT_THAT(epochs_of(7, 3), ElementsAre(1, 4, 7));
  EXPECT_THAT(epochs_of(3, 1), ElementsAre(1, 2, 3));
  EXPECT_THAT(epochs_of(4, 100), ElementsAre(1, 4));
}

TEST(TrainTest, ShowsPenaltiesAndReportsAsMeansOverTheirBatches) {
  const DataSplits data = {.train = Samples({1, 3, 8}, {0, 0, 0}),
                           .test = Labelled({0})};
  for (Averaging averaging :
       {Averaging::kOverSamples, Averaging::kOverBatches}) {
    const bool samples = averaging == Averaging::kOverSamples;
    Counter counter;
    const Var seven =
        counter.graph.State("seven", {}, Constant(7), DType::kInt32);
    Updates& updates = counter.model.updates;
    updates.penalties = {{"l1", counter.count}, {"l2", counter.count * 2.0}};
    updates.reports = {{"pixel", counter.mean_pixel}, {"seven", seven}};
    const EpochResult epoch =
        TrainAndWatch(counter, data,
                      {.epochs = 1,
                       .batches = {.batch_size = 2, .order = Order::kFixed},
                       .averaging = averaging})
            .epochs[0];
    ASSERT_EQ(epoch.train.reports.size(), 3u);
    // The penalty is 0 on the first batch, and 1 + 2 on the second.
    EXPECT_EQ(epoch.train.reports[0].name, "penalty");
    EXPECT_DOUBLE_EQ(epoch.train.reports[0].value, samples ? 1 : 1.5);
    EXPECT_EQ(epoch.train.reports[1].name, "pixel");
    EXPECT_DOUBLE_EQ(epoch.train.reports[1].value, samples ? 4 : 5);
    EXPECT_EQ(epoch.train.reports[2].name, "seven");
    EXPECT_EQ(epoch.train.reports[2].value, 7);
    EXPECT_TRUE(epoch.test.reports.empty());
  }
}

TEST(TrainTest, ShowsNoPenaltyNorRateWhereThereIsNone) {
  Counter counter;
  const EpochResult epoch =
      TrainAndWatch(counter, {.train = Labelled({0}), .test = Labelled({0})},
                    OneUpdateAnEpoch(1))
          .epochs[0];
  EXPECT_TRUE(epoch.train.reports.empty());
  EXPECT_TRUE(std::isnan(epoch.train.learning_rate));
  EXPECT_TRUE(std::isnan(epoch.test.learning_rate));
}

TEST(TrainTest, RateIsThatOfTheLastUpdateOfTheEpoch) {
  Counter counter;
  Updates& updates = counter.model.updates;
  updates = Chain(Sgd({.learning_rate = InverseTimeDecay(0.5, 1)}))
                .Apply({counter.count}, {counter.count});
  const Watched run = TrainAndWatch(
      counter, {.train = Labelled({0, 0, 0}), .test = Labelled({0})},
      {.epochs = 2, .batches = {.batch_size = 2}});
  EXPECT_FLOAT_EQ(run.epochs[0].train.learning_rate, 0.5 / 2);
  EXPECT_FLOAT_EQ(run.epochs[1].train.learning_rate, 0.5 / 4);
  EXPECT_FLOAT_EQ(run.epochs[1].test.learning_rate, 0.5 / 4);
}

TEST(TrainTest, MeasuresTheValidationSetIfItHasSamples) {
  const Dataset one = Labelled({1});
  DataSplits data = {.train = one, .test = one};
  Counter without;
  EXPECT_FALSE(TrainAndWatch(without, data, OneUpdateAnEpoch(1))
                   .epochs[0]
                   .validation.has_value());

  data.validation = Samples({10, 20, 60}, {1, 2, 1});
  Counter with;
  const EpochResult epoch =
      TrainAndWatch(with, data, OneUpdateAnEpoch(1)).epochs[0];
  ASSERT_TRUE(epoch.validation.has_value());
  EXPECT_EQ(epoch.validation->loss, 1 + 30);
  EXPECT_DOUBLE_EQ(epoch.validation->accuracy, 2 / 3.0);
  EXPECT_EQ(epoch.validation->epoch, 1);
  EXPECT_EQ(epoch.validation->split, "validation");
  EXPECT_EQ(epoch.train.split, "train");
  EXPECT_EQ(epoch.test.split, "test");
  EXPECT_EQ(with.Weights()[0], 1);  // Evaluations update nothing.
}

// A test set of ten samples with so many of label 1, 2, …: how many are right
// after epoch 1, 2, …. The others have label 0.
Dataset RightAfterEpoch(const std::vector<int>& right) {
  std::vector<int32_t> labels;
  for (size_t e = 0; e < right.size(); ++e) {
    labels.insert(labels.end(), right[e], static_cast<int32_t>(e + 1));
  }
  labels.resize(20);
  return Labelled(labels);
}

TEST(TrainTest, WithoutEarlyStoppingMakesAllEpochsAndKeepsTheLast) {
  Counter counter;
  const Watched run = TrainAndWatch(
      counter, {.train = Labelled({0}), .test = RightAfterEpoch({3, 5, 4, 2})},
      OneUpdateAnEpoch(4));
  EXPECT_EQ(run.result->epochs, 4);
  EXPECT_EQ(run.result->kept.test.epoch, 4);
  EXPECT_DOUBLE_EQ(run.result->kept.test.accuracy, 2 / 20.0);
  EXPECT_EQ(counter.Weights(), run.weights[3]);
  EXPECT_EQ(run.result->confusion.total(), 20);
  EXPECT_EQ(run.result->confusion.count(2, 4), 5);
  EXPECT_DOUBLE_EQ(run.result->confusion.accuracy(), 2 / 20.0);
}

TEST(TrainTest, EarlyStoppingEndsTheRun) {
  Counter counter;
  TrainOptions options = OneUpdateAnEpoch(9);
  options.early_stopping = {
      .split = DataSplit::kTest, .patience = 2, .keep = Keep::kLast};
  const Watched run = TrainAndWatch(
      counter,
      {.train = Labelled({0}), .test = RightAfterEpoch({3, 5, 4, 2, 6})},
      options);
  EXPECT_EQ(run.result->epochs, 4);
  EXPECT_THAT(run.EpochNumbers(), ElementsAre(1, 2, 3, 4));
  // The last epoch's weights, as they were asked for.
  EXPECT_EQ(run.result->kept.test.epoch, 4);
  EXPECT_DOUBLE_EQ(run.result->kept.test.accuracy, 2 / 20.0);
  EXPECT_EQ(run.result->confusion.count(2, 4), 5);
  EXPECT_EQ(counter.Weights(), run.weights[3]);
}

TEST(TrainTest, EarlyStoppingLeavesTheBestEpochsWeightsBitByBit) {
  Counter counter;
  TrainOptions options = OneUpdateAnEpoch(6);
  options.early_stopping = {.split = DataSplit::kValidation,
                            .keep = Keep::kBest};
  // The best by the validation set, and not the first one: epoch 3. By the test
  // set it is epoch 5.
  const Watched run =
      TrainAndWatch(counter,
                    {.train = Labelled({0}),
                     .test = RightAfterEpoch({1, 2, 3, 4, 5, 1}),
                     .validation = RightAfterEpoch({2, 1, 6, 5, 3, 3})},
                    options);
  EXPECT_EQ(run.result->epochs, 6);
  EXPECT_EQ(run.result->kept.test.epoch, 3);
  EXPECT_EQ(run.result->kept.train.epoch, 3);
  ASSERT_TRUE(run.result->kept.validation.has_value());
  EXPECT_DOUBLE_EQ(run.result->kept.validation->accuracy, 6 / 20.0);
  EXPECT_DOUBLE_EQ(run.result->kept.test.accuracy, 3 / 20.0);
  EXPECT_EQ(run.result->confusion.total(), 20);
  EXPECT_EQ(run.result->confusion.count(5, 3), 5);
  EXPECT_EQ(counter.Weights(), run.weights[2]);
  EXPECT_NE(counter.Weights(), run.weights[5]);
}

TEST(TrainTest, EarlyStoppingAsksAfterEpochsThatAreEvaluated) {
  Counter counter;
  TrainOptions options = OneUpdateAnEpoch(9);
  options.evaluate_every = 2;
  options.early_stopping = {.split = DataSplit::kTest, .patience = 2};
  // Of epochs 1, 3, 5, …: best in 1, worse in 3 and in 5. What epoch 2 has
  // nobody sees.
  const Watched run = TrainAndWatch(
      counter,
      {.train = Labelled({0}), .test = RightAfterEpoch({3, 9, 2, 1, 1, 4})},
      options);
  EXPECT_EQ(run.result->epochs, 5);
  EXPECT_EQ(run.result->kept.test.epoch, 1);
  EXPECT_EQ(counter.Weights(), run.weights[0]);
}

TEST(TrainTest, IfTheMetricIsNanFromTheStartTheLastEpochIsKept) {
  const DataSplits data = {.train = Labelled({0}),
                           .test = RightAfterEpoch({3, 5, 4})};
  TrainOptions options = OneUpdateAnEpoch(3);
  options.early_stopping = {.split = DataSplit::kTest, .metric = Metric::kLoss};
  options.on_divergence = OnDivergence::kGoOn;
  {
    Counter counter;
    counter.model.loss = Log(counter.count - 100.0);
    const Watched run = TrainAndWatch(counter, data, options);
    EXPECT_EQ(run.result->kept.test.epoch, 3);
    EXPECT_EQ(run.result->confusion.count(2, 3), 5);
    EXPECT_EQ(counter.Weights(), run.weights[2]);
  }
  {
    // NaN in the first epoch alone.
    Counter counter;
    counter.model.loss = Log(counter.count - 1.5);
    const Watched run = TrainAndWatch(counter, data, options);
    EXPECT_EQ(run.result->kept.test.epoch, 2);
    EXPECT_EQ(run.result->confusion.count(2, 2), 5);
    EXPECT_EQ(counter.Weights(), run.weights[1]);
  }
}

TEST(TrainTest, OrderOfSamplesIsOfSeedAndEpoch) {
  // A model that becomes the pixel it saw last, in batches of one sample.
  std::vector<uint8_t> pixels(100);
  std::iota(pixels.begin(), pixels.end(), 0);
  const Dataset samples = Samples(pixels, std::vector<int32_t>(100));
  const auto last_seen = [&](uint64_t seed) {
    Counter counter;
    counter.model.updates.assignments = {{counter.count, counter.mean_pixel}};
    const Watched run = TrainAndWatch(
        counter, {.train = samples, .test = samples},
        {.epochs = 5, .batches = {.batch_size = 1, .seed = seed}});
    std::vector<float> last;
    for (const auto& weights : run.weights) last.push_back(weights[0]);
    return last;
  };
  const std::vector<float> last = last_seen(7);
  EXPECT_GE(std::set<float>(last.begin(), last.end()).size(), 4u);
  EXPECT_EQ(last_seen(7), last);
  EXPECT_NE(last_seen(8), last);
}

TEST(TrainTest, TellsOfThreadsAndTime) {
  Counter counter;
  TrainOptions options = OneUpdateAnEpoch(2);
  options.threads = 1;
  const Watched run = TrainAndWatch(
      counter, {.train = Labelled({0, 0, 0}), .test = Labelled({0})}, options);
  EXPECT_EQ(run.result->threads, 1);
  double train_seconds = 0;
  for (const EpochResult& epoch : run.epochs) {
    EXPECT_GT(epoch.train.seconds, 0);
    EXPECT_GT(epoch.test.seconds, 0);
    train_seconds += epoch.train.seconds;
  }
  EXPECT_GT(run.result->seconds, train_seconds);
  EXPECT_NEAR(run.result->samples_per_second * train_seconds, 6, 1e-6);
}

// A run that must end with an error, and before any update if `updates` is 0.
absl::Status ErrorOf(Counter& counter, const DataSplits& data,
                     const TrainOptions& options, const absl::Status& of_caller,
                     int updates) {
  std::FILE* const out = std::tmpfile();
  absl::Status status;
  int calls = 0;
  {
    Progress progress(out, options.epochs, data.train.size());
    status = Train(
                 counter.model, data, options, progress,
                 [&](const EpochResult&) {
                   ++calls;
                   return of_caller;
                 },
                 Loc{})
                 .status();
  }
  std::fclose(out);
  EXPECT_EQ(calls, updates);
  EXPECT_EQ(counter.Weights()[0], updates);
  return status;
}

// A run that keeps its states, with the weights of that moment.
struct Saved {
  TrainingState state;
  std::vector<float> weights;
};

TEST(TrainTest, IsSavedWhenDueAndAtItsStartAndEnd) {
  const DataSplits data = {.train = Labelled({0, 1, 2, 3, 4}),
                           .test = Labelled({0})};
  const auto steps_saved = [&](CheckpointEvery every) {
    Counter counter;
    std::vector<int64_t> steps;
    TrainOptions options = {.epochs = 2,
                            .batches = {.batch_size = 2},
                            .save =
                                [&](const TrainingState& state) {
                                  EXPECT_EQ(counter.Weights()[0], state.step);
                                  steps.push_back(state.step);
                                  return absl::OkStatus();
                                },
                            .checkpoint_every = every};
    TrainAndWatch(counter, data, options);
    return steps;
  };
  EXPECT_THAT(steps_saved({}), ElementsAre(0, 6));
  EXPECT_THAT(steps_saved({.steps = 2}), ElementsAre(0, 2, 4, 6, 6));
  EXPECT_THAT(steps_saved({.epochs = 1}), ElementsAre(0, 3, 6, 6));
  EXPECT_THAT(steps_saved({.epochs = 2}), ElementsAre(0, 6, 6));
  EXPECT_THAT(steps_saved({.seconds = 1e-9}),
              ElementsAre(0, 1, 2, 3, 4, 5, 6, 6));
}

TEST(TrainTest, GoesOnFromEachOfItsStatesToTheSameEnd) {
  const DataSplits data = {.train = Samples({1, 2, 3, 4, 5}, {0, 1, 2, 3, 4}),
                           .test = Labelled({3, 3, 4}),
                           .validation = Labelled({2, 5, 5})};
  for (const Keep keep : {Keep::kLast, Keep::kBest}) {
    TrainOptions options = {
        .epochs = 4,
        .batches = {.batch_size = 2, .order = Order::kSampled},
        .early_stopping = EarlyStoppingOptions{
            .metric = Metric::kLoss, .patience = 2, .keep = keep}};
    Counter counter;
    // Not known anew where only the evaluation of an epoch is left to do.
    counter.model.updates.learning_rate = counter.count * 2.0;
    std::vector<Saved> saved;
    options.save = [&](const TrainingState& state) {
      saved.push_back({state, counter.Weights()});
      return absl::OkStatus();
    };
    options.checkpoint_every = {.steps = 1};
    const Watched whole = TrainAndWatch(counter, data, options);
    ASSERT_GT(saved.size(), 5u);

    for (const Saved& from : saved) {
      Counter resumed;
      resumed.model.updates.learning_rate = resumed.count * 2.0;
      size_t next = 0;
      for (Var parameter : resumed.graph.parameters()) {
        Tensor value(parameter.type());
        for (float& element : value.values<float>()) {
          element = from.weights[next++];
        }
        ASSERT_TRUE(resumed.graph.SetValue(parameter, value).ok());
      }
      TrainOptions rest = options;
      rest.save = nullptr;
      rest.resume_from = &from.state;
      const Watched run = TrainAndWatch(resumed, data, rest);
      EXPECT_EQ(resumed.Weights(), counter.Weights());
      EXPECT_EQ(run.result->step, whole.result->step);
      EXPECT_EQ(run.result->epochs, whole.result->epochs);
      EXPECT_EQ(run.result->kept.test.epoch, whole.result->kept.test.epoch);
      EXPECT_EQ(run.result->confusion.ToString(),
                whole.result->confusion.ToString());
      ASSERT_EQ(run.result->history.size(), whole.result->history.size());
      for (size_t i = 0; i < run.result->history.size(); ++i) {
        EXPECT_EQ(run.result->history[i].train.loss,
                  whole.result->history[i].train.loss);
        EXPECT_EQ(run.result->history[i].train.learning_rate,
                  whole.result->history[i].train.learning_rate);
      }
      // The epochs of before are not told of again.
      EXPECT_EQ(run.epochs.size() + from.state.history.size(),
                whole.epochs.size());
    }
  }
}

TEST(TrainTest, RefusesAStateOfAnotherRun) {
  const DataSplits data = {.train = Labelled({0, 1, 2}), .test = Labelled({0})};
  TrainingState state;
  state.batches = {.epoch = 1, .samples = 1, .order = {2, 1}};
  TrainOptions options = OneUpdateAnEpoch(3);
  options.batches.batch_size = 1;
  options.resume_from = &state;
  Counter counter;
  EXPECT_THAT(
      std::string(
          ErrorOf(counter, data, options, absl::OkStatus(), 0).message()),
      HasSubstr("expected an order of 0 samples"));
  state = {};
  state.pass.reports = {1};
  EXPECT_THAT(
      std::string(
          ErrorOf(counter, data, options, absl::OkStatus(), 0).message()),
      HasSubstr("expected a state with 0 reports"));
  state = {};
  const auto error = [&] {
    return std::string(
        ErrorOf(counter, data, options, absl::OkStatus(), 0).message());
  };
  const NamedTensor count = {"count", Tensor({}, std::vector<float>{1})};
  const NamedTensor bystander = {"bystander",
                                 Tensor({3}, std::vector<float>{1, 1, 1})};
  const NamedTensor classes = {"classes",
                               Tensor(TensorType{DType::kFloat32, {kClasses}})};
  state.best = {count};
  EXPECT_THAT(error(), HasSubstr("expected \"bystander\" among the best"));
  // Of an earlier version, which kept no state.
  state.best = {count, bystander};
  EXPECT_THAT(error(), HasSubstr("expected \"classes\" among the best"));
  state.best = {count, {"bystander", count.value}, classes};
  EXPECT_THAT(error(), HasSubstr("\"bystander\" to be [3], found []"));
  state.best = {count, bystander, classes, {"other", count.value}};
  EXPECT_THAT(error(), HasSubstr("expected the best model's 3 variables"));
}

TEST(TrainTest, RefusesAStateWithoutTheResultsOfItsEpochs) {
  const DataSplits data = {.train = Labelled({0, 1, 2}), .test = Labelled({0})};
  TrainingState state;
  state.epoch = 4;
  TrainOptions options = OneUpdateAnEpoch(3);
  options.resume_from = &state;
  Counter counter;
  EXPECT_EQ(ErrorOf(counter, data, options, absl::OkStatus(), 0).message(),
            "Train: expected the results of the 3 epochs that the state has "
            "made, found none");
  state.history.resize(3);
  EXPECT_EQ(ErrorOf(counter, data, options, absl::OkStatus(), 0).message(),
            "Train: expected a state with a confusion matrix of 10 classes, "
            "found 1");
}

TEST(TrainTest, InterruptedItSavesAndEnds) {
  Counter counter;
  int asked = 0;
  std::vector<int64_t> saved;
  TrainOptions options = {.epochs = 100, .batches = {.batch_size = 2}};
  options.interrupted = [&] { return ++asked == 5; };
  options.save = [&](const TrainingState& state) {
    saved.push_back(state.step);
    return absl::OkStatus();
  };
  const Watched run = TrainAndWatch(
      counter, {.train = Labelled({0, 1, 2}), .test = Labelled({0})}, options);
  EXPECT_EQ(run.result->end, End::kInterrupted);
  EXPECT_EQ(run.result->step, 5);
  EXPECT_EQ(run.result->epochs, 2);
  EXPECT_THAT(saved, ElementsAre(0, 5));
}

TEST(TrainTest, InterruptedItLeavesItsLastWeightsNotTheBest) {
  Counter counter;
  TrainOptions options = OneUpdateAnEpoch(9);
  options.early_stopping = {.split = DataSplit::kTest};
  int asked = 0;
  options.interrupted = [&] { return ++asked == 4; };
  TrainAndWatch(counter,
                {.train = Labelled({0}), .test = RightAfterEpoch({3, 1, 1})},
                options);
  EXPECT_EQ(counter.Weights()[0], 4);
}

// A model whose loss is fed by its images: pixel 255 is an infinite one.
struct Breakable : Counter {
  Breakable() {
    const Var infinity =
        Fill(&graph, {}, std::numeric_limits<double>::infinity());
    model.loss =
        Select(Equal(mean_pixel, Fill(&graph, {}, 255)), infinity, mean_pixel);
  }
};

TEST(TrainTest, ABadLossEndsTheRunOrIsSkippedAsAsked) {
  const DataSplits data = {.train = Samples({1, 2, 255, 4}, {0, 0, 0, 0}),
                           .test = Labelled({0})};
  TrainOptions options = {.epochs = 2,
                          .batches = {.batch_size = 1, .order = Order::kFixed}};
  {
    Breakable counter;
    options.on_divergence = OnDivergence::kGoOn;
    const Watched run = TrainAndWatch(counter, data, options);
    EXPECT_EQ(run.result->end, End::kFinished);
    EXPECT_EQ(counter.Weights()[0], 8);
  }
  EXPECT_EQ(TrainOptions().on_divergence, OnDivergence::kStop);
  {
    Breakable counter;
    options.on_divergence = OnDivergence::kStop;
    int saved = 0;
    options.save = [&](const TrainingState&) {
      ++saved;
      return absl::OkStatus();
    };
    const Watched run = TrainAndWatch(counter, data, options);
    EXPECT_EQ(run.result->end, End::kDiverged);
    EXPECT_EQ(run.result->divergence, "step 3, in epoch 1: the loss is inf");
    EXPECT_EQ(run.result->step, 3);
    EXPECT_EQ(saved, 1);  // At its start.
    options.save = nullptr;
  }
  {
    Breakable counter;
    options.on_divergence = OnDivergence::kSkip;
    const Watched run = TrainAndWatch(counter, data, options);
    EXPECT_EQ(run.result->end, End::kFinished);
    EXPECT_EQ(run.result->step, 8);
    EXPECT_EQ(counter.Weights()[0], 6);
    // Nor is it in the means.
    EXPECT_EQ(run.result->kept.train.loss, (1.0 + 2 + 4) / 3);
  }
}

TEST(TrainTest, SkippingLeavesTheGraphAsItWas) {
  const DataSplits data = {.train = Samples({1, 2, 255, 4}, {0, 0, 0, 0}),
                           .test = Labelled({0})};
  TrainOptions options = {.epochs = 1,
                          .batches = {.batch_size = 1, .order = Order::kFixed},
                          .on_divergence = OnDivergence::kSkip};
  Breakable counter;
  const int size = counter.graph.size();
  // A run that does not start,
  TrainingState state;
  state.pass.reports = {1};
  options.resume_from = &state;
  EXPECT_FALSE(ErrorOf(counter, data, options, absl::OkStatus(), 0).ok());
  EXPECT_EQ(counter.graph.size(), size);
  // and two that do.
  options.resume_from = nullptr;
  for (int run = 1; run <= 2; ++run) {
    EXPECT_EQ(TrainAndWatch(counter, data, options).result->end,
              End::kFinished);
    EXPECT_EQ(counter.Weights()[0], 3 * run);
    EXPECT_EQ(counter.graph.size(), size);
  }
  EXPECT_TRUE(Compile(counter.graph, {.fetch = {counter.model.loss}}).ok());
}

TEST(TrainTest, AFewHardBatchesDoNotEndTheRun) {
  // All alike and easy, from the first on; then some far above.
  for (const int hard : {LossWatch::kDiverged - 1, LossWatch::kDiverged}) {
    std::vector<uint8_t> pixels(110, 1);
    pixels.insert(pixels.end(), hard, 200);
    pixels.insert(pixels.end(), 5, 1);
    const auto samples = static_cast<int>(pixels.size());
    Breakable counter;
    // One that does not grow with the updates.
    counter.model.loss = counter.mean_pixel * 1e-3;
    const Watched run = TrainAndWatch(
        counter,
        {.train = Samples(pixels, std::vector<int32_t>(samples)),
         .test = Labelled({0})},
        {.epochs = 1, .batches = {.batch_size = 1, .order = Order::kFixed}});
    if (hard < LossWatch::kDiverged) {
      EXPECT_EQ(run.result->end, End::kFinished);
      EXPECT_EQ(counter.Weights()[0], samples);
      // What was trained on is in the mean.
      EXPECT_NEAR(run.result->kept.train.loss,
                  1e-3 * (115 + 200.0 * hard) / samples, 1e-6);
    } else {
      EXPECT_EQ(run.result->end, End::kDiverged);
      EXPECT_EQ(run.result->step, 110 + hard);
      EXPECT_EQ(run.result->first_bad_step, 111);
    }
  }
}

TEST(TrainTest, SkippingEndsWhereEveryStepIsBad) {
  Breakable counter;
  const DataSplits data = {.train = Samples({255, 255}, {0, 0}),
                           .test = Labelled({0})};
  TrainOptions options = {.epochs = 1000, .batches = {.batch_size = 1}};
  options.on_divergence = OnDivergence::kSkip;
  const Watched run = TrainAndWatch(counter, data, options);
  EXPECT_EQ(run.result->end, End::kDiverged);
  EXPECT_EQ(run.result->step, LossWatch::kMostSkipped + 1);
  EXPECT_THAT(run.result->divergence,
              HasSubstr("the loss is inf, after 100 steps skipped in a row"));
  EXPECT_EQ(counter.Weights()[0], 0);
}

TEST(TrainTest, VariablesThatAreNotFiniteAreNotSaved) {
  Counter counter;
  counter.model.updates.assignments[0].value =
      Log(counter.count - 1.0);  // NaN from the first update on.
  counter.model.loss = counter.mean_pixel;
  TrainOptions options = OneUpdateAnEpoch(3);
  options.batches.batch_size = 1;
  options.on_divergence = OnDivergence::kStop;
  options.checkpoint_every = {.steps = 1};
  std::vector<int64_t> saved;
  options.save = [&](const TrainingState& state) {
    saved.push_back(state.step);
    return absl::OkStatus();
  };
  const DataSplits data = {.train = Labelled({0, 0}), .test = Labelled({0})};
  Watched run = TrainAndWatch(counter, data, options);
  EXPECT_EQ(run.result->end, End::kDiverged);
  EXPECT_THAT(run.result->divergence, HasSubstr("a variable is not finite"));
  EXPECT_EQ(run.result->step, 1);
  EXPECT_THAT(saved, ElementsAre(0));

  // But by a run that goes on with them.
  options.epochs = 1;
  options.on_divergence = OnDivergence::kGoOn;
  run = TrainAndWatch(counter, data, options);
  EXPECT_EQ(run.result->end, End::kFinished);
  EXPECT_THAT(saved, ElementsAre(0, 0, 1, 2, 2));
}

TEST(TrainTest, ARunThatGoesOnKnowsItsLosses) {
  // All alike, and one far above.
  std::vector<uint8_t> pixels(120, 1);
  pixels.back() = 200;
  const DataSplits data = {.train = Samples(pixels, std::vector<int32_t>(120)),
                           .test = Labelled({0})};
  TrainOptions options = {.epochs = 1,
                          .batches = {.batch_size = 1, .order = Order::kFixed},
                          .on_divergence = OnDivergence::kSkip,
                          .checkpoint_every = {.steps = 110}};
  Breakable counter;
  std::vector<TrainingState> saved;
  options.save = [&](const TrainingState& state) {
    saved.push_back(state);
    return absl::OkStatus();
  };
  TrainAndWatch(counter, data, options);
  EXPECT_EQ(counter.Weights()[0], 119);
  ASSERT_EQ(saved.size(), 3u);
  EXPECT_EQ(saved[2].losses.bad, 1);

  Breakable resumed;
  options.save = nullptr;
  options.resume_from = &saved[1];
  TrainAndWatch(resumed, data, options);
  EXPECT_EQ(resumed.Weights()[0], 9);
}

TEST(TrainTest, TimesOfARunAreThoseOfAllItsParts) {
  const DataSplits data = {.train = Labelled({0, 1}), .test = Labelled({0})};
  TrainingState from;  // In its second epoch, after one step of two.
  from.step = 3;
  from.epoch = 2;
  from.pass = {.samples = 1, .weight = 1, .seconds = 1000};
  from.batches = {.epoch = 2, .samples = 1};
  from.history.resize(1);
  from.confusion = ConfusionMatrix(kClasses);
  from.seconds = 5000;
  from.training_seconds = 3000;
  from.training_samples = 2;
  std::vector<TrainingState> saved;
  TrainOptions options = {.epochs = 2,
                          .batches = {.batch_size = 1, .order = Order::kFixed},
                          .resume_from = &from,
                          .save =
                              [&](const TrainingState& state) {
                                saved.push_back(state);
                                return absl::OkStatus();
                              },
                          .checkpoint_every = {.steps = 1}};
  Counter counter;
  const Watched run = TrainAndWatch(counter, data, options);
  // Not at its start: what it goes on from is kept already.
  ASSERT_EQ(saved.size(), 2u);
  EXPECT_GT(saved[0].pass.seconds, 1000);
  EXPECT_GT(saved[0].seconds, 5000);
  EXPECT_EQ(saved[0].training_seconds, 3000);
  EXPECT_EQ(saved[1].pass.seconds, 0);
  EXPECT_GT(saved[1].training_seconds, 4000);
  EXPECT_EQ(saved[1].training_samples, 4);
  EXPECT_GT(saved[1].seconds, saved[0].seconds);
  EXPECT_GT(run.epochs[0].train.seconds, 1000);
  EXPECT_GE(run.result->seconds, saved[1].seconds);
  EXPECT_EQ(run.result->samples_per_second, 4 / saved[1].training_seconds);
}

TEST(TrainTest, EndsWithTheErrorOfItsCaller) {
  Counter counter;
  EXPECT_EQ(ErrorOf(counter, {.train = Labelled({0}), .test = Labelled({0})},
                    OneUpdateAnEpoch(3), absl::DataLossError("disk full"), 1),
            absl::DataLossError("disk full"));
}

TEST(TrainTest, EndsWithWhatItsFunctionsThrow) {
  const DataSplits data = {.train = Labelled({0}), .test = Labelled({0})};
  const auto boom = [] { throw std::runtime_error("boom"); };
  Counter counter;
  const auto message =
      [&](const TrainOptions& options,
          const std::function<absl::Status(const EpochResult&)>& on_epoch =
              nullptr) {
        Progress progress(nullptr, options.epochs, data.train.size());
        return std::string(Train(counter.model, data, options, progress,
                                 on_epoch, {"user.cc", 9})
                               .status()
                               .message());
      };
  TrainOptions options = OneUpdateAnEpoch(3);
  EXPECT_EQ(message(options,
                    [&](const EpochResult&) -> absl::Status {
                      boom();
                      return absl::OkStatus();
                    }),
            "user.cc:9: Train: on_epoch threw an exception: boom");
  options.save = [&](const TrainingState&) -> absl::Status {
    boom();
    return absl::OkStatus();
  };
  EXPECT_EQ(message(options),
            "user.cc:9: Train: save threw an exception: boom");
  options.save = nullptr;
  options.interrupted = []() -> bool { throw 1; };
  EXPECT_EQ(message(options),
            "user.cc:9: Train: interrupted threw an exception of an unknown "
            "type");
  options.interrupted = nullptr;
  EXPECT_EQ(message(options), "");
}

TEST(TrainTest, EndsWithTheErrorOfADataSetThatChanges) {
  DataSplits data = {.train = Labelled({0, 1}), .test = Labelled({0})};
  TrainOptions options = OneUpdateAnEpoch(3);
  options.interrupted = [&] {
    data.train = Labelled({0});
    return false;
  };
  Counter counter;
  EXPECT_THAT(
      ErrorOf(counter, data, options, absl::OkStatus(), 1).message(),
      HasSubstr("Train: in training: expected the data set that the batches "
                "were made of, images uint8[2,1]"));
}

TEST(TrainTest, RefusesAnEpochWithoutBatches) {
  Counter counter;
  TrainOptions options = OneUpdateAnEpoch(3);
  options.batches.last = LastBatch::kDrop;
  EXPECT_EQ(
      ErrorOf(counter, {.train = Labelled({0, 0, 0}), .test = Labelled({0})},
              options, absl::OkStatus(), 0),
      absl::InvalidArgumentError(
          "Train: an epoch has no batch: one has 100 samples, the "
          "training set 3, and batches that are not full are left out"));
}

TEST(TrainTest, RefusesToWatchAValidationSetThatIsNotThere) {
  Counter counter;
  TrainOptions options = OneUpdateAnEpoch(3);
  options.early_stopping = {.split = DataSplit::kValidation};
  const DataSplits data = {.train = Labelled({0}), .test = Labelled({0})};
  EXPECT_EQ(ErrorOf(counter, data, options, absl::OkStatus(), 0),
            absl::InvalidArgumentError(
                "Train: early stopping watches the validation set, which has "
                "no sample"));
}

TEST(TrainTest, RefusesToWatchATestSetWithoutSamples) {
  Counter counter;
  TrainOptions options = OneUpdateAnEpoch(1);
  const DataSplits data = {.train = Labelled({0}), .test = Labelled({})};
  // Without early stopping, nothing is measured on it.
  EXPECT_TRUE(ErrorOf(counter, data, options, absl::OkStatus(), 1).ok());
  options.early_stopping = {.split = DataSplit::kTest};
  Counter other;
  EXPECT_EQ(ErrorOf(other, data, options, absl::OkStatus(), 0),
            absl::InvalidArgumentError(
                "Train: early stopping watches the test set, which has no "
                "sample"));
}

TEST(TrainTest, RefusesAMistakenDeclaration) {
  Counter counter;
  MatMul(counter.count, counter.count);
  const absl::Status status =
      ErrorOf(counter, {.train = Labelled({0}), .test = Labelled({0})},
              OneUpdateAnEpoch(3), absl::OkStatus(), 0);
  EXPECT_THAT(status.message(), HasSubstr("trainer_test.cc"));
  EXPECT_THAT(status.message(), HasSubstr("MatMul"));
}

// ---- Training and inference ----

// Two classes of noisy samples of four pixels.
Dataset TwoClasses(int samples, uint32_t seed) {
  Dataset data = {.images = Tensor(TensorType{DType::kUint8, {samples, 4}}),
                  .labels = Tensor(TensorType{DType::kInt32, {samples}}),
                  .classes = 2};
  for (int i = 0; i < samples; ++i) {
    const int label = i % 2;
    data.labels.values<int32_t>()[i] = label;
    for (int k = 0; k < 4; ++k) {
      seed = seed * 1664525u + 1013904223u;
      data.images.values<uint8_t>()[i * 4 + k] = static_cast<uint8_t>(
          (seed >> 24) / 2 + ((k < 2) == (label == 1) ? 100 : 0));
    }
  }
  return data;
}

const DataSplits& TwoClassSplits() {
  static const auto* const splits =
      new DataSplits{.train = TwoClasses(320, 1),
                     .test = TwoClasses(64, 2),
                     .validation = TwoClasses(64, 3)};
  return *splits;
}

// A network with BatchNorm and Dropout, and averaged weights.
struct Network {
  explicit Network(Schedule rate) {
    model.graph = &graph;
    model.images = graph.Input("images", {kBatch, 4}, DType::kUint8);
    model.labels = graph.Input("labels", {kBatch}, DType::kInt32);
    const Var w1 = graph.Parameter("w1", {4, 8}, Glorot());
    const Var w2 = graph.Parameter("w2", {8, 2}, Glorot());
    const Var scale = graph.Parameter("scale", {8}, Constant(1));
    const Var shift = graph.Parameter("shift", {8}, Zeros());
    const Var drawn = graph.State("drawn", {}, Zeros(), DType::kInt32);
    const RunningStatistics running = {
        graph.State("mean", {8}, Zeros()),
        graph.State("variance", {8}, Constant(1))};
    const Var h = MatMul(Cast(model.images, DType::kFloat32) * (1.0 / 255), w1);
    const BatchNormResult norm =
        BatchNorm(h, scale, shift, running, {.decay = 0.5});
    const Var logits = MatMul(Dropout(Relu(norm.y), 0.5, drawn), w2);
    const Var inferred =
        MatMul(Relu(BatchNormInference(h, scale, shift, running)), w2);
    const Var either = ByMode(logits, inferred);
    model.loss = Mean(SoftmaxCrossEntropy(either, model.labels));
    model.predicted = ArgMax(either);
    model.updates =
        Chain(AverageWeights(0.9), Sgd({.learning_rate = std::move(rate)}))
            .Apply(graph.parameters(),
                   Gradients(model.loss, graph.parameters()));
    AddAssignments(norm.assignments, model.updates);
    AddAssignments({{drawn, CountUp(drawn)}}, model.updates);
  }

  // Loss and accuracy of inference on the test set.
  std::pair<double, double> Test(std::vector<Replacement> replace = {}) {
    absl::StatusOr<Plan> plan =
        Compile(graph, {.fetch = {model.loss, model.predicted},
                        .replace = std::move(replace)});
    EXPECT_TRUE(plan.ok()) << plan.status();
    const Dataset& test = TwoClassSplits().test;
    EXPECT_TRUE(
        plan->Run({{model.images, test.images}, {model.labels, test.labels}})
            .ok());
    const auto predicted = plan->Value(model.predicted).values<int32_t>();
    int right = 0;
    for (int i = 0; i < 64; ++i) {
      right += predicted[i] == test.labels.values<int32_t>()[i];
    }
    return {plan->Scalar(model.loss), right / 64.0};
  }

  Graph graph{{.seed = 1}};
  Classifier model;
};

TrainOptions BestOfEight() {
  return {.epochs = 8,
          .batches = {.batch_size = 32},
          .early_stopping = EarlyStoppingOptions{.metric = Metric::kLoss},
          .on_divergence = OnDivergence::kGoOn};
}

// From step 40 on, in epoch 5, far too large.
Schedule Exploding() { return Piecewise(.5, {{40, 20.0}}); }

TEST(TrainTest, EvaluatesInInferenceForm) {
  Network network(0.5);
  TrainOptions options = BestOfEight();
  options.early_stopping.reset();
  const Watched run = TrainAndWatch(network.model, TwoClassSplits(), options);
  const auto [loss, accuracy] = network.Test();
  EXPECT_EQ(run.result->kept.test.loss, loss);
  EXPECT_EQ(run.result->kept.test.accuracy, accuracy);
  // The training split as met is of the training form.
  EXPECT_NE(run.result->kept.train.loss, loss);
}

TEST(TrainTest, TheBestModelComesBackWithItsRunningStatistics) {
  Network network(Exploding());
  TrainOptions options = BestOfEight();
  std::vector<TrainingState> saved;
  const std::string path = testing::TempDir() + "/best_";
  options.checkpoint_every = {.epochs = 1};
  options.save = [&](const TrainingState& state) {
    saved.push_back(state);
    return WriteCheckpoint(path + std::to_string(saved.size() - 1),
                           network.graph, state, {});
  };
  const Watched run = TrainAndWatch(network.model, TwoClassSplits(), options);
  EXPECT_LE(run.result->kept.train.epoch, 5);
  EXPECT_EQ(run.result->kept.test.loss, network.Test().first);

  // Through a checkpoint too.
  for (size_t i = 0; i + 1 < saved.size(); ++i) {
    Network resumed(Exploding());
    const absl::StatusOr<Checkpoint> read =
        ReadCheckpoint(path + std::to_string(i));
    ASSERT_TRUE(read.ok()) << read.status();
    const absl::StatusOr<TrainingState> state = Restore(*read, resumed.graph);
    ASSERT_TRUE(state.ok()) << state.status();
    TrainOptions rest = options;
    rest.save = nullptr;
    rest.resume_from = &*state;
    const Watched end = TrainAndWatch(resumed.model, TwoClassSplits(), rest);
    EXPECT_EQ(end.result->kept.test.loss, run.result->kept.test.loss);
    EXPECT_EQ(resumed.Test(), network.Test());
  }
}

TEST(TrainTest, EvaluatesAveragedWeightsAndKeepsThem) {
  Network network(Exploding());
  TrainOptions options = BestOfEight();
  options.evaluate_with = AveragedWeights(network.graph);
  const Watched run = TrainAndWatch(network.model, TwoClassSplits(), options);
  EXPECT_EQ(run.result->kept.test.loss,
            network.Test(AveragedWeights(network.graph)).first);
  EXPECT_NE(run.result->kept.test.loss, network.Test().first);
}

}  // namespace
}  // namespace tape
