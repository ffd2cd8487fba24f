// Normalisation by mean and variance (ops.h). Tested by
// tests/ops/op_test.cc through the sample table, and by tests/ops/normalise_test.cc.
#include <algorithm>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "framework/core/basic_ops.h"
#include "ops/op_lists.h"
#include "ops/ops.h"
#include "ops/ranges.h"
#include "ops/reduce.h"
#include "ops/rules.h"
#include "ops/vector.h"

namespace tape {
namespace {

absl::Status ExpectFloats(absl::Span<const TensorType> x) {
  for (const TensorType& type : x) {
    if (absl::Status status = ExpectFloat32(type); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// attributes.value: epsilon.
absl::Status ExpectEpsilon(const Attributes& attributes) {
  if (attributes.value >= 0 &&
      std::isfinite(static_cast<float>(attributes.value))) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "expected a finite epsilon of at least 0, found ", attributes.value));
}

// Of a vector for each channel, which attributes.axis counts.
template <bool statistics>
absl::StatusOr<TensorType> ChannelsRule(absl::Span<const TensorType> x,
                                        const Attributes& attributes) {
  if (absl::Status status = ExpectFloats(x); !status.ok()) return status;
  if (absl::Status status = ExpectEpsilon(attributes); !status.ok()) {
    return status;
  }
  const double decay = attributes.alpha;
  if (!(decay >= 0 && decay <= 1)) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a decay of 0 to 1, found ", decay));
  }
  const auto axis = ResolveAxis(attributes.axis, x[0].shape.rank());
  if (!axis.ok()) return axis.status();
  const Shape channels = {x[0].shape[*axis]};
  if (!(x[1].shape == channels) || !(x[2].shape == channels)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected ", statistics ? "a mean and a variance" : "scale and shift",
        " of shape ", channels.ToString(), ", found ", x[1].shape.ToString(),
        " and ", x[2].shape.ToString()));
  }
  return x[0];
}
constexpr Composite kBatchNorm = {.name = "BatchNorm",
                                  .operands = {"x", "scale", "shift"},
                                  .shape = ChannelsRule<false>};
constexpr Composite kBatchNormStatistics = {
    .name = "BatchNorm",
    .operands = {"x", "mean", "variance"},
    .shape = ChannelsRule<true>};

// ---- Rows by their own moments ----
// A row has all axes from attributes.axis on; attributes.value is epsilon.

int64_t RowLength(const Shape& shape, const Attributes& attributes) {
  return Shape(shape.dims().subspan(attributes.axis)).elements();
}

// f(first element of a row, its mean, its 1 / sqrt(variance + epsilon)).
template <typename F>
void ForEachRow(const Attributes& attributes, const Tensor& x, F f) {
  const int64_t length = RowLength(x.shape(), attributes);
  const double count = static_cast<double>(length);
  for (int64_t i = 0; i < x.elements(); i += length) {
    double sum = 0, squares = 0;
    const auto row = x.values<double>().subspan(i, length);
    for (double each : row) sum += each;
    for (double each : row) squares += std::pow(each - sum / count, 2);
    f(i, sum / count, 1 / std::sqrt(squares / count + attributes.value));
  }
}

const float* FloatsOf(const KernelArguments& arguments, int input) {
  return static_cast<const float*>(arguments.inputs[input]);
}

// So much is in the second-level cache, and is work enough for a thread. What
// follows longer rows is cut better by itself.
constexpr int64_t kRegionBytes = 64 * 1024;

bool ByRegions(const Attributes& attributes, absl::Span<const TensorType>,
               const TensorType& output) {
  return RowLength(output.shape, attributes) * SizeOf(output.dtype) <=
         kRegionBytes;
}

// Of NormaliseRows, and of LayerNorm, which has scale and shift as well. Its
// chunks, ranges of rows, can be regions.
class NormaliseRowsKernel : public PlainKernel {
 public:
  explicit NormaliseRowsKernel(const KernelSpec& spec)
      : epsilon_(spec.attributes.value),
        length_(RowLength(spec.output.shape, spec.attributes)),
        rows_(length_ == 0 ? 0 : spec.output.shape.elements() / length_),
        width_(spec.output.shape.rank() == 0
                   ? 1
                   : spec.output.shape[spec.output.shape.rank() - 1]),
        is_scaled_(spec.inputs.size() > 1),
        into_scratch_(spec.into_scratch) {
    const int64_t bytes = static_cast<int64_t>(spec.output.bytes());
    chunks_ = into_scratch_
                  ? static_cast<int>(std::clamp<int64_t>(
                        bytes / kRegionBytes, 1, std::max<int64_t>(1, rows_)))
                  : RangesChunks(rows_, 2 * bytes);
  }

