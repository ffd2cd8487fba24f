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
#include "framework/core/calculus.h"
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

// sum of weights * (to - from).
double Change(const Tensor& weights, const Tensor& from, const Tensor& to) {
  double sum = 0;
  for (int64_t i = 0; i < weights.elements(); ++i) {
    sum += weights.values<double>()[i] *
           (to.values<double>()[i] - from.values<double>()[i]);
  }
  return sum;
}

// The nodes up to `y` that it depends on.
std::vector<bool> NeededBy(const Graph& graph, int y) {
  std::vector<bool> needed(y + 1, false);
  needed[y] = true;
  for (int id = y; id >= 0; --id) {
    if (!needed[id]) continue;
    for (int input : graph.node(id).inputs) needed[input] = true;
  }
  return needed;
}

// Where the graph is evaluated: numbers, in double, for what is fed, and for
// nodes that are held.
class Point {
 public:
  explicit Point(const ReferenceFeeds& feeds) {
    for (const auto& [var, tensor] : feeds) Feed(var, ToFloat64(tensor));
  }

  void Feed(Var source, Tensor value) { Set(feeds_, source, std::move(value)); }
  void Hold(Var node, Tensor value) { Set(held_, node, std::move(value)); }
  void Release(Var node) {
    std::erase_if(held_, [&](const auto& held) { return held.first == node; });
  }
  // From here on what StopGradient stops on the way to `y` is held.
  absl::Status HoldStopped(Var y) {
    Graph* const graph = y.graph();
    const std::vector<bool> needed = NeededBy(*graph, y.id());
    std::vector<Var> stopped;
    for (int id = 0; id <= y.id(); ++id) {
      if (needed[id] && graph->node(id).op == &kStopGradient) {
        stopped.push_back(Var(graph, id));
      }
    }
    if (stopped.empty()) return absl::OkStatus();
    absl::StatusOr<std::vector<Tensor>> values = Evaluate(stopped);
    if (!values.ok()) return values.status();
    for (size_t i = 0; i < stopped.size(); ++i) {
      Hold(stopped[i], std::move((*values)[i]));
    }
    return absl::OkStatus();
  }

  bool IsFed(Var source) const {
    return std::any_of(feeds_.begin(), feeds_.end(),
                       [&](const auto& feed) { return feed.first == source; });
  }

  absl::StatusOr<std::vector<Tensor>> Evaluate(
      absl::Span<const Var> fetches) const {
    return EvaluateReference(fetches, feeds_, held_);
  }
  absl::StatusOr<Tensor> Evaluate(Var fetch) const {
    absl::StatusOr<std::vector<Tensor>> values = Evaluate({&fetch, 1});
    if (!values.ok()) return values.status();
    return std::move((*values)[0]);
  }

  // The batch size; 0 if nothing that is fed has it.
  int64_t Batch() const {
    for (const auto& [var, tensor] : feeds_) {
      for (int axis = 0; axis < var.shape().rank(); ++axis) {
        if (var.shape()[axis] == kBatch) return tensor.shape()[axis];
      }
    }
    return 0;
  }

 private:
  static void Set(ReferenceFeeds& values, Var var, Tensor value) {
    for (auto& [held, tensor] : values) {
      if (held != var) continue;
      tensor = std::move(value);
      return;
    }
    values.emplace_back(var, std::move(value));
  }

  ReferenceFeeds feeds_, held_;
};

// A number, and how far it may be off.
struct Estimate {
  double value = std::numeric_limits<double>::quiet_NaN();
  double error = std::numeric_limits<double>::infinity();
};

// The limit of a difference quotient whose error goes with step^order, from its
// values at steps that are each a fourth of the one before.
class Limit {
 public:
  static constexpr double kShrink = 4;

  explicit Limit(int order) : factor_(std::pow(kShrink, order)) {}

  // `rounding`: how far the quotient may be off for want of digits.
  void Add(double quotient, double rounding) {
    if (!std::isfinite(quotient))
      return;  // It may be finite for smaller steps.
    const double extrapolated = (factor_ * quotient - last_) / (factor_ - 1);
    Consider(quotient, std::fabs(quotient - last_) + rounding);
    Consider(extrapolated,
             std::fabs(extrapolated - last_extrapolated_) + rounding);
    last_ = quotient;
    last_extrapolated_ = extrapolated;
  }
  const Estimate& best() const { return best_; }

 private:
  void Consider(double value, double error) {
    if (error < best_.error) best_ = {value, error};  // Never of the first.
  }

  const double factor_;
  double last_ = std::numeric_limits<double>::quiet_NaN();
  double last_extrapolated_ = std::numeric_limits<double>::quiet_NaN();
  Estimate best_;
};

