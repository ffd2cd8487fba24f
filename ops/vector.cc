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
#include "framework/core/float_sums-inl.h"
#include "ops/vector_math-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tape::vector::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Ints = hn::ScalableTag<int32_t>;

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
// a is the logit and b the label.
TAPE_BINARY(SigmoidCrossEntropyFloat, float, VectorSigmoidCrossEntropy(d, a, b))
TAPE_BINARY(SigmoidErrorFloat, float, VectorSigmoidError(d, a, b))
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
TAPE_UNARY(SigmoidSlopeFloat, float, VectorSigmoidSlope(d, x))
TAPE_UNARY(TanhFloat, float, SafeTanh(d, x))
TAPE_UNARY(TanhSlopeFloat, float, VectorTanhSlope(d, x))
TAPE_UNARY(GaussianFloat, float, VectorGaussian(d, x, Value(d, block)))
TAPE_UNARY(GeluFloat, float, VectorGelu(d, x))
TAPE_UNARY(GeluSlopeFloat, float, VectorGeluSlope(d, x))
TAPE_UNARY(GeluTanhFloat, float, VectorGeluTanh(d, x))
TAPE_UNARY(GeluTanhSlopeFloat, float, VectorGeluTanhSlope(d, x))
TAPE_UNARY(SiluFloat, float, VectorSilu(d, x))
TAPE_UNARY(SiluSlopeFloat, float, VectorSiluSlope(d, x))
TAPE_UNARY(SoftsignFloat, float, VectorSoftsign(d, x))

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

using tape::HWY_NAMESPACE::DoubleSums;
using tape::HWY_NAMESPACE::ForRow;
using tape::HWY_NAMESPACE::LoadSome;
using tape::HWY_NAMESPACE::NoSums;
using tape::HWY_NAMESPACE::StoreSome;
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
  DoubleSums sums = NoSums();
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

// log(sum of exp(x)) of one row, in two parts whose sum it is. Added up, they
// would be rounded to the precision of max: logits near 10,000 would leave
// nothing after the third digit of a loss.
struct LogSumExp {
  float max;
  float log_sum;  // Of exp(x - max).
};

