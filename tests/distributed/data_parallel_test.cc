// The division of a batch into shards and among ranks
// (framework/distributed/data_parallel.h).
#include "framework/distributed/data_parallel.h"

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/distributed/local_group.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace tape {
namespace {

using ::testing::ElementsAre;

absl::Status Check(int shards, int ranks) {
  LocalGroup group(ranks);
  return CheckDataParallel(
      {.shards = shards, .communicator = &group.rank(ranks - 1)});
}

TEST(CheckDataParallelTest, AcceptsPowersOfTwo) {
  EXPECT_TRUE(CheckDataParallel({}).ok());
  for (int shards = 1; shards <= kMaxShards; shards *= 2) {
    EXPECT_TRUE(CheckDataParallel({.shards = shards}).ok()) << shards;
    for (int ranks = 1; ranks <= shards && ranks <= 16; ranks *= 2) {
      EXPECT_TRUE(Check(shards, ranks).ok()) << shards << " " << ranks;
    }
  }
}

TEST(CheckDataParallelTest, RefusesOtherNumbersOfShards) {
  for (const int shards : {-2147483647 - 1, -8, 0, 3, 12, 1023, 2048}) {
    EXPECT_EQ(
        CheckDataParallel({.shards = shards}),
        absl::InvalidArgumentError(absl::StrCat(
            "expected a power of two of shards, 1 to 1024, found ", shards)));
  }
}

TEST(CheckDataParallelTest, RefusesOtherNumbersOfRanks) {
  EXPECT_EQ(Check(8, 3),
            absl::InvalidArgumentError(
                "expected a power of two of ranks, at most the 8 shards of a "
                "batch, found 3"));
  EXPECT_EQ(Check(4, 8),
            absl::InvalidArgumentError(
                "expected a power of two of ranks, at most the 4 shards of a "
                "batch, found 8"));
  EXPECT_EQ(Check(1, 2),
            absl::InvalidArgumentError(
                "expected a power of two of ranks, at most the 1 shard of a "
                "batch, found 2"));
}

TEST(DataParallelTest, ARankHasConsecutiveShards) {
  LocalGroup group(4);
  std::vector<int> first;
  for (int rank = 0; rank < 4; ++rank) {
    const DataParallel parallel = {.shards = 16,
                                   .communicator = &group.rank(rank)};
    EXPECT_EQ(parallel.shards_per_rank(), 4);
    first.push_back(parallel.first_shard());
  }
  EXPECT_THAT(first, ElementsAre(0, 4, 8, 12));
  // A process alone has all.
  EXPECT_EQ(DataParallel{.shards = 16}.shards_per_rank(), 16);
  EXPECT_EQ(DataParallel{.shards = 16}.first_shard(), 0);
}

std::vector<int64_t> Sizes(int64_t rows, int shards) {
  std::vector<int64_t> sizes;
  for (int shard = 0; shard < shards; ++shard) {
    sizes.push_back(RowsOfShard(rows, shards, shard).size());
  }
  return sizes;
}

TEST(RowsOfShardTest, TheFirstShardsHaveTheExtraRows) {
  EXPECT_THAT(Sizes(16, 4), ElementsAre(4, 4, 4, 4));
  EXPECT_THAT(Sizes(17, 4), ElementsAre(5, 4, 4, 4));
  EXPECT_THAT(Sizes(19, 4), ElementsAre(5, 5, 5, 4));
  EXPECT_THAT(Sizes(3, 4), ElementsAre(1, 1, 1, 0));
  EXPECT_THAT(Sizes(0, 2), ElementsAre(0, 0));
  EXPECT_THAT(Sizes(5, 1), ElementsAre(5));
}

TEST(RowsOfShardTest, TheShardsHaveEachRowOnce) {
  for (const int shards : {1, 2, 8, 1024}) {
    for (const int64_t rows :
         {int64_t{0}, int64_t{1}, int64_t{7}, int64_t{8}, int64_t{1000},
          int64_t{1025}, (int64_t{1} << 40) + 5}) {
      SCOPED_TRACE(absl::StrCat(rows, " rows, ", shards, " shards"));
      int64_t end = 0;
      for (int shard = 0; shard < shards; ++shard) {
        const RowRange range = RowsOfShard(rows, shards, shard);
        EXPECT_EQ(range.begin, end);
        EXPECT_GE(range.size(), rows / shards);
        EXPECT_LE(range.size(), rows / shards + 1);
        end = range.end;
      }
      EXPECT_EQ(end, rows);
    }
  }
}

TEST(RowsOfRankTest, ARankHasTheRowsOfItsShards) {
  for (const int ranks : {1, 2, 4, 8}) {
    LocalGroup group(ranks);
    for (const int shards : {8, 32}) {
      for (const int64_t rows : {0, 1, 3, 7, 8, 9, 64, 1001}) {
        SCOPED_TRACE(absl::StrCat(rows, " rows, ", shards, " shards, ", ranks));
        int64_t end = 0;
        for (int rank = 0; rank < ranks; ++rank) {
          const DataParallel parallel = {.shards = shards,
                                         .communicator = &group.rank(rank)};
          const RowRange range = RowsOfRank(rows, parallel);
          EXPECT_EQ(range.begin, end);
          int64_t size = 0;
          for (int i = 0; i < parallel.shards_per_rank(); ++i) {
            size +=
                RowsOfShard(rows, shards, parallel.first_shard() + i).size();
          }
          EXPECT_EQ(range.size(), size);
          end = range.end;
        }
        EXPECT_EQ(end, rows);
      }
    }
  }
}

}  // namespace
}  // namespace tape
