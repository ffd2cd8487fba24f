// Whether a run has diverged, from the losses of its batches; and how a step is
// left out. Asked by the trainer. Tested by tests/train/divergence_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_DIVERGENCE_H_
#define TAPE_FRAMEWORK_TRAIN_DIVERGENCE_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "framework/core/graph.h"
#include "framework/core/updates.h"

namespace tape {

// What the trainer does if a loss is not finite or far above its recent range.
// After kStop the caller may restore an earlier checkpoint and train on.
enum class OnDivergence {
  kGoOn,  // Trains on.
  kStop,  // Ends the run once it has diverged (LossWatch).
  kSkip,  // Skips the update of that step; ends the run after kMostSkipped
          // skipped steps in a row.
};

// The losses of a run's batches, one by one. A loss is bad if it is not finite,
// or above
//
//   limit = max(beginning, highest + 10 (highest - lowest))
//
// where `beginning` is the larger of the run's first loss and the middle one of
// its first three, and highest and lowest are those of the last 100 that were
// not bad; before there were 100 all finite ones are good. The beginning is in
// it so that a network that fits its samples nearly perfectly may still meet an
// odd one; three losses are, so that an easy first batch does not set it.
//
// A run has diverged at a loss that is not finite, and at the last of ten bad
// ones in a row: a few hard batches among easy ones are no divergence.
class LossWatch {
 public:
  static constexpr int kWindow = 100;
  static constexpr int kBeginning = 3;
  static constexpr double kRise = 10;
  static constexpr int kDiverged = 10;
  // After so many bad ones in a row nothing is gained by skipping another.
  static constexpr int kMostSkipped = 100;

  struct State {
    std::vector<float> recent = {};  // At most kWindow, the oldest first.
    float first = 0;                 // If there was one.
    // The first kBeginning that were not bad.
    std::vector<float> beginning = {};
    int64_t bad = 0;  // Of the whole run.
    int bad_in_a_row = 0;
  };

  LossWatch() = default;
  // Goes on from there.
  explicit LossWatch(State state) : state_(std::move(state)) {}

  // Above this the next loss is bad; the largest float without a limit yet.
  float limit() const;
  // Takes note of the next loss; whether it is good.
  bool Observe(float loss);
  // Whether the loss last taken note of, `loss`, says that the run has diverged.
  bool HasDiverged(float loss) const;

  // Whether a loss is in the range of the run's beginning, at most twice as
  // large as `beginning`, or as far above it if that is negative. Weights with
  // such a loss are no worse than untrained ones.
  bool IsLikeTheBeginning(float loss) const;
  // Whether this holds for the middle one of the last ten losses, and the last
  // was not bad.
  bool IsGood() const;

  const State& state() const { return state_; }

 private:
  // If there was a good loss.
  float Beginning() const;

  State state_;
};

// The same updates, made only if the loss is finite and at most `limit` (both
// float32 of rank 0).
Updates SkipAbove(Var loss, Var limit, Updates updates);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_DIVERGENCE_H_
