// The threads of a plan (threads.h). Tested by tests/threads_test.cc.
#include "framework/compiler/threads.h"

#include <sched.h>

#include <algorithm>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "framework/core/check.h"

namespace tape {
namespace {

// How often to look before going to sleep: some 50 µs, longer than the pause
// between the steps of a training loop, short enough to leave the processor to
// others when training has paused.
constexpr int kSpins = 2000;

void Pause() {
#if defined(__x86_64__)
  _mm_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

// With more members than processors, a member that spins keeps another from
// running.
ThreadTeam::ThreadTeam(int threads)
    : spins_(threads <= AvailableThreads() ? kSpins : 0) {
  TAPE_CHECK_LE(1, threads);
  others_.reserve(threads - 1);
  for (int member = 1; member < threads; ++member) {
    others_.emplace_back([this, member] { Serve(member); });
  }
}

ThreadTeam::~ThreadTeam() {
  call_ = nullptr;
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  for (std::thread& other : others_) other.join();
}

void ThreadTeam::Start(Call call, const void* context) {
  if (others_.empty()) {
    call(context, 0);
    return;
  }
  call_ = call;
  context_ = context;
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  call(context, 0);
  Meet();
}

void ThreadTeam::WaitForChange(const std::atomic<uint32_t>& value,
                               uint32_t old) const {
  for (int spin = 0; spin < spins_; ++spin) {
    if (value.load(std::memory_order_acquire) != old) return;
    Pause();
  }
  while (value.load(std::memory_order_acquire) == old) {
    value.wait(old, std::memory_order_acquire);
  }
}

void ThreadTeam::Serve(int member) {
  uint32_t job = 0;
  while (true) {
    WaitForChange(job_, job);
    ++job;
    if (call_ == nullptr) return;
    call_(context_, member);
    Meet();
  }
}

void ThreadTeam::Meet() {
  const uint32_t meeting = meeting_.load(std::memory_order_relaxed);
  const uint32_t all = static_cast<uint32_t>(size());
  if (all == 1) return;
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 < all) {
    WaitForChange(meeting_, meeting);
    return;
  }
  arrived_.store(0, std::memory_order_relaxed);
  meeting_.store(meeting + 1, std::memory_order_release);
  meeting_.notify_all();
}

#if defined(__x86_64__)
FlushDenormals::FlushDenormals() : before_(_mm_getcsr()) {
  constexpr uint32_t kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
  _mm_setcsr(before_ | kFlushToZero | kDenormalsAreZero);
}
FlushDenormals::~FlushDenormals() { _mm_setcsr(before_); }
#else
FlushDenormals::FlushDenormals() = default;
FlushDenormals::~FlushDenormals() = default;
#endif

int AvailableThreads() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace tape
