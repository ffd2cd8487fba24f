// Parts of tensors along an axis, and tensors put together of parts (ops.h).
// Tested by tests/ops/op_test.cc through the sample table.
#include <algorithm>
#include <type_traits>
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

// An error unless `length` elements from `begin` on, `step` apart, are places
// of `whole`.
absl::Status ExpectPlaces(const Attributes& attributes, int64_t length,
                          int64_t whole) {
  const int64_t begin = attributes.begin, step = attributes.step;
  // No sum or product of what is at most kMaxElements overflows.
  const bool fits = begin >= 0 && begin <= whole && length >= 0 &&
                    length <= whole && step >= 1 && step <= kMaxElements &&
                    (length == 0 || (length - 1 <= (whole - 1) / step &&
                                     begin + (length - 1) * step < whole));
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(length, " from ", begin, " on by steps of ", step,
                   " are not within a length of ", whole));
}

// What has the input's type is the input.
Simplification SimplifyWhole(const SimplifyQuery& query) {
  if (!(query.inputs[0].type == query.output)) return {};
  return {Simplification::kInput, 0};
}

Var Spread(Var x, int axis, Range places, int64_t length, double value,
           Loc loc);

// ---- Slice: y[i] = x[begin + i step]; dx = gy, spread among zeros ----
constexpr OpDef kSlice = {
    .name = "Slice",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      const auto whole = KnownLength(x[0].shape, attributes.axis);
      if (!whole.ok()) return whole.status();
      if (absl::Status status =
              ExpectPlaces(attributes, attributes.length, *whole);
          !status.ok()) {
        return status;
      }
      return TensorType{x[0].dtype, WithLength(x[0].shape, attributes.axis,
                                               attributes.length)};
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& a) -> Adjoints {
      return {Spread(gy, a.axis, {a.begin, a.length, a.step},
                     LengthAlong(x[0].shape(), a.axis), 0, Loc::Current())};
    },
    .reference =
        [](const Attributes& a, absl::Span<const Tensor> x, Tensor& y) {
          MoveLines(x[0], y, a.axis, [&](int64_t i) -> int64_t {
            const int64_t from = i - a.begin;
            if (from < 0 || from % a.step != 0) return -1;
            return from / a.step < a.length ? from / a.step : -1;
          });
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const Runs x(spec.inputs[0], spec.attributes.axis);
      const Runs y(spec.output, spec.attributes.axis);
      return MakeRangesKernel(
          y.rows(), spec.output.bytes(),
          [x, y, first = spec.attributes.begin, step = spec.attributes.step](
              const KernelArguments& arguments, int64_t begin, int64_t end) {
            ForEachLine(
                y, begin, end, [&](int64_t outer, int64_t i, int64_t last) {
                  CopyRuns(
                      Written(arguments) +
                          (outer * y.lines.length + i) * y.bytes,
                      y.bytes,
                      Read(arguments) +
                          (outer * x.lines.length + first + i * step) * x.bytes,
                      step * x.bytes, last - i, y.bytes);
                });
          });
    },
    .rows = RowsOfLines,
    .simplify = SimplifyWhole,
};

// The bytes of one element.
struct Pattern {
  std::byte bytes[8];
  size_t size;
};

Pattern PatternOf(double value, DType dtype) {
  Pattern pattern = {.bytes = {}, .size = SizeOf(dtype)};
  WithNumberOf(dtype, [&](auto number) {
    const auto element = static_cast<decltype(number)>(value);
    std::memcpy(pattern.bytes, &element, sizeof(element));
  });
  return pattern;
}

void FillBytes(std::byte* to, int64_t bytes, const Pattern& pattern) {
  CopyRuns(to, static_cast<int64_t>(pattern.size), pattern.bytes, 0,
           bytes / static_cast<int64_t>(pattern.size),
           static_cast<int64_t>(pattern.size));
}

