// The vector code of rows and columns (vector.h): softmax and its kin, cross
// entropy. Tested by tests/ops/op_test.cc through the sample table.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "ops/vector.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/vector_rows.cc"
// In this order: foreach_target.h includes this file again for each target.
// clang-format off
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "framework/core/float_sums-inl.h"
#include "ops/vector_math-inl.h"
#include "ops/vector_narrow-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tape::vector::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;

using tape::HWY_NAMESPACE::DoubleSums;
using tape::HWY_NAMESPACE::ForRow;
using tape::HWY_NAMESPACE::InDouble;
using tape::HWY_NAMESPACE::LoadSome;
using tape::HWY_NAMESPACE::LoadUpTo;
using tape::HWY_NAMESPACE::LowerDoubles;
using tape::HWY_NAMESPACE::StoreSome;
using tape::HWY_NAMESPACE::UpperDoubles;

// Vectors that are added up in float32 before their sum joins one in double: so
// sums of exponentials are off by at most 8 roundings, however many they are.
constexpr int64_t kSumVectors = 8;

HWY_INLINE float RowMax(const float* x, int64_t columns) {
  const Floats d;
  auto max = hn::Set(d, -kInfinity);
  ForRow(x, columns, -kInfinity, [&](int64_t, int64_t, auto v) HWY_ATTR {
    // Whether or not a NaN stays here, it makes the sum of exp(x - max) one.
    max = hn::Max(v, max);
  });
  return hn::GetLane(hn::MaxOfLanes(d, max));
}

// The sum of exp(x - max), to 12 roundings for any length; if y is given,
// stores exp(x - max) there.
HWY_INLINE float RowExpSum(const float* x, int64_t columns, float max,
                           float* y) {
  const Floats d;
  const int64_t part = kSumVectors * hn::Lanes(d);
  const auto shift = hn::Set(d, max);
  DoubleSums sums;
  for (int64_t begin = 0; begin < columns; begin += part) {
    auto sum = hn::Zero(d);
    const auto add = [&](int64_t c, int64_t n, auto v) HWY_ATTR {
      const auto e = SafeExp(d, hn::Sub(v, shift));
      if (y != nullptr) StoreSome(e, n, y + begin + c);
      sum = hn::Add(sum, e);
    };
    ForRow(x + begin, std::min(part, columns - begin), -kInfinity, add);
    // A short row needs no double.
    if (columns <= part) return hn::GetLane(hn::SumOfLanes(d, sum));
    sums.Add(sum);
  }
  return static_cast<float>(sums.Total());
}

void SoftmaxRows(const float* x, int64_t rows, int64_t columns, float* y) {
  const Floats d;
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    const float sum = RowExpSum(x, columns, RowMax(x, columns), y);
    const auto scale = hn::Set(d, 1 / sum);
    ForRow(y, columns, 0, [&](int64_t c, int64_t n, auto e) HWY_ATTR {
      StoreSome(hn::Mul(e, scale), n, y + c);
    });
  }
}

// The sum of g y of one row.
HWY_INLINE float RowProductSum(const float* g, const float* y,
                               int64_t columns) {
  DoubleSums sums;
  ForRow(y, columns, 0, [&](int64_t c, int64_t n, auto v) HWY_ATTR {
    sums.AddProduct(InDouble(LoadUpTo(g + c, n)), InDouble(v));
  });
  return static_cast<float>(sums.Total());
}

void SoftmaxSlopeRows(const float* y, const float* g, int64_t rows,
                      int64_t columns, float* out) {
  const Floats d;
  for (int64_t r = 0; r < rows;
       ++r, y += columns, g += columns, out += columns) {
    const auto sum = hn::Set(d, RowProductSum(g, y, columns));
    ForRow(y, columns, 0, [&](int64_t c, int64_t n, auto v) HWY_ATTR {
      StoreSome(hn::Mul(v, hn::Sub(LoadUpTo(g + c, n), sum)), n, out + c);
    });
  }
}

