// Indices (ops.h). Tested by tests/ops/op_test.cc through the sample table.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/lines.h"
#include "ops/ops.h"
#include "ops/ranges.h"
#include "ops/rules.h"

namespace tape {
namespace {

class OneHotKernel : public Kernel {
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

// ---- Sums of what is scattered ----
// There are places of `width` neighbouring elements, `step` elements apart, to
// each of which updates are added in their order. Every place is summed in double and
// rounded once.
struct Scatter {
  int64_t updates;      // How many there are, `update_step` elements apart,
  int64_t update_step;  // whose indices are
  int64_t index_step;   // so far apart.
  int64_t places;
  int64_t step;
  int64_t width;

  // Elements that have sums of their own in the scratch memory: few enough for
  // the cache, if possible.
  static constexpr int64_t kMostSums = 1 << 20;
  // Most updates that a list can link.
  static constexpr int64_t kMostLinks = std::numeric_limits<int32_t>::max();

  // So few terms lose next to nothing in float32, and small lines are many.
  static constexpr int64_t kFewUpdates = 16;
  // Whether sums of kFewUpdates of its size could be infinite. An infinity and a
  // NaN have larger bits than any number.
  static bool IsLarge(float update) {
    constexpr int32_t kLarge = std::bit_cast<int32_t>(0x1p123f);
    return (std::bit_cast<int32_t>(update) & 0x7fffffff) >= kLarge;
  }

  // Whether to give each of `some` places sums of its own, or to link the
  // updates of each: a table with few updates should cost no more than its
  // zeros.
  bool HasSums(int64_t some) const {
    return updates >= kMostLinks ||
           (updates >= places / 4 && some * width <= kMostSums);
  }
  size_t ScratchBytes(int64_t some) const {
    return HasSums(some) ? std::min(some * width, std::max(kMostSums, width)) *
                               sizeof(double)
                         : updates * sizeof(int32_t);
  }

  // Of the places `begin` … `end` - 1, from all updates. `some`: the same as
  // for ScratchBytes, at least as many as these.
  void Run(const float* from, const int32_t* indices, float* to, int64_t begin,
           int64_t end, int64_t some, std::byte* scratch) const {
    if (width == 1 && updates <= kFewUpdates &&
        RunFew(from, indices, to, begin, end)) {
      return;
    }
    if (!HasSums(some)) {
      RunLinked(from, indices, to, begin, end,
                reinterpret_cast<int32_t*>(scratch));
      return;
    }
    // One piece is the rule; a division for each line would show.
    const int64_t most = some * width <= kMostSums
                             ? some
                             : std::max(kMostSums / width, int64_t{1});
    for (; begin < end; begin += most) {
      RunSummed(from, indices, to, begin, std::min(end, begin + most),
                reinterpret_cast<double*>(scratch));
    }
  }

 private:
  // In float32, of places of one element; false, with nothing of use done, if an
  // update is so large that a partial sum could be infinite.
  bool RunFew(const float* from, const int32_t* indices, float* to,
              int64_t begin, int64_t end) const {
    for (int64_t place = begin; place < end; ++place) to[place * step] = 0;
    bool large = false;
    for (int64_t j = 0; j < updates; ++j) {
      const int64_t place = indices[j * index_step];
      if (place < begin || place >= end) continue;
      const float update = from[j * update_step];
      to[place * step] += update;
      large |= IsLarge(update);
    }
    return !large;
  }

  void RunSummed(const float* from, const int32_t* indices, float* to,
                 int64_t begin, int64_t end, double* sums) const {
    // Of a line of a few elements a call of memset would be most of the work.
    constexpr int64_t kFew = 8;
    double few[kFew] = {};
    const int64_t count = (end - begin) * width;
    if (count <= kFew) {
      sums = few;
    } else {
      std::fill_n(sums, count, 0.0);
    }
    if (width == 1) {
      for (int64_t j = 0; j < updates; ++j) {
        const int64_t place = indices[j * index_step];
        if (place < begin || place >= end) continue;
        sums[place - begin] += from[j * update_step];
      }
      for (int64_t place = begin; place < end; ++place) {
        to[place * step] = static_cast<float>(sums[place - begin]);
      }
      return;
    }
    for (int64_t j = 0; j < updates; ++j) {
      const int64_t place = indices[j * index_step];
      if (place < begin || place >= end) continue;
      const float* const update = from + j * update_step;
      double* const sum = sums + (place - begin) * width;
      for (int64_t i = 0; i < width; ++i) sum[i] += update[i];
    }
    for (int64_t place = begin; place < end; ++place, sums += width) {
      float* const y = to + place * step;
      for (int64_t i = 0; i < width; ++i) y[i] = static_cast<float>(sums[i]);
    }
  }

  // links[j]: the next update of the same place, or kLast. While the lists are
  // made, the first element of a place holds the number of its list's first
  // update, which fits into a float's bytes.
  void RunLinked(const float* from, const int32_t* indices, float* to,
                 int64_t begin, int64_t end, int32_t* links) const {
    constexpr int32_t kLast = -1, kElsewhere = -2;
    for (int64_t place = begin; place < end; ++place) {
      std::fill_n(to + place * step, width, 0.0f);
    }
    for (int64_t j = updates; j-- > 0;) {
      const int64_t place = indices[j * index_step];
      if (place < begin || place >= end) {
        links[j] = kElsewhere;
        continue;
      }
      float* const y = to + place * step;
      const int32_t first = std::bit_cast<int32_t>(*y);
      links[j] = first == 0 ? kLast : first - 1;
      *y = std::bit_cast<float>(static_cast<int32_t>(j + 1));
    }
    for (int64_t j = 0; j < updates; ++j) {
      if (links[j] == kElsewhere) continue;
      SumList(from, to + indices[j * index_step] * step, j, links);
      // All of this list is done, so that its other updates are passed over.
      for (int32_t next = static_cast<int32_t>(j); next != kLast;) {
        next = std::exchange(links[next], kElsewhere);
      }
    }
  }

