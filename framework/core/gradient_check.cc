// CheckGradients (gradient_check.h): from a y and its x to OK, or to the worst
// difference between the gradient rules and differences of y. Tested by
// tests/gradient_check_test.cc.
#include "framework/core/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "framework/core/gradients.h"
#include "framework/core/random.h"

namespace tape {
namespace {

absl::Status Refuse(const Graph& graph, Var var, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat(
      graph.node(var).loc.ToString(), ": CheckGradients: expected ", expected,
      ", found ", graph.Describe(var.id())));
}

absl::Status CheckArguments(Var y, absl::Span<const Var> x,
                            const GradientCheckOptions& options) {
  if (y.empty()) {
    return absl::InvalidArgumentError("CheckGradients: y is an empty Var");
  }
  const Graph& graph = *y.graph();
  if (absl::Status status = graph.status(); !status.ok()) return status;
  if (y.dtype() != DType::kFloat32) {
    return Refuse(graph, y, "a float32 y");
  }
  for (Var var : x) {
    if (var.graph() != y.graph()) {
      return absl::InvalidArgumentError(
          var.empty() ? "CheckGradients: an x is an empty Var"
                      : "CheckGradients: an x is of another graph than y");
    }
    if (!graph.node(var).op->traits.source) {
      return Refuse(graph, var, "an x that is an input or a variable");
    }
    if (var.dtype() != DType::kFloat32) {
      return Refuse(graph, var, "a float32 x");
    }
  }
  if (!(options.step > 0) || options.order < 1 || options.order > 2 ||
      options.max_elements < 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "CheckGradients: expected a step above 0, order 1 or 2 and at least 1 "
        "element, found step ",
        options.step, ", order ", options.order, " and ", options.max_elements,
        " elements"));
  }
  return absl::OkStatus();
}

std::string FreeName(const Graph& graph) {
  absl::flat_hash_set<absl::string_view> taken;
  for (int id = 0; id < graph.size(); ++id) taken.insert(graph.node(id).name);
  std::string name;
  int n = 0;
  do {
    name = absl::StrCat("gradient_check/projection/", n++);
  } while (taken.contains(name));
  return name;
}

// Weights with which elements of y count. None is near 0, which would hide an
// error; both signs occur, so that a rule that lost the sign of gy is found.
Tensor DrawProjection(const Shape& shape, RandomStream random) {
  Tensor weights(TensorType{DType::kFloat64, shape});
  for (double& weight : weights.values<double>()) {
    weight = (random.Below(2) == 0 ? -1 : 1) * (0.5 + random.Uniform());
  }
  return weights;
}

// Which elements of an x to move.
std::vector<uint32_t> DrawElements(int64_t elements, int64_t limit,
                                   RandomStream random) {
  std::vector<uint32_t> drawn(elements);
  std::iota(drawn.begin(), drawn.end(), 0);
  if (elements > limit) {
    Shuffle(random, drawn);
    drawn.resize(limit);
  }
  return drawn;
}

// sum of weights * (to - from), divided by the distance moved.
double Slope(const Tensor& weights, const Tensor& from, const Tensor& to,
             double distance) {
  double sum = 0;
  for (int64_t i = 0; i < weights.elements(); ++i) {
    sum += weights.values<double>()[i] *
           (to.values<double>()[i] - from.values<double>()[i]);
  }
  return sum / distance;
}

// Where the graph is evaluated: numbers, in double, for every source that is
// fed and for every x.
class Point {
 public:
  explicit Point(const ReferenceFeeds& feeds) {
    for (const auto& [var, tensor] : feeds) Set(var, ToFloat64(tensor));
  }

  void Set(Var source, Tensor value) {
    if (Tensor* const held = Find(source)) {
      *held = std::move(value);
    } else {
      feeds_.emplace_back(source, std::move(value));
    }
  }

  // The numbers of `source`, or null.
  Tensor* Find(Var source) {
    for (auto& [var, tensor] : feeds_) {
      if (var == source) return &tensor;
    }
    return nullptr;
  }

  absl::StatusOr<std::vector<Tensor>> Evaluate(
      absl::Span<const Var> fetches) const {
    return EvaluateReference(fetches, feeds_);
  }
  absl::StatusOr<Tensor> Evaluate(Var fetch) const {
    absl::StatusOr<std::vector<Tensor>> values = Evaluate({&fetch, 1});
    if (!values.ok()) return values.status();
    return std::move((*values)[0]);
  }

 private:
  ReferenceFeeds feeds_;
};

// The element where rules and differences are furthest apart, so far.
struct Worst {
  // How many times the tolerance they are apart; above 1 is wrong.
  double excess = 0;
  Var x;
  int64_t element = 0;
  double by_rules = 0;
  double below = 0;  // The slope to the left.
  double above = 0;  // The slope to the right.
  int64_t wrong = 0;
  int64_t checked = 0;

