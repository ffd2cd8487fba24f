// Multilayer perceptrons (mlp.h). Tested by tests/models_test.cc.
#include "models/mlp.h"

#include "absl/strings/str_cat.h"
#include "ops/ops.h"

namespace tape {

Var Mlp(Var x, const MlpOptions& options) {
  Graph& graph = *x.graph();
  for (size_t i = 0; i < options.units.size(); ++i) {
    const std::string layer = absl::StrCat("layer", i + 1);
    const int64_t inputs = x.shape()[1], units = options.units[i];
    const Var w = graph.Parameter(absl::StrCat(layer, "/w"), {inputs, units},
                                  options.weights);
    const Var b =
        graph.Parameter(absl::StrCat(layer, "/b"), {units}, options.biases);
    const bool is_output = i + 1 == options.units.size();
    const auto& activation =
        is_output ? options.output_activation : options.activation;
    x = MatMul(x, w) + b;
    if (activation) x = activation(x);
  }
  return x;
}

Var ScaledPixels(Var images) {
  return Cast(images, DType::kFloat32) * (1.0 / 255);
}

Var Accuracy(Var logits, Var labels) {
  return Mean(Cast(Equal(ArgMax(logits), labels), DType::kFloat32));
}

}  // namespace tape
