// CheckKernels: do plans compute what the references say? For any user's graph,
// and so for an op of theirs, whose gradient rule CheckGradients
// (core/gradient_check.h) checks. Tested by tests/kernel_check_test.cc.
#ifndef TAPE_FRAMEWORK_COMPILER_KERNEL_CHECK_H_
#define TAPE_FRAMEWORK_COMPILER_KERNEL_CHECK_H_

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/core/reference.h"

namespace tape {

struct KernelCheckOptions {
  // A float32 element may differ from the reference's, rounded to float32, by
  // absolute + relative * |reference|. These are some hundred roundings of
  // numbers of order 1. Integers must be equal.
  double relative = 1e-5;
  double absolute = 1e-5;
};

// OK if plans for `fetches`, all of one graph, have the shapes and numbers that
// the references have: with all passes, with none, and without each, on one
// thread and on two, whose bits must be the same. `feeds` are as for
// EvaluateReference, but of inputs only; numbers are rounded to the declared
// dtype.
//
// The error names the worst element of the first plan that differs: its fetch,
// both figures, its line; and, on a second line, the first node on the tape
// that differs if it is fetched. An op whose shape rule refuses, or gives
// another shape for, bound shapes is an error too.
absl::Status CheckKernels(absl::Span<const Var> fetches,
                          const ReferenceFeeds& feeds = {},
                          const KernelCheckOptions& options = {});

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_KERNEL_CHECK_H_
