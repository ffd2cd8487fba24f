// Softmax and the loss made of it (ops.h), along the last axis. Tested by
// tests/op_test.cc through the sample table.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
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

// The kernel of a map from rows to rows.
template <void (*run)(const float*, int64_t, int64_t, float*)>
std::unique_ptr<Kernel> MakeRowMap(const KernelSpec& spec) {
  return MakeRowsKernel(
      spec.output.shape, [](const KernelArguments& arguments, int64_t begin,
                            int64_t rows, int64_t columns) {
        const int64_t offset = begin * columns;
        run(Floats(arguments, 0) + offset, rows, columns,
            static_cast<float*>(arguments.outputs[0]) + offset);
      });
}

// ln sum e^x of one row, in double.
double LogSumExp(const double* x, int64_t columns) {
  const double max = *std::max_element(x, x + columns);
  double sum = 0;
  for (int64_t c = 0; c < columns; ++c) sum += std::exp(x[c] - max);
  return max + std::log(sum);
}

// The reference of a map f(x, ln sum e^x of x's row).
template <auto f>
void RowReference(const Attributes&, absl::Span<const Tensor> x, Tensor& y) {
  const Rows rows = RowsOf(y.shape());
  const double* const in = x[0].values<double>().data();
  for (int64_t i = 0; i < y.elements(); ++i) {
    const double* const row = in + i / rows.columns * rows.columns;
    y.values<double>()[i] = f(in[i], LogSumExp(row, rows.columns));
  }
}

// Of what works along the last axis: rows are apart unless that is axis 0.
RowRole LastAxisRows(const RowQuery& query) {
  const bool all = std::find(query.in_rows.begin(), query.in_rows.end(),
                             false) == query.in_rows.end();
  return all && query.inputs[0].shape.rank() > 1 ? RowRole::kApart
                                                 : RowRole::kMixed;
}

absl::StatusOr<TensorType> LastAxisMap(absl::Span<const TensorType> x,
                                       const Attributes&) {
  if (absl::Status status = ExpectLastAxis(x[0]); !status.ok()) return status;
  return x[0];
}

// ---- Softmax: y = e^x / sum e^x; dx = y (gy - sum(gy y)) ----
constexpr OpDef kSoftmax = {
    .name = "Softmax",
    .operands = {"x"},
    .shape = LastAxisMap,
    .gradient = [](absl::Span<const Var>, Var y, Var gy, const Attributes&)
        -> Adjoints { return {y * (gy - SumLastAxis(gy * y))}; },
    .reference = RowReference<[](double x, double log_sum) {
      return std::exp(x - log_sum);
    }>,
    .kernel = MakeRowMap<vector::SoftmaxRows>,
    .rows = LastAxisRows,
};

// ---- LogSoftmax: y = x - ln sum e^x; dx = gy - softmax(x) sum(gy) ----
constexpr OpDef kLogSoftmax = {
    .name = "LogSoftmax",
    .operands = {"x"},
    .shape = LastAxisMap,
    .gradient = [](absl::Span<const Var> x, Var, Var gy, const Attributes&)
        -> Adjoints { return {gy - Softmax(x[0]) * SumLastAxis(gy)}; },
    .reference =
        RowReference<[](double x, double log_sum) { return x - log_sum; }>,
    .kernel = MakeRowMap<vector::LogSoftmaxRows>,
    .rows = LastAxisRows,
};

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

}  // namespace

Var Softmax(Var x, Loc loc) { return Append(kSoftmax, {x}, {}, loc); }
Var LogSoftmax(Var x, Loc loc) { return Append(kLogSoftmax, {x}, {}, loc); }
Var SoftmaxCrossEntropy(Var logits, Var labels, Loc loc) {
  return Append(kSoftmaxCrossEntropy, {logits, labels}, {}, loc);
}

}  // namespace tape
