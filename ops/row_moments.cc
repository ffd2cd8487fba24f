// Rows by their mean and variance (vector.h), in double: no float32 is so large
// that its square, or so small that it, is lost. Tested by tests/ops/op_test.cc
// through the sample table, and by tests/ops/sums_test.cc.
#include <algorithm>
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
using tape::HWY_NAMESPACE::LoadUpTo;
using tape::HWY_NAMESPACE::StoreSome;

// What is shorter costs less without vectors.
constexpr int64_t kShort = 8;

// The lanes used of a vector that begins at column `at`.
HWY_INLINE int64_t Used(int64_t columns, int64_t at) {
  return std::min<int64_t>(hn::Lanes(Floats()), columns - at);
}

// `count` numbers from x, as many as a vector has or fewer, in double; `padding`
// in the other lanes.
HWY_INLINE DoubleSums DoublesUpTo(const float* x, int64_t count,
                                  float padding) {
  if (count == static_cast<int64_t>(hn::Lanes(Floats()))) return LoadDoubles(x);
  const FloatVector v = LoadSome(x, count, padding);
  return InDouble(v);
}

HWY_INLINE DoubleSums Minus(const DoubleSums& v, DoubleVector from) {
  return {hn::Sub(v.lower, from), hn::Sub(v.upper, from)};
}

HWY_INLINE DoubleSums Product(const DoubleSums& a, const DoubleSums& b) {
  return {hn::Mul(a.lower, b.lower), hn::Mul(a.upper, b.upper)};
}

// factor v + rest.
HWY_INLINE DoubleSums MulAdd(DoubleVector factor, const DoubleSums& v,
                             const DoubleSums& rest) {
  return {hn::MulAdd(factor, v.lower, rest.lower),
          hn::MulAdd(factor, v.upper, rest.upper)};
}

// A row in double, as a sweep over it keeps it for the next one: a conversion
// takes longer than a store and a load. Null: the row is too long.
struct KeptRow {
  double* numbers = nullptr;

  HWY_INLINE void Keep(int64_t at, const DoubleSums& v) const {
    if (numbers == nullptr) return;
    hn::StoreU(v.lower, Doubles(), numbers + at);
    hn::StoreU(v.upper, Doubles(), numbers + at + hn::Lanes(Doubles()));
  }
  HWY_INLINE DoubleSums Get(int64_t at) const {
    return {hn::LoadU(Doubles(), numbers + at),
            hn::LoadU(Doubles(), numbers + at + hn::Lanes(Doubles()))};
  }
};

// Room for several of them. With room for more than one, the sums of several rows
// are taken before the first of them is written, so that the roots and quotients
// of one need not wait for another's.
class KeptRows {
 public:
  static constexpr int64_t kMost = 4;
  static int64_t Count(int64_t columns) {
    // (There are no rows of none.)
    const int64_t stride = Stride(std::max<int64_t>(columns, 1));
    return std::clamp<int64_t>(kNumbers / stride, 1, kMost);
  }
  KeptRow Row(int64_t index, int64_t columns) {
    const int64_t stride = Stride(columns);
    return {stride > kNumbers ? nullptr : numbers_ + index * stride};
  }

 private:
  static constexpr int64_t kNumbers = 1024;  // 8 KiB.

  static int64_t Stride(int64_t columns) {
    const int64_t lanes = hn::Lanes(Floats());
    return (columns + lanes - 1) / lanes * lanes;
  }

  // (Without vectors, what is stored at once is two.)
  HWY_ALIGN double numbers_[kNumbers + 1];
};

// Of a row: the first element, the mean less that, and 1 / sqrt(variance +
// epsilon).
struct Moments {
  double first, from_first, scale;

  double Mean() const { return first + from_first; }
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
    return {first, MeanFromFirst(), ScaleOf(Rest(), columns, epsilon)};
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
  for (int64_t at = 0; at < columns - c; at += hn::Lanes(Floats())) {
    const int64_t n = Used(columns - c, at);
    even.Add(DoublesUpTo(x + c + at, n, 0));
  }
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
  return {x[0], mean - x[0], ScaleOf(squares.Total() + rest, columns, epsilon)};
}

