// What a reduction is cut into, for its vector code (sum_kernels.cc).
#ifndef TAPE_FRAMEWORK_CORE_SUM_STAGE_H_
#define TAPE_FRAMEWORK_CORE_SUM_STAGE_H_

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "framework/core/sum_kernels.h"

namespace tape {

// Reduces the middle axis: [outer, reduced, inner] -> [outer, inner].
struct ReductionStage {
  int64_t outer;
  int64_t reduced;
  int64_t inner;
};

// The part of a stage that one chunk does, and where its numbers are. The sums
// go to `sums` if it is given, else what `form` makes of them to `out`.
struct StagePart {
  SumForm form;
  ReductionStage stage;
  int64_t outer_begin, outer_end;
  int64_t inner_begin, inner_end;
  const float* in;
  double* sums;
  float* out;
  const float* divisor;
  bool one_divisor;  // For all sums, not one for each.
};

// What `form` makes of a sum, before the rounding to float32.
inline double Finished(SumForm form, double sum, double divisor) {
  switch (form) {
    case SumForm::kSum:
      return sum;
    case SumForm::kMean:
    case SumForm::kMeanParts:
    case SumForm::kMeanSquare:
      return sum / divisor;
    case SumForm::kNorm:
      // Most units are 1, and a division takes as long as the root.
      return divisor == 1 ? std::sqrt(sum) : std::sqrt(sum) / divisor;
    case SumForm::kScale:
      break;
  }
  // frexp of infinity may give any exponent.
  if (std::isinf(sum)) return 0x1p126;
  int exponent = 0;
  std::frexp(sum, &exponent);
  return sum == 0 ? 0x1p-126
                  : std::ldexp(1, std::clamp(exponent - 1, -126, 126));
}

// Writes that for sum number `index`.
inline void WriteFinished(SumForm form, const StagePart& part, int64_t index,
                          double sum) {
  const double divisor =
      part.divisor == nullptr ? 1 : part.divisor[part.one_divisor ? 0 : index];
  const double result = Finished(form, sum, divisor);
  const float rounded = static_cast<float>(result);
  if (form == SumForm::kMeanParts) {
    part.out[2 * index] = rounded;
    part.out[2 * index + 1] = static_cast<float>(result - rounded);
  } else {
    part.out[index] = rounded;
  }
}

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_SUM_STAGE_H_