void LogSoftmaxSlopeRows(const float* x, const float* g, int64_t rows,
                         int64_t columns, float* out) {
  const Floats d;
  for (int64_t r = 0; r < rows;
       ++r, x += columns, g += columns, out += columns) {
    const float sum = RowExpSum(x, columns, RowMax(x, columns), out);
    DoubleSums gradients;
    ForRow(g, columns, 0,
           [&](int64_t, int64_t, auto v) HWY_ATTR { gradients.Add(v); });
    const auto scale = hn::Set(d, 1 / sum);
    const auto total = hn::Set(d, static_cast<float>(gradients.Total()));
    ForRow(out, columns, 0, [&](int64_t c, int64_t n, auto e) HWY_ATTR {
      StoreSome(hn::Sub(LoadUpTo(g + c, n), hn::Mul(hn::Mul(e, scale), total)),
                n, out + c);
    });
  }
}

// log(sum of exp(x)) of one row, in two parts whose sum it is. Added up, they
// would be rounded to the precision of max: logits near 10,000 would leave
// nothing after the third digit of a loss.
struct LogSumExp {
  float max;
  float log_sum;  // Of exp(x - max).
};

// ln(1 + x) for x of at least 0, to half a rounding of float32: a third of the
// time of the library's log1p.
HWY_INLINE float Log1p(double x) {
  return static_cast<float>(x < 0x1p-26 ? x - x * x / 2 : std::log(1 + x));
}

// All elements but the largest are added up apart from its e^0 = 1, so that
// nothing of them is lost where they are far below it. If y and all are given,
// does what RowExpSum does as well.
HWY_INLINE LogSumExp RowLogSumExp(const float* x, int64_t columns,
                                  float* y = nullptr, float* all = nullptr) {
  const Floats d;
  const int64_t part = kSumVectors * hn::Lanes(d);
  const float max = RowMax(x, columns);
  const bool is_infinite = std::isinf(max);  // Infinity against infinity.
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  if (is_infinite && y == nullptr) return {max, kNan};
  const auto shift = hn::Set(d, max);
  double others = -1;
  DoubleSums sums;
  for (int64_t begin = 0; begin < columns; begin += part) {
    auto sum = hn::Zero(d), sum_of_all = sum;
    ForRow(x + begin, std::min(part, columns - begin), -kInfinity,
           [&](int64_t c, int64_t n, auto v) HWY_ATTR {
             const auto is_max = hn::Eq(v, shift);
             others += static_cast<double>(hn::CountTrue(d, is_max));
             const auto e = SafeExp(d, hn::Sub(v, shift));
             sum = hn::Add(sum, hn::IfThenZeroElse(is_max, e));
             if (y == nullptr) return;
             StoreSome(e, n, y + begin + c);
             sum_of_all = hn::Add(sum_of_all, e);
           });
    others += hn::GetLane(hn::SumOfLanes(d, sum));
    if (y == nullptr) continue;
    sums.Add(sum_of_all);
    // A short row needs no double.
    if (columns <= part) *all = hn::GetLane(hn::SumOfLanes(d, sum_of_all));
  }
  if (y != nullptr && columns > part) *all = static_cast<float>(sums.Total());
  return {max, is_infinite ? kNan : Log1p(others)};
}

void LogSoftmaxRows(const float* x, int64_t rows, int64_t columns, float* y) {
  const Floats d;
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    const LogSumExp row = RowLogSumExp(x, columns);
    const auto max = hn::Set(d, row.max);
    const auto log_sum = hn::Set(d, row.log_sum);
    ForRow(x, columns, 0, [&](int64_t c, int64_t n, auto v) HWY_ATTR {
      StoreSome(hn::Sub(hn::Sub(v, max), log_sum), n, y + c);
    });
  }
}

void LogSumExpRows(const float* x, int64_t rows, int64_t columns, float* y) {
  for (int64_t r = 0; r < rows; ++r, x += columns) {
    const float max = RowMax(x, columns);
    // Of an infinite row exp(x) itself is 0 or infinite, as it should be.
    const float shift = std::isfinite(max) ? max : 0;
    y[r] = shift + std::log(RowExpSum(x, columns, shift, nullptr));
  }
}

