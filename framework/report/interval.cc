// Confidence intervals (interval.h). Tested by tests/report/report_test.cc.
#include "framework/report/interval.h"

#include <cmath>

#include "framework/core/floating_point.h"

namespace tape {

Interval WilsonInterval(int64_t right, int64_t all, double quantile) {
  const FloatingPointScope environment;
  if (all == 0 || right < 0 || right > all) return {NAN, NAN};
  const auto n = static_cast<double>(all);
  const double p = static_cast<double>(right) / n;
  const double z = quantile;
  const double middle = p + z * z / (2 * n);
  const double half = z * std::sqrt(p * (1 - p) / n + z * z / (4 * n * n));
  const double scale = 1 + z * z / n;
  // Rounding would leave 1e-17 where the formula has 0.
  return {right == 0 ? 0 : (middle - half) / scale,
          right == all ? 1 : (middle + half) / scale};
}

}  // namespace tape
