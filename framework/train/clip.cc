// Clipping (clip.h). Tested by tests/wrappers_test.cc.
#include "framework/train/clip.h"

#include "framework/train/check_constant.h"
#include "ops/ops.h"

namespace tape {
namespace {

// min(1, limit / norm), of rank 0.
Var ClipFactor(Var norm, double limit) {
  const Var bound = Fill(norm.graph(), {}, limit);
  return bound / Maximum(norm, bound);
}

}  // namespace

TransformPtr ClipByValue(double limit, Loc loc) {
  return MakeTransform("ClipByValue", loc, CheckPositive("limit", limit),
                       [limit](GradientFlow& flow) {
                         for (Trained& trained : flow.trained) {
                           trained.gradient =
                               Clip(trained.gradient, -limit, limit);
                         }
                       });
}

TransformPtr ClipByNorm(double limit, Loc loc) {
  return MakeTransform("ClipByNorm", loc, CheckPositive("limit", limit),
                       [limit](GradientFlow& flow) {
                         for (Trained& trained : flow.trained) {
                           const Var g = trained.gradient;
                           trained.gradient =
                               g * ClipFactor(Sqrt(Sum(Square(g))), limit);
                         }
                       });
}

TransformPtr ClipByGlobalNorm(double limit, Loc loc) {
  return MakeTransform(
      "ClipByGlobalNorm", loc, CheckPositive("limit", limit),
      [limit](GradientFlow& flow) {
        std::vector<Var> squares;
        for (const Trained& trained : flow.trained) {
          squares.push_back(Sum(Square(trained.gradient)));
        }
        const Var norm = Sqrt(AddN(squares));
        flow.updates.reports.push_back({"gradient_norm", norm});
        const Var factor = ClipFactor(norm, limit);
        for (Trained& trained : flow.trained) {
          trained.gradient = trained.gradient * factor;
        }
      });
}

}  // namespace tape
