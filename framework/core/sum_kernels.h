// The vector code behind AddN, SumTo and the reductions of ops/reduce.cc that
// are functions of one sum (basic_ops.h).
//
// Sums of float32 x are taken in trees of up to eight terms in float32, which
// round at most three times; the trees' results are added in double, and the
// total is rounded once. So for any number of terms below 2^28 a sum is off by
// at most 3.01 * 2^-24 * sum |x| and half a unit in its last place, a sum of
// equal terms by the latter alone. Where a tree overflows, its sums are taken
// anew in double throughout, so that nothing overflows where the result is
// finite. Sums of squares are in double throughout: the square of a float32 is
// a double without rounding, overflow or underflow, which makes the scaling of
// BLAS's nrm2 unnecessary. One sum over more than kPieceElements numbers is the
// sum of those over its pieces.
#ifndef TAPE_FRAMEWORK_CORE_SUM_KERNELS_H_
#define TAPE_FRAMEWORK_CORE_SUM_KERNELS_H_

#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "framework/core/kernel.h"

namespace tape {

// Functions of a sum over axes. The divisor is the second input, of rank 0 for
// means, else of the output's shape or of rank 0.
enum class SumForm {
  kSum,         // sum x
  kMean,        // sum x / divisor
  kMeanParts,   // The same as the sum of two float32 along a new last axis: the
                // rounded mean, and the rounded rest.
  kMeanSquare,  // sum x^2 / divisor
  kNorm,        // sqrt(sum x^2) / divisor
  kNormParts,   // sqrt(sum x^2) as a product of two along a new last axis: the
                // largest power of two that is not above it, but at least
                // 2^-126 and at most 2^126, and the quotient.
  kScale,       // The largest power of two that is not above max |x|, but at
                // least 2^-126 and at most 2^126; NaN is passed over.
};
inline constexpr int kSumForms = 7;

// The block of AddN: out[i] = x[0][i] + x[1][i] + ….
void AddFloats(const BlockArguments& block);

// The sums that `form` is made of, before anything is divided or rooted, of
// each piece of x (kPieceElements).
void SumPieces(SumForm form, const float* x, int64_t count, double* sums);
// The total of a piece's sums of squares, of each lane of a vector of float32;
// these are of all its vectors in order, so machine code can make them too.
double TotalOfLanes(const double* lanes);
// Writes the value of `form` to `out`, from the sums of all pieces. `divisor` is
// null if the form has none.
void WriteTotal(SumForm form, const double* sums, int64_t pieces,
                const float* divisor, float* out);

// The kernel of a reduction of the first input to the output's shape (of
// parts: to that without its last axis), which broadcasts to the input's.
template <SumForm form>
std::unique_ptr<Kernel> MakeSumKernel(const KernelSpec& spec);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_SUM_KERNELS_H_
