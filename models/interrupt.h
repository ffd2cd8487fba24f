// Being told to stop, by SIGINT (Ctrl-C) or SIGTERM. Tested by
// tests/interrupt_test.cc.
#ifndef TAPE_MODELS_INTERRUPT_H_
#define TAPE_MODELS_INTERRUPT_H_

#include <signal.h>

#include <atomic>
#include <thread>

namespace tape {

// While one lives, the first of these signals is noted, and the next one ends
// the process as it always does. One at a time, and before the threads of plans
// are made, which are to have its mask.
//
// No handler: the code that oneDNN makes keeps data in the stack pointer, and
// the system would write a handler's frame wherever that points. So the signals
// are blocked, and a thread waits for them.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  // The signal that came, or 0.
  int signal() const { return noted_; }

 private:
  void Wait();

  std::atomic<int> noted_ = 0;
  std::atomic<bool> is_over_ = false;
  sigset_t before_;  // The mask.
  std::thread waiter_;
};

}  // namespace tape

#endif  // TAPE_MODELS_INTERRUPT_H_
