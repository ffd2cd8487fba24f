// Losses (ops.h). Tested by tests/ops/op_test.cc through the sample table.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/reference.h"
#include "ops/op_lists.h"
#include "ops/ops.h"
#include "ops/ranges.h"
#include "ops/rules.h"
#include "ops/vector.h"

namespace tape {
namespace {

// A tensor seen as rows along its last axis.
struct Rows {
  int64_t count;
  int64_t columns;
};

Rows RowsOf(const Shape& shape) {
  const int64_t columns = shape[shape.rank() - 1];
  return {shape.elements() / columns, columns};
}

Shape WithoutLastAxis(const Shape& shape) {
  return Shape(shape.dims().subspan(0, shape.rank() - 1));
}

// The shape with a last axis of 1.
Shape WithLastAxisOne(const Shape& shape) {
  absl::InlinedVector<int64_t, 4> dims(shape.dims().begin(),
                                       shape.dims().end());
  dims.back() = 1;
  return Shape(dims);
}

// x with its last axis summed, kept as 1.
Var SumLastAxis(Var x) { return SumTo(x, WithLastAxisOne(x.shape())); }

// Runs f(arguments, first row, rows, columns) on bands of whole rows.
template <typename F>
std::unique_ptr<Kernel> MakeRowsKernel(const Shape& shape, F f) {
  const Rows rows = RowsOf(shape);
  // Exponentials cost more than the bytes moved.
  return MakeRangesKernel(
      rows.count, 8 * rows.count * rows.columns,
      [=](const KernelArguments& arguments, int64_t begin, int64_t end) {
        f(arguments, begin, end - begin, rows.columns);
      });
}

const float* Floats(const KernelArguments& arguments, int input) {
  return static_cast<const float*>(arguments.inputs[input]);
}

// Of what works along the last axis: rows are apart unless that is axis 0.
RowRole LastAxisRows(const RowQuery& query) {
  const bool all = std::find(query.in_rows.begin(), query.in_rows.end(),
                             false) == query.in_rows.end();
  return all && query.inputs[0].shape.rank() > 1 ? RowRole::kApart
                                                 : RowRole::kMixed;
}

// What labels and logits have in common: labels are classes (int32, of all axes
// but the last) or probabilities (float32, of all).
absl::StatusOr<TensorType> ClassesRule(absl::Span<const TensorType> x,
                                       const Attributes&) {
  if (absl::Status status = ExpectLastAxis(x[0]); !status.ok()) return status;
  const Shape rows = WithoutLastAxis(x[0].shape);
  const bool fits = (x[1].dtype == DType::kInt32 && x[1].shape == rows) ||
                    (x[1].dtype == DType::kFloat32 && x[1].shape == x[0].shape);
  if (fits) return TensorType{DType::kFloat32, rows};
  return absl::InvalidArgumentError(absl::StrCat(
      "expected labels int32", rows.ToString(), " (classes) or ",
      x[0].shape.ToString(), " (probabilities), found ", x[1].ToString()));
}

// Labels of classes that are not there.
std::string RefuseLabels(const FeedQuery& query) {
  if (query.operand != 1 || query.fed.dtype() != DType::kInt32) return "";
  const int64_t classes = RowsOf(query.inputs[0].shape).columns;
  const absl::Span<const int32_t> labels = query.fed.values<int32_t>();
  const std::optional<int32_t> ignored = query.attributes.ignored_label;
  const auto wrong =
      std::find_if(labels.begin(), labels.end(), [&](int32_t label) {
        return (label < 0 || label >= classes) && label != ignored;
      });
  if (wrong == labels.end()) return "";
  return absl::StrCat(
      "SoftmaxCrossEntropy: expected labels of 0 to ", classes - 1,
      ignored.has_value() ? absl::StrCat(", or ", *ignored) : "", ", found ",
      *wrong, " at row ", wrong - labels.begin());
}

const int32_t* Ignored(const std::optional<int32_t>& label) {
  return label.has_value() ? &*label : nullptr;
}

// A kernel on rows of logits: `of_classes` or `of_probabilities`, as the labels
// are; its result has `width` elements a row.
template <auto of_classes, auto of_probabilities>
std::unique_ptr<Kernel> MakeLabelsKernel(const KernelSpec& spec) {
  const Shape& logits = spec.inputs[0].shape;
  const bool reduces = spec.output.shape.rank() < logits.rank();
  const bool classes = spec.inputs[1].dtype == DType::kInt32;
  return MakeRowsKernel(logits, [=, ignored = spec.attributes.ignored_label](
                                    const KernelArguments& arguments,
                                    int64_t begin, int64_t rows,
                                    int64_t columns) {
    const float* const z = Floats(arguments, 0) + begin * columns;
    float* const y = static_cast<float*>(arguments.outputs[0]) +
                     begin * (reduces ? 1 : columns);
    if (classes) {
      of_classes(z, static_cast<const int32_t*>(arguments.inputs[1]) + begin,
                 rows, columns, Ignored(ignored), y);
    } else {
      of_probabilities(z, Floats(arguments, 1) + begin * columns, rows, columns,
                       y);
    }
  });
}

// Softmax(x), for SoftmaxCrossEntropySlope's own derivative: 0 in the rows whose
// label is ignored.
Var CountedSoftmax(Var z, Var labels, const std::optional<int32_t>& ignored) {
  const Var softmax = Softmax(z);
  if (!ignored.has_value() || labels.dtype() != DType::kInt32) return softmax;
  const Var rows = Reshape(labels, WithLastAxisOne(z.shape()));
  return Select(Equal(rows, Constant(rows, *ignored)), Constant(softmax, 0),
                softmax);
}

// The reference of one row, in double: f(c) for its class c, or its labels.
struct ReferenceRow {
  absl::Span<const double> z;
  const double* p;   // A probability for each class, or null;
  double label = 0;  // then the class.

