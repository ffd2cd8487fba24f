// Running a program as a user does: as a process, with arguments, seeing what
// it prints and how it ends.
#ifndef TAPE_TESTS_MODELS_PROGRAM_TESTING_H_
#define TAPE_TESTS_MODELS_PROGRAM_TESTING_H_

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tape {

struct Outcome {
  int exit_code;  // If a signal ended the program: that, negated.
  std::string out;
  std::string err;
};

// A signal at a moment that does not depend on the machine's speed: at the
// program's call number `call`, from 1, of what changes files (write, fsync,
// rename, unlink), or of these and of the clock, which training reads at each
// step. A write has then written half. Tests that use it have signal_at.so
// among their data.
struct SignalAt {
  int signal;
  int64_t call;  // Of several signals, counted from the one before.
  enum { kFiles, kAll } calls = kAll;
  // The program's thread does no more: the signal must end it.
  bool and_end = false;
};

// How many such calls a program has made.
struct Calls {
  int64_t files = 0;
  int64_t all = 0;
};

struct ProcessOptions {
  rlim_t max_file_bytes = RLIM_INFINITY;    // As `ulimit -f` sets it.
  rlim_t max_memory_bytes = RLIM_INFINITY;  // As `ulimit -v` sets it.
  // Called once the program runs, with its process: to send it signals.
  std::function<void(pid_t)> meanwhile = nullptr;
  std::vector<SignalAt> signals_at = {};
  Calls* calls = nullptr;  // Counted if not null.
};

// Runs a program, "models/train", which must be among the test's data, with no
// input.
Outcome RunProgram(const std::string& program,
                   std::vector<std::string> arguments,
                   ProcessOptions options = {});

// Expects that the program ended with one line on stderr that holds each of
// `parts`, and printed nothing else.
void ExpectOneLineOfError(const Outcome& outcome,
                          const std::vector<std::string>& parts);

}  // namespace tape

#endif  // TAPE_TESTS_MODELS_PROGRAM_TESTING_H_
