// Reductions (ops.h). Sum and Mean are written in other ops; the sums
// themselves are the framework's SumTo. Tested by tests/op_test.cc through the
// sample table.
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/ops.h"
#include "ops/rules.h"

namespace tape {
namespace {

// A tensor seen along one axis: `outer` times `inner` lines of `length`
// elements, each `inner` apart.
struct Lines {
  int64_t outer = 1;
  int64_t length = 1;
  int64_t inner = 1;
};

Lines Along(const Shape& shape, int axis) {
  Lines lines;
  lines.length = shape[axis];
  for (int i = 0; i < axis; ++i) lines.outer *= shape[i];
  for (int i = axis + 1; i < shape.rank(); ++i) lines.inner *= shape[i];
  return lines;
}

// Where a line is largest: the first of equals; a NaN is above all, as in
// NumPy.
template <typename T>
int64_t LineArgMax(const T* line, const Lines& lines) {
  int64_t best = 0;
  for (int64_t i = 1; i < lines.length && !std::isnan(line[best * lines.inner]);
       ++i) {
    const T element = line[i * lines.inner];
    if (element > line[best * lines.inner] || std::isnan(element)) best = i;
  }
  return best;
}

template <typename T, typename Index>
void ArgMaxLines(const T* x, const Lines& lines, Index* y) {
  for (int64_t o = 0; o < lines.outer; ++o) {
    for (int64_t i = 0; i < lines.inner; ++i) {
      *y++ = static_cast<Index>(
          LineArgMax(x + o * lines.length * lines.inner + i, lines));
    }
  }
}

class ArgMaxKernel : public Kernel {
 public:
  explicit ArgMaxKernel(const Lines& lines) : lines_(lines) {}
  void Run(int, const KernelArguments& arguments) const override {
    ArgMaxLines(static_cast<const float*>(arguments.inputs[0]), lines_,
                static_cast<int32_t*>(arguments.outputs[0]));
  }

 private:
  Lines lines_;
};

// ---- ArgMax: y = the place of the largest element along an axis ----
constexpr OpDef kArgMax = {
    .name = "ArgMax",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (absl::Status status = ExpectFloat32(x[0]); !status.ok())
        return status;
      const Shape& shape = x[0].shape;
      const absl::StatusOr<int> axis =
          ResolveAxis(attributes.axis, shape.rank());
      if (!axis.ok()) return axis.status();
      if (shape[*axis] == 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected at least one element along axis ",
                         attributes.axis, ", found shape ", shape.ToString()));
      }
      absl::InlinedVector<int64_t, 4> dims(shape.dims().begin(),
                                           shape.dims().end());
      dims.erase(dims.begin() + *axis);
      return TensorType{DType::kInt32, Shape(dims)};
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          const int axis = *ResolveAxis(attributes.axis, x[0].shape().rank());
          ArgMaxLines(x[0].values<double>().data(), Along(x[0].shape(), axis),
                      y.values<double>().data());
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const Shape& shape = spec.inputs[0].shape;
      return std::make_unique<ArgMaxKernel>(
          Along(shape, *ResolveAxis(spec.attributes.axis, shape.rank())));
    },
    .rows =
        [](const RowQuery& query) {
          const int rank = query.inputs[0].shape.rank();
          return *ResolveAxis(query.attributes.axis, rank) > 0
                     ? RowRole::kApart
                     : RowRole::kMixed;
        },
};

class ElementCountKernel : public Kernel {
 public:
  explicit ElementCountKernel(int64_t count)
      : count_(static_cast<float>(count)) {}
  void Run(int, const KernelArguments& arguments) const override {
    *static_cast<float*>(arguments.outputs[0]) = count_;
  }

 private:
  float count_;
};

// ---- ElementCount: y = how many elements a shape has ----
// It has no inputs, so the compiler folds it into a number, unless told not to.
constexpr OpDef kElementCount = {
    .name = "ElementCount",
    .shape = [](absl::Span<const TensorType>,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (!attributes.shape.is_valid()) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected dimensions of at least 0, or kBatch, found ",
                         attributes.shape.ToString()));
      }
      return TensorType();
    },
    .gradient = ZeroGradient,
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor>, Tensor& y) {
          y.values<double>()[0] =
              static_cast<double>(attributes.shape.elements());
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      return std::make_unique<ElementCountKernel>(
          spec.attributes.shape.elements());
    },
};

// The shape of x with the given axes (none: all) kept as 1, and the shape of
// those axes alone.
struct Reduction {
  Shape kept;
  Shape dropped;
  Shape reduced;
};

absl::StatusOr<Reduction> Reduce(const TensorType& x,
                                 absl::Span<const int> axes) {
  if (absl::Status status = ExpectFloat32(x); !status.ok()) return status;
  const Shape& shape = x.shape;
  std::vector<bool> reduced(shape.rank(), axes.empty());
  for (int axis : axes) {
    const absl::StatusOr<int> resolved = ResolveAxis(axis, shape.rank());
    if (!resolved.ok()) return resolved.status();
    if (reduced[*resolved]) {
      return absl::InvalidArgumentError(
          absl::StrCat("axis ", axis, " is given twice"));
    }
    reduced[*resolved] = true;
  }
  absl::InlinedVector<int64_t, 4> kept, dropped, gone;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    kept.push_back(reduced[axis] ? 1 : shape[axis]);
    (reduced[axis] ? gone : dropped).push_back(shape[axis]);
  }
  return Reduction{Shape(kept), Shape(dropped), Shape(gone)};
}

// Checks x for the composite `name` and says over what it goes; keeps an error
// and returns nothing if it cannot.
absl::StatusOr<Reduction> CheckReduction(absl::string_view name, Var x,
                                         absl::Span<const int> axes, Loc loc) {
  absl::StatusOr<Reduction> reduction = Reduce(x.type(), axes);
  if (!reduction.ok()) {
    x.graph()->ReportError(loc, name,
                           absl::StrCat(reduction.status().message(), " (x ",
                                        x.graph()->Describe(x.id()), ")"));
  }
  return reduction;
}

Var SumOver(Var x, const Reduction& reduction, Loc loc) {
  return Reshape(SumTo(x, reduction.kept, loc), reduction.dropped, loc);
}

}  // namespace

Var ArgMax(Var x, int axis, Loc loc) {
  return Append(kArgMax, {x}, {.axis = axis}, loc);
}

Var ElementCount(Graph* graph, Shape shape, Loc loc) {
  return graph->Append(kElementCount, {}, {.shape = std::move(shape)}, loc);
}

// ---- Sum: y = the sum of x over some axes; dx = gy, repeated ----
Var Sum(Var x, absl::Span<const int> axes, Loc loc) {
  if (!x.valid()) return x;
  const absl::StatusOr<Reduction> reduction =
      CheckReduction("Sum", x, axes, loc);
  if (!reduction.ok()) return Var(x.graph(), kNone);
  return SumOver(x, *reduction, loc);
}

// ---- Mean: y = Sum(x) / n, n elements to a sum; dx = gy / n, repeated ----
Var Mean(Var x, absl::Span<const int> axes, Loc loc) {
  if (!x.valid()) return x;
  const absl::StatusOr<Reduction> reduction =
      CheckReduction("Mean", x, axes, loc);
  if (!reduction.ok()) return Var(x.graph(), kNone);
  return Div(SumOver(x, *reduction, loc),
             ElementCount(x.graph(), reduction->reduced, loc), loc);
}

}  // namespace tape