// ---- Pad: y[begin + i step] = x[i], y = value elsewhere; dx = the slice ----
constexpr OpDef kPad = {
    .name = "Pad",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      const auto part = KnownLength(x[0].shape, attributes.axis);
      if (!part.ok()) return part.status();
      if (!CanHold(x[0].dtype, attributes.value)) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected a value that ", Name(x[0].dtype),
                         " has, found ", attributes.value));
      }
      const TensorType y = {x[0].dtype, WithLength(x[0].shape, attributes.axis,
                                                   attributes.length)};
      if (attributes.begin < 0 || !y.shape.is_valid() ||
          !ExpectPlaces(attributes, *part, attributes.length).ok()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected at least 0 elements before and after, found ",
            attributes.begin, " before ", *part, ", and together ",
            attributes.length));
      }
      return y;
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& a) -> Adjoints {
      return {Slice(gy, a.axis,
                    {a.begin, LengthAlong(x[0].shape(), a.axis), a.step})};
    },
    .reference =
        [](const Attributes& a, absl::Span<const Tensor> x, Tensor& y) {
          for (double& element : y.values<double>()) element = a.value;
          MoveLines(x[0], y, a.axis,
                    [&](int64_t i) { return a.begin + i * a.step; });
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const Runs x(spec.inputs[0], spec.attributes.axis);
      const Runs y(spec.output, spec.attributes.axis);
      return MakeRangesKernel(
          y.rows(), spec.output.bytes(),
          [x, y, first = spec.attributes.begin, step = spec.attributes.step,
           pattern = PatternOf(spec.attributes.value, spec.output.dtype)](
              const KernelArguments& arguments, int64_t begin, int64_t end) {
            ForEachLine(
                y, begin, end, [&](int64_t outer, int64_t i, int64_t last) {
                  std::byte* const to =
                      Written(arguments) + outer * y.lines.length * y.bytes;
                  // The places of x that are between i and last.
                  const auto from = [&](int64_t place) {
                    const int64_t after = std::max<int64_t>(place - first, 0);
                    return std::min(x.lines.length, (after + step - 1) / step);
                  };
                  const int64_t a = from(i), b = from(last);
                  const int64_t at = first + a * step;
                  if (a == b || step > 1) {
                    FillBytes(to + i * y.bytes, (last - i) * y.bytes, pattern);
                  } else {
                    FillBytes(to + i * y.bytes, (at - i) * y.bytes, pattern);
                    FillBytes(to + (first + b) * y.bytes,
                              (last - first - b) * y.bytes, pattern);
                  }
                  CopyRuns(
                      to + at * y.bytes, step * y.bytes,
                      Read(arguments) + (outer * x.lines.length + a) * x.bytes,
                      x.bytes, b - a, x.bytes);
                });
          });
    },
    .rows = RowsOfLines,
    .simplify = SimplifyWhole,
};

// x at those places of a length, along an axis, with `value` at the others.
Var Spread(Var x, int axis, Range places, int64_t length, double value,
           Loc loc) {
  return Append(kPad, {x},
                {.value = value,
                 .begin = places.begin,
                 .step = places.step,
                 .length = length,
                 .axis = axis},
                loc);
}

// ---- Reverse: y[i] = x[n - 1 - i]; dx = gy, reversed ----
constexpr OpDef kReverse = {
    .name = "Reverse",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      const auto axis = ResolveAxis(attributes.axis, x[0].shape.rank());
      if (!axis.ok()) return axis.status();
      return x[0];
    },
    .gradient = [](absl::Span<const Var>, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      return {Reverse(gy, attributes.axis)};
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          const int64_t n = LengthAlong(y.shape(), attributes.axis);
          MoveLines(x[0], y, attributes.axis,
                    [&](int64_t i) { return n - 1 - i; });
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const Runs y(spec.output, spec.attributes.axis);
      return MakeRangesKernel(
          y.rows(), spec.output.bytes(),
          [y](const KernelArguments& arguments, int64_t begin, int64_t end) {
            ForEachLine(
                y, begin, end, [&](int64_t outer, int64_t i, int64_t last) {
                  const int64_t line = outer * y.lines.length;
                  CopyRuns(Written(arguments) + (line + i) * y.bytes, y.bytes,
                           Read(arguments) +
                               (line + y.lines.length - 1 - i) * y.bytes,
                           -y.bytes, last - i, y.bytes);
                });
          });
    },
    .rows = RowsOfLines,
    .simplify = [](const SimplifyQuery& query) -> Simplification {
      const auto& input = query.inputs[0];
      const int rank = query.output.shape.rank();
      if (input.op != query.op ||
          *ResolveAxis(input.attributes.axis, rank) !=
              *ResolveAxis(query.attributes.axis, rank)) {
        return {};
      }
      return {Simplification::kInputOfInput, 0};
    },
};

