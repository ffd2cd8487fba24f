// Measures how exact elementwise ops are (accuracy.h).
#include "tests/ops/accuracy.h"

#include <algorithm>
#include <bit>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <limits>

#include "framework/core/check.h"
#include "framework/core/random.h"
#include "framework/core/reference.h"
#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {
namespace {

constexpr double kRounding = 0x1p-24;

// Operands at which functions change: signs, infinities, NaN, denormals, the
// ends of the range, and where exponentials overflow or vanish.
std::vector<float> SpecialOperands() {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  std::vector<float> special = {std::numeric_limits<float>::quiet_NaN(), 0.0f,
                                -0.0f, kInf, -kInf};
  for (float magnitude :
       {1e-45f,     1e-40f,     1e-38f,     FLT_MIN,     2e-38f,   1e-30f,
        1e-19f,     1e-10f,     1e-7f,      6e-8f,       1e-5f,    1e-3f,
        0.1f,       0.25f,      0.5f,       0.70710678f, 0.75179f, 1.0f,
        0.9999999f, 1.0000001f, 1.2784645f, 1.4142135f,  1.5f,     2.0f,
        2.3993573f, 3.0f,       3.1415927f, 4.0f,        5.0f,     5.5f,
        6.0f,       8.0f,       9.0f,       10.0f,       13.0f,    14.0f,
        16.0f,      17.0f,      20.0f,      50.0f,       87.0f,    87.4f,
        88.0f,      88.72283f,  88.73f,     89.0f,       100.0f,   104.0f,
        256.0f,     1000.0f,    38999.996f, 39000.0f,    1e5f,     16777216.0f,
        1e10f,      1e15f,      1e19f,      2e19f,       1e30f,    1e38f,
        3e38f,      3.4e38f,    FLT_MAX}) {
    special.push_back(magnitude);
    special.push_back(-magnitude);
  }
  return special;
}

std::vector<std::vector<float>> DrawOperands(const AccuracyRow& row,
                                             int64_t points) {
  const std::vector<float> special = SpecialOperands();
  RandomStream random(/*seed=*/1, StreamOf(row.op));
  const auto limited = [&](float x) {
    return std::isnan(x)
               ? x
               : static_cast<float>(std::clamp<double>(x, row.low, row.high));
  };
  const auto any = [&] {
    const auto bits = static_cast<uint32_t>(random.Below(1u << 16) << 16 |
                                            random.Below(1u << 16));
    return std::bit_cast<float>(bits);
  };
  // Half of all bit patterns are beyond 2 or below 1/2 by ten powers of ten.
  const auto ordinary = [&] {
    return static_cast<float>((2 * random.Uniform() - 1) *
                              std::exp2(6 * random.Uniform()));
  };
  std::vector<std::vector<float>> x(row.operands);
  if (row.operands == 1) {
    for (float a : special) x[0].push_back(limited(a));
  } else {
    for (float a : special) {
      for (float b : special) {
        x[0].push_back(limited(a));
        x[1].push_back(limited(b));
      }
    }
  }
  for (int64_t i = 0; i < points; ++i) {
    for (std::vector<float>& operand : x) {
      operand.push_back(limited(random.Below(2) == 0 ? any() : ordinary()));
    }
  }
  return x;
}

// Where overflow begins, and what a result may be made of (Quantity).
struct Range {
  long double floor, largest, ceiling;
};

// How far `found` is from `exact`, in units of `unit` times `scale`.
double ErrorOf(long double found, long double exact, long double scale,
               long double unit, const Range& range) {
  constexpr double kWrong = std::numeric_limits<double>::infinity();
  if (std::isnan(exact)) return std::isnan(found) ? 0 : kWrong;
  if (std::isnan(found)) return kWrong;
  if (found == exact) return 0;
  if (std::isinf(exact)) return kWrong;
  if (std::isinf(found)) {
    const bool same_sign = std::signbit(found) == std::signbit(exact);
    if (!same_sign) return kWrong;
    if (std::fabs(exact) >= range.largest / range.ceiling) return 0;
    found = std::copysign(range.largest, exact);
  } else if (std::fabs(exact) > range.largest) {
    exact = std::copysign(range.largest, exact);
  }
  const long double off = std::fabs(found - exact) - range.floor;
  return off <= 0 ? 0 : static_cast<double>(off / (unit * scale));
}

// The operands with denormals as they are, or as zeros.
std::vector<std::vector<long double>> Readings(
    const std::vector<std::vector<float>>& x, int64_t i) {
  std::vector<std::vector<long double>> readings(1);
  for (const std::vector<float>& operand : x) {
    const float value = operand[i];
    const size_t count = readings.size();
    for (size_t k = 0; k < count; ++k) {
      if (std::fpclassify(value) == FP_SUBNORMAL) {
        readings.push_back(readings[k]);
        readings.back().push_back(std::copysign(0.0L, value));
      }
      readings[k].push_back(value);
    }
  }
  return readings;
}

}  // namespace

