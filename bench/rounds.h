// Rounds that a driver asks for: what is compared runs in a process each, and the
// driver (compare.py, compare_ops.py) lets them take turns, a short round at a time.
#ifndef TAPE_BENCH_ROUNDS_H_
#define TAPE_BENCH_ROUNDS_H_

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <string>
#include <vector>

namespace tape {

// The matrix that ops are timed on.
struct MatrixSize {
  int64_t rows = 1000, columns = 256;
};

// What the program's two arguments say, if it has them.
inline MatrixSize SizeFrom(int argc, char** argv) {
  if (argc != 3) return {};
  return {std::atoll(argv[1]), std::atoll(argv[2])};
}

// What is timed, by name.
using TimedCalls = std::map<std::string, std::function<void()>>;

// Seconds that a round takes, at least.
inline constexpr double kRoundSeconds = 0.02;

// Microseconds a call, mean of a round; the first call, which may have to make
// something, does not count.
inline double TimeRound(const std::function<void()>& call) {
  using Clock = std::chrono::steady_clock;
  call();
  const Clock::time_point begin = Clock::now();
  double seconds = 0;
  int64_t calls = 0;
  for (int64_t more = 1; seconds < kRoundSeconds; more *= 2) {
    for (int64_t i = 0; i < more; ++i) call();
    calls += more;
    seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  }
  return 1e6 * seconds / static_cast<double>(calls);
}

// Returns the Debian release that the program runs on, the compiler that built it, and
// `libraries`, on one line.
inline std::string Versions(const std::string& libraries) {
  std::string release = "unknown";
  std::getline(std::ifstream("/etc/debian_version"), release);
#ifdef __clang__
  const std::string compiler = __VERSION__;
#else
  const std::string compiler = "GCC " __VERSION__;
#endif
  return "Debian " + release + ", " + compiler + ", " + libraries;
}

// Makes what a line of the driver's asks for; null if there is no such thing.
using CallMaker = std::function<std::function<void()>(const std::string& line)>;

// Answers each line of stdin until it ends: "versions" by the line of Versions, "list"
// by the names, one a line, and an empty line; any other by a round's microseconds of
// what `make` makes, -1 for null. `libraries` names the timed ones, with their
// versions.
inline void ServeRounds(const std::string& libraries,
                        const std::vector<std::string>& names,
                        const CallMaker& make) {
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "versions") {
      std::cout << Versions(libraries) << std::endl;
      continue;
    }
    if (line == "list") {
      for (const std::string& name : names) std::cout << name << "\n";
      std::cout << std::endl;
      continue;
    }
    const std::function<void()> call = make(line);
    std::cout << (call == nullptr ? -1 : TimeRound(call)) << std::endl;
  }
}

// The same of what is there already.
inline void ServeRounds(const std::string& libraries, const TimedCalls& calls) {
  std::vector<std::string> names;
  for (const auto& [name, call] : calls) names.push_back(name);
  ServeRounds(libraries, names, [&](const std::string& line) {
    const auto found = calls.find(line);
    return found == calls.end() ? nullptr : found->second;
  });
}

}  // namespace tape

#endif  // TAPE_BENCH_ROUNDS_H_
