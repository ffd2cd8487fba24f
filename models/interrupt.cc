// Being told to stop (interrupt.h). Tested by tests/resume_program_test.cc.
#include "models/interrupt.h"

#include <signal.h>

#include <atomic>

namespace tape {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM};

// What a handler may write: lock-free, hence safe there.
std::atomic<int> noted = 0;
static_assert(std::atomic<int>::is_always_lock_free);

void Handle(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_RESTART;  // Nobody's read or write shall fail by it.
  for (const int number : kSignals) sigaction(number, &action, nullptr);
}

void Note(int number) {
  noted = number;
  Handle(SIG_DFL);
}

}  // namespace

InterruptScope::InterruptScope() {
  noted = 0;
  Handle(Note);
}

InterruptScope::~InterruptScope() { Handle(SIG_DFL); }

int InterruptScope::signal() const { return noted; }

}  // namespace tape
