// DIFFERENTIATE: reverse-mode automatic differentiation, as a program on the
// tape.
//
// Gradients appends nodes that compute the derivative and returns their Vars.
// Since each op's rule is itself written in ops, the result can be
// differentiated again. Tested by tests/core/gradients_test.cc, and op by op by
// tests/ops/op_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_GRADIENTS_H_
#define TAPE_FRAMEWORK_CORE_GRADIENTS_H_

#include <vector>

#include "absl/types/span.h"
#include "framework/core/graph.h"

namespace tape {

// What to do about an x[i] that y does not depend on.
enum class Unconnected {
  kRefuse,  // An error: in a training program it is a mistake.
  kZero,    // The derivative, which is zero.
};

struct GradientOptions {
  // The derivative of the loss by y, of y's shape. Empty: y is the loss, of
  // rank 0, and the seed is 1.
  Var seed = Var();
  Unconnected unconnected = Unconnected::kRefuse;
};

// d y / d x[i] for each i, each of the shape of x[i]; with a seed s, d (sum of
// y * s) / d x[i]. Errors, kept by the graph: y is not float32, or x[i] of
// whole numbers; y is not of rank 0 and there is no seed; the seed is not of
// y's type, or of another graph; ops on the way are not differentiable, each by
// its name and line; y does not depend on x[i] (see Unconnected). y and x may be any nodes, and x
// may depend on one another. More is made of this in calculus.h.
std::vector<Var> Gradients(Var y, absl::Span<const Var> x,
                           GradientOptions options = {},
                           Loc loc = Loc::Current());

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_GRADIENTS_H_
