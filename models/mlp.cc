// Multilayer perceptrons (mlp.h). Tested by tests/models/mlp_test.cc.
#include "models/mlp.h"

#include "absl/strings/str_cat.h"
#include "ops/ops.h"

namespace tape {

int64_t Columns(Var x) { return x.valid() ? x.shape()[1] : 1; }

std::vector<Layer> MlpLayers(Var x, const MlpOptions& options) {
  std::vector<Layer> layers;
  if (x.empty()) {  // As are the layers' Vars, which whoever uses them refuses.
    layers.resize(options.units.size());
    return layers;
  }
  Graph& graph = *x.graph();
  for (const int64_t units : options.units) {
    const std::string name = absl::StrCat("layer", layers.size() + 1);
    const Var input = layers.empty() ? x : layers.back().output;
    const int64_t inputs = Columns(input);
    const Var w = graph.Parameter(absl::StrCat(name, "/w"), {inputs, units},
                                  options.weights(inputs, units));
    const Var b = graph.Parameter(absl::StrCat(name, "/b"), {units},
                                  options.biases(inputs, units));
    const bool is_output = layers.size() + 1 == options.units.size();
    const auto& activation =
        is_output ? options.output_activation : options.activation;
    const Var sum = MatMul(input, w) + b;
    layers.push_back({.input = input,
                      .w = w,
                      .b = b,
                      .output = activation ? activation(sum) : sum});
  }
  return layers;
}

Var Mlp(Var x, const MlpOptions& options) {
  const std::vector<Layer> layers = MlpLayers(x, options);
  return layers.empty() ? x : layers.back().output;
}

std::vector<Var> HiddenOutputs(absl::Span<const Layer> layers) {
  std::vector<Var> outputs;
  for (size_t i = 0; i + 1 < layers.size(); ++i) {
    outputs.push_back(layers[i].output);
  }
  return outputs;
}

Samples SampleInputs(Graph& graph, int64_t pixels) {
  return {.images = graph.Input("images", {kBatch, pixels}, DType::kUint8),
          .labels = graph.Input("labels", {kBatch}, DType::kInt32)};
}

Var ScaledPixels(Var images) {
  return Cast(images, DType::kFloat32) * (1.0 / 255);
}

}  // namespace tape
