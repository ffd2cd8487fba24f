// All-reduce sums in the fixed tree of data_parallel.h: every rank has the sum of
// its shards, and in the end all have the sum of all shards, with the same bits
// for any number of ranks.
//
// Short messages go by recursive doubling; long ones between four or more ranks
// by recursive halving and doubling (Thakur, Rabenseifner and Gropp,
// "Optimization of collective communication operations in MPICH", 2005), which
// sends 2 (ranks - 1) / ranks of the elements and adds each element in the same
// tree. Tested by tests/distributed/all_reduce_test.cc.
#ifndef TAPE_FRAMEWORK_DISTRIBUTED_ALL_REDUCE_H_
#define TAPE_FRAMEWORK_DISTRIBUTED_ALL_REDUCE_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "framework/core/tensor.h"
#include "framework/core/tensor_type.h"
#include "framework/distributed/communicator.h"

namespace tape {

// Whether a dtype can be summed: float32, float64, int32 (which wraps).
bool IsSummable(DType dtype);

// to[i] += from[i].
void AddTo(DType dtype, int64_t elements, const void* from, void* to);
// Rounds each of the floats to a bfloat16.
void RoundToBFloat16(int64_t elements, float* values);

// One all-reduce, made as often as its memory is filled anew. All ranks make
// equal objects, and begin and end their runs in the same order.
class AllReduce {
 public:
  // `tag`: its own among those under way. `bfloat16`: of float32, each sum is
  // rounded to bfloat16 and sent as such; the values must be rounded already.
  AllReduce(Communicator& communicator, int tag, DType dtype, int64_t elements,
            bool bfloat16);

  // Begins to sum `values`, in place. Throws as Communicator does.
  void Begin(void* values);
  // Goes on as far as messages have arrived; returns whether the sum is complete.
  bool Progress();
  // Returns when the sum is complete. Calls `meanwhile`, if given, while it waits.
  void Wait(const std::function<void()>& meanwhile = nullptr);

  // Bytes that this rank sends in one run.
  int64_t bytes_sent() const;

 private:
  struct Range {
    int64_t begin, end;
    int64_t size() const { return end - begin; }
  };
  // An exchange: the elements to send, and those to receive, which are added to
  // this rank's or, in the second half of long messages, take their place.
  struct Round {
    int peer;
    Range send, receive;
    bool adds;
  };
  void Post();
  void Finish(const Round& round);

  Communicator& communicator_;
  const int tag_;
  const DType dtype_;
  const bool bfloat16_;
  std::vector<Round> rounds_;
  size_t wire_bytes_;  // Of an element.
  Buffer received_, sent_;
  std::byte* values_ = nullptr;
  size_t round_ = 0;  // Under way; all of them: complete.
  int ticket_ = 0;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DISTRIBUTED_ALL_REDUCE_H_
