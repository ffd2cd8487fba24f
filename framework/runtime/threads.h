// The threads of a plan: a team that runs one function on every member at once,
// with a barrier between its parts.
//
// A step of a small network takes microseconds, so waking and meeting must cost
// less than one: members spin for a while before they sleep. The result never
// depends on how many there are (see Kernel::chunks). Tested by
// tests/runtime/threads_test.cc.
#ifndef TAPE_FRAMEWORK_RUNTIME_THREADS_H_
#define TAPE_FRAMEWORK_RUNTIME_THREADS_H_

#include <pthread.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <vector>

namespace tape {

class ThreadTeam {
 public:
  // The caller of Run is member 0; threads - 1 others are started, or as many
  // as the system gives. `threads` is at least 1. No signal handler runs on the
  // others; the caller sees to itself (UninterruptedScope).
  //
  // A fork copies none of the others: the child's first Run starts its own.
  explicit ThreadTeam(int threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  // In a forked child, the parent's until the first Run.
  int size() const { return static_cast<int>(others_.size()) + 1; }
  // Within a job: how many members run it.
  int running() const { return running_; }

  // Calls job(member) on the first `members` members (all, if there are fewer),
  // and returns when all are done. A job throws nothing. Does not allocate.
  template <typename Job>
  void Run(int members, const Job& job) {
    Start(
        members,
        [](const void* context, int member) {
          (*static_cast<const Job*>(context))(member);
        },
        &job);
  }
  template <typename Job>
  void Run(const Job& job) {
    Run(size(), job);
  }

  // Within a job: returns when every member that runs it has called this.
  void Meet() { MeetAt(within_job_, running_); }

 private:
  using Call = void (*)(const void* context, int member);

  struct Barrier {
    alignas(64) std::atomic<uint32_t> arrived{0};
    alignas(64) std::atomic<uint32_t> meetings{0};  // Held so far.
  };

  void StartOthers();
  void Start(int members, Call call, const void* context);
  // The life of another member's thread.
  static void* Enter(void* team);
  void Serve(int member);
  // Returns when `members` members are there.
  void MeetAt(Barrier& barrier, int members);
  // Waits until `value` is no longer `old`.
  void WaitForChange(const std::atomic<uint32_t>& value, uint32_t old) const;

  const int spins_;   // Spin iterations before blocking.
  const int wanted_;  // Members, as far as the system gives threads.
  pid_t process_;     // Whose threads the others are.
  std::vector<pthread_t> others_;
  std::atomic<int> entered_{0};  // How many of the others have started.
  // The current job; null: leave. Members beyond the first `running_` have no
  // part in it, but meet the others at its end, so that none is a job behind.
  Call call_ = nullptr;
  const void* context_ = nullptr;
  int running_ = 0;
  alignas(64) std::atomic<uint32_t> job_{0};  // The number of the current job.
  Barrier within_job_, end_of_job_;
};

// The processors this process may use: those it may run on, or fewer if one of
// its control groups has a quota. At least 1.
int AvailableThreads();

}  // namespace tape

#endif  // TAPE_FRAMEWORK_RUNTIME_THREADS_H_
