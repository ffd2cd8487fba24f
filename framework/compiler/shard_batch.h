// SHARD THE BATCH: cuts a bound program along the rows of its batch into the
// shards of ../distributed/data_parallel.h, so that several ranks train one model.
//
// A node that makes rows becomes a node for each shard of this rank. A sum over
// the rows becomes a sum for each shard, their sum over this rank (kSumShards),
// and an all-reduce (kBeginAllReduce, kEndAllReduce) before what reads it; values
// of few bytes share one. An op that mixes rows, such as a sort along the batch,
// reads the rows of all ranks (kGatherRows). Every rank computes all else, with
// the same bits. Optimisers, clipping and averages read all-reduced
// gradients and do not know of the ranks.
//
// An all-reduce begins as soon as the last shard has made its terms, and ends
// before the first op that reads the sum: the rest of the backward pass runs
// meanwhile. Tested by tests/compiler/shard_batch_test.cc and
// tests/distributed/plan_test.cc.
#ifndef TAPE_FRAMEWORK_COMPILER_SHARD_BATCH_H_
#define TAPE_FRAMEWORK_COMPILER_SHARD_BATCH_H_

#include <cstdint>

#include "framework/distributed/data_parallel.h"
#include "framework/runtime/program.h"

namespace tape {

// Returns the part of `program` that this rank runs. Inputs with `batch` rows
// become inputs of one shard each: Attributes::begin is the first of their rows in
// what is fed, and Attributes::index the number of the shard, from 1. Without
// shards the program stays as it is.
Program ShardBatch(Program program, int64_t batch,
                   const DataParallel& parallel);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_SHARD_BATCH_H_
