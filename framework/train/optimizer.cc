// Optimisers (optimizer.h). Tested by tests/optimizer_test.cc.
#include "framework/train/optimizer.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ops/ops.h"

namespace tape {
namespace {

// Empty, or why `value` is not in [0, 1).
std::string CheckDecay(absl::string_view what, double value) {
  if (value >= 0 && value < 1) return "";
  return absl::StrCat("expected a ", what, " in [0, 1), found ", value);
}

// What all optimisers do alike: check, put the rate on the tape, and assign to
// each parameter. A subclass writes the formula for one parameter.
class Optimizer : public GradientTransform {
 public:
  Optimizer(const char* name, Schedule learning_rate, std::string error,
            Loc loc)
      : name_(name),
        learning_rate_(std::move(learning_rate)),
        error_(learning_rate_.error().empty() ? std::move(error)
                                              : learning_rate_.error()),
        loc_(loc) {}

  const char* name() const override { return name_; }
  Loc loc() const override { return loc_; }

  void Apply(GradientFlow& flow) const override {
    flow.ended = true;
    if (!error_.empty()) {
      flow.graph->ReportError(loc_, name_, error_);
      return;
    }
    flow.updates.learning_rate = learning_rate_.At(*flow.graph, loc_);
    const Shared shared = Prepare(*flow.graph, flow.updates.learning_rate);
    for (size_t i = 0; i < flow.parameters.size(); ++i) {
      const Var w = flow.parameters[i];
      flow.updates.assignments.push_back(
          {w, Update(shared, w, flow.gradients[i], flow.updates)});
    }
  }

 protected:
  // What is the same for all parameters: factors of rank 0.
  struct Shared {
    Var rate;        // As scheduled, or with corrections.
    Var root_scale;  // Adam's.
  };
  virtual Shared Prepare(Graph&, Var rate) const { return {rate, Var()}; }

  // The new value of w. Assigns to the state it keeps.
  virtual Var Update(const Shared& shared, Var w, Var g,
                     Updates& updates) const = 0;

  // A variable like w for the state of that name, from 0.
  Var StateOf(Var w, absl::string_view name) const {
    Graph& graph = *w.graph();
    return graph.State(absl::StrCat(graph.NameOf(w), "/", name), w.shape(),
                       Zeros(), DType::kFloat32, loc_);
  }

 private:
  const char* name_;
  Schedule learning_rate_;
  std::string error_;
  Loc loc_;
};

class SgdOptimizer : public Optimizer {
 public:
  SgdOptimizer(SgdOptions options, Loc loc)
      : Optimizer("Sgd", std::move(options.learning_rate), "", loc) {}

 protected:
  Var Update(const Shared& shared, Var w, Var g, Updates&) const override {
    return w - shared.rate * g;
  }
};

class MomentumOptimizer : public Optimizer {
 public:
  MomentumOptimizer(const MomentumOptions& options, Loc loc)
      : Optimizer("Momentum", options.learning_rate,
                  CheckDecay("momentum", options.momentum), loc),
        momentum_(options.momentum) {}

 protected:
  Var Update(const Shared& shared, Var w, Var g,
             Updates& updates) const override {
    const Var old_v = StateOf(w, "momentum/v");
    const Var v = momentum_ * old_v + g;
    updates.assignments.push_back({old_v, v});
    return w - shared.rate * v;
  }

 private:
  double momentum_;
};

class AdamOptimizer : public Optimizer {
 public:
  AdamOptimizer(const AdamOptions& options, Loc loc)
      : Optimizer("Adam", options.learning_rate, Check(options), loc),
        beta1_(options.beta1),
        beta2_(options.beta2),
        epsilon_(options.epsilon) {}

 protected:
  Shared Prepare(Graph& graph, Var rate) const override {
    // 1 - beta^t by way of expm1: in float32, 1 - pow(0.999, 1) would be wrong
    // in the fifth digit.
    const Var t = Cast(graph.Step(), DType::kFloat32) + 1;
    const Var correction1 = -Expm1(t * std::log(beta1_));
    const Var correction2 = -Expm1(t * std::log(beta2_));
    return {rate / correction1, 1 / Sqrt(correction2)};
  }

  Var Update(const Shared& shared, Var w, Var g,
             Updates& updates) const override {
    const Var old_m = StateOf(w, "adam/m"), old_v = StateOf(w, "adam/v");
    const Var m = beta1_ * old_m + (1 - beta1_) * g;
    const Var v = beta2_ * old_v + (1 - beta2_) * Square(g);
    updates.assignments.push_back({old_m, m});
    updates.assignments.push_back({old_v, v});
    return w - shared.rate * m / (Sqrt(v) * shared.root_scale + epsilon_);
  }

 private:
  static std::string Check(const AdamOptions& options) {
    std::string error = CheckDecay("beta1", options.beta1);
    if (error.empty()) error = CheckDecay("beta2", options.beta2);
    if (error.empty() &&
        !(options.epsilon >= 0 && std::isfinite(options.epsilon))) {
      error = absl::StrCat("expected a finite epsilon of at least 0, found ",
                           options.epsilon);
    }
    return error;
  }

  double beta1_, beta2_, epsilon_;
};

}  // namespace

TransformPtr Sgd(SgdOptions options, Loc loc) {
  return std::make_unique<SgdOptimizer>(std::move(options), loc);
}

TransformPtr Momentum(MomentumOptions options, Loc loc) {
  return std::make_unique<MomentumOptimizer>(options, loc);
}

TransformPtr Adam(AdamOptions options, Loc loc) {
  return std::make_unique<AdamOptimizer>(options, loc);
}

}  // namespace tape