  void Add(const GradientCheckOptions& options, Var of_x, int64_t of_element,
           double rules, double slope_below, double slope_above) {
    // Where there is no kink the two slopes differ by the step alone, and this
    // is the ordinary comparison.
    const auto [low, high] = std::minmax(slope_below, slope_above);
    const double nearest = std::clamp(rules, low, high);
    double times = std::fabs(rules - nearest) /
                   (options.absolute + options.relative * std::fabs(nearest));
    if (!std::isfinite(rules) || !std::isfinite(slope_below) ||
        !std::isfinite(slope_above)) {
      times = std::numeric_limits<double>::infinity();
    }
    ++checked;
    if (times > 1) ++wrong;
    if (times <= excess) return;
    excess = times;
    x = of_x;
    element = of_element;
    by_rules = rules;
    below = slope_below;
    above = slope_above;
  }
};

// A gradient, ready to be differentiated again.
struct Checked {
  Var projection;
  std::vector<Var> gradients;
};

// Checks the gradients of `y`, which `name` says what it is, by each of `x`, at
// `point`, to which it adds the numbers of the projection.
absl::StatusOr<Checked> CheckFirstOrder(Var y, const std::string& name,
                                        absl::Span<const Var> x, Point& point,
                                        const GradientCheckOptions& options) {
  Graph& graph = *y.graph();
  const Loc loc = graph.node(y).loc;
  const absl::StatusOr<Tensor> y_here = point.Evaluate(y);
  if (!y_here.ok()) return y_here.status();

  const std::string projection_name = FreeName(graph);
  const Var projection =
      graph.Input(projection_name, y.shape(), DType::kFloat32, loc);
  const uint64_t stream = StreamOf(projection_name);
  const Tensor weights =
      DrawProjection(y_here->shape(), RandomStream(options.seed, stream));
  point.Set(projection, weights);

  const std::vector<Var> gradients = Gradients(
      y, x, {.seed = projection, .unconnected = Unconnected::kZero}, loc);
  if (absl::Status status = graph.status(); !status.ok()) return status;
  const absl::StatusOr<std::vector<Tensor>> by_rules =
      point.Evaluate(gradients);
  if (!by_rules.ok()) return by_rules.status();

  Worst worst;
  for (size_t k = 0; k < x.size(); ++k) {
    const auto elements = point.Find(x[k])->values<double>();
    for (uint32_t i : DrawElements(elements.size(), options.max_elements,
                                   RandomStream(options.seed, ~stream))) {
      const double here = elements[i];
      const double step = options.step * std::max(1.0, std::fabs(here));
      elements[i] = here - step;
      const absl::StatusOr<Tensor> y_below = point.Evaluate(y);
      elements[i] = here + step;
      const absl::StatusOr<Tensor> y_above = point.Evaluate(y);
      elements[i] = here;
      if (!y_below.ok()) return y_below.status();
      if (!y_above.ok()) return y_above.status();
      // The distances really moved: here ± step is rounded.
      worst.Add(options, x[k], i, (*by_rules)[k].values<double>()[i],
                Slope(weights, *y_below, *y_here, here - (here - step)),
                Slope(weights, *y_here, *y_above, (here + step) - here));
    }
  }
  if (worst.excess <= 1) return Checked{projection, gradients};
  return absl::InternalError(absl::StrCat(
      loc.ToString(), ": CheckGradients: the derivative of ", name,
      " by element ", worst.element, " of x (", graph.Describe(worst.x.id()),
      ") is ", worst.by_rules, " by the gradient rules, but y's slope is ",
      worst.below, " below and ", worst.above, " above; the worst of ",
      worst.wrong, " wrong among ", worst.checked, " checked"));
}

}  // namespace

absl::Status CheckGradients(Var y, absl::Span<const Var> x,
                            const ReferenceFeeds& feeds,
                            const GradientCheckOptions& options) {
  if (absl::Status status = CheckArguments(y, x, options); !status.ok()) {
    return status;
  }
  const Graph& graph = *y.graph();
  Point point(feeds);
  for (Var var : x) {
    if (point.Find(var) != nullptr) continue;
    const Node& node = graph.node(var);
    if (node.variable == kNone) {
      return absl::InvalidArgumentError(
          absl::StrCat(node.loc.ToString(), ": CheckGradients: input \"",
                       node.name, "\" is an x and was not fed"));
    }
    point.Set(var, ToFloat64(graph.Value(var)));
  }

  const std::string name = absl::StrCat("y (", graph.Describe(y.id()), ")");
  const absl::StatusOr<Checked> first =
      CheckFirstOrder(y, name, x, point, options);
  if (!first.ok() || options.order == 1) return first.status();

  // A gradient depends on each x and, linearly, on the derivative of the loss
  // by y, which the projection stands for.
  std::vector<Var> sources(x.begin(), x.end());
  sources.push_back(first->projection);
  for (size_t k = 0; k < x.size(); ++k) {
    const absl::StatusOr<Checked> second =
        CheckFirstOrder(first->gradients[k],
                        absl::StrCat("the gradient of ", name, " by x (",
                                     graph.Describe(x[k].id()), ")"),
                        sources, point, options);
    if (!second.ok()) return second.status();
  }
  return absl::OkStatus();
}

}  // namespace tape
