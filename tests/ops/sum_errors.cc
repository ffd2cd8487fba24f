#include "tests/ops/sum_errors.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <utility>

#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {
namespace {

// The largest relative error of one rounding to float32.
constexpr double kRounding = 0x1p-24;

// Lines of x along an axis: element i of line k is x[k * line_step + i * step].
struct Layout {
  const char* axis;
  Shape shape;  // With kBatch where the axis is that of a batch.
  std::vector<int> axes;
  int64_t lines, line_step, length, step;
};

std::vector<Layout> Layouts(int64_t elements) {
  const int64_t n = elements / 4;
  return {{"0", {kBatch, 4}, {0}, 4, 1, n, 4},
          {"1", {4, n}, {1}, 4, n, n, 1},
          {"all", {elements}, {}, 1, 0, elements, 1}};
}

struct Data {
  const char* name;
  std::function<float(int64_t)> number;
};

std::vector<Data> AllData() {
  return {{"large mean",
           [](int64_t i) { return 1e6f + static_cast<float>(i / 4 % 3); }},
          {"alternating signs",
           [](int64_t i) {
             const float size = 1 + static_cast<float>(i % 1013) / 1024;
             return i / 4 % 2 == 0 ? size : -size;
           }},
          {"all equal", [](int64_t) { return 0.1f; }}};
}

// What the exact results of a line are, as fed to `found(value, scale)` in
// order: each with what its error is relative to.
using Line = std::function<long double(int64_t)>;
using Found = std::function<void(long double value, long double scale)>;
using Exact = std::function<void(const Line& x, int64_t n, const Found& found)>;

void ExactSum(const Line& x, int64_t n, bool mean, const Found& found) {
  long double sum = 0, size = 0;
  for (int64_t i = 0; i < n; ++i) sum += x(i), size += std::fabs(x(i));
  found(mean ? sum / n : sum, mean ? size / n : size);
}

void ExactVariance(const Line& x, int64_t n, const Found& found) {
  long double sum = 0, squares = 0;
  for (int64_t i = 0; i < n; ++i) sum += x(i);
  const long double mean = sum / n;
  for (int64_t i = 0; i < n; ++i) squares += (x(i) - mean) * (x(i) - mean);
  // Of equal numbers long double itself does not find an exact mean.
  const bool is_constant = squares / n < 1e-25L * mean * mean;
  found(is_constant ? 0 : squares / n, is_constant ? 1e-30L : squares / n);
}

void ExactCumSum(const Line& x, int64_t n, const Found& found) {
  long double sum = 0, size = 0;
  for (int64_t i = 0; i < n; ++i) {
    sum += x(i), size += std::fabs(x(i));
    found(sum, size);
  }
}

// All of ln sum e^x, or each of e^x / sum e^x.
void ExactSoftmax(const Line& x, int64_t n, bool log_sum, const Found& found) {
  long double most = x(0), sum = 0;
  for (int64_t i = 0; i < n; ++i) most = std::max(most, x(i));
  for (int64_t i = 0; i < n; ++i) sum += std::exp(x(i) - most);
  const long double total = most + std::log(sum);
  if (log_sum) return found(total, std::max(1.0L, std::fabs(total)));
  for (int64_t i = 0; i < n; ++i) {
    const long double p = std::exp(x(i) - most) / sum;
    found(p, p);
  }
}

// ScatterAdd has the element i of a line go to place i % kPlaces.
constexpr int64_t kPlaces = 3;
void ExactScatter(const Line& x, int64_t n, const Found& found) {
  for (int64_t place = 0; place < kPlaces; ++place) {
    long double sum = 0, size = 0;
    for (int64_t i = place; i < n; i += kPlaces) {
      sum += x(i), size += std::fabs(x(i));
    }
    found(sum, std::max(size, 1e-30L));
  }
}

struct Op {
  const char* name;
  double bound;  // In roundings.
  std::function<Var(Var x, const Layout& layout, Var indices)> build;
  Exact exact;
};

// The axis of ops along one.
int AxisOf(const Layout& layout) {
  return layout.axes.empty() ? 0 : layout.axes[0];
}

// The gradient of a bias that the columns of a layer have, or its rows, where x
// is the gradient of the layer.
Var BiasGradient(Var x, const Layout& layout) {
  const int64_t lines = layout.lines;
  Shape shape = {lines};
  if (AxisOf(layout) == 1) shape = {lines, 1};
  const Var b = x.graph()->Parameter("b", shape, Zeros());
  const Var y = AxisOf(layout) == 1 || layout.axes.empty()
                    ? x + b
                    : MatMul(x, x.graph()->Parameter("w", {4, 4}, Zeros())) + b;
  return Gradients(Sum(y * x), {b})[0];
}

std::vector<Op> Ops() {
  // Of each the bound that ops.h states. Exponentials are off by 4 roundings,
  // and by as many more where x - max, below 4, is rounded; their sums by 8; the
  // logarithm by 8 of its size.
  return {
      {"Sum", 4.1, [](Var x, const Layout& of, Var) { return Sum(x, of.axes); },
       [](const Line& x, int64_t n, const Found& found) {
         ExactSum(x, n, /*mean=*/false, found);
       }},
      {"Mean", 5.1,
       [](Var x, const Layout& of, Var) { return Mean(x, of.axes); },
       [](const Line& x, int64_t n, const Found& found) {
         ExactSum(x, n, /*mean=*/true, found);
       }},
      {"Variance", 8,
       [](Var x, const Layout& of, Var) { return Variance(x, of.axes); },
       ExactVariance},
      {"LogSumExp", 32,
       [](Var x, const Layout& of, Var) { return LogSumExp(x, of.axes); },
       [](const Line& x, int64_t n, const Found& found) {
         ExactSoftmax(x, n, /*log_sum=*/true, found);
       }},
      {"Softmax", 32,
       [](Var x, const Layout& of, Var) { return Softmax(x, AxisOf(of)); },
       [](const Line& x, int64_t n, const Found& found) {
         ExactSoftmax(x, n, /*log_sum=*/false, found);
       }},
      {"CumSum", 1.1,
       [](Var x, const Layout& of, Var) { return CumSum(x, AxisOf(of)); },
       ExactCumSum},
      {"ScatterAdd", 1.1,
       [](Var x, const Layout& of, Var indices) {
         Shape shape = {kPlaces};
         if (of.lines > 1) {
           shape = AxisOf(of) == 0 ? Shape({kPlaces, 4}) : Shape({4, kPlaces});
         }
         return ScatterAdd(x, indices, shape, AxisOf(of));
       },
       ExactScatter},
      {"BiasGradient", 4.1,
       [](Var x, const Layout& of, Var) { return BiasGradient(x, of); },
       [](const Line& x, int64_t n, const Found& found) {
         ExactSum(x, n, /*mean=*/false, found);
       }},
  };
}

SumError Measure(const Op& op, const Layout& layout, const Data& data) {
  const int64_t elements = layout.lines * layout.length;
  Graph graph;
  const Var input = graph.Input("x", layout.shape);
  const bool batch = layout.shape[0] == kBatch;
  const Var indices =
      graph.Input("indices", {batch ? kBatch : layout.length}, DType::kInt32);
  const Var y = op.build(input, layout, indices);
  Tensor x({DType::kFloat32, layout.shape.Bind(layout.length)});
  for (int64_t i = 0; i < elements; ++i) {
    // Alike along either axis.
    const int64_t line = layout.step == 1 ? i / layout.length : i % 4;
    const int64_t at = layout.step == 1 ? i % layout.length : i / 4;
    x.values<float>()[i] = data.number(4 * at + line);
  }
  Tensor places({DType::kInt32, {layout.length}});
  for (int64_t i = 0; i < layout.length; ++i) {
    places.values<int32_t>()[i] = static_cast<int32_t>(i % kPlaces);
  }
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = {y}});
  TAPE_CHECK(plan.ok());
  std::vector<Feed> feeds = {{input, x}};
  if (op.name == std::string("ScatterAdd")) feeds.push_back({indices, places});
  const absl::Status status = plan->Run(feeds);
  TAPE_CHECK(status.ok());
  const absl::Span<const float> values = plan->Value(y).values<float>();
  // As many results to a line as there are, in the order of x.
  const int64_t results = static_cast<int64_t>(values.size()) / layout.lines;
  const int64_t line_step = layout.step == 1 ? results : 1;
  long double worst = 0;
  for (int64_t k = 0; k < layout.lines; ++k) {
    int64_t next = 0;
    const float* const from = x.values<float>().data() + k * layout.line_step;
    op.exact([&](int64_t i) -> long double { return from[i * layout.step]; },
             layout.length,
             [&](long double value, long double scale) {
               const int64_t at = k * line_step + next++ * layout.step;
               const long double error = std::fabs(values[at] - value) / scale;
               worst = error <= worst ? worst : error;  // NaN is the worst.
             });
    TAPE_CHECK(next == results);
  }
  return {op.name,
          layout.axis,
          data.name,
          elements,
          static_cast<double>(worst),
          op.bound * kRounding};
}

}  // namespace

std::vector<SumError> MeasureSumErrors(int64_t elements) {
  std::vector<SumError> errors;
  for (const Op& op : Ops()) {
    for (const Layout& layout : Layouts(elements)) {
      for (const Data& data : AllData()) {
        errors.push_back(Measure(op, layout, data));
      }
    }
  }
  return errors;
}

}  // namespace tape
