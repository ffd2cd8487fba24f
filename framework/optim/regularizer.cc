// Regularisers (regularizer.h). Tested by tests/optim/regularizer_test.cc.
#include "framework/optim/regularizer.h"

#include "framework/optim/check_constant.h"
#include "framework/optim/clip.h"
#include "ops/ops.h"

namespace tape {
namespace {

// Adds strength slope(w) to each gradient, and reports strength times the sum
// of term(w) over all parameters.
TransformPtr MakePenalty(const char* name, Loc loc, Schedule strength,
                         std::function<Var(Var w)> term,
                         std::function<Var(Var w)> slope) {
  return MakeTransform(
      name, loc, strength.error("strength"), [=](GradientFlow& flow) {
        const Var factor = strength.AtStep(flow.updates.step);
        std::vector<Var> sums;
        for (ParameterGradient& trained : flow.trained) {
          const Var w = trained.parameter;
          sums.push_back(Sum(term(w)));
          trained.gradient = trained.gradient + factor * slope(w);
        }
        flow.updates.penalties.push_back({name, factor * AddN(sums)});
      });
}

// Puts every parameter's new value through `adjust` (see Adjustment; `factor`
// is the strength at this step).
TransformPtr MakeAdjustment(
    const char* name, Loc loc, Schedule strength,
    std::function<Var(Var w, Var u, Var rate, Var factor)> adjust) {
  return MakeTransform(
      name, loc, strength.error("strength"), [=](GradientFlow& flow) {
        const Var factor = strength.AtStep(flow.updates.step);
        for (ParameterGradient& trained : flow.trained) {
          trained.adjustments.push_back([=](Var w, Var u, Var rate, Updates&) {
            return adjust(w, u, rate, factor);
          });
        }
      });
}

}  // namespace

TransformPtr L1(Schedule strength, SignOfZero sign_of_zero, Loc loc) {
  return MakePenalty(
      "L1", loc, std::move(strength), [](Var w) { return Abs(w); },
      [sign_of_zero](Var w) {
        if (sign_of_zero == SignOfZero::kZero) return Sign(w);
        const Var is_zero = Equal(w, Fill(w.graph(), {}, 0));
        return Sign(w) + Cast(is_zero, DType::kFloat32);
      });
}

TransformPtr L2(Schedule strength, Loc loc) {
  return MakePenalty(
      "L2", loc, std::move(strength), [](Var w) { return Square(w); },
      [](Var w) { return 2 * w; });
}

TransformPtr ElasticNet(Schedule l1, Schedule l2, Loc loc) {
  return std::make_unique<Chain>(L1(std::move(l1), SignOfZero::kZero, loc),
                                 L2(std::move(l2), loc));
}

TransformPtr DecoupledWeightDecay(Schedule strength, Loc loc) {
  return MakeAdjustment(
      "DecoupledWeightDecay", loc, std::move(strength),
      [](Var w, Var u, Var rate, Var factor) { return u - rate * factor * w; });
}

TransformPtr ProximalL1(Schedule strength, Loc loc) {
  return MakeTransform(
      "ProximalL1", loc, strength.error("strength"), [=](GradientFlow& flow) {
        const Var factor = strength.AtStep(flow.updates.step);
        // The optimisers of several groups each bring their share of the zeros,
        // so the report counts over those at hand.
        double elements = 0;
        for (const ParameterGradient& trained : flow.trained) {
          elements += static_cast<double>(trained.parameter.shape().elements());
        }
        const size_t report = flow.updates.reports.size();
        flow.updates.reports.push_back({"zeros", Fill(flow.graph, {}, 0)});
        for (ParameterGradient& trained : flow.trained) {
          trained.adjustments.push_back([=](Var, Var u, Var rate,
                                            Updates& updates) {
            const Var threshold = rate * factor;
            const Var shrunk = Relu(u - threshold) - Relu(-u - threshold);
            const Var is_zero = Equal(shrunk, Fill(u.graph(), {}, 0));
            Var& zeros = updates.reports[report].value;
            zeros =
                zeros + Sum(Cast(is_zero, DType::kFloat32)) * (1 / elements);
            return shrunk;
          });
        }
      });
}

TransformPtr MaxNorm(double limit, Loc loc) {
  const std::string error = CheckPositive("limit", limit);
  return MakeTransform("MaxNorm", loc, error, [limit](GradientFlow& flow) {
    for (ParameterGradient& trained : flow.trained) {
      trained.adjustments.push_back([limit](Var, Var u, Var, Updates&) {
        std::vector<int> axes;  // All, or those of a column.
        if (u.shape().rank() == 2) axes.push_back(0);
        return LimitNorm(u, NormWithScale(u, axes), limit);
      });
    }
  });
}

}  // namespace tape
