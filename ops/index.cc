// Indices (ops.h). Tested by tests/ops/op_test.cc through the sample table.
#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/lines.h"
#include "ops/op_lists.h"
#include "ops/ops.h"
#include "ops/ranges.h"
#include "ops/rules.h"
#include "ops/scatter.h"

namespace tape {
namespace {

class OneHotKernel : public PlainKernel {
 public:
  OneHotKernel(int64_t count, int64_t depth) : count_(count), depth_(depth) {}
  void Run(int, const KernelArguments& arguments) const override {
    const int32_t* indices = static_cast<const int32_t*>(arguments.inputs[0]);
    float* y = static_cast<float*>(arguments.outputs[0]);
    std::memset(y, 0, count_ * depth_ * sizeof(float));
    for (int64_t i = 0; i < count_; ++i) {
      const int32_t index = indices[i];
      if (index >= 0 && index < depth_) y[i * depth_ + index] = 1;
    }
  }

 private:
  int64_t count_;
  int64_t depth_;
};

// ---- OneHot: y[…,j] = 1 where j = index, else 0 ----
constexpr OpDef kOneHot = {
    .name = "OneHot",
    .operands = {"indices"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (x[0].dtype != DType::kInt32) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected int32, found ", Name(x[0].dtype)));
      }
      if (attributes.depth < 1) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected a depth of at least 1, found ", attributes.depth));
      }
      absl::InlinedVector<int64_t, 4> dims(x[0].shape.dims().begin(),
                                           x[0].shape.dims().end());
      dims.push_back(attributes.depth);
      return TensorType{DType::kFloat32, Shape(dims)};
    },
    .gradient = ZeroGradient,
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          for (int64_t i = 0; i < y.elements(); ++i) {
            const double index = x[0].values<double>()[i / attributes.depth];
            y.values<double>()[i] = index == i % attributes.depth;
          }
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      return std::make_unique<OneHotKernel>(spec.inputs[0].shape.elements(),
                                            spec.attributes.depth);
    },
    .rows = [](const RowQuery&) { return RowRole::kApart; },
};

absl::Status ExpectIndices(const TensorType& type) {
  if (type.dtype == DType::kInt32) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("expected int32 indices, found ", Name(type.dtype)));
}

// `shape` with one of its axes replaced by those of `indices`.
Shape WithIndices(const Shape& shape, int axis, const Shape& indices) {
  absl::InlinedVector<int64_t, 4> dims;
  for (int i = 0; i < shape.rank(); ++i) {
    if (i != axis) {
      dims.push_back(shape[i]);
    } else {
      dims.insert(dims.end(), indices.dims().begin(), indices.dims().end());
    }
  }
  return Shape(dims);
}

const int32_t* Indices(const KernelArguments& arguments) {
  return static_cast<const int32_t*>(arguments.inputs[1]);
}

// ---- Gather: y[j] = x[indices[j]] along an axis, 0 where that is outside ----
// dx = gy, scattered.
void GatherRuns(const Lines& x, int64_t indices, int64_t bytes,
                const KernelArguments& arguments, int64_t begin, int64_t end) {
  const auto each = [&](auto size) {
    for (int64_t row = begin; row < end; ++row) {
      const int64_t index = Indices(arguments)[row % indices];
      std::byte* const to = Written(arguments) + row * bytes;
      if (index < 0 || index >= x.length) {
        std::memset(to, 0, size);
      } else {
        std::memcpy(
            to, Read(arguments) + (row / indices * x.length + index) * bytes,
            size);
      }
    }
  };
  if (bytes == 4) return each(std::integral_constant<size_t, 4>());
  each(static_cast<size_t>(bytes));
}

