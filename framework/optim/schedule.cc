// Schedules (schedule.h): closures that put their formula on the tape. Tested
// by tests/optim/schedule_test.cc.
#include "framework/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <optional>

#include "absl/strings/str_cat.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"
#include "framework/core/misuse.h"
#include "framework/optim/check_constant.h"
#include "framework/optim/transform.h"
#include "ops/ops.h"

namespace tape {
namespace {

std::string CheckRate(double rate) { return CheckNotNegative("rate", rate); }

std::string CheckSteps(int64_t steps, int64_t least = 1) {
  if (steps >= least) return "";
  return absl::StrCat("expected a number of steps of at least ", least,
                      ", found ", steps);
}

std::string CheckFactor(double factor) {
  if (factor > 0 && factor <= 1) return "";
  return absl::StrCat("expected a factor in (0, 1], found ", factor);
}

// A schedule whose errors name it.
Schedule Make(const char* name, std::initializer_list<std::string> errors,
              Schedule::Function function) {
  std::string error = FirstError(errors);
  if (!error.empty()) error = absl::StrCat(name, ": ", error);
  return Schedule(std::move(function), std::move(error));
}

// While it lives, what is appended bears the line of a call at `t`, unless a
// link of a chain, which has its own, makes the call.
class CallScope {
 public:
  CallScope(Var t, Loc loc) {
    Graph* const graph = t.graph();
    if (graph == nullptr || graph->loc_scope().line > 0) return;
    scope_.emplace(graph, loc);
  }

