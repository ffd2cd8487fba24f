// Kernels of oneDNN (ops/onednn.h) where memory is short: whichever allocation
// fails, the same product can be made afterwards.
#include "ops/onednn.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <new>

#include "framework/core/kernel.h"

// The allocations that this program may still make; negative: any number. Not
// inlined, since GCC would take a free() of what came from operator new for a
// mistake.
std::atomic<int64_t> allocations_left = -1;

__attribute__((noinline)) void* operator new(size_t bytes) {
  if (allocations_left >= 0 && allocations_left-- == 0) {
    allocations_left = -1;
    throw std::bad_alloc();
  }
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
__attribute__((noinline)) void operator delete(void* memory) noexcept {
  std::free(memory);
}
__attribute__((noinline)) void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}

namespace tape::onednn {
namespace {

TEST(OneDnnTest, AProductCanBeMadeAfterAnyAllocationHasFailed) {
  // What is made once for the process.
  MakeMatMulKernel({5, 3, 7, false, false}, {}, Cut::kNone);
  int failed = 0;
  for (int64_t allocation = 0;; ++allocation) {
    // Each of its own, which no cache has.
    const MatMulShape shape = {8 + allocation, 4, 16, false, false};
    bool is_made = true;
    allocations_left = allocation;
    try {
      MakeMatMulKernel(shape, {}, Cut::kNone);
    } catch (const std::exception&) {
      is_made = false;
    }
    const bool has_failed = allocations_left == -1;
    allocations_left = -1;
    failed += !is_made;
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
