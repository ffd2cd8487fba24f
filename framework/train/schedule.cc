// Schedules (schedule.h). Tested by tests/transform_test.cc.
#include "framework/train/schedule.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "ops/ops.h"

namespace tape {
namespace {

std::string CheckRate(double rate) {
  if (std::isfinite(rate) && rate >= 0) return "";
  return absl::StrCat("expected a finite rate of at least 0, found ", rate);
}

}  // namespace

Schedule::Schedule(double constant)
    : function_(
          [constant](Var step) { return Fill(step.graph(), {}, constant); }),
      error_(CheckRate(constant)) {}

Var Schedule::At(Graph& graph, Loc loc) const {
  return function_(Cast(graph.Step(loc), DType::kFloat32, loc));
}

Schedule LinearDecay(double rate, int64_t steps) {
  std::string error = CheckRate(rate);
  if (steps < 1) {
    error =
        absl::StrCat("LinearDecay: expected at least 1 step, found ", steps);
  }
  return Schedule(
      [=](Var step) {
        return rate * Relu(1 - step / static_cast<double>(steps));
      },
      error);
}

}  // namespace tape
