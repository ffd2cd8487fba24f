// Lines of a tensor in bytes, for ops that move whole runs of elements along an
// axis (slice.cc, concat.cc).
#ifndef TAPE_OPS_RUNS_H_
#define TAPE_OPS_RUNS_H_

#include <algorithm>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "framework/core/tensor.h"
#include "ops/lines.h"
#include "ops/rules.h"

namespace tape {

// The length along an axis that is there.
inline int64_t LengthAlong(const Shape& shape, int axis) {
  return shape[*ResolveAxis(axis, shape.rank())];
}

// The length along an axis, which must be there and be a number.
inline absl::StatusOr<int64_t> KnownLength(const Shape& shape, int axis) {
  const absl::StatusOr<int> at = ResolveAxis(axis, shape.rank());
  if (!at.ok()) return at.status();
  if (shape[*at] != kBatch) return shape[*at];
  return absl::InvalidArgumentError(
      absl::StrCat("expected a known length along axis ", axis, ", found ",
                   shape.ToString()));
}

// A tensor's lines along attributes.axis in bytes: of an element and all that
// follows it until the next one along the axis.
struct Runs {
  Runs(const TensorType& type, int axis)
      : lines(Along(type.shape, axis)),
        bytes(lines.inner * static_cast<int64_t>(SizeOf(type.dtype))) {}
  int64_t rows() const { return lines.outer * lines.length; }
  Lines lines;
  int64_t bytes;
};

// For each part of the rows `begin` to `end`, which go through outer times
// length, that lies along one line: f(outer, its first and its last place).
template <typename F>
void ForEachLine(const Runs& runs, int64_t begin, int64_t end, F f) {
  while (begin < end) {
    const int64_t outer = begin / runs.lines.length;
    const int64_t first = begin % runs.lines.length;
    const int64_t last = std::min(runs.lines.length, first + end - begin);
    f(outer, first, last);
    begin += last - first;
  }
}

// Copies elements of a reference's operand: for each element of `lines`, f(i)
// is the place along the axis of `from` in `to`, or negative.
template <typename F>
void MoveLines(const Tensor& from, Tensor& to, int axis, F f) {
  const Lines a = Along(from.shape(), axis), b = Along(to.shape(), axis);
  for (int64_t outer = 0; outer < a.outer; ++outer) {
    for (int64_t i = 0; i < a.length; ++i) {
      const int64_t j = f(i);
      if (j < 0) continue;
      for (int64_t inner = 0; inner < a.inner; ++inner) {
        to.values<double>()[(outer * b.length + j) * b.inner + inner] =
            from.values<double>()[(outer * a.length + i) * a.inner + inner];
      }
    }
  }
}

}  // namespace tape

#endif  // TAPE_OPS_RUNS_H_
