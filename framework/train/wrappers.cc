// Transformations around others (wrappers.h). Tested by tests/wrappers_test.cc.
#include "framework/train/wrappers.h"

#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "framework/train/check_constant.h"
#include "ops/ops.h"

namespace tape {
namespace {

constexpr absl::string_view kAverageSuffix = "/average";

// Runs `transform`, and lets what it assigns happen only where `condition`
// (uint8 of rank 0) holds.
void ApplyIf(Var condition, const GradientTransform& transform,
             GradientFlow& flow) {
  const size_t before = flow.updates.assignments.size();
  transform.Apply(flow);
  std::vector<Assignment>& assignments = flow.updates.assignments;
  for (size_t i = before; i < assignments.size(); ++i) {
    assignments[i].value =
        Select(condition, assignments[i].value, assignments[i].variable);
  }
  flow.counts = flow.counts.empty() ? condition
                                    : Select(condition, flow.counts, condition);
}

class AccumulateTransform : public GradientTransform {
 public:
  AccumulateTransform(int steps, TransformPtr transform, Loc loc)
      : GradientTransform("Accumulate", loc),
        steps_(steps),
        transform_(std::move(transform)) {}

  void Apply(GradientFlow& flow) const override {
    if (steps_ < 1) {
      ReportError(flow,
                  absl::StrCat("expected at least 1 step, found ", steps_));
      return;
    }
    Graph& g = *flow.graph;
    const auto number = [&](double value, DType dtype) {
      return Fill(&g, {}, value, dtype);
    };
    const Var runs =
        g.State("accumulated_runs", {}, Zeros(), DType::kInt32, loc());
    const Var now = runs + 1;
    const Var due = Equal(now, number(steps_, DType::kInt32));
    std::vector<Assignment> sums;
    for (Trained& trained : flow.trained) {
      const Var old_sum = flow.StateOf(trained.parameter, "accumulated", loc());
      const Var sum = old_sum + trained.gradient;
      sums.push_back({old_sum, Select(due, number(0, DType::kFloat32), sum)});
      trained.gradient = sum * (1.0 / steps_);
    }
    ApplyIf(due, *transform_, flow);
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
    Graph& g = *flow.graph;
    // How many elements are not finite. Float32 counts wholes to 2^24 exactly,
    // and beyond never back to 0.
    std::vector<Var> counts;
    for (const Trained& trained : flow.trained) {
      counts.push_back(
          Sum(1 - Cast(IsFinite(trained.gradient), DType::kFloat32)));
    }
    const Var good = Equal(AddN(counts), Fill(&g, {}, 0));
    const Var old_skipped =
        g.State("skipped", {}, Zeros(), DType::kInt32, loc());
    const Var skipped = Select(good, old_skipped, old_skipped + 1);
    ApplyIf(good, *transform_, flow);
    flow.updates.assignments.push_back({old_skipped, skipped});
    flow.updates.reports.push_back({"skipped", skipped});
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
        for (Trained& trained : flow.trained) {
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
  std::vector<Replacement> replacements;
  const Variables& variables = graph.variables();
  for (int i = 0; i < variables.size(); ++i) {
    absl::string_view name = variables[i].name;
    if (absl::ConsumeSuffix(&name, kAverageSuffix) &&
        variables.Find(name) >= 0) {
      replacements.push_back({std::string(name), variables[i].name});
    }
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
        for (Trained& trained : flow.trained) {
          const Var noise = RandomNormal(
              step, trained.parameter.shape(),
              {.seed = g.seed(),
               .stream = StreamOf(absl::StrCat(g.NameOf(trained.parameter),
                                               "/gradient_noise"))},
              loc);
          trained.gradient = trained.gradient + deviation * noise;
        }
      });
}

}  // namespace tape
