// The threads of a plan (threads.h). Tested by tests/threads_test.cc.
#include "framework/compiler/threads.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <system_error>

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
    try {
      others_.emplace_back([this, member] { Serve(member); });
    } catch (const std::system_error&) {
      break;  // The system gives no more; results are the same with fewer.
    }
  }
}

ThreadTeam::~ThreadTeam() {
  call_ = nullptr;
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  for (std::thread& other : others_) other.join();
}

void ThreadTeam::Start(int members, Call call, const void* context) {
  running_ = std::min(members, size());
  if (running_ == 1) {
    call(context, 0);
    return;
  }
  call_ = call;
  context_ = context;
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  call(context, 0);
  MeetAt(end_of_job_, size());
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
    if (member < running_) call_(context_, member);
    MeetAt(end_of_job_, size());
  }
}

void ThreadTeam::MeetAt(Barrier& barrier, int members) {
  if (members == 1) return;
  const uint32_t meeting = barrier.meetings.load(std::memory_order_relaxed);
  if (barrier.arrived.fetch_add(1, std::memory_order_acq_rel) + 1 <
      static_cast<uint32_t>(members)) {
    WaitForChange(barrier.meetings, meeting);
    return;
  }
  barrier.arrived.store(0, std::memory_order_relaxed);
  barrier.meetings.store(meeting + 1, std::memory_order_release);
  barrier.meetings.notify_all();
}

int AvailableThreads() {
  int threads = 1;
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) threads = CPU_COUNT(&set);
  // "max 100000" or, for one and a half processors, "150000 100000".
  if (std::FILE* const file = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {
    double quota = 0, period = 0;
    if (std::fscanf(file, "%lf %lf", &quota, &period) == 2 && period > 0) {
      threads = std::min(threads, static_cast<int>(std::ceil(quota / period)));
    }
    std::fclose(file);
  }
  return std::max(1, threads);
}

}  // namespace tape