// ---- Columns of softmax ----
// A vector's lanes are as many columns.

// Calls f(column, columns) for each vector of `count` columns.
template <class F>
HWY_INLINE void ForColumns(int64_t count, F f) {
  const int64_t lanes = hn::Lanes(Floats());
  for (int64_t c = 0; c < count; c += lanes) f(c, std::min(lanes, count - c));
}

HWY_INLINE auto ColumnMax(const float* x, int64_t length, int64_t stride,
                          int64_t columns) {
  const Floats d;
  auto max = hn::Set(d, -kInfinity);
  for (int64_t i = 0; i < length; ++i) {
    max = hn::Max(LoadUpTo(x + i * stride, columns), max);
  }
  return max;
}

// The sums of exp(x - shift), to 8 roundings for any length; if y is given,
// stores exp(x - shift) there.
template <class V>
HWY_INLINE DoubleSums ColumnExpSum(const float* x, int64_t length,
                                   int64_t stride, int64_t columns, V shift,
                                   float* y) {
  const Floats d;
  DoubleSums sums;
  for (int64_t begin = 0; begin < length; begin += kSumVectors) {
    const int64_t end = std::min(length, begin + kSumVectors);
    V sum = hn::Zero(d);
    for (int64_t i = begin; i < end; ++i) {
      const V e = SafeExp(d, hn::Sub(LoadUpTo(x + i * stride, columns), shift));
      if (y != nullptr) StoreSome(e, columns, y + i * stride);
      sum = hn::Add(sum, e);
    }
    sums.Add(sum);
  }
  return sums;
}

void SoftmaxColumns(const float* x, int64_t length, int64_t stride,
                    int64_t count, float* y) {
  const Floats d;
  ForColumns(count, [&](int64_t c, int64_t n) HWY_ATTR {
    const auto max = ColumnMax(x + c, length, stride, n);
    const auto sum =
        ColumnExpSum(x + c, length, stride, n, max, y + c).Rounded();
    const auto scale = hn::Div(hn::Set(d, 1.0f), sum);
    for (int64_t i = 0; i < length; ++i) {
      float* const row = y + c + i * stride;
      StoreSome(hn::Mul(LoadUpTo(row, n), scale), n, row);
    }
  });
}

void SoftmaxSlopeColumns(const float* y, const float* g, int64_t length,
                         int64_t stride, int64_t count, float* out) {
  ForColumns(count, [&](int64_t c, int64_t n) HWY_ATTR {
    DoubleSums sums;
    for (int64_t i = c; i < c + length * stride; i += stride) {
      sums.AddProduct(InDouble(LoadUpTo(g + i, n)),
                      InDouble(LoadUpTo(y + i, n)));
    }
    const auto sum = sums.Rounded();
    for (int64_t i = c; i < c + length * stride; i += stride) {
      StoreSome(hn::Mul(LoadUpTo(y + i, n), hn::Sub(LoadUpTo(g + i, n), sum)),
                n, out + i);
    }
  });
}

void LogSoftmaxSlopeColumns(const float* x, const float* g, int64_t length,
                            int64_t stride, int64_t count, float* out) {
  const Floats d;
  ForColumns(count, [&](int64_t c, int64_t n) HWY_ATTR {
    const auto max = ColumnMax(x + c, length, stride, n);
    const auto sum =
        ColumnExpSum(x + c, length, stride, n, max, out + c).Rounded();
    DoubleSums gradients;
    for (int64_t i = c; i < c + length * stride; i += stride) {
      gradients.Add(LoadUpTo(g + i, n));
    }
    const auto scale = hn::Div(hn::Set(d, 1.0f), sum);
    const auto total = gradients.Rounded();
    for (int64_t i = c; i < c + length * stride; i += stride) {
      StoreSome(hn::Sub(LoadUpTo(g + i, n),
                        hn::Mul(hn::Mul(LoadUpTo(out + i, n), scale), total)),
                n, out + i);
    }
  });
}

