// Whether a run has diverged, from the losses of its batches; and how a step is
// left out. Asked by the trainer. Tested by tests/divergence_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_DIVERGENCE_H_
#define TAPE_FRAMEWORK_TRAIN_DIVERGENCE_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "framework/core/graph.h"
#include "framework/core/updates.h"

namespace tape {

// What becomes of a run whose loss is not finite, or far above its recent
// range.
enum class OnDivergence {
  kGoOn,  // Nothing.
  kStop,  // It ends.
  kSkip,  // The step is left out; the run ends after kMostSkipped in a row.
};

// The losses of a run's batches, one by one. A loss is bad if it is not finite,
// or above
//
//   limit = max(first, highest + 10 (highest - lowest))
//
// where `first` is the run's first loss, and highest and lowest are those of
// the last 100 that were not bad; before there were 100 all finite ones are
// good. The run's first loss is in it so that a network that fits its samples
// nearly perfectly may still meet an odd one.
class LossWatch {
 public:
  static constexpr int kWindow = 100;
  static constexpr double kRise = 10;
  // After so many bad ones in a row nothing is gained by skipping another.
  static constexpr int kMostSkipped = 100;

  struct State {
    std::vector<float> recent = {};  // At most kWindow, the oldest first.
    float first = 0;                 // If there was one.
    int64_t bad = 0;                 // Of the whole run.
    int bad_in_a_row = 0;
  };

  LossWatch() = default;
  // Goes on from there.
  explicit LossWatch(State state) : state_(std::move(state)) {}

  // Above this the next loss is bad; the largest float without a limit yet.
  float limit() const;
  // Takes note of the next loss; whether it is good.
  bool Observe(float loss);

  const State& state() const { return state_; }

 private:
  State state_;
};

// The same updates, made only if the loss is finite and at most `limit` (both
// float32 of rank 0).
Updates SkipAbove(Var loss, Var limit, Updates updates);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_DIVERGENCE_H_
