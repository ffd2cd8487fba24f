// Tensors put together along an axis, and taken apart again (ops.h). Tested by
// tests/ops/op_test.cc through the sample table.
#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/lines.h"
#include "ops/op_lists.h"
#include "ops/ops.h"
#include "ops/ranges.h"
#include "ops/rules.h"
#include "ops/runs.h"

namespace tape {
namespace {

// ---- Concat: y = the operands, one after another along an axis; each d is the
// slice of gy that is its place ----
constexpr OpDef kConcat = {
    .name = "Concat",
    .operands = {"x"},
    .variadic = true,
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      int64_t length = 0;
      for (const TensorType& part : x) {
        const auto own = KnownLength(part.shape, attributes.axis);
        if (!own.ok()) return own.status();
        length += *own;
        if (part.dtype != x[0].dtype ||
            part.shape.rank() != x[0].shape.rank() ||
            !(WithLength(part.shape, attributes.axis, 0) ==
              WithLength(x[0].shape, attributes.axis, 0))) {
          return absl::InvalidArgumentError(
              absl::StrCat("expected operands that differ in their length "
                           "along axis ",
                           attributes.axis, " alone, found ", x[0].ToString(),
                           " and ", part.ToString()));
        }
      }
      return TensorType{x[0].dtype,
                        WithLength(x[0].shape, attributes.axis, length)};
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      Adjoints adjoints;
      int64_t begin = 0;
      for (Var part : x) {
        const int64_t length = LengthAlong(part.shape(), attributes.axis);
        adjoints.push_back(Slice(gy, attributes.axis, {begin, length}));
        begin += length;
      }
      return adjoints;
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          int64_t begin = 0;
          for (const Tensor& part : x) {
            MoveLines(part, y, attributes.axis,
                      [&](int64_t i) { return begin + i; });
            begin += LengthAlong(part.shape(), attributes.axis);
          }
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const Runs y(spec.output, spec.attributes.axis);
      std::vector<int64_t> begins = {0};
      for (const TensorType& part : spec.inputs) {
        begins.push_back(begins.back() +
                         LengthAlong(part.shape, spec.attributes.axis));
      }
      return MakeRangesKernel(
          y.rows(), spec.output.bytes(),
          [y, begins = std::move(begins)](const KernelArguments& arguments,
                                          int64_t begin, int64_t end) {
            ForEachLine(
                y, begin, end, [&](int64_t outer, int64_t i, int64_t last) {
                  std::byte* const to =
                      Written(arguments) + outer * y.lines.length * y.bytes;
                  for (size_t k = 0; k + 1 < begins.size(); ++k) {
                    const int64_t a = std::max(i, begins[k]);
                    const int64_t b = std::min(last, begins[k + 1]);
                    const int64_t length = begins[k + 1] - begins[k];
                    if (a >= b) continue;
                    CopyRuns(to + a * y.bytes, y.bytes,
                             Read(arguments, static_cast<int>(k)) +
                                 (outer * length + a - begins[k]) * y.bytes,
                             y.bytes, b - a, y.bytes);
                  }
                });
          });
    },
    .rows = RowsOfLines,
    .simplify = [](const SimplifyQuery& query) -> Simplification {
      if (query.inputs.size() != 1) return {};
      return {Simplification::kInput, 0};
    },
};

// attributes.shape: the lengths of the parts.
constexpr Composite kSplit = {
    .name = "Split",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      const auto whole = KnownLength(x[0].shape, attributes.axis);
      if (!whole.ok()) return whole.status();
      int64_t left = *whole;
      for (int64_t length : attributes.shape.dims()) {
        if (length < 0 || length > left) left = -1;
        if (left >= 0) left -= length;
      }
      if (left == 0) return x[0];
      return absl::InvalidArgumentError(absl::StrCat(
          "lengths ", attributes.shape.ToString(), " are not all of axis ",
          attributes.axis, " of ", x[0].shape.ToString()));
    }};

// attributes.length: how many parts.
// More parts, of an axis of length 0, would be nodes without end.
constexpr int kMostParts = 1 << 16;

constexpr Composite kEqualSplit = {
    .name = "Split",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      const auto whole = KnownLength(x[0].shape, attributes.axis);
      if (!whole.ok()) return whole.status();
      if (attributes.length > kMostParts) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected at most ", kMostParts, " parts, found ",
                         attributes.length));
      }
      if (attributes.length >= 1 && *whole % attributes.length == 0) {
        return x[0];
      }
      return absl::InvalidArgumentError(
          absl::StrCat("axis ", attributes.axis, " of ", x[0].shape.ToString(),
                       " has no ", attributes.length, " equal parts"));
    }};

}  // namespace

Var Concat(absl::Span<const Var> x, int axis, Loc loc) {
  return Append(kConcat, x, {.axis = axis}, loc);
}

// ---- Split: the slices that follow one another ----
std::vector<Var> Split(Var x, int axis, absl::Span<const int64_t> lengths,
                       Loc loc) {
  const CompositeScope split(kSplit, {x}, loc,
                             {.axis = axis, .shape = Shape(lengths)});
  std::vector<Var> parts(lengths.size(), split.mistake());
  if (!split.ok()) return parts;
  int64_t begin = 0;
  for (size_t i = 0; i < lengths.size(); ++i) {
    parts[i] = Slice(x, axis, {begin, lengths[i]}, loc);
    begin += lengths[i];
  }
  return parts;
}

std::vector<Var> Split(Var x, int axis, int parts, Loc loc) {
  const CompositeScope split(kEqualSplit, {x}, loc,
                             {.length = parts, .axis = axis});
  if (!split.ok()) {
    return std::vector<Var>(std::clamp(parts, 0, kMostParts), split.mistake());
  }
  const std::vector<int64_t> lengths(parts,
                                     LengthAlong(x.shape(), axis) / parts);
  return Split(x, axis, lengths, loc);
}

absl::Span<const OpDef* const> OpsOfConcat() {
  static constexpr const OpDef* kOps[] = {&kConcat};
  return kOps;
}

}  // namespace tape
