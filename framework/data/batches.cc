// Mini-batches (batches.h). In goes a data set, out come views of its rows, or
// of rows gathered at random. Tested by tests/data/batches_test.cc.
#include "framework/data/batches.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

#include "absl/strings/str_cat.h"
#include "framework/core/random.h"
#include "framework/core/tensor_type.h"

namespace tape {
namespace {

// How many samples the batches of an epoch over `samples` have together.
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

// What an epoch's order and draws are drawn from.
RandomStream RandomOf(int epoch, uint64_t seed) {
  return RandomStream(seed, StreamOf(absl::StrCat("batches/epoch ", epoch)));
}

}  // namespace

Batches::Batches(const Dataset& dataset, BatchOptions options)
    : dataset_(&dataset),
      options_(options),
      images_type_(dataset.images.type()),
      labels_type_(dataset.labels.type()) {
  status_ = CheckDataset(dataset);
  if (options.batch_size < 1) {
    status_.Update(absl::InvalidArgumentError(
        absl::StrCat("expected batches of at least 1 sample, found a "
                     "batch_size of ",
                     options.batch_size)));
  }
  if (!status_.ok()) {
    options_ = {.batch_size = 1, .order = Order::kFixed};
    end_ = 0;
    return;
  }
  const int64_t samples = dataset.size();
  end_ = SamplesPerEpoch(samples, options);
  if (options.order != Order::kFixed) {
    const int64_t rows = std::min(options.batch_size, samples);
    order_.resize(samples);
    images_.resize(rows * dataset.pixels() * SizeOf(dataset.images.dtype()));
    labels_.resize(rows);
  }
  StartEpoch(0);
}

int64_t Batches::batches_per_epoch() const {
  // Rounded up without adding, since batch_size may be as large as can be.
  return end_ / options_.batch_size + (end_ % options_.batch_size > 0 ? 1 : 0);
}

std::vector<int64_t> Batches::sizes() const {
  std::vector<int64_t> sizes;
  if (end_ >= options_.batch_size) sizes.push_back(options_.batch_size);
  const int64_t rest = end_ % options_.batch_size;
  if (rest > 0) sizes.push_back(rest);
  return sizes;
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
  const bool at_a_batch =
      state.samples % options_.batch_size == 0 || state.samples == end_;
  if (state.samples < 0 || state.samples > end_ || !at_a_batch) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected a place between the batches of ", end_, " samples by ",
        options_.batch_size, ", found ", state.samples));
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

std::optional<Batch> Batches::Next() {
  if (next_ == end_) return std::nullopt;
  if (!(dataset_->images.type() == images_type_ &&
        dataset_->labels.type() == labels_type_)) {
    status_ = absl::FailedPreconditionError(absl::StrCat(
        "expected the data set that the batches were made of, images ",
        images_type_.ToString(), " and labels ", labels_type_.ToString(),
        ", found it changed to ", dataset_->images.type().ToString(), " and ",
        dataset_->labels.type().ToString()));
    next_ = end_ = 0;
    return std::nullopt;
  }
  const int64_t size = std::min(options_.batch_size, end_ - next_);
  const DType dtype = dataset_->images.dtype();
  const int64_t pixels = dataset_->pixels();
  const int64_t bytes = pixels * static_cast<int64_t>(SizeOf(dtype));
  const auto* images = static_cast<const std::byte*>(dataset_->images.data());
  const int32_t* labels = dataset_->labels.values<int32_t>().data();
  if (options_.order == Order::kFixed) {
    images += next_ * bytes;
    labels += next_;
  } else {
    const bool sampled = options_.order == Order::kSampled;
    if (sampled) DrawToFront(size);
    const uint32_t* samples = order_.data() + (sampled ? 0 : next_);
    for (int64_t row = 0; row < size; ++row) {
      const int64_t sample = samples[row];
      // Samples lie anywhere in more memory than caches hold: ask for the one
      // that comes kAhead rows later, so that it is there in time.
      constexpr int64_t kAhead = 4, kCacheLine = 64;
      if (row + kAhead < size) {
        const std::byte* const later = images + samples[row + kAhead] * bytes;
        for (int64_t line = 0; line < bytes; line += kCacheLine) {
          __builtin_prefetch(later + line);
        }
      }
      std::copy_n(images + sample * bytes, bytes, images_.data() + row * bytes);
      labels_[row] = labels[sample];
    }
    images = images_.data();
    labels = labels_.data();
  }
  next_ += size;
  return Batch{.images = TensorView({dtype, {size, pixels}}, images),
               .labels = TensorView({DType::kInt32, {size}}, labels),
               .size = size};
}

}  // namespace tape
