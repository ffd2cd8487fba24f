// The table of ops (op_table.h). Tested by tests/ops/op_table_test.cc.
#include "ops/op_table.h"

#include <map>

#include "absl/types/span.h"
#include "framework/core/basic_ops.h"
#include "framework/core/calculus.h"
#include "ops/op_lists.h"

namespace tape {
namespace {

using OpsByName = std::map<absl::string_view, const OpDef*>;

OpsByName MakeTable() {
  OpsByName table;
  for (const absl::Span<const OpDef* const> ops : {
           BasicOps(),         CalculusOps(),    OpsOfActivation(),
           OpsOfBatchMatmul(), OpsOfCompare(),   OpsOfConcat(),
           OpsOfElementwise(), OpsOfExtremum(),  OpsOfIndex(),
           OpsOfLayout(),      OpsOfLogical(),   OpsOfLoss(),
           OpsOfMatmul(),      OpsOfNormalise(), OpsOfPower(),
           OpsOfRandom(),      OpsOfReduce(),    OpsOfScan(),
           OpsOfSlice(),       OpsOfSoftmax(),   OpsOfTopK(),
           OpsOfTranspose(),
       }) {
    for (const OpDef* op : ops) table.emplace(op->name, op);
  }
  return table;
}

}  // namespace

const OpDef* FindOp(absl::string_view name) {
  static const OpsByName* const kTable = new OpsByName(MakeTable());
  const auto found = kTable->find(name);
  return found == kTable->end() ? nullptr : found->second;
}

}  // namespace tape
