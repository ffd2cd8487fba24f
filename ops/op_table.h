// The table of all ops that nodes of a graph may have, by name, for saved models.
// Tested by tests/ops/op_table_test.cc.
#ifndef TAPE_OPS_OP_TABLE_H_
#define TAPE_OPS_OP_TABLE_H_

#include "absl/strings/string_view.h"
#include "framework/core/op.h"

namespace tape {

// Returns the op of that name (OpDef::name), or null. Inputs and variables,
// which are declared rather than appended, and ops whose meaning is not in their
// attributes alone (WithGradient) are not among them.
const OpDef* FindOp(absl::string_view name);

}  // namespace tape

#endif  // TAPE_OPS_OP_TABLE_H_