  int chunks() const override { return chunks_; }
  Region region(int chunk) const override {
    const int64_t lines = length_ / std::max<int64_t>(1, width_);  // Of a row.
    return {.row = Begin(chunk) * lines,
            .rows = (Begin(chunk + 1) - Begin(chunk)) * lines,
            .column = 0,
            .columns = width_};
  }
  void Run(int chunk, const KernelArguments& arguments) const override {
    const int64_t begin = Begin(chunk);
    vector::NormaliseRows(FloatsOf(arguments, 0) + begin * length_,
                          is_scaled_ ? FloatsOf(arguments, 1) : nullptr,
                          is_scaled_ ? FloatsOf(arguments, 2) : nullptr,
                          Begin(chunk + 1) - begin, length_, epsilon_,
                          static_cast<float*>(arguments.outputs[0]) +
                              (into_scratch_ ? 0 : begin * length_));
  }

 private:
  int64_t Begin(int chunk) const { return rows_ * chunk / chunks_; }

  double epsilon_;
  int64_t length_;  // Of a row.
  int64_t rows_;
  int64_t width_;  // Of the last axis.
  bool is_scaled_;
  bool into_scratch_;
  int chunks_;
};

std::unique_ptr<Kernel> MakeNormaliseRows(const KernelSpec& spec) {
  return std::make_unique<NormaliseRowsKernel>(spec);
}

// Runs f(arguments, first row, end, row length) on ranges of x's rows, which move
// so many times its bytes.
template <typename F>
std::unique_ptr<Kernel> MakeRowsKernel(const KernelSpec& spec, int tensors,
                                       F f) {
  const int64_t length = RowLength(spec.inputs[0].shape, spec.attributes);
  const int64_t rows =
      length == 0 ? 0 : spec.inputs[0].shape.elements() / length;
  return MakeRangesKernel(
      rows, tensors * spec.inputs[0].bytes(),
      [length, f](const KernelArguments& arguments, int64_t begin,
                  int64_t end) { f(arguments, begin, end, length); });
}

// Rows that are split as the first input is, of an op whose inputs behind the
// first `split` are read by all rows.
template <int split>
RowRole RowsOfRows(const RowQuery& query) {
  for (int i = 0; i < static_cast<int>(query.inputs.size()); ++i) {
    if (query.in_rows[i] != (i < split)) return RowRole::kMixed;
  }
  return query.attributes.axis > 0 ? RowRole::kApart : RowRole::kMixed;
}

// The elements of a row, as a number.
Var RowCount(Var x, const Attributes& attributes) {
  return ElementCount(x.graph(),
                      Shape(x.shape().dims().subspan(attributes.axis)));
}

Var NormaliseRows(Var x, const Attributes& attributes);
Var NormaliseRowsSlope(Var x, Var g, const Attributes& attributes);
Var LayerNormSlope(Var x, Var g, Var scale, const Attributes& attributes);

// ---- RowScale: y = 1 / sqrt(variance + epsilon) of a row, whose axes are 1;
// ---- dx = -gy y^2 NormaliseRows(x) / n
constexpr OpDef kRowScale = {
    .name = "RowScale",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (const auto rows = RowsRule(x, attributes); !rows.ok()) return rows;
      absl::InlinedVector<int64_t, 4> dims(x[0].shape.dims().begin(),
                                           x[0].shape.dims().end());
      std::fill(dims.begin() + attributes.axis, dims.end(), 1);
      return TensorType{DType::kFloat32, Shape(dims)};
    },
    .gradient = [](absl::Span<const Var> x, Var y, Var gy,
                   const Attributes& attributes) -> Adjoints {
      return {-(gy * y / RowCount(x[0], attributes)) *
              (y * NormaliseRows(x[0], attributes))};
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          double* next = y.values<double>().data();
          ForEachRow(attributes, x[0],
                     [&](int64_t, double, double scale) { *next++ = scale; });
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      return MakeRowsKernel(
          spec, 2,
          [epsilon = spec.attributes.value](const KernelArguments& arguments,
                                            int64_t begin, int64_t end,
                                            int64_t length) {
            vector::RowScales(
                FloatsOf(arguments, 0) + begin * length, end - begin, length,
                epsilon, static_cast<float*>(arguments.outputs[0]) + begin);
          });
    },
    .rows = RowsOfRows<1>,
};

