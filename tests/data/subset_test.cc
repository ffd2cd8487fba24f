// Data sets made of some samples of another one (framework/data/subset.h):
// which samples they have, in what order, and how fairly they are drawn. On
// small data sets whose images tell the sample's number, and on MNIST.
#include "framework/data/subset.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/core/tensor.h"

namespace tape {
namespace {

constexpr char kMnist[] = "/usr/local/share/datasets/mnist";

// Sample i has labels[i] and the pixels i / 256 and i % 256.
Dataset Numbered(const std::vector<int32_t>& labels, int classes) {
  const auto samples = static_cast<int64_t>(labels.size());
  std::vector<uint8_t> images;
  for (int64_t i = 0; i < samples; ++i) {
    images.push_back(static_cast<uint8_t>(i / 256));
    images.push_back(static_cast<uint8_t>(i % 256));
  }
  return {.images = Tensor(Shape{samples, 2}, images),
          .labels = Tensor(Shape{samples}, labels),
          .classes = classes};
}

// Labels 0, 1, ..., classes - 1, 0, 1, ...
std::vector<int32_t> Cycle(int samples, int classes) {
  std::vector<int32_t> labels;
  for (int i = 0; i < samples; ++i) labels.push_back(i % classes);
  return labels;
}

// The numbers of a data set's samples, as its images tell them.
std::vector<int> Numbers(const Dataset& dataset) {
  const auto pixels = dataset.images.values<uint8_t>();
  std::vector<int> numbers;
  for (int64_t i = 0; i < dataset.size(); ++i) {
    numbers.push_back(pixels[2 * i] * 256 + pixels[2 * i + 1]);
  }
  return numbers;
}

std::vector<int> Labels(const Dataset& dataset) {
  const auto labels = dataset.labels.values<int32_t>();
  return {labels.begin(), labels.end()};
}

// How many samples each class has.
std::vector<int64_t> Counts(const Dataset& dataset) {
  std::vector<int64_t> counts(dataset.classes);
  for (int label : Labels(dataset)) ++counts[label];
  return counts;
}

RandomSplit Split(const Dataset& dataset, const SplitOptions& options) {
  absl::StatusOr<RandomSplit> split = SplitAtRandom(dataset, options);
  EXPECT_TRUE(split.ok()) << split.status();
  return split.ok() ? *std::move(split) : RandomSplit{};
}

const Dataset& Mnist() {
  static const auto* const splits =
      new absl::StatusOr<DataSplits>(ReadMnistFolder(kMnist));
  EXPECT_TRUE(splits->ok()) << splits->status();
  return (*splits)->train;
}

TEST(SelectLabelsTest, KeepsWhatHasOneOfTheLabelsInOrder) {
  const Dataset dataset = Numbered({3, 1, 0, 1, 2, 3, 3, 0}, 10);
  const absl::StatusOr<Dataset> selected = SelectLabels(dataset, {3, 1});
  ASSERT_TRUE(selected.ok()) << selected.status();
  EXPECT_EQ(Numbers(*selected), std::vector<int>({0, 1, 3, 5, 6}));
  EXPECT_EQ(Labels(*selected), std::vector<int>({3, 1, 1, 3, 3}));
  EXPECT_EQ(selected->images.shape(), Shape({5, 2}));
  EXPECT_EQ(selected->labels.shape(), Shape({5}));
  EXPECT_EQ(selected->classes, 10);
}

TEST(SelectLabelsTest, DoesNotMindALabelTwiceNorOneWithoutSamples) {
  const Dataset dataset = Numbered({3, 1, 0, 1}, 10);
  const absl::StatusOr<Dataset> selected = SelectLabels(dataset, {1, 9, 1});
  ASSERT_TRUE(selected.ok()) << selected.status();
  EXPECT_EQ(Numbers(*selected), std::vector<int>({1, 3}));
}

TEST(SelectLabelsTest, RefusesWhatSelectsNothing) {
  const Dataset dataset = Numbered({3, 1, 0, 1}, 5);
  const auto error = [&](const std::vector<int32_t>& labels) {
    return SelectLabels(dataset, labels).status();
  };
  EXPECT_EQ(error({}), absl::InvalidArgumentError(
                           "SelectLabels: expected at least 1 label, found "
                           "none"));
  EXPECT_EQ(error({1, 5}), absl::InvalidArgumentError(
                               "SelectLabels: expected labels in 0 to 4, found "
                               "5"));
  EXPECT_EQ(error({-1}), absl::InvalidArgumentError(
                             "SelectLabels: expected labels in 0 to 4, found "
                             "-1"));
  EXPECT_EQ(error({2, 4}), absl::InvalidArgumentError(
                               "SelectLabels: expected samples with the labels "
                               "that were asked for, found none among 4"));
}

TEST(SelectLabelsTest, FindsTheOnesAndNinesOfMnist) {
  const absl::StatusOr<Dataset> selected = SelectLabels(Mnist(), {1, 9});
  ASSERT_TRUE(selected.ok()) << selected.status();
  EXPECT_EQ(Counts(*selected),
            std::vector<int64_t>({0, 6742, 0, 0, 0, 0, 0, 0, 0, 5949}));
  EXPECT_EQ(selected->pixels(), 784);
}

TEST(SplitAtRandomTest, PutsEachSampleOnOneSideInOrder) {
  const Dataset dataset = Numbered(Cycle(1000, 7), 9);
  for (Stratification stratification :
       {Stratification::kNone, Stratification::kByLabel}) {
    const RandomSplit split =
        Split(dataset, {.fraction = 0.3, .stratification = stratification});
    const std::vector<int> rest = Numbers(split.rest);
    const std::vector<int> part = Numbers(split.part);
    EXPECT_EQ(rest.size(), 700);
    EXPECT_EQ(part.size(), 300);
    std::vector<int> both(1000), all(1000);
    EXPECT_TRUE(std::is_sorted(rest.begin(), rest.end()));
    EXPECT_TRUE(std::is_sorted(part.begin(), part.end()));
    std::merge(rest.begin(), rest.end(), part.begin(), part.end(),
               both.begin());
    std::iota(all.begin(), all.end(), 0);
    EXPECT_EQ(both, all);
    for (const Dataset* side : {&split.rest, &split.part}) {
      EXPECT_EQ(side->classes, 9);
      const std::vector<int> numbers = Numbers(*side), labels = Labels(*side);
      for (size_t i = 0; i < numbers.size(); ++i) {
        EXPECT_EQ(labels[i], numbers[i] % 7);
      }
    }
  }
}

TEST(SplitAtRandomTest, RoundsTheSizeOfThePart) {
  const auto expect = [](int samples, double fraction, int64_t part) {
    const Dataset dataset = Numbered(Cycle(samples, 3), 3);
    for (Stratification stratification :
         {Stratification::kNone, Stratification::kByLabel}) {
      const RandomSplit split = Split(
          dataset, {.fraction = fraction, .stratification = stratification});
      EXPECT_EQ(split.part.size(), part);
      EXPECT_EQ(split.rest.size(), samples - part);
    }
  };
  expect(10, 0.14, 1);
  expect(10, 0.15, 2);  // A half goes up ...
  expect(10, 0.25, 3);  // ... to odd numbers too.
  expect(10, 0.94, 9);
  expect(2, 0.5, 1);
  expect(3, 0.5, 2);
  expect(1000, 1.0 / 3, 333);
}

TEST(SplitAtRandomTest, DependsOnTheSeedAlone) {
  const Dataset dataset = Numbered(Cycle(100, 3), 3);
  std::set<std::vector<int>> parts;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    const SplitOptions options = {.fraction = 0.2, .seed = seed};
    const std::vector<int> part = Numbers(Split(dataset, options).part);
    EXPECT_EQ(Numbers(Split(dataset, options).part), part);
    parts.insert(part);
  }
  EXPECT_EQ(parts.size(), 10);
}

TEST(SplitAtRandomTest, IsTheSameOnEveryMachine) {
  const Dataset dataset = Numbered(Cycle(10, 3), 3);
  // As a second implementation, in Python, has it.
  EXPECT_EQ(Numbers(Split(dataset, {.fraction = 0.3, .seed = 7}).part),
            std::vector<int>({2, 3, 9}));
  EXPECT_EQ(Numbers(Split(dataset, {.fraction = 0.4,
                                    .seed = 7,
                                    .stratification = Stratification::kByLabel})
                        .part),
            std::vector<int>({2, 3, 4, 9}));
}

TEST(SplitAtRandomTest, DrawsEverySampleEquallyOften) {
  constexpr int kSamples = 40, kSeeds = 4000;
  // Of each class a quarter: so a sample's chance is 1/4 either way.
  const Dataset dataset = Numbered(Cycle(kSamples, 5), 5);
  for (Stratification stratification :
       {Stratification::kNone, Stratification::kByLabel}) {
    std::vector<int> drawn(kSamples);
    for (uint64_t seed = 0; seed < kSeeds; ++seed) {
      for (int sample :
           Numbers(Split(dataset, {.fraction = 0.25,
                                  .seed = seed,
                                  .stratification = stratification})
                       .part)) {
        ++drawn[sample];
      }
    }
    // Binomial, of variance m p (1 - p); 5 standard deviations are exceeded by
    // chance once in 1.7 million. (Never, in fact: the seeds are fixed.)
    const double bound = 5 * std::sqrt(kSeeds * 0.25 * 0.75);
    for (int sample = 0; sample < kSamples; ++sample) {
      EXPECT_NEAR(drawn[sample], kSeeds * 0.25, bound) << "sample " << sample;
    }
  }
}

TEST(SplitAtRandomTest, LeavesTheSharesOfClassesToChanceUnlessStratified) {
  const Dataset dataset = Numbered(Cycle(100, 2), 2);
  std::set<std::vector<int64_t>> counts;
  for (uint64_t seed = 0; seed < 20; ++seed) {
    counts.insert(Counts(Split(dataset, {.fraction = 0.5, .seed = seed}).part));
  }
  EXPECT_GT(counts.size(), 3);
}

// `sizes[c]` samples of class c, of which `fraction` is to be a part with
// `shares[c]` of them, whatever the seed.
void ExpectShares(const std::vector<int64_t>& sizes, double fraction,
                  const std::vector<int64_t>& shares) {
  std::vector<int32_t> labels;
  for (size_t c = 0; c < sizes.size(); ++c) {
    labels.insert(labels.end(), sizes[c], static_cast<int32_t>(c));
  }
  const Dataset dataset = Numbered(labels, static_cast<int>(sizes.size()));
  for (uint64_t seed = 0; seed < 10; ++seed) {
    EXPECT_EQ(
        Counts(Split(dataset, {.fraction = fraction,
                               .seed = seed,
                               .stratification = Stratification::kByLabel})
                   .part),
        shares);
  }
}

TEST(SplitAtRandomTest, GivesEveryClassItsShareByLargestRemainders) {
  ExpectShares({50, 30, 20}, 0.1, {5, 3, 2});
  // 10 of 100: 4.7, 1.6, 3.7 become 4, 1, 3, and the two that lack go to the
  // first and the third.
  ExpectShares({47, 16, 37}, 0.1, {5, 1, 4});
  // 4.0, 3.3, 2.7: it is the smallest class that gives one more.
  ExpectShares({40, 33, 27}, 0.1, {4, 3, 3});
  // 2 of 9: 2/3 each; of equal remainders the lower labels have it.
  ExpectShares({3, 3, 3}, 0.2, {1, 1, 0});
  // 1.5 each, of so many classes that std::sort alone would mix equals.
  std::vector<int64_t> shares(40, 1);
  std::fill_n(shares.begin(), 20, 2);
  ExpectShares(std::vector<int64_t>(40, 3), 0.5, shares);
  // 48.5, 0, 0.5, 1: a class without samples gives none.
  ExpectShares({97, 0, 1, 2}, 0.5, {49, 0, 0, 1});
  ExpectShares({1, 1}, 0.5, {1, 0});
}

TEST(SplitAtRandomTest, GivesEveryClassOfMnistItsShare) {
  const std::vector<int64_t> all = Counts(Mnist());
  const RandomSplit split =
      Split(Mnist(), {.fraction = 1.0 / 6,
                      .seed = 1,
                      .stratification = Stratification::kByLabel});
  EXPECT_EQ(split.rest.size(), 50000);
  EXPECT_EQ(split.part.size(), 10000);
  const std::vector<int64_t> rest = Counts(split.rest);
  const std::vector<int64_t> part = Counts(split.part);
  for (int c = 0; c < 10; ++c) {
    EXPECT_EQ(rest[c] + part[c], all[c]);
    EXPECT_LT(std::fabs(part[c] - all[c] / 6.0), 1) << "class " << c;
  }
}

TEST(SplitAtRandomTest, RefusesAFractionThatIsNone) {
  const Dataset dataset = Numbered(Cycle(10, 3), 3);
  const auto error = [&](double fraction) {
    return SplitAtRandom(dataset, {.fraction = fraction}).status();
  };
  EXPECT_EQ(error(0), absl::InvalidArgumentError(
                          "SplitAtRandom: expected a fraction between 0 and 1, "
                          "both excluded, found 0"));
  for (double fraction :
       {1.0, -0.1, 1.5, std::numeric_limits<double>::quiet_NaN(),
        std::numeric_limits<double>::infinity()}) {
    EXPECT_EQ(error(fraction).code(), absl::StatusCode::kInvalidArgument);
  }
}

TEST(SplitAtRandomTest, RefusesASideWithoutSamples) {
  const Dataset dataset = Numbered(Cycle(10, 3), 3);
  EXPECT_EQ(SplitAtRandom(dataset, {.fraction = 0.04}).status(),
            absl::InvalidArgumentError(
                "SplitAtRandom: expected at least 1 sample on each side, found "
                "10 and 0 (fraction 0.04 of 10 samples)"));
  EXPECT_EQ(SplitAtRandom(dataset, {.fraction = 0.96}).status(),
            absl::InvalidArgumentError(
                "SplitAtRandom: expected at least 1 sample on each side, found "
                "0 and 10 (fraction 0.96 of 10 samples)"));
  EXPECT_FALSE(SplitAtRandom(Dataset{}, {.fraction = 0.5}).ok());
}

}  // namespace
}  // namespace tape
