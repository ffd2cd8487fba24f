// The driver of reverse-mode differentiation (gradients.h): walks the tape
// backwards from y, hands each op's rule its gy, and does once what no rule
// then needs to: adds the adjoints of a node that is used more than once, sums
// out broadcasts, leaves out what no x needs, and refuses what cannot be
// differentiated. Tested by tests/gradients_test.cc.
#include "framework/core/gradients.h"

#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "framework/core/basic_ops.h"

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

// For each node up to y, whether it depends on some x.
std::vector<bool> DependsOn(const Graph& graph, int y,
                            absl::Span<const Var> x) {
  std::vector<bool> depends(y + 1, false);
  for (Var var : x) {
    if (var.id() <= y) depends[var.id()] = true;
  }
  for (int id = 0; id <= y; ++id) {
    for (int input : graph.node(id).inputs) {
      if (depends[input]) depends[id] = true;
    }
  }
  return depends;
}

}  // namespace

std::vector<Var> Gradients(Var y, absl::Span<const Var> x,
                           GradientOptions options, Loc loc) {
  Graph* const graph = y.graph() != nullptr ? y.graph() : GraphOf(x);
  const std::vector<Var> invalid(x.size(), Var(graph, kNone));
  if (graph == nullptr) return invalid;
  const auto fail = [&](const Loc& where, absl::string_view message) {
    graph->ReportError(where, "Gradients", message);
    return invalid;
  };
  if (y.empty()) return fail(loc, "y is an empty Var");
  if (!y.valid()) return invalid;
  for (Var var : x) {
    if (var.graph() != graph) {
      return fail(loc, var.empty() ? "an x is an empty Var"
                                   : "an x is of another graph than y");
    }
    if (!var.valid()) return invalid;
  }
  if (y.dtype() != DType::kFloat32) {
    return fail(loc, absl::StrCat("expected a float32 y, found ",
                                  graph->Describe(y.id())));
  }
  if (options.seed.empty()) {
    if (y.shape().rank() != 0) {
      return fail(loc, absl::StrCat("expected a y of rank 0, or a seed, found ",
                                    graph->Describe(y.id())));
    }
    options.seed = Fill(graph, {}, 1, DType::kFloat32, loc);
  }
  if (options.seed.graph() != graph) {
    return fail(loc, "the seed is of another graph than y");
  }
  if (!options.seed.valid()) return invalid;
  if (!(options.seed.type() == y.type())) {
    return fail(
        loc, absl::StrCat("expected a seed of y's type ", y.type().ToString(),
                          ", found ", options.seed.type().ToString()));
  }

  const std::vector<bool> depends = DependsOn(*graph, y.id(), x);
  std::vector<bool> is_x(y.id() + 1, false);
  for (Var var : x) {
    if (var.id() <= y.id()) is_x[var.id()] = true;
  }
  std::vector<std::vector<Var>> adjoints(y.id() + 1);
  absl::flat_hash_map<int, Var> gradient_of;  // Of the nodes in x.
  adjoints[y.id()].push_back(options.seed);
  for (int id = y.id(); id >= 0; --id) {
    if (!depends[id] || adjoints[id].empty()) continue;
    const Node& node = graph->node(id);
    const Graph::GradientScope scope(graph, id);
    const Var gy = Total(adjoints[id]);
    adjoints[id].clear();
    if (is_x[id]) gradient_of[id] = gy;
    bool needed = false;
    for (int input : node.inputs) needed |= depends[input];
    if (!needed) continue;
    if (node.op->gradient == nullptr) {
      return fail(
          node.loc,
          absl::StrCat(node.op->name, " is not differentiable (asked for at ",
                       loc.ToString(), ")"));
    }
    absl::InlinedVector<Var, 3> inputs;
    for (int input : node.inputs) inputs.push_back(Var(graph, input));
    const Adjoints by_input =
        node.op->gradient(inputs, Var(graph, id), gy, node.attributes);
    for (size_t i = 0; i < by_input.size(); ++i) {
      if (by_input[i].empty() || !depends[inputs[i].id()]) continue;
      const Var adjoint = FitTo(by_input[i], inputs[i].shape());
      if (!adjoint.valid()) return invalid;
      adjoints[inputs[i].id()].push_back(adjoint);
    }
  }

  std::vector<Var> gradients;
  for (Var var : x) {
    const auto found = gradient_of.find(var.id());
    if (found != gradient_of.end()) {
      gradients.push_back(found->second);
    } else if (options.unconnected == Unconnected::kZero ||
               DependsOn(*graph, y.id(), {&var, 1})[y.id()]) {
      // By the rules on the way the derivative is zero everywhere.
      gradients.push_back(Fill(graph, var.shape(), 0, DType::kFloat32, loc));
    } else {
      return fail(loc, absl::StrCat("y (", graph->Describe(y.id()),
                                    ") does not depend on x (",
                                    graph->Describe(var.id()), ")"));
    }
  }
  return gradients;
}

}  // namespace tape
