// Memory for machine code (executable_memory.h). Tested by
// tests/runtime/lane_code_test.cc.
#include "framework/core/executable_memory.h"

#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <utility>

namespace tape {

namespace {

// A process has some 65,000 mappings; others need theirs.
constexpr int kMostMappings = 10'000;
std::atomic<int> mappings = 0;

}  // namespace

bool ExecutableMemory::HasMost() {
  return mappings.load(std::memory_order_relaxed) >= kMostMappings;
}

std::optional<ExecutableMemory> ExecutableMemory::Make(
    absl::Span<const uint8_t> code) {
  void* const data = mmap(nullptr, code.size(), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) return std::nullopt;
  ExecutableMemory memory(data, code.size());
  mappings.fetch_add(1, std::memory_order_relaxed);
  std::memcpy(data, code.data(), code.size());
  if (mprotect(data, code.size(), PROT_READ | PROT_EXEC) != 0) {
    return std::nullopt;
  }
  return memory;
}

ExecutableMemory::ExecutableMemory(ExecutableMemory&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(other.bytes_) {}

ExecutableMemory& ExecutableMemory::operator=(
    ExecutableMemory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

ExecutableMemory::~ExecutableMemory() {
  if (data_ == nullptr) return;
  munmap(data_, bytes_);
  mappings.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace tape
