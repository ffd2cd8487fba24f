// Chain (transform.h). Tested by tests/transform_test.cc.
#include "framework/train/transform.h"

#include "absl/strings/str_cat.h"
#include "ops/ops.h"

namespace tape {

void Chain::Apply(GradientFlow& flow) const {
  for (const TransformPtr& transform : transforms_) {
    if (flow.ended) {
      flow.graph->ReportError(transform->loc(), transform->name(),
                              "stands after the optimiser, which has already "
                              "made its updates");
      return;
    }
    transform->Apply(flow);
  }
}

Updates Chain::Apply(absl::Span<const Var> parameters,
                     absl::Span<const Var> gradients, Loc loc) const {
  Graph* const graph = GraphOf(parameters);
  if (graph == nullptr) return Updates();  // Nothing to train.
  const auto fail = [&](absl::string_view message) {
    graph->ReportError(loc, "Chain::Apply", message);
    return Updates();
  };
  if (parameters.size() != gradients.size()) {
    return fail(absl::StrCat("expected a gradient for each of ",
                             parameters.size(), " parameters, found ",
                             gradients.size()));
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    // Mistakes already kept by the graph.
    if (!parameters[i].valid() || !gradients[i].valid()) return Updates();
    if (!(parameters[i].type() == gradients[i].type())) {
      return fail(absl::StrCat("gradient ", i, " (",
                               graph->Describe(gradients[i].id()),
                               ") does not have the type of its parameter (",
                               graph->Describe(parameters[i].id()), ")"));
    }
  }
  GradientFlow flow{.graph = graph,
                    .parameters = {parameters.begin(), parameters.end()},
                    .gradients = {gradients.begin(), gradients.end()},
                    .updates = {}};
  Apply(flow);
  if (!flow.ended) return fail("the chain does not end with an optimiser");
  const Var step = graph->Step(loc);
  flow.updates.assignments.push_back(
      {step, Add(step, Fill(graph, {}, 1, DType::kInt32, loc), loc)});
  return std::move(flow.updates);
}

}  // namespace tape
