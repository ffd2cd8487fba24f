// Sources of samples (data_source.h). Tested by tests/data/data_source_test.cc and
// tests/train/data_source_test.cc.
#include "framework/data/data_source.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "framework/core/exceptions.h"
#include "framework/core/random.h"
#include "framework/io/files.h"
#include "framework/io/safetensors.h"

namespace tape {
namespace {

// `type` with another number of samples, or kBatch.
TensorType WithSamples(const TensorType& type, int64_t samples) {
  absl::InlinedVector<int64_t, 4> dims(type.shape.dims().begin(),
                                       type.shape.dims().end());
  dims[0] = samples;
  return {type.dtype, Shape(dims)};
}

size_t RowBytes(const TensorType& type) { return WithSamples(type, 1).bytes(); }

absl::StatusOr<DType> DTypeOfArray(const StoredArray& array) {
  switch (array.type) {
    case StoredType::kFloat32:
      return DType::kFloat32;
    case StoredType::kInt32:
      return DType::kInt32;
    case StoredType::kUint8:
      return DType::kUint8;
    default:
      return WrongData(ArrayText(array.name), "float32, int32 or uint8",
                       Name(array.type));
  }
}

// The arrays of a shard as columns, in the order of their names.
absl::StatusOr<DataTable> TableOf(const SafetensorsFile& file) {
  DataTable table;
  for (const StoredArray& array : file.arrays) {
    const absl::StatusOr<DType> dtype = DTypeOfArray(array);
    if (!dtype.ok()) return dtype.status();
    absl::StatusOr<Tensor> values = ToTensor(array, *dtype);
    if (!values.ok()) return values.status();
    table.columns.push_back({array.name, *std::move(values)});
  }
  std::sort(table.columns.begin(), table.columns.end(),
            [](const Column& a, const Column& b) { return a.name < b.name; });
  if (absl::Status status = CheckDataTable(table); !status.ok()) return status;
  return table;
}

// "x [batch,4]".
std::string ColumnText(const std::string& name, const TensorType& type) {
  return absl::StrCat(Quoted(name, 40), " ",
                      WithSamples(type, kBatch).ToString());
}

// Whether a table has a source's columns, of any number of samples.
absl::Status CheckColumns(const DataTable& table,
                          const std::vector<SourceColumn>& columns) {
  if (table.columns.size() != columns.size()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected ", columns.size(), " columns, found ", table.columns.size()));
  }
  for (size_t i = 0; i < columns.size(); ++i) {
    const Column& found = table.columns[i];
    const std::string is = found.values.shape().rank() == 0
                               ? "another"
                               : ColumnText(found.name, found.values.type());
    const std::string expected = ColumnText(columns[i].name, columns[i].type);
    if (is == expected) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("expected ", expected, ", found ", is));
  }
  return absl::OkStatus();
}

absl::Status InFile(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(path, ": ", status.message()));
}

}  // namespace

absl::StatusOr<DataTable> DataSource::ReadAlone(int64_t begin, int64_t count) {
  const std::shared_ptr<std::mutex> mutex = mutex_;
  if (mutex == nullptr) {
    return absl::FailedPreconditionError(
        "DataSource: the source has been moved from");
  }
  const std::lock_guard<std::mutex> lock(*mutex);
  return Read(begin, count);
}

// ---- Shards ----

absl::StatusOr<DataTable> ShardedSource::ReadShard(size_t shard) const {
  const std::string& path = paths_[shard];
  const absl::StatusOr<SafetensorsFile> file = ReadSafetensors(path);
  if (!file.ok()) return file.status();
  absl::StatusOr<DataTable> table = TableOf(*file);
  if (!table.ok()) return InFile(path, table.status());
  if (!columns_.empty()) {
    if (absl::Status status = CheckColumns(*table, columns_); !status.ok()) {
      return InFile(path, status);
    }
  }
  return table;
}

absl::StatusOr<ShardedSource> ShardedSource::Open(
    std::vector<std::string> paths) try {
  if (paths.empty()) {
    return absl::InvalidArgumentError(
        "ShardedSource: expected at least one shard, found none");
  }
  ShardedSource source;
  source.paths_ = std::move(paths);
  for (size_t shard = 0; shard < source.paths_.size(); ++shard) {
    const absl::StatusOr<DataTable> table = source.ReadShard(shard);
    if (!table.ok()) return table.status();
    if (table->columns.empty()) {
      return WrongData(source.paths_[shard], "arrays", "none");
    }
    if (shard == 0) {
      for (const Column& column : table->columns) {
        source.columns_.push_back({column.name, column.values.type()});
      }
    }
    source.ends_.push_back(source.size() + table->size());
  }
  for (SourceColumn& column : source.columns_) {
    column.type = WithSamples(column.type, source.size());
  }
  return source;
} catch (...) {
  return CaughtStatus("ShardedSource");
}

