// Optimisers: each turns the gradients g of the parameters that reach it into
// new values of these parameters w, and states its exact formula, since
// libraries differ in them. In the formulas
//
//   t     counts updates from 1 to 2^31, where it stays;
//   rate  is learning_rate, which may change with the step (schedule.h);
//   all other letters are state, starts from 0 unless said otherwise, and is
//   named after its parameter: "<parameter>/adam/m".
//
// "PyTorch" is version 1.13, with which tests/optim/trajectory_test.cc compares.
// All refuse, at declaration, with the line: a rate, epsilon or weight decay
// that is negative or not finite, and a beta, momentum or decay of a mean
// outside [0, 1).
// Tested by tests/optim/optimizer_test.cc and tests/optim/trajectory_test.cc.
#ifndef TAPE_FRAMEWORK_OPTIM_OPTIMIZER_H_
#define TAPE_FRAMEWORK_OPTIM_OPTIMIZER_H_

#include "framework/optim/schedule.h"
#include "framework/optim/transform.h"

namespace tape {

//   w = w - rate g
// As PyTorch's SGD.
struct SgdOptions {
  Schedule learning_rate;
};
TransformPtr Sgd(SgdOptions options, Loc loc = Loc::Current());

// What the v of Momentum adds up.
enum class Velocity {
  kGradients,  // v = momentum v + g         w = w - rate v
  kSteps,      // v = momentum v - rate g    w = w + v
};

// Polyak, "Some methods of speeding up the convergence of iteration methods",
// 1964. kGradients is PyTorch's SGD(momentum): a change of the rate acts on all
// of v at once. kSteps is Sutskever's and Keras's: on new gradients only.
struct MomentumOptions {
  Schedule learning_rate;
  double momentum = 0.9;
  Velocity velocity = Velocity::kGradients;
};
TransformPtr Momentum(MomentumOptions options, Loc loc = Loc::Current());

//   v = momentum v + g
//   w = w - rate (g + momentum v)
// As PyTorch's SGD(nesterov=True). Sutskever, Martens, Dahl and Hinton, "On the
// importance of initialization and momentum in deep learning", ICML 2013.
struct NesterovOptions {
  Schedule learning_rate;
  double momentum = 0.9;
};
TransformPtr Nesterov(NesterovOptions options, Loc loc = Loc::Current());

//   s = s + g^2, from initial_sum
//   w = w - rate g / (sqrt(s) + epsilon)
// As PyTorch's Adagrad. Duchi, Hazan and Singer, "Adaptive subgradient
// methods", JMLR 2011.
struct AdagradOptions {
  Schedule learning_rate = 1e-2;
  double epsilon = 1e-10;
  double initial_sum = 0;
};
TransformPtr Adagrad(AdagradOptions options = {}, Loc loc = Loc::Current());

// What RmsProp divides by, besides epsilon.
enum class Centering {
  kNone,  // sqrt(s)
  // sqrt(max(s - a^2, 0)), with a = decay a + (1 - decay) g. (PyTorch takes no
  // maximum, and so gets NaN where rounding leaves less than 0.)
  kMean,
};

//   s = decay s + (1 - decay) g^2
//   u = g / (sqrt(s) + epsilon), or as centering says
//   v = momentum v + u
//   w = w - rate v
// As PyTorch's RMSprop; there is no bias correction, and no v if momentum is 0.
// Hinton, lecture 6e of "Neural networks for machine learning", 2012; centred:
// Graves, "Generating sequences with recurrent neural networks", 2013.
struct RmsPropOptions {
  Schedule learning_rate = 1e-2;
  double decay = 0.99;
  double epsilon = 1e-8;
  double momentum = 0;
  Centering centering = Centering::kNone;
};
TransformPtr RmsProp(RmsPropOptions options = {}, Loc loc = Loc::Current());

//   s = decay s + (1 - decay) g^2
//   u = sqrt(d + epsilon) / sqrt(s + epsilon) g, with the d of before
//   d = decay d + (1 - decay) u^2
//   w = w - rate u
// As PyTorch's Adadelta. Zeiler, "ADADELTA: an adaptive learning rate method",
// 2012, where rate is 1.
struct AdadeltaOptions {
  Schedule learning_rate = 1.0;
  double decay = 0.9;
  double epsilon = 1e-6;
};
TransformPtr Adadelta(AdadeltaOptions options = {}, Loc loc = Loc::Current());

// Of Adam, AMSGrad, AdamW, NAdam and LAMB, which have in common
//   m = beta1 m + (1 - beta1) g
//   v = beta2 v + (1 - beta2) g^2
struct AdamOptions {
  Schedule learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double epsilon = 1e-8;
};

//   w = w - rate / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
// As PyTorch's Adam. Kingma and Ba, "Adam: a method for stochastic
// optimization", ICLR 2015, algorithm 1: epsilon is added to the bias-corrected
// root.
TransformPtr Adam(AdamOptions options = {}, Loc loc = Loc::Current());

//   x = max(x, v)
//   w = w - rate / (1 - beta1^t) m / (sqrt(x) / sqrt(1 - beta2^t) + epsilon)
// As PyTorch's Adam(amsgrad=True): the maximum is of v before its correction.
// Reddi, Kale and Kumar, "On the convergence of Adam and beyond", ICLR 2018,
// which has no corrections.
TransformPtr AmsGrad(AdamOptions options = {}, Loc loc = Loc::Current());

//   w = (Adam's new w) - rate weight_decay w
// As PyTorch's AdamW, and the same as
// Chain(DecoupledWeightDecay(weight_decay), Adam(…)). Loshchilov and Hutter,
// "Decoupled weight decay regularization", ICLR 2019.
struct AdamWOptions {
  AdamOptions adam = {};
  double weight_decay = 1e-2;
};
TransformPtr AdamW(AdamWOptions options = {}, Loc loc = Loc::Current());

//   mu(t) = beta1 (1 - 0.96^(t momentum_decay) / 2)
//   M = M mu(t), from 1
//   n = (1 - mu(t)) / (1 - M) g + mu(t+1) / (1 - M mu(t+1)) m
//   w = w - rate n / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
// As PyTorch's NAdam(foreach=True); the other form of 1.13 counts mu(t) twice
// in the second quotient. M is one for all parameters, named after the first:
// "<parameter>/nadam/mu_product". Dozat, "Incorporating Nesterov momentum into
// Adam", ICLR workshop 2016.
struct NAdamOptions {
  AdamOptions adam = {.learning_rate = 2e-3};
  double momentum_decay = 4e-3;
};
TransformPtr NAdam(NAdamOptions options = {}, Loc loc = Loc::Current());

//   c = beta1 m + (1 - beta1) g, with the m of before
//   m = beta2 m + (1 - beta2) g
//   w = w - rate (sign(c) + weight_decay w), where sign(0) = 0
// Chen et al., "Symbolic discovery of optimization algorithms", 2023,
// algorithm 2.
struct LionOptions {
  Schedule learning_rate = 1e-4;
  double beta1 = 0.9;
  double beta2 = 0.99;
  double weight_decay = 0;
};
TransformPtr Lion(LionOptions options = {}, Loc loc = Loc::Current());

//   r = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + epsilon)
//   u = r + weight_decay w
//   w = w - rate |w| / |u| u
// where |.| is the Euclidean norm over one parameter, and the quotient of norms
// is 1 if either is 0. You et al., "Large batch optimization for deep learning:
// training BERT in 76 minutes", ICLR 2020, algorithm 2 with phi(z) = z.
struct LambOptions {
  AdamOptions adam = {.epsilon = 1e-6};
  double weight_decay = 0;
};
TransformPtr Lamb(LambOptions options = {}, Loc loc = Loc::Current());

}  // namespace tape

#endif  // TAPE_FRAMEWORK_OPTIM_OPTIMIZER_H_
