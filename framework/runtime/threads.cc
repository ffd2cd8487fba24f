// The threads of a plan (threads.h). Tested by tests/runtime/threads_test.cc.
#include "framework/runtime/threads.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <thread>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "framework/core/check.h"
#include "framework/core/control_groups.h"
#include "framework/core/process.h"
#include "framework/core/uninterrupted.h"

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
    : spins_(threads <= AvailableThreads() ? kSpins : 0), wanted_(threads) {
  TAPE_CHECK_LE(1, threads);
  others_.reserve(threads - 1);
  StartOthers();
}

void ThreadTeam::StartOthers() {
  process_ = ProcessId();
  others_.clear();
  for (std::atomic<uint32_t>* const number :
       {&job_, &within_job_.arrived, &within_job_.meetings,
        &end_of_job_.arrived, &end_of_job_.meetings}) {
    *number = 0;
  }
  entered_ = 0;
  const UninterruptedScope scope;  // Whose mask new threads inherit.
  while (size() < wanted_) {
    pthread_t other;
    // If the system gives no more, results are the same with fewer.
    if (pthread_create(&other, nullptr, Enter, this) != 0) break;
    others_.push_back(other);
  }
}

ThreadTeam::~ThreadTeam() {
  if (process_ != ProcessId()) return;
  const UninterruptedScope scope;  // Lest the caller be cancelled halfway.
  call_ = nullptr;
  job_.fetch_add(1, std::memory_order_release);
  job_.notify_all();
  for (pthread_t other : others_) pthread_join(other, nullptr);
}

void ThreadTeam::Start(int members, Call call, const void* context) {
  if (!others_.empty() && process_ != ProcessId()) StartOthers();
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

void* ThreadTeam::Enter(void* team) {
  auto* const self = static_cast<ThreadTeam*>(team);
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, nullptr);
  self->Serve(self->entered_.fetch_add(1) + 1);
  return nullptr;
}

void ThreadTeam::Serve(int member) {
  uint32_t job = 0;
  while (true) {
    // Between jobs, a thread that changes the process's user is answered.
    SetSignalMask(BlockableSignals() & ~UserChangeSignal());
    WaitForChange(job_, job);
    SetSignalMask(BlockableSignals());
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
  double threads = static_cast<double>(sysconf(_SC_NPROCESSORS_ONLN));
  cpu_set_t set;  // Of up to 1024 processors.
  if (sched_getaffinity(0, sizeof(set), &set) == 0) threads = CPU_COUNT(&set);
  threads = std::min(threads, std::ceil(ControlGroupProcessors()));
  return std::max(1, static_cast<int>(threads));
}

}  // namespace tape
