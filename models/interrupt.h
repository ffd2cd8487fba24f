// Being told to stop, by SIGINT (Ctrl-C) or SIGTERM. Tested by
// tests/models/interrupt_test.cc.
#ifndef TAPE_MODELS_INTERRUPT_H_
#define TAPE_MODELS_INTERRUPT_H_

#include <signal.h>

#include <atomic>
#include <thread>

namespace tape {

// While one lives, the first of these signals is noted, and the next one ends
// the process as it always does. One at a time. A signal that is ignored when
// the scope begins stays so.
//
// A thread of its own waits for the signals, which are blocked elsewhere: so
// they are seen within a long run of a plan too, during which a handler may not
// run (core/uninterrupted.h), and interrupt no call of the system. If there is
// no such thread to be had, signals do what they always do.
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
  const sigset_t signals_;  // That are waited for.
  sigset_t before_;         // The mask.
  std::thread waiter_;
};

}  // namespace tape

#endif  // TAPE_MODELS_INTERRUPT_H_
