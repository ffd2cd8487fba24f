// Subsets of data sets (subset.h). In goes a data set, out come copies of some
// of its rows, in its order. Tested by tests/data/subset_test.cc.
#include "framework/data/subset.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"
#include "framework/core/random.h"
#include "framework/core/tensor.h"

namespace tape {
namespace {

// The samples of `dataset` that are marked, in order. One mark for each sample.
Dataset SelectMarked(const Dataset& dataset, const std::vector<bool>& marks) {
  const int64_t samples = std::count(marks.begin(), marks.end(), true);
  const int64_t pixels = dataset.pixels();
  const DType dtype = dataset.images.dtype();
  const int64_t bytes = pixels * static_cast<int64_t>(SizeOf(dtype));
  Dataset selected{.images = Tensor({dtype, {samples, pixels}}),
                   .labels = Tensor({DType::kInt32, {samples}}),
                   .classes = dataset.classes,
                   .rows = dataset.rows};
  const auto* image = static_cast<const std::byte*>(dataset.images.data());
  const absl::Span<const int32_t> labels = dataset.labels.values<int32_t>();
  auto* next_image = static_cast<std::byte*>(selected.images.data());
  int32_t* next_label = selected.labels.values<int32_t>().data();
  for (size_t i = 0; i < marks.size(); ++i, image += bytes) {
    if (!marks[i]) continue;
    next_image = std::copy_n(image, bytes, next_image);
    *next_label++ = labels[i];
  }
  return selected;
}

// Divides `part` among strata of the given sizes, in proportion to them, by the
// method of largest remainders. Whole numbers all the way, so that no rounding
// differs from machine to machine. `part` is less than the sum of `sizes`, and
// that is below 2^32.
std::vector<uint64_t> Shares(const std::vector<uint64_t>& sizes,
                             uint64_t part) {
  const uint64_t total =
      std::accumulate(sizes.begin(), sizes.end(), uint64_t{0});
  std::vector<uint64_t> shares(sizes.size());
  std::vector<uint64_t> remainders(sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) {
    shares[i] = part * sizes[i] / total;
    remainders[i] = part * sizes[i] % total;
  }
  std::vector<size_t> by_remainder(sizes.size());
  std::iota(by_remainder.begin(), by_remainder.end(), 0);
  std::sort(by_remainder.begin(), by_remainder.end(), [&](size_t a, size_t b) {
    return std::pair(remainders[b], a) < std::pair(remainders[a], b);
  });
  // The remainders add up to this many times `total`, and each is below it: so
  // these are fewer than the strata that have one.
  const uint64_t missing =
      part - std::accumulate(shares.begin(), shares.end(), uint64_t{0});
  for (uint64_t i = 0; i < missing; ++i) ++shares[by_remainder[i]];
  return shares;
}

}  // namespace

absl::StatusOr<Dataset> SelectLabels(const Dataset& dataset,
                                     absl::Span<const int32_t> labels) try {
  if (labels.empty()) {
    return absl::InvalidArgumentError(
        "SelectLabels: expected at least 1 label, found none");
  }
  if (absl::Status status = CheckDataset(dataset); !status.ok()) return status;
  std::vector<bool> wanted(std::max(dataset.classes, 0));
  for (int32_t label : labels) {
    if (label < 0 || label >= dataset.classes) {
      return absl::InvalidArgumentError(
          absl::StrCat("SelectLabels: expected labels in 0 to ",
                       int64_t{dataset.classes} - 1, ", found ", label));
    }
    wanted[label] = true;
  }
  std::vector<bool> marks;
  marks.reserve(dataset.size());
  for (int32_t label : dataset.labels.values<int32_t>()) {
    const bool is_class = label >= 0 && label < dataset.classes;
    marks.push_back(is_class && wanted[label]);
  }
  Dataset selected = SelectMarked(dataset, marks);
  if (selected.size() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "SelectLabels: expected samples with the labels that were asked for, "
        "found none among ",
        dataset.size()));
  }
  return selected;
} catch (...) {
  return CaughtStatus("SelectLabels");
}

absl::StatusOr<RandomSplit> SplitAtRandom(const Dataset& dataset,
                                          const SplitOptions& options) try {
  const int64_t samples = dataset.size();
  if (absl::Status status = CheckDataset(dataset); !status.ok()) return status;
  if (!(options.fraction > 0 && options.fraction < 1)) {  // Nor NaN.
    return absl::InvalidArgumentError(
        absl::StrCat("SplitAtRandom: expected a fraction between 0 and 1, both "
                     "excluded, found ",
                     options.fraction));
  }
  const FloatingPointScope environment;
  const int64_t part =
      std::llround(options.fraction * static_cast<double>(samples));
  if (part == 0 || part == samples) {
    return absl::InvalidArgumentError(absl::StrCat(
        "SplitAtRandom: expected at least 1 sample on each side, found ",
        samples - part, " and ", part, " (fraction ", options.fraction, " of ",
        samples, " samples)"));
  }

  // Without stratification, all samples are of one stratum.
  const absl::Span<const int32_t> labels = dataset.labels.values<int32_t>();
  const bool by_label = options.stratification == Stratification::kByLabel;
  for (const int32_t label : labels) {
    if (!by_label || (label >= 0 && label < dataset.classes)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("SplitAtRandom: expected labels in 0 to ",
                     int64_t{dataset.classes} - 1, ", found ", label));
  }
  const auto stratum = [&](uint32_t i) { return by_label ? labels[i] : 0; };
  std::vector<uint64_t> sizes(by_label ? dataset.classes : 1);
  for (int64_t i = 0; i < samples; ++i) ++sizes[stratum(i)];

  // In a random order, each sample whose stratum still owes one.
  std::vector<uint32_t> order(samples);
  std::iota(order.begin(), order.end(), 0);
  RandomStream random(options.seed, StreamOf("split"));
  Shuffle(random, order);
  std::vector<uint64_t> owed = Shares(sizes, part);
  std::vector<bool> marks(samples);
  for (uint32_t i : order) {
    if (owed[stratum(i)] == 0) continue;
    --owed[stratum(i)];
    marks[i] = true;
  }

  RandomSplit split;
  split.part = SelectMarked(dataset, marks);
  marks.flip();
  split.rest = SelectMarked(dataset, marks);
  return split;
} catch (...) {
  return CaughtStatus("SplitAtRandom");
}

}  // namespace tape