void LogSoftmaxColumns(const float* x, int64_t length, int64_t stride,
                       int64_t count, float* y) {
  const Floats d;
  ForColumns(count, [&](int64_t c, int64_t n) HWY_ATTR {
    const auto max = ColumnMax(x + c, length, stride, n);
    // As of a row: all but the largest, which may be there more than once.
    DoubleSums others, ties;
    ties.Add(hn::Set(d, -1.0f));
    for (int64_t begin = 0; begin < length; begin += kSumVectors) {
      auto sum = hn::Zero(d), largest = hn::Zero(d);
      const int64_t end = std::min(length, begin + kSumVectors);
      for (int64_t i = begin; i < end; ++i) {
        const auto row = LoadUpTo(x + c + i * stride, n);
        const auto is_max = hn::Eq(row, max);
        largest =
            hn::Add(largest, hn::IfThenElseZero(is_max, hn::Set(d, 1.0f)));
        sum = hn::Add(
            sum, hn::IfThenZeroElse(is_max, SafeExp(d, hn::Sub(row, max))));
      }
      others.Add(sum);
      ties.Add(largest);
    }
    others.Add(ties);
    const auto log_sum = hn::IfThenElse(hn::IsInf(max), hn::NaN(d),
                                        SafeLog1p(d, others.Rounded()));
    for (int64_t i = 0; i < length; ++i) {
      const auto row = LoadUpTo(x + c + i * stride, n);
      StoreSome(hn::Sub(hn::Sub(row, max), log_sum), n, y + c + i * stride);
    }
  });
}

void LogSumExpColumns(const float* x, int64_t length, int64_t stride,
                      int64_t count, float* y) {
  const Floats d;
  ForColumns(count, [&](int64_t c, int64_t n) HWY_ATTR {
    const auto max = ColumnMax(x + c, length, stride, n);
    const auto shift = hn::IfThenElseZero(hn::IsFinite(max), max);
    const auto sum =
        ColumnExpSum(x + c, length, stride, n, shift, nullptr).Rounded();
    StoreSome(hn::Add(shift, SafeLog(d, sum)), n, y + c);
  });
}

// ---- Cross entropy ----

// What stands for a row whose label is ignored, or is no class; none for others.
HWY_INLINE std::optional<float> InPlaceOf(int32_t label, int64_t columns,
                                          const int32_t* ignored) {
  if (ignored != nullptr && label == *ignored) return 0.0f;
  if (label >= 0 && label < columns) return std::nullopt;
  return std::numeric_limits<float>::quiet_NaN();
}

void CrossEntropyRows(const float* x, const int32_t* label, int64_t rows,
                      int64_t columns, const int32_t* ignored, float* loss) {
  if (columns <= kNarrow) {
    return NarrowCrossEntropy(x, label, rows, columns, ignored, loss, nullptr);
  }
  for (int64_t r = 0; r < rows; ++r, x += columns) {
    if (const auto other = InPlaceOf(label[r], columns, ignored)) {
      loss[r] = *other;
    } else {
      const LogSumExp row = RowLogSumExp(x, columns);
      loss[r] = row.log_sum + (row.max - x[label[r]]);
    }
  }
}

// Makes the slope of the exponentials y of a row, whose sum is given.
HWY_INLINE void CrossEntropySlopeRow(int32_t label, int64_t columns, double sum,
                                     float* y) {
  const Floats d;
  float& at_label = y[label];
  double others = sum - at_label;
  // Where the label's share is most, it leaves too few digits of the others.
  if (!(at_label < others)) {
    at_label = 0;
    others = 0;
    for (int64_t c = 0; c < columns; ++c) others += y[c];
  }
  const auto scale = hn::Set(d, static_cast<float>(1 / sum));
  ForRow(y, columns, 0, [&](int64_t c, int64_t n, auto e) HWY_ATTR {
    StoreSome(hn::Mul(e, scale), n, y + c);
  });
  at_label = static_cast<float>(-others / sum);
}

