// Optimisers: the ends of chains (transform.h). Each turns gradients g into new
// values of the parameters w, and states its exact formula, since libraries
// differ in them. t counts updates from 1; rate may change with the step
// (schedule.h). All of them refuse, at declaration, a negative or non-finite
// constant and a beta or momentum outside [0, 1). Tested by
// tests/optimizer_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_OPTIMIZER_H_
#define TAPE_FRAMEWORK_TRAIN_OPTIMIZER_H_

#include "framework/train/schedule.h"
#include "framework/train/transform.h"

namespace tape {

// w = w - rate g.
struct SgdOptions {
  Schedule learning_rate;
};
TransformPtr Sgd(SgdOptions options, Loc loc = Loc::Current());

// v = momentum v + g, from 0;  w = w - rate v.
// As PyTorch's SGD(momentum) has it: a change of the rate acts at once on all
// of v. State: "<parameter>/momentum/v".
struct MomentumOptions {
  Schedule learning_rate;
  double momentum = 0.9;
};
TransformPtr Momentum(MomentumOptions options, Loc loc = Loc::Current());

// m = beta1 m + (1 - beta1) g,  v = beta2 v + (1 - beta2) g^2, both from 0;
// w = w - rate / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon).
// Kingma and Ba, "Adam: a method for stochastic optimization", ICLR 2015,
// algorithm 1; epsilon is added to the corrected root, as there and in PyTorch.
// State: "<parameter>/adam/m" and "<parameter>/adam/v".
struct AdamOptions {
  Schedule learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
};
TransformPtr Adam(AdamOptions options = {}, Loc loc = Loc::Current());

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_OPTIMIZER_H_