// The slopes of y at an element of x.
struct Slopes {
  double below = 0;
  double above = 0;
  double error = 0;  // Of either.
};

// Finds them by moving the element.
class Mover {
 public:
  Mover(Var y, const Tensor& y_here, const Tensor& weights, Var x,
        const Tensor& x_here, bool is_source, Point& point)
      : y_(y),
        y_here_(y_here),
        weights_(weights),
        x_(x),
        x_here_(x_here),
        is_source_(is_source),
        point_(point) {
    for (int64_t i = 0; i < weights.elements(); ++i) {
      magnitude_ +=
          std::fabs(weights.values<double>()[i] * y_here.values<double>()[i]);
    }
  }
  ~Mover() {
    if (is_source_) {
      point_.Feed(x_, x_here_);
    } else if (x_.graph()->node(x_).op == &kStopGradient) {
      point_.Hold(x_, x_here_);  // As before.
    } else {
      point_.Release(x_);
    }
  }

  // By one step each way.
  absl::StatusOr<Slopes> AtStep(int64_t element, double step) {
    const absl::StatusOr<Moved> below = Move(element, -step);
    if (!below.ok()) return below.status();
    const absl::StatusOr<Moved> above = Move(element, step);
    if (!above.ok()) return above.status();
    return Slopes{below->change / below->distance,
                  above->change / above->distance};
  }

  // By steps that are controlled.
  absl::StatusOr<Slopes> AtBestStep(int64_t element) {
    constexpr double kFirst = 1e-2, kLast = 1e-10;
    const double scale =
        std::max(1.0, std::fabs(x_here_.values<double>()[element]));
    Limit low(1), high(1), central(2);
    for (double step = kFirst; step >= kLast; step /= Limit::kShrink) {
      const absl::StatusOr<Moved> below = Move(element, -step * scale);
      if (!below.ok()) return below.status();
      const absl::StatusOr<Moved> above = Move(element, step * scale);
      if (!above.ok()) return above.status();
      const double rounding =
          std::numeric_limits<double>::epsilon() * magnitude_ / (step * scale);
      low.Add(below->change / below->distance, rounding);
      high.Add(above->change / above->distance, rounding);
      central.Add(
          (above->change - below->change) / (above->distance - below->distance),
          rounding);
    }
    const Estimate &l = low.best(), &h = high.best(), &c = central.best();
    const bool one_sided = std::isfinite(l.value) && std::isfinite(h.value);
    // Where the sides agree as far as can be told there is one slope, which the
    // central quotient knows best.
    if (one_sided && std::fabs(h.value - l.value) <= 4 * (l.error + h.error)) {
      return Slopes{c.value, c.value, c.error};
    }
    return Slopes{l.value, h.value, std::max(l.error, h.error)};
  }

 private:
  struct Moved {
    double change;    // Of y.
    double distance;  // Really moved: e + step is rounded. Of either sign.
  };

  absl::StatusOr<Moved> Move(int64_t element, double by) {
    Tensor x = x_here_;
    const double here = x.values<double>()[element];
    x.values<double>()[element] = here + by;
    if (is_source_) {
      point_.Feed(x_, std::move(x));
    } else {
      point_.Hold(x_, std::move(x));
    }
    const absl::StatusOr<Tensor> y = point_.Evaluate(y_);
    if (!y.ok()) return y.status();
    return Moved{Change(weights_, y_here_, *y), (here + by) - here};
  }

  const Var y_;
  const Tensor& y_here_;
  const Tensor& weights_;
  const Var x_;
  const Tensor& x_here_;
  const bool is_source_;
  Point& point_;
  double magnitude_ = 0;  // Sum of |weight y|.
};

// How many times the tolerance `derivative` is from the slopes; above 1 is
// wrong.
double Excess(const GradientCheckOptions& options, double derivative,
              const Slopes& slopes) {
  if (!std::isfinite(derivative) || !std::isfinite(slopes.below) ||
      !std::isfinite(slopes.above)) {
    return std::numeric_limits<double>::infinity();
  }
  // Where there is no kink the two slopes differ by the step alone, and this is
  // the ordinary comparison.
  const auto [low, high] = std::minmax(slopes.below, slopes.above);
  const double nearest = std::clamp(derivative, low, high);
  // Slopes that are off by more than this decide nothing, and are no excuse.
  const double most = 10 * options.absolute + 0.05 * std::fabs(nearest);
  return std::fabs(derivative - nearest) /
         (options.absolute + options.relative * std::fabs(nearest) +
          std::min(slopes.error, most));
}

