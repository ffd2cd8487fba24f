// Losses (ops.h). Tested by tests/op_test.cc through the sample table.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/reference.h"
#include "ops/ops.h"
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

// Runs f(rows begin, rows end) on bands of whole rows.
template <typename F>
class RowsKernel : public Kernel {
 public:
  RowsKernel(Rows rows, F f) : rows_(rows), f_(f) {
    // Some 10 µs of exponentials.
    constexpr int64_t kElementsPerChunk = 16 * 1024;
    constexpr int64_t kMaxChunks = 32;
    const int64_t wanted = rows.count * rows.columns / kElementsPerChunk;
    const int64_t chunks = std::clamp<int64_t>(
        wanted, 1, std::clamp<int64_t>(rows.count, 1, kMaxChunks));
    length_ = (rows.count + chunks - 1) / chunks;
    chunks_ = static_cast<int>(chunks);
  }
  int chunks() const override { return chunks_; }
  void Run(int chunk, const KernelArguments& arguments) const override {
    const int64_t begin = std::min(rows_.count, chunk * length_);
    const int64_t end = std::min(rows_.count, begin + length_);
    f_(arguments, begin, end - begin, rows_.columns);
  }

 private:
  Rows rows_;
  F f_;
  int64_t length_;
  int chunks_;
};

template <typename F>
std::unique_ptr<Kernel> MakeRowsKernel(const Shape& shape, F f) {
  return std::make_unique<RowsKernel<F>>(RowsOf(shape), f);
}

const float* Floats(const KernelArguments& arguments, int input) {
  return static_cast<const float*>(arguments.inputs[input]);
}

// ln sum e^x of one row, in double.
double LogSumExp(const double* x, int64_t columns) {
  const double max = *std::max_element(x, x + columns);
  double sum = 0;
  for (int64_t c = 0; c < columns; ++c) sum += std::exp(x[c] - max);
  return max + std::log(sum);
}

// Of what works along the last axis: rows are apart unless that is axis 0.
RowRole LastAxisRows(const RowQuery& query) {
  const bool all = std::find(query.in_rows.begin(), query.in_rows.end(),
                             false) == query.in_rows.end();
  return all && query.inputs[0].shape.rank() > 1 ? RowRole::kApart
                                                 : RowRole::kMixed;
}

// ---- SoftmaxCrossEntropy: loss = -sum p logsoftmax(z) ----
// where p is the one-hot label or the label itself;
// dz = gy (softmax(z) sum(p) - p), dp = -gy logsoftmax(z).
constexpr OpDef kSoftmaxCrossEntropy = {
    .name = "SoftmaxCrossEntropy",
    .operands = {"logits", "labels"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes&) -> absl::StatusOr<TensorType> {
      if (absl::Status status = ExpectLastAxis(x[0]); !status.ok()) {
        return status;
      }
      const Shape rows = WithoutLastAxis(x[0].shape);
      if (x[1].dtype == DType::kInt32 && x[1].shape == rows) {
        return TensorType{DType::kFloat32, rows};
      }
      if (x[1].dtype == DType::kFloat32 && x[1].shape == x[0].shape) {
        return TensorType{DType::kFloat32, rows};
      }
      return absl::InvalidArgumentError(absl::StrCat(
          "expected labels int32", rows.ToString(), " (classes) or ",
          x[0].shape.ToString(), " (probabilities), found ", x[1].ToString()));
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      const Var z = x[0];
      const Var g = Reshape(gy, WithLastAxisOne(z.shape()));
      if (x[1].dtype() == DType::kInt32) {
        const int64_t classes = z.shape()[z.shape().rank() - 1];
        return {g * (Softmax(z) - OneHot(x[1], classes)), Var()};
      }
      const Var p = x[1];
      return {g * (Softmax(z) * SumLastAxis(p) - p), -(g * LogSoftmax(z))};
    },
    .reference =
        [](const Attributes&, absl::Span<const Tensor> x, Tensor& y) {
          const Rows rows = RowsOf(x[0].shape());
          const bool classes = x[1].shape().rank() < x[0].shape().rank();
          const auto labels = x[1].values<double>();
          const double* z = x[0].values<double>().data();
          for (int64_t r = 0; r < rows.count; ++r, z += rows.columns) {
            const double log_sum = LogSumExp(z, rows.columns);
            double& loss = y.values<double>()[r];
            if (!classes) {
              for (int64_t c = 0; c < rows.columns; ++c) {
                loss += labels[r * rows.columns + c] * (log_sum - z[c]);
              }
              continue;
            }
            // Not as a sum over one-hot labels: 0 times an infinite logit of
            // another class would be NaN.
            const int64_t label = static_cast<int64_t>(labels[r]);
            loss = label >= 0 && label < rows.columns
                       ? log_sum - z[label]
                       : std::numeric_limits<double>::quiet_NaN();
          }
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const Shape& logits = spec.inputs[0].shape;
      if (spec.inputs[1].dtype == DType::kInt32) {
        return MakeRowsKernel(logits, [](const KernelArguments& arguments,
                                         int64_t begin, int64_t rows,
                                         int64_t columns) {
          vector::CrossEntropyRows(
              Floats(arguments, 0) + begin * columns,
              static_cast<const int32_t*>(arguments.inputs[1]) + begin, rows,
              columns, static_cast<float*>(arguments.outputs[0]) + begin);
        });
      }
      return MakeRowsKernel(
          logits, [](const KernelArguments& arguments, int64_t begin,
                     int64_t rows, int64_t columns) {
            vector::ProbabilityCrossEntropyRows(
                Floats(arguments, 0) + begin * columns,
                Floats(arguments, 1) + begin * columns, rows, columns,
                static_cast<float*>(arguments.outputs[0]) + begin);
          });
    },
    .rows = LastAxisRows,
};

