// Mini-batches (batches.h). In goes a data set, out come views of its rows, or
// of rows gathered at random. Tested by tests/data/batches_test.cc.
#include "framework/data/batches.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/random.h"
#include "framework/core/tensor_type.h"
#include "framework/core/text.h"

namespace tape {
namespace internal {

absl::Status CheckBatchSize(int64_t batch_size) {
  if (batch_size >= 1) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("expected batches of at least 1 sample, found a "
                   "batch_size of ",
                   batch_size));
}

int64_t SamplesPerEpoch(int64_t samples, const BatchOptions& options) {
  const int64_t full = samples / options.batch_size;
  if (options.order == Order::kSampled) return full * options.batch_size;
  switch (options.last) {
    case LastBatch::kKeep:
      return samples;
    case LastBatch::kDrop:
      return full * options.batch_size;
    case LastBatch::kDropAlsoFull:
      return std::max<int64_t>(full - 1, 0) * options.batch_size;
  }
  return 0;
}

std::vector<int64_t> BatchSizes(int64_t samples, int64_t batch_size) {
  std::vector<int64_t> sizes;
  if (samples >= batch_size) sizes.push_back(batch_size);
  const int64_t rest = samples % batch_size;
  if (rest > 0) sizes.push_back(rest);
  return sizes;
}

absl::Status CheckPlace(int64_t place, int64_t samples, int64_t batch_size) {
  const bool at_a_batch = place % batch_size == 0 || place == samples;
  if (place >= 0 && place <= samples && at_a_batch) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("expected a place between the batches of ", samples,
                   " samples by ", batch_size, ", found ", place));
}

}  // namespace internal

namespace {

// What an epoch's order and draws are drawn from.
RandomStream RandomOf(int epoch, uint64_t seed) {
  return RandomStream(seed, StreamOf(absl::StrCat("batches/epoch ", epoch)));
}

}  // namespace

int64_t Batches::Source::row_bytes() const {
  const int64_t samples = std::max<int64_t>(type.shape[0], 1);
  return static_cast<int64_t>(type.bytes()) / samples;
}

void Batches::Source::Gather(absl::Span<const uint32_t> samples,
                             RowRange range) {
  const auto* const from = static_cast<const std::byte*>(values->data());
  const int64_t bytes = row_bytes();
  const int64_t rows = range.end;
  for (int64_t row = range.begin; row < rows; ++row) {
    // Samples lie anywhere in more memory than caches hold: ask for the one
    // that comes kAhead rows later, so that it is there in time.
    constexpr int64_t kAhead = 4, kCacheLine = 64;
    if (row + kAhead < rows) {
      const std::byte* const later = from + samples[row + kAhead] * bytes;
      for (int64_t line = 0; line < bytes; line += kCacheLine) {
        __builtin_prefetch(later + line);
      }
    }
    std::copy_n(from + samples[row] * bytes, bytes,
                gathered.data() + row * bytes);
  }
}

Batches::Batches(const Dataset& dataset, BatchOptions options)
    : options_(options) {
  sources_.push_back({&dataset.images, dataset.images.type(), "images"});
  sources_.push_back({&dataset.labels, dataset.labels.type(), "labels"});
  Begin(CheckDataset(dataset), dataset.size());
}

Batches::Batches(const DataTable& table, BatchOptions options)
    : table_(&table), options_(options) {
  for (const Column& column : table.columns) {
    sources_.push_back({&column.values, column.values.type(), column.name});
  }
  Begin(CheckDataTable(table), table.size());
}

void Batches::Begin(absl::Status status, int64_t samples) {
  status_ = std::move(status);
  status_.Update(internal::CheckBatchSize(options_.batch_size));
  if (!status_.ok()) {
    options_ = {.batch_size = 1, .order = Order::kFixed};
    return;
  }
  end_ = internal::SamplesPerEpoch(samples, options_);
  if (options_.order != Order::kFixed) {
    const int64_t rows = std::min(options_.batch_size, samples);
    order_.resize(samples);
    for (Source& source : sources_) {
      source.gathered.resize(rows * source.row_bytes());
    }
  }
  for (Source& source : sources_) {
    const absl::Span<const int64_t> dims = source.type.shape.dims();
    absl::InlinedVector<int64_t, 4> batch(dims.begin(), dims.end());
    batch[0] = kBatch;
    source.batch_shape = Shape(batch);
  }
  columns_.assign(std::max<size_t>(sources_.size(), 2),
                  TensorView(TensorType{}, nullptr));
  StartEpoch(0);
}

