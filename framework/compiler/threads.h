// The threads of a plan: a team that runs one function on every member at once,
// with a barrier between its parts.
//
// A step of a small network takes microseconds, so waking and meeting must cost
// less than one: members spin for a while before they sleep. The result never
// depends on how many there are (see Kernel::chunks). Tested by
// tests/threads_test.cc.
#ifndef TAPE_FRAMEWORK_COMPILER_THREADS_H_
#define TAPE_FRAMEWORK_COMPILER_THREADS_H_

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace tape {

class ThreadTeam {
 public:
  // The caller of Run is member 0; threads - 1 others are started. `threads` is
  // at least 1.
  explicit ThreadTeam(int threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  int size() const { return static_cast<int>(others_.size()) + 1; }

  // Calls job(member) on every member, and returns when all are done. Does not
  // allocate.
  template <typename Job>
  void Run(const Job& job) {
    Start([](const void* context,
             int member) { (*static_cast<const Job*>(context))(member); },
          &job);
  }

  // Within a job: returns when every member has called it.
  void Meet();

 private:
  using Call = void (*)(const void* context, int member);

  void Start(Call call, const void* context);
  void Serve(int member);
  // Waits until `value` is no longer `old`.
  void WaitForChange(const std::atomic<uint32_t>& value, uint32_t old) const;

  const int spins_;  // Looks before going to sleep.
  std::vector<std::thread> others_;
  Call call_ = nullptr;  // Null: leave.
  const void* context_ = nullptr;
  alignas(64) std::atomic<uint32_t> job_{0};  // The number of the current job.
  alignas(64) std::atomic<uint32_t> arrived_{0};
  alignas(64) std::atomic<uint32_t> meeting_{
      0};  // The number of meetings held.
};

// While one lives, this thread's arithmetic takes denormal numbers for zero
// (where the processor can): they can slow training down tens of times and
// carry nothing.
class FlushDenormals {
 public:
  FlushDenormals();
  ~FlushDenormals();
  FlushDenormals(const FlushDenormals&) = delete;
  FlushDenormals& operator=(const FlushDenormals&) = delete;

 private:
  uint32_t before_ = 0;
};

// The processors this process may run on: at least 1.
int AvailableThreads();

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_THREADS_H_
