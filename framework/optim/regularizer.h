// Regularisers: transformations (transform.h) that keep weights small or few,
// for the parameters that reach them; put them in Only (transform.h) for some
// of these alone. Strengths may change with the step (schedule.h); a negative
// or non-finite one is refused at declaration, with the line.
//
// L1, L2 and ElasticNet add the gradient of a penalty, and report the penalty
// (Updates::penalties), so that the loss can be shown as data + penalty for
// each. The others act on what the optimiser makes of the parameters, and stand
// before it. Tested by tests/optim/regularizer_test.cc.
#ifndef TAPE_FRAMEWORK_OPTIM_REGULARIZER_H_
#define TAPE_FRAMEWORK_OPTIM_REGULARIZER_H_

#include "framework/optim/schedule.h"
#include "framework/optim/transform.h"

namespace tape {

// What the derivative of |w| is at 0.
enum class SignOfZero {
  kZero,  // 0.
  kPlus,  // 1, as in some notebooks.
};

// Penalty: strength times the sum of |w|. Gradient: g + strength sign(w).
TransformPtr L1(Schedule strength, SignOfZero sign_of_zero = SignOfZero::kZero,
                Loc loc = Loc::Current());

// Penalty: strength times the sum of w^2, without a factor 1/2. Gradient: g + 2
// strength w. (The weight_decay of PyTorch's optimisers is twice this
// strength.)
TransformPtr L2(Schedule strength, Loc loc = Loc::Current());

// L1 and L2 at once, as two penalties. Zou and Hastie, "Regularization and
// variable selection via the elastic net", 2005.
TransformPtr ElasticNet(Schedule l1, Schedule l2, Loc loc = Loc::Current());

// w' = (the optimiser's value) - rate strength w. For plain SGD the same as
// L2(strength / 2); not for others. Loshchilov and Hutter, "Decoupled weight
// decay regularization", ICLR 2019.
TransformPtr DecoupledWeightDecay(Schedule strength, Loc loc = Loc::Current());

// w' = sign(u) max(|u| - rate strength, 0), where u is the optimiser's value:
// the proximal step of L1, which makes exact zeros. Reports (Updates::reports)
// "zeros": the share of exact zeros among the elements of w'. Daubechies,
// Defrise and De Mol, 2004; for adaptive optimisers rate is the plain rate, not
// the adapted one.
TransformPtr ProximalL1(Schedule strength, Loc loc = Loc::Current());

// w' = u min(1, limit / |u|), u being the optimiser's value and |.| the
// Euclidean norm over a unit's incoming weights: a column of a matrix [inputs,
// units], the whole of anything else. Srivastava et al., "Dropout", JMLR 2014,
// section 5.1. The limit must be above 0.
TransformPtr MaxNorm(double limit, Loc loc = Loc::Current());

}  // namespace tape

#endif  // TAPE_FRAMEWORK_OPTIM_REGULARIZER_H_
