// Document A: Fashion-MNIST, 784-40-10 (Ghazal Kalhor, "Neural Networks", a
// course assignment).
//
//   pixels  x / 255
//   layers  784 - 40 - 10, the activation after both; one run with 2 hidden
//           units
//   start   weights and biases uniform in [0, 0.05). (The document names others
//           under a keyword that its class ignores.)
//   loss    softmax cross-entropy of the activated output
//   update  SGD on the gradient *summed* over the batch
//   data    batches in the order of the files, or reshuffled each epoch;
//           figures are means over batches
//
// The table below has the rest. Its slips, kept by the variant as_written: the
// activation's derivative is taken at its output; a layer hands its gradient on
// through weights that it has already updated; tanh is (e^x - e^-x) / (e^x +
// e^-x) in double, which is NaN from |x| = 709.8 on. Tested by
// tests/models/fashion_40_test.cc.
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/gradients.h"
#include "framework/optim/optimizer.h"
#include "models/experiment.h"
#include "models/mlp.h"
#include "ops/ops.h"

namespace tape {
namespace {

// An activation, and its derivative as the document's classes have it: a
// function of whatever they are given, which ought to be the activation's
// input.
struct Activation {
  const char* name;
  Var (*value)(Var x);
  Var (*derivative)(Var x);
  // The value as it is computed in the document.
  Var (*value_as_written)(Var x) = value;
};

// 1 where x > 0, else 0.
Var IsPositive(Var x) { return Relu(Sign(x)); }

// NaN where e^|x| overflows a double, as infinity / infinity.
Var OverflowingTanh(Var x) {
  const double largest = std::log(std::numeric_limits<double>::max());
  const auto all = [x](double value) {
    return Fill(x.graph(), x.shape(), value);
  };
  return Select(Greater(Abs(x), all(largest)),
                all(std::numeric_limits<double>::quiet_NaN()), Tanh(x));
}

constexpr double kSlope = 0.01;

const Activation kRelu = {"ReLU", [](Var x) { return Relu(x); }, IsPositive};
const Activation kLeakyRelu = {
    "LeakyReLU", [](Var x) { return LeakyRelu(x, kSlope); },
    [](Var x) { return kSlope + (1 - kSlope) * IsPositive(x); }};
const Activation kTanh = {"tanh", [](Var x) { return Tanh(x); },
                          [](Var x) { return 1 - Square(Tanh(x)); },
                          OverflowingTanh};
const Activation kSigmoid = {
    "sigmoid", [](Var x) { return Sigmoid(x); },
    [](Var x) { return Sigmoid(x) * (1 - Sigmoid(x)); }};

// Rows of the document's table.
struct Row {
  std::string name;
  Activation activation;
  int64_t batch_size = 32;
  Order order = Order::kFixed;
  double learning_rate = 1e-4;
  int epochs = 30;
  int64_t hidden = 40;
  std::optional<EarlyStoppingOptions> early_stopping = std::nullopt;
  Published published;
  std::string note_corrected = {};
  std::string note_as_written = {};
};

// As the document's loop: it ends when the test accuracy is below the last
// epoch's, which until then was the best; and keeps what it has.
EarlyStoppingOptions FirstFall() {
  return {.split = DataSplit::kTest,
          .metric = Metric::kAccuracy,
          .patience = 1,
          .ties = Ties::kForgive,
          .keep = Keep::kLast};
}

std::vector<Row> Rows() {
  return {
      {.name = "fashion_40_relu",
       .activation = kRelu,
       .published = {.train_accuracy = 0.83988,
                     .train_loss = 0.4674,
                     .test_accuracy = 0.79852,
                     .test_loss = 0.5746}},
      {.name = "fashion_40_relu_slow",
       .activation = kRelu,
       .learning_rate = 1e-5,
       .published = {.train_accuracy = 0.74355,
                     .train_loss = 0.7143,
                     .test_accuracy = 0.73193,
                     .test_loss = 0.7263}},
      {.name = "fashion_40_relu_fast",
       .activation = kRelu,
       .learning_rate = 1e-3,
       .published = {.train_accuracy = 0.1,
                     .train_loss = 2.3026,
                     .test_accuracy = 0.09984,
                     .test_loss = 2.3026,
                     .remark = "dead: all units are 0"}},
      {.name = "fashion_40_leaky",
       .activation = kLeakyRelu,
       .published = {.train_accuracy = 0.83965,
                     .train_loss = 0.4685,
                     .test_accuracy = 0.79902,
                     .test_loss = 0.5745}},
      {.name = "fashion_40_tanh",
       .activation = kTanh,
       .published = {.train_accuracy = 0.38078,
                     .test_accuracy = 0.09984,
                     .remark = "50 % until the overflow, in epoch 30"}},
      {.name = "fashion_40_sigmoid",
       .activation = kSigmoid,
       .published = {.train_accuracy = 0.20642,
                     .train_loss = 2.2895,
                     .test_accuracy = 0.20028,
                     .test_loss = 2.2873},
       .note_corrected =
           "the hidden outputs start near 1, where the derivative y (1 - y) is "
           "about 0.004; the document takes sigmoid'(y), about 0.2, and so "
           "moves the hidden layer fifty times as fast",
       .note_as_written = "10 to 21 % by seed: learning has just begun"},
      {.name = "fashion_40_leaky_b16",
       .activation = kLeakyRelu,
       .batch_size = 16,
       .published = {.train_accuracy = 0.84525,
                     .train_loss = 0.4457,
                     .test_accuracy = 0.82280,
                     .test_loss = 0.4993}},
      {.name = "fashion_40_leaky_b128",
       .activation = kLeakyRelu,
       .batch_size = 128,
       .order = Order::kShuffled,
       .published = {.train_accuracy = 0.13895,
                     .train_loss = 2.2535,
                     .test_accuracy = 0.10453,
                     .test_loss = 2.2528}},
      {.name = "fashion_40_early_stop",
       .activation = kLeakyRelu,
       .batch_size = 16,
       .epochs = 200,  // Never reached.
       .early_stopping = FirstFall(),
       .published = {.train_accuracy = 0.83772,
                     .train_loss = 0.4646,
                     .test_accuracy = 0.81950,
                     .test_loss = 0.5031,
                     .remark = "after 19 epochs"}},
      {.name = "fashion_2_bottleneck",
       .activation = kLeakyRelu,
       .batch_size = 16,
       .order = Order::kShuffled,
       .epochs = 20,
       .hidden = 2,
       .published = {.train_accuracy = 0.65972,
                     .train_loss = 0.8702,
                     .test_accuracy = 0.65350,
                     .test_loss = 0.8858}},
  };
}

// The document's own backward pass and update, in its own order.
Updates UpdatesAsWritten(const std::vector<Layer>& layers, Var labels,
                         const Activation& activation, Var rate) {
  Updates updates = {.learning_rate = rate};
  const Var output = layers.back().output;
  Var gradient = Softmax(output) - OneHot(labels, Columns(output));
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    gradient = gradient * activation.derivative(layer->output);
    const Var w =
        layer->w - rate * MatMul(layer->input, gradient, {.lhs = true});
    const Var b = layer->b - rate * Sum(gradient, {0});
    updates.assignments.push_back({layer->w, w});
    updates.assignments.push_back({layer->b, b});
    gradient = MatMul(gradient, w, {.rhs = true});
  }
  return updates;
}

Classifier Declare(const Row& row, Variant variant, Graph& graph,
                   int64_t pixels, const Settings& settings) {
  const bool as_written = variant == Variant::kAsWritten;
  const auto activation =
      as_written ? row.activation.value_as_written : row.activation.value;
  const auto [images, labels] = SampleInputs(graph, pixels);
  const std::vector<Layer> layers =
      MlpLayers(ScaledPixels(images), {.units = {row.hidden, 10},
                                       .activation = activation,
                                       .output_activation = activation,
                                       .weights = Uniform(0, 0.05),
                                       .biases = Uniform(0, 0.05)});
  const Var output = layers.back().output;
  const Var losses = SoftmaxCrossEntropy(output, labels);

  Updates updates;
  if (as_written) {
    updates = UpdatesAsWritten(layers, labels, row.activation,
                               Fill(&graph, {}, settings.learning_rate));
  } else {
    const std::vector<Var> parameters = graph.parameters();
    updates =
        Chain(WithRegularizers(settings,
                               Sgd({.learning_rate = settings.learning_rate})))
            .Apply(parameters, Gradients(Sum(losses), parameters));
  }
  return {.graph = &graph,
          .images = images,
          .labels = labels,
          .loss = Mean(losses),
          .predicted = ArgMax(output),
          .updates = updates,
          .logits = output,
          .hidden = HiddenOutputs(layers)};
}

}  // namespace

