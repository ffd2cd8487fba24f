// Transformations around others (wrappers.h). Tested by tests/optim/wrappers_test.cc.
#include "framework/optim/wrappers.h"

#include <cmath>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "framework/optim/check_constant.h"
#include "ops/ops.h"

namespace tape {
namespace {

constexpr absl::string_view kAverageSuffix = "/average";

// Whether a node that the gradients depend on is an input with the batch
// dimension.
bool DependsOnBatch(const Graph& graph,
                    absl::Span<const ParameterGradient> trained) {
  std::vector<bool> needed(graph.size(), false);
  for (const ParameterGradient& one : trained) needed[one.gradient.id()] = true;
  for (int id = graph.size(); id-- > 0;) {
    if (!needed[id]) continue;
    const Node& node = graph.node(id);
    const bool is_input = node.op->traits.source && node.variable == kNone;
    if (is_input && !node.type.shape.is_bound()) return true;
    for (int input : node.inputs) needed[input] = true;
  }
  return false;
}

// uint8 of rank 0: whether the batch that the gradients are of has a sample.
Var HasSamples(const GradientFlow& flow) {
  Graph* const graph = flow.graph;
  if (!DependsOnBatch(*graph, flow.trained)) {
    return Fill(graph, {}, 1, DType::kUint8);
  }
  return Greater(ElementCount(graph, {kBatch}), Fill(graph, {}, 0));
}

// The stream of `name`, or the first of those of "name/2", "name/3", … that no
// node of the graph draws from.
uint64_t FreeStream(const Graph& graph, absl::string_view name) {
  std::set<uint64_t> taken;
  for (int id = 0; id < graph.size(); ++id) {
    const Attributes& attributes = graph.node(id).attributes;
    if (attributes.seed == graph.seed()) taken.insert(attributes.stream);
  }
  uint64_t stream = StreamOf(name);
  for (int i = 2; taken.contains(stream); ++i) {
    stream = StreamOf(absl::StrCat(name, "/", i));
  }
  return stream;
}

// "w" of "w/average" and of "w/average/2"; empty if `name` is no average's.
absl::string_view AveragedName(absl::string_view name) {
  const size_t end = name.rfind(kAverageSuffix);
  if (end == absl::string_view::npos) return "";
  absl::string_view rest = name.substr(end + kAverageSuffix.size());
  int number;
  const bool is_average = rest.empty() || (absl::ConsumePrefix(&rest, "/") &&
                                           absl::SimpleAtoi(rest, &number));
  return is_average ? name.substr(0, end) : "";
}

class AccumulateTransform : public GradientTransform {
 public:
  AccumulateTransform(int steps, TransformPtr transform, Loc loc)
      : GradientTransform("Accumulate", loc),
        steps_(steps),
        transform_(std::move(transform)) {}

  void Apply(GradientFlow& flow) const override {
    if (transform_ == nullptr) {
      ReportError(flow, "expected a transformation, found null");
      return;
    }
    if (steps_ < 1) {
      ReportError(flow,
                  absl::StrCat("expected at least 1 step, found ", steps_));
      return;
    }
    Graph& g = *flow.graph;
    const auto number = [&](double value, DType dtype) {
      return Fill(&g, {}, value, dtype);
    };
    const Var runs = g.State(FreeName(g, "accumulated_runs"), {}, Zeros(),
                             DType::kInt32, loc());
    // A batch without samples adds nothing, and is no run.
    const Var has_samples = HasSamples(flow);
    const Var now = Select(has_samples, CountUp(runs), runs);
    // A checkpoint of more steps may have left a counter beyond `steps_`: then
    // the mean is over the runs that there were.
    const Var due = GreaterEqual(now, number(steps_, DType::kInt32));
    const Var mean_of =
        Maximum(Cast(now, DType::kFloat32), number(1, DType::kFloat32));
    const Var share = 1 / mean_of;
    std::vector<Assignment> sums;
    for (ParameterGradient& trained : flow.trained) {
      const Var old_sum = flow.StateOf(trained.parameter, "accumulated", loc());
      const Var sum = old_sum + Select(has_samples, trained.gradient,
                                       number(0, DType::kFloat32));
      sums.push_back({old_sum, Select(due, number(0, DType::kFloat32), sum)});
      trained.gradient = sum * share;
    }
    ApplyIf(due, *transform_, *this, flow);
    for (const Assignment& sum : sums) flow.updates.assignments.push_back(sum);
    flow.updates.assignments.push_back(
        {runs, Select(due, number(0, DType::kInt32), now)});
  }

