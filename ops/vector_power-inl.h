// a^b on vectors of float32, by way of double. Compiled once for each
// instruction set, as vector_math-inl.h.

// Highway's guard: each target includes this once.
#if defined(TAPE_OPS_VECTOR_POWER_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef TAPE_OPS_VECTOR_POWER_INL_H_
#undef TAPE_OPS_VECTOR_POWER_INL_H_
#else
#define TAPE_OPS_VECTOR_POWER_INL_H_
#endif

#include <cstdint>
#include <limits>

#include "framework/core/float_sums-inl.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tape::vector::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using tape::HWY_NAMESPACE::Doubles;
using tape::HWY_NAMESPACE::DoubleSums;
using tape::HWY_NAMESPACE::DoubleVector;
using tape::HWY_NAMESPACE::FloatVector;
using tape::HWY_NAMESPACE::LowerDoubles;
using tape::HWY_NAMESPACE::UpperDoubles;

// first x^n + … + the last of `rest`, n of them.
template <class... Coefficients>
HWY_INLINE DoubleVector Polynomial(DoubleVector x, double first,
                                   Coefficients... rest) {
  const Doubles d;
  DoubleVector p = hn::Set(d, first);
  ((p = hn::MulAdd(p, x, hn::Set(d, rest))), ...);
  return p;
}

// log2(x) of a positive, finite float32, with a relative error of some 2^-51.
// x = 2^e m with sqrt(1/2) <= m < sqrt(2); log2(m) is the series in powers of
// s = (m - 1) / (m + 1), of which |s| < 0.172.
HWY_INLINE DoubleVector Log2(DoubleVector x) {
  const Doubles d;
  const hn::RebindToUnsigned<Doubles> du;
  constexpr uint64_t kRootOfHalf = 0x3FE6A09E667F3BCD;
  constexpr uint64_t kOne = 0x3FF0000000000000;
  const auto bits =
      hn::Add(hn::BitCast(du, x), hn::Set(du, kOne - kRootOfHalf));
  // The exponent in the last digits of a double of 2^52.
  const auto biased = hn::Or(hn::ShiftRight<52>(bits),
                             hn::Set(du, uint64_t{0x4330000000000000}));
  const DoubleVector e =
      hn::Sub(hn::BitCast(d, biased), hn::Set(d, 0x1p52 + 1023));
  const DoubleVector m = hn::BitCast(
      d, hn::Add(hn::And(bits, hn::Set(du, uint64_t{0x000FFFFFFFFFFFFF})),
                 hn::Set(du, kRootOfHalf)));
  const DoubleVector one = hn::Set(d, 1.0);
  const DoubleVector s = hn::Div(hn::Sub(m, one), hn::Add(m, one));
  const DoubleVector z = hn::Mul(s, s);
  // 2 / (ln 2 (2 k + 1)).
  constexpr double kScale = 2.8853900817779268;
  const DoubleVector p = Polynomial(
      z, kScale / 21, kScale / 19, kScale / 17, kScale / 15, kScale / 13,
      kScale / 11, kScale / 9, kScale / 7, kScale / 5, kScale / 3);
  const DoubleVector series =
      hn::MulAdd(hn::Mul(p, z), s, hn::Mul(s, hn::Set(d, kScale)));
  return hn::Add(e, series);
}

// 2^x for |x| <= 1000, with a relative error of some 2^-52: 2^n e^r with |r| <=
// ln(2) / 2.
HWY_INLINE DoubleVector Exp2(DoubleVector x) {
  const Doubles d;
  const hn::RebindToUnsigned<Doubles> du;
  // Rounds to whole numbers, which are then the last digits.
  const DoubleVector shift = hn::Set(d, 0x1.8p52);
  const DoubleVector shifted = hn::Add(x, shift);
  const DoubleVector r = hn::Mul(hn::Sub(x, hn::Sub(shifted, shift)),
                                 hn::Set(d, 0.6931471805599453));
  // 1 / k!.
  const DoubleVector p =
      Polynomial(r, 1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800,
                 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
                 1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 1.0 / 2, 1.0, 1.0);
  return hn::BitCast(d, hn::Add(hn::BitCast(du, p),
                                hn::ShiftLeft<52>(hn::BitCast(du, shifted))));
}

// f(x, y) in double, rounded to float32.
template <class F>
HWY_INLINE FloatVector InDouble(FloatVector x, FloatVector y, F f) {
  return DoubleSums{f(LowerDoubles(x), LowerDoubles(y)),
                    f(UpperDoubles(x), UpperDoubles(y))}
      .Rounded();
}

// a^b for a positive, finite a and a finite b. The product b log2(a), at most
// 150 where the result is in float32's range, is off by 2^-44, so that nearly
// all results are rounded as the exact ones.
HWY_INLINE FloatVector PositivePower(FloatVector a, FloatVector b) {
  return InDouble(a, b, [](DoubleVector x, DoubleVector y) HWY_ATTR {
    const Doubles d;
    // Beyond, float32 has 0 or infinity.
    const DoubleVector exponent = hn::Min(
        hn::Max(hn::Mul(y, Log2(x)), hn::Set(d, -1000.0)), hn::Set(d, 1000.0));
    return Exp2(exponent);
  });
}

