// CheckKernels: do plans compute what the references say? For any user's graph,
// and so for an op of theirs, whose gradient rule CheckGradients
// (check/gradient_check.h) checks. Tested by tests/check/kernel_check_test.cc.
#ifndef TAPE_FRAMEWORK_CHECK_KERNEL_CHECK_H_
#define TAPE_FRAMEWORK_CHECK_KERNEL_CHECK_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/core/reference.h"

namespace tape {

struct KernelCheckOptions {
  // How far an op may be off, as a part of its result: some hundred roundings.
  double relative = 1e-5;
  // What any float32 element may be off besides.
  double absolute = 0;
};

// OK if plans for `fetches`, all of one graph, have the shapes and numbers that
// the references have: with all passes, with none, and without each, on one
// thread and on two, whose bits must be the same. `feeds` are as for
// EvaluateReference, but of inputs only; numbers are rounded to the declared
// dtype.
//
// A float32 element y may differ from the reference's by relative * |y| +
// absolute + FLT_MIN, and by what errors of earlier ops can make of it. The
// last is the largest change of y in four runs of the references that move, by
// up to `relative` of themselves, at random, element by element,
// - each operand of an op that is not elementwise: what it adds up may cancel,
//   and its error is relative to the terms;
// - each operand of an elementwise op that another op has computed. What is
//   fed, variables and constants, and views of these, are exact.
// So an elementwise op of what is fed is held to relative * |y| alone, however
// small y is; and a small difference of large numbers is held to the error of
// these. Integers must be equal; where the runs differ (a comparison at a tie,
// a value beyond float32 within), nothing is asked of an element. A denormal
// within may be taken for 0, and what is beyond float32 for an infinity.
//
// What differs between training and inference (ByMode) has its form for
// inference.
//
// The error names the worst element of the first plan that differs: its fetch,
// both figures, its line; and, on a second line, the first node on the tape
// that differs if it is fetched. An op whose shape rule refuses, or gives
// another shape for, bound shapes is an error too.
absl::Status CheckKernels(absl::Span<const Var> fetches,
                          const ReferenceFeeds& feeds = {},
                          const KernelCheckOptions& options = {},
                          Loc loc = Loc::Current());

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CHECK_KERNEL_CHECK_H_