constexpr OpDef kGather = {
    .name = "Gather",
    .operands = {"x", "indices"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (absl::Status status = ExpectIndices(x[1]); !status.ok()) {
        return status;
      }
      const auto axis = ResolveAxis(attributes.axis, x[0].shape.rank());
      if (!axis.ok()) return axis.status();
      const TensorType y = {x[0].dtype,
                            WithIndices(x[0].shape, *axis, x[1].shape)};
      if (y.shape.is_valid()) return y;
      return absl::InvalidArgumentError(absl::StrCat(
          "expected a result of at most 2^40 elements, found shape ",
          y.shape.ToString()));
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      return {ScatterAdd(gy, x[1], x[0].shape(), attributes.axis), Var()};
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          const Lines lines = Along(x[0].shape(), attributes.axis);
          const int64_t indices = x[1].elements();
          for (int64_t i = 0; i < y.elements(); ++i) {
            const int64_t row = i / lines.inner;
            const double index = x[1].values<double>()[row % indices];
            if (index < 0 || index >= lines.length) continue;
            const int64_t from =
                row / indices * lines.length + static_cast<int64_t>(index);
            y.values<double>()[i] =
                x[0].values<double>()[from * lines.inner + i % lines.inner];
          }
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const Lines x = Along(spec.inputs[0].shape, spec.attributes.axis);
      const int64_t indices = spec.inputs[1].shape.elements();
      const int64_t bytes =
          x.inner * static_cast<int64_t>(SizeOf(spec.output.dtype));
      return MakeRangesKernel(
          x.outer * indices, spec.output.bytes(),
          [=](const KernelArguments& arguments, int64_t begin, int64_t end) {
            GatherRuns(x, indices, bytes, arguments, begin, end);
          });
    },
    .rows =
        [](const RowQuery& query) {
          const bool x = query.in_rows[0], indices = query.in_rows[1];
          if (x && indices) return RowRole::kMixed;
          const bool first = *ResolveAxis(query.attributes.axis,
                                          query.inputs[0].shape.rank()) == 0;
          return x != first ? RowRole::kApart : RowRole::kMixed;
        },
};

// Places `begin` … `end` - 1 of all lines of y, each of which gets a few updates,
// in float32; false, with nothing done, if one of these lines' is large.
bool ScatterFew(const Lines& y, int64_t updates,
                const KernelArguments& arguments, int64_t begin, int64_t end) {
  const auto* const from = static_cast<const float*>(arguments.inputs[0]);
  const int64_t outer_begin = begin / y.length;
  const int64_t outer_end = (end + y.length - 1) / y.length;
  const int64_t of_line = updates * y.inner;
  if (!vector::AreBelow(from + outer_begin * of_line,
                        (outer_end - outer_begin) * of_line, Scatter::kLarge)) {
    return false;
  }
  const int32_t* const indices = Indices(arguments);
  auto* const to = static_cast<float*>(arguments.outputs[0]);
  std::fill(to + begin * y.inner, to + end * y.inner, 0.0f);
  for (int64_t outer = outer_begin; outer < outer_end; ++outer) {
    const int64_t first = outer * y.length;
    for (int64_t j = 0; j < updates; ++j) {
      const int64_t index = indices[j], place = first + index;
      if (index < 0 || index >= y.length || place < begin || place >= end) {
        continue;
      }
      const float* const update = from + (outer * updates + j) * y.inner;
      float* const sum = to + place * y.inner;
      if (y.inner == 1) {
        *sum += *update;
        continue;
      }
      if (y.inner >= Scatter::kVectors) {
        vector::AddFloats(update, y.inner, sum);
        continue;
      }
      for (int64_t i = 0; i < y.inner; ++i) sum[i] += update[i];
    }
  }
  return true;
}

