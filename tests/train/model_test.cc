// Training, evaluation and prediction of any model on any table
// (framework/train/model.h, trainer.h), with metrics of every kind
// (accumulators.h).
#include "framework/train/model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "framework/core/gradients.h"
#include "framework/optim/optimizer.h"
#include "framework/optim/schedule.h"
#include "framework/train/accumulators.h"
#include "framework/train/trainer.h"
#include "ops/ops.h"

namespace tape {
namespace {

// y = 2 a - 3 b + 1, of samples that lie on no line.
DataTable Plane(int samples) {
  std::vector<float> x, y;
  for (int i = 0; i < samples; ++i) {
    const float a = static_cast<float>(i % 7) - 3;
    const float b = static_cast<float>(i % 5) - 2;
    x.insert(x.end(), {a, b});
    y.push_back(2 * a - 3 * b + 1);
  }
  return {.columns = {{"x", Tensor({samples, 2}, x)},
                      {"y", Tensor({samples, 1}, y)}}};
}

struct Regression {
  explicit Regression(Schedule rate = 0.1) {
    const Var x = graph.Input("x", {kBatch, 2});
    const Var y = graph.Input("y", {kBatch, 1});
    const Var w = graph.Parameter("w", {2, 1}, Zeros());
    const Var b = graph.Parameter("b", {1}, Zeros());
    predicted = MatMul(x, w) + b;
    const Var loss = MeanSquaredError(predicted, y);
    gradients = Gradients(loss, {w, b});
    model = {.graph = &graph,
             .feeds = {{x, "x"}, {y, "y"}},
             .loss = loss,
             .updates = Chain(Sgd({.learning_rate = std::move(rate)}))
                            .Apply({w, b}, gradients),
             .metrics = {RootMeanSquaredError("rmse", predicted, y),
                         R2("r2", predicted, y),
                         MeanOf("mean error", Mean(predicted - y)),
                         {.name = "samples",
                          .values = {ElementCountOf(predicted)},
                          .aggregation = Aggregation::kSum},
                         {.name = "last",
                          .values = {ElementCountOf(predicted)},
                          .aggregation = Aggregation::kLast}},
             .outputs = {{"predicted", predicted}}};
  }
  static Var ElementCountOf(Var x) { return Sum(x * 0 + 1); }

  absl::StatusOr<TrainResult> Train(const TableSplits& data,
                                    TrainOptions options) {
    Progress progress(nullptr, options.epochs, data.train.size());
    return tape::Train(model, data, options, progress);
  }

  Graph graph;
  Var predicted;
  std::vector<Var> gradients;
  Model model;
};

double MetricOf(const EpochMetrics& metrics, const std::string& name) {
  for (const Measurement& one : metrics.reports) {
    if (one.name == name) return one.value;
  }
  ADD_FAILURE() << "no metric " << name;
  return 0;
}

TEST(ModelTest, ARegressionIsTrained) {
  Regression net;
  const TableSplits data = {.train = Plane(70), .test = Plane(35)};
  const auto result =
      net.Train(data, {.epochs = 60, .batches = {.batch_size = 10}});
  ASSERT_TRUE(result.ok()) << result.status();
  const EpochMetrics& test = result->kept.test;
  EXPECT_LT(test.loss, 1e-9);
  EXPECT_TRUE(std::isnan(test.accuracy));
  EXPECT_NEAR(MetricOf(test, "rmse"), std::sqrt(test.loss), 1e-9);
  EXPECT_NEAR(MetricOf(test, "r2"), 1, 1e-9);
  EXPECT_EQ(MetricOf(test, "samples"), 35);
  EXPECT_EQ(result->history.size(), 60u);

  // What training passes measure: of each batch, before its update.
  const EpochMetrics& train = result->history[0].train;
  EXPECT_TRUE(std::isnan(MetricOf(train, "rmse")));
  EXPECT_EQ(MetricOf(train, "samples"), 70);
  EXPECT_EQ(MetricOf(train, "last"), 10);

  const auto evaluated = Evaluate(net.model, data.test, {.batch_size = 8});
  ASSERT_TRUE(evaluated.ok()) << evaluated.status();
  EXPECT_NEAR(evaluated->loss, test.loss, 1e-9);
  EXPECT_EQ(MetricOf(*evaluated, "last"), 3);

  // Without the column of targets.
  DataTable inputs = data.test;
  inputs.columns.pop_back();
  const auto predicted = Predict(net.model, inputs, {.batch_size = 8});
  ASSERT_TRUE(predicted.ok()) << predicted.status();
  ASSERT_NE(predicted->Find("predicted"), nullptr);
  EXPECT_EQ(predicted->Find("predicted")->shape(), Shape({35, 1}));
  for (int i = 0; i < 35; ++i) {
    EXPECT_NEAR(predicted->columns[0].values.values<float>()[i],
                data.test.columns[1].values.values<float>()[i], 1e-3);
  }
}

TEST(ModelTest, NeedsNoTestSet) {
  Regression net;
  const auto result = net.Train({.train = Plane(70)}, {.epochs = 2});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_TRUE(std::isnan(result->kept.test.loss));
  EXPECT_FALSE(result->kept.validation.has_value());
}

TEST(ModelTest, TrainFiguresAfterTheEpochHaveAllMetrics) {
  Regression net;
  const auto result =
      net.Train({.train = Plane(70)},
                {.epochs = 1, .train_figures = TrainFigures::kAfterEpoch});
  ASSERT_TRUE(result.ok()) << result.status();
  const EpochMetrics& train = result->kept.train;
  EXPECT_NEAR(MetricOf(train, "rmse"), std::sqrt(train.loss), 1e-6);
}

TEST(ModelTest, StopsEarlyByAMetricOfItsOwn) {
  Regression net(0);  // Nothing gets better.
  const auto result = net.Train(
      {.train = Plane(70), .validation = Plane(35)},
      {.epochs = 10,
       .early_stopping = EarlyStoppingOptions{
           .metric_name = "rmse", .larger_is_better = false, .patience = 2}});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->epochs, 3);
  EXPECT_EQ(result->kept.train.epoch, 1);

