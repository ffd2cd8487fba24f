// What reductions share: axes, checked, and the reduction along one after
// another.
#ifndef TAPE_OPS_REDUCE_H_
#define TAPE_OPS_REDUCE_H_

#include <optional>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ops/ops.h"

namespace tape {

// What a reduction of x over some axes is about.
struct Reduced {
  std::vector<int> axes;  // Counted from the front, in ascending order.
  Shape kept;             // x's shape with these as 1, …
  Shape dropped;          // … without them, …
  Shape gone;             // … and these alone.
};

// Over which axes (none given: all) to reduce x, which must be float32. If that
// is a mistake, the graph keeps it as that of the op `name`, and there is none.
std::optional<Reduced> CheckReduction(absl::string_view name, Var x,
                                      absl::Span<const int> axes, Loc loc);

// y, of the kept shape, with the axes kept or dropped.
Var KeepOrDrop(Var y, const Reduced& over, Axes reduced, Loc loc);

// x (float32) less its mean over some axes, and that mean, rounded. The mean is
// taken off unrounded, so that from_mean is off by two roundings of its own
// size, however large the mean; of equal elements it is exactly 0.
struct Centered {
  Var mean;  // Of the kept shape.
  Var from_mean;
};
// `kept`: x's shape with the axes of each mean as 1; `count`: the elements of
// each, of rank 0.
Centered Center(Var x, const Shape& kept, Var count);
// from_mean alone, over the axes from `first` on: off by one rounding.
Var CenterRows(Var x, int first);
// sum x^2 / count, over the same axes: in double, rounded once.
Var MeanSquare(Var x, const Shape& kept, Var count);

// The reduction by `op`, along attributes.axis, which it leaves as 1, over one
// axis after another, the last first.
Var ReduceEach(const OpDef& op, Var x, absl::Span<const int> axes, Axes reduced,
               Loc loc);

}  // namespace tape

#endif  // TAPE_OPS_REDUCE_H_