std::vector<Experiment> Fashion40() {
  std::vector<Experiment> experiments;
  for (const Row& row : Rows()) {
    for (Variant variant : {Variant::kCorrected, Variant::kAsWritten}) {
      experiments.push_back(
          {.name = row.name,
           .variant = VariantName(variant),
           .description = absl::StrCat(
               "784-", row.hidden, "-10 ", row.activation.name, ", SGD ",
               row.learning_rate, ", batch ", row.batch_size,
               row.early_stopping ? ", until test accuracy falls" : "",
               ": document A, on Fashion-MNIST"),
           .data_dir = kFashionMnist,
           .defaults = {.learning_rate = row.learning_rate,
                        .train = {.epochs = row.epochs,
                                  .batches = {.batch_size = row.batch_size,
                                              .order = row.order},
                                  .evaluation_batch_size = row.batch_size,
                                  .averaging = Averaging::kOverBatches,
                                  .early_stopping = row.early_stopping}},
           .published = row.published,
           .note = variant == Variant::kAsWritten ? row.note_as_written
                                                  : row.note_corrected,
           .declare = [=](Graph& graph, int64_t pixels,
                          const Settings& settings, int64_t) {
             return Declare(row, variant, graph, pixels, settings);
           }});
    }
  }
  return experiments;
}

}  // namespace tape