std::vector<std::string> QuantityNames(const AccuracyRow& row) {
  if (row.operands == 1) return {"y", "dy/dx", "d2y/dx2"};
  return {"y", "dy/da", "dy/db", "d2y/da2", "d2y/dadb", "d2y/db2"};
}

std::vector<FoundAccuracy> MeasureAccuracy(const AccuracyRow& row,
                                           int64_t points) {
  const std::vector<std::vector<float>> x = DrawOperands(row, points);
  const auto count = static_cast<int64_t>(x[0].size());
  Graph graph;
  std::vector<Var> operands;
  ReferenceFeeds feeds;
  std::vector<Feed> fed;
  for (const std::vector<float>& numbers : x) {
    operands.push_back(graph.Input(operands.empty() ? "a" : "b", {count}));
    feeds.emplace_back(operands.back(), Tensor({count}, numbers));
  }
  for (const auto& [var, tensor] : feeds) fed.push_back({var, tensor});
  const Var y = row.build(operands);
  std::vector<Var> fetches = {y};
  const GradientOptions zero = {.unconnected = Unconnected::kZero};
  const std::vector<Var> first = Gradients(Sum(y), operands, zero);
  fetches.insert(fetches.end(), first.begin(), first.end());
  for (size_t i = 0; i < first.size(); ++i) {
    const std::vector<Var> second = Gradients(Sum(first[i]), operands, zero);
    fetches.insert(fetches.end(), second.begin() + i, second.end());
  }
  TAPE_CHECK_EQ(fetches.size(), row.quantities.size());
  absl::StatusOr<Plan> plan = Compile(graph, {.fetch = fetches, .threads = 1});
  TAPE_CHECK(plan.ok());
  TAPE_CHECK(plan->Run(fed).ok());
  const auto reference = EvaluateReference(fetches, feeds);
  TAPE_CHECK(reference.ok());

  // What rounds to an infinite float32 begins half a unit further on.
  constexpr long double kLargest = FLT_MAX * (1 + 0x1p-25L);
  std::vector<FoundAccuracy> all(fetches.size());
  for (size_t q = 0; q < fetches.size(); ++q) {
    const Quantity& quantity = row.quantities[q];
    const Tensor found = ToFloat64(plan->Value(fetches[q]));
    const long double floor = quantity.floor * FLT_MIN;
    for (int64_t i = 0; i < count; ++i) {
      double error = std::numeric_limits<double>::infinity();
      double reference_error = error;
      long double first_exact = 0;
      const auto readings = Readings(x, i);
      if (quantity.domain != nullptr && !quantity.domain(readings[0])) continue;
      for (const std::vector<long double>& reading : readings) {
        const long double exact = quantity.exact(reading);
        if (&reading == &readings[0]) first_exact = exact;
        const long double scale =
            std::max(std::fabs(exact),
                     quantity.scale == nullptr ? 0 : quantity.scale(reading));
        error = std::min(
            error, ErrorOf(found.values<double>()[i], exact, scale, kRounding,
                           {floor, kLargest, quantity.ceiling}));
        reference_error = std::min(
            reference_error, ErrorOf((*reference)[q].values<double>()[i], exact,
                                     scale, 0x1p-53L, {floor, DBL_MAX, 1}));
      }
      FoundAccuracy& worst = all[q];
      worst.reference_error = std::max(worst.reference_error, reference_error);
      if (error <= worst.error) continue;
      worst.error = error;
      worst.where.clear();
      for (const std::vector<float>& operand : x) {
        worst.where.push_back(operand[i]);
      }
      worst.found = found.values<double>()[i];
      worst.exact = static_cast<double>(first_exact);
    }
  }
  return all;
}

}  // namespace tape
