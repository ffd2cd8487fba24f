// CheckGradients (gradient_check.h): from a y and its x to OK, or to the worst
// difference between the gradient rules and differences of y. Tested by
// tests/check/gradient_check_test.cc.
#include "framework/check/gradient_check.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/check/slopes.h"
#include "framework/core/calculus.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"
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
    return absl::InvalidArgumentError(
        absl::StrCat("CheckGradients: y is ", y.WhyEmpty()));
  }
  const Graph& graph = *y.graph();
  if (absl::Status status = graph.status(); !status.ok()) return status;
  if (!y.valid()) {
    return absl::InvalidArgumentError("CheckGradients: y is not valid");
  }
  if (y.dtype() != DType::kFloat32) {
    return Refuse(graph, y, "a float32 y");
  }
  for (Var var : x) {
    if (!graph.Has(var)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "CheckGradients: an x is ",
          var.empty() ? var.WhyEmpty() : "of another graph than y"));
    }
    if (!var.valid()) {
      return absl::InvalidArgumentError("CheckGradients: an x is not valid");
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
  std::set<absl::string_view> taken;
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

// How many times the tolerance `derivative` is from the slopes; above 1 is
// wrong.
double Excess(const GradientCheckOptions& options, double derivative,
              const Slopes& slopes) {
  constexpr double kWrong = std::numeric_limits<double>::infinity();
  if (!std::isfinite(derivative) || std::isnan(slopes.below) ||
      std::isnan(slopes.above)) {
    return kWrong;
  }
  // Where there is no kink the two slopes differ by the step alone, and this is
  // the ordinary comparison. One of them may be infinite.
  const auto [low, high] = std::minmax(slopes.below, slopes.above);
  const double nearest = std::clamp(derivative, low, high);
  if (nearest == derivative) return 0;
  if (!std::isfinite(nearest)) return kWrong;
  // Slopes that are off by more than this decide nothing, and are no excuse.
  const double most = 1e-4 + 0.05 * std::fabs(nearest);
  return std::fabs(derivative - nearest) /
         (options.absolute + options.relative * std::fabs(nearest) +
          std::min(slopes.error, most) + std::min(slopes.rounding, most));
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
                      ", but ", of, "'s slope is ",
                      worst.slopes.below + 0.0,  // Not -0.
                      " below and ", worst.slopes.above + 0.0, " above",
                      worst.slopes.error > 0 && worst.slopes.AreFinite()
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
absl::StatusOr<Comparison> Compare(Var y, absl::Span<const Var> x,
                                   EvaluationPoint& point,
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
    SlopeFinder mover(y, *y_here, weights, x[k], *x_here,
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

// The first element that is not finite, or -1.
int64_t FirstNotFinite(const Tensor& tensor) {
  const auto values = tensor.values<double>();
  for (int64_t i = 0; i < tensor.elements(); ++i) {
    if (!std::isfinite(values[i])) return i;
  }
  return -1;
}

// What is found of the rule of one op by itself; empty where nothing is.
struct Finding {
  std::string wrong;
  // Why the rule cannot be judged where its operands are, and is not accused.
  std::string not_finite;
};

// Checks the rule of node `id` by itself: its operands have the values `inputs`
// and depend on nothing.
Finding CheckRule(Graph& graph, int id, absl::Span<const Tensor> inputs,
                  EvaluationPoint& point, const GradientCheckOptions& options) {
  const Node& node = graph.node(id);
  for (size_t i = 0; i < inputs.size(); ++i) {
    // What an earlier op or the caller has made so is no matter of this op's.
    if (FirstNotFinite(inputs[i]) >= 0) return {};
  }
  const auto operand_text = [&](int operand) {
    const OpDef& op = *node.op;
    return absl::StrCat(
        "operand ", op.variadic ? absl::StrCat(operand) : op.operands[operand],
        " (", graph.Describe(node.inputs[operand]), ")");
  };
  // `x`: what is moved; operand_of[k]: which operand x[k] is.
  const auto judge = [&](Var y, absl::Span<const Var> x, EvaluationPoint& at,
                         absl::Span<const int> operand_of) -> Finding {
    const absl::StatusOr<Tensor> value = at.Evaluate(y);
    if (!value.ok()) return {};
    if (const int64_t i = FirstNotFinite(*value); i >= 0) {
      std::vector<std::string> operands;
      for (int operand : operand_of) operands.push_back(operand_text(operand));
      return {.wrong = "",
              .not_finite =
                  absl::StrCat(node.loc.ToString(), ": ", node.op->name, " is ",
                               value->values<double>()[i], " at element ", i,
                               ", where it has no derivative, for ",
                               absl::StrJoin(operands, ", "))};
    }
    const absl::StatusOr<Comparison> found = Compare(y, x, at, options);
    if (!found.ok() || !found->worst.IsWrong()) return {};
    const Worst& worst = found->worst;
    const std::string place = absl::StrCat("element ", worst.element, " of ",
                                           operand_text(operand_of[worst.x]));
    if (!worst.slopes.AreFinite()) {
      return {.wrong = "",
              .not_finite = absl::StrCat(
                  node.loc.ToString(), ": ", node.op->name,
                  " has no finite slope by ", place, ", which is ",
                  inputs[operand_of[worst.x]].values<double>()[worst.element])};
    }
    return {
        .wrong = absl::StrCat(node.loc.ToString(), ": the gradient rule of ",
                              node.op->name, " is wrong: its derivative by ",
                              place, Figures(worst, node.op->name)),
        .not_finite = ""};
  };

  std::vector<Var> x;
  std::vector<int> operand_of;
  if (node.op == &kWithGradient) {
    // What it wraps is its own graph's, from x on.
    for (size_t i = 1; i < node.inputs.size(); ++i) {
      const Var var(&graph, node.inputs[i]);
      if (var.dtype() != DType::kFloat32) continue;
      x.push_back(var);
      operand_of.push_back(static_cast<int>(i));
    }
    return judge(Var(&graph, id), x, point, operand_of);
  }

  Graph alone;
  EvaluationPoint operands(ReferenceFeeds{});
  std::vector<Var> all;
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
  return y.valid() ? judge(y, x, operands, operand_of) : Finding();
}

// The first op on the way from x to y whose rule is wrong by itself, as text;
// or, if there is none, the first that has no finite value or slope there.
std::string FindWrongRule(Var y, absl::Span<const Var> x,
                          EvaluationPoint& point,
                          const GradientCheckOptions& options) {
  Graph& graph = *y.graph();
  const std::vector<bool> needed = NodesNeededBy(graph, {y});
  std::vector<bool> depends(y.id() + 1, false);
  for (Var var : x) {
    if (var.id() <= y.id()) depends[var.id()] = true;
  }
  std::string not_finite;
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
    const Finding finding = CheckRule(graph, id, *inputs, point, options);
    if (!finding.wrong.empty()) return finding.wrong;
    if (not_finite.empty()) not_finite = finding.not_finite;
  }
  if (!not_finite.empty()) {
    return absl::StrCat(not_finite,
                        "; no gradient rule on the way is wrong where it can "
                        "be checked");
  }
  return "the gradient rule of each op on the way is right by itself";
}

// Checks the gradients of `y`, which `name` says what it is.
absl::StatusOr<Comparison> CheckFirstOrder(
    Var y, const std::string& name, absl::Span<const Var> x,
    EvaluationPoint& point, const GradientCheckOptions& options) {
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

absl::Status CheckOrThrow(Var y, absl::Span<const Var> x,
                          const ReferenceFeeds& feeds,
                          const GradientCheckOptions& options) {
  if (absl::Status status = CheckArguments(y, x, options); !status.ok()) {
    return status;
  }
  const Graph& graph = *y.graph();
  // Projections, gradients and mistakes of rules are the check's own.
  const Graph::Rollback rollback(y.graph());
  EvaluationPoint point(feeds);
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

}  // namespace

absl::Status CheckGradients(Var y, absl::Span<const Var> x,
                            const ReferenceFeeds& feeds,
                            const GradientCheckOptions& options, Loc loc) {
  const FloatingPointScope environment;
  absl::Status status;
  try {
    status = CheckOrThrow(y, x, feeds, options);
  } catch (...) {
    status = CaughtStatus("CheckGradients");
  }
  return AtCall(loc, "EvaluateReference",
                AtCall(loc, "CheckGradients", status));
}

}  // namespace tape
