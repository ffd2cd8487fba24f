// Chains and selections (transform.h). Tested by tests/optim/transform_test.cc.
#include "framework/optim/transform.h"

#include <algorithm>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "framework/core/basic_ops.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"
#include "framework/core/gradients.h"
#include "ops/ops.h"

namespace tape {
namespace {

class FunctionTransform : public GradientTransform {
 public:
  FunctionTransform(std::string name, Loc loc, std::string error,
                    std::function<void(GradientFlow&)> apply)
      : GradientTransform(std::move(name), loc),
        error_(std::move(error)),
        apply_(std::move(apply)) {}

  void Apply(GradientFlow& flow) const override {
    if (!error_.empty()) {
      ReportError(flow, error_);
    } else if (apply_ == nullptr) {
      ReportError(flow, "expected a function to apply, found none");
    } else {
      apply_(flow);
    }
  }

 private:
  std::string error_;
  std::function<void(GradientFlow&)> apply_;
};

// Takes the selected parameters out of the flow, in their order.
std::vector<ParameterGradient> TakeSelected(GradientFlow& flow,
                                            const Selector& selector) {
  std::vector<ParameterGradient> selected, others;
  for (ParameterGradient& trained : flow.trained) {
    const bool is_selected =
        selector != nullptr && selector(*flow.graph, trained.parameter);
    (is_selected ? selected : others).push_back(std::move(trained));
  }
  flow.trained = std::move(others);
  return selected;
}

constexpr char kNoTransform[] = "expected a transformation, found null";

class OnlyTransform : public GradientTransform {
 public:
  OnlyTransform(Selector selector, TransformPtr transform, Loc loc)
      : GradientTransform("Only", loc),
        selector_(std::move(selector)),
        transform_(std::move(transform)) {}

  void Apply(GradientFlow& flow) const override {
    if (transform_ == nullptr) {
      ReportError(flow, kNoTransform);
      return;
    }
    std::vector<ParameterGradient> selected = TakeSelected(flow, selector_);
    if (selected.empty()) {
      ReportError(flow, absl::StrCat("no parameter is selected for ",
                                     transform_->name()));
      return;
    }
    std::vector<ParameterGradient> others = std::move(flow.trained);
    flow.trained = std::move(selected);
    transform_->Apply(flow);
    // Those that the transformation has left join the others again, in order of
    // declaration.
    for (ParameterGradient& other : others)
      flow.trained.push_back(std::move(other));
    std::sort(flow.trained.begin(), flow.trained.end(),
              [](const ParameterGradient& a, const ParameterGradient& b) {
                return a.parameter.id() < b.parameter.id();
              });
  }

