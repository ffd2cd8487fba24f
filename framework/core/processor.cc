// The processor (processor.h). Tested by tests/runtime/lane_code_test.cc and
// tests/ops/tile_product_test.cc.
#include "framework/core/processor.h"

#include <cstdint>

#include "hwy/highway.h"

namespace tape {

VectorInstructions BestVectorInstructions() {
  static const VectorInstructions best = [] {  // Highway takes a while.
    const int64_t targets = hwy::SupportedTargets();
    if ((targets & HWY_AVX3) != 0) return VectorInstructions::kAvx512;
    if ((targets & HWY_AVX2) != 0) return VectorInstructions::kAvx2;
    return VectorInstructions::kNone;
  }();
  return best;
}

}  // namespace tape
