// Document E: MNIST, 784-H-10 ("MNIST digits classification using neural
// networks", an assignment of a course on deep learning; no author is named).
//
//   pixels  (x / 255 - 0.1307) / 0.3081
//   layers  784 - H sigmoid - 10
//   start   weights and biases uniform on ±1 / sqrt(inputs), as PyTorch's
//           Linear; the document's own draw is known: torch.manual_seed(0)
//   loss    softmax cross-entropy, mean over the batch
//   update  SGD
//   data    batches of 1000, reshuffled each of 35 epochs; 15 % of the training
//           set, drawn at random, is for validation. A validation accuracy,
//           rounded to three places, that beats the best by more than 0.001
//           makes a new best model, whose copy is kept
//
// Its slip, kept by the variant as_written: the softmax is normalised over the
// batch instead of the classes, so that the loss starts near ln(1000) = 6.91.
// That variant starts from the document's own weights whatever the seed, which
// draws split and order; for the corrected one the seed is PyTorch's too.
// Tested by tests/models/mnist_sigmoid_test.cc.
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "framework/core/gradients.h"
#include "framework/core/ported_random.h"
#include "framework/optim/optimizer.h"
#include "models/experiment.h"
#include "models/mlp.h"
#include "ops/ops.h"

namespace tape {
namespace {

// Rows of the document's table.
struct Row {
  std::string name;
  int64_t hidden;
  double learning_rate;
  Published published;
  // What the corrected weights from the document's start come to on the test
  // set if predictions are counted as the document does.
  double counted_as_written = kNotMeasured;
};

std::vector<Row> Rows() {
  return {
      {"mnist_h1",
       1,
       1e-4,
       {.validation_accuracy = 0.1814,
        .test_accuracy = 0.1829,
        .test_loss = 6.8921},
       0.1776},
      {"mnist_h5",
       5,
       1e-4,
       {.validation_accuracy = 0.2724,
        .test_accuracy = 0.2785,
        .test_loss = 6.8531},
       0.2816},
      {"mnist_h100",
       100,
       1e-4,
       {.validation_accuracy = 0.2573,
        .test_accuracy = 0.2509,
        .test_loss = 6.8701},
       0.2450},
      {"mnist_h200",
       200,
       1e-4,
       {.validation_accuracy = 0.3480,
        .test_accuracy = 0.3556,
        .test_loss = 6.8498},
       0.3521},
      {"mnist_h100_slow",
       100,
       1e-6,
       {.validation_accuracy = 0.1090,
        .test_accuracy = 0.0982,
        .test_loss = 6.9104}},
      {"mnist_h100_fast",
       100,
       0.1,
       {.validation_accuracy = 0.9297,
        .test_accuracy = 0.9356,
        .test_loss = 4.8500}},
      {"mnist_h100_mid",
       100,
       1e-3,
       {.validation_accuracy = 0.6974,
        .test_accuracy = 0.7203,
        .test_loss = 6.5370},
       0.6995},
  };
}

// Why a corrected row may look worse than the document.
std::string NoteCorrected(const Row& row) {
  if (std::isnan(row.counted_as_written)) return "";
  return absl::StrFormat(
      "the document scores a class relative to the other images of the batch, "
      "so what is common to all images does not count; these weights, from its "
      "start and counted so, have %.2f %%",
      100 * row.counted_as_written);
}

// The best model as the document chooses it.
EarlyStoppingOptions BestModel() {
  return {.split = DataSplit::kValidation,
          .metric = Metric::kAccuracy,
          .min_change = 0.001,
          .decimals = 3,
          .keep = Keep::kBest};
}

// The document's loss and its gradient by the logits, as formulas.
struct LossAsWritten {
  Var loss;      // Rank 0.
  Var gradient;  // [batch, classes]
  Var log_p;     // The logarithm of what it calls probabilities.
};

//   z = x - max over classes of x
//   p = e^z / s, s = sum over the *batch* of e^z
//   loss = mean over the batch of -ln p at the label
// With y one-hot, n samples, and c the labels counted by class,
//   dloss/dz = (p c - y) / n
// and x's largest element has the negative sum of dz over its row added to its
// own, as the maximum does not cancel here.
LossAsWritten MakeLossAsWritten(Var x, Var labels) {
  const int64_t classes = Columns(x);
  const Shape column = {kBatch, 1};
  const Var is_largest = OneHot(ArgMax(x), classes);
  const Var z = x - Reshape(Sum(x * is_largest, {1}), column);
  const Var log_p = z - Log(Sum(Exp(z), {0}));
  const Var y = OneHot(labels, classes);
  const Var samples = ElementCount(x.graph(), labels.shape());
  const Var gz = (Exp(log_p) * Sum(y, {0}) - y) / samples;
  return {.loss = -Sum(y * log_p) / samples,
          .gradient = gz - is_largest * Reshape(Sum(gz, {1}), column),
          .log_p = log_p};
}

// The backward pass that the document leaves to PyTorch, and its update.
Updates UpdatesAsWritten(const std::vector<Layer>& layers, Var gradient,
                         Var rate) {
  Updates updates = {.learning_rate = rate};
  for (auto layer = layers.rbegin(); layer != layers.rend(); ++layer) {
    const Var gw = MatMul(layer->input, gradient, {.lhs = true});
    updates.assignments.push_back({layer->w, layer->w - rate * gw});
    updates.assignments.push_back(
        {layer->b, layer->b - rate * Sum(gradient, {0})});
    if (layer + 1 == layers.rend()) break;
    const Var sigmoid = layer->input;
    gradient =
        MatMul(gradient, layer->w, {.rhs = true}) * sigmoid * (1 - sigmoid);
  }
  return updates;
}

Classifier Declare(const Row& row, Variant variant, Graph& graph,
                   int64_t pixels, const Settings& settings) {
  const bool as_written = variant == Variant::kAsWritten;
  const auto [images, labels] = SampleInputs(graph, pixels);
  const TorchRandom torch(as_written ? 0 : graph.seed());
  const std::vector<Layer> layers = MlpLayers(
      (ScaledPixels(images) - 0.1307) * (1 / 0.3081),
      {.units = {row.hidden, 10},
       .activation = [](Var x) { return Sigmoid(x); },
       .weights = [&](int64_t, int64_t) { return torch.LinearWeight(); },
       .biases = [&](int64_t inputs,
                     int64_t) { return torch.LinearBias(inputs); }});
  const Var logits = layers.back().output;
  if (as_written) {
    const LossAsWritten written = MakeLossAsWritten(logits, labels);
    return {
        .graph = &graph,
        .images = images,
        .labels = labels,
        .loss = written.loss,
        .predicted = ArgMax(written.log_p),
        .updates = UpdatesAsWritten(layers, written.gradient,
                                    Fill(&graph, {}, settings.learning_rate)),
        .logits = written.log_p,
        .hidden = HiddenOutputs(layers)};
  }
  const Var loss = Mean(SoftmaxCrossEntropy(logits, labels));
  const std::vector<Var> parameters = graph.parameters();
  return {.graph = &graph,
          .images = images,
          .labels = labels,
          .loss = loss,
          .predicted = ArgMax(logits),
          .updates = Chain(WithRegularizers(
                               settings,
                               Sgd({.learning_rate = settings.learning_rate})))
                         .Apply(parameters, Gradients(loss, parameters)),
          .logits = logits,
          .hidden = HiddenOutputs(layers)};
}

}  // namespace

std::vector<Experiment> MnistSigmoid() {
  std::vector<Experiment> experiments;
  for (const Row& row : Rows()) {
    for (Variant variant : {Variant::kCorrected, Variant::kAsWritten}) {
      experiments.push_back(
          {.name = row.name,
           .variant = VariantName(variant),
           .description =
               absl::StrCat("784-", row.hidden, "-10 sigmoid, SGD ",
                            row.learning_rate, ": document E, on MNIST"),
           .data_dir = kMnist,
           .defaults = {.learning_rate = row.learning_rate,
                        .validation = 0.15,
                        .train = {.epochs = 35,
                                  .batches = {.batch_size = 1000},
                                  .evaluation_batch_size = 1000,
                                  .averaging = Averaging::kOverBatches,
                                  .early_stopping = BestModel()}},
           .published = row.published,
           .note = variant == Variant::kCorrected ? NoteCorrected(row) : "",
           .declare = [=](Graph& graph, int64_t pixels,
                          const Settings& settings, int64_t) {
             return Declare(row, variant, graph, pixels, settings);
           }});
    }
  }
  return experiments;
}

}  // namespace tape
