// Rows by their mean and variance (vector.h), in double: no float32 is so large
// that its square, or so small that it, is lost. Tested by tests/ops/op_test.cc
// through the sample table, and by tests/ops/sums_test.cc.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

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
using tape::HWY_NAMESPACE::LoadUpTo;
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

HWY_INLINE DoubleSums Minus(const DoubleSums& v, DoubleVector from) {
  return {hn::Sub(v.lower, from), hn::Sub(v.upper, from)};
}

HWY_INLINE DoubleSums Product(const DoubleSums& v, DoubleVector factor) {
  return {hn::Mul(v.lower, factor), hn::Mul(v.upper, factor)};
}

// Calls f(0, vector), f(1, vector), f(0, vector), … for a row in double less its
// first element, those beyond the end being 0: two in turns, which need not wait
// for each other.
template <class F>
HWY_INLINE void ForRowFromFirst(const float* x, int64_t columns, F f) {
  const int64_t lanes = hn::Lanes(Floats());
  const auto first = hn::Set(Doubles(), double{x[0]});
  int64_t c = 0;
  for (; c + 2 * lanes <= columns; c += 2 * lanes) {
    f(std::integral_constant<int, 0>(), c, Minus(LoadDoubles(x + c), first));
    f(std::integral_constant<int, 1>(), c + lanes,
      Minus(LoadDoubles(x + c + lanes), first));
  }
  for (; c < columns; c += lanes) {
    const FloatVector v = LoadSome(x + c, std::min(lanes, columns - c), x[0]);
    f(std::integral_constant<int, 0>(), c, Minus(InDouble(v), first));
  }
}

// Mean of a row, and 1 / sqrt(variance + epsilon).
struct Moments {
  double mean;
  double scale;
};

HWY_INLINE double ScaleOf(double squares, int64_t columns, double epsilon) {
  return 1 / std::sqrt(squares / static_cast<double>(columns) + epsilon);
}

// What one sweep over a row gives: with a first element of f, the sums of x - f
// and of its square.
struct SumsFromFirst {
  double first, sum, squares;
  int64_t columns;

  // The mean less the first element.
  double MeanFromFirst() const { return sum / static_cast<double>(columns); }
  // The sum of squares from the mean.
  double Rest() const { return squares - sum * MeanFromFirst(); }
  // Whether enough of double's digits are left of it. They are not where f lies
  // far from all others.
  bool Hold() const { return !(squares > 1000 * Rest()); }
  Moments Of(double epsilon) const {
    return {first + MeanFromFirst(), ScaleOf(Rest(), columns, epsilon)};
  }
};

HWY_INLINE double RowMean(const float* x, int64_t columns) {
  const int64_t lanes = hn::Lanes(Floats());
  DoubleSums even, odd;
  int64_t c = 0;
  for (; c + 2 * lanes <= columns; c += 2 * lanes) {
    even.Add(LoadDoubles(x + c));
    odd.Add(LoadDoubles(x + c + lanes));
  }
  ForRowInDouble(x + c, columns - c,
                 [&](int64_t, int64_t, const DoubleSums& v)
                     HWY_ATTR { even.Add(v); });
  even.Add(odd);
  return even.Total() / static_cast<double>(columns);
}

// By two sweeps.
HWY_INLINE Moments SafeMoments(const float* x, int64_t columns,
                               double epsilon) {
  const double mean = RowMean(x, columns);
  const auto means = hn::Set(Doubles(), mean);
  const int64_t lanes = hn::Lanes(Floats());
  DoubleSums squares;
  int64_t c = 0;
  for (; c + lanes <= columns; c += lanes) {
    const DoubleSums v = Minus(LoadDoubles(x + c), means);
    squares.AddProduct(v, v);
  }
  double rest = 0;
  for (; c < columns; ++c) rest += (x[c] - mean) * (x[c] - mean);
  return {mean, ScaleOf(squares.Total() + rest, columns, epsilon)};
}

