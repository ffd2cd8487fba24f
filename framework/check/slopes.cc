// Slopes by differences (slopes.h): quotients at shrinking steps, and their
// limits. Tested by tests/check/gradient_check_test.cc.
#include "framework/check/slopes.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "framework/core/calculus.h"

namespace tape {
namespace {

// A number, and how far it may be off.
struct Estimate {
  double value = std::numeric_limits<double>::quiet_NaN();
  double error = std::numeric_limits<double>::infinity();
};

// Steps are each a fourth of the one before.
constexpr double kShrink = 4;

// A difference quotient at one step.
struct Quotient {
  double step;
  double value;
  double rounding;  // How far off it may be for want of digits.
};

// How far the rounding errors of a graph move y, as far as its quotients tell:
// of the smallest steps, what two quotients in a row differ by is due to that.
double Noise(absl::Span<const Quotient> quotients) {
  constexpr size_t kSmallest = 4;
  double noise = 0;
  for (size_t i = std::max(quotients.size(), kSmallest) - kSmallest + 1;
       i < quotients.size(); ++i) {
    noise =
        std::max(noise, quotients[i].step * std::fabs(quotients[i].value -
                                                      quotients[i - 1].value));
  }
  return noise;
}

// Whether the quotients grow without end as steps shrink, so that the slope is
// infinite: at least as step^(-1/5), over the last six steps that show digits.
bool Diverges(absl::Span<const Quotient> quotients) {
  constexpr int kSteps = 6;
  constexpr double kGrowth = 1.3;
  int grown = 0;
  for (size_t i = 1; i < quotients.size(); ++i) {
    const double value = quotients[i].value, last = quotients[i - 1].value;
    if (quotients[i].rounding > 1e-3 * std::fabs(value)) break;
    grown = value * last > 0 && std::fabs(value) > kGrowth * std::fabs(last)
                ? grown + 1
                : 0;
  }
  return grown >= kSteps;
}

// The limit of a quotient whose error goes with step^order, by Richardson's
// extrapolation; infinite if it has none.
Estimate LimitOf(std::vector<Quotient> quotients, int order) {
  // Where it is not finite it may be so for smaller steps.
  std::erase_if(quotients, [](const Quotient& quotient) {
    return !std::isfinite(quotient.value);
  });
  if (Diverges(quotients)) {
    const double infinity = std::numeric_limits<double>::infinity();
    return {std::copysign(infinity, quotients.back().value), 0};
  }
  const double noise = Noise(quotients);
  const double factor = std::pow(kShrink, order);
  Estimate best;
  // Of the estimates that agree the best one; where two contradict each other
  // that of the smaller steps: longer ones than a wave may agree by chance.
  const auto consider = [&](double value, double error) {
    const bool contradicts =
        std::fabs(value - best.value) > 4 * (error + best.error);
    if (error < best.error || contradicts) best = {value, error};
  };
  double last_extrapolated = std::numeric_limits<double>::quiet_NaN();
  for (size_t i = 1; i < quotients.size(); ++i) {
    const auto& [step, value, rounding] = quotients[i];
    const double last = quotients[i - 1].value;
    const double extrapolated = (factor * value - last) / (factor - 1);
    const double lost = std::max(rounding, noise / step);
    consider(value, std::fabs(value - last) + lost);
    consider(extrapolated, std::fabs(extrapolated - last_extrapolated) + lost);
    last_extrapolated = extrapolated;
  }
  return best;
}

}  // namespace

EvaluationPoint::EvaluationPoint(const ReferenceFeeds& feeds) {
  for (const auto& [var, tensor] : feeds) Feed(var, ToFloat64(tensor));
}

void EvaluationPoint::Release(Var node) {
  std::erase_if(held_, [&](const auto& held) { return held.first == node; });
}

absl::Status EvaluationPoint::HoldStopped(Var y) {
  Graph* const graph = y.graph();
  const std::vector<bool> needed = NodesNeededBy(*graph, {y});
  std::vector<Var> stopped;
  for (int id = 0; id <= y.id(); ++id) {
    if (needed[id] && graph->node(id).op == &kStopGradient) {
      stopped.push_back(Var(graph, id));
    }
  }
  if (stopped.empty()) return absl::OkStatus();
  absl::StatusOr<std::vector<Tensor>> values = Evaluate(stopped);
  if (!values.ok()) return values.status();
  for (size_t i = 0; i < stopped.size(); ++i) {
    Hold(stopped[i], std::move((*values)[i]));
  }
  return absl::OkStatus();
}

bool EvaluationPoint::IsFed(Var source) const {
  return std::any_of(feeds_.begin(), feeds_.end(),
                     [&](const auto& feed) { return feed.first == source; });
}

absl::StatusOr<Tensor> EvaluationPoint::Evaluate(Var fetch) const {
  absl::StatusOr<std::vector<Tensor>> values = Evaluate({&fetch, 1});
  if (!values.ok()) return values.status();
  return std::move((*values)[0]);
}

int64_t EvaluationPoint::Batch() const {
  for (const auto& [var, tensor] : feeds_) {
    for (int axis = 0; axis < var.shape().rank(); ++axis) {
      if (var.shape()[axis] == kBatch) return tensor.shape()[axis];
    }
  }
  return 0;
}

void EvaluationPoint::Set(ReferenceFeeds& values, Var var, Tensor value) {
  for (auto& [held, tensor] : values) {
    if (held != var) continue;
    tensor = std::move(value);
    return;
  }
  values.emplace_back(var, std::move(value));
}

SlopeFinder::SlopeFinder(Var y, const Tensor& y_here, const Tensor& weights,
                         Var x, const Tensor& x_here, bool is_source,
                         EvaluationPoint& point)
    : y_(y),
      y_here_(y_here),
      weights_(weights),
      x_(x),
      x_here_(x_here),
      is_source_(is_source),
      point_(point) {
  for (int64_t i = 0; i < weights.elements(); ++i) {
    magnitude_ +=
        std::fabs(weights.values<double>()[i] * y_here.values<double>()[i]);
  }
}

SlopeFinder::~SlopeFinder() {
  if (is_source_) {
    point_.Feed(x_, x_here_);
  } else if (x_.graph()->node(x_).op == &kStopGradient) {
    point_.Hold(x_, x_here_);  // As before.
  } else {
    point_.Release(x_);
  }
}

absl::StatusOr<Slopes> SlopeFinder::AtStep(int64_t element, double step) {
  depends_.assign(weights_.elements(), false);
  const absl::StatusOr<Moved> below = Move(element, -step);
  if (!below.ok()) return below.status();
  const absl::StatusOr<Moved> above = Move(element, step);
  if (!above.ok()) return above.status();
  return Slopes{.below = below->change / below->distance,
                .above = above->change / above->distance,
                .rounding = std::max(below->Rounding(), above->Rounding()) +
                            RoundingOfRules(element)};
}

absl::StatusOr<Slopes> SlopeFinder::AtBestStep(int64_t element) {
  const double here = std::fabs(x_here_.values<double>()[element]);
  // An infinity cannot be moved: every step would be as infinite.
  if (!std::isfinite(here)) {
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    return Slopes{.below = kNan, .above = kNan};
  }
  const double scale = std::max(1.0, here);
  // Small elements may need small steps, the slope of ln x at 1e-11 is 1e11; and
  // so may large ones, a wave of sin x at 1e10 is as long as any.
  const double smallest =
      here == 0 ? 1e-10 : std::max(std::min(1e-10, 1e-5 * here), 4e-15 * here);
  std::vector<Quotient> low, high, central;
  depends_.assign(weights_.elements(), false);
  for (double step = 1e-2 * scale; step >= smallest; step /= kShrink) {
    const absl::StatusOr<Moved> below = Move(element, -step);
    if (!below.ok()) return below.status();
    const absl::StatusOr<Moved> above = Move(element, step);
    if (!above.ok()) return above.status();
    low.push_back({step, below->change / below->distance, below->Rounding()});
    high.push_back({step, above->change / above->distance, above->Rounding()});
    central.push_back(
        {step,
         (above->change - below->change) / (above->distance - below->distance),
         std::max(below->Rounding(), above->Rounding())});
  }
  const Estimate l = LimitOf(low, 1), h = LimitOf(high, 1);
  // Where the sides agree as far as can be told there is one slope, which the
  // central quotient knows best.
  if (std::isfinite(l.value) && std::isfinite(h.value) &&
      std::fabs(h.value - l.value) <= 4 * (l.error + h.error)) {
    const Estimate c = LimitOf(central, 2);
    return Slopes{.below = c.value,
                  .above = c.value,
                  .error = c.error,
                  .rounding = RoundingOfRules(element)};
  }
  // The error of a side that has no slope says nothing of the other.
  return Slopes{.below = l.value,
                .above = h.value,
                .error = std::max(std::isfinite(l.error) ? l.error : 0,
                                  std::isfinite(h.error) ? h.error : 0)};
}

double SlopeFinder::RoundingOfRules(int64_t element) const {
  const double here = std::fabs(x_here_.values<double>()[element]);
  return 64 * std::numeric_limits<double>::epsilon() * magnitude_ /
         std::max(1.0, here);
}

absl::StatusOr<SlopeFinder::Moved> SlopeFinder::Move(int64_t element,
                                                     double by) {
  Tensor x = x_here_;
  const double here = x.values<double>()[element];
  x.values<double>()[element] = here + by;
  if (is_source_) {
    point_.Feed(x_, std::move(x));
  } else {
    point_.Hold(x_, std::move(x));
  }
  const absl::StatusOr<Tensor> y = point_.Evaluate(y_);
  if (!y.ok()) return y.status();
  Moved moved = {.distance = (here + by) - here};
  for (int64_t i = 0; i < weights_.elements(); ++i) {
    const double weight = weights_.values<double>()[i];
    const double from = y_here_.values<double>()[i];
    const double to = y->values<double>()[i];
    if (to != from) depends_[i] = true;
    if (!depends_[i]) continue;
    moved.change += weight * (to - from);
    moved.magnitude +=
        std::fabs(weight) * std::max(std::fabs(from), std::fabs(to));
  }
  return moved;
}

}  // namespace tape
