// UninterruptedScope (uninterrupted.h). Tested by tests/core/uninterrupted_test.cc.
#include "framework/core/uninterrupted.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tape {
namespace {

constexpr SignalMask Bit(int signal) { return SignalMask{1} << (signal - 1); }

// SIGSETXID, which no header of glibc's names.
constexpr int kUserChange = 33;

}  // namespace

SignalMask BlockableSignals() {
  return ~(Bit(SIGSEGV) | Bit(SIGBUS) | Bit(SIGFPE) | Bit(SIGILL) |
           Bit(SIGTRAP) | Bit(SIGSYS) | Bit(SIGABRT));
}

SignalMask UserChangeSignal() { return Bit(kUserChange); }

SignalMask SetSignalMask(SignalMask mask) {
  SignalMask before = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &mask, &before, sizeof(mask));
  return before;
}

UninterruptedScope::UninterruptedScope(bool blocks_signals)
    : blocks_signals_(blocks_signals) {
  // First, lest a handler be cancelled between the two.
  pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state_);
  if (!blocks_signals_) return;
  const SignalMask mask = BlockableSignals();
  syscall(SYS_rt_sigprocmask, SIG_BLOCK, &mask, &mask_, sizeof(mask));
}

UninterruptedScope::~UninterruptedScope() noexcept(false) {
  if (blocks_signals_) SetSignalMask(mask_);
  pthread_setcancelstate(cancel_state_, nullptr);
}

}  // namespace tape