  double Probability(int64_t c) const {
    return p != nullptr ? p[c] : c == label;
  }
};
// The rows of logits x[0] with labels x[1]: f(row, index, counts), where a row
// whose label is ignored does not count. A label that is no class is NaN.
template <typename F>
void ForReferenceRows(const Attributes& attributes, absl::Span<const Tensor> x,
                      F f) {
  const Rows rows = RowsOf(x[0].shape());
  const bool classes = x[1].shape().rank() < x[0].shape().rank();
  const double* const z = x[0].values<double>().data();
  const double* const labels = x[1].values<double>().data();
  for (int64_t r = 0; r < rows.count; ++r) {
    ReferenceRow row = {
        {z + r * rows.columns, static_cast<size_t>(rows.columns)},
        classes ? nullptr : labels + r * rows.columns,
        classes ? labels[r] : 0};
    const bool ignored = classes && attributes.ignored_label == row.label;
    if (classes && (row.label < 0 || row.label >= rows.columns)) {
      row.label = std::numeric_limits<double>::quiet_NaN();
    }
    f(row, r, !ignored);
  }
}

// ---- SoftmaxCrossEntropySlope: y = softmax(z) sum(p) - p ----
// 0 in rows whose label is ignored. With s = softmax(z) and S(g) = sum(g s),
// dz = sum(p) s (gy - S(gy)), dp = S(gy) - gy.
Var SoftmaxCrossEntropySlope(Var z, Var labels, const Attributes& attributes);

constexpr OpDef kSoftmaxCrossEntropySlope = {
    .name = "SoftmaxCrossEntropySlope",
    .operands = {"logits", "labels"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      const absl::StatusOr<TensorType> rows = ClassesRule(x, attributes);
      if (!rows.ok()) return rows.status();
      return x[0];
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      const Var s = CountedSoftmax(x[0], x[1], attributes.ignored_label);
      const Var sum = SumLastAxis(gy * s);
      if (x[1].dtype() == DType::kInt32) return {s * (gy - sum), Var()};
      return {SumLastAxis(x[1]) * (s * (gy - sum)), sum - gy};
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          ForReferenceRows(
              attributes, x,
              [&](const ReferenceRow& row, int64_t r, bool counts) {
                if (!counts) return;
                const int64_t columns = row.z.size();
                const double max =
                    *std::max_element(row.z.begin(), row.z.end());
                // sum of (e[c] p[j] - p[c] e[j]) / sum of e[j], j not c.
                double total = 0;
                for (double z : row.z) total += std::exp(z - max);
                for (int64_t c = 0; c < columns; ++c) {
                  const double e = std::exp(row.z[c] - max);
                  double sum = std::isnan(row.label) ? row.label : 0;
                  for (int64_t j = 0; j < columns; ++j) {
                    if (j == c) continue;
                    sum += e * row.Probability(j) -
                           row.Probability(c) * std::exp(row.z[j] - max);
                  }
                  y.values<double>()[r * columns + c] = sum / total;
                }
              });
        },
    .kernel = MakeLabelsKernel<vector::CrossEntropySlopeRows,
                               vector::ProbabilityCrossEntropySlopeRows>,
    .rows = LastAxisRows,
    .refuses = RefuseLabels,
};

Var SoftmaxCrossEntropySlope(Var z, Var labels, const Attributes& attributes) {
  return Append(kSoftmaxCrossEntropySlope, {z, labels}, attributes,
                Loc::Current());
}

// Both, of the same logits and labels.
constexpr Joint kLossWithSlope = {
    &kSoftmaxCrossEntropySlope,
    [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const bool classes = spec.inputs[1].dtype == DType::kInt32;
      return MakeRowsKernel(
          spec.inputs[0].shape,
          [=, ignored = spec.attributes.ignored_label](
              const KernelArguments& arguments, int64_t begin, int64_t rows,
              int64_t columns) {
            const float* const z = Floats(arguments, 0) + begin * columns;
            auto* const loss =
                static_cast<float*>(arguments.outputs[0]) + begin;
            auto* const slope =
                static_cast<float*>(arguments.outputs[1]) + begin * columns;
            if (classes) {
              const auto* const labels =
                  static_cast<const int32_t*>(arguments.inputs[1]) + begin;
              vector::CrossEntropyWithSlopeRows(z, labels, rows, columns,
                                                Ignored(ignored), loss, slope);
              return;
            }
            const float* const p = Floats(arguments, 1) + begin * columns;
            vector::ProbabilityCrossEntropyRows(z, p, rows, columns, loss);
            vector::ProbabilityCrossEntropySlopeRows(z, p, rows, columns,
                                                     slope);
          });
    }};

// ---- SoftmaxCrossEntropy: loss = -sum p logsoftmax(z) ----
// where p is the one-hot label or the label itself, and 0 ln 0 = 0; 0 for the
// label that is ignored. dz = gy SoftmaxCrossEntropySlope(z, p),
// dp = -gy logsoftmax(z).
constexpr OpDef kSoftmaxCrossEntropy = {
    .name = "SoftmaxCrossEntropy",
    .operands = {"logits", "labels"},
    .shape = ClassesRule,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes& attributes) -> Adjoints {
      const Var g = Reshape(gy, WithLastAxisOne(x[0].shape()));
      const Var dz = g * SoftmaxCrossEntropySlope(x[0], x[1], attributes);
      if (x[1].dtype() == DType::kInt32) return {dz, Var()};
      return {dz, -(g * LogSoftmax(x[0]))};
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          ForReferenceRows(
              attributes, x,
              [&](const ReferenceRow& row, int64_t r, bool counts) {
                if (!counts) return;
                const auto max = std::max_element(row.z.begin(), row.z.end());
                double others = 0;  // Of the largest, e^0 = 1 is left out.
                for (auto z = row.z.begin(); z != row.z.end(); ++z) {
                  if (z != max) others += std::exp(*z - *max);
                }
                double& loss = y.values<double>()[r];
                if (std::isnan(row.label) || std::isinf(*max)) {
                  loss = std::numeric_limits<double>::quiet_NaN();
                  return;
                }
                for (size_t c = 0; c < row.z.size(); ++c) {
                  const double p = row.Probability(c);
                  if (p == 0) continue;
                  loss += p * (std::log1p(others) + (*max - row.z[c]));
                }
              });
        },
    .kernel = MakeLabelsKernel<vector::CrossEntropyRows,
                               vector::ProbabilityCrossEntropyRows>,
    .rows = LastAxisRows,
    .refuses = RefuseLabels,
    .joint = &kLossWithSlope,
};

// ---- SigmoidError: y = sigmoid(z) - p; dz = gy sigmoid'(z), dp = -gy ----
constexpr OpDef kSigmoidError = {
    .name = "SigmoidError",
    .operands = {"logits", "labels"},
    .shape = SameFloats,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      return {gy * SigmoidSlope(x[0]), -gy};
    },
    .reference = MapReference<[](double z, double p) {
      const double small = 1 / (1 + std::exp(std::fabs(z)));
      return z < 0 ? small - p : (1 - p) - small;
    }>,
    .block = Only<vector::SigmoidErrorFloat>,
    .traits = {.elementwise = true},
};

