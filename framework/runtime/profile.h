// Where the time of a plan goes: a record of each step that its threads ran,
// as a trace to be looked at (Perfetto, chrome://tracing) and as a table.
//
//   Profile profile;
//   plan.Record(&profile);
//   for (...) plan.Run(...);
//   profile.WriteTrace("trace.json");
//   std::cout << profile.Table();
//
// Tested by tests/runtime/profile_test.cc.
#ifndef TAPE_FRAMEWORK_RUNTIME_PROFILE_H_
#define TAPE_FRAMEWORK_RUNTIME_PROFILE_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace tape {

class Profile {
 public:
  using Clock = std::chrono::steady_clock;

  // Keeps the first `max_events` events; later ones are counted only in the
  // table, and so are those that there is no memory for. One is a thread's part
  // of one step in one run.
  explicit Profile(size_t max_events = 100'000);

  // Writes a Chrome trace in JSON to the file `path`, by ReplaceFile
  // (framework/io/files.h): an event "X" for each thread's part of a step,
  // with its start and duration in µs, the thread as tid, and in args the rates
  // of this part, "GFLOP/s" and "GB/s", as far as the step has such work.
  // Errors: kInvalidArgument if `path` is anything but a trace or nothing yet;
  // what the system says of it.
  absl::Status WriteTrace(const std::string& path) const {
    return WriteTrace(path, Events(kFirstProcess, start_));
  }
  // The same of several processes: what Events returned on each, in order, with
  // commas between them.
  static absl::Status WriteTrace(const std::string& path,
                                 const std::string& events);
  // The events for a trace, as those of a process with this pid, with times since
  // `from`; its name is shown if it is not empty.
  std::string Events(int pid, Clock::time_point from,
                     const std::string& name = "") const;
  static constexpr int kFirstProcess = 1;
  Clock::time_point start() const { return start_; }
  // What WriteTrace(path) would say of the path; replaces nothing. For before a
  // long run.
  static absl::Status CheckTrace(const std::string& path);

  // Whether a step was recorded.
  bool empty() const { return Costliest(/*most=*/1).empty(); }

  // What a step came to. Bytes are those of the operands and results, each
  // once, caches or not.
  struct Cost {
    std::string name;
    int64_t calls = 0;     // By all threads.
    double seconds = 0;    // Summed over threads.
    double share = 0;      // Of the seconds of all steps, 0 to 1.
    double gflops = 0;     // GFLOP/s of a thread.
    double gigabytes = 0;  // GB/s of a thread.
  };
  // The `most` steps that took longest, the longest first; only those that ran.
  std::vector<Cost> Costliest(size_t most = 10) const;
  // The same as text, with milliseconds.
  std::string Table() const;

  // For plans: a step of a plan, named once, and what a thread did of it.
  struct Step {
    std::string name;
    double flops = 0;  // Of one run of it, by all threads.
    double bytes = 0;
  };
  // Returns the number of the first of `steps`.
  int AddSteps(const std::vector<Step>& steps);
  // Threads of a plan each add to a lane of their own.
  void Reserve(int threads);
  // `share`: of the step's work, 0 to 1.
  void Add(int thread, int step, Clock::time_point start, Clock::time_point end,
           double share);

 private:
  struct Event {
    int step;
    Clock::time_point start, end;
    double share;
  };
  struct Total {
    int64_t calls = 0;
    double seconds = 0;
    double shares = 0;
  };
  // What one thread has added: no two share one.
  struct Lane {
    std::vector<Event> events;
    std::vector<Total> totals;  // Of each step.
  };

  const size_t max_events_;
  const Clock::time_point start_ = Clock::now();
  std::vector<Step> steps_;
  std::vector<Lane> lanes_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_RUNTIME_PROFILE_H_
