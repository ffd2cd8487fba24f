// Document A's models (models/fashion_40.cc): against its NumPy code, written
// down again in double, and on the real data.
#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "framework/framework.h"
#include "gtest/gtest.h"
#include "models/experiment.h"
#include "tests/models/matrix.h"
#include "tests/models/model_testing.h"

namespace tape {
namespace {

// The document's activation classes.
struct Formulas {
  double (*value)(double x);
  double (*derivative)(double x);
};

double NumpySigmoid(double x) { return 1.0 / (1.0 + std::exp(-x)); }
double NumpyTanh(double x) {
  return (std::exp(x) - std::exp(-x)) / (std::exp(x) + std::exp(-x));
}

const Formulas kRelu = {[](double x) { return std::max(x, 0.); },
                        [](double x) { return x > 0 ? 1. : 0.; }};
const Formulas kLeakyRelu = {[](double x) { return x > 0 ? x : x * 0.01; },
                             [](double x) { return x <= 0 ? 0.01 : 1.; }};
const Formulas kTanh = {NumpyTanh,
                        [](double x) { return 1 - std::pow(NumpyTanh(x), 2); }};
const Formulas kSigmoid = {NumpySigmoid, [](double x) {
                             return NumpySigmoid(x) * (1. - NumpySigmoid(x));
                           }};

// What is known of an experiment, whichever the variant.
struct Expected {
  Formulas formulas;
  int64_t parameters;
  double learning_rate;
  int64_t batch_size;
  Order order;
  int epochs;
};

constexpr int64_t kForty = 784 * 40 + 40 + 40 * 10 + 10;
constexpr int64_t kTwo = 784 * 2 + 2 + 2 * 10 + 10;

const std::map<std::string, Expected>& Table() {
  static const auto* const table = new std::map<std::string, Expected>{
      {"fashion_40_relu", {kRelu, kForty, 1e-4, 32, Order::kFixed, 30}},
      {"fashion_40_relu_slow", {kRelu, kForty, 1e-5, 32, Order::kFixed, 30}},
      {"fashion_40_relu_fast", {kRelu, kForty, 1e-3, 32, Order::kFixed, 30}},
      {"fashion_40_leaky", {kLeakyRelu, kForty, 1e-4, 32, Order::kFixed, 30}},
      {"fashion_40_tanh", {kTanh, kForty, 1e-4, 32, Order::kFixed, 30}},
      {"fashion_40_sigmoid", {kSigmoid, kForty, 1e-4, 32, Order::kFixed, 30}},
      {"fashion_40_leaky_b16",
       {kLeakyRelu, kForty, 1e-4, 16, Order::kFixed, 30}},
      {"fashion_40_leaky_b128",
       {kLeakyRelu, kForty, 1e-4, 128, Order::kShuffled, 30}},
      {"fashion_40_early_stop",
       {kLeakyRelu, kForty, 1e-4, 16, Order::kFixed, 200}},
      {"fashion_2_bottleneck",
       {kLeakyRelu, kTwo, 1e-4, 16, Order::kShuffled, 20}},
  };
  return *table;
}

// A mended slip is as the corrected variant has it.
enum class Slips { kKept, kMended };

// Layer.forward and FeedForwardNN.__update_weights on the small batch. `p` is
// the weight and bias of each layer; returned is what they become.
std::vector<Matrix> NumpyUpdate(std::vector<Matrix> p, const Formulas& formulas,
                                double lr, Slips slips) {
  std::vector<Matrix> input, sum, output;
  for (size_t l = 0; l < 2; ++l) {
    input.push_back(l == 0 ? SmallModel::X() : output.back());
    sum.push_back(Dot(input[l], p[2 * l]) + p[2 * l + 1]);
    output.push_back(Map(sum[l], formulas.value));
  }
  Matrix tensor = SoftmaxOfRows(output.back()) - SmallModel::Y();
  for (int l = 1; l >= 0; --l) {
    Matrix& weight = p[2 * l];
    Matrix& bias = p[2 * l + 1];
    const Matrix old_weight = weight;
    tensor = tensor * Map(slips == Slips::kKept ? output[l] : sum[l],
                          formulas.derivative);
    weight = weight - lr * Dot(input[l].T(), tensor);
    bias = bias - lr * SumOfRows(tensor);
    tensor = Dot(tensor, (slips == Slips::kKept ? weight : old_weight).T());
  }
  return p;
}

// The model's initial weights, moved and stretched from [0, 0.05) to
// [-0.4, 0.4), where an activation shows both its sides.
std::vector<Matrix> WideParameters(SmallModel& small) {
  std::vector<Matrix> wide;
  for (const Matrix& initial : small.Parameters()) {
    wide.push_back(Map(initial, [](double x) { return 16 * (x - 0.025); }));
  }
  small.SetParameters(wide);
  return small.Parameters();  // As rounded.
}

// At this rate a weight moves by some of its size in an update, so that it
// matters whether a gradient is handed back through the old or the new one.
Settings BoldSettings(const Experiment& experiment) {
  Settings settings = experiment.defaults;
  settings.learning_rate = 0.1;
  return settings;
}

Slips SlipsOf(const Experiment& experiment) {
  return experiment.variant == "as_written" ? Slips::kKept : Slips::kMended;
}

TEST(Fashion40Test, EachHasTheParametersOfItsDocument) {
  size_t experiments = 0;
  for (const Experiment& experiment : Fashion40()) {
    ++experiments;
    const auto row = Table().find(experiment.name);
    ASSERT_NE(row, Table().end()) << experiment.name << " is not known here";
    EXPECT_EQ(ParameterCount(experiment), row->second.parameters)
        << Title(experiment);
  }
  EXPECT_EQ(experiments, 2 * Table().size());
}

TEST(Fashion40Test, EachHasTheSettingsOfItsDocument) {
  for (const Experiment& experiment : Fashion40()) {
    const Settings& settings = experiment.defaults;
    const Expected& expected = Table().at(experiment.name);
    EXPECT_EQ(settings.learning_rate, expected.learning_rate)
        << Title(experiment);
    EXPECT_EQ(settings.train.batches.batch_size, expected.batch_size)
        << Title(experiment);
    EXPECT_EQ(settings.train.evaluation_batch_size, expected.batch_size)
        << Title(experiment);
    EXPECT_EQ(settings.train.batches.order, expected.order)
        << Title(experiment);
    EXPECT_EQ(settings.train.epochs, expected.epochs) << Title(experiment);
  }
}

TEST(Fashion40Test, WeightsAndBiasesStartUniformFromZeroToAFiftieth) {
  for (const Experiment& experiment : Fashion40()) {
    Graph graph;
    experiment.declare(graph, 784, experiment.defaults, 1);
    for (Var parameter : graph.parameters()) {
      const auto values = graph.Value(parameter).values<float>();
      const auto [least, most] =
          std::minmax_element(values.begin(), values.end());
      EXPECT_GE(*least, 0) << Title(experiment);
      EXPECT_LT(*most, 0.05) << Title(experiment);
      if (values.size() < 400) continue;
      EXPECT_LT(*least, 0.001) << Title(experiment);
      EXPECT_GT(*most, 0.049) << Title(experiment);
    }
  }
}

TEST(Fashion40Test, GradientsOfEachAgreeWithFiniteDifferences) {
  for (const Experiment& experiment : Fashion40()) {
    const absl::Status status = CheckGradientsOf(experiment);
    EXPECT_TRUE(status.ok()) << Title(experiment) << ": " << status;
  }
}

TEST(Fashion40Test, UpdatesAreThoseOfTheDocumentsCode) {
  for (const Experiment& experiment : Fashion40()) {
    const Settings settings = BoldSettings(experiment);
    SmallModel small(experiment, settings);
    std::vector<Matrix> start = WideParameters(small);
    for (int update = 1; update <= 3; ++update) {
      const std::vector<Matrix> expected =
          NumpyUpdate(start, Table().at(experiment.name).formulas,
                      settings.learning_rate, SlipsOf(experiment));
      small.Update();
      const std::vector<Matrix> found = small.Parameters();
      EXPECT_TRUE(SameWay(start, expected, found, 1e-5))
          << Title(experiment) << ", update " << update;
      start = found;
    }
  }
}

TEST(Fashion40Test, SlipsMatter) {
  for (const Experiment& experiment : Fashion40()) {
    const Settings settings = BoldSettings(experiment);
    SmallModel small(experiment, settings);
    const std::vector<Matrix> start = WideParameters(small);
    std::vector<Matrix> other = start;
    for (int update = 0; update < 3; ++update) {
      other = NumpyUpdate(
          other, Table().at(experiment.name).formulas, settings.learning_rate,
          SlipsOf(experiment) == Slips::kKept ? Slips::kMended : Slips::kKept);
      small.Update();
    }
    EXPECT_FALSE(SameWay(start, other, small.Parameters(), 0.01))
        << Title(experiment);
  }
}

TEST(Fashion40Test, TanhAsWrittenIsNanWhereTheDocumentsOverflows) {
  for (const char* variant : {"corrected", "as_written"}) {
    const Experiment& experiment = **FindExperiment("fashion_40_tanh", variant);
    for (double sum : {700.0, 709.7, 709.9, -709.7, -709.9, -800.0}) {
      SmallModel small(experiment);
      std::vector<Matrix> parameters = small.Parameters();
      // The first hidden unit's sum, whatever the image.
      for (int64_t i = 0; i < SmallModel::kPixels; ++i) parameters[0](i, 0) = 0;
      parameters[1](0, 0) = sum;
      small.SetParameters(parameters);
      small.Update();
      EXPECT_EQ(std::isnan(small.Loss()), SlipsOf(experiment) == Slips::kKept &&
                                              std::isnan(NumpyTanh(sum)))
          << Title(experiment) << " at " << sum;
    }
  }
}

// The highest accuracy that three seeds reach on 32 samples; seeds after the
// first to reach `enough` are left out.
double BestOverfit(const Experiment& experiment, OverfitOptions options,
                   double enough) {
  double best = 0;
  for (options.seed = 0; options.seed < 3 && best < enough; ++options.seed) {
    best = std::max(
        best,
        Overfit(experiment, RealFashionMnist(), options).kept.train.accuracy);
  }
  return best;
}

// The training of saturated units is chaotic: where a run ends depends on the
// last bits of its products, and so on oneDNN's release and the processor. Of
// 16 runs with tanh whose initial weights differ by 1e-6 of their size, one ends
// at 0.6875 and the others at 0.875 or above. Hence the best of three seeds.
TEST(Fashion40Test, EachLearns32SamplesByHeart) {
  struct Row {
    OverfitOptions options;
    double accuracy;  // At least.
  };
  // ReLU and LeakyReLU reach 1 with each of the seeds 0 to 4.
  const Row piecewise = {
      {.learning_rate = 3e-4, .epochs = 3000, .batch_size = 8}, 1};
  // 0.9375 to 1 with the seeds 0 to 4, both variants.
  const Row two_units = {
      {.learning_rate = 1e-3, .epochs = 4000, .batch_size = 8}, 0.9};
  // The others cannot: an output unit that has gone to the wrong end hardly has
  // a gradient any more. Seeds 0 to 4 gave 0.8125 to 0.875,
  const Row tanh = {{.learning_rate = 0.01, .epochs = 12000, .batch_size = 32},
                    0.7};
  // 0.625 to 0.84,
  const Row tanh_as_written = {
      {.learning_rate = 3e-4, .epochs = 8000, .batch_size = 8}, 0.5};
  // and 0.75 to 0.9375.
  const Row sigmoid = {
      {.learning_rate = 0.1, .epochs = 12000, .batch_size = 32}, 0.65};
  for (const Experiment& experiment : Fashion40()) {
    const bool as_written = experiment.variant == "as_written";
    if (as_written && experiment.name == "fashion_40_sigmoid") continue;
    const Row& row = experiment.name == "fashion_2_bottleneck" ? two_units
                     : experiment.name == "fashion_40_tanh"
                         ? (as_written ? tanh_as_written : tanh)
                     : experiment.name == "fashion_40_sigmoid" ? sigmoid
                                                               : piecewise;
    EXPECT_GE(BestOverfit(experiment, row.options, row.accuracy), row.accuracy)
        << Title(experiment);
  }
}

TEST(Fashion40Test, SigmoidAsWrittenLearnsOneClassOf32Samples) {
  const Experiment& experiment =
      **FindExperiment("fashion_40_sigmoid", "as_written");
  EXPECT_EQ(Overfit(experiment, RealFashionMnist(),
                    {.learning_rate = 3e-4, .epochs = 8000, .batch_size = 8})
                .kept.train.accuracy,
            0.1875);  // The share of class 0.
}

// Runs of seed 0 on all of the data, as the experiments' settings have them but
// for the number of epochs.
TrainResult ShortRun(const Experiment& experiment, int epochs,
                     std::vector<EpochResult>* history = nullptr) {
  Settings settings = experiment.defaults;
  settings.train.epochs = epochs;
  return TrainQuietly(experiment, settings, RealFashionMnist(), 0, history);
}

TEST(Fashion40Test, ShortRunsReachTheirAccuracy) {
  struct Row {
    const char* name;
    const char* variant;
    int epochs;
    double least, most;  // Test accuracy.
  };
  for (const Row& row : {
           // Above each, what the seeds 0 to 4 gave. The document has 0.664
           // after two epochs of relu, and 0.537 after six of relu_slow.
           // 0.679 to 0.685
           Row{"fashion_40_relu", "corrected", 2, 0.66, 0.70},
           // 0.663 to 0.669
           Row{"fashion_40_relu", "as_written", 2, 0.65, 0.68},
           // 0.514 to 0.543
           Row{"fashion_40_relu_slow", "corrected", 6, 0.49, 0.57},
           Row{"fashion_40_relu_slow", "as_written", 6, 0.49, 0.57},
           // 0.679 to 0.685
           Row{"fashion_40_leaky", "corrected", 2, 0.66, 0.70},
           // 0.663 to 0.669
           Row{"fashion_40_leaky", "as_written", 2, 0.65, 0.68},
           // 0.683 to 0.691
           Row{"fashion_40_leaky_b16", "corrected", 2, 0.66, 0.71},
           // 0.679 to 0.687
           Row{"fashion_40_leaky_b16", "as_written", 2, 0.66, 0.70},
           // 0.450 to 0.535
           Row{"fashion_2_bottleneck", "corrected", 2, 0.40, 0.60},
           Row{"fashion_2_bottleneck", "as_written", 2, 0.40, 0.60},
       }) {
    const double accuracy =
        ShortRun(**FindExperiment(row.name, row.variant), row.epochs)
            .kept.test.accuracy;
    EXPECT_GE(accuracy, row.least) << row.name << ", " << row.variant;
    EXPECT_LE(accuracy, row.most) << row.name << ", " << row.variant;
  }
}

// What a network makes of the test set that takes all for class 0, as a mean
// over batches of 32: to the last digit what the document prints.
constexpr double kAllClassZero = 0.09984025559105431;

TEST(Fashion40Test, TooFastAReluDies) {
  for (const char* variant : {"corrected", "as_written"}) {
    const Experiment& experiment =
        **FindExperiment("fashion_40_relu_fast", variant);
    const EpochResult last = ShortRun(experiment, 2).kept;
    EXPECT_NEAR(last.train.accuracy, 0.1, 1e-12) << variant;
    EXPECT_NEAR(last.test.accuracy, kAllClassZero, 1e-12) << variant;
    // All outputs are 0.
    EXPECT_NEAR(last.train.loss, std::log(10), 1e-6) << variant;
    EXPECT_NEAR(last.test.loss, std::log(10), 1e-6) << variant;
  }
}

// Slow starts, of the document's too: better than chance, and no more. Seeds 0
// to 4 gave losses of 2.3020 to 2.3021 for the sigmoid, 2.3018 to 2.3022 for
// tanh, 2.2944 to 2.2965 for large batches; but seed 0 of the corrected variant
// gets away there, to 0.8632.
TEST(Fashion40Test, SaturatedUnitsAndLargeBatchesLearnSlowly) {
  struct Row {
    const char* name;
    const char* variant;
    int epochs;
    double most;  // Test loss.
  };
  for (const Row& row :
       {Row{"fashion_40_sigmoid", "corrected", 10, 2.3024},
        Row{"fashion_40_sigmoid", "as_written", 10, 2.3024},
        Row{"fashion_40_tanh", "corrected", 12, 2.3024},
        Row{"fashion_40_leaky_b128", "corrected", 2, 2.299},
        Row{"fashion_40_leaky_b128", "as_written", 2, 2.299}}) {
    const TrainResult result =
        ShortRun(**FindExperiment(row.name, row.variant), row.epochs);
    EXPECT_LT(result.kept.test.loss, row.most)
        << row.name << ", " << row.variant;
  }
}

// The document's tanh has about 50 % until it overflows in epoch 30, of 30. The
// seeds 0 to 4 have at most 0.503, 0.545, 0.529, 0.462 and 0.521, and overflow
// in epoch 30, 35, 32, 35 and 29.
TEST(Fashion40Test, TanhAsWrittenClimbsToAHalfAndOverflows) {
  std::vector<EpochResult> history;
  ShortRun(**FindExperiment("fashion_40_tanh", "as_written"), 45, &history);
  ASSERT_EQ(history.size(), 45);
  double best = 0;
  for (const EpochResult& epoch : history) {
    best = std::max(best, epoch.train.accuracy);
  }
  EXPECT_GE(best, 0.45);
  EXPECT_TRUE(std::isnan(history.back().train.loss));
  EXPECT_TRUE(std::isnan(history.back().test.loss));
  EXPECT_NEAR(history.back().train.accuracy, 0.1, 1e-12);
  EXPECT_NEAR(history.back().test.accuracy, kAllClassZero, 1e-12);
  EXPECT_FALSE(std::isnan(history[20].train.loss));
}

// The document's run stopped after 19 epochs; as written, the seeds 0 to 4 stop
// after 21, 21, 23, 19 and 20, at 0.819 to 0.822. (Corrected: after 25 to 38.)
TEST(Fashion40Test, EarlyStoppingEndsWithTheFirstFallOfTestAccuracy) {
  std::vector<EpochResult> history;
  const TrainResult result = ShortRun(
      **FindExperiment("fashion_40_early_stop", "as_written"), 200, &history);
  ASSERT_EQ(static_cast<int>(history.size()), result.epochs);
  EXPECT_GE(result.epochs, 14);
  EXPECT_LE(result.epochs, 28);
  EXPECT_NEAR(result.kept.test.accuracy, 0.82, 0.01);
  // What is kept is the last one, after the fall.
  EXPECT_EQ(result.kept.test.epoch, result.epochs);
  for (size_t i = 1; i < history.size(); ++i) {
    const bool falls = history[i].test.accuracy < history[i - 1].test.accuracy;
    EXPECT_EQ(falls, i + 1 == history.size()) << "epoch " << i + 1;
  }
}

}  // namespace
}  // namespace tape