HWY_INLINE Moments MomentsOf(const float* x, int64_t columns, double epsilon) {
  SumsFromFirst sums = {x[0], 0, 0, columns};
  if (columns <= kShort) {
    for (int64_t c = 1; c < columns; ++c) {
      const double from_first = x[c] - sums.first;
      sums.sum += from_first;
      sums.squares += from_first * from_first;
    }
  } else {
    DoubleSums sum[2], squares[2];
    ForRowFromFirst(x, columns,
                    [&](auto i, int64_t, const DoubleSums& v) HWY_ATTR {
                      sum[i].Add(v);
                      squares[i].AddProduct(v, v);
                    });
    sum[0].Add(sum[1]);
    squares[0].Add(squares[1]);
    sums.sum = sum[0].Total();
    sums.squares = squares[0].Total();
  }
  return sums.Hold() ? sums.Of(epsilon) : SafeMoments(x, columns, epsilon);
}

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
                     StoreSome(Minus(v, mean).Rounded(), n, y + at);
                   });
  }
}

void NormaliseRows(const float* x, int64_t rows, int64_t columns,
                   double epsilon, float* y) {
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    const Moments row = MomentsOf(x, columns, epsilon);
    if (columns <= kShort) {
      for (int64_t c = 0; c < columns; ++c) {
        y[c] = static_cast<float>((x[c] - row.mean) * row.scale);
      }
      continue;
    }
    const auto mean = hn::Set(Doubles(), row.mean);
    const auto scale = hn::Set(Doubles(), row.scale);
    ForRowInDouble(
        x, columns, [&](int64_t at, int64_t n, const DoubleSums& v) HWY_ATTR {
          StoreSome(Product(Minus(v, mean), scale).Rounded(), n, y + at);
        });
  }
}

void NormaliseRowsSlope(const float* x, const float* g, int64_t rows,
                        int64_t columns, double epsilon, float* y) {
  const double count = static_cast<double>(columns);
  for (int64_t r = 0; r < rows; ++r, x += columns, g += columns, y += columns) {
    if (columns <= kShort) {
      const Moments row = MomentsOf(x, columns, epsilon);
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
    DoubleSums sum, squares, g_sum, products;
    ForRowFromFirst(x, columns,
                    [&](auto, int64_t at, const DoubleSums& v) HWY_ATTR {
                      const int64_t used =
                          std::min<int64_t>(hn::Lanes(Floats()), columns - at);
                      const DoubleSums of_g = InDouble(LoadUpTo(g + at, used));
                      sum.Add(v);
                      squares.AddProduct(v, v);
                      g_sum.Add(of_g);
                      products.AddProduct(of_g, v);
                    });
    const SumsFromFirst sums = {x[0], sum.Total(), squares.Total(), columns};
    const double of_g = g_sum.Total();
    Moments row = sums.Of(epsilon);
    // Of g and x - mean.
    double product = products.Total() - of_g * sums.MeanFromFirst();
    if (!sums.Hold()) {
      row = SafeMoments(x, columns, epsilon);
      product = 0;
      for (int64_t c = 0; c < columns; ++c) product += g[c] * (x[c] - row.mean);
    }
    const auto mean = hn::Set(Doubles(), row.mean);
    const auto scale = hn::Set(Doubles(), row.scale);
    const auto g_mean = hn::Set(Doubles(), of_g / count);
    const auto share =
        hn::Set(Doubles(), product * row.scale * row.scale / count);
    ForTwoRowsInDouble(
        x, g, columns,
        [&](int64_t at, int64_t n, const DoubleSums& v, const DoubleSums& of_g)
            HWY_ATTR {
              const DoubleSums from_mean = Minus(v, mean);
              const DoubleSums g_from_mean = Minus(of_g, g_mean);
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
    y[r] = static_cast<float>(MomentsOf(x, columns, epsilon).scale);
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
