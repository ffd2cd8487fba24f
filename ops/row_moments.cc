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
using tape::HWY_NAMESPACE::InDouble;
using tape::HWY_NAMESPACE::LoadDoubles;
using tape::HWY_NAMESPACE::LoadSome;
using tape::HWY_NAMESPACE::StoreSome;

// What is shorter costs less without vectors.
constexpr int64_t kShort = 8;

// Visits a row in double: f(offset, lanes used, numbers), those beyond the end
// being 0.
template <class F>
HWY_INLINE void ForRowInDouble(const float* x, int64_t columns, F f) {
  const int64_t lanes = hn::Lanes(Floats());
  int64_t c = 0;
  for (; c + lanes <= columns; c += lanes) f(c, lanes, LoadDoubles(x + c));
  if (c == columns) return;
  const FloatVector v = LoadSome(x + c, columns - c, 0);
  f(c, columns - c, InDouble(v));
}

// The same for two rows at once.
template <class F>
HWY_INLINE void ForTwoRowsInDouble(const float* x, const float* g,
                                   int64_t columns, F f) {
  ForRowInDouble(x, columns,
                 [&](int64_t at, int64_t n, const DoubleSums& v) HWY_ATTR {
                   if (n == static_cast<int64_t>(hn::Lanes(Floats()))) {
                     f(at, n, v, LoadDoubles(g + at));
                     return;
                   }
                   const FloatVector rest = LoadSome(g + at, n, 0);
                   f(at, n, v, InDouble(rest));
                 });
}

// The total of what add(lanes used, numbers, sums) adds for each vector of a
// row, to two sums in turns, which need not wait for each other.
template <class F>
HWY_INLINE double RowTotal(const float* x, int64_t columns, F add) {
  const int64_t lanes = hn::Lanes(Floats());
  DoubleSums even, odd;
  int64_t c = 0;
  for (; c + 2 * lanes <= columns; c += 2 * lanes) {
    add(lanes, LoadDoubles(x + c), even);
    add(lanes, LoadDoubles(x + c + lanes), odd);
  }
  ForRowInDouble(x + c, columns - c,
                 [&](int64_t, int64_t n, const DoubleSums& v)
                     HWY_ATTR { add(n, v, even); });
  even.Add(odd);
  return even.Total();
}

HWY_INLINE double RowMean(const float* x, int64_t columns) {
  const auto add = [](int64_t, const DoubleSums& v, DoubleSums& sums)
                       HWY_ATTR { sums.Add(v); };
  return RowTotal(x, columns, add) / static_cast<double>(columns);
}

HWY_INLINE DoubleSums FromMean(const DoubleSums& v, DoubleVector mean) {
  return {hn::Sub(v.lower, mean), hn::Sub(v.upper, mean)};
}

HWY_INLINE DoubleSums Product(const DoubleSums& v, DoubleVector factor) {
  return {hn::Mul(v.lower, factor), hn::Mul(v.upper, factor)};
}

// The first n lanes, and 0 in the others.
HWY_INLINE DoubleSums FirstLanes(const DoubleSums& v, int64_t n) {
  const Doubles d;
  const int64_t half = hn::Lanes(d);
  if (n == static_cast<int64_t>(hn::Lanes(Floats()))) return v;
  return {hn::IfThenElseZero(hn::FirstN(d, n), v.lower),
          hn::IfThenElseZero(hn::FirstN(d, n < half ? 0 : n - half), v.upper)};
}

// The scale of a row: 1 / sqrt(variance + epsilon).
HWY_INLINE double RowScale(const float* x, int64_t columns, double mean,
                           double epsilon) {
  const auto means = hn::Set(Doubles(), mean);
  const auto add = [means](int64_t n, const DoubleSums& v,
                           DoubleSums& squares) HWY_ATTR {
    // Padding is no part of the row.
    const DoubleSums part = FirstLanes(FromMean(v, means), n);
    squares.AddProduct(part, part);
  };
  const double squares = RowTotal(x, columns, add);
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
    ForRowInDouble(x, columns,
                   [&](int64_t at, int64_t n, const DoubleSums& v) HWY_ATTR {
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
    ForRowInDouble(
        x, columns, [&](int64_t at, int64_t n, const DoubleSums& v) HWY_ATTR {
          StoreSome(Product(FromMean(v, mean), scale).Rounded(), n, y + at);
        });
  }
}

void NormaliseRowsSlope(const float* x, const float* g, int64_t rows,
                        int64_t columns, double epsilon, float* y) {
  const double count = static_cast<double>(columns);
  for (int64_t r = 0; r < rows; ++r, x += columns, g += columns, y += columns) {
    if (columns <= kShort) {
      const Moments row(x, columns, epsilon);
      double sum = 0, products = 0;
      for (int64_t c = 0; c < columns; ++c) {
        sum += g[c];
        products += g[c] * (x[c] - row.mean);
      }
      const double share = products * row.scale * row.scale / count;
      for (int64_t c = 0; c < columns; ++c) {
        y[c] = static_cast<float>(
            (g[c] - sum / count - (x[c] - row.mean) * share) * row.scale);
      }
      continue;
    }
    const double row_mean = RowMean(x, columns);
    const double row_scale = RowScale(x, columns, row_mean, epsilon);
    const auto mean = hn::Set(Doubles(), row_mean);
    const auto scale = hn::Set(Doubles(), row_scale);
    DoubleSums sum, products;
    ForTwoRowsInDouble(x, g, columns,
                       [&](int64_t, int64_t, const DoubleSums& v,
                           const DoubleSums& of_g) HWY_ATTR {
                         sum.Add(of_g);
                         products.AddProduct(of_g, FromMean(v, mean));
                       });
    const auto g_mean = hn::Set(Doubles(), sum.Total() / count);
    const auto share =
        hn::Set(Doubles(), products.Total() * row_scale * row_scale / count);
    ForTwoRowsInDouble(
        x, g, columns,
        [&](int64_t at, int64_t n, const DoubleSums& v, const DoubleSums& of_g)
            HWY_ATTR {
              const DoubleSums from_mean = FromMean(v, mean);
              const DoubleSums g_from_mean = FromMean(of_g, g_mean);
              const DoubleSums rest = {
                  hn::NegMulAdd(from_mean.lower, share, g_from_mean.lower),
                  hn::NegMulAdd(from_mean.upper, share, g_from_mean.upper)};
              StoreSome(Product(rest, scale).Rounded(), n, y + at);
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
HWY_EXPORT(NormaliseRowsSlope);
HWY_EXPORT(RowScales);

void CenterRows(const float* x, int64_t rows, int64_t columns, float* y) {
  HWY_DYNAMIC_DISPATCH(CenterRows)(x, rows, columns, y);
}
void NormaliseRows(const float* x, int64_t rows, int64_t columns,
                   double epsilon, float* y) {
  HWY_DYNAMIC_DISPATCH(NormaliseRows)(x, rows, columns, epsilon, y);
}
void NormaliseRowsSlope(const float* x, const float* g, int64_t rows,
                        int64_t columns, double epsilon, float* y) {
  HWY_DYNAMIC_DISPATCH(NormaliseRowsSlope)(x, g, rows, columns, epsilon, y);
}
void RowScales(const float* x, int64_t rows, int64_t columns, double epsilon,
               float* y) {
  HWY_DYNAMIC_DISPATCH(RowScales)(x, rows, columns, epsilon, y);
}

}  // namespace tape::vector
#endif  // HWY_ONCE
