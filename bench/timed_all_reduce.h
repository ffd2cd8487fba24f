// An all-reduce to be timed (mpi_bench.cc), alone and beside work.
#ifndef TAPE_BENCH_TIMED_ALL_REDUCE_H_
#define TAPE_BENCH_TIMED_ALL_REDUCE_H_

#include <cstdint>
#include <memory>

#include "framework/distributed/communicator.h"

namespace tape {

// Of `bytes` of float32, all 0. All ranks make one, and run it as often.
class TimedAllReduce {
 public:
  TimedAllReduce(Communicator& ranks, int64_t bytes, bool bfloat16);
  ~TimedAllReduce();
  void Run();
  // Begins it, keeps the processor busy for `microseconds`, and ends it. `polls`:
  // the work calls AllReduce::Progress every 20 us, as a plan does between chunks.
  void RunWithWork(double microseconds, bool polls);

 private:
  struct Impl;
  const std::unique_ptr<Impl> impl_;
};

// Adds the bytes of one message to another's; rounds them to bfloat16.
void AddMessage(int64_t bytes, const void* from, void* to);
void RoundMessage(int64_t bytes, void* values);

}  // namespace tape

#endif  // TAPE_BENCH_TIMED_ALL_REDUCE_H_
