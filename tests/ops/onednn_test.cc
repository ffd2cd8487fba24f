// Kernels of oneDNN (ops/onednn.h) where memory is short: whichever allocation
// fails, the same product can be made afterwards.
#include "ops/onednn.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <exception>
#include <memory>

#include "framework/core/kernel.h"
#include "tests/allocation_testing.h"

namespace tape::onednn {
namespace {

TEST(OneDnnTest, AProductCanBeMadeAfterAnyAllocationHasFailed) {
  // What is made once for the process.
  MakeMatMulKernel({5, 3, 7, false, false}, {}, Cut::kNone);
  int failed = 0;
  for (int64_t allocation = 0;; ++allocation) {
    // Each of its own, which no cache has; large enough for a primitive.
    const MatMulShape shape = {8 + allocation, 64, 512, false, false};
    bool has_failed;
    {
      const FailingAllocation failing(allocation);
      try {
        MakeMatMulKernel(shape, {}, Cut::kNone);
      } catch (const std::exception&) {
        ++failed;
      }
      has_failed = failing.has_failed();
    }
    try {
      EXPECT_NE(MakeMatMulKernel(shape, {}, Cut::kNone), nullptr);
    } catch (const std::exception& error) {
      ADD_FAILURE() << "after allocation " << allocation << ": "
                    << error.what();
    }
    if (!has_failed) break;  // There are no more of them.
  }
  EXPECT_GT(failed, 10);
}

}  // namespace
}  // namespace tape::onednn
