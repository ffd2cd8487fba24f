// AllocationCount and FailingAllocation (allocation_testing.h).
#include "tests/allocation_testing.h"

#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

// The allocations that may still be made; kAny of them at other times.
constexpr int64_t kAny = -1;
std::atomic<int64_t> left = kAny;

std::atomic<int64_t> made = 0;

}  // namespace

// Not inlined, since GCC would take a free() of what came from operator new for
// a mistake.
__attribute__((noinline)) void* operator new(size_t bytes) {
  ++made;
  if (left != kAny && left-- == 0) {
    left = kAny;
    throw std::bad_alloc();
  }
  if (void* memory = std::malloc(bytes)) return memory;
  throw std::bad_alloc();
}
__attribute__((noinline)) void* operator new(size_t bytes,
                                             const std::nothrow_t&) noexcept {
  try {
    return operator new(bytes);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}
__attribute__((noinline)) void operator delete(void* memory) noexcept {
  std::free(memory);
}
__attribute__((noinline)) void operator delete(void* memory, size_t) noexcept {
  std::free(memory);
}

// oneDNN leaks what it has made of a primitive when an allocation of it fails.
// The name is that of the leak sanitizer's interface.
extern "C" const char* __lsan_default_suppressions() { return "leak:libdnnl"; }

namespace tape {

int64_t AllocationCount() { return made; }

FailingAllocation::FailingAllocation(int64_t number) { left = number; }
FailingAllocation::~FailingAllocation() { left = kAny; }
bool FailingAllocation::has_failed() const { return left == kAny; }

}  // namespace tape
