// Optimisers (optimizer.h): each a function that puts its formula on the tape.
// Tested by tests/optim/optimizer_test.cc and tests/optim/trajectory_test.cc.
#include "framework/optim/optimizer.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "framework/optim/check_constant.h"
#include "framework/optim/regularizer.h"
#include "ops/ops.h"

namespace tape {
namespace {

// What a formula is written in.
struct Step {
  GradientFlow* flow;
  Loc loc;
  Var rate;  // Float32 of rank 0.

  // t: 1 at the first update, as float32.
  Var Count() const { return Cast(flow->updates.step, DType::kFloat32) + 1; }
  Var State(Var w, absl::string_view name,
            const Initializer& initializer = Zeros()) const {
    return flow->StateOf(w, name, loc, initializer);
  }
  // Assigns `value` to the state, and returns it.
  Var Assign(Var state, Var value) const {
    flow->updates.assignments.push_back({state, value});
    return value;
  }
};

// The new value of w from its gradient g.
using Rule = std::function<Var(Var w, Var g)>;
// Declares what all parameters share, and returns the rule for one.
using Formula = std::function<Rule(const Step& step)>;

// What all optimisers do alike: refuse, put the rate on the tape, and assign.
TransformPtr MakeOptimizer(const char* name, Loc loc,
                           const Schedule& learning_rate, std::string error,
                           Formula formula) {
  error = FirstError({learning_rate.error("learning_rate"), error});
  return MakeTransform(
      name, loc, std::move(error),
      [name, learning_rate, loc, formula](GradientFlow& flow) {
        const Var rate = learning_rate.AtStep(flow.updates.step);
        flow.updates.learning_rate = rate;
        const Rule rule = formula({.flow = &flow, .loc = loc, .rate = rate});
        for (const ParameterGradient& trained : flow.trained) {
          const Var w = trained.parameter;
          Var value = rule(w, trained.gradient);
          for (const Adjustment& adjust : trained.adjustments) {
            if (adjust == nullptr) {
              flow.graph->ReportError(loc, name,
                                      "expected an adjustment, found null");
              return;
            }
            value = adjust(w, value, rate, flow.updates);
          }
          flow.updates.assignments.push_back({w, value});
        }
        flow.trained.clear();
      });
}

std::string CheckAdam(const AdamOptions& options) {
  return FirstError({CheckFraction("beta1", options.beta1),
                     CheckFraction("beta2", options.beta2),
                     CheckNotNegative("epsilon", options.epsilon)});
}

// 1 - beta^t by way of expm1: in float32, 1 - pow(0.999, 1) would be wrong in
// the fifth digit.
Var BiasCorrection(double beta, Var t) { return -Expm1(t * std::log(beta)); }

// The two moments of Adam and its kin.
struct Moments {
  Var m, v;
};

Moments UpdateMoments(const Step& step, absl::string_view name,
                      const AdamOptions& options, Var w, Var g) {
  const Var m = step.State(w, absl::StrCat(name, "/m"));
  const Var v = step.State(w, absl::StrCat(name, "/v"));
  return {step.Assign(m, options.beta1 * m + (1 - options.beta1) * g),
          step.Assign(v, options.beta2 * v + (1 - options.beta2) * Square(g))};
}

// Adam, with `spread(step, w, v)` in place of v under the root.
TransformPtr MakeAdam(
    const char* name, Loc loc, const AdamOptions& options,
    std::function<Var(const Step& step, Var w, Var v)> spread) {
  return MakeOptimizer(
      name, loc, options.learning_rate, CheckAdam(options),
      [options, spread](const Step& step) -> Rule {
        const Var t = step.Count();
        const Var rate = step.rate / BiasCorrection(options.beta1, t);
        const Var scale = 1 / Sqrt(BiasCorrection(options.beta2, t));
        return [=](Var w, Var g) {
          const auto [m, v] = UpdateMoments(step, "adam", options, w, g);
          const Var x = spread(step, w, v);
          return w - rate * m / (Sqrt(x) * scale + options.epsilon);
        };
      });
}

}  // namespace

TransformPtr Sgd(SgdOptions options, Loc loc) {
  return MakeOptimizer("Sgd", loc, options.learning_rate, "",
                       [](const Step& step) -> Rule {
                         return [=](Var w, Var g) { return w - step.rate * g; };
                       });
}

TransformPtr Momentum(MomentumOptions options, Loc loc) {
  return MakeOptimizer(
      "Momentum", loc, options.learning_rate,
      CheckFraction("momentum", options.momentum),
      [options](const Step& step) -> Rule {
        return [=](Var w, Var g) {
          const Var v = step.State(w, "momentum/v");
          if (options.velocity == Velocity::kSteps) {
            return w + step.Assign(v, options.momentum * v - step.rate * g);
          }
          return w - step.rate * step.Assign(v, options.momentum * v + g);
        };
      });
}

TransformPtr Nesterov(NesterovOptions options, Loc loc) {
  return MakeOptimizer("Nesterov", loc, options.learning_rate,
                       CheckFraction("momentum", options.momentum),
                       [mu = options.momentum](const Step& step) -> Rule {
                         return [=](Var w, Var g) {
                           const Var old_v = step.State(w, "nesterov/v");
                           const Var v = step.Assign(old_v, mu * old_v + g);
                           return w - step.rate * (g + mu * v);
                         };
                       });
}

TransformPtr Adagrad(AdagradOptions options, Loc loc) {
  return MakeOptimizer(
      "Adagrad", loc, options.learning_rate,
      FirstError({CheckNotNegative("epsilon", options.epsilon),
                  CheckNotNegative("initial_sum", options.initial_sum)}),
      [options](const Step& step) -> Rule {
        return [=](Var w, Var g) {
          const Var old_s =
              step.State(w, "adagrad/s", Constant(options.initial_sum));
          const Var s = step.Assign(old_s, old_s + Square(g));
          return w - step.rate * g / (Sqrt(s) + options.epsilon);
        };
      });
}

TransformPtr RmsProp(RmsPropOptions options, Loc loc) {
  return MakeOptimizer(
      "RmsProp", loc, options.learning_rate,
      FirstError({CheckFraction("decay", options.decay),
                  CheckFraction("momentum", options.momentum),
                  CheckNotNegative("epsilon", options.epsilon)}),
      [options](const Step& step) -> Rule {
        const double rho = options.decay;
        return [=](Var w, Var g) {
          const Var old_s = step.State(w, "rmsprop/s");
          const Var s = step.Assign(old_s, rho * old_s + (1 - rho) * Square(g));
          Var spread = s;
          if (options.centering == Centering::kMean) {
            const Var old_a = step.State(w, "rmsprop/a");
            const Var a = step.Assign(old_a, rho * old_a + (1 - rho) * g);
            spread = Relu(s - Square(a));
          }
          const Var u = g / (Sqrt(spread) + options.epsilon);
          if (options.momentum == 0) return w - step.rate * u;
          const Var v = step.State(w, "rmsprop/v");
          return w - step.rate * step.Assign(v, options.momentum * v + u);
        };
      });
}

TransformPtr Adadelta(AdadeltaOptions options, Loc loc) {
  return MakeOptimizer(
      "Adadelta", loc, options.learning_rate,
      FirstError({CheckFraction("decay", options.decay),
                  CheckNotNegative("epsilon", options.epsilon)}),
      [options](const Step& step) -> Rule {
        const double rho = options.decay, epsilon = options.epsilon;
        return [=](Var w, Var g) {
          const Var old_s = step.State(w, "adadelta/s");
          const Var old_d = step.State(w, "adadelta/d");
          const Var s = step.Assign(old_s, rho * old_s + (1 - rho) * Square(g));
          const Var u = Sqrt(old_d + epsilon) / Sqrt(s + epsilon) * g;
          step.Assign(old_d, rho * old_d + (1 - rho) * Square(u));
          return w - step.rate * u;
        };
      });
}

TransformPtr Adam(AdamOptions options, Loc loc) {
  return MakeAdam("Adam", loc, options,
                  [](const Step&, Var, Var v) { return v; });
}

TransformPtr AmsGrad(AdamOptions options, Loc loc) {
  return MakeAdam("AmsGrad", loc, options, [](const Step& step, Var w, Var v) {
    const Var old_x = step.State(w, "adam/x");
    return step.Assign(old_x, Maximum(old_x, v));
  });
}

TransformPtr AdamW(AdamWOptions options, Loc loc) {
  return std::make_unique<Chain>(
      DecoupledWeightDecay(options.weight_decay, loc), Adam(options.adam, loc));
}

TransformPtr NAdam(NAdamOptions options, Loc loc) {
  return MakeOptimizer(
      "NAdam", loc, options.adam.learning_rate,
      FirstError({CheckAdam(options.adam),
                  CheckNotNegative("momentum_decay", options.momentum_decay)}),
      [options](const Step& step) -> Rule {
        const AdamOptions& adam = options.adam;
        const Var t = step.Count();
        const auto mu_at = [&](Var count) {
          return adam.beta1 * (1 - 0.5 * Exp(count * (options.momentum_decay *
                                                      std::log(0.96))));
        };
        const Var mu = mu_at(t), next_mu = mu_at(t + 1);
        // One product for all parameters, named after the first of them.
        Graph& graph = *step.flow->graph;
        const std::string name = absl::StrCat(
            graph.NameOf(step.flow->trained[0].parameter), "/nadam/mu_product");
        const Var old_product = graph.State(
            FreeName(graph, name), {}, Constant(1), DType::kFloat32, step.loc);
        const Var product = step.Assign(old_product, old_product * mu);
        const Var g_rate = step.rate * (1 - mu) / (1 - product);
        const Var m_rate = step.rate * next_mu / (1 - product * next_mu);
        const Var scale = 1 / Sqrt(BiasCorrection(adam.beta2, t));
        return [=](Var w, Var g) {
          const auto [m, v] = UpdateMoments(step, "nadam", adam, w, g);
          return w -
                 (g_rate * g + m_rate * m) / (Sqrt(v) * scale + adam.epsilon);
        };
      });
}

TransformPtr Lion(LionOptions options, Loc loc) {
  return MakeOptimizer(
      "Lion", loc, options.learning_rate,
      FirstError({CheckFraction("beta1", options.beta1),
                  CheckFraction("beta2", options.beta2),
                  CheckNotNegative("weight_decay", options.weight_decay)}),
      [options](const Step& step) -> Rule {
        return [=](Var w, Var g) {
          const Var m = step.State(w, "lion/m");
          const Var c = options.beta1 * m + (1 - options.beta1) * g;
          step.Assign(m, options.beta2 * m + (1 - options.beta2) * g);
          return w - step.rate * (Sign(c) + options.weight_decay * w);
        };
      });
}

TransformPtr Lamb(LambOptions options, Loc loc) {
  return MakeOptimizer(
      "Lamb", loc, options.adam.learning_rate,
      FirstError({CheckAdam(options.adam),
                  CheckNotNegative("weight_decay", options.weight_decay)}),
      [options](const Step& step) -> Rule {
        const AdamOptions& adam = options.adam;
        const Var t = step.Count();
        const Var m_scale = 1 / BiasCorrection(adam.beta1, t);
        const Var v_scale = 1 / BiasCorrection(adam.beta2, t);
        return [=](Var w, Var g) {
          const auto [m, v] = UpdateMoments(step, "lamb", adam, w, g);
          const Var u = m * m_scale / (Sqrt(v * v_scale) + adam.epsilon) +
                        options.weight_decay * w;
          const ScaledNorm w_norm = NormWithScale(w);
          const ScaledNorm u_norm = NormWithScale(u);
          // Where either norm is 0 the quotient is 0, infinite or NaN, and not
          // taken. u is scaled first, so that neither the quotient of the
          // scales nor that of the norms need be within float32.
          const Var zero = Fill(w.graph(), {}, 0), one = Fill(w.graph(), {}, 1);
          const Var both =
              And(Greater(w_norm.ratio, zero), Greater(u_norm.ratio, zero));
          const Var scaled_rate =
              step.rate * (w_norm.ratio / u_norm.ratio) * w_norm.scale;
          return w - Select(both, scaled_rate, step.rate) *
                         (u * Select(both, 1 / u_norm.scale, one));
        };
      });
}

}  // namespace tape
