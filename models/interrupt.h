// Being told to stop, by SIGINT (Ctrl-C) or SIGTERM. Tested by
// tests/resume_program_test.cc.
#ifndef TAPE_MODELS_INTERRUPT_H_
#define TAPE_MODELS_INTERRUPT_H_

namespace tape {

// While one lives, the first of these signals is noted, and the next one ends the
// process as it always does. One at a time.
class InterruptScope {
 public:
  InterruptScope();
  ~InterruptScope();
  InterruptScope(const InterruptScope&) = delete;
  InterruptScope& operator=(const InterruptScope&) = delete;

  // The signal that came, or 0.
  int signal() const;
};

}  // namespace tape

#endif  // TAPE_MODELS_INTERRUPT_H_
