// The watch on losses (divergence.h). Tested by tests/train/divergence_test.cc.
#include "framework/train/divergence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "framework/core/basic_ops.h"
#include "framework/core/floating_point.h"
#include "ops/ops.h"

namespace tape {

namespace {

// The middle one, the smaller of two; of at least one.
float Middle(std::vector<float> losses) {
  const auto middle = losses.begin() + (losses.size() - 1) / 2;
  std::nth_element(losses.begin(), middle, losses.end());
  return *middle;
}

}  // namespace

float LossWatch::Beginning() const {
  // Checkpoints of earlier versions have the first loss alone.
  return state_.beginning.empty()
             ? state_.first
             : std::max(state_.first, Middle(state_.beginning));
}

float LossWatch::limit() const {
  const FloatingPointScope environment;
  constexpr float kNone = std::numeric_limits<float>::max();
  const std::vector<float>& recent = state_.recent;
  if (recent.size() < kWindow) return kNone;
  const auto [lowest, highest] =
      std::minmax_element(recent.begin(), recent.end());
  const double limit = *highest + kRise * (double{*highest} - *lowest);
  return std::min(kNone, std::max(Beginning(), static_cast<float>(std::min(
                                                   limit, double{kNone}))));
}

bool LossWatch::HasDiverged(float loss) const {
  return state_.bad_in_a_row >= kDiverged ||
         (state_.bad_in_a_row > 0 && !std::isfinite(loss));
}

bool LossWatch::IsLikeTheBeginning(float loss) const {
  if (state_.recent.empty()) return std::isfinite(loss);
  const double beginning = Beginning();
  return std::isfinite(loss) && loss <= beginning + std::fabs(beginning);
}

bool LossWatch::IsGood() const {
  if (state_.bad_in_a_row > 0) return false;
  const std::vector<float>& recent = state_.recent;
  if (recent.empty()) return true;
  const auto last = recent.end() - std::min<size_t>(recent.size(), kDiverged);
  return IsLikeTheBeginning(Middle({last, recent.end()}));
}

bool LossWatch::Observe(float loss) {
  // Also false if it is not a number.
  if (!(std::isfinite(loss) && loss <= limit())) {
    ++state_.bad;
    ++state_.bad_in_a_row;
    return false;
  }
  if (state_.recent.empty()) state_.first = loss;
  // A run of an earlier version, which has more losses than these, adds none.
  if (state_.beginning.size() < kBeginning &&
      state_.beginning.size() == state_.recent.size()) {
    state_.beginning.push_back(loss);
  }
  state_.bad_in_a_row = 0;
  if (state_.recent.size() == kWindow) {
    state_.recent.erase(state_.recent.begin());
  }
  state_.recent.push_back(loss);
  return true;
}

Updates SkipAbove(Var loss, Var limit, Updates updates) {
  const Var infinity =
      Fill(loss.graph(), {}, std::numeric_limits<double>::infinity());
  const Var good = LessEqual(Select(IsFinite(loss), loss, infinity), limit);
  for (Assignment& assignment : updates.assignments) {
    assignment.value = Select(good, assignment.value, assignment.variable);
  }
  // Nor are those of declarations made (Graph::training_assignments).
  updates.not_skipped =
      updates.not_skipped.empty() ? good : And(updates.not_skipped, good);
  return updates;
}

}  // namespace tape
