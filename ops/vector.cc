// The vector code of the ops (vector.h): from blocks of numbers to blocks of
// numbers, by Highway. Infinities and NaN go through as IEEE 754 and NumPy have
// them. Tested by tests/ops/op_test.cc through the sample table.
#include "ops/vector.h"

#include <algorithm>
#include <array>
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
#include "ops/vector_power-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace tape::vector::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using Ints = hn::ScalableTag<int32_t>;

// ---- Loops over a block ----

// Runs f(d, operands, outputs), each an array of pointers, on whole vectors. The
// rest at the end goes through a padded copy on the stack, because a block may end
// where another thread's begins, so nothing beyond it may be touched. There is one
// call of f, so that it becomes part of the loop however long it is.
template <typename In, typename Out, size_t operands, size_t outputs, class D,
          class F>
HWY_INLINE void Map(const BlockArguments& block, D d, F f) {
  HWY_ALIGN In operand_rests[operands][hn::MaxLanes(d)];
  HWY_ALIGN Out output_rests[outputs][hn::MaxLanes(d)];
  std::array<const In*, operands> x;
  std::array<Out*, outputs> y;
  for (size_t k = 0; k < operands; ++k) {
    x[k] = static_cast<const In*>(block.inputs[k]);
  }
  y[0] = static_cast<Out*>(block.output);
  if constexpr (outputs > 1) y[1] = static_cast<Out*>(block.along);
  const std::array<Out*, outputs> all = y;
  const size_t lanes = hn::Lanes(d);
  const size_t rest = block.count % lanes, whole = block.count - rest;
  bool is_rest = false;
  for (size_t count = whole;; count = lanes) {
    for (size_t i = 0; i < count; i += lanes) {
      f(d, x, y);
      for (const In*& from : x) from += lanes;
      for (Out*& to : y) to += lanes;
    }
    if (rest == 0) return;
    if (is_rest) break;
    is_rest = true;
    for (size_t k = 0; k < operands; ++k) {
      std::memset(operand_rests[k], 0, sizeof(operand_rests[k]));
      std::memcpy(operand_rests[k], x[k], rest * sizeof(In));
      x[k] = operand_rests[k];
    }
    for (size_t k = 0; k < outputs; ++k) y[k] = output_rests[k];
  }
  for (size_t k = 0; k < outputs; ++k) {
    std::memcpy(all[k] + whole, output_rests[k], rest * sizeof(Out));
  }
}

template <typename In, typename Out, class D, class F>
HWY_INLINE void MapUnary(const BlockArguments& block, D d, F f) {
  Map<In, Out, 1, 1>(block, d,
                     [&](auto tag, const auto& x, const auto& y)
                         HWY_ATTR { f(tag, x[0], y[0]); });
}

template <typename In, typename Out, class D, class F>
HWY_INLINE void MapBinary(const BlockArguments& block, D d, F f) {
  Map<In, Out, 2, 1>(block, d,
                     [&](auto tag, const auto& x, const auto& y)
                         HWY_ATTR { f(tag, x[0], x[1], y[0]); });
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

// A block of two formulas, which are taken together: what both hold is taken once.
#define TAPE_JOINT(name, expression, along_expression)                    \
  void name(const BlockArguments& block) {                                \
    const auto f = [](auto d, const auto& in, const auto& out) HWY_ATTR { \
      const auto x = hn::LoadU(d, in[0]);                                 \
      const auto y = expression;                                          \
      hn::StoreU(along_expression, d, out[1]);                            \
      hn::StoreU(y, d, out[0]);                                           \
    };                                                                    \
    Map<float, float, 1, 2>(block, Floats(), f);                          \
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
TAPE_BINARY(PowFloat, float, VectorPow(a, b))
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

// The choice of a piece, or an exponential, serves both.
TAPE_JOINT(GeluWithSlopeFloat, VectorGelu(d, x), VectorGeluSlope(d, x))
TAPE_JOINT(GeluTanhWithSlopeFloat, VectorGeluTanh(d, x),
           VectorGeluTanhSlope(d, x))
TAPE_JOINT(SiluWithSlopeFloat, VectorSilu(d, x), VectorSiluSlope(d, x))

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

void ScaleBytes(const uint8_t* x, int64_t x_stride, int64_t rows,
                int64_t columns, float scale, float* y, int64_t y_stride) {
  const Floats d;
  const hn::Rebind<uint8_t, Floats> d8;
  const hn::Rebind<int32_t, Floats> d32;
  const auto factor = hn::Set(d, scale);
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  for (int64_t i = 0; i < rows; ++i) {
    const uint8_t* from = x + i * x_stride;
    float* to = y + i * y_stride;
    int64_t j = 0;
    for (; j + lanes <= columns; j += lanes) {
      const auto wide = hn::PromoteTo(d32, hn::LoadU(d8, from + j));
      hn::StoreU(hn::Mul(hn::ConvertTo(d, wide), factor), d, to + j);
    }
    for (; j < columns; ++j) to[j] = static_cast<float>(from[j]) * scale;
  }
}

void AddTo(const float* x, int64_t count, float* y) {
  const Floats d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    hn::StoreU(hn::Add(hn::LoadU(d, y + i), hn::LoadU(d, x + i)), d, y + i);
  }
  for (; i < count; ++i) y[i] += x[i];
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

}  // namespace tape::vector::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tape::vector {
HWY_EXPORT(ScaleBytes);
HWY_EXPORT(AddTo);

void AddTo(const float* x, int64_t count, float* y) {
  HWY_DYNAMIC_DISPATCH(AddTo)(x, count, y);
}

void ScaleBytes(const uint8_t* x, int64_t x_stride, int64_t rows,
                int64_t columns, float scale, float* y, int64_t y_stride) {
  HWY_DYNAMIC_DISPATCH(ScaleBytes)
  (x, x_stride, rows, columns, scale, y, y_stride);
}
}  // namespace tape::vector
namespace tape::vector::blocks {

#define TAPE_EXPORT_BLOCK(name, lane) \
  HWY_EXPORT(name);                   \
  void name(const BlockArguments& block) { HWY_DYNAMIC_DISPATCH(name)(block); }
TAPE_VECTOR_BLOCKS(TAPE_EXPORT_BLOCK)
}  // namespace tape::vector::blocks
#endif  // HWY_ONCE