// ---- SigmoidCrossEntropy: loss = |z| q + ln(1 + e^-|z|) ----
// where q is the label's share on the wrong side, 1 - p if z >= 0, else p; 0
// times infinity is 0. This is -p ln s - (1 - p) ln(1 - s), s = sigmoid(z);
// dz = gy (s - p), dp = -gy z.
constexpr OpDef kSigmoidCrossEntropy = {
    .name = "SigmoidCrossEntropy",
    .operands = {"logits", "labels"},
    .shape = SameFloats,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      return {gy * Append(kSigmoidError, {x[0], x[1]}, {}, Loc::Current()),
              -(gy * x[0])};
    },
    .reference = MapReference<[](double z, double p) {
      const double q = z < 0 ? p : 1 - p;
      return (q == 0 ? 0 : std::fabs(z) * q) +
             std::log1p(std::exp(-std::fabs(z)));
    }>,
    .block = Only<vector::SigmoidCrossEntropyFloat>,
    .traits = {.elementwise = true},
};

// ---- What is composed ----

constexpr Composite kMeanSquaredError = {.name = "MeanSquaredError",
                                         .operands = {"prediction", "target"},
                                         .shape = SameFloats};
constexpr Composite kMeanAbsoluteError = {.name = "MeanAbsoluteError",
                                          .operands = {"prediction", "target"},
                                          .shape = SameFloats};
