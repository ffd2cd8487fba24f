// Data sets made of some samples of another one: those with given labels, or a
// random share of it, such as the part of a training set that is kept aside for
// validation:
//
//   absl::StatusOr<RandomSplit> split = SplitAtRandom(
//       data.train, {.fraction = 0.1, .seed = 7,
//                    .stratification = Stratification::kByLabel});
//
// The results are copies. Tested by tests/data/subset_test.cc.
#ifndef TAPE_FRAMEWORK_DATA_SUBSET_H_
#define TAPE_FRAMEWORK_DATA_SUBSET_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "framework/data/dataset.h"

namespace tape {

// The samples whose label is among `labels`, in the order of the data set, with
// their labels and `classes` unchanged: a network trained on ones and nines
// alone keeps its ten outputs. Naming a label twice changes nothing. Errors:
// kInvalidArgument if `labels` is empty, one of them is not in 0 … classes - 1,
// or no sample has any of them.
absl::StatusOr<Dataset> SelectLabels(const Dataset& dataset,
                                     absl::Span<const int32_t> labels);

// Whether classes have the same shares in both sides of a split.
enum class Stratification {
  kNone,     // As chance has it.
  kByLabel,  // Yes, as nearly as whole samples allow.
};

struct SplitOptions {
  double fraction = 0.1;  // Of the samples, that `part` gets: in (0, 1).
  uint64_t seed = 0;      // Of the random draw.
  Stratification stratification = Stratification::kNone;
};

// Each sample of the data set that was split is in one of the two. Both keep
// its order and its `classes`.
struct RandomSplit {
  Dataset rest;
  Dataset part;
};

// Draws `part` at random, without replacement, from the n samples of `dataset`,
// which must be fewer than 2^32. It gets p = fraction * n samples, rounded to
// the nearest, a half upwards. The same data set and options give the same
// split on every machine.
//
// Stratified, a class of m samples gives its share p * m / n, rounded down.
// What p then lacks is given, one sample each, by the classes whose shares lost
// most by the rounding, of equal ones by the lower label (the method of largest
// remainders). So `part` has exactly p samples, and of each class less than one
// more or less than its share.
//
// Errors: kInvalidArgument if `fraction` is not in (0, 1), or one of the two
// sides would have no sample.
absl::StatusOr<RandomSplit> SplitAtRandom(const Dataset& dataset,
                                          const SplitOptions& options);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DATA_SUBSET_H_