// a^b, with the special cases of IEEE 754, from the power of an |a| and a b of
// which only those that are positive and finite count.
HWY_INLINE FloatVector CompletePower(FloatVector a, FloatVector b,
                                     FloatVector y) {
  const hn::ScalableTag<float> d;
  const FloatVector zero = hn::Zero(d), one = hn::Set(d, 1.0f);
  const FloatVector infinity =
      hn::Set(d, std::numeric_limits<float>::infinity());
  const FloatVector size = hn::Abs(a), exponent = hn::Abs(b);
  const auto size_is_one = hn::Eq(size, one);
  const auto exponent_is_infinite = hn::Eq(exponent, infinity);
  // Infinite where both, size against 1 and b against 0, are on one side.
  const auto grows = [&](auto is_large) HWY_ATTR {
    const auto rises = hn::Xor(is_large, hn::Lt(b, zero));
    return hn::IfThenElseZero(rises, infinity);
  };
  y = hn::IfThenElse(exponent_is_infinite, grows(hn::Gt(size, one)), y);
  const auto is_infinite = hn::Eq(size, infinity);
  y = hn::IfThenElse(hn::Or(is_infinite, hn::Eq(size, zero)),
                     grows(is_infinite), y);
  // From 2^24 on, whole numbers are even.
  const FloatVector half = hn::Mul(b, hn::Set(d, 0.5f));
  const auto is_whole = hn::Eq(hn::Trunc(b), b);
  const auto is_even = hn::Eq(hn::Trunc(half), half);
  const auto is_odd = hn::AndNot(is_even, is_whole);
  y = hn::Xor(y, hn::IfThenElseZero(is_odd, hn::And(a, hn::SignBit(d))));
  const auto is_negative =
      hn::And(hn::Lt(a, zero), hn::Gt(a, hn::Neg(infinity)));
  const auto is_nan = hn::Or(hn::AndNot(is_whole, is_negative),
                             hn::Or(hn::IsNaN(a), hn::IsNaN(b)));
  y = hn::IfThenElse(is_nan, hn::NaN(d), y);
  const auto is_one = hn::Or(hn::Or(hn::Eq(a, one), hn::Eq(b, zero)),
                             hn::And(size_is_one, exponent_is_infinite));
  return hn::IfThenElse(is_one, one, y);
}

// sqrt(a) but for the sign of 0 and for -infinity.
HWY_INLINE FloatVector RootPower(FloatVector a) {
  const hn::ScalableTag<float> d;
  const FloatVector infinity =
      hn::Set(d, std::numeric_limits<float>::infinity());
  return hn::IfThenElse(hn::Eq(hn::Abs(a), infinity), infinity,
                        hn::Add(hn::Sqrt(a), hn::Zero(d)));
}

// a^3, rounded once but for some 2^-24 of a rounding.
HWY_INLINE FloatVector Cube(FloatVector a) {
  const auto by_double = [a]() HWY_ATTR {
    return InDouble(a, a, [](DoubleVector x, DoubleVector y) HWY_ATTR {
      return hn::Mul(hn::Mul(x, x), y);
    });
  };
#if HWY_NATIVE_FMA
  const hn::ScalableTag<float> d;
  // What the square loses in rounding is a float32, but of very small numbers, and
  // of numbers whose square is beyond float32.
  const FloatVector square = hn::Mul(a, a);
  const FloatVector lost = hn::MulSub(a, a, square);
  const FloatVector cube = hn::MulAdd(square, a, hn::Mul(lost, a));
  const FloatVector size = hn::Abs(a);
  const auto is_exact = hn::Or(hn::Eq(a, hn::Zero(d)),
                               hn::And(hn::Gt(size, hn::Set(d, 0x1p-30f)),
                                       hn::Lt(size, hn::Set(d, 0x1p40f))));
  if (HWY_LIKELY(hn::AllTrue(d, is_exact))) return cube;
  return hn::IfThenElse(is_exact, cube, by_double());
#else
  return by_double();
#endif
}

// a^b. Exponents of 1/2 and 3 go by ways of their own, whatever else a vector
// has, so that a power does not depend on its neighbours.
HWY_NOINLINE inline FloatVector AnyPower(FloatVector a, FloatVector b) {
  const hn::ScalableTag<float> d;
  const FloatVector infinity =
      hn::Set(d, std::numeric_limits<float>::infinity());
  FloatVector y = PositivePower(hn::Abs(a), b);
  const auto is_ordinary =
      hn::And(hn::And(hn::Gt(a, hn::Zero(d)), hn::Lt(a, infinity)),
              hn::Lt(hn::Abs(b), infinity));
  if (!hn::AllTrue(d, is_ordinary)) y = CompletePower(a, b, y);
  const auto is_root = hn::Eq(b, hn::Set(d, 0.5f));
  const auto is_cube = hn::Eq(b, hn::Set(d, 3.0f));
  if (hn::AllFalse(d, hn::Or(is_root, is_cube))) return y;
  return hn::IfThenElse(is_root, RootPower(a),
                        hn::IfThenElse(is_cube, Cube(a), y));
}
HWY_INLINE FloatVector VectorPow(FloatVector a, FloatVector b) {
  const hn::ScalableTag<float> d;
  if (hn::AllTrue(d, hn::Eq(b, hn::Set(d, 3.0f)))) return Cube(a);
  if (hn::AllTrue(d, hn::Eq(b, hn::Set(d, 0.5f)))) return RootPower(a);
  return AnyPower(a, b);
}

}  // namespace tape::vector::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // TAPE_OPS_VECTOR_POWER_INL_H_
