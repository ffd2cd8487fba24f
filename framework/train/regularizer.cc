// Regularisers (regularizer.h). Tested by tests/transform_test.cc.
#include "framework/train/regularizer.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "ops/ops.h"

namespace tape {
namespace {

// A penalty that is a sum over parameters of strength times the sum over a
// parameter's elements of `term`, whose derivative is `slope`.
struct Formula {
  const char* name;
  Var (*term)(Var w);
  Var (*slope)(Var w);
};

class Regularizer : public GradientTransform {
 public:
  Regularizer(const Formula& formula, double strength, Loc loc)
      : formula_(formula), strength_(strength), loc_(loc) {}

  const char* name() const override { return formula_.name; }
  Loc loc() const override { return loc_; }

  void Apply(GradientFlow& flow) const override {
    if (!(strength_ >= 0) || !std::isfinite(strength_)) {
      flow.graph->ReportError(
          loc_, formula_.name,
          absl::StrCat("expected a finite strength of at least 0, found ",
                       strength_));
      return;
    }
    std::vector<Var> sums;
    for (size_t i = 0; i < flow.parameters.size(); ++i) {
      const Var w = flow.parameters[i];
      sums.push_back(Sum(formula_.term(w)));
      flow.gradients[i] = flow.gradients[i] + strength_ * formula_.slope(w);
    }
    flow.updates.penalties.push_back({formula_.name, strength_ * AddN(sums)});
  }

 private:
  Formula formula_;
  double strength_;
  Loc loc_;
};

}  // namespace

TransformPtr L1(double strength, Loc loc) {
  const Formula formula = {.name = "L1",
                           .term = [](Var w) { return Abs(w); },
                           .slope = [](Var w) { return Sign(w); }};
  return std::make_unique<Regularizer>(formula, strength, loc);
}

TransformPtr L2(double strength, Loc loc) {
  const Formula formula = {.name = "L2",
                           .term = [](Var w) { return Square(w); },
                           .slope = [](Var w) { return 2 * w; }};
  return std::make_unique<Regularizer>(formula, strength, loc);
}

}  // namespace tape