// ---- ScatterAdd: y = 0, y[indices[j]] += updates[j] along an axis ----
// What is outside is left out; d updates = gy, gathered. Each element is added
// up in the order of the indices, in double, and rounded once; of 16 updates or
// fewer, in float32.
constexpr OpDef kScatterAdd = {
    .name = "ScatterAdd",
    .operands = {"updates", "indices"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (absl::Status status = ExpectFloat32(x[0]); !status.ok()) {
        return status;
      }
      if (absl::Status status = ExpectIndices(x[1]); !status.ok()) {
        return status;
      }
      const Shape& shape = attributes.shape;
      if (!shape.is_valid()) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected dimensions of at least 0, or kBatch, found ",
                         shape.ToString()));
      }
      const auto axis = ResolveAxis(attributes.axis, shape.rank());
      if (!axis.ok()) return axis.status();
      const Shape expected = WithIndices(shape, *axis, x[1].shape);
      if (!(expected == x[0].shape)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected updates ", expected.ToString(), " for the result ",
            shape.ToString(), ", found ", x[0].shape.ToString()));
      }
      return TensorType{DType::kFloat32, shape};
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      return {Gather(gy, x[1], attributes.axis), Var()};
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          const Lines lines = Along(y.shape(), attributes.axis);
          const int64_t indices = x[1].elements();
          for (int64_t i = 0; i < x[0].elements(); ++i) {
            const int64_t row = i / lines.inner;
            const double index = x[1].values<double>()[row % indices];
            if (index < 0 || index >= lines.length) continue;
            const int64_t to =
                row / indices * lines.length + static_cast<int64_t>(index);
            y.values<double>()[to * lines.inner + i % lines.inner] +=
                x[0].values<double>()[i];
          }
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const Lines y = Along(spec.output.shape, spec.attributes.axis);
      const int64_t indices = spec.inputs[1].shape.elements();
      const Scatter scatter = {.updates = indices,
                               .update_step = y.inner,
                               .index_step = 1,
                               .places = y.length,
                               .step = y.inner,
                               .width = y.inner};
      const int64_t places = y.outer * y.length;
      const size_t bytes = spec.output.bytes() + spec.inputs[0].bytes();
      // A chunk has places of the result of its own, and looks through all
      // indices for them.
      const int64_t some =
          std::min(y.length, places / RangesChunks(places, bytes) + 1);
      return MakeRangesKernel(
          places, bytes,
          [=](const KernelArguments& arguments, int64_t begin, int64_t end) {
            if (y.inner == 0) return;
            if (indices <= Scatter::kFewUpdates &&
                ScatterFew(y, indices, arguments, begin, end)) {
              return;
            }
            for (int64_t outer = begin / y.length; outer * y.length < end;
                 ++outer) {
              const int64_t first = outer * y.length;
              scatter.Run(
                  static_cast<const float*>(arguments.inputs[0]) +
                      outer * indices * y.inner,
                  Indices(arguments),
                  static_cast<float*>(arguments.outputs[0]) + first * y.inner,
                  std::max(begin - first, int64_t{0}),
                  std::min(end - first, y.length), some, arguments.scratch);
            }
          },
          scatter.ScratchBytes(some));
    },
    .rows =
        [](const RowQuery& query) {
          const bool updates = query.in_rows[0], indices = query.in_rows[1];
          const bool first = *ResolveAxis(query.attributes.axis,
                                          query.output.shape.rank()) == 0;
          if (updates && !indices && !first) return RowRole::kApart;
          // A sum of each tile would be too much of a large table.
          return updates && indices && first &&
                         query.output.shape.elements() <=
                             query.inputs[0].shape.elements()
                     ? RowRole::kSummed
                     : RowRole::kMixed;
        },
};

// The lines of `indices`, along which those of another tensor have `length`
// elements, in ranges of lines.
template <typename F>
std::unique_ptr<Kernel> MakeAlongKernel(const TensorType& indices, int axis,
                                        const TensorType& other, F f,
                                        size_t scratch_bytes = 0) {
  const Lines lines = Along(indices.shape, axis);
  const int64_t length = Along(other.shape, axis).length;
  return MakeRangesKernel(
      lines.count(), indices.bytes() + other.bytes(),
      [=](const KernelArguments& arguments, int64_t begin, int64_t end) {
        for (int64_t line = begin; line < end; ++line) {
          const int64_t outer = line / lines.inner, inner = line % lines.inner;
          // Where the line begins among the indices, and in the other tensor.
          const int64_t at = outer * lines.length * lines.inner + inner;
          const int64_t other_at = outer * length * lines.inner + inner;
          f(arguments, at, other_at, lines, length);
        }
      },
      scratch_bytes);
}

template <typename T>
void GatherLine(const KernelArguments& arguments, int64_t at, int64_t x_at,
                const Lines& lines, int64_t length) {
  const T* const x = static_cast<const T*>(arguments.inputs[0]) + x_at;
  T* const y = static_cast<T*>(arguments.outputs[0]) + at;
  for (int64_t i = 0; i < lines.length; ++i) {
    const int64_t index = Indices(arguments)[at + i * lines.inner];
    y[i * lines.inner] =
        index >= 0 && index < length ? x[index * lines.inner] : T();
  }
}

Var ScatterAddAlong(Var updates, Var indices, Shape shape, int axis);

