// ProcessId (process.h).
#include "framework/core/process.h"

#include <pthread.h>
#include <unistd.h>

#include <atomic>

namespace tape {
namespace {

std::atomic<pid_t> known = 0;  // 0: not yet.

}  // namespace

pid_t ProcessId() {
  static const bool learns_of_forks =
      pthread_atfork(nullptr, nullptr, [] { known = 0; }) == 0;
  if (!learns_of_forks) return getpid();
  pid_t process = known.load(std::memory_order_relaxed);
  if (process == 0) known = process = getpid();
  return process;
}

}  // namespace tape
