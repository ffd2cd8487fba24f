// Keeps signal handlers and cancellation off a thread that runs kernels. Tested
// by tests/core/uninterrupted_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_UNINTERRUPTED_H_
#define TAPE_FRAMEWORK_CORE_UNINTERRUPTED_H_

#include <cstdint>

namespace tape {

// A set of signals as the kernel has it: signal n is bit n - 1. The C library's
// functions cannot block the two signals that it keeps to itself.
using SignalMask = uint64_t;

// All signals but those that a thread's own instructions raise (SIGSEGV,
// SIGFPE, …) and SIGABRT: a handler for these has nothing to go back to.
SignalMask BlockableSignals();

// The signal by which the C library has every thread change its user (setuid).
// The caller waits for all threads, so none may block it for good.
SignalMask UserChangeSignal();

// Sets the mask of the calling thread, and returns the one before.
SignalMask SetSignalMask(SignalMask mask);

// While one lives, the thread is not cancelled, and no signal handler runs on it:
// signals and cancellation wait until it ends. oneDNN's code keeps data in the
// stack pointer, and the system would write a handler's frame wherever that
// points. Whatever runs kernels does so within a scope, or on a thread that blocks
// these signals for good.
//
// Scopes nest. Blocking signals costs two system calls, some 0.5 µs.
class UninterruptedScope {
 public:
  // `blocks_signals`: false if no kernel within it uses the stack pointer
  // (Kernel::uses_stack_pointer).
  explicit UninterruptedScope(bool blocks_signals = true);
  // May be left by the unwinding of a cancelled thread.
  ~UninterruptedScope() noexcept(false);
  UninterruptedScope(const UninterruptedScope&) = delete;
  UninterruptedScope& operator=(const UninterruptedScope&) = delete;

 private:
  const bool blocks_signals_;
  SignalMask mask_ = 0;
  int cancel_state_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_UNINTERRUPTED_H_
