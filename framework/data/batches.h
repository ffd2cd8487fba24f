// Mini-batches of a data set, epoch by epoch:
//
//   Batches batches(data.train, {.batch_size = 64, .seed = 7});
//   for (int epoch = 0; epoch < epochs; ++epoch) {
//     batches.StartEpoch(epoch);
//     while (std::optional<Batch> batch = batches.Next()) {
//       plan.Run({{x, batch->images}, {label, batch->labels}});
//     }
//   }
//
// Tested by tests/batches_test.cc.
#ifndef TAPE_FRAMEWORK_DATA_BATCHES_H_
#define TAPE_FRAMEWORK_DATA_BATCHES_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "framework/core/tensor.h"
#include "framework/data/dataset.h"

namespace tape {

// In what order an epoch goes through the samples.
enum class Order {
  kFixed,     // As they stand in the data set.
  kShuffled,  // In a random order, another one each epoch.
};

// What becomes of the last samples of an epoch if they do not fill a batch.
enum class LastBatch {
  kKeep,  // They are a smaller batch.
  kDrop,  // They are left out, so that every batch has the same size.
};

struct BatchOptions {
  int64_t batch_size = 64;  // Samples, at least 1.
  Order order = Order::kShuffled;
  LastBatch last = LastBatch::kKeep;
  uint64_t seed = 0;  // Of the shuffled orders.
};

struct Batch {
  TensorView images;  // uint8 [size, pixels]
  TensorView labels;  // int32 [size]
  int64_t size;       // Samples, at least 1.
};

class Batches {
 public:
  // Stands at the start of epoch 0. `dataset` must outlive this object and hold
  // fewer than 2^32 samples. A batch_size below 1 is a bug of the caller: one
  // that takes it from its user checks it before. It may exceed the data set:
  // then an epoch is one smaller batch (kKeep) or none (kDrop).
  Batches(const Dataset& dataset, BatchOptions options);
  Batches(Dataset&& dataset, BatchOptions options) = delete;  // Would dangle.

  int64_t batches_per_epoch() const;

  // Goes to the start of an epoch. Its order depends on (seed, epoch) alone, so
  // a resumed training sees what an uninterrupted one would have seen.
  void StartEpoch(int epoch);

  // The next batch of the epoch, or nothing at its end. Never allocates. If the
  // order is fixed, the batch is a view of the data set; otherwise it is a copy
  // that the next call of Next overwrites.
  std::optional<Batch> Next();

 private:
  const Dataset* dataset_;
  BatchOptions options_;
  int64_t end_;       // Samples an epoch goes through.
  int64_t next_ = 0;  // How many of them it has gone through.
  // Empty if the order is fixed.
  std::vector<uint32_t> order_;
  std::vector<uint8_t> images_;
  std::vector<int32_t> labels_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DATA_BATCHES_H_
