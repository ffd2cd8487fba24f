// Tensors seen as lines along one axis (lines.h). Tested by tests/ops/op_test.cc
// through the sample table.
#include "ops/lines.h"

#include "absl/strings/str_cat.h"
#include "framework/core/basic_ops.h"
#include "ops/rules.h"

namespace tape {

Lines Along(const Shape& shape, int axis) {
  const int at = *ResolveAxis(axis, shape.rank());
  Lines lines;
  lines.length = shape[at];
  for (int i = 0; i < at; ++i) lines.outer *= shape[i];
  for (int i = at + 1; i < shape.rank(); ++i) lines.inner *= shape[i];
  return lines;
}

Shape WithAxisOne(const Shape& shape, int axis) {
  absl::InlinedVector<int64_t, 4> dims(shape.dims().begin(),
                                       shape.dims().end());
  dims[*ResolveAxis(axis, shape.rank())] = 1;
  return Shape(dims);
}

Var SumAlong(Var x, int axis) { return SumTo(x, WithAxisOne(x.shape(), axis)); }

absl::Status ExpectAxis(const TensorType& type, int axis) {
  if (absl::Status status = ExpectFloat32(type); !status.ok()) return status;
  return ResolveAxis(axis, type.shape.rank()).status();
}

absl::Status ExpectElements(const TensorType& type, int axis) {
  if (absl::Status status = ExpectAxis(type, axis); !status.ok()) return status;
  if (type.shape[*ResolveAxis(axis, type.shape.rank())] != 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("expected at least one element along axis ", axis,
                   ", found shape ", type.shape.ToString()));
}

RowRole RowsOfLines(const RowQuery& query) {
  for (bool in_rows : query.in_rows) {
    if (!in_rows) return RowRole::kMixed;
  }
  const int rank = query.inputs[0].shape.rank();
  return *ResolveAxis(query.attributes.axis, rank) > 0 ? RowRole::kApart
                                                       : RowRole::kMixed;
}

}  // namespace tape
