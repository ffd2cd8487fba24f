// Being told to stop (interrupt.h). Tested by tests/models/interrupt_test.cc.
#include "models/interrupt.h"

#include <pthread.h>

#include <exception>

namespace tape {
namespace {

sigset_t Signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM}) sigaddset(&signals, number);
  return signals;
}

}  // namespace

InterruptScope::InterruptScope() {
  const sigset_t signals = Signals();
  pthread_sigmask(SIG_BLOCK, &signals, &before_);
  try {
    waiter_ = std::thread([this] { Wait(); });
  } catch (const std::exception&) {
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
}

InterruptScope::~InterruptScope() {
  if (!waiter_.joinable()) return;
  is_over_ = true;
  pthread_kill(waiter_.native_handle(), SIGTERM);
  waiter_.join();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void InterruptScope::Wait() {
  const sigset_t signals = Signals();
  while (true) {
    int number;
    sigwait(&signals, &number);
    if (is_over_) return;
    if (noted_ == 0) {
      noted_ = number;
      continue;
    }
    ::signal(number, SIG_DFL);  // Whoever started us may have it ignored.
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
    raise(number);
  }
}

}  // namespace tape
