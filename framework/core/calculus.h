// CALCULUS: what is made of Gradients (gradients.h), and ways to say what a
// derivative shall be. Like it, these append nodes, which can be differentiated
// again, and the graph keeps their mistakes with the caller's line. Tested by
// tests/core/calculus_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_CALCULUS_H_
#define TAPE_FRAMEWORK_CORE_CALCULUS_H_

#include <vector>

#include "absl/types/span.h"
#include "framework/core/gradients.h"
#include "framework/core/graph.h"

namespace tape {

extern const OpDef kStopGradient;
extern const OpDef kWithGradient;

// The ops of this file whose meaning is in their attributes: all but
// WithGradient, which calls a rule of its graph.
absl::Span<const OpDef* const> CalculusOps();

// x, of any dtype and shape, which Gradients takes for a constant.
// CheckGradients does, too. It costs nothing when run.
Var StopGradient(Var x, Loc loc = Loc::Current());

// y (float32), whose gradient by each of `x` is what `rule` says: given x, the
// result and gy, it returns d loss / d x[i] for each i, written in ops, as a
// gradient rule of an op does (op.h). It may be differentiated like all others.
// Whatever else y depends on has no part in the gradient. The nodes that
// compute y stay as they are; it costs nothing when run.
//
// Example: Sign with a straight-through gradient (Bengio and others,
// "Estimating or Propagating Gradients Through Stochastic Neurons", 2013):
//
//   WithGradient(Sign(x), {x},
//                [](absl::Span<const Var> x, Var y, Var gy) {
//                  return Adjoints{gy};
//                });
Var WithGradient(Var y, absl::Span<const Var> x, UserGradientRule rule,
                 Loc loc = Loc::Current());

// Reverse mode for several y at once: d (sum over k of seeds[k] y[k]) / d x[i]
// for each i, in one sweep. Each seed is of its y's type. Errors as those of
// Gradients.
std::vector<Var> Vjp(absl::Span<const Var> y, absl::Span<const Var> seeds,
                     absl::Span<const Var> x,
                     Unconnected unconnected = Unconnected::kRefuse,
                     Loc loc = Loc::Current());

// Forward mode: how y changes when each x[i] moves along tangents[i], sum over
// i of (d y / d x[i]) tangents[i], of y's shape; each tangent is of its x's
// type, y float32 of any shape, kBatch included. Zero if y does not depend on
// x.
//
// By the double-backward trick (Townsend, "A new trick for calculating Jacobian
// vector products", 2017): a vector-Jacobian product is linear in its seed, and
// its derivative by the seed, along the tangents, is this. So an op needs no
// forward rule that could disagree with its gradient rule. What the first sweep
// appends is not needed by the result but for the factors that a forward rule
// would use, and a plan has none of the rest.
Var Jvp(Var y, absl::Span<const Var> x, absl::Span<const Var> tangents,
        Loc loc = Loc::Current());

// H v, where H holds the second derivatives of y (float32, of rank 0) by all of
// x: sum over k of (d2 y / d x[i] d x[k]) v[k] for each i, of the shape of
// x[i]. Each v is of its x's type. Reverse mode of reverse mode: some four
// times the cost of y, however large x. Errors as those of Gradients; where the
// gradient does not depend on x the result is zero.
std::vector<Var> HessianVectorProduct(Var y, absl::Span<const Var> x,
                                      absl::Span<const Var> v,
                                      Loc loc = Loc::Current());

// The elements of y above which Jacobian refuses.
inline constexpr int64_t kMaxJacobianRows = 4096;

// d y / d x, of y's shape followed by x's: element [i…, j…] is that of y[i…] by
// x[j…]. y is float32 without kBatch, of at most kMaxJacobianRows elements, for
// each of which a sweep of nodes is appended; x may be any float32 node.
Var Jacobian(Var y, Var x, Loc loc = Loc::Current());

// ---- What Jacobian is made of: blocks of rows, float32 ----

// Returns x[0], x[1], … concatenated in memory, as a tensor of shape `shape`.
// All x have one shape, which must equal the last axes of `shape`. The product
// of the leading axes of `shape` must be the number of x.
Var Stack(absl::Span<const Var> x, Shape shape, Loc loc = Loc::Current());
// Returns block `index` of x. `shape` must equal the last axes of x; the blocks
// are the slices over the leading axes, counted in row-major order.
Var BlockOf(Var x, int64_t index, Shape shape, Loc loc = Loc::Current());
// Zeros of `shape`, but for block `index`, which is x. The adjoint of BlockOf.
Var PlaceBlock(Var x, int64_t index, Shape shape, Loc loc = Loc::Current());

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_CALCULUS_H_
