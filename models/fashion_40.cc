// Document A: Fashion-MNIST, 784-40-10 (Ghazal Kalhor, "Neural Networks", a
// course assignment).
//
//   pixels  x / 255
//   layers  784 - 40 ReLU - 10 ReLU
//   start   weights and biases uniform in [0, 0.05)
//   loss    softmax cross-entropy of the activated output
//   update  SGD on the gradient *summed* over the batch, rate 1e-4
//   data    batches of 32 in the order of the files, 30 epochs; figures are
//           means over batches
//
// Corrected variant: gradients by automatic differentiation. The document takes
// the activation's derivative at its output, and hands a layer's gradient on
// through weights that it has already updated. Tested by tests/models_test.cc.
#include "framework/core/gradients.h"
#include "framework/train/optimizer.h"
#include "models/experiment.h"
#include "models/mlp.h"
#include "ops/ops.h"

namespace tape {
namespace {

Classifier Declare(Graph& graph, int64_t pixels, const Settings& settings,
                   int64_t) {
  const Var images = graph.Input("images", {kBatch, pixels}, DType::kUint8);
  const Var labels = graph.Input("labels", {kBatch}, DType::kInt32);
  const auto activation = [](Var x) { return Relu(x); };
  const Var output = Mlp(ScaledPixels(images), {.units = {40, 10},
                                                .activation = activation,
                                                .output_activation = activation,
                                                .weights = Uniform(0, 0.05),
                                                .biases = Uniform(0, 0.05)});
  const Var losses = SoftmaxCrossEntropy(output, labels);

  const std::vector<Var> parameters = graph.parameters();
  return {
      .graph = &graph,
      .images = images,
      .labels = labels,
      .loss = Mean(losses),
      .accuracy = Accuracy(output, labels),
      .updates =
          Chain(WithRegularizers(
                    settings, Sgd({.learning_rate = settings.learning_rate})))
              .Apply(parameters, Gradients(Sum(losses), parameters))};
}

}  // namespace

Experiment Fashion40Relu() {
  return {.name = "fashion_40_relu",
          .variant = "corrected",
          .description = "784-40-10 ReLU, SGD: document A, on Fashion-MNIST",
          .data_dir = "/usr/share/datasets/fashion-mnist",
          .defaults = {.learning_rate = 1e-4,
                       .train = {.epochs = 30,
                                 .batches = {.batch_size = 32,
                                             .order = Order::kFixed},
                                 .evaluation_batch_size = 32,
                                 .averaging = Averaging::kOverBatches}},
          .declare = Declare};
}

}  // namespace tape