// ---- SigmoidCrossEntropy: loss = max(z, 0) - z p + ln(1 + e^-|z|) ----
// which is -p ln s - (1 - p) ln(1 - s), s = sigmoid(z); dz = gy (s - p),
// dp = -gy z.
constexpr OpDef kSigmoidCrossEntropy = {
    .name = "SigmoidCrossEntropy",
    .operands = {"logits", "labels"},
    .shape = SameFloats,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      return {gy * (Sigmoid(x[0]) - x[1]), -(gy * x[0])};
    },
    .reference = MapReference<[](double z, double p) {
      return (z < 0 ? 0 : z) - z * p + std::log1p(std::exp(-std::fabs(z)));
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
  const Composing loss(kSmoothing, {logits, labels}, loc, {.value = smoothing});
  if (!loss.ok()) return loss.mistake();
  const auto of = [&](Var target) {
    return Append(kSoftmaxCrossEntropy, {logits, target}, {}, loc);
  };
  Var losses = of(labels);
  if (smoothing != 0) {
    const Shape& shape = logits.shape();
    const double classes = static_cast<double>(shape[shape.rank() - 1]);
    const Var uniform = Fill(logits.graph(), shape, 1 / classes);
    losses = (1 - smoothing) * losses + smoothing * of(uniform);
  }
  return Reduce(losses, options.reduction);
}

Var SigmoidCrossEntropy(Var logits, Var labels, Reduction reduction, Loc loc) {
  const Composing loss(kSigmoidCrossEntropy, {logits, labels}, loc);
  if (!loss.ok()) return loss.mistake();
  return Reduce(Append(kSigmoidCrossEntropy, {logits, labels}, {}, loc),
                reduction);
}

Var MeanSquaredError(Var prediction, Var target, Reduction reduction, Loc loc) {
  const Composing loss(kMeanSquaredError, {prediction, target}, loc);
  if (!loss.ok()) return loss.mistake();
  return Reduce(Square(prediction - target), reduction);
}

Var MeanAbsoluteError(Var prediction, Var target, Reduction reduction,
                      Loc loc) {
  const Composing loss(kMeanAbsoluteError, {prediction, target}, loc);
  if (!loss.ok()) return loss.mistake();
  return Reduce(Abs(prediction - target), reduction);
}

Var Huber(Var prediction, Var target, HuberOptions options, Loc loc) {
  const Composing loss(kHuber, {prediction, target}, loc,
                       {.value = options.delta});
  if (!loss.ok()) return loss.mistake();
  // Without |d|, whose second derivative at 0 is not that of d^2 / 2.
  const Var d = prediction - target;
  const Var clipped = Clip(d, -options.delta, options.delta);
  return Reduce(clipped * (d - 0.5 * clipped), options.reduction);
}

Var KlDivergence(Var log_probabilities, Var labels, Reduction reduction,
                 Loc loc) {
  const Composing loss(kKlDivergence, {log_probabilities, labels}, loc);
  if (!loss.ok()) return loss.mistake();
  // 0 ln 0 is 0, and so is 0 times a log-probability of -infinity.
  const Var p = labels, none = Constant(p, 0);
  const Var is_zero = Equal(p, none);
  const Var log_p = Log(Select(is_zero, Constant(p, 1), p));
  const Var log_q = Select(is_zero, none, log_probabilities);
  return Reduce(Sum(p * (log_p - log_q), {-1}), reduction);
}

Var Hinge(Var prediction, Var target, Reduction reduction, Loc loc) {
  const Composing loss(kHinge, {prediction, target}, loc);
  if (!loss.ok()) return loss.mistake();
  return Reduce(Relu(1 - target * prediction), reduction);
}

}  // namespace tape
