// Document E's models (models/mnist_sigmoid.cc): its formulas written down
// again in double, its initial weights, and its figures on the real data.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_format.h"
#include "framework/framework.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "models/experiment.h"
#include "models/run.h"
#include "ops/ops.h"
#include "tests/models/matrix.h"
#include "tests/models/model_testing.h"

namespace tape {
namespace {

std::vector<Experiment> OfVariant(const std::string& variant) {
  std::vector<Experiment> experiments;
  for (const Experiment& experiment : MnistSigmoid()) {
    if (experiment.variant == variant) experiments.push_back(experiment);
  }
  EXPECT_EQ(experiments.size(), 7u);
  return experiments;
}

TEST(MnistSigmoidTest, EachHasTheParametersOfItsDocument) {
  const std::map<std::string, int64_t> parameters = {
      {"mnist_h1", 805},          {"mnist_h5", 3985},
      {"mnist_h100", 79510},      {"mnist_h200", 159010},
      {"mnist_h100_slow", 79510}, {"mnist_h100_fast", 79510},
      {"mnist_h100_mid", 79510}};
  for (const Experiment& experiment : MnistSigmoid()) {
    EXPECT_EQ(ParameterCount(experiment), parameters.at(experiment.name))
        << Title(experiment);
  }
}

TEST(MnistSigmoidTest, GradientsOfEachAgreeWithFiniteDifferences) {
  for (const Experiment& experiment : MnistSigmoid()) {
    const absl::Status status = CheckGradientsOf(experiment);
    EXPECT_TRUE(status.ok()) << Title(experiment) << ": " << status;
  }
}

// Starting weights of layer 1, unit by unit as the document draws them.
std::vector<float> FirstWeights(const Experiment& experiment, uint64_t seed) {
  Graph graph({.seed = seed});
  experiment.declare(graph, 784, experiment.defaults, 1);
  const Var w = graph.parameters()[0];
  const int64_t units = w.shape()[1];
  std::vector<float> weights;
  for (int input = 0; input < 4; ++input) {
    weights.push_back(graph.Value(w).values<float>()[input * units]);
  }
  return weights;
}

TEST(MnistSigmoidTest, AsWrittenStartsFromTheDocumentsWeightsForAnySeed) {
  // torch.manual_seed(0), then torch.nn.Linear(784, 100).
  const double expected[] = {-0.00026739, 0.0191587, -0.02939447, -0.02628354};
  for (uint64_t seed : {0, 7}) {
    const std::vector<float> found =
        FirstWeights(**FindExperiment("mnist_h100", "as_written"), seed);
    for (int i = 0; i < 4; ++i) EXPECT_NEAR(found[i], expected[i], 1e-8);
  }
}

TEST(MnistSigmoidTest, CorrectedStartsFromTheWeightsOfItsSeed) {
  const Experiment& corrected = **FindExperiment("mnist_h100", "corrected");
  EXPECT_EQ(FirstWeights(corrected, 0),
            FirstWeights(**FindExperiment("mnist_h100", "as_written"), 0));
  EXPECT_EQ(FirstWeights(corrected, 7), FirstWeights(corrected, 7));
  EXPECT_NE(FirstWeights(corrected, 7), FirstWeights(corrected, 0));
}

TEST(MnistSigmoidTest, FifteenPercentAreForValidationAndChooseTheBestModel) {
  for (const Experiment& experiment : MnistSigmoid()) {
    SCOPED_TRACE(Title(experiment));
    EXPECT_EQ(experiment.defaults.validation, 0.15);
    const auto& early_stopping = experiment.defaults.train.early_stopping;
    ASSERT_TRUE(early_stopping.has_value());
    EXPECT_EQ(early_stopping->split, DataSplit::kValidation);
    EXPECT_EQ(early_stopping->metric, Metric::kAccuracy);
    EXPECT_EQ(early_stopping->min_change, 0.001);
    EXPECT_EQ(early_stopping->decimals, 3);
    EXPECT_EQ(early_stopping->patience, std::nullopt);
    EXPECT_EQ(early_stopping->keep, Keep::kBest);
  }
  const Experiment experiment = MnistSigmoid()[0];
  const absl::StatusOr<DataSplits> data =
      SelectData(experiment, experiment.defaults, 0, RealMnist());
  ASSERT_TRUE(data.ok()) << data.status();
  EXPECT_EQ(data->validation.size(), 9000);
  EXPECT_EQ(data->train.size(), 51000);
  EXPECT_EQ(data->test.size(), 10000);
  EXPECT_EQ(Batches(data->train, experiment.defaults.train.batches)
                .batches_per_epoch(),
            51);
}

// FullyConnectedNeuralNetwork.forward up to the softmax, for pixels / 255. `p`
// is the weight and bias of each layer.
struct Forward {
  Matrix x;  // As Normalize leaves them.
  Matrix hidden;
  Matrix logits;
};
Forward RunForward(const Matrix& scaled, const std::vector<Matrix>& p) {
  Forward f;
  f.x = Map(scaled, [](double x) { return (x - 0.1307) / 0.3081; });
  f.hidden = Map(Dot(f.x, p[0]) + p[1],
                 [](double x) { return 1 / (1 + std::exp(-x)); });
  f.logits = Dot(f.hidden, p[2]) + p[3];
  return f;
}

TEST(MnistSigmoidTest, CorrectedUpdatesAreThoseOfPlainGradientDescent) {
  for (const Experiment& experiment : OfVariant("corrected")) {
    Settings settings = experiment.defaults;
    settings.learning_rate = 0.5;
    SmallModel small(experiment, settings);
    std::vector<Matrix> start = small.Parameters();
    for (int update = 1; update <= 3; ++update) {
      const Forward f = RunForward(SmallModel::X(), start);
      const Matrix g_logits = 1.0 / SmallModel::kSamples *
                              (SoftmaxOfRows(f.logits) - SmallModel::Y());
      const Matrix g_sum =
          Dot(g_logits, start[2].T()) *
          Map(f.hidden, [](double hidden) { return hidden * (1 - hidden); });
      const std::vector<Matrix> expected = {
          start[0] - 0.5 * Dot(f.x.T(), g_sum),
          start[1] - 0.5 * SumOfRows(g_sum),
          start[2] - 0.5 * Dot(f.hidden.T(), g_logits),
          start[3] - 0.5 * SumOfRows(g_logits)};
      small.Update();
      const std::vector<Matrix> found = small.Parameters();
      EXPECT_TRUE(SameWay(start, expected, found, 5e-6))
          << Title(experiment) << ", update " << update;
      start = found;
    }
  }
}

// cross_entropy_error(softmax(logits), labels) as the document has them: its
// sum(torch.exp(x)) is Python's, over the rows.
double LossAsWritten(Matrix logits, absl::Span<const int32_t> labels) {
  const int64_t samples = logits.rows();
  std::vector<double> sums(logits.columns());
  for (int64_t i = 0; i < samples; ++i) {
    double largest = logits(i, 0);
    for (int64_t j = 1; j < logits.columns(); ++j) {
      largest = std::max(largest, logits(i, j));
    }
    for (int64_t j = 0; j < logits.columns(); ++j) {
      logits(i, j) -= largest;
      sums[j] += std::exp(logits(i, j));
    }
  }
  double error = 0;
  for (int64_t i = 0; i < samples; ++i) {
    error -= std::log(std::exp(logits(i, labels[i])) / sums[labels[i]]);
  }
  return error / static_cast<double>(samples);
}

Matrix FromTensor(const Tensor& tensor, int64_t columns, double scale) {
  const Tensor numbers = ToFloat64(tensor);
  const auto values = numbers.values<double>();
  return scale * Matrix(numbers.elements() / columns, columns,
                        {values.begin(), values.end()});
}

// A model in its initial state, and a real batch for it.
struct Declared {
  Declared(const Experiment& experiment, int64_t samples)
      : data(FirstSamples(RealMnist(), samples)),
        model(experiment.declare(graph, 784, experiment.defaults, 1)),
        parameters(graph.parameters()),
        feeds({{model.images, data.train.images},
               {model.labels, data.train.labels}}) {}

