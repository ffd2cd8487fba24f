// The vector code behind AddN and SumTo (basic_ops.h).
#ifndef TAPE_FRAMEWORK_CORE_SUM_KERNELS_H_
#define TAPE_FRAMEWORK_CORE_SUM_KERNELS_H_

#include <cstdint>
#include <memory>

#include "absl/types/span.h"
#include "framework/core/kernel.h"

namespace tape {

// Sums over the middle axis: [outer, reduced, inner] -> [outer, inner].
struct SumStage {
  int64_t outer;
  int64_t reduced;
  int64_t inner;
};

// The block of AddN: out[i] = x[0][i] + x[1][i] + ….
void AddFloats(const BlockArguments& block);

// The kernel of SumTo.
std::unique_ptr<Kernel> MakeSumToKernel(const KernelSpec& spec);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_SUM_KERNELS_H_
