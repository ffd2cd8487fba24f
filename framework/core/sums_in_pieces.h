// Ops between which the compiler cuts a sum over all elements (SumInPieces): the
// sums over pieces, which a pass can make as it goes, and what is made of them.
// Tested by tests/compiler/sums_in_passes_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_SUMS_IN_PIECES_H_
#define TAPE_FRAMEWORK_CORE_SUMS_IN_PIECES_H_

#include "framework/core/op.h"
#include "framework/core/sum_kernels.h"

namespace tape {

// By form.
extern const SumInPieces kSumsInPieces[kSumForms];

// For Traits::in_pieces of an op whose kernel is MakeSumKernel<form>.
constexpr const SumInPieces* InPieces(SumForm form) {
  return &kSumsInPieces[static_cast<int>(form)];
}

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_SUMS_IN_PIECES_H_