// The element where rules and differences are furthest apart, so far.
struct Worst {
  double excess = 0;
  size_t x = 0;  // Which.
  int64_t element = 0;
  double by_rules = 0;
  Slopes slopes;
  int64_t wrong = 0;
  int64_t checked = 0;

  bool IsWrong() const { return excess > 1; }
};

// ") is 2 by …": both figures.
std::string Figures(const Worst& worst, absl::string_view of) {
  return absl::StrCat(" is ", worst.by_rules, " by ",
                      of == "y" ? "the gradient rules" : "its gradient rule",
                      ", but ", of, "'s slope is ", worst.slopes.below,
                      " below and ", worst.slopes.above, " above",
                      worst.slopes.error > 0
                          ? absl::StrCat(", give or take ", worst.slopes.error)
                          : "");
}

// A gradient that was compared with differences, ready to be differentiated
// again.
struct Comparison {
  Var projection;
  std::vector<Var> gradients;
  Worst worst;
};

// Compares the gradients of `y` by each of `x` with differences, at `point`, to
// which it adds the numbers of the projection.
absl::StatusOr<Comparison> Compare(Var y, absl::Span<const Var> x, Point& point,
                                   const GradientCheckOptions& options) {
  Graph& graph = *y.graph();
  const Loc loc = graph.node(y).loc;
  if (absl::Status status = point.HoldStopped(y); !status.ok()) return status;
  const absl::StatusOr<Tensor> y_here = point.Evaluate(y);
  if (!y_here.ok()) return y_here.status();

  const std::string projection_name = FreeName(graph);
  Comparison result;
  result.projection =
      graph.Input(projection_name, y.shape(), DType::kFloat32, loc);
  const uint64_t stream = StreamOf(projection_name);
  const Tensor weights =
      DrawProjection(y_here->shape(), RandomStream(options.seed, stream));
  point.Feed(result.projection, weights);

  result.gradients = Gradients(
      y, x, {.seed = result.projection, .unconnected = Unconnected::kZero},
      loc);
  if (absl::Status status = graph.status(); !status.ok()) return status;
  const absl::StatusOr<std::vector<Tensor>> by_rules =
      point.Evaluate(result.gradients);
  if (!by_rules.ok()) return by_rules.status();

  Worst& worst = result.worst;
  for (size_t k = 0; k < x.size(); ++k) {
    const absl::StatusOr<Tensor> x_here = point.Evaluate(x[k]);
    if (!x_here.ok()) return x_here.status();
    Mover mover(y, *y_here, weights, x[k], *x_here,
                graph.node(x[k]).op->traits.source, point);
    for (uint32_t i : DrawElements(x_here->elements(), options.max_elements,
                                   RandomStream(options.seed, ~stream))) {
      const double rules = (*by_rules)[k].values<double>()[i];
      const double here = x_here->values<double>()[i];
      absl::StatusOr<Slopes> slopes =
          mover.AtStep(i, options.step * std::max(1.0, std::fabs(here)));
      if (!slopes.ok()) return slopes.status();
      double excess = Excess(options, rules, *slopes);
      if (excess > 1) {
        slopes = mover.AtBestStep(i);
        if (!slopes.ok()) return slopes.status();
        excess = Excess(options, rules, *slopes);
      }
      ++worst.checked;
      if (excess > 1) ++worst.wrong;
      if (excess <= worst.excess) continue;
      worst.excess = excess;
      worst.x = k;
      worst.element = i;
      worst.by_rules = rules;
      worst.slopes = *slopes;
    }
  }
  return result;
}

