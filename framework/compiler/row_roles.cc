// Rows of a batch (row_roles.h). Tested by tests/compiler/tile_test.cc and
// tests/compiler/shard_batch_test.cc.
#include "framework/compiler/row_roles.h"

#include "absl/container/inlined_vector.h"
#include "framework/core/exceptions.h"

namespace tape {

RowRole RoleOf(const Program& program, int id, const std::vector<bool>& in_rows,
               int64_t batch) {
  const Node& node = program[id];
  const Traits& traits = node.op->traits;
  if (!traits.side_effects && (traits.elementwise || traits.view)) {
    if (!HasRows(node.type, batch)) return RowRole::kMixed;
    for (int input : node.inputs) {
      // Axis 0 must be the same axis in both.
      const bool aligned = HasRows(program[input].type, batch) &&
                           (traits.view || program[input].type.shape.rank() ==
                                               node.type.shape.rank());
      if (in_rows[input] && !aligned) return RowRole::kMixed;
    }
    return RowRole::kApart;
  }
  if (node.op->rows == nullptr) return RowRole::kMixed;
  absl::InlinedVector<TensorType, 3> types;
  absl::InlinedVector<bool, 3> inputs_in_rows;
  for (int input : node.inputs) {
    types.push_back(program[input].type);
    inputs_in_rows.push_back(in_rows[input]);
  }
  const RowRole role = CallOf(node, "row rule", [&] {
    return node.op->rows({.attributes = node.attributes,
                          .inputs = types,
                          .in_rows = inputs_in_rows,
                          .output = node.type});
  });
  // An op with side effects is not cut.
  return traits.side_effects && role != RowRole::kGathered ? RowRole::kMixed
                                                           : role;
}

void SetRows(int64_t rows, Node& node) {
  absl::InlinedVector<int64_t, 4> dims(node.type.shape.dims().begin(),
                                       node.type.shape.dims().end());
  dims[0] = rows;
  const bool is_attribute = node.attributes.shape == node.type.shape;
  node.type.shape = Shape(dims);
  if (is_attribute) node.attributes.shape = node.type.shape;
}

bool ReadsByRows(const Node& reader, const TensorType& value, int64_t batch) {
  return reader.op->traits.elementwise && HasRows(value, batch) &&
         value.shape.rank() == reader.type.shape.rank();
}

}  // namespace tape
