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
// this one list.
#define TAPE_VECTOR_BLOCKS(X) \
  X(AddFloat)                 \
  X(AddInt)                   \
  X(SubFloat)                 \
  X(SubInt)                   \
  X(MulFloat)                 \
  X(MulInt)                   \
  X(DivFloat)                 \
  X(NegFloat)                 \
  X(NegInt)                   \
  X(SquareFloat)              \
  X(SqrtFloat)                \
  X(ExpFloat)                 \
  X(Expm1Float)               \
  X(LogFloat)                 \
  X(SignFloat)                \
  X(AbsFloat)                 \
  X(FloorFloat)               \
  X(SinFloat)                 \
  X(CosFloat)                 \
  X(MaximumFloat)             \
  X(MinimumFloat)             \
  X(GreaterFloat)             \
  X(GreaterInt)               \
  X(GreaterByte)              \
  X(IsFiniteFloat)            \
  X(SelectWord)               \
  X(ReluFloat)                \
  X(LeakyReluFloat)           \
  X(LeakyReluGradientFloat)   \
  X(SigmoidFloat)             \
  X(SigmoidSlopeFloat)        \
  X(TanhFloat)                \
  X(TanhSlopeFloat)           \
  X(GaussianFloat)            \
  X(GeluFloat)                \
  X(GeluSlopeFloat)           \
  X(GeluTanhFloat)            \
  X(GeluTanhSlopeFloat)       \
  X(SiluFloat)                \
  X(SiluSlopeFloat)           \
  X(SoftsignFloat)            \
  X(EqualFloat)               \
  X(EqualInt)                 \
  X(EqualByte)                \
  X(Log1pFloat)               \
  X(ErfFloat)                 \
  X(CeilFloat)                \
  X(RoundFloat)               \
  X(ReciprocalFloat)          \
  X(RsqrtFloat)               \
  X(PowFloat)                 \
  X(SoftplusFloat)            \
  X(SigmoidCrossEntropyFloat) \
  X(SigmoidErrorFloat)        \
  X(NotEqualFloat)            \
  X(NotEqualInt)              \
  X(NotEqualByte)             \
  X(GreaterEqualFloat)        \
  X(GreaterEqualInt)          \
  X(GreaterEqualByte)         \
  X(LessFloat)                \
  X(LessInt)                  \
  X(LessByte)                 \
  X(LessEqualFloat)           \
  X(LessEqualInt)             \
  X(LessEqualByte)            \
  X(IsNanFloat)               \
  X(AndByte)                  \
  X(OrByte)                   \
  X(XorByte)                  \
  X(NotByte)                  \
  X(ByteToFloat)              \
  X(ByteToInt)                \
  X(IntToFloat)               \
  X(FloatToBFloat16)          \
  X(BFloat16ToFloat)

#define TAPE_DECLARE_BLOCK(name) void name(const BlockArguments& block);
TAPE_VECTOR_BLOCKS(TAPE_DECLARE_BLOCK)
#undef TAPE_DECLARE_BLOCK

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
// y = x - the mean of its row, in double, rounded once.
void CenterRows(const float* x, int64_t rows, int64_t columns, float* y);
// y = (x - mean) / sqrt(variance + epsilon) of its row, in the same way.
void NormaliseRows(const float* x, int64_t rows, int64_t columns,
                   double epsilon, float* y);
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
// loss[r] = log(sum of exp(x)) - x[label[r]]; 0 for the label *ignored, if that
// is given; else NaN for a label outside 0 … columns - 1.
void CrossEntropyRows(const float* x, const int32_t* label, int64_t rows,
                      int64_t columns, const int32_t* ignored, float* loss);
// Its derivative by x: exp(x) / sum of exp(x), less 1 at the label; rows of 0
// and of NaN likewise.
void CrossEntropySlopeRows(const float* x, const int32_t* label, int64_t rows,
                           int64_t columns, const int32_t* ignored, float* y);
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

}  // namespace tape::vector

#endif  // TAPE_OPS_VECTOR_H_
