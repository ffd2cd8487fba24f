// The ops that the framework itself needs: where numbers enter (Input,
// Variable), and what the driver of gradients appends (AddN, SumTo,
// BroadcastTo, Fill). Everything else is in ops/, which core does not know.
// Tested by tests/ops/op_test.cc through the sample table.
#ifndef TAPE_FRAMEWORK_CORE_BASIC_OPS_H_
#define TAPE_FRAMEWORK_CORE_BASIC_OPS_H_

#include "absl/types/span.h"
#include "framework/core/graph.h"

namespace tape {

// The shape rule of ops whose type is in their attributes: dtype and shape.
absl::StatusOr<TensorType> TypeOfAttributes(absl::Span<const TensorType> inputs,
                                            const Attributes& attributes);

extern const OpDef kInput;
extern const OpDef kVariable;
// The ops of Fill, BroadcastTo and AddN, which the compiler appends too.
extern const OpDef kFill;
extern const OpDef kBroadcastTo;
extern const OpDef kAddN;
// The op of CountUp.
extern const OpDef kCountUp;
// y = value where the condition (uint8 of rank 0) holds, else old: how the
// compiler has a run that is skipped leave variables as they are.
extern const OpDef kKeepUnless;

// The ops of this file that are appended to graphs: all but inputs and
// variables.
absl::Span<const OpDef* const> BasicOps();

// y = x[0] + x[1] + …, all float32 and of one shape. At least one.
Var AddN(absl::Span<const Var> x, Loc loc = Loc::Current());

// Sums x (float32) over the axes in which it is larger than `shape`, which must
// broadcast to x's shape: SumTo([4,3], [1,3]) sums over the first axis,
// SumTo([4,3], [3]) sums and drops it. The adjoint of BroadcastTo. For any
// number of terms below 2^28 a sum is off by at most 3.01 * 2^-24 sum |x| and
// its own rounding, and is infinite or NaN only if it is so in double
// (sum_kernels.h).
Var SumTo(Var x, Shape shape, Loc loc = Loc::Current());

// x (any dtype), repeated along axes that are missing or 1, as NumPy does,
// until it has `shape`.
Var BroadcastTo(Var x, Shape shape, Loc loc = Loc::Current());

// A tensor with every element `value`, of any valid shape (kBatch included).
Var Fill(Graph* graph, Shape shape, double value, DType dtype = DType::kFloat32,
         Loc loc = Loc::Current());

// counter + 1, or the counter where it is the largest int32.
Var CountUp(Var counter, Loc loc = Loc::Current());

// `training` in plans for training, `inference` in plans for inference
// (CompileOptions::mode); both of one type. It costs nothing when run, nor does
// the other one. Its gradients follow: in a plan for training those by
// `training`.
Var ByMode(Var training, Var inference, Loc loc = Loc::Current());

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_BASIC_OPS_H_