  DataSplits data;
  Graph graph;
  Classifier model;
  std::vector<Var> parameters;
  ReferenceFeeds feeds;
};

TEST(MnistSigmoidTest, LossAsWrittenIsTheDocumentsAndStartsNearLn1000) {
  for (const char* name : {"mnist_h1", "mnist_h100"}) {
    Declared declared(**FindExperiment(name, "as_written"), 1000);
    std::vector<Matrix> p;
    for (Var parameter : declared.parameters) {
      const int64_t units = parameter.shape()[parameter.shape().rank() - 1];
      p.push_back(FromTensor(declared.graph.Value(parameter), units, 1));
    }
    const Matrix scaled =
        FromTensor(declared.data.train.images, 784, 1.0 / 255);
    const double expected =
        LossAsWritten(RunForward(scaled, p).logits,
                      declared.data.train.labels.values<int32_t>());
    EXPECT_NEAR(expected, std::log(1000), 0.02);

    const absl::StatusOr<std::vector<Tensor>> loss =
        EvaluateReference({declared.model.loss}, declared.feeds);
    ASSERT_TRUE(loss.ok()) << loss.status();
    EXPECT_NEAR((*loss)[0].values<double>()[0], expected, 1e-6) << name;

    absl::StatusOr<Plan> plan =
        Compile(declared.graph, {.fetch = {declared.model.loss}});
    ASSERT_TRUE(plan.ok()) << plan.status();
    ASSERT_TRUE(plan->Run({{declared.model.images, declared.data.train.images},
                           {declared.model.labels, declared.data.train.labels}})
                    .ok());
    EXPECT_NEAR(plan->Scalar(declared.model.loss), expected, 1e-5) << name;
  }
}

TEST(MnistSigmoidTest, GradientAsWrittenIsTheOneThatGradientsFinds) {
  // The document leaves its backward pass to PyTorch; ours is by hand, and what
  // it takes from a parameter is the rate times the gradient. In double, on
  // real samples.
  for (const Experiment& experiment : OfVariant("as_written")) {
    Declared declared(experiment, 20);
    const Updates& updates = declared.model.updates;
    ASSERT_EQ(updates.assignments.size(), 4u);
    std::vector<Var> variables, fetches;
    for (const Assignment& assignment : updates.assignments) {
      variables.push_back(assignment.variable);
      fetches.push_back(assignment.value);
    }
    const std::vector<Var> gradients =
        Gradients(declared.model.loss, variables);
    fetches.insert(fetches.end(), gradients.begin(), gradients.end());
    const absl::StatusOr<std::vector<Tensor>> values =
        EvaluateReference(fetches, declared.feeds);
    ASSERT_TRUE(values.ok()) << values.status();
    double largest = 0, off = 0;
    for (int i = 0; i < 4; ++i) {
      const Tensor old = ToFloat64(declared.graph.Value(variables[i]));
      const auto before = old.values<double>();
      const auto after = (*values)[i].values<double>();
      const auto gradient = (*values)[4 + i].values<double>();
      for (size_t k = 0; k < before.size(); ++k) {
        const double taken =
            (before[k] - after[k]) / experiment.defaults.learning_rate;
        largest = std::max(largest, std::fabs(gradient[k]));
        off = std::max(off, std::fabs(taken - gradient[k]));
      }
    }
    EXPECT_GT(largest, 0.01) << Title(experiment);
    // A rate of 1e-6 leaves ten digits of the difference.
    EXPECT_LT(off, 1e-8 * largest) << Title(experiment);
  }
}

TEST(MnistSigmoidTest, LearnsThirtyTwoSamplesByHeart) {
  const DataSplits data = FirstSamples(RealMnist(), 32);
  for (const Experiment& experiment : MnistSigmoid()) {
    // One hidden unit puts the samples on a line, in which ten classes would
    // have to lie one after the other: it knows about a third of them.
    const bool is_one = experiment.name == "mnist_h1";
    Settings settings = experiment.defaults;
    settings.learning_rate = is_one ? 0.1 : 1;
    settings.validation = 0;
    settings.train.early_stopping.reset();
    settings.train.epochs = 400;
    settings.train.evaluate_every = 400;
    const TrainResult result = TrainQuietly(experiment, settings, data, 0);
    EXPECT_GE(result.kept.test.accuracy, is_one ? 0.25 : 1)
        << Title(experiment);
  }
}

TEST(MnistSigmoidTest, LossFallsInTheSecondEpoch) {
  // All that a few epochs show at rates below 0.1, where the accuracy is the
  // luck of the initial weights.
  const DataSplits data = FirstSamples(RealMnist(), 10000);
  for (const Experiment& experiment : MnistSigmoid()) {
    Settings settings = experiment.defaults;
    settings.train.epochs = 2;
    std::vector<EpochResult> epochs;
    TrainQuietly(experiment, settings, data, 0, &epochs);
    ASSERT_EQ(epochs.size(), 2u);
    EXPECT_LT(epochs[1].test.loss, epochs[0].test.loss) << Title(experiment);
    EXPECT_LT(epochs[1].validation->loss, epochs[0].validation->loss)
        << Title(experiment);
  }
}

TEST(MnistSigmoidTest, CorrectedLearnsInTenEpochsAtTheFastRate) {
  const Experiment& experiment =
      **FindExperiment("mnist_h100_fast", "corrected");
  Settings settings = experiment.defaults;
  settings.train.epochs = 10;
  const TrainResult result = TrainQuietly(experiment, settings, RealMnist(), 0);
  // Three seeds gave 0.907 to 0.910.
  EXPECT_GE(result.kept.test.accuracy, 0.9);
  EXPECT_GE(result.kept.validation->accuracy, 0.89);
}

// The experiment with its predictions counted as the document counts them:
// by x - (x's largest in the row) - ln (the sum over the batch of e^that).
Experiment CountedAsWritten(const Experiment& experiment) {
  Experiment counted = experiment;
  counted.declare = [declare = experiment.declare](Graph& graph, int64_t pixels,
                                                   const Settings& settings,
                                                   int64_t updates) {
    Classifier model = declare(graph, pixels, settings, updates);
    // It is the ArgMax of x, reshaped.
    const Var arg_max(&graph, graph.node(model.predicted).inputs[0]);
    const Var x(&graph, graph.node(arg_max).inputs[0]);
    const Var z = x - Max(x, {1}, Axes::kKeep);
    model.predicted = ArgMax(z - Log(Sum(Exp(z), {0})));
    return model;
  };
  return counted;
}

TEST(MnistSigmoidTest, CorrectedIsWorseWhereItIsBecauseOfHowPredictionsCount) {
  for (const auto& [name, counted] :
       {std::pair("mnist_h1", 0.1776), std::pair("mnist_h5", 0.2816),
        std::pair("mnist_h100", 0.2450), std::pair("mnist_h200", 0.3521),
        std::pair("mnist_h100_mid", 0.6995)}) {
    SCOPED_TRACE(name);
    // Seed 0 has the document's own start.
    const Experiment& experiment = **FindExperiment(name, "corrected");
    const TrainResult result = TrainQuietly(
        CountedAsWritten(experiment), experiment.defaults, RealMnist(), 0);
    EXPECT_NEAR(result.kept.test.accuracy, counted, 0.001);
    // What //models:reproduce shows.
    EXPECT_THAT(experiment.note,
                testing::HasSubstr(absl::StrFormat("%.2f", 100 * counted)));
  }
}

TEST(MnistSigmoidTest, AsWrittenLandsOnTheDocumentsFigures) {
  // From the document's own weights: what is left to chance is the split and
  // the order. Four seeds came within 0.3 points and 0.004 of what the document
  // prints. (The others take long, and differ by their numbers alone.)
  for (const char* name : {"mnist_h1", "mnist_h5", "mnist_h100_fast"}) {
    const Experiment& experiment = **FindExperiment(name, "as_written");
    const TrainResult result =
        TrainQuietly(experiment, experiment.defaults, RealMnist(), 0);
    EXPECT_NEAR(result.kept.test.accuracy, experiment.published.test_accuracy,
                0.01)
        << name;
    EXPECT_NEAR(result.kept.test.loss, experiment.published.test_loss, 0.01)
        << name;
    EXPECT_NEAR(result.kept.validation->accuracy,
                experiment.published.validation_accuracy, 0.02)
        << name;
  }
}

}  // namespace
}  // namespace tape