constexpr Composite kHinge = {
    .name = "Hinge", .operands = {"prediction", "target"}, .shape = SameFloats};
constexpr Composite kHuber = {
    .name = "Huber",
    .operands = {"prediction", "target"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (!(attributes.value > 0) ||
          !std::isfinite(static_cast<float>(attributes.value))) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected a finite delta above 0, found ", attributes.value));
      }
      return SameFloats(x, attributes);
    }};
constexpr Composite kKlDivergence = {
    .name = "KlDivergence",
    .operands = {"log_probabilities", "labels"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (absl::Status status = ExpectLastAxis(x[0]); !status.ok()) {
        return status;
      }
      return SameFloats(x, attributes);
    }};
// What SoftmaxCrossEntropy has beyond the op of that name.
constexpr Composite kSmoothing = {
    .name = "SoftmaxCrossEntropy",
    .operands = {"logits", "labels"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (!(attributes.value >= 0 && attributes.value <= 1)) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected a label smoothing of 0 to 1, found ", attributes.value));
      }
      absl::StatusOr<TensorType> type =
          kSoftmaxCrossEntropy.shape(x, attributes);
      if (type.ok() && attributes.ignored_label.has_value() &&
          x[1].dtype != DType::kInt32) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected int32 labels (classes) of which to ignore ",
            *attributes.ignored_label, ", found ", x[1].ToString()));
      }
      if (type.ok() && attributes.value > 0 &&
          x[0].shape[x[0].shape.rank() - 1] == kBatch) {
        return absl::InvalidArgumentError(
            "expected a known number of classes to smooth labels over, found "
            "batch");
      }
      return type;
    }};

Var Reduce(Var losses, Reduction reduction) {
  switch (reduction) {
    case Reduction::kMean:
      return Mean(losses);
    case Reduction::kSum:
      return Sum(losses);
    default:
      return losses;
  }
}

}  // namespace

