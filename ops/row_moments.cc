// Rows by their mean and variance (vector.h), in double: no float32 is so large
// that its square, or so small that it, is lost. Tested by tests/ops/op_test.cc
// through the sample table, and by tests/ops/sums_test.cc.
#include <cmath>
#include <cstdint>

#include "ops/vector.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/row_moments.cc"
// In this order: foreach_target.h includes this file again for each target.
// clang-format off
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "framework/core/float_sums-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tape::vector::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using tape::HWY_NAMESPACE::Doubles;
using tape::HWY_NAMESPACE::DoubleSums;
using tape::HWY_NAMESPACE::DoubleVector;
using tape::HWY_NAMESPACE::Floats;
using tape::HWY_NAMESPACE::FloatVector;
using tape::HWY_NAMESPACE::ForRow;
using tape::HWY_NAMESPACE::LowerDoubles;
using tape::HWY_NAMESPACE::NoSums;
using tape::HWY_NAMESPACE::StoreSome;
using tape::HWY_NAMESPACE::UpperDoubles;

// What is shorter costs less without vectors.
constexpr int64_t kShort = 8;

HWY_INLINE double RowMean(const float* x, int64_t columns) {
  const Floats d;
  const int64_t lanes = hn::Lanes(d);
  DoubleSums even = NoSums(), odd = NoSums();
  int64_t c = 0;
  for (; c + 2 * lanes <= columns; c += 2 * lanes) {
    even.Add(hn::LoadU(d, x + c));
    odd.Add(hn::LoadU(d, x + c + lanes));
  }
  ForRow(x + c, columns - c, 0,
         [&](int64_t, int64_t, auto v) HWY_ATTR { even.Add(v); });
  even.Add(odd);
  return even.Total() / static_cast<double>(columns);
}

HWY_INLINE DoubleSums FromMean(FloatVector v, DoubleVector mean) {
  return {hn::Sub(LowerDoubles(v), mean), hn::Sub(UpperDoubles(v), mean)};
}

// The scale of a row: 1 / sqrt(variance + epsilon).
HWY_INLINE double RowScale(const float* x, int64_t columns, double mean,
                           double epsilon) {
  const Doubles wide;
  const int64_t half = hn::Lanes(wide);
  const auto means = hn::Set(wide, mean);
  auto lower = hn::Zero(wide), upper = hn::Zero(wide);
  ForRow(x, columns, 0, [&](int64_t, int64_t n, auto v) HWY_ATTR {
    DoubleSums part = FromMean(v, means);
    if (n < 2 * half) {  // Padding is no part of the row.
      part.lower = hn::IfThenElseZero(hn::FirstN(wide, n), part.lower);
      part.upper = hn::IfThenElseZero(hn::FirstN(wide, n < half ? 0 : n - half),
                                      part.upper);
    }
    lower = hn::MulAdd(part.lower, part.lower, lower);
    upper = hn::MulAdd(part.upper, part.upper, upper);
  });
  const double squares =
      hn::GetLane(hn::SumOfLanes(wide, hn::Add(lower, upper)));
  return 1 / std::sqrt(squares / static_cast<double>(columns) + epsilon);
}

// Mean and scale of a short row.
struct Moments {
  Moments(const float* x, int64_t columns, double epsilon) {
    const double count = static_cast<double>(columns);
    for (int64_t c = 0; c < columns; ++c) mean += x[c];
    mean /= count;
    double squares = 0;
    for (int64_t c = 0; c < columns; ++c) {
      squares += (x[c] - mean) * (x[c] - mean);
    }
    scale = 1 / std::sqrt(squares / count + epsilon);
  }
  double mean = 0;
  double scale;
};

void CenterRows(const float* x, int64_t rows, int64_t columns, float* y) {
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    if (columns <= kShort) {
      double mean = 0;
      for (int64_t c = 0; c < columns; ++c) mean += x[c];
      mean /= static_cast<double>(columns);
      for (int64_t c = 0; c < columns; ++c) {
        y[c] = static_cast<float>(x[c] - mean);
      }
      continue;
    }
    const auto mean = hn::Set(Doubles(), RowMean(x, columns));
    ForRow(x, columns, 0, [&](int64_t at, int64_t n, auto v) HWY_ATTR {
      StoreSome(FromMean(v, mean).Rounded(), n, y + at);
    });
  }
}

void NormaliseRows(const float* x, int64_t rows, int64_t columns,
                   double epsilon, float* y) {
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    if (columns <= kShort) {
      const Moments row(x, columns, epsilon);
      for (int64_t c = 0; c < columns; ++c) {
        y[c] = static_cast<float>((x[c] - row.mean) * row.scale);
      }
      continue;
    }
    const double row_mean = RowMean(x, columns);
    const auto mean = hn::Set(Doubles(), row_mean);
    const auto scale =
        hn::Set(Doubles(), RowScale(x, columns, row_mean, epsilon));
    ForRow(x, columns, 0, [&](int64_t at, int64_t n, auto v) HWY_ATTR {
      const DoubleSums from_mean = FromMean(v, mean);
      const DoubleSums normal = {hn::Mul(from_mean.lower, scale),
                                 hn::Mul(from_mean.upper, scale)};
      StoreSome(normal.Rounded(), n, y + at);
    });
  }
}

void RowScales(const float* x, int64_t rows, int64_t columns, double epsilon,
               float* y) {
  for (int64_t r = 0; r < rows; ++r, x += columns) {
    y[r] = static_cast<float>(
        columns <= kShort ? Moments(x, columns, epsilon).scale
                          : RowScale(x, columns, RowMean(x, columns), epsilon));
  }
}

}  // namespace tape::vector::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tape::vector {

HWY_EXPORT(CenterRows);
HWY_EXPORT(NormaliseRows);
HWY_EXPORT(RowScales);

void CenterRows(const float* x, int64_t rows, int64_t columns, float* y) {
  HWY_DYNAMIC_DISPATCH(CenterRows)(x, rows, columns, y);
}
void NormaliseRows(const float* x, int64_t rows, int64_t columns,
                   double epsilon, float* y) {
  HWY_DYNAMIC_DISPATCH(NormaliseRows)(x, rows, columns, epsilon, y);
}
void RowScales(const float* x, int64_t rows, int64_t columns, double epsilon,
               float* y) {
  HWY_DYNAMIC_DISPATCH(RowScales)(x, rows, columns, epsilon, y);
}

}  // namespace tape::vector
#endif  // HWY_ONCE
