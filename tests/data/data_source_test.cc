// Sources of samples and their batches (framework/data/data_source.h).
#include "framework/data/data_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/io/safetensors.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Shards of so many samples each: "id" counts them, "x" is [2 id, 2 id + 1].
std::vector<std::string> WriteShards(const std::vector<int>& sizes) {
  std::vector<std::string> paths;
  int32_t next = 0;
  for (size_t shard = 0; shard < sizes.size(); ++shard) {
    std::vector<int32_t> ids(sizes[shard]);
    std::iota(ids.begin(), ids.end(), next);
    std::vector<float> x;
    for (const int32_t id : ids) {
      x.insert(x.end(), {2.0f * static_cast<float>(id),
                         2.0f * static_cast<float>(id) + 1});
    }
    next += sizes[shard];
    const int64_t count = sizes[shard];
    const Tensor id_tensor({count}, ids), x_tensor({count, 2}, x);
    paths.push_back(absl::StrCat(
        testing::TempDir(), "/",
        testing::UnitTest::GetInstance()->current_test_info()->name(), "-",
        shard, ".safetensors"));
    EXPECT_TRUE(WriteSafetensors(paths.back(), {ViewOf("x", x_tensor),
                                                ViewOf("id", id_tensor)})
                    .ok());
  }
  return paths;
}

ShardedSource Open(const std::vector<std::string>& paths) {
  absl::StatusOr<ShardedSource> source = ShardedSource::Open(paths);
  EXPECT_TRUE(source.ok()) << source.status();
  return *std::move(source);
}

// The ids of a batch, whose other column must be theirs.
std::vector<int32_t> Ids(const Batch& batch) {
  const auto ids = batch.columns[0].values<int32_t>();
  const auto x = batch.columns[1].values<float>();
  EXPECT_EQ(static_cast<int64_t>(ids.size()), batch.size);
  for (size_t i = 0; i < ids.size(); ++i) {
    EXPECT_EQ(x[2 * i], 2.0f * static_cast<float>(ids[i]));
    EXPECT_EQ(x[2 * i + 1], 2.0f * static_cast<float>(ids[i]) + 1);
  }
  return {ids.begin(), ids.end()};
}

std::vector<int32_t> Rest(SourceBatches& batches) {
  std::vector<int32_t> all;
  while (const std::optional<Batch> batch = batches.Next()) {
    for (const int32_t id : Ids(*batch)) all.push_back(id);
  }
  EXPECT_TRUE(batches.status().ok()) << batches.status();
  return all;
}