// `kept`: for the row less its first element.
HWY_INLINE Moments MomentsOf(const float* x, int64_t columns, double epsilon,
                             KeptRow kept = {}) {
  SumsFromFirst sums = {x[0], 0, 0, columns};
  if (columns <= kShort) {
    for (int64_t c = 1; c < columns; ++c) {
      const double from_first = x[c] - sums.first;
      sums.sum += from_first;
      sums.squares += from_first * from_first;
    }
  } else {
    const auto first = hn::Set(Doubles(), sums.first);
    DoubleSums sum, squares;
    for (int64_t at = 0; at < columns; at += hn::Lanes(Floats())) {
      const int64_t n = Used(columns, at);
      const DoubleSums v = Minus(DoublesUpTo(x + at, n, x[0]), first);
      kept.Keep(at, v);
      sum.Add(v);
      squares.AddProduct(v, v);
    }
    sums.sum = sum.Total();
    sums.squares = squares.Total();
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
    for (int64_t at = 0; at < columns; at += hn::Lanes(Floats())) {
      const int64_t n = Used(columns, at);
      StoreSome(Minus(DoublesUpTo(x + at, n, 0), mean).Rounded(), n, y + at);
    }
  }
}

// Writes (x - mean) scale of a row, times `by` and plus `shift` unless they are
// null.
HWY_INLINE void WriteNormalised(const float* x, const float* by,
                                const float* shift, const Moments& row,
                                KeptRow kept, int64_t columns, float* y) {
  if (columns <= kShort) {
    for (int64_t c = 0; c < columns; ++c) {
      y[c] = static_cast<float>((x[c] - row.Mean()) * row.scale);
      if (by != nullptr) y[c] = y[c] * by[c] + shift[c];
    }
    return;
  }
  const Doubles d;
  const auto first = hn::Set(d, row.first), scale = hn::Set(d, row.scale);
  // (x - first) scale + offset.
  const auto offset = hn::Set(d, -row.from_first * row.scale);
  const DoubleSums offsets(offset, offset);
  for (int64_t at = 0; at < columns; at += hn::Lanes(Floats())) {
    const int64_t n = Used(columns, at);
    const DoubleSums v = kept.numbers != nullptr
                             ? kept.Get(at)
                             : Minus(DoublesUpTo(x + at, n, 0), first);
    FloatVector of_row = MulAdd(scale, v, offsets).Rounded();
    if (by != nullptr) {
      of_row = hn::Add(hn::Mul(of_row, LoadUpTo(by + at, n)),
                       LoadUpTo(shift + at, n));
    }
    StoreSome(of_row, n, y + at);
  }
}

void NormaliseRows(const float* x, const float* by, const float* shift,
                   int64_t rows, int64_t columns, double epsilon, float* y) {
  KeptRows kept;
  const int64_t at_once = KeptRows::Count(columns);
  for (int64_t begin = 0; begin < rows; begin += at_once) {
    const int64_t count = std::min(at_once, rows - begin);
    Moments moments[KeptRows::kMost];
    for (int64_t r = 0; r < count; ++r) {
      moments[r] = MomentsOf(x + (begin + r) * columns, columns, epsilon,
                             kept.Row(r, columns));
    }
    for (int64_t r = 0; r < count; ++r) {
      WriteNormalised(x + (begin + r) * columns, by, shift, moments[r],
                      kept.Row(r, columns), columns, y + (begin + r) * columns);
    }
  }
}

// The derivative of a row times g: y = (g by - mean - (x - x's mean) share) scale.
struct RowSlope {
  Moments x;
  double mean;  // Of g by.
  double share;
};

// `kept_x`, `kept_g`: for the row less its first element, and for g by.
HWY_INLINE RowSlope SlopeOf(const float* x, const float* g, const float* by,
                            int64_t columns, double epsilon, KeptRow kept_by,
                            KeptRow kept_x, KeptRow kept_g) {
  RowSlope slope = {};
  double g_sum = 0;
  double product = 0;  // Of g by and x - mean.
  const auto add_products = [&] {
    slope.x = MomentsOf(x, columns, epsilon);
    for (int64_t c = 0; c < columns; ++c) {
      product += double{g[c]} * by[c] * (x[c] - slope.x.Mean());
    }
  };
  if (columns <= kShort) {
    add_products();
    for (int64_t c = 0; c < columns; ++c) g_sum += double{g[c]} * by[c];
  } else {
    const auto first = hn::Set(Doubles(), double{x[0]});
    DoubleSums sum, squares, g_sums, products;
    for (int64_t at = 0; at < columns; at += hn::Lanes(Floats())) {
      const int64_t n = Used(columns, at);
      const DoubleSums v = Minus(DoublesUpTo(x + at, n, x[0]), first);
      const DoubleSums of_g =
          Product(DoublesUpTo(g + at, n, 0), kept_by.numbers != nullptr
                                                 ? kept_by.Get(at)
                                                 : DoublesUpTo(by + at, n, 0));
      kept_x.Keep(at, v);
      kept_g.Keep(at, of_g);
      sum.Add(v);
      squares.AddProduct(v, v);
      g_sums.Add(of_g);
      products.AddProduct(of_g, v);
    }
    const SumsFromFirst sums = {x[0], sum.Total(), squares.Total(), columns};
    g_sum = g_sums.Total();
    if (sums.Hold()) {
      slope.x = sums.Of(epsilon);
      product = products.Total() - g_sum * slope.x.from_first;
    } else {
      add_products();
    }
  }
  const double count = static_cast<double>(columns);
  slope.mean = g_sum / count;
  slope.share = product * slope.x.scale * slope.x.scale / count;
  return slope;
}

