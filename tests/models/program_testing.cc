// Running a program as a user does (program_testing.h). In go arguments, out
// come its output and exit code.
#include "tests/models/program_testing.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
Outcome RunProgram(const std::string& program,
                   std::vector<std::string> arguments, ProcessOptions options) {
  const std::string out = testing::TempDir() + "/out";
  const std::string err = testing::TempDir() + "/err";
  const std::string calls = testing::TempDir() + "/calls";
  arguments.insert(arguments.begin(), program);
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  std::string signals;
  for (const SignalAt& at : options.signals_at) {
    absl::StrAppend(&signals, at.signal, " ", at.call,
                    at.calls == SignalAt::kFiles ? " files " : " all ",
                    at.and_end ? "1 " : "0 ");
  }
  // Who reads them while the program runs must not see an earlier one's.
  for (const std::string& path : {out, err, calls}) WriteText(path, "");
  const pid_t child = fork();
  if (child == 0) {
    const int flags = O_WRONLY | O_CREAT | O_TRUNC;
    dup2(open("/dev/null", O_RDONLY), 0);
    dup2(open(out.c_str(), flags, 0600), 1);
    dup2(open(err.c_str(), flags, 0600), 2);
    const rlimit limit = {options.max_file_bytes, options.max_file_bytes};
    setrlimit(RLIMIT_FSIZE, &limit);
    const rlimit memory = {options.max_memory_bytes, options.max_memory_bytes};
    setrlimit(RLIMIT_AS, &memory);
    if (!signals.empty() || options.calls != nullptr) {
      setenv("LD_PRELOAD", "tests/models/signal_at.so", 1);
      setenv("TAPE_SIGNALS_AT", signals.c_str(), 1);
      setenv("TAPE_CALLS", calls.c_str(), 1);
    }
    execv(argv[0], argv.data());
    _exit(127);
  }
  if (options.meanwhile) options.meanwhile(child);
  int status = 0;
  waitpid(child, &status, 0);
  if (options.calls != nullptr) {
    std::istringstream(ReadText(calls)) >> options.calls->files >>
        options.calls->all;
  }
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status),
          ReadText(out), ReadText(err)};
}

void ExpectOneLineOfError(const Outcome& outcome,
                          const std::vector<std::string>& parts) {
  EXPECT_EQ(outcome.exit_code, 1) << outcome.err;
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1)
      << outcome.err;
  for (const std::string& part : parts) {
    EXPECT_THAT(outcome.err, testing::HasSubstr(part));
  }
  EXPECT_EQ(outcome.out, "");
}

}  // namespace tape