int64_t Batches::batches_per_epoch() const {
  // Rounded up without adding, since batch_size may be as large as can be.
  return end_ / options_.batch_size + (end_ % options_.batch_size > 0 ? 1 : 0);
}

std::vector<int64_t> Batches::sizes() const {
  return internal::BatchSizes(end_, options_.batch_size);
}

void Batches::StartEpoch(int epoch) {
  epoch_ = epoch;
  next_ = 0;
  if (options_.order == Order::kFixed) return;
  // From the data set's own order, not from the last epoch's.
  std::iota(order_.begin(), order_.end(), 0);
  random_ = RandomOf(epoch, options_.seed);
  if (options_.order == Order::kShuffled) Shuffle(random_, order_);
}

BatchesState Batches::state() const {
  return {.epoch = epoch_,
          .samples = next_,
          .random = random_.position(),
          .order = order_};
}

absl::Status Batches::Restore(BatchesState state) {
  if (absl::Status status =
          internal::CheckPlace(state.samples, end_, options_.batch_size);
      !status.ok()) {
    return status;
  }
  std::vector<bool> seen(order_.size());
  for (const uint32_t sample : state.order) {
    if (sample < seen.size()) seen[sample] = true;
  }
  if (state.order.size() != order_.size() ||
      std::count(seen.begin(), seen.end(), false) > 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected an order of ", order_.size(),
                     " samples, found another one, of ", state.order.size()));
  }
  epoch_ = state.epoch;
  next_ = state.samples;
  order_ = std::move(state.order);
  random_ = RandomOf(epoch_, options_.seed);
  random_.SkipBits(state.random);
  return absl::OkStatus();
}

// The first `size` steps of a Fisher-Yates shuffle: what comes to the front is
// a fair draw from any order, hence also from the one the last batch left.
void Batches::DrawToFront(int64_t size) {
  const auto samples = static_cast<uint32_t>(order_.size());
  for (uint32_t row = 0; row < size; ++row) {
    std::swap(order_[row], order_[row + random_.Below(samples - row)]);
  }
}

bool Batches::FindSources() {
  if (table_ != nullptr && table_->columns.size() != sources_.size()) {
    return false;
  }
  for (size_t i = 0; i < sources_.size(); ++i) {
    if (table_ != nullptr) sources_[i].values = &table_->columns[i].values;
    if (!(sources_[i].values->type() == sources_[i].type)) return false;
  }
  return true;
}

absl::Status Batches::Changed() const {
  std::vector<std::string> expected, found;
  for (const Source& source : sources_) {
    expected.push_back(
        absl::StrCat(Printable(source.name), " ", source.type.ToString()));
  }
  if (table_ != nullptr) {
    for (const Column& column : table_->columns) {
      found.push_back(column.values.type().ToString());
    }
  } else {
    for (const Source& source : sources_) {
      found.push_back(source.values->type().ToString());
    }
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "expected the data set that the batches were made of, ",
      absl::StrJoin(expected, " and "), ", found it changed to ",
      found.empty() ? "no column" : absl::StrJoin(found, " and ")));
}

std::optional<Batch> Batches::Next() {
  if (next_ == end_) return std::nullopt;
  if (!FindSources()) {
    status_ = Changed();
    next_ = end_ = 0;
    return std::nullopt;
  }
  const int64_t size = std::min(options_.batch_size, end_ - next_);
  const bool is_fixed = options_.order == Order::kFixed;
  const bool is_sampled = options_.order == Order::kSampled;
  if (is_sampled) DrawToFront(size);
  for (size_t i = 0; i < sources_.size(); ++i) {
    Source& source = sources_[i];
    const std::byte* rows = source.gathered.data();
    if (is_fixed) {
      rows = static_cast<const std::byte*>(source.values->data()) +
             next_ * source.row_bytes();
    } else {
      source.Gather(
          absl::MakeConstSpan(order_).subspan(is_sampled ? 0 : next_, size),
          source.name == options_.whole_column
              ? RowRange{0, size}
              : RowsOfRank(size, options_.parallel));
    }
    columns_[i] =
        TensorView({source.type.dtype, source.batch_shape.Bind(size)}, rows);
  }
  next_ += size;
  return Batch{.images = columns_[0],
               .labels = columns_[1],
               .size = size,
               .columns = absl::MakeConstSpan(columns_).first(sources_.size())};
}

}  // namespace tape
