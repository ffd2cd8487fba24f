// The nodes that a program has where its batch is cut into shards
// (../compiler/shard_batch.h makes them), and their kernels: they add up shards,
// reduce between ranks, and gather rows. Tested by
// tests/compiler/shard_batch_test.cc and tests/distributed/plan_test.cc.
#ifndef TAPE_FRAMEWORK_RUNTIME_SHARD_KERNELS_H_
#define TAPE_FRAMEWORK_RUNTIME_SHARD_KERNELS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <vector>

#include "framework/core/kernel.h"
#include "framework/core/op.h"
#include "framework/distributed/all_reduce.h"
#include "framework/distributed/data_parallel.h"

namespace tape {

// The sums of this rank's shards in the tree of data_parallel.h. Inputs: for each
// of attributes.depth values, its sum in each of this rank's shards that have
// rows. The output is the one value's sum, in its shape; or, if
// attributes.reverse is true, those of all values one after the other, and then
// room for votes if attributes.transpose_lhs is true. attributes.value is 1 if
// sums are rounded to bfloat16.
extern const OpDef kSumShards;
// Begins the all-reduce number attributes.index of its input, and forwards its
// memory; the sum is there after kEndAllReduce, whose input it is. Both have
// attributes.transpose_lhs and attributes.value of the kSumShards.
extern const OpDef kBeginAllReduce;
extern const OpDef kEndAllReduce;
// These two and kGatherRows have one input more, which they do not read, if
// attributes.transpose_rhs is true: the node that must come before.
// The elements of a reduced value from attributes.begin on, in attributes.shape.
extern const OpDef kReducedPart;
// All rows of a value, [batch, …], on all ranks, of the rows of this rank's
// shards, which are the inputs. attributes.index: the exchange's number.
extern const OpDef kGatherRows;
// The rows of a value from attributes.begin on, as many as attributes.shape has.
extern const OpDef kRowsOf;

// Makes these nodes' kernels for one Executable.
class ShardKernels {
 public:
  ShardKernels(const DataParallel& parallel, int64_t batch)
      : parallel_(parallel), batch_(batch) {}

  // The kernel of a node with one of these ops, which this object must outlive;
  // null for others.
  std::unique_ptr<Kernel> Make(const KernelSpec& spec, const OpDef& op);

  // Goes on with the all-reduces under way as far as messages have arrived. For
  // the thread that runs their kernels. Throws as Communicator does.
  void Progress();

 private:
  class BeginKernel;
  class EndKernel;
  class GatherKernel;
  // The all-reduce of a node with one of its two ops.
  std::shared_ptr<AllReduce> AllReduceOf(const KernelSpec& spec);

  const DataParallel parallel_;
  const int64_t batch_;
  std::map<int64_t, std::shared_ptr<AllReduce>> reductions_;  // By number.
  std::vector<AllReduce*> under_way_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_RUNTIME_SHARD_KERNELS_H_