Var SoftmaxCrossEntropy(Var logits, Var labels,
                        SoftmaxCrossEntropyOptions options, Loc loc) {
  const double smoothing = options.label_smoothing;
  const CompositeScope loss(
      kSmoothing, {logits, labels}, loc,
      {.value = smoothing, .ignored_label = options.ignored_label});
  if (!loss.ok()) return loss.mistake();
  const auto of = [&](Var target) {
    return Append(kSoftmaxCrossEntropy, {logits, target},
                  {.ignored_label = options.ignored_label}, loc);
  };
  Var losses = of(labels);
  const Var none = Constant(losses, 0);
  Var is_ignored;
  if (options.ignored_label.has_value()) {
    is_ignored = Equal(labels, Constant(labels, *options.ignored_label));
  }
  if (smoothing != 0) {
    const Shape& shape = logits.shape();
    const double classes = static_cast<double>(shape[shape.rank() - 1]);
    Var spread = of(Fill(logits.graph(), shape, 1 / classes));
    if (is_ignored.valid()) spread = Select(is_ignored, none, spread);
    losses = (1 - smoothing) * losses + smoothing * spread;
  }
  if (!is_ignored.valid() || options.reduction != Reduction::kMean) {
    return Reduce(losses, options.reduction);
  }
  // Over the rows that count; 0 if there are none.
  const Var count = Sum(1 - Cast(is_ignored, DType::kFloat32));
  return Sum(losses) / Maximum(count, Constant(count, 1));
}

Var SigmoidCrossEntropy(Var logits, Var labels, Reduction reduction, Loc loc) {
  const CompositeScope loss(kSigmoidCrossEntropy, {logits, labels}, loc);
  if (!loss.ok()) return loss.mistake();
  return Reduce(Append(kSigmoidCrossEntropy, {logits, labels}, {}, loc),
                reduction);
}

Var MeanSquaredError(Var prediction, Var target, Reduction reduction, Loc loc) {
  const CompositeScope loss(kMeanSquaredError, {prediction, target}, loc);
  if (!loss.ok()) return loss.mistake();
  return Reduce(Square(prediction - target), reduction);
}

Var MeanAbsoluteError(Var prediction, Var target, Reduction reduction,
                      Loc loc) {
  const CompositeScope loss(kMeanAbsoluteError, {prediction, target}, loc);
  if (!loss.ok()) return loss.mistake();
  return Reduce(Abs(prediction - target), reduction);
}

Var Huber(Var prediction, Var target, HuberOptions options, Loc loc) {
  const CompositeScope loss(kHuber, {prediction, target}, loc,
                            {.value = options.delta});
  if (!loss.ok()) return loss.mistake();
  // Without |d|, whose second derivative at 0 is not that of d^2 / 2.
  const Var d = prediction - target;
  const Var clipped = Clip(d, -options.delta, options.delta);
  return Reduce(clipped * (d - 0.5 * clipped), options.reduction);
}

Var KlDivergence(Var log_probabilities, Var labels, Reduction reduction,
                 Loc loc) {
  const CompositeScope loss(kKlDivergence, {log_probabilities, labels}, loc);
  if (!loss.ok()) return loss.mistake();
  // 0 ln 0 is 0, and so is 0 times a log-probability of -infinity.
  const Var p = labels, none = Constant(p, 0);
  const Var is_zero = Equal(p, none);
  const Var log_p = Log(Select(is_zero, Constant(p, 1), p));
  const Var log_q = Select(is_zero, none, log_probabilities);
  return Reduce(Sum(p * (log_p - log_q), {-1}), reduction);
}

Var Hinge(Var prediction, Var target, Reduction reduction, Loc loc) {
  const CompositeScope loss(kHinge, {prediction, target}, loc);
  if (!loss.ok()) return loss.mistake();
  return Reduce(Relu(1 - target * prediction), reduction);
}

absl::Span<const OpDef* const> OpsOfLoss() {
  static constexpr const OpDef* kOps[] = {&kSoftmaxCrossEntropySlope,
                                          &kSoftmaxCrossEntropy, &kSigmoidError,
                                          &kSigmoidCrossEntropy};
  return kOps;
}

}  // namespace tape