absl::StatusOr<DataTable> ShardedSource::Read(int64_t begin, int64_t count) {
  DataTable block;
  for (const SourceColumn& column : columns_) {
    absl::StatusOr<Tensor> values =
        Tensor::Make(WithSamples(column.type, count));
    if (!values.ok()) return values.status();
    block.columns.push_back({column.name, *std::move(values)});
  }
  for (int64_t done = 0; done < count;) {
    const auto shard = static_cast<size_t>(
        std::upper_bound(ends_.begin(), ends_.end(), begin + done) -
        ends_.begin());
    const int64_t first = shard == 0 ? 0 : ends_[shard - 1];
    if (rows_.columns.empty() || loaded_ != shard) {
      rows_ = {};
      absl::StatusOr<DataTable> rows = ReadShard(shard);
      if (!rows.ok()) return rows.status();
      if (rows->size() != ends_[shard] - first) {
        return WrongData(
            paths_[shard],
            absl::StrCat(ends_[shard] - first, " samples, as it was opened"),
            absl::StrCat(rows->size()));
      }
      rows_ = *std::move(rows);
      loaded_ = shard;
    }
    const int64_t from = begin + done - first;
    const int64_t some = std::min(count - done, rows_.size() - from);
    for (size_t i = 0; i < columns_.size(); ++i) {
      const size_t bytes = RowBytes(columns_[i].type);
      std::memcpy(
          static_cast<std::byte*>(block.columns[i].values.data()) +
              static_cast<size_t>(done) * bytes,
          static_cast<const std::byte*>(rows_.columns[i].values.data()) +
              static_cast<size_t>(from) * bytes,
          static_cast<size_t>(some) * bytes);
    }
    done += some;
  }
  return block;
}

// ---- Batches ----

SourceBatches::SourceBatches(DataSource& source, int64_t window,
                             BatchOptions options)
    : source_(source), window_(window), options_(options) {
  status_ = internal::CheckBatchSize(options_.batch_size);
  if (window_ < 1) {
    status_.Update(absl::InvalidArgumentError(absl::StrCat(
        "expected a window of at least 1 sample, found ", window_)));
  }
  if (options_.order == Order::kSampled) {
    status_.Update(absl::InvalidArgumentError(
        "expected the order kFixed or kShuffled of a data source, found "
        "kSampled"));
  }
  if (!status_.ok()) {
    options_ = {.batch_size = 1, .order = Order::kFixed};
    return;
  }
  window_ = std::min(window_, std::max<int64_t>(source_.size(), 1));
  end_ = internal::SamplesPerEpoch(source_.size(), options_);
  blocks_.resize((source_.size() + window_ - 1) / window_);
  const int64_t rows = std::min(options_.batch_size, source_.size());
  for (const SourceColumn& column : source_.columns()) {
    gathered_.emplace_back(static_cast<size_t>(rows) * RowBytes(column.type));
  }
  columns_.assign(std::max<size_t>(gathered_.size(), 2),
                  TensorView(TensorType{}, nullptr));
  StartEpoch(0);
}

SourceBatches::~SourceBatches() { Drop(); }

void SourceBatches::Drop() {
  if (read_.valid()) read_.wait();
  read_ = {};
  reading_ = -1;
}

int64_t SourceBatches::batches_per_epoch() const {
  return end_ / options_.batch_size + (end_ % options_.batch_size > 0 ? 1 : 0);
}

std::vector<int64_t> SourceBatches::sizes() const {
  return internal::BatchSizes(end_, options_.batch_size);
}

int64_t SourceBatches::BlockSize(int64_t block) const {
  return std::min(window_, source_.size() - block * window_);
}

void SourceBatches::StartEpoch(int epoch) {
  Drop();
  epoch_ = epoch;
  next_ = 0;
  place_ = -1;
  block_begin_ = 0;
  rows_ = {};
  std::iota(blocks_.begin(), blocks_.end(), 0);
  if (options_.order != Order::kShuffled) return;
  RandomStream random(options_.seed,
                      StreamOf(absl::StrCat("source/epoch ", epoch)));
  Shuffle(random, blocks_);
}