 private:
  Selector selector_;
  TransformPtr transform_;
};

// Whether `text` matches a pattern in which * stands for any characters.
bool Matches(absl::string_view pattern, absl::string_view text) {
  // Each piece between stars is taken where it is first met.
  const std::vector<absl::string_view> pieces = absl::StrSplit(pattern, '*');
  if (pieces.size() == 1) return pattern == text;
  if (!absl::ConsumePrefix(&text, pieces.front())) return false;
  if (!absl::ConsumeSuffix(&text, pieces.back())) return false;
  for (size_t i = 1; i + 1 < pieces.size(); ++i) {
    const size_t at = text.find(pieces[i]);
    if (at == absl::string_view::npos) return false;
    text.remove_prefix(at + pieces[i].size());
  }
  return true;
}

// Whether a run of the plan counts as a step of the flow; empty: always.
Var CountsOf(const GradientFlow& flow) {
  const bool all_apart = flow.counted > 0 && flow.counted_apart == flow.counted;
  return all_apart ? flow.counts_apart : flow.counts;
}

// The assignment that counts a step where `counts` holds, or always.
Assignment CountStep(Var step, Var counts, Loc loc) {
  const Var next = CountUp(step, loc);
  return {step, counts.empty() ? next : Select(counts, next, step, loc)};
}

}  // namespace

std::string FreeName(const Graph& graph, absl::string_view name) {
  std::string free(name);
  for (int i = 2; graph.variables().Find(free) >= 0; ++i) {
    free = absl::StrCat(name, "/", i);
  }
  return free;
}

void AddAssignments(absl::Span<const Assignment> assignments, Updates& updates,
                    Loc loc) {
  for (Assignment assignment : assignments) {
    if (!updates.not_skipped.empty()) {
      assignment.value = Select(updates.not_skipped, assignment.value,
                                assignment.variable, loc);
    }
    updates.assignments.push_back(assignment);
  }
}

void ApplyIf(Var condition, const GradientTransform& transform,
             const GradientTransform& by, GradientFlow& flow) {
  const size_t trained = flow.trained.size();
  const bool is_part = trained < flow.counted;
  const GradientFlow whole = flow;
  if (is_part) {
    flow.updates.step = flow.graph->State(FreeName(*flow.graph, "step"), {},
                                          Zeros(), DType::kInt32, by.loc());
    flow.counted = trained;
    flow.counts = Var();
    flow.counted_apart = 0;
    flow.counts_apart = Var();
  }
  const size_t first_assignment = flow.updates.assignments.size();
  const size_t first_report = flow.updates.reports.size();
  transform.Apply(flow);
  if (!flow.graph->status().ok()) return;
  if (!flow.trained.empty()) {
    flow.graph->ReportError(
        by.loc(), by.name(),
        absl::StrCat("expected an optimiser for all parameters that reach it, "
                     "found none for \"",
                     flow.graph->NameOf(flow.trained[0].parameter), "\""));
    return;
  }
  if (is_part) {
    flow.updates.assignments.push_back(
        CountStep(flow.updates.step, CountsOf(flow), by.loc()));
  }
  for (size_t i = first_assignment; i < flow.updates.assignments.size(); ++i) {
    Assignment& assignment = flow.updates.assignments[i];
    const Var value = Select(condition, assignment.value, assignment.variable);
    // What is shown is what the variable becomes.
    for (size_t k = first_report; k < flow.updates.reports.size(); ++k) {
      Var& shown = flow.updates.reports[k].value;
      if (shown == assignment.value) shown = value;
    }
    assignment.value = value;
  }
  const Var counts = CountsOf(flow);
  const Var both = counts.empty() ? condition : And(counts, condition);
  if (!is_part) {
    flow.counted_apart = 0;
    flow.counts_apart = Var();
    flow.counts = both;
    return;
  }
  flow.updates.step = whole.updates.step;
  flow.counted = whole.counted;
  flow.counts = whole.counts;
  flow.counted_apart = whole.counted_apart + trained;
  flow.counts_apart =
      whole.counts_apart.empty() ? both : Or(whole.counts_apart, both);
}

Var GradientFlow::StateOf(Var parameter, absl::string_view name, Loc loc,
                          const Initializer& initializer) const {
  const std::string free =
      FreeName(*graph, absl::StrCat(graph->NameOf(parameter), "/", name));
  return graph->State(free, parameter.shape(), initializer, DType::kFloat32,
                      loc);
}

TransformPtr MakeTransform(std::string name, Loc loc, std::string error,
                           std::function<void(GradientFlow&)> apply) {
  return std::make_unique<FunctionTransform>(
      std::move(name), loc, std::move(error), std::move(apply));
}

TransformPtr MakeTransform(std::string name, Loc loc,
                           std::function<void(GradientFlow&)> apply) {
  return MakeTransform(std::move(name), loc, "", std::move(apply));
}

void Chain::Apply(GradientFlow& flow) const {
  for (const TransformPtr& transform : transforms_) {
    if (transform == nullptr) {
      // A chain whose first link is null does not know where it stands.
      const Loc where = loc().line > 0 ? loc() : flow.graph->loc_scope();
      flow.graph->ReportError(where, name(), kNoTransform);
      return;
    }
    if (flow.trained.empty()) {
      flow.graph->ReportError(transform->loc(), transform->name(),
                              "stands after the optimiser, which has already "
                              "made its updates");
      return;
    }
    // What a link appends bears the line where the user declared it.
    const Graph::LocScope scope(flow.graph, transform->loc());
    try {
      transform->Apply(flow);
    } catch (...) {
      flow.graph->ReportError(transform->loc(), transform->name(),
                              CaughtStatus("a function given to it"));
    }
    if (!flow.graph->status().ok()) return;
  }
}

Updates Chain::Apply(absl::Span<const Var> parameters,
                     absl::Span<const Var> gradients, Loc loc) const {
  const FloatingPointScope environment;  // Links compute constants.
  Graph* graph = GraphOf(parameters);
  if (graph == nullptr) graph = GraphOf(gradients);
  if (graph == nullptr) {  // No graph to keep a mistake: Compile tells of it.
    Updates updates;
    if (!parameters.empty() || !gradients.empty()) {
      const Var mistake = Var::WithoutGraph("Chain::Apply", loc);
      updates.assignments.push_back({mistake, mistake});
    }
    return updates;
  }
  const auto fail = [&](absl::string_view message) {
    graph->ReportError(loc, "Chain::Apply", message);
    return Updates();
  };
  if (parameters.size() != gradients.size()) {
    return fail(absl::StrCat("expected a gradient for each of ",
                             parameters.size(), " parameters, found ",
                             gradients.size()));
  }
  GradientFlow flow{.graph = graph, .trained = {}, .updates = {}};
  for (size_t i = 0; i < parameters.size(); ++i) {
    for (const Var var : {parameters[i], gradients[i]}) {
      if (graph->Has(var)) continue;
      return fail(absl::StrCat(
          var == parameters[i] ? "parameter " : "gradient ", i, " is ",
          var.empty() ? var.WhyEmpty() : "of another graph"));
    }
    // Mistakes already kept by the graph.
    if (!parameters[i].valid() || !gradients[i].valid()) return Updates();
    if (!(parameters[i].type() == gradients[i].type())) {
      return fail(absl::StrCat("gradient ", i, " (",
                               graph->Describe(gradients[i].id()),
                               ") does not have the type of its parameter (",
                               graph->Describe(parameters[i].id()), ")"));
    }
    if (graph->node(parameters[i]).variable == kNone) {
      return fail(absl::StrCat("parameter ", i, " is no variable, but ",
                               graph->Describe(parameters[i].id())));
    }
    flow.trained.push_back(
        {.parameter = parameters[i], .gradient = gradients[i]});
  }
  if (!graph->status().ok()) return Updates();
  flow.counted = flow.trained.size();
  const Graph::TrainingScope scope(graph);
  flow.updates.step =
      graph->State(FreeName(*graph, "step"), {}, Zeros(), DType::kInt32, loc);
  {
    const Graph::LocScope where(graph, loc);
    Apply(flow);
  }
  if (!graph->status().ok()) return Updates();
  if (!flow.trained.empty()) {
    return fail(absl::StrCat("the chain has no optimiser for \"",
                             graph->NameOf(flow.trained[0].parameter), "\" (",
                             graph->Describe(flow.trained[0].parameter.id()),
                             ")"));
  }
  flow.updates.assignments.push_back(
      CountStep(flow.updates.step, CountsOf(flow), loc));
  return std::move(flow.updates);
}

Updates Chain::Minimize(Var loss, Loc loc) const {
  if (loss.graph() == nullptr) {
    const Var mistake = Var::WithoutGraph("Chain::Minimize", loc);
    Updates updates;
    updates.assignments.push_back({mistake, mistake});
    return updates;
  }
  const std::vector<Var> parameters = loss.graph()->parameters();
  return Apply(parameters, Gradients(loss, parameters, {}, loc), loc);
}

bool IsWeight(const Graph& graph, Var parameter) {
  return graph.TagOf(parameter) == Tag::kWeight;
}

bool IsBias(const Graph& graph, Var parameter) {
  return graph.TagOf(parameter) == Tag::kBias;
}

Selector NameMatches(std::string pattern) {
  return [pattern = std::move(pattern)](const Graph& graph, Var parameter) {
    return Matches(pattern, graph.NameOf(parameter));
  };
}

Selector AnyOf(std::vector<Var> parameters) {
  return [parameters = std::move(parameters)](const Graph&, Var parameter) {
    return std::find(parameters.begin(), parameters.end(), parameter) !=
           parameters.end();
  };
}

Selector Not(Selector selector) {
  return [selector = std::move(selector)](const Graph& graph, Var parameter) {
    return selector != nullptr && !selector(graph, parameter);
  };
}

TransformPtr Only(Selector selector, TransformPtr transform, Loc loc) {
  return std::make_unique<OnlyTransform>(std::move(selector),
                                         std::move(transform), loc);
}

TransformPtr Freeze(Selector selector, Loc loc) {
  return MakeTransform("Freeze", loc, [selector, loc](GradientFlow& flow) {
    const size_t frozen = TakeSelected(flow, selector).size();
    flow.counted -= frozen;
    if (frozen == 0) {
      flow.graph->ReportError(loc, "Freeze", "no parameter is selected");
    }
  });
}

}  // namespace tape
