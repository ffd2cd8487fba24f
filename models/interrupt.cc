// Being told to stop (interrupt.h). Tested by tests/models/interrupt_test.cc.
#include "models/interrupt.h"

#include <pthread.h>

#include <exception>

namespace tape {
namespace {

// Those that are not ignored, as shells have SIGINT of jobs in the background.
sigset_t Signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : {SIGINT, SIGTERM}) {
    struct sigaction action;
    const bool ignored = sigaction(number, nullptr, &action) == 0 &&
                         action.sa_handler == SIG_IGN;
    if (!ignored) sigaddset(&signals, number);
  }
  return signals;
}

}  // namespace

InterruptScope::InterruptScope() : signals_(Signals()) {
  if (sigisemptyset(&signals_)) return;
  pthread_sigmask(SIG_BLOCK, &signals_, &before_);
  try {
    waiter_ = std::thread([this] { Wait(); });
  } catch (const std::exception&) {
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
}

InterruptScope::~InterruptScope() {
  if (!waiter_.joinable()) return;
  is_over_ = true;
  pthread_kill(waiter_.native_handle(),
               sigismember(&signals_, SIGTERM) ? SIGTERM : SIGINT);
  waiter_.join();
  pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

void InterruptScope::Wait() {
  while (true) {
    int number;
    sigwait(&signals_, &number);
    if (is_over_) return;
    if (noted_ == 0) {
      noted_ = number;
      continue;
    }
    ::signal(number, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &signals_, nullptr);
    raise(number);
  }
}

}  // namespace tape