// ---- LayerNormSlope: with n = NormaliseRows(x), s = RowScale(x) and u = g scale,
// ---- y = s (u - mean u - n mean(u n)), which is linear in u and, for a scale of
// ---- 1, its own adjoint ----
// By x, with m(u) the mean of a row and N its length: gy y summed is s B with B =
// sum gy (u - m(u)) - m(gy n) sum u n; s depends on x as in RowScale, and B
// through n by -gy m(u n) - u m(gy n).
constexpr OpDef kLayerNormSlope = {
    .name = "LayerNormSlope",
    .operands = {"x", "g", "scale"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      const auto rows = RowsRule(x.first(1), attributes);
      if (!rows.ok()) return rows;
      const TensorType row = {
          DType::kFloat32, Shape(x[0].shape.dims().subspan(attributes.axis))};
      if (x[1] == x[0] && x[2] == row) return rows;
      return absl::InvalidArgumentError(absl::StrCat(
          "expected g of the type of x and a scale of ", row.ToString(),
          ", found ", x[1].ToString(), " and ", x[2].ToString()));
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      const Var u = x[1] * x[2], n = NormaliseRows(x[0], attributes);
      const Var scale = Append(kRowScale, {x[0]}, attributes, Loc::Current());
      const Shape& sums = scale.shape();
      const Var count = RowCount(x[0], attributes);
      const Var u_mean = SumTo(u * n, sums) / count;
      const Var gy_mean = SumTo(gy * n, sums) / count;
      const Var b = SumTo(gy * CenterRows(u, attributes.axis), sums) -
                    gy_mean * SumTo(u * n, sums);
      const Var by_u = NormaliseRowsSlope(x[0], gy, attributes);
      return {
          NormaliseRowsSlope(x[0], -(gy * u_mean + u * gy_mean), attributes) *
                  scale -
              n * (scale * scale * b / count),
          by_u * x[2], by_u * x[1]};
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          const int64_t length = RowLength(y.shape(), attributes);
          const double count = static_cast<double>(length);
          const auto by = x[2].values<double>();
          ForEachRow(
              attributes, x[0], [&](int64_t begin, double mean, double scale) {
                const auto g = x[1].values<double>().subspan(begin, length);
                const auto row = x[0].values<double>().subspan(begin, length);
                double sum = 0, products = 0;
                for (int64_t k = 0; k < length; ++k) {
                  sum += g[k] * by[k];
                  products += g[k] * by[k] * (row[k] - mean) * scale;
                }
                for (int64_t k = 0; k < length; ++k) {
                  y.values<double>()[begin + k] =
                      scale * (g[k] * by[k] - sum / count -
                               (row[k] - mean) * scale * products / count);
                }
              });
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      return MakeRowsKernel(
          spec, 3,
          [epsilon = spec.attributes.value](const KernelArguments& arguments,
                                            int64_t begin, int64_t end,
                                            int64_t length) {
            vector::NormaliseRowsSlope(
                FloatsOf(arguments, 0) + begin * length,
                FloatsOf(arguments, 1) + begin * length, FloatsOf(arguments, 2),
                end - begin, length, epsilon,
                static_cast<float*>(arguments.outputs[0]) + begin * length);
          });
    },
    .rows = RowsOfRows<2>,
};

Var LayerNormSlope(Var x, Var g, Var scale, const Attributes& attributes) {
  return Append(kLayerNormSlope, {x, g, scale}, attributes, Loc::Current());
}

// With a scale of 1.
Var NormaliseRowsSlope(Var x, Var g, const Attributes& attributes) {
  const Shape row(x.shape().dims().subspan(attributes.axis));
  return LayerNormSlope(x, g, Fill(x.graph(), row, 1), attributes);
}

