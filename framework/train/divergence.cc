// The watch on losses (divergence.h). In go losses, out come verdicts, and
// updates with a condition. Tested by tests/divergence_test.cc.
#include "framework/train/divergence.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "framework/core/basic_ops.h"
#include "framework/core/floating_point.h"
#include "ops/ops.h"

namespace tape {

float LossWatch::limit() const {
  const FloatingPointScope environment;
  constexpr float kNone = std::numeric_limits<float>::max();
  const std::vector<float>& recent = state_.recent;
  if (recent.size() < kWindow) return kNone;
  const auto [lowest, highest] =
      std::minmax_element(recent.begin(), recent.end());
  const double limit = *highest + kRise * (double{*highest} - *lowest);
  return std::min(kNone, std::max(state_.first, static_cast<float>(std::min(
                                                    limit, double{kNone}))));
}

bool LossWatch::Observe(float loss) {
  // Also false if it is not a number.
  if (!(std::isfinite(loss) && loss <= limit())) {
    ++state_.bad;
    ++state_.bad_in_a_row;
    return false;
  }
  if (state_.recent.empty()) state_.first = loss;
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
  return updates;
}

}  // namespace tape