  const auto unknown =
      net.Train({.train = Plane(70), .validation = Plane(35)},
                {.early_stopping = EarlyStoppingOptions{.metric_name = "mse"}});
  EXPECT_NE(unknown.status().message().find(
                "Train: early stopping watches the metric \"mse\", which the "
                "model does not have"),
            std::string::npos)
      << unknown.status();
}

TEST(ModelTest, CallbacksWatchSetTheRateAndStop) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 2});
  const Var y = graph.Input("y", {kBatch, 1});
  const Var w = graph.Parameter("w", {2, 1}, Zeros());
  const Var rate = graph.State("rate", {}, Constant(0.5));
  const Var loss = MeanSquaredError(MatMul(x, w), y);
  const std::vector<Var> gradients = Gradients(loss, {w});
  const Model model = {
      .graph = &graph,
      .feeds = {{x, "x"}, {y, "y"}},
      .loss = loss,
      .updates = Chain(Sgd({.learning_rate = FromVariable(rate)}))
                     .Apply({w}, gradients)};
  std::vector<StepResult> steps;
  TrainOptions options = {.epochs = 5,
                          .batches = {.batch_size = 10},
                          .watch = {{"norm", Norm(gradients[0])}},
                          .step_every = 2};
  options.on_step = [&](const StepResult& step) {
    steps.push_back(step);
    const std::vector<float> next = {0.125f};
    EXPECT_TRUE(graph.SetValue(rate, Tensor({}, next)).ok());
    return steps.size() == 4 ? AfterStep::kStop : AfterStep::kGoOn;
  };
  TrainingState saved;
  options.save = [&](const TrainingState& state) {
    saved = state;
    return absl::OkStatus();
  };
  Progress progress(nullptr, 5, 50);
  const auto result = Train(model, {.train = Plane(50)}, options, progress);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->end, End::kInterrupted);
  EXPECT_EQ(result->step, 8);
  EXPECT_EQ(saved.step, 8);
  ASSERT_EQ(steps.size(), 4u);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(steps[i].step, 2 * i + 2);
    EXPECT_EQ(steps[i].epoch, i < 2 ? 1 : 2);
    EXPECT_EQ(steps[i].learning_rate, i == 0 ? 0.5 : 0.125);
    EXPECT_EQ(steps[i].watched[0].name, "norm");
    EXPECT_GT(steps[i].watched[0].value, 0);
  }

  // The rest of the run, from there.
  options.on_step = nullptr;
  options.resume_from = &saved;
  int evaluated = 0;
  options.after_epoch = [&](const EpochResult&) {
    return ++evaluated == 2 ? AfterStep::kStop : AfterStep::kGoOn;
  };
  const auto rest = Train(model, {.train = Plane(50)}, options, progress);
  ASSERT_TRUE(rest.ok()) << rest.status();
  EXPECT_EQ(rest->end, End::kFinished);
  EXPECT_EQ(rest->epochs, 3);
}