void CrossEntropySlopeRows(const float* x, const int32_t* label, int64_t rows,
                           int64_t columns, const int32_t* ignored, float* y) {
  if (columns <= kNarrow) {
    return NarrowCrossEntropy(x, label, rows, columns, ignored, nullptr, y);
  }
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    if (const auto other = InPlaceOf(label[r], columns, ignored)) {
      std::fill_n(y, columns, *other);
    } else {
      const float sum = RowExpSum(x, columns, RowMax(x, columns), y);
      CrossEntropySlopeRow(label[r], columns, sum, y);
    }
  }
}

void CrossEntropyWithSlopeRows(const float* x, const int32_t* label,
                               int64_t rows, int64_t columns,
                               const int32_t* ignored, float* loss, float* y) {
  if (columns <= kNarrow) {
    return NarrowCrossEntropy(x, label, rows, columns, ignored, loss, y);
  }
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    if (const auto other = InPlaceOf(label[r], columns, ignored)) {
      loss[r] = *other;
      std::fill_n(y, columns, *other);
    } else {
      float sum = 0;
      const LogSumExp row = RowLogSumExp(x, columns, y, &sum);
      loss[r] = row.log_sum + (row.max - x[label[r]]);
      CrossEntropySlopeRow(label[r], columns, sum, y);
    }
  }
}

void ProbabilityCrossEntropyRows(const float* x, const float* p, int64_t rows,
                                 int64_t columns, float* loss) {
  const Floats d;
  const tape::HWY_NAMESPACE::Doubles wide;
  const int64_t lanes = hn::Lanes(d);
  for (int64_t r = 0; r < rows; ++r, x += columns, p += columns) {
    const LogSumExp row = RowLogSumExp(x, columns);
    const auto max = hn::Set(wide, static_cast<double>(row.max));
    const auto log_sum = hn::Set(wide, static_cast<double>(row.log_sum));
    // 0 ln 0 = 0; in double, x - max does not overflow.
    const auto terms = [&](auto share, auto logit) HWY_ATTR {
      const auto log = hn::Add(log_sum, hn::Sub(max, logit));
      return hn::IfThenZeroElse(hn::Eq(share, hn::Zero(wide)),
                                hn::Mul(share, log));
    };
    DoubleSums sums;
    ForRow(x, columns, 0, [&](int64_t c, int64_t n, auto v) HWY_ATTR {
      const auto share =
          n == lanes ? hn::LoadU(d, p + c) : LoadSome(p + c, n, 0);
      sums.Add(DoubleSums{terms(LowerDoubles(share), LowerDoubles(v)),
                          terms(UpperDoubles(share), UpperDoubles(v))});
    });
    loss[r] = static_cast<float>(sums.Total());
  }
}

void ProbabilityCrossEntropySlopeRows(const float* x, const float* p,
                                      int64_t rows, int64_t columns, float* y) {
  for (int64_t r = 0; r < rows; ++r, x += columns, p += columns, y += columns) {
    const float max = RowMax(x, columns);
    RowExpSum(x, columns, max, y);
    double exponentials = 0, labels = 0;
    for (int64_t c = 0; c < columns; ++c) {
      exponentials += y[c];
      labels += p[c];
    }
    // (e sum p - p sum e) / sum e, without what both products have in common.
    const double scale = 1 / exponentials;
    for (int64_t c = 0; c < columns; ++c) {
      y[c] = static_cast<float>(
          (y[c] * (labels - p[c]) - p[c] * (exponentials - y[c])) * scale);
    }
  }
}

}  // namespace tape::vector::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tape::vector {

HWY_EXPORT(SoftmaxRows);
HWY_EXPORT(LogSoftmaxRows);
HWY_EXPORT(LogSumExpRows);
HWY_EXPORT(SoftmaxColumns);
HWY_EXPORT(LogSoftmaxColumns);
HWY_EXPORT(LogSumExpColumns);
HWY_EXPORT(SoftmaxSlopeRows);
HWY_EXPORT(SoftmaxSlopeColumns);
HWY_EXPORT(LogSoftmaxSlopeRows);
HWY_EXPORT(LogSoftmaxSlopeColumns);
HWY_EXPORT(CrossEntropyRows);
HWY_EXPORT(CrossEntropySlopeRows);
HWY_EXPORT(CrossEntropyWithSlopeRows);
HWY_EXPORT(ProbabilityCrossEntropyRows);
HWY_EXPORT(ProbabilityCrossEntropySlopeRows);