// ---- NormaliseRows: y = (x - mean) RowScale(x); dx = LayerNormSlope of gy and 1
constexpr OpDef kNormaliseRows = {
    .name = "NormaliseRows",
    .operands = {"x"},
    .shape = RowsRule,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      return {NormaliseRowsSlope(x[0], gy, attributes)};
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          const int64_t length = RowLength(y.shape(), attributes);
          ForEachRow(attributes, x[0],
                     [&](int64_t i, double mean, double scale) {
                       for (int64_t k = i; k < i + length; ++k) {
                         y.values<double>()[k] =
                             (x[0].values<double>()[k] - mean) * scale;
                       }
                     });
        },
    .kernel = MakeNormaliseRows,
    .rows = RowsOfRows<1>,
    .by_regions = ByRegions,
    .traits = {.regions = true},
};

Var NormaliseRows(Var x, const Attributes& attributes) {
  return Append(kNormaliseRows, {x}, attributes, Loc::Current());
}

// ---- LayerNorm: y = NormaliseRows(x) scale + shift; dx = LayerNormSlope(x, gy,
// ---- scale), dscale = gy NormaliseRows(x), dshift = gy ----
// A row has the axes of scale and shift, the last ones of x.
constexpr OpDef kLayerNorm = {
    .name = "LayerNorm",
    .operands = {"x", "scale", "shift"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (absl::Status status = ExpectFloats(x); !status.ok()) return status;
      if (absl::Status status = ExpectEpsilon(attributes); !status.ok()) {
        return status;
      }
      const Shape &whole = x[0].shape, &scale = x[1].shape;
      const int first = whole.rank() - scale.rank();
      if (scale.rank() < 1 || first < 0 || first != attributes.axis ||
          !(scale == x[2].shape) ||
          !(Shape(whole.dims().subspan(first)) == scale)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected scale and shift of the last axes of ", whole.ToString(),
            ", found ", scale.ToString(), " and ", x[2].shape.ToString()));
      }
      return x[0];
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      return {LayerNormSlope(x[0], gy, x[1], attributes),
              gy * NormaliseRows(x[0], attributes), gy};
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          const int64_t length = RowLength(y.shape(), attributes);
          ForEachRow(attributes, x[0],
                     [&](int64_t i, double mean, double scale) {
                       for (int64_t k = 0; k < length; ++k) {
                         y.values<double>()[i + k] =
                             (x[0].values<double>()[i + k] - mean) * scale *
                                 x[1].values<double>()[k] +
                             x[2].values<double>()[k];
                       }
                     });
        },
    .kernel = MakeNormaliseRows,
    .rows = RowsOfRows<1>,
    .by_regions = ByRegions,
    .traits = {.regions = true},
};

// (x - mean) / sqrt(variance + epsilon) scale + shift, all of which broadcast.
Var Normalised(Var from_mean, Var variance, double epsilon, Var scale,
               Var shift) {
  return from_mean * Rsqrt(variance + epsilon) * scale + shift;
}

// Where the channels of x are.
struct Channels {
  Channels(Var x, int channel_axis) {
    const Shape& shape = x.shape();
    const int axis = *ResolveAxis(channel_axis, shape.rank());
    absl::InlinedVector<int64_t, 4> last = {shape[axis]}, kept, others;
    last.resize(shape.rank() - axis, 1);
    beside = Shape(last);
    for (int i = 0; i < shape.rank(); ++i) {
      kept.push_back(i == axis ? shape[i] : 1);
      if (i != axis) others.push_back(shape[i]);
    }
    statistics = Shape(kept);
    reduced = Shape(others);
  }
  // A number for each channel, so that it broadcasts to x's shape.
  Var Beside(Var vector) const { return Reshape(vector, beside); }

  Shape beside;
  Shape statistics;  // x's shape with all other axes as 1.
  Shape reduced;     // These axes alone.
};

// False, with the mistake kept, unless all five fit.
bool FitsBatchNorm(Var x, Var scale, Var shift, RunningStatistics running,
                   const BatchNormOptions& options, Loc loc) {
  const Attributes attributes = {
      .value = options.epsilon, .alpha = options.decay, .axis = options.axis};
  return CompositeScope(kBatchNorm, {x, scale, shift}, loc, attributes).ok() &&
         CompositeScope(kBatchNormStatistics,
                        {x, running.mean, running.variance}, loc, attributes)
             .ok();
}

}  // namespace

