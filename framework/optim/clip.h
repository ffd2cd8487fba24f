// Clipping: transformations (transform.h) that keep gradients from being too
// large. A limit must be above 0 and finite. Tested by tests/optim/wrappers_test.cc.
#ifndef TAPE_FRAMEWORK_OPTIM_CLIP_H_
#define TAPE_FRAMEWORK_OPTIM_CLIP_H_

#include "framework/optim/transform.h"
#include "ops/ops.h"

namespace tape {

// g' = g, each element no further from 0 than `limit`.
TransformPtr ClipByValue(double limit, Loc loc = Loc::Current());

// g' = g min(1, limit / |g|), with the Euclidean norm over one parameter. |g| may
// be beyond float32 (ScaledNorm in ops/ops.h). A gradient within the limit stays
// as it is, to the bit; of one that is not finite, all elements become NaN.
TransformPtr ClipByNorm(double limit, Loc loc = Loc::Current());

// The same, with the norm over all parameters that reach it. Reports
// (Updates::reports) "gradient_norm", before clipping. Pascanu, Mikolov and
// Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.
// (PyTorch adds 1e-6 to the norm; this does not.)
TransformPtr ClipByGlobalNorm(double limit, Loc loc = Loc::Current());

// x, scaled so that its Euclidean norm is at most `limit`, as ClipByNorm does.
// `norm`: that of all that is scaled by one factor.
Var LimitNorm(Var x, ScaledNorm norm, double limit);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_OPTIM_CLIP_H_