// ---- What is composed ----

// attributes.shape: the repeats.
constexpr Composite kTile = {
    .name = "Tile",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      const Shape& repeats = attributes.shape;
      const Shape& shape = x[0].shape;
      bool fits = repeats.rank() == shape.rank() && repeats.is_bound() &&
                  repeats.is_valid();
      absl::InlinedVector<int64_t, 4> dims;
      for (int axis = 0; fits && axis < shape.rank(); ++axis) {
        fits = shape[axis] == kBatch
                   ? repeats[axis] == 1
                   : Shape({shape[axis], repeats[axis]}).is_valid();
        if (!fits) break;
        dims.push_back(shape[axis] == kBatch ? kBatch
                                             : shape[axis] * repeats[axis]);
      }
      if (!fits || !Shape(dims).is_valid()) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected repeats of at least 0 for each axis, 1 for the batch's, "
            "found ",
            repeats.ToString()));
      }
      return TensorType{x[0].dtype, Shape(dims)};
    }};

}  // namespace

Var Slice(Var x, int axis, Range range, Loc loc) {
  // One element's step means nothing, and might be as large as can be.
  if (range.length == 1 && range.step > 1 && range.step <= kMaxElements) {
    range.step = 1;
  }
  return Append(kSlice, {x},
                {.begin = range.begin,
                 .step = range.step,
                 .length = range.length,
                 .axis = axis},
                loc);
}

Var Pad(Var x, int axis, Padding padding, Loc loc) {
  if (!x.valid()) return x;
  const auto axis_of_x = ResolveAxis(axis, x.shape().rank());
  const int64_t length = axis_of_x.ok() ? x.shape()[*axis_of_x] : 0;
  // What is out of all bounds stays so, but does not overflow.
  const auto bounded = [](int64_t count) {
    return std::clamp(count, -2 * kMaxElements, 2 * kMaxElements);
  };
  const int64_t padded =
      bounded(padding.before) + length + bounded(padding.after);
  return Spread(x, axis, {.begin = padding.before}, padded, padding.value, loc);
}

Var Reverse(Var x, int axis, Loc loc) {
  return Append(kReverse, {x}, {.axis = axis}, loc);
}

// ---- Tile: [a,b] as [1,a,1,b], repeated to [r,a,s,b], as [r a,s b] ----
Var Tile(Var x, absl::Span<const int64_t> repeats, Loc loc) {
  const Attributes attributes = {.shape = Shape(repeats)};
  const CompositeScope tile(kTile, {x}, loc, attributes);
  if (!tile.ok()) return tile.mistake();
  absl::InlinedVector<int64_t, 4> apart, repeated, tiled;
  for (int axis = 0; axis < x.shape().rank(); ++axis) {
    const int64_t dim = x.shape()[axis];
    apart.insert(apart.end(), {1, dim});
    repeated.insert(repeated.end(), {repeats[axis], dim});
    tiled.push_back(dim == kBatch ? dim : dim * repeats[axis]);
  }
  return Reshape(BroadcastTo(Reshape(x, Shape(apart)), Shape(repeated)),
                 Shape(tiled));
}

absl::Span<const OpDef* const> OpsOfSlice() {
  static constexpr const OpDef* kOps[] = {&kSlice, &kPad, &kReverse};
  return kOps;
}

}  // namespace tape
