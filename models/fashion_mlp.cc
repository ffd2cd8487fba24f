// fashion_mlp: our own best MLP of its size on Fashion-MNIST, 784-256-128-10.
//
//   pixels  x / 255
//   layers  784 - 256 ReLU - 128 ReLU - 10
//   start   He for weights, zero biases
//   loss    softmax cross-entropy, mean over the batch
//   update  Adam, its rate falling in a straight line to 0
//   data    batches of 100, reshuffled each epoch, 10 epochs
//
// Tested by tests/models/experiment_test.cc.
#include "framework/core/gradients.h"
#include "framework/optim/optimizer.h"
#include "models/experiment.h"
#include "models/mlp.h"
#include "ops/ops.h"

namespace tape {
namespace {

Classifier Declare(Graph& graph, int64_t pixels, const Settings& settings,
                   int64_t updates) {
  const auto [images, labels] = SampleInputs(graph, pixels);
  const std::vector<Layer> layers = MlpLayers(
      ScaledPixels(images), {.units = {256, 128, 10},
                             .activation = [](Var x) { return Relu(x); },
                             .weights = He()});
  const Var logits = layers.back().output;
  const Var loss = Mean(SoftmaxCrossEntropy(logits, labels));

  const std::vector<Var> parameters = graph.parameters();
  const Schedule rate = LinearDecay(settings.learning_rate, updates);
  return {.graph = &graph,
          .images = images,
          .labels = labels,
          .loss = loss,
          .predicted = ArgMax(logits),
          .updates =
              Chain(WithRegularizers(settings, Adam({.learning_rate = rate})))
                  .Apply(parameters, Gradients(loss, parameters)),
          .logits = logits,
          .hidden = HiddenOutputs(layers)};
}

}  // namespace

std::vector<Experiment> FashionMlp() {
  return {
      {.name = "fashion_mlp",
       .variant = "own",
       .description = "784-256-128-10 ReLU, Adam: our best MLP of this size "
                      "on Fashion-MNIST",
       .data_dir = kFashionMnist,
       .defaults = {.learning_rate = 2e-3,
                    .train = {.epochs = 10, .batches = {.batch_size = 100}}},
       .declare = Declare}};
}

}  // namespace tape