HWY_INLINE void WriteSlope(const float* x, const float* g, const float* by,
                           const RowSlope& row, KeptRow kept_x, KeptRow kept_g,
                           int64_t columns, float* y) {
  if (columns <= kShort) {
    for (int64_t c = 0; c < columns; ++c) {
      const double rest =
          double{g[c]} * by[c] - row.mean - (x[c] - row.x.Mean()) * row.share;
      y[c] = static_cast<float>(rest * row.x.scale);
    }
    return;
  }
  const Doubles d;
  const auto first = hn::Set(d, row.x.first), mean = hn::Set(d, row.mean);
  const auto scale = hn::Set(d, row.x.scale);
  // (g by - mean) scale - (x - first) share + offset.
  const double share = row.share * row.x.scale;
  const auto minus_share = hn::Set(d, -share);
  const auto offset = hn::Set(d, row.x.from_first * share);
  const DoubleSums offsets(offset, offset);
  for (int64_t at = 0; at < columns; at += hn::Lanes(Floats())) {
    const int64_t n = Used(columns, at);
    const DoubleSums v = kept_x.numbers != nullptr
                             ? kept_x.Get(at)
                             : Minus(DoublesUpTo(x + at, n, 0), first);
    const DoubleSums of_g =
        kept_g.numbers != nullptr
            ? kept_g.Get(at)
            : Product(DoublesUpTo(g + at, n, 0), DoublesUpTo(by + at, n, 0));
    const DoubleSums rest = MulAdd(minus_share, v, offsets);
    StoreSome(MulAdd(scale, Minus(of_g, mean), rest).Rounded(), n, y + at);
  }
}

void NormaliseRowsSlope(const float* x, const float* g, const float* by,
                        int64_t rows, int64_t columns, double epsilon,
                        float* y) {
  KeptRows kept_by, kept_x, kept_g;
  const KeptRow of_by = kept_by.Row(0, columns);
  for (int64_t at = 0; at < columns; at += hn::Lanes(Floats())) {
    const int64_t n = Used(columns, at);
    of_by.Keep(at, DoublesUpTo(by + at, n, 0));
  }
  const int64_t at_once = KeptRows::Count(columns);
  for (int64_t begin = 0; begin < rows; begin += at_once) {
    const int64_t count = std::min(at_once, rows - begin);
    RowSlope slopes[KeptRows::kMost];
    for (int64_t r = 0; r < count; ++r) {
      const int64_t at = (begin + r) * columns;
      slopes[r] = SlopeOf(x + at, g + at, by, columns, epsilon, of_by,
                          kept_x.Row(r, columns), kept_g.Row(r, columns));
    }
    for (int64_t r = 0; r < count; ++r) {
      const int64_t at = (begin + r) * columns;
      WriteSlope(x + at, g + at, by, slopes[r], kept_x.Row(r, columns),
                 kept_g.Row(r, columns), columns, y + at);
    }
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
void NormaliseRows(const float* x, const float* scale, const float* shift,
                   int64_t rows, int64_t columns, double epsilon, float* y) {
  HWY_DYNAMIC_DISPATCH(NormaliseRows)
  (x, scale, shift, rows, columns, epsilon, y);
}
void NormaliseRowsSlope(const float* x, const float* g, const float* scale,
                        int64_t rows, int64_t columns, double epsilon,
                        float* y) {
  HWY_DYNAMIC_DISPATCH(NormaliseRowsSlope)
  (x, g, scale, rows, columns, epsilon, y);
}
void RowScales(const float* x, int64_t rows, int64_t columns, double epsilon,
               float* y) {
  HWY_DYNAMIC_DISPATCH(RowScales)(x, rows, columns, epsilon, y);
}

}  // namespace tape::vector
#endif  // HWY_ONCE
