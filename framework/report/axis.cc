// Axes (axis.h). Tested by tests/report/plot_test.cc.
#include "framework/report/axis.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace tape {
namespace {

// 1, 2 or 5 times a power of ten, at least `least`.
double NiceStep(double least) {
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (double factor : {1.0, 2.0, 5.0}) {
    // A hair of room: 0.1 / 0.1 may be more than 1.
    if (factor * power >= least * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

// Digits after the point that multiples of `step` need.
int Decimals(double step) {
  return std::max(0, -static_cast<int>(std::floor(std::log10(step) + 1e-9)));
}

// "0.05", "1.5e-5": C's form without the zeros of its exponent.
std::string GeneralText(double value, int digits) {
  std::string text = absl::StrFormat("%.*g", digits, value);
  const size_t exponent = text.find('e');
  if (exponent == std::string::npos) return text;
  size_t zeros_begin = exponent + 1;
  if (text[zeros_begin] == '+') text.erase(zeros_begin, 1);
  if (text[zeros_begin] == '-') ++zeros_begin;
  const size_t zeros_end = text.find_first_not_of('0', zeros_begin);
  return text.erase(zeros_begin, zeros_end - zeros_begin);
}

// Limits that an axis can have, low <= high, whatever they were.
void MakeSound(double& low, double& high, int& most) {
  if (!IsOnAxes(low)) low = 0;
  if (!IsOnAxes(high)) high = 1;
  if (low > high) std::swap(low, high);
  most = std::max(most, 2);
}

}  // namespace

bool IsOnAxes(double value) { return std::abs(value) <= kLargestOfAxes; }

double Axis::At(double value) const {
  return log ? std::log(value / low) / std::log(high / low)
             : (value - low) / (high - low);
}

Axis LinearAxis(double low, double high, int most) {
  MakeSound(low, high, most);
  const double largest = std::max(std::abs(low), std::abs(high));
  if (largest < 1e-290) {  // As good as 0, and too small to divide.
    high = low < 0 ? 0 : 1;
    low = low < 0 ? -1 : 0;
  } else if (high / 2 - low / 2 <= 1e-9 * largest) {
    // They differ by no more than rounding.
    low = low > 0 ? 0 : 1.5 * low;
    high = high < 0 ? 0 : 1.5 * high;
  }
  const double step = NiceStep((high / most - low / most));
  const double first = std::floor(low / step + 1e-9);
  const double last = std::ceil(high / step - 1e-9);
  Axis axis = {.low = first * step, .high = last * step, .step = step};
  for (double i = first; i <= last; ++i) axis.ticks.push_back(i * step);
  return axis;
}

Axis LogAxis(double low, double high, int most) {
  MakeSound(low, high, most);
  high = high > 0 ? high : 1;
  low = low > 0 ? low : high;
  int first = static_cast<int>(std::floor(std::log10(low) + 1e-9));
  int last = static_cast<int>(std::ceil(std::log10(high) - 1e-9));
  Axis axis = {.log = true};
  const int every = std::max(1, (last - first) / std::max(1, most - 1));
  std::vector<double> factors = {1};
  if (last - first <= 2) factors = {1, 2, 5};
  for (int power = first; power <= last; ++power) {
    if ((power - first) % every != 0) continue;
    for (double factor : factors) {
      axis.ticks.push_back(factor * std::pow(10, power));
    }
  }
  // The ends: the last tick that is not above `low`, the first not below
  // `high`.
  const double room = 1 + 1e-9;
  while (axis.ticks.size() > 2 && axis.ticks[1] <= low * room) {
    axis.ticks.erase(axis.ticks.begin());
  }
  while (axis.ticks.size() > 2 &&
         axis.ticks[axis.ticks.size() - 2] >= high / room) {
    axis.ticks.pop_back();
  }
  if (axis.ticks.size() == 1) axis.ticks.push_back(2 * axis.ticks[0]);
  axis.low = std::min(low, axis.ticks.front());
  axis.high = std::max(high, axis.ticks.back());
  return axis;
}

Axis WholeAxis(double low, double high, int most) {
  MakeSound(low, high, most);
  Axis axis = {.low = low, .high = high};
  axis.step = std::max(1.0, NiceStep(std::max(1.0, (high - low) / most)));
  axis.ticks.push_back(low);
  // Beyond 2^53 i + 1 may be i: no more ticks than there can be.
  for (double i = std::floor(low / axis.step) + 1;
       i * axis.step <= high && axis.ticks.size() <= size_t{2} * most; ++i) {
    axis.ticks.push_back(i * axis.step);
  }
  // The first multiple may come too soon after `low` for its text.
  if (axis.ticks.size() > 2 &&
      axis.ticks[1] - axis.ticks[0] < 0.4 * axis.step) {
    axis.ticks.erase(axis.ticks.begin());
  }
  if (low == high) {
    const double room = std::max(1.0, 1e-12 * std::abs(low));
    axis.low = low - room;
    axis.high = high + room;
  }
  return axis;
}

std::string TickText(const Axis& axis, double tick, Unit unit) {
  const double factor = unit == Unit::kPercent ? 100 : 1;
  const char* const sign = unit == Unit::kPercent ? " %" : "";
  const double value = factor * tick;
  if (axis.log) return absl::StrCat(GeneralText(value, 6), sign);
  const double step = factor * axis.step;
  // 0 may have become 1e-17.
  if (std::abs(value) < step / 1e6) return absl::StrCat("0", sign);
  const double largest =
      factor * std::max(std::abs(axis.low), std::abs(axis.high));
  if (largest >= 1e7) return absl::StrCat(GeneralText(value, 4), sign);
  if (step < 1e-4) {
    // All in one form, be it 0.0001 or 0.00005.
    const int exponent =
        static_cast<int>(std::floor(std::log10(largest) + 1e-9));
    return absl::StrCat(GeneralText(value / std::pow(10, exponent), 6), "e",
                        exponent, sign);
  }
  const int decimals = Decimals(step);
  if (decimals == 0) {
    return absl::StrCat(CountText(std::llround(value)), sign);
  }
  return absl::StrCat(absl::StrFormat("%.*f", decimals, value), sign);
}

std::string ValueText(double value, Unit unit) {
  return unit == Unit::kPercent ? absl::StrFormat("%.2f %%", 100 * value)
                                : GeneralText(value, 4);
}

std::string CountText(int64_t count) {
  std::string text = absl::StrCat(count);
  const int64_t digits_end = count < 0 ? 1 : 0;
  for (int64_t i = static_cast<int64_t>(text.size()) - 3; i > digits_end;
       i -= 3) {
    text.insert(i, 1, ',');
  }
  return text;
}

}  // namespace tape
