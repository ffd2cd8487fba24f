// The driver of reverse-mode differentiation (gradients.h): walks the tape
// backwards from y, hands each op's rule its gy, and does once what no rule
// then needs to: adds the adjoints of a node that is used more than once, sums
// out broadcasts, leaves out what no x needs, and refuses what cannot be
// differentiated. Tested by tests/core/gradients_test.cc.
#include "framework/core/gradients.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "framework/core/basic_ops.h"
#include "framework/core/calculus.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"

namespace tape {
namespace {

// `adjoint` as the derivative by a node of shape `shape`: summed over what
// broadcasting had repeated, or stretched.
Var FitTo(Var adjoint, const Shape& shape) {
  if (!adjoint.valid() || adjoint.shape() == shape) return adjoint;
  if (BroadcastsTo(shape, adjoint.shape())) return SumTo(adjoint, shape);
  return BroadcastTo(adjoint, shape);
}

Var Total(const std::vector<Var>& adjoints) {
  return adjoints.size() == 1 ? adjoints[0] : AddN(adjoints);
}

// For each node up to `end`, whether it depends on some x by a way that a
// derivative could take: what is made of stopped nodes alone is a constant.
std::vector<bool> DependsOn(const Graph& graph, int end,
                            absl::Span<const Var> x) {
  std::vector<bool> depends(end + 1, false);
  for (Var var : x) {
    if (var.id() <= end) depends[var.id()] = true;
  }
  for (int id = 0; id <= end; ++id) {
    if (graph.node(id).op == &kStopGradient) continue;
    for (int input : graph.node(id).inputs) {
      if (depends[input]) depends[id] = true;
    }
  }
  return depends;
}

// One backward sweep through the forms of `mode`: d (sum over k of seeds[k]
// y[k]) / d x[i], which `what` was asked for at `loc`. All Vars are valid and of
// `graph`, each seed of its y's type. Mistakes are kept, every one; then all
// results are invalid.
std::vector<Var> SweepIn(Mode mode, Graph* graph, absl::string_view what,
                         absl::Span<const Var> y, absl::Span<const Var> seeds,
                         absl::Span<const Var> x, Unconnected unconnected,
                         Loc loc) {
  const FloatingPointScope environment;  // Rules compute constants.
  const std::vector<Var> invalid(x.size(), Var(graph, kNone));
  int end = -1;
  for (Var var : y) end = std::max(end, var.id());
  const std::vector<bool> depends = DependsOn(*graph, end, x);
  std::vector<bool> is_x(end + 1, false);
  for (Var var : x) {
    if (var.id() <= end) is_x[var.id()] = true;
  }
  std::vector<std::vector<Var>> adjoints(end + 1);
  std::map<int, Var> gradient_of;  // Of the nodes in x.
  for (size_t k = 0; k < y.size(); ++k) {
    adjoints[y[k].id()].push_back(seeds[k]);
  }
  bool failed = false;
  for (int id = end; id >= 0; --id) {
    if (!depends[id] || adjoints[id].empty()) continue;
    const Node& node = graph->node(id);
    const Graph::GradientScope scope(graph, id);
    const Var gy = Total(adjoints[id]);
    adjoints[id].clear();
    if (is_x[id]) gradient_of[id] = gy;
    bool needed = false;
    for (int input : node.inputs) needed |= depends[input];
    if (!needed) continue;
    if (node.op->traits.by_mode) {
      const int input = node.inputs[node.op->traits.Forwards(mode)];
      if (depends[input]) adjoints[input].push_back(gy);
      continue;
    }
    if (node.op->gradient == nullptr) {
      graph->ReportError(
          node.loc, what,
          absl::StrCat(node.op->name, " is not differentiable (asked for at ",
                       loc.ToString(), ")"));
      failed = true;
      continue;
    }
    absl::InlinedVector<Var, 3> inputs;
    for (int input : node.inputs) inputs.push_back(Var(graph, input));
    Adjoints by_input;
    try {
      by_input = node.op->gradient(inputs, Var(graph, id), gy, node.attributes);
    } catch (...) {
      const std::string rule =
          absl::StrCat("the gradient rule of ", node.op->name);
      const absl::Status thrown = CaughtStatus(rule);
      graph->ReportError(
          node.loc, what,
          absl::Status(thrown.code(),
                       absl::StrCat(thrown.message(), " (asked for at ",
                                    loc.ToString(), ")")));
      failed = true;
      continue;
    }
    if (!by_input.empty() && by_input.size() != inputs.size()) {
      graph->ReportError(
          node.loc, what,
          absl::StrCat("the gradient rule of ", node.op->name, " gave ",
                       by_input.size(), " derivatives for ", inputs.size(),
                       inputs.size() == 1 ? " operand" : " operands",
                       " (asked for at ", loc.ToString(), ")"));
      failed = true;
      continue;
    }
    for (size_t i = 0; i < by_input.size(); ++i) {
      if (by_input[i] == Var() || !depends[inputs[i].id()]) continue;
      if (!graph->Has(by_input[i])) {
        graph->ReportError(
            node.loc, what,
            absl::StrCat("the gradient rule of ", node.op->name, " gave ",
                         by_input[i].empty() ? by_input[i].WhyEmpty()
                                             : "a Var of another graph",
                         " (asked for at ", loc.ToString(), ")"));
        failed = true;
        continue;
      }
      const Var adjoint = FitTo(by_input[i], inputs[i].shape());
      if (!adjoint.valid()) {
        failed = true;
        continue;
      }
      adjoints[inputs[i].id()].push_back(adjoint);
    }
  }

  std::vector<Var> gradients;
  std::vector<bool> connected;  // Empty until it is asked for.
  for (Var var : x) {
    const auto found = gradient_of.find(var.id());
    if (found != gradient_of.end()) {
      gradients.push_back(found->second);
      continue;
    }
    if (unconnected == Unconnected::kRefuse) {
      if (connected.empty()) connected = NodesNeededBy(*graph, y);
      if (var.id() > end || !connected[var.id()]) {
        graph->ReportError(loc, what,
                           absl::StrCat("y (", graph->Describe(y[0].id()),
                                        ") does not depend on x (",
                                        graph->Describe(var.id()), ")"));
        failed = true;
        continue;
      }
    }
    // By the rules on the way the derivative is zero everywhere.
    if (failed) continue;
    const Graph::GradientScope scope(graph, std::max(end, 0), loc);
    gradients.push_back(Fill(graph, var.shape(), 0, DType::kFloat32, loc));
  }
  return failed ? invalid : gradients;
}

// Whether a y depends on what differs between modes.
bool DependOnMode(const Graph& graph, absl::Span<const Var> y) {
  const std::vector<bool> needed = NodesNeededBy(graph, y);
  for (size_t id = 0; id < needed.size(); ++id) {
    if (needed[id] && graph.node(static_cast<int>(id)).op->traits.by_mode) {
      return true;
    }
  }
  return false;
}

// A sweep, or one for each mode, of whose results each plan has its own.
std::vector<Var> Sweep(Graph* graph, absl::string_view what,
                       absl::Span<const Var> y, absl::Span<const Var> seeds,
                       absl::Span<const Var> x, Unconnected unconnected,
                       Loc loc) {
  const bool has_modes = DependOnMode(*graph, y);
  std::vector<Var> gradients =
      SweepIn(Mode::kTraining, graph, what, y, seeds, x, unconnected, loc);
  if (!has_modes || !graph->status().ok()) return gradients;
  const std::vector<Var> of_inference =
      SweepIn(Mode::kInference, graph, what, y, seeds, x, unconnected, loc);
  if (!graph->status().ok()) return of_inference;
  const Graph::GradientScope scope(graph, y[0].id(), loc);
  for (size_t i = 0; i < x.size(); ++i) {
    gradients[i] = ByMode(gradients[i], of_inference[i]);
  }
  return gradients;
}

// Keeps what is wrong with the Vars of a call, every mistake of them; whether
// all are valid and fit.
bool Check(Graph* graph, absl::string_view what, absl::Span<const Var> y,
           absl::Span<const Var> x, Loc loc) {
  bool right = true;
  const auto fail = [&](absl::string_view message) {
    graph->ReportError(loc, what, message);
    right = false;
  };
  for (Var var : y) {
    if (var.empty()) {
      fail(absl::StrCat("y is ", var.WhyEmpty()));
    } else if (!graph->Has(var)) {
      fail("a y is of another graph than the first");
    } else if (!var.valid()) {
      right = false;  // The graph says why.
    } else if (var.dtype() != DType::kFloat32) {
      fail(absl::StrCat("expected a float32 y, found ",
                        graph->Describe(var.id())));
    }
  }
  for (Var var : x) {
    if (!graph->Has(var)) {
      fail(var.empty() ? absl::StrCat("an x is ", var.WhyEmpty())
                       : "an x is of another graph than y");
    } else if (!var.valid()) {
      right = false;
    } else if (var.dtype() != DType::kFloat32 &&
               var.dtype() != DType::kBFloat16) {
      fail(absl::StrCat("expected a float32 x, found ",
                        graph->Describe(var.id())));
    }
  }
  return right;
}

bool CheckSeed(Graph* graph, absl::string_view what, Var y, Var seed, Loc loc) {
  const auto fail = [&](absl::string_view message) {
    graph->ReportError(loc, what, message);
    return false;
  };
  if (!graph->Has(seed)) {
    return fail(seed.empty() ? absl::StrCat("a seed is ", seed.WhyEmpty())
                             : "the seed is of another graph than y");
  }
  if (!seed.valid()) return false;
  if (!(seed.type() == y.type())) {
    return fail(absl::StrCat("expected a seed of y's type ",
                             y.type().ToString(), ", found ",
                             seed.type().ToString()));
  }
  return true;
}

}  // namespace

std::vector<Var> Gradients(Var y, absl::Span<const Var> x,
                           GradientOptions options, Loc loc) {
  Graph* const graph = y.graph() != nullptr ? y.graph() : GraphOf(x);
  const std::vector<Var> invalid(
      x.size(), graph == nullptr ? Var::WithoutGraph("Gradients", loc)
                                 : Var(graph, kNone));
  if (graph == nullptr) return invalid;
  if (!Check(graph, "Gradients", {y}, x, loc)) return invalid;
  if (options.seed.empty()) {
    if (y.shape().rank() != 0) {
      graph->ReportError(
          loc, "Gradients",
          absl::StrCat("expected a y of rank 0, or a seed, found ",
                       graph->Describe(y.id())));
      return invalid;
    }
    const Graph::GradientScope scope(graph, y.id(), loc);
    options.seed = Fill(graph, {}, 1, DType::kFloat32, loc);
  }
  if (!CheckSeed(graph, "Gradients", y, options.seed, loc)) return invalid;
  return Sweep(graph, "Gradients", {y}, {options.seed}, x, options.unconnected,
               loc);
}

std::vector<Var> Vjp(absl::Span<const Var> y, absl::Span<const Var> seeds,
                     absl::Span<const Var> x, Unconnected unconnected,
                     Loc loc) {
  Graph* const graph = GraphOf(y) != nullptr ? GraphOf(y) : GraphOf(x);
  const std::vector<Var> invalid(x.size(), graph == nullptr
                                               ? Var::WithoutGraph("Vjp", loc)
                                               : Var(graph, kNone));
  if (graph == nullptr) return invalid;
  if (y.empty() || y.size() != seeds.size()) {
    graph->ReportError(loc, "Vjp",
                       absl::StrCat("expected one y or more, and as many "
                                    "seeds, found ",
                                    y.size(), " and ", seeds.size()));
    return invalid;
  }
  bool right = Check(graph, "Vjp", y, x, loc);
  if (!right) return invalid;
  for (size_t k = 0; k < y.size(); ++k) {
    right &= CheckSeed(graph, "Vjp", y[k], seeds[k], loc);
  }
  if (!right) return invalid;
  return Sweep(graph, "Vjp", y, seeds, x, unconnected, loc);
}

}  // namespace tape