void SourceBatches::Prefetch(int64_t place) {
  if (reading_ == place || place >= static_cast<int64_t>(blocks_.size())) {
    return;
  }
  Drop();
  const int64_t block = blocks_[place];
  reading_ = place;
  read_ = std::async(std::launch::async,
                     [this, begin = block * window_,
                      count = BlockSize(block)]() -> absl::StatusOr<DataTable> {
                       try {
                         return source_.ReadAlone(begin, count);
                       } catch (...) {
                         return CaughtStatus("DataSource::Read");
                       }
                     });
}

absl::Status SourceBatches::TakeBlock(int64_t place) {
  Prefetch(place);
  absl::StatusOr<DataTable> rows = read_.get();
  reading_ = -1;
  if (!rows.ok()) return rows.status();
  const int64_t block = blocks_[place];
  const int64_t size = BlockSize(block);
  absl::Status status = CheckColumns(*rows, source_.columns());
  if (status.ok() && rows->size() != size) {
    status = absl::InvalidArgumentError(
        absl::StrCat("expected ", size, " samples, found ", rows->size()));
  }
  if (!status.ok()) {
    return absl::Status(status.code(),
                        absl::StrCat("DataSource::Read: ", status.message()));
  }
  rows_ = *std::move(rows);
  place_ = place;
  Prefetch(place + 1);
  order_.resize(size);
  std::iota(order_.begin(), order_.end(), 0);
  if (options_.order != Order::kShuffled) return absl::OkStatus();
  RandomStream random(
      options_.seed,
      StreamOf(absl::StrCat("source/epoch ", epoch_, "/block ", block)));
  Shuffle(random, order_);
  return absl::OkStatus();
}

std::optional<Batch> SourceBatches::Next() {
  if (next_ == end_) return std::nullopt;
  const int64_t size = std::min(options_.batch_size, end_ - next_);
  absl::InlinedVector<size_t, 8> row_bytes;
  for (const SourceColumn& column : source_.columns()) {
    row_bytes.push_back(RowBytes(column.type));
  }
  const RowRange own = RowsOfRank(size, options_.parallel);
  for (int64_t row = 0; row < size; ++row) {
    while (place_ < 0 ||
           next_ + row >= block_begin_ + static_cast<int64_t>(order_.size())) {
      if (place_ >= 0) block_begin_ += static_cast<int64_t>(order_.size());
      if (absl::Status status = TakeBlock(place_ + 1); !status.ok()) {
        status_ = status;
        next_ = end_ = 0;
        return std::nullopt;
      }
    }
    const size_t from = order_[next_ + row - block_begin_];
    const bool is_own = row >= own.begin && row < own.end;
    for (size_t i = 0; i < gathered_.size(); ++i) {
      if (!is_own && source_.columns()[i].name != options_.whole_column) {
        continue;
      }
      const Tensor& values = rows_.columns[i].values;
      const size_t bytes = row_bytes[i];
      std::memcpy(gathered_[i].data() + static_cast<size_t>(row) * bytes,
                  static_cast<const std::byte*>(values.data()) + from * bytes,
                  bytes);
    }
  }
  for (size_t i = 0; i < gathered_.size(); ++i) {
    columns_[i] = TensorView(WithSamples(source_.columns()[i].type, size),
                             gathered_[i].data());
  }
  next_ += size;
  return Batch{
      .images = columns_[0],
      .labels = columns_[1],
      .size = size,
      .columns = absl::MakeConstSpan(columns_).first(gathered_.size())};
}

BatchesState SourceBatches::state() const {
  return {.epoch = epoch_, .samples = next_};
}

absl::Status SourceBatches::Restore(BatchesState state) {
  if (absl::Status status =
          internal::CheckPlace(state.samples, end_, options_.batch_size);
      !status.ok()) {
    return status;
  }
  if (!state.order.empty() || state.random != 0) {
    return absl::InvalidArgumentError(
        "expected the place in a data source, found that in a table");
  }
  StartEpoch(state.epoch);
  next_ = state.samples;
  // To the block that has the next sample.
  int64_t place = 0;
  const auto count = static_cast<int64_t>(blocks_.size());
  while (place < count && block_begin_ + BlockSize(blocks_[place]) <= next_) {
    block_begin_ += BlockSize(blocks_[place++]);
  }
  if (place == count) return absl::OkStatus();  // At the end.
  return TakeBlock(place);
}

}  // namespace tape