 private:
  int steps_;
  TransformPtr transform_;
};

class SkipIfNotFiniteTransform : public GradientTransform {
 public:
  SkipIfNotFiniteTransform(TransformPtr transform, Loc loc)
      : GradientTransform("SkipIfNotFinite", loc),
        transform_(std::move(transform)) {}

  void Apply(GradientFlow& flow) const override {
    if (transform_ == nullptr) {
      ReportError(flow, "expected a transformation, found null");
      return;
    }
    Graph& g = *flow.graph;
    // How many elements are not finite. Float32 counts wholes to 2^24 exactly,
    // and beyond never back to 0.
    std::vector<Var> counts;
    for (const ParameterGradient& trained : flow.trained) {
      counts.push_back(
          Sum(1 - Cast(IsFinite(trained.gradient), DType::kFloat32)));
    }
    const Var good = Equal(AddN(counts), Fill(&g, {}, 0));
    const std::string name = FreeName(g, "skipped");
    const Var old_skipped = g.State(name, {}, Zeros(), DType::kInt32, loc());
    const Var skipped = Select(good, old_skipped, CountUp(old_skipped));
    ApplyIf(good, *transform_, *this, flow);
    Updates& updates = flow.updates;
    updates.not_skipped =
        updates.not_skipped.empty() ? good : And(updates.not_skipped, good);
    updates.assignments.push_back({old_skipped, skipped});
    updates.reports.push_back({name, skipped});
  }

 private:
  TransformPtr transform_;
};

}  // namespace

TransformPtr Accumulate(int steps, TransformPtr transform, Loc loc) {
  return std::make_unique<AccumulateTransform>(steps, std::move(transform),
                                               loc);
}

TransformPtr SkipIfNotFinite(TransformPtr transform, Loc loc) {
  return std::make_unique<SkipIfNotFiniteTransform>(std::move(transform), loc);
}

TransformPtr AverageWeights(double decay, Loc loc) {
  return MakeTransform(
      "AverageWeights", loc, CheckFraction("decay", decay),
      [=](GradientFlow& flow) {
        for (ParameterGradient& trained : flow.trained) {
          const Var w = trained.parameter;
          const Var average = flow.StateOf(w, kAverageSuffix.substr(1), loc,
                                           Values(flow.graph->Value(w)));
          trained.adjustments.push_back([=](Var, Var u, Var, Updates& updates) {
            updates.assignments.push_back(
                {average, decay * average + (1 - decay) * u});
            return u;
          });
        }
      });
}

std::vector<Replacement> AveragedWeights(const Graph& graph) {
  const Variables& variables = graph.variables();
  // By the index of the parameter. A later average takes the earlier one's
  // place.
  std::map<int, std::string> averages;
  for (int i = 0; i < variables.size(); ++i) {
    const Variable& average = variables[i];
    const int parameter = variables.Find(AveragedName(average.name));
    if (parameter >= 0 && average.of_training &&
        average.value.type() == variables[parameter].value.type()) {
      averages[parameter] = average.name;
    }
  }
  std::vector<Replacement> replacements;
  for (const auto& [parameter, average] : averages) {
    replacements.push_back({variables[parameter].name, average});
  }
  return replacements;
}

TransformPtr AddNoise(double scale, Loc loc) {
  return MakeTransform(
      "AddNoise", loc, CheckNotNegative("scale", scale),
      [=](GradientFlow& flow) {
        Graph& g = *flow.graph;
        const Var step = flow.updates.step;
        const Var t = Cast(step, DType::kFloat32);
        // sqrt(scale / (1 + t)^0.55) = sqrt(scale) e^(-0.275 ln (1 + t)).
        const Var deviation = std::sqrt(scale) * Exp(-0.275 * Log(1 + t));
        for (ParameterGradient& trained : flow.trained) {
          const Var noise = RandomNormal(
              step, trained.parameter.shape(),
              {.seed = g.seed(),
               .stream = FreeStream(g, absl::StrCat(g.NameOf(trained.parameter),
                                                    "/gradient_noise"))},
              loc);
          trained.gradient = trained.gradient + deviation * noise;
        }
      });
}

}  // namespace tape