// BatchNorm and Dropout in a step that Train leaves out.
TEST(ModelTest, SkippedStepsLeaveTheStatistics) {
  Graph graph;
  const Var x = graph.Input("x", {kBatch, 1});
  const Var y = graph.Input("y", {kBatch, 1});
  const Var norm = Dropout(BatchNorm(x, "norm"), 0.5);
  const Var w = graph.Parameter("w", {1, 1}, Constant(1));
  const Var loss = MeanSquaredError(MatMul(norm, w), y);
  const Model model = {
      .graph = &graph,
      .feeds = {{x, "x"}, {y, "y"}},
      .loss = loss,
      .updates =
          Chain(Sgd({.learning_rate = 0.1})).Apply({w}, Gradients(loss, {w}))};
  std::vector<float> xs, ys;
  for (int i = 0; i < 8; ++i) {
    xs.push_back(static_cast<float>(i < 4 ? i : 1000 * i));
    ys.push_back(i < 4 ? 0 : std::nanf(""));
  }
  const DataTable data = {
      .columns = {{"x", Tensor({8, 1}, xs)}, {"y", Tensor({8, 1}, ys)}}};
  Progress progress(nullptr, 1, 8);
  const auto result =
      Train(model, {.train = data},
            {.batches = {.batch_size = 4, .order = Order::kFixed},
             .on_divergence = OnDivergence::kSkip},
            progress);
  ASSERT_TRUE(result.ok()) << result.status();
  const int mean = graph.variables().Find("norm/running_mean");
  EXPECT_NEAR(graph.variables()[mean].value.values<float>()[0], 0.15, 1e-6);
  EXPECT_EQ(graph.Value(graph.Step()).values<int32_t>()[0], 1);
}

TEST(ModelTest, OnStepSeesTheStepThatIsInterrupted) {
  Regression net;
  TrainOptions options = {.epochs = 2, .batches = {.batch_size = 10}};
  std::vector<int64_t> seen;
  options.on_step = [&](const StepResult& step) {
    seen.push_back(step.step);
    return AfterStep::kGoOn;
  };
  options.interrupted = [&] { return seen.size() == 3; };
  const auto result = net.Train({.train = Plane(70)}, options);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->step, 3);
  EXPECT_EQ(seen, (std::vector<int64_t>{1, 2, 3}));
}

TEST(ModelTest, EarlyStoppingWatchesWhatIsMeasured) {
  const auto refusal = [](EarlyStoppingOptions stopping) {
    Regression net;
    const auto result = net.Train({.train = Plane(70), .validation = Plane(35)},
                                  {.early_stopping = std::move(stopping)});
    return std::string(result.status().message());
  };
  EXPECT_NE(refusal({}).find("early stopping watches the accuracy, which only "
                             "classifiers have"),
            std::string::npos);
  EXPECT_NE(refusal({.split = DataSplit::kTrain, .metric_name = "rmse"})
                .find("of the training set, which is measured after an epoch"),
            std::string::npos);
}

