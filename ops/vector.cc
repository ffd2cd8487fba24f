// The vector code of the ops (vector.h): from blocks of numbers to blocks of
// numbers, by Highway. Infinities and NaN go through as IEEE 754 and NumPy have
// them. Tested by tests/op_test.cc through the sample table.
#include "ops/vector.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/vector.cc"
// In this order: foreach_target.h includes this file again for each target.
// clang-format off
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"
#include "hwy/contrib/math/math-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tape::vector::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Ints = hn::ScalableTag<int32_t>;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

// ---- Loops over a block ----
// Each runs f on whole vectors; the rest at the end goes through a padded copy
// on the stack, because a block may end where another thread's begins, so
// nothing beyond it may be touched.

template <typename In, typename Out, class D, class F>
HWY_INLINE void MapUnary(const BlockArguments& block, D d, F f) {
  const In* const x = static_cast<const In*>(block.inputs[0]);
  Out* const y = static_cast<Out*>(block.output);
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= block.count; i += lanes) f(d, x + i, y + i);
  if (i == block.count) return;
  HWY_ALIGN In x_tail[hn::MaxLanes(d)] = {};
  HWY_ALIGN Out y_tail[hn::MaxLanes(d)];
  std::memcpy(x_tail, x + i, (block.count - i) * sizeof(In));
  f(d, x_tail, y_tail);
  std::memcpy(y + i, y_tail, (block.count - i) * sizeof(Out));
}

template <typename In, typename Out, class D, class F>
HWY_INLINE void MapBinary(const BlockArguments& block, D d, F f) {
  const In* const a = static_cast<const In*>(block.inputs[0]);
  const In* const b = static_cast<const In*>(block.inputs[1]);
  Out* const y = static_cast<Out*>(block.output);
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= block.count; i += lanes) f(d, a + i, b + i, y + i);
  if (i == block.count) return;
  HWY_ALIGN In a_tail[hn::MaxLanes(d)] = {};
  HWY_ALIGN In b_tail[hn::MaxLanes(d)] = {};
  HWY_ALIGN Out y_tail[hn::MaxLanes(d)];
  std::memcpy(a_tail, a + i, (block.count - i) * sizeof(In));
  std::memcpy(b_tail, b + i, (block.count - i) * sizeof(In));
  f(d, a_tail, b_tail, y_tail);
  std::memcpy(y + i, y_tail, (block.count - i) * sizeof(Out));
}

// A block whose formula is `expression` of the vectors x, or of a and b, in the
// letters of the textbook.
#define TAPE_UNARY(name, T, expression)                             \
  void name(const BlockArguments& block) {                          \
    const auto f = [&block](auto d, const T* in, T* out) HWY_ATTR { \
      (void)block;                                                  \
      const auto x = hn::LoadU(d, in);                              \
      hn::StoreU(expression, d, out);                               \
    };                                                              \
    MapUnary<T, T>(block, hn::ScalableTag<T>(), f);                 \
  }
#define TAPE_BINARY(name, T, expression)                                  \
  void name(const BlockArguments& block) {                                \
    const auto f = [&block](auto d, const T* in_a, const T* in_b, T* out) \
                       HWY_ATTR {                                         \
                         (void)block;                                     \
                         const auto a = hn::LoadU(d, in_a);               \
                         const auto b = hn::LoadU(d, in_b);               \
                         hn::StoreU(expression, d, out);                  \
                       };                                                 \
    MapBinary<T, T>(block, hn::ScalableTag<T>(), f);                      \
  }

template <class D>
HWY_INLINE hn::Vec<D> Value(D d, const BlockArguments& block) {
  return hn::Set(d, static_cast<float>(block.attributes.value));
}

