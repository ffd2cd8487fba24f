// How a batch is divided for data-parallel training (Goyal et al., "Accurate,
// large minibatch SGD", 2017, section 3): into shards of rows, and the shards
// among the ranks.
//
// Sums over a batch are made shard by shard, as one process would make each, and
// the shards' sums are added in a fixed binary tree: ((0 + 1) + (2 + 3)) + …. A
// rank has an aligned subtree of the shards. So the bits of a run depend on the
// number of shards, and not on the number of ranks or threads.
#ifndef TAPE_FRAMEWORK_DISTRIBUTED_DATA_PARALLEL_H_
#define TAPE_FRAMEWORK_DISTRIBUTED_DATA_PARALLEL_H_

#include <cstdint>

#include "absl/status/status.h"
#include "framework/distributed/communicator.h"

namespace tape {

inline constexpr int kMaxShards = 1024;

struct DataParallel {
  // Into how many shards each batch is cut: a power of two, 1 to kMaxShards. Part
  // of a run's identity, as the batch size is. 1: the batch is not cut.
  int shards = 1;
  // The ranks, a power of two of them and at most `shards`, and this one among
  // them. It must outlive its users. Null: this process is the only rank.
  Communicator* communicator = nullptr;
  // Sums travel between ranks as bfloat16, in half the bytes; each sum of the
  // tree, a shard's too, is then rounded to bfloat16. Of float32 sums with at
  // least 16,384 elements.
  bool bfloat16_sums = false;

  Communicator& ranks() const {
    return communicator == nullptr ? SelfCommunicator() : *communicator;
  }
  int shards_per_rank() const { return shards / ranks().size(); }
  int first_shard() const { return ranks().rank() * shards_per_rank(); }
};

// An error unless the shards and the ranks are as DataParallel says.
absl::Status CheckDataParallel(const DataParallel& parallel);

// Rows begin to end - 1.
struct RowRange {
  int64_t begin = 0, end = 0;
  int64_t size() const { return end - begin; }
};
// The rows of a batch of `rows` that a shard has: rows / shards of them, and one
// more in the first rows % shards shards.
RowRange RowsOfShard(int64_t rows, int shards, int shard);
// The rows of a batch that this rank has.
RowRange RowsOfRank(int64_t rows, const DataParallel& parallel);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DISTRIBUTED_DATA_PARALLEL_H_