TEST(ModelTest, MistakesAreNamed) {
  struct Case {
    const char* expected;
    std::function<void(Model&, TableSplits&, TrainOptions&)> spoil;
  };
  const std::vector<Case> cases = {
      {"Train: in the training set: expected a column \"z\", found \"x\", "
       "\"y\"",
       [](Model& model, TableSplits&, TrainOptions&) {
         model.feeds[1].column = "z";
       }},
      {"Train: in the test set: expected a column \"y\", found \"x\"",
       [](Model&, TableSplits& data, TrainOptions&) {
         data.test.columns.pop_back();
       }},
      {"Train: the metric \"rmse\" is there twice",
       [](Model& model, TableSplits&, TrainOptions&) {
         model.metrics[1].name = "rmse";
       }},
      {"Train: expected one number for the metric \"rmse\", found 2",
       [](Model& model, TableSplits&, TrainOptions&) {
         model.metrics[0].accumulator = nullptr;
       }},
      {"Train: expected the metric \"mean error\" of type float32[], found "
       "float32[batch,1]",
       [](Model& model, TableSplits&, TrainOptions&) {
         model.metrics[2].values = {model.outputs[0].value};
       }},
      {"Train: expected step_every of at least 1, found 0",
       [](Model&, TableSplits&, TrainOptions& options) {
         options.step_every = 0;
       }},
      {"Train: the metric \"rmse\": expected float32 predictions and targets "
       "of one shape, found float32[7,1] and float32[7,2]",
       [](Model& model, TableSplits&, TrainOptions&) {
         model.metrics[0].values[1] = model.feeds[0].input;
       }},
      {"was declared as [batch,2], and fed [7,3]",
       [](Model&, TableSplits& data, TrainOptions&) {
         data.test.columns[0].values =
             Tensor(TensorType{DType::kFloat32, {7, 3}});
       }},
  };
  for (const Case& c : cases) {
    Regression net;
    TableSplits data = {.train = Plane(14), .test = Plane(7)};
    TrainOptions options;
    c.spoil(net.model, data, options);
    const auto result = net.Train(data, options);
    EXPECT_NE(result.status().message().find(c.expected), std::string::npos)
        << c.expected << "\n"
        << result.status();
  }
}

TEST(ModelTest, OutputsThatAreNoRowsAreRefused) {
  Regression net;
  net.model.outputs = {
      {"gram", MatMul(net.predicted, net.predicted, {.rhs = true})}};
  EXPECT_NE(Predict(net.model, Plane(3)).status().message().find("\"gram\""),
            std::string::npos);
  net.model.outputs = {{"loss", net.model.loss}};
  EXPECT_NE(Predict(net.model, Plane(3))
                .status()
                .message()
                .find("Predict: expected outputs [batch, …], rows of one "
                      "size, found \"loss\""),
            std::string::npos);
}

// ---- Classifiers, and accumulators against scikit-learn 1.2.1 ----

TEST(ModelTest, AccumulatorsAgreeWithScikitLearn) {
  Graph graph;
  const Var scores = graph.Input("scores", {kBatch, 3});
  const Var labels = graph.Input("labels", {kBatch}, DType::kInt32);
  const Var is_two =
      Cast(Equal(labels, Fill(&graph, {}, 2, DType::kInt32)), DType::kInt32);
  const Var of_two =
      Reshape(Slice(scores, 1, {.begin = 2, .length = 1}), {kBatch});
  const Var predicted = ArgMax(scores);
  const Model model = {
      .graph = &graph,
      .feeds = {{scores, "scores"}, {labels, "labels"}},
      .loss = Mean(SoftmaxCrossEntropy(scores, labels)),
      .metrics = {TopKAccuracy("top2", scores, labels, 2),
                  AreaUnderRoc("auc", of_two, is_two),
                  MacroAverage("precision", ClassScore::kPrecision, predicted,
                               labels, 3),
                  MacroAverage("recall", ClassScore::kRecall, predicted, labels,
                               3),
                  MacroAverage("f1", ClassScore::kF1, predicted, labels, 3)},
      .classification = Classification{predicted, "labels", 3}};
  const DataTable data = {
      .columns = {{"scores",
                   Tensor({8, 3},
                          std::vector<float>{
                              0.9f, 0.1f, 0.2f, 0.3f, 0.4f, 0.5f, 0.2f, 0.7f,
                              0.1f, 0.6f, 0.5f, 0.4f, 0.1f, 0.2f, 0.5f, 0.3f,
                              0.9f, 0.8f, 0.5f, 0.4f, 0.3f, 0.1f, 0.3f, 0.6f})},
                  {"labels",
                   Tensor({8}, std::vector<int32_t>{0, 2, 1, 1, 2, 2, 2, 0})}}};
  for (int64_t batch_size : {1, 3, 100}) {
    const auto found = Evaluate(model, data, {.batch_size = batch_size});
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(found->accuracy, 0.5);
    EXPECT_EQ(MetricOf(*found, "top2"), 0.75);
    EXPECT_NEAR(MetricOf(*found, "auc"), 0.75, 1e-12);
    EXPECT_NEAR(MetricOf(*found, "precision"), 0.5, 1e-12);
    EXPECT_NEAR(MetricOf(*found, "recall"), 0.5, 1e-12);
    EXPECT_NEAR(MetricOf(*found, "f1"), 0.4904761904761904, 1e-12);
  }
}

}  // namespace
}  // namespace tape