// Checks the rule of node `id` by itself: its operands have the values `inputs`
// and depend on nothing. What is wrong with it; empty if nothing is.
std::string CheckRule(Graph& graph, int id, absl::Span<const Tensor> inputs,
                      Point& point, const GradientCheckOptions& options) {
  const Node& node = graph.node(id);
  const auto describe = [&](const Worst& worst, int operand) {
    const OpDef& op = *node.op;
    return absl::StrCat(
        node.loc.ToString(), ": the gradient rule of ", op.name,
        " is wrong: its derivative by element ", worst.element, " of operand ",
        op.variadic ? absl::StrCat(operand) : op.operands[operand], " (",
        graph.Describe(node.inputs[operand]), ")",
        Figures(worst, node.op->name));
  };
  if (node.op == &kWithGradient) {
    // What it wraps is its own graph's, from x on.
    std::vector<Var> x;
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      const Var var(&graph, node.inputs[i]);
      if (var.dtype() == DType::kFloat32) x.push_back(var);
    }
    const absl::StatusOr<Comparison> found =
        Compare(Var(&graph, id), x, point, options);
    if (!found.ok() || !found->worst.IsWrong()) return "";
    const auto operand = std::find(node.inputs.begin() + 1, node.inputs.end(),
                                   x[found->worst.x].id()) -
                         node.inputs.begin();
    return describe(found->worst, static_cast<int>(operand));
  }

  Graph alone;
  Point operands(ReferenceFeeds{});
  std::vector<Var> all, x;
  std::vector<int> operand_of;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const DType dtype = graph.node(node.inputs[i]).type.dtype;
    all.push_back(
        alone.Input(absl::StrCat("operand ", i), inputs[i].shape(), dtype));
    operands.Feed(all.back(), inputs[i]);
    if (dtype != DType::kFloat32) continue;
    x.push_back(all.back());
    operand_of.push_back(static_cast<int>(i));
  }
  Attributes attributes = node.attributes;
  attributes.shape = attributes.shape.Bind(point.Batch());
  const Var y = alone.Append(*node.op, all, attributes, node.loc);
  if (!y.valid()) return "";
  const absl::StatusOr<Comparison> found = Compare(y, x, operands, options);
  if (!found.ok() || !found->worst.IsWrong()) return "";
  return describe(found->worst, operand_of[found->worst.x]);
}

// The first op on the way from x to y whose rule is wrong by itself, as text.
std::string FindWrongRule(Var y, absl::Span<const Var> x, Point& point,
                          const GradientCheckOptions& options) {
  Graph& graph = *y.graph();
  const std::vector<bool> needed = NeededBy(graph, y.id());
  std::vector<bool> depends(y.id() + 1, false);
  for (Var var : x) {
    if (var.id() <= y.id()) depends[var.id()] = true;
  }
  for (int id = 0; id <= y.id(); ++id) {
    const Node& node = graph.node(id);
    bool has_way = false;
    for (int input : node.inputs) has_way |= depends[input];
    depends[id] = depends[id] || has_way;
    if (!has_way || !needed[id] || node.op->gradient == nullptr ||
        node.op == &kStopGradient || node.type.dtype != DType::kFloat32) {
      continue;
    }
    std::vector<Var> fetches;
    for (int input : node.inputs) fetches.push_back(Var(&graph, input));
    const absl::StatusOr<std::vector<Tensor>> inputs = point.Evaluate(fetches);
    if (!inputs.ok()) return std::string(inputs.status().message());
    const std::string wrong = CheckRule(graph, id, *inputs, point, options);
    if (!wrong.empty()) return wrong;
  }
  return "the gradient rule of each op on the way is right by itself";
}

// Checks the gradients of `y`, which `name` says what it is.
absl::StatusOr<Comparison> CheckFirstOrder(
    Var y, const std::string& name, absl::Span<const Var> x, Point& point,
    const GradientCheckOptions& options) {
  Graph& graph = *y.graph();
  absl::StatusOr<Comparison> found = Compare(y, x, point, options);
  if (!found.ok() || !found->worst.IsWrong()) return found;
  const Worst& worst = found->worst;
  return absl::InternalError(absl::StrCat(
      graph.node(y).loc.ToString(), ": CheckGradients: the derivative of ",
      name, " by element ", worst.element, " of x (",
      graph.Describe(x[worst.x].id()), ")", Figures(worst, "y"),
      "; the worst of ", worst.wrong, " wrong among ", worst.checked,
      " checked\n", FindWrongRule(y, x, point, options)));
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
    const Node& node = graph.node(var);
    if (!node.op->traits.source || point.IsFed(var)) continue;
    if (node.variable == kNone) {
      return absl::InvalidArgumentError(
          absl::StrCat(node.loc.ToString(), ": CheckGradients: input \"",
                       node.name, "\" is an x and was not fed"));
    }
    point.Feed(var, ToFloat64(graph.Value(var)));
  }

  const std::string name = absl::StrCat("y (", graph.Describe(y.id()), ")");
  const absl::StatusOr<Comparison> first =
      CheckFirstOrder(y, name, x, point, options);
  if (!first.ok() || options.order == 1) return first.status();

  // A gradient depends on each x and, linearly, on the derivative of the loss
  // by y, which the projection stands for.
  std::vector<Var> sources(x.begin(), x.end());
  sources.push_back(first->projection);
  for (size_t k = 0; k < x.size(); ++k) {
    const absl::StatusOr<Comparison> second =
        CheckFirstOrder(first->gradients[k],
                        absl::StrCat("the gradient of ", name, " by x (",
                                     graph.Describe(x[k].id()), ")"),
                        sources, point, options);
    if (!second.ok()) return second.status();
  }
  return absl::OkStatus();
}

}  // namespace tape
