// The vector code of the ops: one block (framework/core/kernel.h) for each
// elementwise op and dtype, and the kernels of rows and columns. Compiled once for
// each instruction set; Highway picks the best one at run time.
#ifndef TAPE_OPS_VECTOR_H_
#define TAPE_OPS_VECTOR_H_

#include <cstdint>

#include "framework/core/kernel.h"
#include "framework/core/op.h"

namespace tape::vector {

// Each name is declared, compiled for every instruction set and exported from
// this one list, which also says which of them have a LaneOp.
#define TAPE_VECTOR_BLOCKS(X)                   \
  X(AddFloat, kAdd)                             \
  X(AddInt, kAdd)                               \
  X(SubFloat, kSub)                             \
  X(SubInt, kSub)                               \
  X(MulFloat, kMul)                             \
  X(MulInt, kMul)                               \
  X(DivFloat, kDiv)                             \
  X(NegFloat, kNeg)                             \
  X(NegInt, kNeg)                               \
  X(SquareFloat, kSquare)                       \
  X(SqrtFloat, kSqrt)                           \
  X(ExpFloat, kNone)                            \
  X(Expm1Float, kNone)                          \
  X(LogFloat, kNone)                            \
  X(SignFloat, kSign)                           \
  X(AbsFloat, kAbs)                             \
  X(FloorFloat, kFloor)                         \
  X(SinFloat, kNone)                            \
  X(CosFloat, kNone)                            \
  X(MaximumFloat, kMaximum)                     \
  X(MinimumFloat, kMinimum)                     \
  X(GreaterFloat, kGreater)                     \
  X(GreaterInt, kGreater)                       \
  X(GreaterByte, kGreater)                      \
  X(IsFiniteFloat, kIsFinite)                   \
  X(SelectWord, kSelect)                        \
  X(ReluFloat, kRelu)                           \
  X(LeakyReluFloat, kLeakyRelu)                 \
  X(LeakyReluGradientFloat, kLeakyReluGradient) \
  X(SigmoidFloat, kNone)                        \
  X(SigmoidSlopeFloat, kNone)                   \
  X(TanhFloat, kNone)                           \
  X(TanhSlopeFloat, kNone)                      \
  X(GaussianFloat, kNone)                       \
  X(GeluFloat, kNone)                           \
  X(GeluSlopeFloat, kNone)                      \
  X(GeluTanhFloat, kNone)                       \
  X(GeluTanhSlopeFloat, kNone)                  \
  X(SiluFloat, kNone)                           \
  X(SiluSlopeFloat, kNone)                      \
  X(GeluWithSlopeFloat, kNone)                  \
  X(GeluTanhWithSlopeFloat, kNone)              \
  X(SiluWithSlopeFloat, kNone)                  \
  X(SoftsignFloat, kNone)                       \
  X(EqualFloat, kEqual)                         \
  X(EqualInt, kEqual)                           \
  X(EqualByte, kEqual)                          \
  X(Log1pFloat, kNone)                          \
  X(ErfFloat, kNone)                            \
  X(CeilFloat, kCeil)                           \
  X(RoundFloat, kRound)                         \
  X(ReciprocalFloat, kReciprocal)               \
  X(RsqrtFloat, kRsqrt)                         \
  X(PowFloat, kNone)                            \
  X(SoftplusFloat, kNone)                       \
  X(SigmoidCrossEntropyFloat, kNone)            \
  X(SigmoidErrorFloat, kNone)                   \
  X(NotEqualFloat, kNotEqual)                   \
  X(NotEqualInt, kNotEqual)                     \
  X(NotEqualByte, kNotEqual)                    \
  X(GreaterEqualFloat, kGreaterEqual)           \
  X(GreaterEqualInt, kGreaterEqual)             \
  X(GreaterEqualByte, kGreaterEqual)            \
  X(LessFloat, kLess)                           \
  X(LessInt, kLess)                             \
  X(LessByte, kLess)                            \
  X(LessEqualFloat, kLessEqual)                 \
  X(LessEqualInt, kLessEqual)                   \
  X(LessEqualByte, kLessEqual)                  \
  X(IsNanFloat, kIsNan)                         \
  X(AndByte, kAnd)                              \
  X(OrByte, kOr)                                \
  X(XorByte, kXor)                              \
  X(NotByte, kNot)                              \
  X(ByteToFloat, kCast)                         \
  X(ByteToInt, kCast)                           \
  X(IntToFloat, kCast)                          \
  X(FloatToBFloat16, kCast)                     \
  X(BFloat16ToFloat, kCast)

namespace blocks {
#define TAPE_DECLARE_BLOCK(name, lane) void name(const BlockArguments& block);
TAPE_VECTOR_BLOCKS(TAPE_DECLARE_BLOCK)
#undef TAPE_DECLARE_BLOCK
}  // namespace blocks
#define TAPE_DEFINE_BLOCK(name, lane) \
  inline constexpr Block name = {blocks::name, LaneOp::lane};
TAPE_VECTOR_BLOCKS(TAPE_DEFINE_BLOCK)
#undef TAPE_DEFINE_BLOCK

// For `rows` rows of `columns` logits x each. Sums of exponentials are off by at
// most 12 roundings to float32, however many they are, and the exponentials by 2
// units in the last place:
// y = exp(x) / sum of exp(x), per row.
void SoftmaxRows(const float* x, int64_t rows, int64_t columns, float* y);
// y = x - log(sum of exp(x)), per row.
void LogSoftmaxRows(const float* x, int64_t rows, int64_t columns, float* y);
// y[r] = log(sum of exp(x)): -infinity where all x are.
void LogSumExpRows(const float* x, int64_t rows, int64_t columns, float* y);
// The same for `count` columns that lie side by side in a matrix whose rows,
// `length` of them, are `stride` apart.
void SoftmaxColumns(const float* x, int64_t length, int64_t stride,
                    int64_t count, float* y);
void LogSoftmaxColumns(const float* x, int64_t length, int64_t stride,
                       int64_t count, float* y);
void LogSumExpColumns(const float* x, int64_t length, int64_t stride,
                      int64_t count, float* y);
// The derivatives of Softmax and LogSoftmax, times g: out = y (g - sum of g y)
// with y = Softmax(x), and out = g - Softmax(x) sum of g; sums in double,
// rounded once.
void SoftmaxSlopeRows(const float* y, const float* g, int64_t rows,
                      int64_t columns, float* out);
void SoftmaxSlopeColumns(const float* y, const float* g, int64_t length,
                         int64_t stride, int64_t count, float* out);
void LogSoftmaxSlopeRows(const float* x, const float* g, int64_t rows,
                         int64_t columns, float* out);
void LogSoftmaxSlopeColumns(const float* x, const float* g, int64_t length,
                            int64_t stride, int64_t count, float* out);
// y[i, j] = x[j, i] for rows of y that are y_stride apart, `rows` of them of
// `columns` words each, and rows of x that are x_stride apart.
void TransposeWords(const uint32_t* x, int64_t x_stride, int64_t rows,
                    int64_t columns, uint32_t* y, int64_t y_stride);
// y[i, j] = scale x[i, j], `rows` of `columns` each, and rows of x and of y apart by
// their strides.
void ScaleBytes(const uint8_t* x, int64_t x_stride, int64_t rows,
                int64_t columns, float scale, float* y, int64_t y_stride);
// y[i] += x[i].
void AddTo(const float* x, int64_t count, float* y);
// y = x - the mean of its row, in double, rounded once.
void CenterRows(const float* x, int64_t rows, int64_t columns, float* y);
// y = (x - mean) / sqrt(variance + epsilon) of its row, in double: rounded once,
// and off by some 2^-40 of the row's largest besides. Then it is multiplied by
// `scale` and added to `shift`, of a row's length, unless both are null.
void NormaliseRows(const float* x, const float* scale, const float* shift,
                   int64_t rows, int64_t columns, double epsilon, float* y);
// The derivative of that by x, times g: with n = NormaliseRows(x) and s = g
// scale, y = (s - mean s - n mean(s n)) / sqrt(variance + epsilon), in the same
// way.
void NormaliseRowsSlope(const float* x, const float* g, const float* scale,
                        int64_t rows, int64_t columns, double epsilon,
                        float* y);
// y[r] = 1 / sqrt(variance + epsilon) of a row.
void RowScales(const float* x, int64_t rows, int64_t columns, double epsilon,
               float* y);
// y[r] = the largest element of a row, or the smallest; NaN if there is one; of
// no elements -infinity, or infinity.
void MaxRows(const float* x, int64_t rows, int64_t columns, float* y);
void MinRows(const float* x, int64_t rows, int64_t columns, float* y);
// The same for columns, which lie as those of SoftmaxColumns.
void MaxColumns(const float* x, int64_t length, int64_t stride, int64_t count,
                float* y);
void MinColumns(const float* x, int64_t length, int64_t stride, int64_t count,
                float* y);
// y[r] = the place of that element: the first of equals, or of NaNs. Rows, or
// columns, have at least one.
void ArgMaxRows(const float* x, int64_t rows, int64_t columns, int32_t* y);
void ArgMinRows(const float* x, int64_t rows, int64_t columns, int32_t* y);
void ArgMaxColumns(const float* x, int64_t length, int64_t stride,
                   int64_t count, int32_t* y);
void ArgMinColumns(const float* x, int64_t length, int64_t stride,
                   int64_t count, int32_t* y);
// loss[r] = log(sum of exp(x)) - x[label[r]]; 0 for the label *ignored, if that
// is given; else NaN for a label outside 0 … columns - 1.
void CrossEntropyRows(const float* x, const int32_t* label, int64_t rows,
                      int64_t columns, const int32_t* ignored, float* loss);
// Its derivative by x: exp(x) / sum of exp(x), less 1 at the label; rows of 0
// and of NaN likewise.
void CrossEntropySlopeRows(const float* x, const int32_t* label, int64_t rows,
                           int64_t columns, const int32_t* ignored, float* y);
// Both of the above.
void CrossEntropyWithSlopeRows(const float* x, const int32_t* label,
                               int64_t rows, int64_t columns,
                               const int32_t* ignored, float* loss,
                               float* slope);
// loss[r] = sum of p * (log(sum of exp(x)) - x), a p of 0 giving 0.
void ProbabilityCrossEntropyRows(const float* x, const float* p, int64_t rows,
                                 int64_t columns, float* loss);
// Its derivative by x: exp(x) / sum of exp(x) * sum of p - p.
void ProbabilityCrossEntropySlopeRows(const float* x, const float* p,
                                      int64_t rows, int64_t columns, float* y);

// sums[i] += x[i], of `count` numbers.
void AddToSums(const float* x, int64_t count, double* sums);
// y[i] = sums[i], rounded.
void RoundSums(const double* sums, int64_t count, float* y);
// y[i] += x[i].
void AddFloats(const float* x, int64_t count, float* y);
// Whether each |x[i]| is below the limit, which no NaN is.
bool AreBelow(const float* x, int64_t count, float limit);
// y[i] = x[0] + … + x[i] of each column, in double, rounded once; the columns lie
// as those of SoftmaxColumns, from the last row to the first if `stride` is
// negative.
void RunningSums(const float* x, int64_t length, int64_t stride, int64_t count,
                 float* y);
// The same of rows that are `row_step` apart, whose numbers are `step` apart.
void RunningSumsOfRows(const float* x, int64_t rows, int64_t row_step,
                       int64_t length, int64_t step, float* y);
// y[r] = the product of a row, in double from the first number on, rounded once.
void ProductsOfRows(const float* x, int64_t rows, int64_t columns, float* y);

}  // namespace tape::vector

#endif  // TAPE_OPS_VECTOR_H_
