// Multilayer perceptrons, declared: what the experiments of this folder have in
// common. Tested by tests/models/mlp_test.cc.
#ifndef TAPE_MODELS_MLP_H_
#define TAPE_MODELS_MLP_H_

#include <concepts>
#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/core/initializer.h"

namespace tape {

// An initializer for each layer: the same for all, or one made for a layer's
// inputs and units.
class LayerInitializer {
 public:
  LayerInitializer(Initializer same)  // NOLINT: implicit by design.
      : make_([same = std::move(same)](int64_t, int64_t) { return same; }) {}
  template <std::invocable<int64_t, int64_t> Make>
  LayerInitializer(Make make) : make_(std::move(make)) {}  // NOLINT

  Initializer operator()(int64_t inputs, int64_t units) const {
    return make_(inputs, units);
  }

 private:
  std::function<Initializer(int64_t inputs, int64_t units)> make_;
};

struct MlpOptions {
  // Units of each layer, the output layer's last.
  std::vector<int64_t> units;
  // Applied after each hidden layer; and after the output layer, if given.
  std::function<Var(Var)> activation;
  std::function<Var(Var)> output_activation = nullptr;
  LayerInitializer weights = Glorot();
  LayerInitializer biases = Zeros();
};

// One layer: output = activation(input w + b).
struct Layer {
  Var input;   // [batch, inputs]
  Var w;       // Parameter "layer<i>/w", i counted from 1: [inputs, units].
  Var b;       // Parameter "layer<i>/b": [units].
  Var output;  // [batch, units]
};

// The layers of a perceptron on x [batch, features], the first one first. Of
// each layer the weight is declared before the bias.
std::vector<Layer> MlpLayers(Var x, const MlpOptions& options);

// The output of the last of them: [batch, units.back()].
Var Mlp(Var x, const MlpOptions& options);

// Returns the columns of the matrix x, or 1 if x is not valid: a parameter for
// which there is no memory, say. The declaration then goes on, and Compile gives
// that mistake.
int64_t Columns(Var x);

// The outputs of all layers but the last: [batch, units] each.
std::vector<Var> HiddenOutputs(absl::Span<const Layer> layers);

// What a classifier is fed: uint8 "images" [batch, pixels] and int32 "labels"
// [batch].
struct Samples {
  Var images;
  Var labels;
};
Samples SampleInputs(Graph& graph, int64_t pixels);

// uint8 pixels [batch, pixels] as float32 in [0, 1].
Var ScaledPixels(Var images);

}  // namespace tape

#endif  // TAPE_MODELS_MLP_H_
