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
// Tested by tests/data/batches_test.cc.
#ifndef TAPE_FRAMEWORK_DATA_BATCHES_H_
#define TAPE_FRAMEWORK_DATA_BATCHES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "framework/core/random.h"
#include "framework/core/tensor.h"
#include "framework/data/dataset.h"
#include "framework/data/table.h"
#include "framework/distributed/data_parallel.h"

namespace tape {

// Which samples an epoch's batches have, and in what order.
enum class Order {
  kFixed,     // All, as they stand in the data set.
  kShuffled,  // All, in a random order, another one each epoch.
  // Each batch is drawn afresh: batch_size distinct samples at random from the
  // whole data set, whatever the other batches have. So an epoch may have one
  // sample several times and another one never. It has size / batch_size
  // batches, rounded down: none if batch_size exceeds the data set. LastBatch
  // has no say, since every batch is full.
  kSampled,
};

// What becomes of the last samples of an epoch if they do not fill a batch.
enum class LastBatch {
  kKeep,  // They are a smaller batch.
  kDrop,  // They are left out, so that every batch has the same size.
  // They are left out, and so is the last full batch, even if no short batch
  // follows: size / batch_size - 1 batches, the quotient rounded down. For
  // reproducing programs whose loop ends one batch early.
  kDropAlsoFull,
};

struct BatchOptions {
  int64_t batch_size = 64;  // Samples, at least 1.
  Order order = Order::kShuffled;
  LastBatch last = LastBatch::kKeep;
  uint64_t seed = 0;  // Of what is random.
  // Of each batch, only the rows that this rank has (RowsOfRank) are copied where
  // rows are copied: the others' are undefined. But of the column `whole_column`
  // all are.
  DataParallel parallel = {};
  std::string whole_column = "";
};

struct Batch {
  // Of a data set of images, which has these two columns; of a table its first.
  TensorView images;  // [size, pixels], of the data set's dtype
  TensorView labels;  // int32 [size]
  int64_t size;       // Samples, at least 1.
  // Of a table's columns, in their order: [size, …]. Those of a data set of
  // images are these two.
  absl::Span<const TensorView> columns = {};
};

// Where an epoch stands between two batches: enough to go on from there, in
// another process too.
struct BatchesState {
  int epoch = 0;
  int64_t samples = 0;  // In the batches so far.
  uint64_t random = 0;  // RandomStream::position of what is drawn from.
  std::vector<uint32_t> order = {};  // Of all samples; empty if it is fixed.
};

// The batches of a training set, whatever they are read from.
class BatchSequence {
 public:
  virtual ~BatchSequence() = default;
  // OK, or why there is no batch.
  virtual const absl::Status& status() const = 0;
  virtual int64_t batches_per_epoch() const = 0;
  // The sizes that an epoch's batches have, each once, the first batch's first.
  virtual std::vector<int64_t> sizes() const = 0;
  // Goes to the start of an epoch. What is random of it depends on
  // (seed, epoch) alone, so a resumed training sees what an uninterrupted one
  // would have seen.
  virtual void StartEpoch(int epoch) = 0;
  // The next batch of the epoch, which the next call may overwrite, or nothing at
  // its end.
  virtual std::optional<Batch> Next() = 0;
  // How many samples the batches of the epoch had so far.
  virtual int64_t samples() const = 0;
  virtual BatchesState state() const = 0;
  // Goes to where another object with the same options and as many samples was.
  // The error, which changes nothing: `state` is not of such an object.
  virtual absl::Status Restore(BatchesState state) = 0;
};

class Batches : public BatchSequence {
 public:
  // Stands at the start of epoch 0. `dataset` must outlive this object. The
  // batch_size may exceed the data set: then an epoch is one smaller batch
  // (kKeep) or none (any other LastBatch, or kSampled).
  Batches(const Dataset& dataset, BatchOptions options);
  Batches(Dataset&& dataset, BatchOptions options) = delete;  // Would dangle.
  // The same of a table.
  Batches(const DataTable& table, BatchOptions options);
  Batches(DataTable&& table, BatchOptions options) = delete;

  // An error if a data set is not as CheckDataset or CheckDataTable wants it, or a
  // batch has no sample. Then there is no batch. kFailedPrecondition from the call
  // of Next on that finds a data set of other types than at the start: moved from,
  // or another one. Then there is none from that call on.
  const absl::Status& status() const override { return status_; }

  int64_t batches_per_epoch() const override;
  std::vector<int64_t> sizes() const override;
  void StartEpoch(int epoch) override;

  // The next batch of the epoch, or nothing at its end. Never allocates, and
  // takes no longer for a larger data set. If the order is fixed, the batch is
  // a view of the data set; otherwise it is a copy that the next call of Next
  // overwrites.
  std::optional<Batch> Next() override;

  int64_t samples() const override { return next_; }
  BatchesState state() const override;
  absl::Status Restore(BatchesState state) override;

 private:
  // A column of what the batches are made of.
  struct Source {
    const Tensor* values;
    TensorType type;  // At the start.
    std::string name;
    Shape batch_shape = {};                // With kBatch for the samples.
    std::vector<std::byte> gathered = {};  // Unless the order is fixed.

    int64_t row_bytes() const;
    // Copies the rows of a range of the batch, of its samples.
    void Gather(absl::Span<const uint32_t> samples, RowRange range);
  };
  void Begin(absl::Status status, int64_t samples);
  // Draws `size` distinct samples to the front of order_, which must be some
  // order of all samples, no matter which.
  void DrawToFront(int64_t size);
  // Whether the sources are what they were, wherever they lie now.
  bool FindSources();
  absl::Status Changed() const;

  // Of a table, whose columns may move. Null: of a data set.
  const DataTable* table_ = nullptr;
  std::vector<Source> sources_;
  std::vector<TensorView> columns_;  // Of the last batch.
  BatchOptions options_;
  absl::Status status_;
  int epoch_ = 0;
  int64_t end_ = 0;   // Samples in the batches of an epoch.
  int64_t next_ = 0;  // How many of them there were so far.
  RandomStream random_{0, 0};
  // Empty if the order is fixed.
  std::vector<uint32_t> order_;
};

namespace internal {

// What all kinds of batches have in common.
// An error unless a batch has at least one sample.
absl::Status CheckBatchSize(int64_t batch_size);
// How many samples the batches of an epoch over `samples` have together.
int64_t SamplesPerEpoch(int64_t samples, const BatchOptions& options);
// BatchSequence::sizes of an epoch of so many samples.
std::vector<int64_t> BatchSizes(int64_t samples, int64_t batch_size);
// An error unless `place` is between two batches, or at an end, of the epoch.
absl::Status CheckPlace(int64_t place, int64_t samples, int64_t batch_size);

}  // namespace internal

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DATA_BATCHES_H_
