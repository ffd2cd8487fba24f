// CheckGradients: are the gradients of this graph right? For any user's graph,
// and for every op of this repository (tests/ops/op_test.cc).
//
// What the gradient rules say is compared with differences of y itself, both
// computed by the ops' references in double. Nothing of the compiler is used.
// Tested by tests/check/gradient_check_test.cc.
#ifndef TAPE_FRAMEWORK_CHECK_GRADIENT_CHECK_H_
#define TAPE_FRAMEWORK_CHECK_GRADIENT_CHECK_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/core/reference.h"

namespace tape {

struct GradientCheckOptions {
  // A derivative may differ from the differences by relative * |difference| +
  // absolute, and by what the differences themselves may be off: that is
  // estimated from how they change with the step, and from the digits that y
  // has. So a small derivative is held to as many digits as a large one.
  double relative = 1e-3;
  double absolute = 0;
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
// do. A derivative that is not finite is wrong.
//
// The error names the worst element: its x, both figures, and the line of y. A
// slope that grows without end as steps shrink is infinite, and one of an x
// that y is not defined beside, such as that of Sqrt below 0, is NaN. Then the
// rule of each op between x and y is checked by itself, at the values that its
// operands have, and a second line names the first on the tape that is wrong:
// op, line, operand and element. A rule is not accused where the op has no
// finite value or no finite slope (Exp of 1000, Sqrt at 0): if no other is
// wrong, the line names that op, its line and operand instead. A derivative may
// be NaN there though y has a slope, as by Select(x > 0, 0, Exp(x)) at 1000.
//
// What differs between training and inference (ByMode) is checked in its form
// for inference; of Dropout and BatchNorm check the calls that take a step or
// statistics. The graph is the same afterwards, whatever comes out. No threads
// may use it meanwhile.
absl::Status CheckGradients(Var y, absl::Span<const Var> x,
                            const ReferenceFeeds& feeds = {},
                            const GradientCheckOptions& options = {},
                            Loc loc = Loc::Current());

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CHECK_GRADIENT_CHECK_H_
