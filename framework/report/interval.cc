// Confidence intervals (interval.h). Tested by tests/report_test.cc.
#include "framework/report/interval.h"

#include <cmath>

#include "framework/core/check.h"

namespace tape {

Interval WilsonInterval(int64_t right, int64_t all, double quantile) {
  TAPE_CHECK_LE(0, right);
  TAPE_CHECK_LE(right, all);
  const auto n = static_cast<double>(all);
  const double p = static_cast<double>(right) / n;
  const double z = quantile;
  const double middle = p + z * z / (2 * n);
  const double half = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  const double scale = 1 + z * z / n;
  if (all == 0) return {NAN, NAN};
  // Rounding would leave 1e-17 where the formula has 0.
  return {right == 0 ? 0 : (middle - half) / scale,
          right == all ? 1 : (middle + half) / scale};
}

}  // namespace tape