Var LayerNorm(Var x, Var scale, Var shift, LayerNormOptions options, Loc loc) {
  return Append(kLayerNorm, {x, scale, shift},
                {.value = options.epsilon,
                 .axis = x.shape().rank() - scale.shape().rank()},
                loc);
}

// ---- BatchNorm: y = (x - m) / sqrt(v + epsilon) scale + shift, over all axes but
// ---- the channels' ----
BatchNormResult BatchNorm(Var x, Var scale, Var shift,
                          RunningStatistics running, BatchNormOptions options,
                          Loc loc) {
  if (!FitsBatchNorm(x, scale, shift, running, options, loc)) {
    return {.y = x.empty() ? x : Var(x.graph(), kNone)};
  }
  const Graph::LocScope scope(x.graph(),
                              x.graph()->loc_scope().line > 0 ? Loc() : loc);
  const Channels channels(x, options.axis);
  const Var count = ElementCount(x.graph(), channels.reduced);
  const Centered centered = Center(x, channels.statistics, count);
  const Var variance =
      MeanSquare(centered.from_mean, channels.statistics, count);
  // Fewer than two elements have no variance, and what is not finite would stay
  // in the running statistics for good.
  const Shape shape = running.mean.shape();
  const Var usable = And(Greater(count, Constant(count, 1)),
                         And(IsFinite(Reshape(centered.mean, shape)),
                             IsFinite(Reshape(variance, shape))));
  const auto decayed = [&](Var old, Var now) {
    const Var next =
        options.decay * old + (1 - options.decay) * Reshape(now, old.shape());
    return Assignment{old, Select(usable, next, old)};
  };
  return {.y = Normalised(centered.from_mean, variance, options.epsilon,
                          channels.Beside(scale), channels.Beside(shift)),
          .assignments = {decayed(running.mean, centered.mean),
                          decayed(running.variance, variance)}};
}

Var BatchNormInference(Var x, Var scale, Var shift, RunningStatistics running,
                       BatchNormOptions options, Loc loc) {
  if (!FitsBatchNorm(x, scale, shift, running, options, loc)) {
    return x.empty() ? x : Var(x.graph(), kNone);
  }
  const Graph::LocScope scope(x.graph(),
                              x.graph()->loc_scope().line > 0 ? Loc() : loc);
  const Channels channels(x, options.axis);
  return Normalised(x - channels.Beside(running.mean),
                    channels.Beside(running.variance), options.epsilon,
                    channels.Beside(scale), channels.Beside(shift));
}

Var BatchNorm(Var x, absl::string_view name, BatchNormOptions options,
              Loc loc) {
  Graph* const graph = x.graph();
  if (graph == nullptr) return Var::WithoutGraph("BatchNorm", loc);
  if (!x.valid()) return x;
  const absl::StatusOr<int> axis = ResolveAxis(options.axis, x.shape().rank());
  if (!axis.ok()) {
    graph->ReportError(loc, "BatchNorm",
                       absl::StrCat(axis.status().message(), " (x ",
                                    graph->Describe(x.id()), ")"));
    return Var(graph, kNone);
  }
  const Shape channels = {x.shape()[*axis]};
  const auto of = [&](absl::string_view part) {
    return absl::StrCat(name, "/", part);
  };
  const Var scale =
      graph->Parameter(of("weight"), channels, Constant(1), Tag::kAuto, loc);
  const Var shift =
      graph->Parameter(of("bias"), channels, Zeros(), Tag::kAuto, loc);
  const RunningStatistics running = {
      .mean = graph->State(of("running_mean"), channels, Zeros(),
                           DType::kFloat32, loc),
      .variance = graph->State(of("running_var"), channels, Constant(1),
                               DType::kFloat32, loc)};
  const BatchNormResult training =
      BatchNorm(x, scale, shift, running, options, loc);
  if (!training.y.valid()) return training.y;
  for (const auto& [variable, value] : training.assignments) {
    graph->AddTrainingAssignment(
        {.trigger = training.y, .variable = variable, .value = value});
  }
  return ByMode(training.y,
                BatchNormInference(x, scale, shift, running, options, loc),
                loc);
}

absl::Span<const OpDef* const> OpsOfNormalise() {
  static constexpr const OpDef* kOps[] = {&kRowScale, &kNormaliseRows,
                                          &kLayerNorm, &kLayerNormSlope};
  return kOps;
}

}  // namespace tape
