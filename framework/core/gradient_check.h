// CheckGradients: are the gradients of this graph right? For any user's graph,
// and for every op of this repository (tests/op_test.cc).
//
// What the gradient rules say is compared with differences of y itself, both
// computed by the ops' references in double. Nothing of the compiler is used.
// Tested by tests/gradient_check_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_GRADIENT_CHECK_H_
#define TAPE_FRAMEWORK_CORE_GRADIENT_CHECK_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/core/reference.h"

namespace tape {

struct GradientCheckOptions {
  // A derivative may differ from the differences by absolute + relative *
  // |difference|, and by what the differences may be off. In double these leave
  // three orders of magnitude to the rounding error of the differences, some
  // 1e-16 |y| / step, and no room for a wrong term.
  double relative = 1e-3;
  double absolute = 1e-5;
  // How far an element e of x is moved at first: step * max(1, |e|), up and
  // down. Where the derivative differs from these two slopes, steps from 1e-2
  // to 1e-10 are tried, and the slopes taken of which two steps agree best, by
  // Richardson's extrapolation.
  double step = 1e-6;
  // 1: the gradients. 2: the gradients of the gradients as well, by each x and
  // by the derivative of the loss that the gradients were given.
  int order = 1;
  // Of an x with more elements than this, as many are checked, drawn at random.
  int64_t max_elements = 200;
  // Of all that is drawn.
  uint64_t seed = 0;
};

// OK if the derivatives of `y` by each of `x` agree with what moving one
// element of x at a time does to y. `y` is float32 of any shape; each of `x` is
// a float32 node: an input, a variable or any other, which may be one that y
// does not depend on. `feeds` are as for EvaluateReference. What StopGradient
// stops stays as it is while x is moved.
//
// All elements of y are checked at once, as one sum with random weights of
// magnitude 0.5 to 1.5 and either sign. At a kink, where the slope to the left
// and to the right differ, as of Relu at 0, any derivative between the two will
// do. What is not finite is wrong.
//
// The error names the worst element: its x, both figures, and the line of y.
// Then the rule of each op between x and y is checked by itself, at the values
// that its operands have, and a second line names the first on the tape that is
// wrong: op, line, operand and element.
//
// The nodes that this appends to the graph (inputs named
// "gradient_check/projection/0" and so on, and the gradients) are of no concern
// to a plan that does not fetch them.
absl::Status CheckGradients(Var y, absl::Span<const Var> x,
                            const ReferenceFeeds& feeds = {},
                            const GradientCheckOptions& options = {});

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_GRADIENT_CHECK_H_
