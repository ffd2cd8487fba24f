// Clipping (clip.h). Tested by tests/optim/wrappers_test.cc.
#include "framework/optim/clip.h"

#include "framework/optim/check_constant.h"
#include "ops/ops.h"

namespace tape {

Var LimitNorm(Var x, ScaledNorm norm, double limit) {
  const Var bound = Fill(x.graph(), {}, limit);
  // The difference is 0, or NaN where the norm is infinite or NaN: limit over
  // infinity would make zeros of all finite elements, and hide it.
  const Var factor = bound / norm.ratio + (norm.ratio - norm.ratio);
  return Select(LessEqual(norm.scale * norm.ratio, bound), x,
                x * (1 / norm.scale) * factor);
}

TransformPtr ClipByValue(double limit, Loc loc) {
  return MakeTransform("ClipByValue", loc, CheckPositive("limit", limit),
                       [limit](GradientFlow& flow) {
                         for (ParameterGradient& trained : flow.trained) {
                           trained.gradient =
                               Clip(trained.gradient, -limit, limit);
                         }
                       });
}

TransformPtr ClipByNorm(double limit, Loc loc) {
  return MakeTransform("ClipByNorm", loc, CheckPositive("limit", limit),
                       [limit](GradientFlow& flow) {
                         for (ParameterGradient& trained : flow.trained) {
                           const Var g = trained.gradient;
                           trained.gradient =
                               LimitNorm(g, NormWithScale(g), limit);
                         }
                       });
}

TransformPtr ClipByGlobalNorm(double limit, Loc loc) {
  return MakeTransform(
      "ClipByGlobalNorm", loc, CheckPositive("limit", limit),
      [limit](GradientFlow& flow) {
        Var scale;  // The largest.
        std::vector<ScaledNorm> norms;
        for (const ParameterGradient& trained : flow.trained) {
          norms.push_back(NormWithScale(trained.gradient));
          const Var next = norms.back().scale;
          scale = scale.valid() ? Maximum(scale, next) : next;
        }
        std::vector<Var> squares;
        for (const ScaledNorm& each : norms) {
          squares.push_back(Square(each.ratio * (each.scale / scale)));
        }
        const ScaledNorm norm = {scale, Sqrt(AddN(squares))};
        flow.updates.reports.push_back(
            {"gradient_norm", norm.scale * norm.ratio});
        for (ParameterGradient& trained : flow.trained) {
          trained.gradient = LimitNorm(trained.gradient, norm, limit);
        }
      });
}

}  // namespace tape