// All elements but the largest are added up apart from its e^0 = 1, so that
// nothing of them is lost where they are far below it.
HWY_INLINE LogSumExp RowLogSumExp(const float* x, int64_t columns) {
  const Floats d;
  const int64_t part = kSumVectors * hn::Lanes(d);
  const float max = RowMax(x, columns);
  // Infinity against infinity.
  if (std::isinf(max)) return {max, std::numeric_limits<float>::quiet_NaN()};
  const auto shift = hn::Set(d, max);
  double others = -1;
  for (int64_t begin = 0; begin < columns; begin += part) {
    auto sum = hn::Zero(d);
    ForRow(x + begin, std::min(part, columns - begin), -kInfinity,
           [&](int64_t, int64_t, auto v) HWY_ATTR {
             const auto is_max = hn::Eq(v, shift);
             others += static_cast<double>(hn::CountTrue(d, is_max));
             sum = hn::Add(sum, hn::IfThenZeroElse(
                                    is_max, SafeExp(d, hn::Sub(v, shift))));
           });
    others += hn::GetLane(hn::SumOfLanes(d, sum));
  }
  return {max, std::log1p(static_cast<float>(others))};
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

// The sums of exp(x - shift), to 8 roundings for any length; if y is given,
// stores exp(x - shift) there.
template <class V>
HWY_INLINE DoubleSums ColumnExpSum(const float* x, int64_t length,
                                   int64_t stride, int64_t columns, V shift,
                                   float* y) {
  const Floats d;
  DoubleSums sums = NoSums();
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

void LogSoftmaxColumns(const float* x, int64_t length, int64_t stride,
                       int64_t count, float* y) {
  const Floats d;
  ForColumns(count, [&](int64_t c, int64_t n) HWY_ATTR {
    const auto max = ColumnMax(x + c, length, stride, n);
    // As of a row: all but the largest, which may be there more than once.
    DoubleSums others = NoSums(), ties = NoSums();
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

// ---- Extremes of rows and columns ----

// The largest elements so far, lane by lane, or the smallest, and where there
// was a NaN. (Which operand Max returns beside a NaN depends on the target.)
template <bool largest>
struct Extremes {
  hn::Vec<Floats> best;
  hn::Mask<Floats> nan;

  template <class V>
  HWY_INLINE void Add(V v) {
    best = largest ? hn::Max(v, best) : hn::Min(v, best);
    nan = hn::Or(nan, hn::IsNaN(v));
  }
  HWY_INLINE void Add(const Extremes& other) {
    best = largest ? hn::Max(other.best, best) : hn::Min(other.best, best);
    nan = hn::Or(nan, other.nan);
  }
  HWY_INLINE auto Lanes() const {
    return hn::IfThenElse(nan, hn::NaN(Floats()), best);
  }
};

template <bool largest>
constexpr float kNoExtreme = largest ? -kInfinity : kInfinity;

template <bool largest>
HWY_INLINE Extremes<largest> NoExtremes() {
  const Floats d;
  return {hn::Set(d, kNoExtreme<largest>), hn::IsNaN(hn::Zero(d))};
}

template <bool largest>
HWY_INLINE float RowExtreme(const float* x, int64_t columns) {
  const Floats d;
  const int64_t lanes = hn::Lanes(d);
  // Two, so that they need not wait for each other.
  auto even = NoExtremes<largest>(), odd = even;
  int64_t c = 0;
  for (; c + 2 * lanes <= columns; c += 2 * lanes) {
    even.Add(hn::LoadU(d, x + c));
    odd.Add(hn::LoadU(d, x + c + lanes));
  }
  ForRow(x + c, columns - c, kNoExtreme<largest>,
         [&](int64_t, int64_t, auto v) HWY_ATTR { even.Add(v); });
  even.Add(odd);
  if (!hn::AllFalse(d, even.nan)) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  return hn::GetLane(largest ? hn::MaxOfLanes(d, even.best)
                             : hn::MinOfLanes(d, even.best));
}

template <bool largest>
HWY_INLINE void ColumnExtremes(const float* x, int64_t length, int64_t stride,
                               int64_t count, float* y) {
  ForColumns(count, [&](int64_t c, int64_t n) HWY_ATTR {
    auto even = NoExtremes<largest>(), odd = even;
    int64_t i = 0;
    for (; i + 2 <= length; i += 2) {
      even.Add(LoadUpTo(x + c + i * stride, n));
      odd.Add(LoadUpTo(x + c + (i + 1) * stride, n));
    }
    if (i < length) even.Add(LoadUpTo(x + c + i * stride, n));
    even.Add(odd);
    StoreSome(even.Lanes(), n, y + c);
  });
}

void MaxRows(const float* x, int64_t rows, int64_t columns, float* y) {
  for (int64_t r = 0; r < rows; ++r) {
    y[r] = RowExtreme<true>(x + r * columns, columns);
  }
}
void MinRows(const float* x, int64_t rows, int64_t columns, float* y) {
  for (int64_t r = 0; r < rows; ++r) {
    y[r] = RowExtreme<false>(x + r * columns, columns);
  }
}
void MaxColumns(const float* x, int64_t length, int64_t stride, int64_t count,
                float* y) {
  ColumnExtremes<true>(x, length, stride, count, y);
}
void MinColumns(const float* x, int64_t length, int64_t stride, int64_t count,
                float* y) {
  ColumnExtremes<false>(x, length, stride, count, y);
}

// ---- Cross entropy ----

void CrossEntropyRows(const float* x, const int32_t* label, int64_t rows,
                      int64_t columns, const int32_t* ignored, float* loss) {
  for (int64_t r = 0; r < rows; ++r, x += columns) {
    if (ignored != nullptr && label[r] == *ignored) {
      loss[r] = 0;
    } else if (label[r] < 0 || label[r] >= columns) {
      loss[r] = std::numeric_limits<float>::quiet_NaN();
    } else {
      const LogSumExp row = RowLogSumExp(x, columns);
      loss[r] = row.log_sum + (row.max - x[label[r]]);
    }
  }
}

void CrossEntropySlopeRows(const float* x, const int32_t* label, int64_t rows,
                           int64_t columns, const int32_t* ignored, float* y) {
  const Floats d;
  for (int64_t r = 0; r < rows; ++r, x += columns, y += columns) {
    if (ignored != nullptr && label[r] == *ignored) {
      std::fill_n(y, columns, 0.0f);
      continue;
    }
    if (label[r] < 0 || label[r] >= columns) {
      std::fill_n(y, columns, std::numeric_limits<float>::quiet_NaN());
      continue;
    }
    const double sum = RowExpSum(x, columns, RowMax(x, columns), y);
    float& at_label = y[label[r]];
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
}

void ProbabilityCrossEntropyRows(const float* x, const float* p, int64_t rows,
                                 int64_t columns, float* loss) {
  for (int64_t r = 0; r < rows; ++r, x += columns, p += columns) {
    const LogSumExp row = RowLogSumExp(x, columns);
    double sum = 0;
    for (int64_t c = 0; c < columns; ++c) {
      // 0 ln 0 = 0; in double, x - max does not overflow.
      if (p[c] == 0) continue;
      sum += p[c] * (row.log_sum + (static_cast<double>(row.max) - x[c]));
    }
    loss[r] = static_cast<float>(sum);
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
HWY_EXPORT(MaxRows);
HWY_EXPORT(MinRows);
HWY_EXPORT(MaxColumns);
HWY_EXPORT(MinColumns);
HWY_EXPORT(CrossEntropyRows);
HWY_EXPORT(CrossEntropySlopeRows);
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
void MaxRows(const float* x, int64_t rows, int64_t columns, float* y) {
  HWY_DYNAMIC_DISPATCH(MaxRows)(x, rows, columns, y);
}
void MinRows(const float* x, int64_t rows, int64_t columns, float* y) {
  HWY_DYNAMIC_DISPATCH(MinRows)(x, rows, columns, y);
}
void MaxColumns(const float* x, int64_t length, int64_t stride, int64_t count,
                float* y) {
  HWY_DYNAMIC_DISPATCH(MaxColumns)(x, length, stride, count, y);
}
void MinColumns(const float* x, int64_t length, int64_t stride, int64_t count,
                float* y) {
  HWY_DYNAMIC_DISPATCH(MinColumns)(x, length, stride, count, y);
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
