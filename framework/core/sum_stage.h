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

// The largest power of two that is not above x >= 0, but at least 2^-126 and at
// most 2^126, as of what is not finite.
inline double PowerOfTwoBelow(double x) {
  if (x == 0) return 0x1p-126;
  if (!std::isfinite(x)) return 0x1p126;  // frexp may give any exponent.
  int exponent = 0;
  std::frexp(x, &exponent);
  return std::ldexp(1, std::clamp(exponent - 1, -126, 126));
}

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
    case SumForm::kNormParts:
      return std::sqrt(sum);
    case SumForm::kScale:
      break;
  }
  return PowerOfTwoBelow(sum);
}

// Whether it is two numbers.
inline bool HasParts(SumForm form) {
  return form == SumForm::kMeanParts || form == SumForm::kNormParts;
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
  } else if (form == SumForm::kNormParts) {
    const double scale = PowerOfTwoBelow(result);
    part.out[2 * index] = static_cast<float>(scale);
    part.out[2 * index + 1] = static_cast<float>(result / scale);
  } else {
    part.out[index] = rounded;
  }
}

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_SUM_STAGE_H_
