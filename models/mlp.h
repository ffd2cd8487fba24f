// Multilayer perceptrons, declared: what the experiments of this folder have in
// common. Tested by tests/models_test.cc.
#ifndef TAPE_MODELS_MLP_H_
#define TAPE_MODELS_MLP_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "framework/core/graph.h"
#include "framework/core/initializer.h"

namespace tape {

struct MlpOptions {
  // Units of each layer, the output layer's last.
  std::vector<int64_t> units;
  // Applied after each hidden layer; and after the output layer, if given.
  std::function<Var(Var)> activation;
  std::function<Var(Var)> output_activation = nullptr;
  Initializer weights = Glorot();
  Initializer biases = Zeros();
};

// x [batch, features] to [batch, units.back()]. Layer i, counted from 1, is
// activation(y w + b) of the layer before it, with parameters "layer<i>/w"
// [inputs, units] and "layer<i>/b" [units].
Var Mlp(Var x, const MlpOptions& options);

// uint8 pixels [batch, pixels] as float32 in [0, 1].
Var ScaledPixels(Var images);

// The share of rows of logits [batch, classes] that are largest at the label
// [batch]: rank 0.
Var Accuracy(Var logits, Var labels);

}  // namespace tape

#endif  // TAPE_MODELS_MLP_H_