  void SumList(const float* from, float* y, int64_t first,
               const int32_t* links) const {
    constexpr int64_t kColumns = 64;
    for (int64_t begin = 0; begin < width; begin += kColumns) {
      const int64_t count = std::min(kColumns, width - begin);
      double sums[kColumns] = {};
      for (int64_t j = first; j >= 0; j = links[j]) {
        const float* const update = from + j * update_step + begin;
        for (int64_t i = 0; i < count; ++i) sums[i] += update[i];
      }
      for (int64_t i = 0; i < count; ++i) {
        y[begin + i] = static_cast<float>(sums[i]);
      }
    }
  }
};

// Places `begin` … `end` - 1 of all lines of y, each of which gets a few updates,
// in float32; false, with nothing of use done, if an update is large.
bool ScatterFew(const Lines& y, int64_t updates,
                const KernelArguments& arguments, int64_t begin, int64_t end) {
  const auto* const from = static_cast<const float*>(arguments.inputs[0]);
  const int32_t* const indices = Indices(arguments);
  auto* const to = static_cast<float*>(arguments.outputs[0]);
  std::fill(to + begin * y.inner, to + end * y.inner, 0.0f);
  bool large = false;
  for (int64_t outer = begin / y.length; outer * y.length < end; ++outer) {
    const int64_t first = outer * y.length;
    for (int64_t j = 0; j < updates; ++j) {
      const int64_t index = indices[j], place = first + index;
      if (index < 0 || index >= y.length || place < begin || place >= end) {
        continue;
      }
      const float* const update = from + (outer * updates + j) * y.inner;
      float* const sum = to + place * y.inner;
      for (int64_t i = 0; i < y.inner; ++i) {
        sum[i] += update[i];
        large |= Scatter::IsLarge(update[i]);
      }
    }
  }
  return !large;
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
    .shape = [](absl::Span<const TensorType>,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      return TensorType{DType::kFloat32, attributes.shape};
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

// Whether x[a] comes before x[b] among the largest.
template <typename T>
bool IsAhead(const T* x, int64_t step, int64_t a, int64_t b) {
  const T left = x[a * step], right = x[b * step];
  if (std::isnan(left) != std::isnan(right)) return std::isnan(left);
  if (left > right || left < right) return left > right;
  return a < b;
}

// ---- TopKIndices: where the largest elements along an axis are ----
constexpr OpDef kTopKIndices = {
    .name = "TopKIndices",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (absl::Status status = ExpectAxis(x[0], attributes.axis);
          !status.ok()) {
        return status;
      }
      const int64_t length =
          x[0].shape[*ResolveAxis(attributes.axis, x[0].shape.rank())];
      if (length == kBatch || attributes.length < 0 ||
          attributes.length > length) {
        return absl::InvalidArgumentError(
            absl::StrCat("no ", attributes.length, " elements along axis ",
                         attributes.axis, " of ", x[0].shape.ToString()));
      }
      return TensorType{DType::kInt32, WithLength(x[0].shape, attributes.axis,
                                                  attributes.length)};
    },
    .reference =
        LineReference<[](const Attributes&, absl::Span<const ReferenceLine> x,
                         ReferenceLine& y) {
          std::vector<int64_t> order(x[0].size());
          std::iota(order.begin(), order.end(), 0);
          std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
            return IsAhead(x[0].data(), 1, a, b);
          });
          std::copy_n(order.begin(), y.size(), y.begin());
        }>,
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const Lines x = Along(spec.inputs[0].shape, spec.attributes.axis);
      const int64_t count = spec.attributes.length;
      return MakeRangesKernel(
          // Comparisons cost more than the bytes moved.
          x.count(), 8 * spec.inputs[0].bytes(),
          [=](const KernelArguments& arguments, int64_t begin, int64_t end) {
            auto* const order = reinterpret_cast<int32_t*>(arguments.scratch);
            for (int64_t line = begin; line < end; ++line) {
              const int64_t outer = line / x.inner, inner = line % x.inner;
              const float* const from =
                  static_cast<const float*>(arguments.inputs[0]) +
                  outer * x.length * x.inner + inner;
              int32_t* const to = static_cast<int32_t*>(arguments.outputs[0]) +
                                  outer * count * x.inner + inner;
              std::iota(order, order + x.length, 0);
              std::partial_sort(order, order + count, order + x.length,
                                [&](int32_t a, int32_t b) {
                                  return IsAhead(from, x.inner, a, b);
                                });
              for (int64_t i = 0; i < count; ++i) to[i * x.inner] = order[i];
            }
          },
          x.length * sizeof(int32_t));
    },
    .rows = RowsOfLines,
};

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

Var TopKIndices(Var x, int64_t k, int axis, Loc loc) {
  return Append(kTopKIndices, {x}, {.length = k, .axis = axis}, loc);
}

// ---- TopK: what GatherAlong finds at TopKIndices ----
TopKResult TopK(Var x, int64_t k, int axis, Loc loc) {
  const Var indices = TopKIndices(x, k, axis, loc);
  return {GatherAlong(x, indices, axis, loc), indices};
}

}  // namespace tape
