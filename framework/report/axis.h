// The axes of charts, and how numbers are written at them. Tested by
// tests/report/plot_test.cc.
#ifndef TAPE_FRAMEWORK_REPORT_AXIS_H_
#define TAPE_FRAMEWORK_REPORT_AXIS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace tape {

struct Axis {
  double low = 0, high = 1;  // low < high.
  bool log = false;          // Then both are above 0.
  double step = 1;  // Between ticks. (Of a logarithmic axis: not used.)
  std::vector<double> ticks = {};  // Rising, within low … high.

  // Where a value is between low (0) and high (1).
  double At(double value) const;
};

// What is beyond ± this has no place on an axis, and counts as not finite.
inline constexpr double kLargestOfAxes = 1e300;
bool IsOnAxes(double value);

// An axis for values from `low` to `high`, both finite, that has at most
// `most` >= 2 ticks or a few more, at multiples of 1, 2 or 5 times a power of
// ten, its own ends among them. Values that are all the same get some room.
// Limits that are not as these functions expect them are replaced: not finite
// by 0 and 1, in the wrong order by each other, `most` below 2 by 2.
Axis LinearAxis(double low, double high, int most);
// The same for 0 < low <= high: ticks at powers of ten or, if these are few,
// at their doubles and fives too.
Axis LogAxis(double low, double high, int most);
// For whole numbers such as epochs: from exactly `low` to exactly `high`, with
// ticks at multiples of whole steps, and at `low`.
Axis WholeAxis(double low, double high, int most);

// How values are written at ticks and in tooltips.
enum class Unit {
  kNumber,
  kPercent,  // Of fractions: 0.25 is "25 %".
};
// The tick's text, with as many digits as tell it from its neighbours.
std::string TickText(const Axis& axis, double tick, Unit unit);
// To four significant digits.
std::string ValueText(double value, Unit unit);
// "60,000".
std::string CountText(int64_t count);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_REPORT_AXIS_H_