std::vector<int32_t> Counted(int count) {
  std::vector<int32_t> all(count);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

TEST(ShardedSourceTest, ReadsAcrossShards) {
  ShardedSource source = Open(WriteShards({3, 1, 5}));
  EXPECT_EQ(source.size(), 9);
  ASSERT_EQ(source.columns().size(), 2u);
  EXPECT_EQ(source.columns()[0].name, "id");
  EXPECT_EQ(source.columns()[1].type, (TensorType{DType::kFloat32, {9, 2}}));
  for (int begin = 0; begin <= 9; ++begin) {
    for (int count = 0; begin + count <= 9; ++count) {
      const absl::StatusOr<DataTable> rows = source.Read(begin, count);
      ASSERT_TRUE(rows.ok()) << rows.status();
      const auto ids = rows->columns[0].values.values<int32_t>();
      ASSERT_EQ(static_cast<int>(ids.size()), count);
      for (int i = 0; i < count; ++i) EXPECT_EQ(ids[i], begin + i);
    }
  }
}

TEST(SourceBatchesTest, HaveEachSampleOnceAnEpoch) {
  ShardedSource source = Open(WriteShards({7, 6, 10}));
  for (const int window : {1, 4, 10, 23, 1000}) {
    SCOPED_TRACE(window);
    SourceBatches batches(source, window, {.batch_size = 5, .seed = 3});
    EXPECT_EQ(batches.batches_per_epoch(), 5);
    EXPECT_THAT(batches.sizes(), ElementsAre(5, 3));
    std::vector<std::vector<int32_t>> epochs;
    for (const int epoch : {1, 2, 1}) {
      batches.StartEpoch(epoch);
      epochs.push_back(Rest(batches));
      std::vector<int32_t> sorted = epochs.back();
      std::sort(sorted.begin(), sorted.end());
      EXPECT_EQ(sorted, Counted(23));
      EXPECT_NE(epochs.back(), Counted(23));
    }
    EXPECT_NE(epochs[0], epochs[1]);
    EXPECT_EQ(epochs[0], epochs[2]);
    SourceBatches other(source, window, {.batch_size = 5, .seed = 4});
    other.StartEpoch(1);
    EXPECT_NE(Rest(other), epochs[0]);
  }
}

TEST(SourceBatchesTest, MayBeInOrderAndWithoutTheLast) {
  ShardedSource source = Open(WriteShards({7, 6}));
  SourceBatches fixed(source, 4, {.batch_size = 5, .order = Order::kFixed});
  EXPECT_EQ(Rest(fixed), Counted(13));
  SourceBatches full(
      source, 4,
      {.batch_size = 5, .order = Order::kFixed, .last = LastBatch::kDrop});
  EXPECT_EQ(Rest(full), Counted(10));
}

TEST(SourceBatchesTest, GoOnFromBetweenAnyTwoBatches) {
  ShardedSource source = Open(WriteShards({7, 6, 10}));
  for (const int window : {3, 8, 50}) {
    SourceBatches whole(source, window, {.batch_size = 4, .seed = 1});
    whole.StartEpoch(5);
    const std::vector<int32_t> expected = Rest(whole);
    for (int made = 0; made <= 6; ++made) {
      SCOPED_TRACE(absl::StrCat(window, ", ", made));
      SourceBatches first(source, window, {.batch_size = 4, .seed = 1});
      first.StartEpoch(5);
      std::vector<int32_t> ids;
      for (int i = 0; i < made; ++i) {
        for (const int32_t id : Ids(*first.Next())) ids.push_back(id);
      }
      SourceBatches second(source, window, {.batch_size = 4, .seed = 1});
      ASSERT_TRUE(second.Restore(first.state()).ok());
      EXPECT_EQ(second.samples(), first.samples());
      for (const int32_t id : Rest(second)) ids.push_back(id);
      EXPECT_EQ(ids, expected);
    }
  }
}

TEST(SourceBatchesTest, RefuseWhatDoesNotFit) {
  ShardedSource source = Open(WriteShards({7, 6}));
  const auto refusal = [&](int64_t window, BatchOptions options) {
    SourceBatches batches(source, window, options);
    EXPECT_FALSE(batches.Next().has_value() && batches.status().ok());
    return std::string(batches.status().message());
  };
  EXPECT_THAT(refusal(0, {}), HasSubstr("a window of at least 1 sample"));
  EXPECT_THAT(refusal(4, {.batch_size = 0}), HasSubstr("a batch_size of 0"));
  EXPECT_THAT(refusal(4, {.order = Order::kSampled}), HasSubstr("kSampled"));
  SourceBatches batches(source, 4, {.batch_size = 5});
  EXPECT_THAT(std::string(batches.Restore({.samples = 3}).message()),
              HasSubstr("a place between the batches of 13 samples by 5"));
  EXPECT_THAT(std::string(batches.Restore({.order = {1}}).message()),
              HasSubstr("found that in a table"));
}

TEST(ShardedSourceTest, RefusesShardsThatDoNotFit) {
  const auto refusal = [](const std::vector<std::string>& paths) {
    return std::string(ShardedSource::Open(paths).status().message());
  };
  EXPECT_THAT(refusal({}), HasSubstr("expected at least one shard"));
  std::vector<std::string> paths = WriteShards({2, 3});
  const Tensor wide(TensorType{DType::kFloat32, {3, 5}});
  const Tensor ids(TensorType{DType::kInt32, {3}});
  const Tensor two(TensorType{DType::kInt32, {2}});
  const auto write = [&](const std::vector<StoredArray>& arrays) {
    ASSERT_TRUE(WriteSafetensors(paths[1], arrays).ok());
  };
  write({ViewOf("x", wide), ViewOf("id", ids)});
  EXPECT_THAT(refusal(paths),
              HasSubstr(absl::StrCat(paths[1],
                                     ": expected \"x\" [batch,2], found \"x\" "
                                     "[batch,5]")));
  write({ViewOf("id", ids)});
  EXPECT_THAT(refusal(paths), HasSubstr("expected 2 columns, found 1"));
  write({ViewOf("x", wide), ViewOf("id", two)});
  EXPECT_THAT(refusal(paths), HasSubstr(paths[1]));
  WriteText(paths[1], "no shard");
  EXPECT_THAT(refusal(paths), HasSubstr(paths[1]));
}

TEST(SourceBatchesTest, EndWithTheErrorOfAFileThatHasChanged) {
  const std::vector<std::string> paths = WriteShards({4, 4});
  ShardedSource source = Open(paths);
  SourceBatches batches(source, 4, {.batch_size = 4, .order = Order::kFixed});
  ASSERT_TRUE(batches.Next().has_value());
  WriteText(paths[1], "no shard");
  // The second block may have been read already.
  SourceBatches later(source, 4, {.batch_size = 4, .order = Order::kFixed});
  while (later.Next().has_value()) {
  }
  EXPECT_THAT(std::string(later.status().message()), HasSubstr(paths[1]));
  EXPECT_FALSE(later.Next().has_value());
}

}  // namespace
}  // namespace tape