// ---- GatherAlong: each line's y[j] = x[indices[j]], 0 where that is outside
// ---- dx = gy, scattered ----
constexpr OpDef kGatherAlong = {
    .name = "GatherAlong",
    .operands = {"x", "indices"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (absl::Status status = ExpectIndices(x[1]); !status.ok()) {
        return status;
      }
      const auto axis = ResolveAxis(attributes.axis, x[0].shape.rank());
      if (!axis.ok()) return axis.status();
      if (x[1].shape.rank() != x[0].shape.rank() ||
          !(WithLength(x[1].shape, *axis, 0) ==
            WithLength(x[0].shape, *axis, 0))) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected indices of x's shape ",
                         x[0].shape.ToString(), " but along axis ",
                         attributes.axis, ", found ", x[1].shape.ToString()));
      }
      return TensorType{x[0].dtype, x[1].shape};
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      return {ScatterAddAlong(gy, x[1], x[0].shape(), attributes.axis), Var()};
    },
    .reference =
        LineReference<[](const Attributes&, absl::Span<const ReferenceLine> x,
                         ReferenceLine& y) {
          for (size_t j = 0; j < y.size(); ++j) {
            const double index = x[1][j];
            if (index >= 0 && index < static_cast<double>(x[0].size())) {
              y[j] = x[0][static_cast<size_t>(index)];
            }
          }
        }>,
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const auto make = [&](auto gather) {
        return MakeAlongKernel(spec.inputs[1], spec.attributes.axis,
                               spec.inputs[0], gather);
      };
      return WithWordOf(spec.output.dtype, [&](auto word) {
        return make(GatherLine<decltype(word)>);
      });
    },
    .rows = RowsOfLines,
};

// ---- ScatterAddAlong: each line's y = 0, y[indices[j]] += updates[j] ----
// GatherAlong's adjoint, and it is this one's.
constexpr OpDef kScatterAddAlong = {
    .name = "ScatterAddAlong",
    .operands = {"updates", "indices"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (absl::Status status = ExpectFloat32(x[0]); !status.ok()) {
        return status;
      }
      if (absl::Status status = ExpectIndices(x[1]); !status.ok()) {
        return status;
      }
      const Shape& y = attributes.shape;
      const auto axis = ResolveAxis(attributes.axis, y.rank());
      if (!axis.ok()) return axis.status();
      if (!(x[0].shape == x[1].shape) || x[0].shape.rank() != y.rank() ||
          !(WithLength(x[0].shape, *axis, 0) == WithLength(y, *axis, 0))) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected updates and indices of the result's shape ", y.ToString(),
            " but along axis ", attributes.axis, ", found ",
            x[0].shape.ToString(), " and ", x[1].shape.ToString()));
      }
      return TensorType{DType::kFloat32, y};
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      return {GatherAlong(gy, x[1], attributes.axis), Var()};
    },
    .reference =
        LineReference<[](const Attributes&, absl::Span<const ReferenceLine> x,
                         ReferenceLine& y) {
          for (size_t j = 0; j < x[0].size(); ++j) {
            const double index = x[1][j];
            if (index >= 0 && index < static_cast<double>(y.size())) {
              y[static_cast<size_t>(index)] += x[0][j];
            }
          }
        }>,
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const Lines lines = Along(spec.inputs[1].shape, spec.attributes.axis);
      const int64_t length =
          Along(spec.output.shape, spec.attributes.axis).length;
      const Scatter scatter = {.updates = lines.length,
                               .update_step = lines.inner,
                               .index_step = lines.inner,
                               .places = length,
                               .step = lines.inner,
                               .width = 1};
      return MakeAlongKernel(
          spec.inputs[1], spec.attributes.axis, spec.output,
          [=](const KernelArguments& arguments, int64_t at, int64_t y_at,
              const Lines&, int64_t) {
            scatter.Run(static_cast<const float*>(arguments.inputs[0]) + at,
                        Indices(arguments) + at,
                        static_cast<float*>(arguments.outputs[0]) + y_at, 0,
                        length, length, arguments.scratch);
          },
          scatter.ScratchBytes(length));
    },
    .rows = RowsOfLines,
};

Var ScatterAddAlong(Var updates, Var indices, Shape shape, int axis) {
  return Append(kScatterAddAlong, {updates, indices},
                {.axis = axis, .shape = std::move(shape)}, Loc::Current());
}

}  // namespace

Var OneHot(Var indices, int64_t depth, Loc loc) {
  return Append(kOneHot, {indices}, {.depth = depth}, loc);
}

Var Gather(Var x, Var indices, int axis, Loc loc) {
  return Append(kGather, {x, indices}, {.axis = axis}, loc);
}

Var ScatterAdd(Var updates, Var indices, Shape shape, int axis, Loc loc) {
  return Append(kScatterAdd, {updates, indices},
                {.axis = axis, .shape = std::move(shape)}, loc);
}

Var GatherAlong(Var x, Var indices, int axis, Loc loc) {
  return Append(kGatherAlong, {x, indices}, {.axis = axis}, loc);
}

absl::Span<const OpDef* const> OpsOfIndex() {
  static constexpr const OpDef* kOps[] = {&kOneHot, &kGather, &kScatterAdd,
                                          &kGatherAlong, &kScatterAddAlong};
  return kOps;
}

}  // namespace tape