// Highway's functions are exact to a few units in the last place on the finite
// range that does not overflow; these add the rest of the line.
template <class D, class V>
HWY_INLINE V SafeExp(D d, V x) {
  // Beyond these, float32's exp is infinite or 0.
  const V limited = hn::Min(hn::Max(x, hn::Set(d, -104.0f)), hn::Set(d, 88.8f));
  V y = hn::Exp(d, limited);
  y = hn::IfThenElse(hn::Gt(x, hn::Set(d, 88.72284f)), hn::Set(d, kInfinity),
                     y);
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

template <class D, class V>
HWY_INLINE V SafeExpm1(D d, V x) {
  const V limited = hn::Min(hn::Max(x, hn::Set(d, -104.0f)), hn::Set(d, 88.8f));
  V y = hn::Expm1(d, limited);
  y = hn::IfThenElse(hn::Gt(x, hn::Set(d, 88.72284f)), hn::Set(d, kInfinity),
                     y);
  // x, and NaN, where x is so small that expm1(x) is x.
  return hn::IfThenElse(hn::Ge(hn::Abs(x), hn::Set(d, 1e-10f)), y, x);
}

template <class D, class V>
HWY_INLINE V SafeLog(D d, V x) {
  V y = hn::Log(d, x);
  y = hn::IfThenElse(hn::Eq(x, hn::Set(d, kInfinity)), x, y);
  y = hn::IfThenElse(hn::Eq(x, hn::Zero(d)), hn::Set(d, -kInfinity), y);
  // NaN for NaN and for what is below zero.
  return hn::IfThenElse(hn::Ge(x, hn::Zero(d)), y, hn::NaN(d));
}

template <class D, class V>
HWY_INLINE V SafeLog1p(D d, V x) {
  V y = hn::Log1p(d, x);
  y = hn::IfThenElse(hn::Eq(x, hn::Set(d, kInfinity)), x, y);
  const V minus_one = hn::Set(d, -1.0f);
  y = hn::IfThenElse(hn::Eq(x, minus_one), hn::Set(d, -kInfinity), y);
  // NaN for NaN and for what is below -1.
  return hn::IfThenElse(hn::Ge(x, minus_one), y, hn::NaN(d));
}

// Two polynomials, one for each of x / x^3 + … and of ln(1 - erf x), with
// coefficients by N. Juffa ("Vectorizable implementation of erf", 2016). Tried
// on every float32: off by less than 1.16 ulp, with or without fused
// multiplications, where exp is exact; an ulp of exp adds a fourth of one.
template <class D, class V>
HWY_INLINE V VectorErf(D d, V x) {
  const auto add = [d](V product, V factor, float c) HWY_ATTR {
    return hn::MulAdd(product, factor, hn::Set(d, c));
  };
  // From 4 on, float32's erf is 1. (Min may drop a NaN.)
  const V t = hn::Min(hn::Abs(x), hn::Set(d, 4.0f));
  const V s = hn::Mul(t, t);
  V large = add(hn::Set(d, -1.72853470e-5f), t, 3.83197126e-4f);
  large =
      hn::MulAdd(large, s, add(hn::Set(d, -3.88396438e-3f), t, 2.42546219e-2f));
  large = add(large, t, -1.06777877e-1f);
  large = add(large, t, -6.34846687e-1f);
  large = add(large, t, -1.28717512e-1f);
  large = hn::MulAdd(large, t, hn::Neg(t));
  large = hn::CopySign(hn::Sub(hn::Set(d, 1.0f), SafeExp(d, large)), x);
  V small = add(hn::Set(d, -5.96761703e-4f), s, 4.99119423e-3f);
  small = add(small, s, -2.67681349e-2f);
  small = add(small, s, 1.12819925e-1f);
  small = add(small, s, -3.76125336e-1f);
  small = add(small, s, 1.28379166e-1f);
  small = hn::MulAdd(small, x, x);
  const V y = hn::IfThenElse(hn::Gt(t, hn::Set(d, 0.927734375f)), large, small);
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

// The C library's pow in double, lane by lane: Highway has none, and its many
// special cases are those of IEEE 754.
template <class D, class V>
HWY_INLINE V LibraryPow(D d, V a, V b) {
  HWY_ALIGN float bases[hn::MaxLanes(d)];
  HWY_ALIGN float exponents[hn::MaxLanes(d)];
  hn::Store(a, d, bases);
  hn::Store(b, d, exponents);
  for (size_t i = 0; i < hn::Lanes(d); ++i) {
    bases[i] = static_cast<float>(std::pow(static_cast<double>(bases[i]),
                                           static_cast<double>(exponents[i])));
  }
  return hn::Load(d, bases);
}

// ln(1 + e^x) = max(x, 0) + ln(1 + e^-|x|), of which nothing overflows.
template <class D, class V>
HWY_INLINE V VectorSoftplus(D d, V x) {
  return hn::Add(hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x),
                 SafeLog1p(d, SafeExp(d, hn::Neg(hn::Abs(x)))));
}

template <class D, class V>
HWY_INLINE V SafeSigmoid(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  return hn::Div(one, hn::Add(one, SafeExp(d, hn::Neg(x))));
}

template <class D, class V>
HWY_INLINE V SafeTanh(D d, V x) {
  // From 10 on, float32's tanh is 1. Min and Max drop a NaN.
  const V limited = hn::Min(hn::Max(x, hn::Set(d, -10.0f)), hn::Set(d, 10.0f));
  const V y = hn::Tanh(d, limited);
  return hn::IfThenElse(hn::Ge(hn::Abs(x), hn::Set(d, 1e-10f)), y, x);
}

// `y`, where Highway's sine or cosine holds; beyond, the C library's, lane by
// lane.
template <class D, class V>
HWY_INLINE V SafeTrigonometric(D d, V x, V y, double (*exact)(double)) {
  const V limit = hn::Set(d, 39000.0f);  // Highway's own.
  const auto holds = hn::Lt(hn::Abs(x), limit);
  if (hn::AllTrue(d, holds)) return y;
  HWY_ALIGN float lanes[hn::MaxLanes(d)];
  HWY_ALIGN float results[hn::MaxLanes(d)];
  hn::Store(x, d, lanes);
  for (size_t i = 0; i < hn::Lanes(d); ++i) {
    results[i] = static_cast<float>(exact(lanes[i]));
  }
  // A number's sine must not depend on its neighbours.
  return hn::IfThenElse(holds, y, hn::Load(d, results));
}

// ---- The blocks, a formula each ----

TAPE_BINARY(AddFloat, float, hn::Add(a, b))
TAPE_BINARY(AddInt, int32_t, hn::Add(a, b))
TAPE_BINARY(SubFloat, float, hn::Sub(a, b))
TAPE_BINARY(SubInt, int32_t, hn::Sub(a, b))
TAPE_BINARY(MulFloat, float, hn::Mul(a, b))
TAPE_BINARY(MulInt, int32_t, hn::Mul(a, b))
TAPE_BINARY(DivFloat, float, hn::Div(a, b))
TAPE_UNARY(NegFloat, float, hn::Neg(x))
TAPE_UNARY(NegInt, int32_t, hn::Neg(x))
TAPE_UNARY(SquareFloat, float, hn::Mul(x, x))
TAPE_UNARY(SqrtFloat, float, hn::Sqrt(x))
TAPE_UNARY(ExpFloat, float, SafeExp(d, x))
TAPE_UNARY(Expm1Float, float, SafeExpm1(d, x))
TAPE_UNARY(LogFloat, float, SafeLog(d, x))
TAPE_UNARY(Log1pFloat, float, SafeLog1p(d, x))
TAPE_UNARY(ErfFloat, float, VectorErf(d, x))
TAPE_UNARY(CeilFloat, float, hn::Ceil(x))
TAPE_UNARY(RoundFloat, float, hn::Round(x))
TAPE_UNARY(ReciprocalFloat, float, hn::Div(hn::Set(d, 1.0f), x))
TAPE_UNARY(RsqrtFloat, float, hn::Div(hn::Set(d, 1.0f), hn::Sqrt(x)))
TAPE_BINARY(PowFloat, float, LibraryPow(d, a, b))
TAPE_UNARY(SoftplusFloat, float, VectorSoftplus(d, x))
// a is the logit and b the label. max(a, 0) - a b is exact where b is 0 or 1,
// so that nothing is lost of small losses.
TAPE_BINARY(SigmoidCrossEntropyFloat, float,
            hn::Add(hn::Sub(hn::IfThenZeroElse(hn::Lt(a, hn::Zero(d)), a),
                            hn::Mul(a, b)),
                    VectorSoftplus(d, hn::Neg(hn::Abs(a)))))
TAPE_UNARY(AbsFloat, float, hn::Abs(x))
TAPE_UNARY(FloorFloat, float, hn::Floor(x))
TAPE_UNARY(SinFloat, float, SafeTrigonometric(d, x, hn::Sin(d, x), std::sin))
TAPE_UNARY(CosFloat, float, SafeTrigonometric(d, x, hn::Cos(d, x), std::cos))
TAPE_BINARY(MaximumFloat, float,
            hn::IfThenElse(hn::Ge(a, b), a, hn::IfThenElse(hn::IsNaN(a), a, b)))
TAPE_BINARY(MinimumFloat, float,
            hn::IfThenElse(hn::Le(a, b), a, hn::IfThenElse(hn::IsNaN(a), a, b)))
// 1 with the sign of x; 0, and NaN, for themselves.
TAPE_UNARY(SignFloat, float,
           hn::IfThenElse(hn::Gt(hn::Abs(x), hn::Zero(d)),
                          hn::CopySign(hn::Set(d, 1.0f), x), x))
TAPE_UNARY(ReluFloat, float, hn::IfThenZeroElse(hn::Lt(x, hn::Zero(d)), x))
TAPE_UNARY(LeakyReluFloat, float,
           hn::IfThenElse(hn::Gt(x, hn::Zero(d)), x,
                          hn::Mul(Value(d, block), x)))
// a is gy and b is y. A slope of 0 gives 0, whatever gy is.
TAPE_BINARY(LeakyReluGradientFloat, float,
            hn::IfThenElse(hn::Gt(b, hn::Zero(d)), a,
                           hn::IfThenZeroElse(hn::Eq(Value(d, block),
                                                     hn::Zero(d)),
                                              hn::Mul(Value(d, block), a))))
TAPE_UNARY(SigmoidFloat, float, SafeSigmoid(d, x))
TAPE_UNARY(TanhFloat, float, SafeTanh(d, x))

// ---- Between dtypes ----

// 1 or 0 as uint8 for each lane of a mask over floats or ints.
template <class D, class M>
HWY_INLINE void StoreMask(D d, M mask, uint8_t* out) {
  const hn::Rebind<uint8_t, D> d8;
  const hn::Rebind<int32_t, D> d32;
  const auto ones =
      hn::IfThenElseZero(hn::RebindMask(d32, mask), hn::Set(d32, 1));
  hn::StoreU(hn::DemoteTo(d8, ones), d8, out);
  (void)d;
}
// The same for a mask over bytes.
template <class D8, class M>
HWY_INLINE void StoreByteMask(D8 d, M mask, uint8_t* out) {
  hn::StoreU(hn::IfThenElseZero(mask, hn::Set(d, uint8_t{1})), d, out);
}

// A comparison of vectors a and b of T.
#define TAPE_COMPARE(name, T, store, comparison)                          \
  void name(const BlockArguments& block) {                                \
    const auto f = [](auto d, const T* in_a, const T* in_b, uint8_t* out) \
                       HWY_ATTR {                                         \
                         const auto a = hn::LoadU(d, in_a);               \
                         const auto b = hn::LoadU(d, in_b);               \
                         store(d, comparison, out);                       \
                       };                                                 \
    MapBinary<T, uint8_t>(block, hn::ScalableTag<T>(), f);                \
  }
TAPE_COMPARE(EqualFloat, float, StoreMask, hn::Eq(a, b))
TAPE_COMPARE(EqualInt, int32_t, StoreMask, hn::Eq(a, b))
TAPE_COMPARE(EqualByte, uint8_t, StoreByteMask, hn::Eq(a, b))
TAPE_COMPARE(GreaterFloat, float, StoreMask, hn::Gt(a, b))
TAPE_COMPARE(GreaterInt, int32_t, StoreMask, hn::Gt(a, b))
// Bytes have no signless comparison on all targets: a > b where max(a, b) is
// not b.
TAPE_COMPARE(GreaterByte, uint8_t, StoreByteMask,
             hn::Not(hn::Eq(hn::Max(a, b), b)))

TAPE_COMPARE(NotEqualFloat, float, StoreMask, hn::Not(hn::Eq(a, b)))
TAPE_COMPARE(NotEqualInt, int32_t, StoreMask, hn::Not(hn::Eq(a, b)))
TAPE_COMPARE(NotEqualByte, uint8_t, StoreByteMask, hn::Not(hn::Eq(a, b)))
TAPE_COMPARE(GreaterEqualFloat, float, StoreMask, hn::Ge(a, b))
TAPE_COMPARE(GreaterEqualInt, int32_t, StoreMask, hn::Not(hn::Gt(b, a)))
TAPE_COMPARE(GreaterEqualByte, uint8_t, StoreByteMask, hn::Eq(hn::Max(a, b), a))
TAPE_COMPARE(LessFloat, float, StoreMask, hn::Lt(a, b))
TAPE_COMPARE(LessInt, int32_t, StoreMask, hn::Lt(a, b))
TAPE_COMPARE(LessByte, uint8_t, StoreByteMask,
             hn::Not(hn::Eq(hn::Max(a, b), a)))
TAPE_COMPARE(LessEqualFloat, float, StoreMask, hn::Le(a, b))
TAPE_COMPARE(LessEqualInt, int32_t, StoreMask, hn::Not(hn::Gt(a, b)))
TAPE_COMPARE(LessEqualByte, uint8_t, StoreByteMask, hn::Eq(hn::Max(a, b), b))

TAPE_COMPARE(AndByte, uint8_t, StoreByteMask,
             hn::And(hn::Ne(a, hn::Zero(d)), hn::Ne(b, hn::Zero(d))))
TAPE_COMPARE(OrByte, uint8_t, StoreByteMask,
             hn::Or(hn::Ne(a, hn::Zero(d)), hn::Ne(b, hn::Zero(d))))
TAPE_COMPARE(XorByte, uint8_t, StoreByteMask,
             hn::Xor(hn::Ne(a, hn::Zero(d)), hn::Ne(b, hn::Zero(d))))
TAPE_UNARY(NotByte, uint8_t,
           hn::IfThenElseZero(hn::Eq(x, hn::Zero(d)), hn::Set(d, uint8_t{1})))

void IsNanFloat(const BlockArguments& block) {
  const auto f = [](auto d, const float* in, uint8_t* out) HWY_ATTR {
    const auto x = hn::LoadU(d, in);
    StoreMask(d, hn::IsNaN(x), out);
  };
  MapUnary<float, uint8_t>(block, Floats(), f);
}
void IsFiniteFloat(const BlockArguments& block) {
  const auto f = [](auto d, const float* in, uint8_t* out) HWY_ATTR {
    const auto x = hn::LoadU(d, in);
    StoreMask(d, hn::Lt(hn::Abs(x), hn::Set(d, kInfinity)), out);
  };
  MapUnary<float, uint8_t>(block, Floats(), f);
}

// For float32 and int32 alike: words are chosen as they are.
void SelectWord(const BlockArguments& block) {
  const Ints d;
  const hn::Rebind<uint8_t, Ints> d8;
  const auto* const condition = static_cast<const uint8_t*>(block.inputs[0]);
  const auto* const a = static_cast<const int32_t*>(block.inputs[1]);
  const auto* const b = static_cast<const int32_t*>(block.inputs[2]);
  auto* const y = static_cast<int32_t*>(block.output);
  const size_t lanes = hn::Lanes(d);
  size_t i = 0;
  for (; i + lanes <= block.count; i += lanes) {
    const auto wide = hn::PromoteTo(d, hn::LoadU(d8, condition + i));
    hn::StoreU(hn::IfThenElse(hn::Ne(wide, hn::Zero(d)), hn::LoadU(d, a + i),
                              hn::LoadU(d, b + i)),
               d, y + i);
  }
  for (; i < block.count; ++i) y[i] = condition[i] != 0 ? a[i] : b[i];
}

void ByteToInt(const BlockArguments& block) {
  const auto f = [](auto d, const uint8_t* x, int32_t* y) HWY_ATTR {
    const hn::Rebind<uint8_t, decltype(d)> d8;
    hn::StoreU(hn::PromoteTo(d, hn::LoadU(d8, x)), d, y);
  };
  MapUnary<uint8_t, int32_t>(block, Ints(), f);
}
void ByteToFloat(const BlockArguments& block) {
  const auto f = [](auto d, const uint8_t* x, float* y) HWY_ATTR {
    const hn::Rebind<uint8_t, decltype(d)> d8;
    const hn::Rebind<int32_t, decltype(d)> d32;
    const auto wide = hn::PromoteTo(d32, hn::LoadU(d8, x));
    hn::StoreU(hn::ConvertTo(d, wide), d, y);
  };
  MapUnary<uint8_t, float>(block, Floats(), f);
}
void IntToFloat(const BlockArguments& block) {
  const auto f = [](auto d, const int32_t* x, float* y) HWY_ATTR {
    const hn::Rebind<int32_t, decltype(d)> d32;
    hn::StoreU(hn::ConvertTo(d, hn::LoadU(d32, x)), d, y);
  };
  MapUnary<int32_t, float>(block, Floats(), f);
}

// By hand: Highway's own conversion need not round to the nearest.
void FloatToBFloat16(const BlockArguments& block) {
  const auto f = [](auto d, const float* in, uint16_t* y) HWY_ATTR {
    const hn::Rebind<uint16_t, decltype(d)> d16;
    const hn::Rebind<int32_t, decltype(d)> d32;
    const hn::Rebind<uint32_t, decltype(d)> du32;
    const auto x = hn::LoadU(d, in);
    const auto word = hn::BitCast(du32, x);
    const auto is_odd =
        hn::And(hn::ShiftRight<16>(word), hn::Set(du32, uint32_t{1}));
    const auto nearest =
        hn::Add(word, hn::Add(is_odd, hn::Set(du32, uint32_t{0x7FFF})));
    // So that a NaN does not become infinite with what it loses.
    const auto nan = hn::Or(word, hn::Set(du32, uint32_t{0x400000}));
    const auto half = hn::ShiftRight<16>(
        hn::IfThenElse(hn::RebindMask(du32, hn::IsNaN(x)), nan, nearest));
    hn::StoreU(hn::DemoteTo(d16, hn::BitCast(d32, half)), d16, y);
  };
  MapUnary<float, uint16_t>(block, Floats(), f);
}
void BFloat16ToFloat(const BlockArguments& block) {
  const auto f = [](auto d, const uint16_t* x, float* y) HWY_ATTR {
    const hn::Rebind<uint16_t, decltype(d)> d16;
    const hn::Rebind<uint32_t, decltype(d)> du32;
    const auto wide = hn::PromoteTo(du32, hn::LoadU(d16, x));
    hn::StoreU(hn::BitCast(d, hn::ShiftLeft<16>(wide)), d, y);
  };
  MapUnary<uint16_t, float>(block, Floats(), f);
}

// ---- Rows of softmax ----

// The first `count` lanes from `x`, and `padding` in the others, without a
// touch on memory beyond. (A masked load of AVX2 or AVX-512 does not fault
// there. One by way of a buffer waits for the store it has just made: three
// times as long for a row of ten.)
HWY_INLINE auto LoadSome(const float* x, int64_t count, float padding) {
  const Floats d;
#if HWY_TARGET <= HWY_AVX2
  const auto used = hn::FirstN(d, count);
  return hn::IfThenElse(used, hn::MaskedLoad(used, d, x), hn::Set(d, padding));
#else
  HWY_ALIGN float tail[hn::MaxLanes(d)];
  std::fill_n(tail, hn::Lanes(d), padding);
  std::memcpy(tail, x, count * sizeof(float));
  return hn::Load(d, tail);
#endif
}

template <class V>
HWY_INLINE void StoreSome(V v, int64_t count, float* out) {
  const Floats d;
  if (count == static_cast<int64_t>(hn::Lanes(d))) {
    hn::StoreU(v, d, out);
    return;
  }
#if HWY_TARGET <= HWY_AVX2
  hn::BlendedStore(v, hn::FirstN(d, count), d, out);
#else
  HWY_ALIGN float tail[hn::MaxLanes(d)];
  hn::Store(v, d, tail);
  std::memcpy(out, tail, count * sizeof(float));
#endif
}

// Visits a row in whole vectors: f(offset, lanes used, vector), the last one
// padded with `padding`.
template <class F>
HWY_INLINE void ForRow(const float* x, int64_t columns, float padding, F f) {
  const Floats d;
  const int64_t lanes = hn::Lanes(d);
  int64_t c = 0;
  for (; c + lanes <= columns; c += lanes) f(c, lanes, hn::LoadU(d, x + c));
  if (c == columns) return;
  f(c, columns - c, LoadSome(x + c, columns - c, padding));
}

HWY_INLINE float RowMax(const float* x, int64_t columns) {
  const Floats d;
  auto max = hn::Set(d, -kInfinity);
  ForRow(x, columns, -kInfinity, [&](int64_t, int64_t, auto v) HWY_ATTR {
    // Whether or not a NaN stays here, it makes the sum of exp(x - max) one.
    max = hn::Max(v, max);
  });
  return hn::GetLane(hn::MaxOfLanes(d, max));
}

// The sum of exp(x - max); if y is given, stores exp(x - max) there.
HWY_INLINE float RowExpSum(const float* x, int64_t columns, float max,
                           float* y) {
  const Floats d;
  const auto shift = hn::Set(d, max);
  auto sum = hn::Zero(d);
  ForRow(x, columns, -kInfinity, [&](int64_t c, int64_t n, auto v) HWY_ATTR {
    const auto e = SafeExp(d, hn::Sub(v, shift));
    if (y != nullptr) StoreSome(e, n, y + c);
    sum = hn::Add(sum, e);
  });
  return hn::GetLane(hn::SumOfLanes(d, sum));
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

// log(sum of exp(x)) of one row, in two parts whose sum it is. Added up, they
// would be rounded to the precision of max: logits near 10,000 would leave
// nothing after the third digit of a loss.
struct LogSumExp {
  float max;
  float log_sum;  // Of exp(x - max).
};

HWY_INLINE LogSumExp RowLogSumExp(const float* x, int64_t columns) {
  const float max = RowMax(x, columns);
  return {max, std::log(RowExpSum(x, columns, max, nullptr))};
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

// `count` lanes from x: a whole vector, or what is left at the end.
HWY_INLINE auto LoadUpTo(const float* x, int64_t count) {
  const Floats d;
  if (count == static_cast<int64_t>(hn::Lanes(d))) return hn::LoadU(d, x);
  return LoadSome(x, count, 0);
}

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

// The sum of exp(x - shift); if y is given, stores exp(x - shift) there.
template <class V>
HWY_INLINE V ColumnExpSum(const float* x, int64_t length, int64_t stride,
                          int64_t columns, V shift, float* y) {
  const Floats d;
  V sum = hn::Zero(d);
  for (int64_t i = 0; i < length; ++i) {
    const V e = SafeExp(d, hn::Sub(LoadUpTo(x + i * stride, columns), shift));
    if (y != nullptr) StoreSome(e, columns, y + i * stride);
    sum = hn::Add(sum, e);
  }
  return sum;
}

void SoftmaxColumns(const float* x, int64_t length, int64_t stride,
                    int64_t count, float* y) {
  const Floats d;
  ForColumns(count, [&](int64_t c, int64_t n) HWY_ATTR {
    const auto max = ColumnMax(x + c, length, stride, n);
    const auto sum = ColumnExpSum(x + c, length, stride, n, max, y + c);
    const auto scale = hn::Div(hn::Set(d, 1.0f), sum);
    for (int64_t i = 0; i < length; ++i) {
      float* const row = y + c + i * stride;
      StoreSome(hn::Mul(LoadUpTo(row, n), scale), n, row);
    }
  });
}

void LogSoftmaxColumns(const float* x, int64_t length, int64_t stride,
                       int64_t count, float* y) {
  const Floats d;
  ForColumns(count, [&](int64_t c, int64_t n) HWY_ATTR {
    const auto max = ColumnMax(x + c, length, stride, n);
    const auto log_sum =
        SafeLog(d, ColumnExpSum(x + c, length, stride, n, max, nullptr));
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
    const auto sum = ColumnExpSum(x + c, length, stride, n, shift, nullptr);
    StoreSome(hn::Add(shift, SafeLog(d, sum)), n, y + c);
  });
}

void CrossEntropyRows(const float* x, const int32_t* label, int64_t rows,
                      int64_t columns, float* loss) {
  for (int64_t r = 0; r < rows; ++r, x += columns) {
    if (label[r] < 0 || label[r] >= columns) {
      loss[r] = std::numeric_limits<float>::quiet_NaN();
      continue;
    }
    const LogSumExp row = RowLogSumExp(x, columns);
    loss[r] = row.log_sum - (x[label[r]] - row.max);
  }
}

void ProbabilityCrossEntropyRows(const float* x, const float* p, int64_t rows,
                                 int64_t columns, float* loss) {
  for (int64_t r = 0; r < rows; ++r, x += columns, p += columns) {
    const LogSumExp row = RowLogSumExp(x, columns);
    float sum = 0;
    for (int64_t c = 0; c < columns; ++c) {
      sum += p[c] * (row.log_sum - (x[c] - row.max));
    }
    loss[r] = sum;
  }
}

}  // namespace tape::vector::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tape::vector {

#define TAPE_EXPORT_BLOCK(name) \
  HWY_EXPORT(name);             \
  void name(const BlockArguments& block) { HWY_DYNAMIC_DISPATCH(name)(block); }
TAPE_VECTOR_BLOCKS(TAPE_EXPORT_BLOCK)

HWY_EXPORT(SoftmaxRows);
HWY_EXPORT(LogSoftmaxRows);
HWY_EXPORT(LogSumExpRows);
HWY_EXPORT(SoftmaxColumns);
HWY_EXPORT(LogSoftmaxColumns);
HWY_EXPORT(LogSumExpColumns);
HWY_EXPORT(CrossEntropyRows);
HWY_EXPORT(ProbabilityCrossEntropyRows);

void SoftmaxRows(const float* x, int64_t rows, int64_t columns, float* y) {
  HWY_DYNAMIC_DISPATCH(SoftmaxRows)(x, rows, columns, y);
}
void LogSoftmaxRows(const float* x, int64_t rows, int64_t columns, float* y) {
  HWY_DYNAMIC_DISPATCH(LogSoftmaxRows)(x, rows, columns, y);
}
void LogSumExpRows(const float* x, int64_t rows, int64_t columns, float* y) {
  HWY_DYNAMIC_DISPATCH(LogSumExpRows)(x, rows, columns, y);
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
                      int64_t columns, float* loss) {
  HWY_DYNAMIC_DISPATCH(CrossEntropyRows)(x, label, rows, columns, loss);
}
void ProbabilityCrossEntropyRows(const float* x, const float* p, int64_t rows,
                                 int64_t columns, float* loss) {
  HWY_DYNAMIC_DISPATCH(ProbabilityCrossEntropyRows)
  (x, p, rows, columns, loss);
}

}  // namespace tape::vector
#endif  // HWY_ONCE
