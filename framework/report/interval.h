// How sure an accuracy is. Tested by tests/report/report_test.cc.
#ifndef TAPE_FRAMEWORK_REPORT_INTERVAL_H_
#define TAPE_FRAMEWORK_REPORT_INTERVAL_H_

#include <cstdint>

namespace tape {

struct Interval {
  double low = 0, high = 0;
};

// The normal quantile of a confidence of 95 %, both sides.
inline constexpr double kQuantile95 = 1.959963984540054;

// The score interval for the probability behind `right` of `all` trials, each
// side of which is `quantile` of its own standard deviations away (Wilson,
// "Probable Inference, the Law of Succession, and Statistical Inference",
// JASA 22, 1927):
//
//   (p + z²/2n ± z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n),  p = right / n
//
// Unlike p ± z sqrt(p (1 - p) / n) it stays within 0 … 1, and is honest near
// these and for few trials. NaN if `all` is 0, or not 0 <= right <= all.
Interval WilsonInterval(int64_t right, int64_t all,
                        double quantile = kQuantile95);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_REPORT_INTERVAL_H_
