// Regularisers: transformations (transform.h) that add the gradient of a
// penalty, and report the penalty itself (Updates::penalties), so that the loss
// can be shown as data + penalty. They act on every parameter of the chain. A
// strength must be finite and at least 0. Tested by tests/transform_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_REGULARIZER_H_
#define TAPE_FRAMEWORK_TRAIN_REGULARIZER_H_

#include "framework/train/transform.h"

namespace tape {

// Penalty: strength times the sum of |w|. Gradient: g + strength sign(w), where
// sign(0) = 0.
TransformPtr L1(double strength, Loc loc = Loc::Current());

// Penalty: strength times the sum of w^2, without a factor 1/2. Gradient: g + 2
// strength w. (PyTorch's weight_decay is twice this strength.)
TransformPtr L2(double strength, Loc loc = Loc::Current());

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_REGULARIZER_H_