 private:
  std::optional<Graph::LocScope> scope_;
};

// Where a mistake in a schedule's value at t is told: at the line of the link
// that uses the schedule, or of t.
Loc PlaceOf(Var t) {
  const Graph* const graph = t.graph();
  if (graph == nullptr) return {};
  const Loc& scope = graph->loc_scope();
  return scope.line > 0 ? scope : graph->node(t).loc;
}

Var Constant(Var like, double value) { return Fill(like.graph(), {}, value); }

// (1 + cos(pi x)) / 2: from 1 at 0 to 0 at 1, level at both ends.
Var HalfCosine(Var x) { return 0.5 * (1 + Cos(std::numbers::pi * x)); }

// x where it is at most 1, else 1.
Var AtMostOne(Var x) { return Minimum(x, Constant(x, 1)); }

}  // namespace

Schedule::Schedule(double constant)
    : function_([constant](Var t) { return Constant(t, constant); }),
      error_(CheckNotNegative("number", constant)) {}

Schedule::Schedule(Function function, std::string error)
    : function_(std::move(function)), error_(std::move(error)) {
  if (function_ == nullptr && error_.empty()) {
    error_ = "expected a function, found none";
  }
}

Var Schedule::At(Var t, Loc loc) const {
  const FloatingPointScope environment;
  Graph* const graph = t.graph();
  if (function_ == nullptr || graph == nullptr) return Var();
  if (!t.valid()) return t;
  const CallScope call(t, loc);
  const auto fail = [&](const auto& error) {
    graph->ReportError(PlaceOf(t), "Schedule", error);
    return Var(graph, kNone);
  };
  Var value;
  try {
    value = function_(t);
  } catch (...) {
    return fail(CaughtStatus("its function"));
  }
  if (!graph->Has(value)) {
    return fail(absl::StrCat(
        "expected a value of the graph of t, found ",
        value.empty() ? value.WhyEmpty() : "a Var of another graph"));
  }
  if (value.valid() && !(value.type() == TensorType())) {
    return fail(absl::StrCat("expected a float32 of rank 0, found ",
                             graph->Describe(value.id())));
  }
  return value;
}

Var Schedule::AtStep(Var step, Loc loc) const {
  const CallScope call(step, loc);
  return At(Cast(step, DType::kFloat32, PlaceOf(step)), loc);
}

Schedule FromVariable(Var variable) {
  return Schedule([variable](Var) { return variable; });
}

Schedule InverseTimeDecay(double rate, double decay) {
  return Make("InverseTimeDecay",
              {CheckRate(rate), CheckNotNegative("decay", decay)},
              [=](Var t) { return rate / (1 + decay * t); });
}

Schedule ExponentialDecay(double rate, double factor, int64_t steps) {
  return Make(
      "ExponentialDecay",
      {CheckRate(rate), CheckFactor(factor), CheckSteps(steps)}, [=](Var t) {
        return rate * Exp(t * (std::log(factor) / static_cast<double>(steps)));
      });
}

Schedule StepDecay(double rate, double factor, int64_t steps) {
  return Make("StepDecay",
              {CheckRate(rate), CheckFactor(factor), CheckSteps(steps)},
              [=](Var t) {
                // In float32 t / steps is rounded rightly, so a whole quotient
                // is exact.
                const Var times = Floor(t / static_cast<double>(steps));
                return rate * Exp(times * std::log(factor));
              });
}

Schedule Piecewise(double first, std::vector<Piece> pieces) {
  std::string error = CheckRate(first);
  int64_t last = 0;
  for (const Piece& piece : pieces) {
    if (error.empty()) error = CheckRate(piece.rate);
    if (error.empty() && piece.from <= last) {
      error = absl::StrCat("expected steps that rise from above 0, found ",
                           piece.from, " after ", last);
    }
    last = piece.from;
  }
  return Make("Piecewise", {error}, [=](Var t) {
    Var rate = Constant(t, first);
    for (const Piece& piece : pieces) {
      const Var begun =
          Greater(t, Constant(t, static_cast<double>(piece.from) - 0.5));
      rate = Select(begun, Constant(t, piece.rate), rate);
    }
    return rate;
  });
}

Schedule PolynomialDecay(double rate, double end, int64_t steps, double power) {
  return Make("PolynomialDecay",
              {CheckRate(rate), CheckRate(end), CheckSteps(steps),
               CheckPositive("power", power)},
              [=](Var t) {
                const Var left = Relu(1 - t / static_cast<double>(steps));
                // 0 to a power is e^(power ln 0) = e^-inf = 0.
                const Var shape = power == 1 ? left : Exp(power * Log(left));
                return end + (rate - end) * shape;
              });
}

Schedule LinearDecay(double rate, int64_t steps) {
  return Make("LinearDecay", {CheckRate(rate), CheckSteps(steps)},
              [=](Var t) { return PolynomialDecay(rate, 0, steps, 1).At(t); });
}

Schedule CosineDecay(double rate, double end, int64_t steps) {
  return Make(
      "CosineDecay", {CheckRate(rate), CheckRate(end), CheckSteps(steps)},
      [=](Var t) {
        return end + (rate - end) *
                         HalfCosine(AtMostOne(t / static_cast<double>(steps)));
      });
}

Schedule CosineRestarts(double rate, double end, int64_t steps) {
  return Make("CosineRestarts",
              {CheckRate(rate), CheckRate(end), CheckSteps(steps)}, [=](Var t) {
                const Var cycles = t / static_cast<double>(steps);
                return end + (rate - end) * HalfCosine(cycles - Floor(cycles));
              });
}

Schedule Warmup(int64_t steps, Schedule then) {
  return Make("Warmup", {CheckSteps(steps, 0), then.error()}, [=](Var t) {
    const double length = static_cast<double>(steps);
    const Var rising = then.At(Constant(t, 0)) * ((t + 1) / (length + 1));
    return Select(Greater(Constant(t, length - 0.5), t), rising,
                  then.At(Relu(t - length)));
  });
}

Schedule OneCycle(double peak, int64_t steps) {
  return Make("OneCycle", {CheckRate(peak), CheckSteps(steps)}, [=](Var t) {
    const double rise = 0.3 * static_cast<double>(steps);
    const double fall = static_cast<double>(steps) - rise;
    const double start = peak / 25, end = peak / 25e4;
    const Var up = start + (peak - start) * HalfCosine(1 - t / rise);
    const Var down =
        end + (peak - end) * HalfCosine(AtMostOne((t - rise) / fall));
    return Select(Greater(Constant(t, rise), t), up, down);
  });
}

namespace {

// The best metric before there is one. Finite, as variables are to be.
constexpr float kNoBest = std::numeric_limits<float>::max();

template <typename T>
T Number(Var state) {
  return state.graph()->Value(state).values<T>()[0];
}

// An error while a plan runs: Observe is for the time between two runs.
template <typename T>
absl::Status SetNumber(Var state, T value) {
  return state.graph()->SetValue(state, Tensor(Shape(), std::vector<T>{value}),
                                 Loc());
}

}  // namespace

struct ReduceOnPlateau::Declared {
  Options options;
  std::string error;
  // Once the schedule has been used.
  Var rate, best, failures;
};

ReduceOnPlateau::ReduceOnPlateau(Options options)
    : declared_(std::make_shared<Declared>()) {
  declared_->options = options;
  declared_->error = FirstError(
      {CheckRate(options.rate), CheckPositive("factor", options.factor),
       CheckFraction("factor", options.factor),
       CheckNotNegative("patience", options.patience),
       CheckFraction("threshold", options.threshold),
       CheckNotNegative("min_rate", options.min_rate)});
}

Schedule ReduceOnPlateau::schedule() const {
  return Make("ReduceOnPlateau", {declared_->error}, [of = declared_](Var t) {
    Graph& graph = *t.graph();
    if (!of->rate.empty() && of->rate.graph() != &graph) {
      graph.ReportError(PlaceOf(t), "ReduceOnPlateau",
                        "expected the graph that it was first used in, found "
                        "another one: make one for each graph");
      return Var(&graph, kNone);
    }
    if (!of->rate.empty()) return of->rate;
    const Graph::TrainingScope scope(&graph);
    // A mistake bears the line of the link that uses the schedule.
    const auto declare = [&](const char* what, const Initializer& initializer,
                             DType dtype) {
      return graph.State(FreeName(graph, absl::StrCat("plateau/", what)), {},
                         initializer, dtype, graph.loc_scope());
    };
    of->rate =
        declare("rate", tape::Constant(of->options.rate), DType::kFloat32);
    of->best = declare("best", tape::Constant(kNoBest), DType::kFloat32);
    of->failures = declare("failures", Zeros(), DType::kInt32);
    return of->rate;
  });
}

double ReduceOnPlateau::Observe(double metric, Loc loc) {
  const FloatingPointScope environment;
  const auto& [options, error, rate, best, failures] = *declared_;
  if (!rate.valid() || !best.valid() || !failures.valid()) return options.rate;
  // As variables are, finite.
  const auto now = static_cast<float>(
      std::isnan(metric)
          ? metric
          : std::clamp<double>(metric, std::numeric_limits<float>::lowest(),
                               kNoBest));
  const float best_now = Number<float>(best);
  // Any metric improves on none; the threshold is relative to the size of the
  // best, which may be negative.
  const double needed = best_now - options.threshold * std::fabs(best_now);
  const bool is_better = best_now == kNoBest ? now < kNoBest : now < needed;
  absl::Status status;
  if (is_better) status.Update(SetNumber(best, now));
  const int32_t failed = Number<int32_t>(failures);
  const bool falls = !is_better && failed >= options.patience;
  status.Update(SetNumber(failures, is_better || falls ? 0 : failed + 1));
  if (falls) {
    status.Update(SetNumber(
        rate, static_cast<float>(std::max(Number<float>(rate) * options.factor,
                                          options.min_rate))));
  }
  if (!status.ok()) {
    internal::ReportMisuse(loc,
                           "ReduceOnPlateau: a plan of the graph is running, "
                           "and the metric is lost");
  }
  return Number<float>(rate);
}

}  // namespace tape
