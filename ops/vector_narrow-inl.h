// Cross entropy of narrow rows, with a row in each lane of a vector: rows of ten
// classes one by one leave most lanes empty, and add up lanes for each row. Included
// once for each instruction set (vector_rows.cc).
#include <algorithm>
#include <cstdint>

#if defined(TAPE_OPS_VECTOR_NARROW_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAPE_OPS_VECTOR_NARROW_INL_H_
#undef TAPE_OPS_VECTOR_NARROW_INL_H_
#else
#define TAPE_OPS_VECTOR_NARROW_INL_H_
#endif

#include "framework/core/float_sums-inl.h"
#include "hwy/contrib/math/math-inl.h"
#include "hwy/highway.h"
#include "ops/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace tape::vector::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The most columns of a narrow row.
constexpr int64_t kNarrow = 16;

// ln(1 + x) for x of at least 0, to half a rounding of float32.
template <class V>
HWY_INLINE V NarrowLog1p(V x) {
  const tape::HWY_NAMESPACE::Doubles d;
  const V near = hn::NegMulAdd(hn::Mul(x, hn::Set(d, 0.5)), x, x);
  // (The library's logarithm of a NaN is a number.)
  return hn::IfThenElse(hn::Ge(x, hn::Set(d, 0x1p-26)),
                        hn::Log(d, hn::Add(x, hn::Set(d, 1.0))), near);
}

// What CrossEntropyWithSlopeRows does, for rows of at most kNarrow columns; makes
// no loss, or no slope y, if that is null. Sums are made in double.
HWY_INLINE void NarrowCrossEntropy(const float* x, const int32_t* label,
                                   int64_t rows, int64_t columns,
                                   const int32_t* ignored, float* loss,
                                   float* y) {
  using tape::HWY_NAMESPACE::DoubleSums;
  const hn::ScalableTag<float> d;
  const hn::RebindToSigned<decltype(d)> di;
  const int64_t lanes = hn::Lanes(d);
  const auto zero = hn::Zero(d), one = hn::Set(d, 1.0f);
  const auto width = hn::Set(di, static_cast<int32_t>(columns));
  // Logits, and then their exponentials: a column in each vector.
  HWY_ALIGN float terms[kNarrow * hn::MaxLanes(d)];
  for (int64_t r = 0; r < rows; r += lanes) {
    const int64_t count = std::min(lanes, rows - r);
    // Lanes beyond the last row repeat its work, and store the same numbers.
    const auto row =
        hn::Min(hn::Iota(di, 0), hn::Set(di, static_cast<int32_t>(count - 1)));
    const auto begin = hn::Mul(row, width);
    const auto labels = hn::GatherIndex(di, label + r, row);
    const auto is_at = [&](int64_t c) HWY_ATTR {
      const auto column = hn::Set(di, static_cast<int32_t>(c));
      return hn::RebindMask(d, hn::Eq(labels, column));
    };
    auto max = hn::Set(d, -kInfinity), at_label = zero;
    for (int64_t c = 0; c < columns; ++c) {
      const auto v = hn::GatherIndex(d, x + r * columns + c, begin);
      hn::Store(v, d, terms + c * lanes);
      max = hn::Max(v, max);
      at_label = hn::IfThenElse(is_at(c), v, at_label);
    }
    // All exponentials but those of the largest logits, whose e^0 = 1 would cover
    // them, all but the label's, and all.
    DoubleSums beside_max, beside_label, all;
    auto largest = zero;
    for (int64_t c = 0; c < columns; ++c) {
      const auto v = hn::Load(d, terms + c * lanes);
      const auto is_max = hn::Eq(v, max);
      const auto e = SafeExp(d, hn::Sub(v, max));
      hn::Store(e, d, terms + c * lanes);
      all.Add(e);
      beside_max.Add(hn::IfThenZeroElse(is_max, e));
      beside_label.Add(hn::IfThenZeroElse(is_at(c), e));
      largest = hn::Add(largest, hn::IfThenElseZero(is_max, one));
    }
    // What stands for a row whose label is ignored, or is no class.
    const auto is_class = hn::RebindMask(
        d,
        hn::And(hn::Not(hn::Lt(labels, hn::Zero(di))), hn::Lt(labels, width)));
    auto other = hn::NaN(d);
    auto has_loss = is_class;
    if (ignored != nullptr) {
      const auto is_ignored =
          hn::RebindMask(d, hn::Eq(labels, hn::Set(di, *ignored)));
      other = hn::IfThenZeroElse(is_ignored, other);
      has_loss = hn::AndNot(is_ignored, is_class);
    }
    if (loss != nullptr) {
      beside_max.Add(hn::Sub(largest, one));
      const DoubleSums logs = {NarrowLog1p(beside_max.lower),
                               NarrowLog1p(beside_max.upper)};
      // Infinity against infinity is no loss.
      const auto log_sum =
          hn::IfThenElse(hn::IsInf(max), hn::NaN(d), logs.Rounded());
      const auto value = hn::Add(log_sum, hn::Sub(max, at_label));
      tape::HWY_NAMESPACE::StoreSome(hn::IfThenElse(has_loss, value, other),
                                     count, loss + r);
    }
    if (y == nullptr) continue;
    const auto scale = hn::Div(one, all.Rounded());
    const DoubleSums shares = {hn::Div(beside_label.lower, all.lower),
                               hn::Div(beside_label.upper, all.upper)};
    const auto of_label = hn::Neg(shares.Rounded());
    for (int64_t c = 0; c < columns; ++c) {
      const auto e = hn::Load(d, terms + c * lanes);
      const auto slope = hn::IfThenElse(is_at(c), of_label, hn::Mul(e, scale));
      hn::ScatterIndex(hn::IfThenElse(has_loss, slope, other), d,
                       y + r * columns + c, begin);
    }
  }
}

}  // namespace tape::vector::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // TAPE_OPS_VECTOR_NARROW_INL_H_
