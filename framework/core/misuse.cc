// Misuse (misuse.h). Tested by tests/core/misuse_test.cc.
#include "framework/core/misuse.h"

#include <atomic>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/text.h"

namespace tape::internal {

void ReportMisuse(Loc loc, absl::string_view message) {
  static std::atomic<int> written{0};
  const int before = written.fetch_add(1, std::memory_order_relaxed);
  if (before >= kMostMisuses) {
    written.store(kMostMisuses, std::memory_order_relaxed);  // No overflow.
    return;
  }
  const std::string line =
      Printable(absl::StrCat(loc.ToString(), ": ", message));
  std::fprintf(stderr, "%s\n", line.c_str());
  if (before + 1 == kMostMisuses) {
    std::fprintf(stderr, "(no more of these are written)\n");
  }
}

void* NoNumbers(size_t bytes) {
  struct Block {
    std::unique_ptr<std::max_align_t[]> memory;
    size_t bytes;
  };
  // Blocks that were handed out stay. Each is twice the last, so that all of
  // them together are no more than twice the largest.
  static thread_local std::vector<Block> blocks;
  if (blocks.empty() || blocks.back().bytes < bytes) {
    const size_t least = blocks.empty() ? 4096 : 2 * blocks.back().bytes;
    const size_t units =
        (bytes > least ? bytes : least) / sizeof(std::max_align_t) + 1;
    auto* const memory = new (std::nothrow) std::max_align_t[units];
    if (memory == nullptr) return nullptr;
    blocks.push_back({std::unique_ptr<std::max_align_t[]>(memory),
                      units * sizeof(std::max_align_t)});
  }
  void* const memory = blocks.back().memory.get();
  std::memset(memory, 0xFF, bytes);
  return memory;
}

}  // namespace tape::internal
