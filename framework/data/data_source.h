// Data larger than memory: a source of samples that is read block by block, and
// its mini-batches. A block is a run of `window` samples; the next one is read by a
// thread while the batches of this one are trained on:
//
//   absl::StatusOr<ShardedSource> source = ShardedSource::Open(
//       {"part-0.safetensors", "part-1.safetensors"});
//   SourceSplits data = {.train = &*source, .window = 100000, .test = test};
//   absl::StatusOr<TrainResult> result = Train(model, data, options, progress);
//
// Tested by tests/data/data_source_test.cc, tests/train/data_source_test.cc and
// tests/train/data_source_kill_test.cc.
#ifndef TAPE_FRAMEWORK_DATA_DATA_SOURCE_H_
#define TAPE_FRAMEWORK_DATA_DATA_SOURCE_H_

#include <cstddef>
#include <cstdint>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/data/batches.h"
#include "framework/data/table.h"

namespace tape {

// A column of a source.
struct SourceColumn {
  std::string name;
  TensorType type;  // [n, …] of all its n samples.
};

class DataSource {
 public:
  virtual ~DataSource() = default;
  virtual const std::vector<SourceColumn>& columns() const = 0;
  // Samples, fewer than 2^32.
  virtual int64_t size() const = 0;
  // The samples from `begin` on, `count` of them, all of which are there: a table
  // with the source's columns in their order. The same call gives the same
  // numbers. Whoever reads beside others calls ReadAlone, as batches do, from
  // threads of their own.
  virtual absl::StatusOr<DataTable> Read(int64_t begin, int64_t count) = 0;
  // The same, one call at a time.
  absl::StatusOr<DataTable> ReadAlone(int64_t begin, int64_t count);

 private:
  // Null of what has been moved from.
  std::shared_ptr<std::mutex> mutex_ = std::make_shared<std::mutex>();
};

// Samples in several safetensors files, the shards, one after the other: each has
// the same arrays, [m, …] of any m samples. One shard is in memory at a time,
// beside the blocks that were read of it.
class ShardedSource : public DataSource {
 public:
  // Reads each file once, whole, one after the other, to know and check it.
  // Errors, which name the file: those of ReadSafetensors; no shard; an array of
  // a type that inputs do not have, or without an axis of samples; arrays of
  // different numbers of samples; others than the first file's.
  static absl::StatusOr<ShardedSource> Open(std::vector<std::string> paths);

  const std::vector<SourceColumn>& columns() const override { return columns_; }
  int64_t size() const override { return ends_.empty() ? 0 : ends_.back(); }
  // Errors: those of ReadSafetensors; a file that has changed since Open.
  absl::StatusOr<DataTable> Read(int64_t begin, int64_t count) override;

 private:
  ShardedSource() = default;
  absl::StatusOr<DataTable> ReadShard(size_t shard) const;

  std::vector<std::string> paths_;
  std::vector<int64_t> ends_;  // Of each shard: the samples up to its end.
  std::vector<SourceColumn> columns_;
  size_t loaded_ = 0;  // The shard in `rows_`, if that has columns.
  DataTable rows_;
};

// Batches of a source, as Batches makes them of a table, but for the order:
// kShuffled takes the blocks in a random order, and the samples of each block in
// a random order, both by (seed, epoch); kSampled is refused. A batch may have
// samples of several blocks. Memory is that of two blocks, one being read.
class SourceBatches : public BatchSequence {
 public:
  // `source` must outlive this object. `window`: samples of a block, at least 1.
  SourceBatches(DataSource& source, int64_t window, BatchOptions options);
  ~SourceBatches() override;

  // Errors besides those of Batches: those of DataSource::Read, and rows that are
  // not of the source's columns, from the call of Next on that needs them.
  const absl::Status& status() const override { return status_; }
  int64_t batches_per_epoch() const override;
  std::vector<int64_t> sizes() const override;
  void StartEpoch(int epoch) override;
  std::optional<Batch> Next() override;
  int64_t samples() const override { return next_; }
  BatchesState state() const override;
  absl::Status Restore(BatchesState state) override;

 private:
  int64_t BlockSize(int64_t block) const;
  // Takes the block that is the `place`-th of the epoch, and has the next one
  // read.
  absl::Status TakeBlock(int64_t place);
  // Has the block of that place read by a thread, unless it is.
  void Prefetch(int64_t place);
  // Waits for what is being read, and forgets it.
  void Drop();

  DataSource& source_;
  int64_t window_;
  BatchOptions options_;
  absl::Status status_;
  int epoch_ = 0;
  int64_t end_ = 0;               // Samples in the batches of an epoch.
  int64_t next_ = 0;              // How many of them there were so far.
  std::vector<uint32_t> blocks_;  // In the epoch's order.

  int64_t place_ = -1;           // Of the block in rows_; -1 if there is none.
  int64_t block_begin_ = 0;      // Samples of the epoch before it.
  DataTable rows_;               // The block.
  std::vector<uint32_t> order_;  // Of its samples.
  int64_t reading_ = -1;         // The place of the block that is being read.
  std::future<absl::StatusOr<DataTable>> read_;

  std::vector<std::vector<std::byte>> gathered_;  // By column.
  std::vector<TensorView> columns_;               // Of the last batch.
};

// What is trained on, and what is only measured.
struct SourceSplits {
  DataSource* train = nullptr;
  // Samples that are in memory, and shuffled, together.
  int64_t window = 10000;
  DataTable test = {};
  DataTable validation = {};
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DATA_DATA_SOURCE_H_