void SoftmaxRows(const float* x, int64_t rows, int64_t columns, float* y) {
  HWY_DYNAMIC_DISPATCH(SoftmaxRows)(x, rows, columns, y);
}
void LogSoftmaxRows(const float* x, int64_t rows, int64_t columns, float* y) {
  HWY_DYNAMIC_DISPATCH(LogSoftmaxRows)(x, rows, columns, y);
}
void LogSumExpRows(const float* x, int64_t rows, int64_t columns, float* y) {
  HWY_DYNAMIC_DISPATCH(LogSumExpRows)(x, rows, columns, y);
}
void SoftmaxSlopeRows(const float* y, const float* g, int64_t rows,
                      int64_t columns, float* out) {
  HWY_DYNAMIC_DISPATCH(SoftmaxSlopeRows)(y, g, rows, columns, out);
}
void LogSoftmaxSlopeRows(const float* x, const float* g, int64_t rows,
                         int64_t columns, float* out) {
  HWY_DYNAMIC_DISPATCH(LogSoftmaxSlopeRows)(x, g, rows, columns, out);
}
void SoftmaxSlopeColumns(const float* y, const float* g, int64_t length,
                         int64_t stride, int64_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(SoftmaxSlopeColumns)(y, g, length, stride, count, out);
}
void LogSoftmaxSlopeColumns(const float* x, const float* g, int64_t length,
                            int64_t stride, int64_t count, float* out) {
  HWY_DYNAMIC_DISPATCH(LogSoftmaxSlopeColumns)
  (x, g, length, stride, count, out);
}
void SoftmaxColumns(const float* x, int64_t length, int64_t stride,
                    int64_t count, float* y) {
  HWY_DYNAMIC_DISPATCH(SoftmaxColumns)(x, length, stride, count, y);
}
void LogSoftmaxColumns(const float* x, int64_t length, int64_t stride,
                       int64_t count, float* y) {
  HWY_DYNAMIC_DISPATCH(LogSoftmaxColumns)(x, length, stride, count, y);
}
void LogSumExpColumns(const float* x, int64_t length, int64_t stride,
                      int64_t count, float* y) {
  HWY_DYNAMIC_DISPATCH(LogSumExpColumns)(x, length, stride, count, y);
}
void CrossEntropyRows(const float* x, const int32_t* label, int64_t rows,
                      int64_t columns, const int32_t* ignored, float* loss) {
  HWY_DYNAMIC_DISPATCH(CrossEntropyRows)
  (x, label, rows, columns, ignored, loss);
}
void CrossEntropySlopeRows(const float* x, const int32_t* label, int64_t rows,
                           int64_t columns, const int32_t* ignored, float* y) {
  HWY_DYNAMIC_DISPATCH(CrossEntropySlopeRows)
  (x, label, rows, columns, ignored, y);
}
void CrossEntropyWithSlopeRows(const float* x, const int32_t* label,
                               int64_t rows, int64_t columns,
                               const int32_t* ignored, float* loss,
                               float* slope) {
  HWY_DYNAMIC_DISPATCH(CrossEntropyWithSlopeRows)
  (x, label, rows, columns, ignored, loss, slope);
}
void ProbabilityCrossEntropyRows(const float* x, const float* p, int64_t rows,
                                 int64_t columns, float* loss) {
  HWY_DYNAMIC_DISPATCH(ProbabilityCrossEntropyRows)
  (x, p, rows, columns, loss);
}
void ProbabilityCrossEntropySlopeRows(const float* x, const float* p,
                                      int64_t rows, int64_t columns, float* y) {
  HWY_DYNAMIC_DISPATCH(ProbabilityCrossEntropySlopeRows)
  (x, p, rows, columns, y);
}

}  // namespace tape::vector
#endif  // HWY_ONCE
