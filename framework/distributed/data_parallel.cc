// The division of a batch (data_parallel.h). Tested by
// tests/distributed/data_parallel_test.cc.
#include "framework/distributed/data_parallel.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_cat.h"

namespace tape {

absl::Status CheckDataParallel(const DataParallel& parallel) {
  const auto is_power = [](int number) {
    return number >= 1 && std::has_single_bit(static_cast<unsigned>(number));
  };
  if (!is_power(parallel.shards) || parallel.shards > kMaxShards) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a power of two of shards, 1 to ", kMaxShards,
                     ", found ", parallel.shards));
  }
  const int ranks = parallel.ranks().size();
  if (!is_power(ranks) || ranks > parallel.shards) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected a power of two of ranks, at most the ", parallel.shards,
        parallel.shards == 1 ? " shard" : " shards", " of a batch, found ",
        ranks));
  }
  return absl::OkStatus();
}

RowRange RowsOfShard(int64_t rows, int shards, int shard) {
  const auto begin = [&](int64_t at) {
    return at * (rows / shards) + std::min(at, rows % shards);
  };
  return {begin(shard), begin(shard + 1)};
}

RowRange RowsOfRank(int64_t rows, const DataParallel& parallel) {
  const int first = parallel.first_shard();
  const int last = first + parallel.shards_per_rank() - 1;
  return {RowsOfShard(rows, parallel.shards, first).begin,
          RowsOfShard(rows, parallel.shards, last).end};
}

}  // namespace tape
