// The ops that each file defines, for the table of all ops (op_table.h).
#ifndef TAPE_OPS_OP_LISTS_H_
#define TAPE_OPS_OP_LISTS_H_

#include "absl/types/span.h"
#include "framework/core/op.h"

namespace tape {

absl::Span<const OpDef* const> OpsOfActivation();
absl::Span<const OpDef* const> OpsOfBatchMatmul();
absl::Span<const OpDef* const> OpsOfCompare();
absl::Span<const OpDef* const> OpsOfConcat();
absl::Span<const OpDef* const> OpsOfElementwise();
absl::Span<const OpDef* const> OpsOfExtremum();
absl::Span<const OpDef* const> OpsOfIndex();
absl::Span<const OpDef* const> OpsOfLayout();
absl::Span<const OpDef* const> OpsOfLogical();
absl::Span<const OpDef* const> OpsOfLoss();
absl::Span<const OpDef* const> OpsOfMatmul();
absl::Span<const OpDef* const> OpsOfNormalise();
absl::Span<const OpDef* const> OpsOfPower();
absl::Span<const OpDef* const> OpsOfRandom();
absl::Span<const OpDef* const> OpsOfReduce();
absl::Span<const OpDef* const> OpsOfScan();
absl::Span<const OpDef* const> OpsOfSlice();
absl::Span<const OpDef* const> OpsOfSoftmax();
absl::Span<const OpDef* const> OpsOfTopK();
absl::Span<const OpDef* const> OpsOfTranspose();

}  // namespace tape

#endif  // TAPE_OPS_OP_LISTS_H_
