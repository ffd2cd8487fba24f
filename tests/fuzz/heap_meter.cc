// HeapMeter (fuzzing.h). Under a sanitizer, whose malloc it is, its hooks are
// asked to count; otherwise this program's malloc and its kin are replaced by
// ones that do. Tested by heap_meter_test.cc.
#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "framework/core/check.h"
#include "tests/fuzz/fuzzing.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define TAPE_MALLOC_IS_A_SANITIZERS
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define TAPE_MALLOC_IS_A_SANITIZERS
#endif

namespace {

thread_local bool measuring = false;
thread_local int64_t in_use = 0;
thread_local int64_t peak = 0;

void Add(int64_t bytes) {
  if (!measuring) return;
  in_use += bytes;
  peak = std::max(peak, in_use);
}

}  // namespace

#ifdef TAPE_MALLOC_IS_A_SANITIZERS

// Of clang's sanitizer/allocator_interface.h; GCC has them without a header.
extern "C" {
int __sanitizer_install_malloc_and_free_hooks(
    void (*on_malloc)(const volatile void*, size_t),
    void (*on_free)(const volatile void*));
size_t __sanitizer_get_allocated_size(const volatile void* memory);
}

namespace {

void OnMalloc(const volatile void*, size_t bytes) {
  Add(static_cast<int64_t>(bytes));
}
void OnFree(const volatile void* memory) {
  if (measuring && memory != nullptr) {
    Add(-static_cast<int64_t>(__sanitizer_get_allocated_size(memory)));
  }
}

const int hooks = __sanitizer_install_malloc_and_free_hooks(OnMalloc, OnFree);

}  // namespace

#else

#include <malloc.h>

namespace {

void* Counted(void* memory) {
  Add(static_cast<int64_t>(malloc_usable_size(memory)));
  return memory;
}

}  // namespace

extern "C" {

// The GNU C library's own, under names that nobody replaces.
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t count, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
void __libc_free(void* memory);

void* malloc(size_t bytes) noexcept { return Counted(__libc_malloc(bytes)); }
void* calloc(size_t count, size_t bytes) noexcept {
  return Counted(__libc_calloc(count, bytes));
}
void* realloc(void* memory, size_t bytes) noexcept {
  const auto old = static_cast<int64_t>(malloc_usable_size(memory));
  void* const moved = Counted(__libc_realloc(memory, bytes));
  if (moved != nullptr || bytes == 0) Add(-old);
  return moved;
}
void* memalign(size_t alignment, size_t bytes) noexcept {
  return Counted(__libc_memalign(alignment, bytes));
}
void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
  return Counted(__libc_memalign(alignment, bytes));
}
int posix_memalign(void** memory, size_t alignment, size_t bytes) noexcept {
  *memory = Counted(__libc_memalign(alignment, bytes));
  return *memory == nullptr ? ENOMEM : 0;
}
void free(void* memory) noexcept {
  Add(-static_cast<int64_t>(malloc_usable_size(memory)));
  __libc_free(memory);
}

}  // extern "C"

#endif

namespace tape {

HeapMeter::HeapMeter() {
  TAPE_CHECK(!measuring);
  in_use = peak = 0;
  measuring = true;
}

HeapMeter::~HeapMeter() { measuring = false; }

size_t HeapMeter::peak_bytes() const { return peak; }

}  // namespace tape
