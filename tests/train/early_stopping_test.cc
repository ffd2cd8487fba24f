// When a run stops and which epoch is its best (framework/train/
// early_stopping.h): verdicts for given figures, among them those that document
// E prints.
#include "framework/train/early_stopping.h"

#include <vector>

#include "gtest/gtest.h"

namespace tape {
namespace {

constexpr EarlyStopping::Verdict kBest = EarlyStopping::Verdict::kBest;
constexpr EarlyStopping::Verdict kNotBest = EarlyStopping::Verdict::kNotBest;
constexpr EarlyStopping::Verdict kStop = EarlyStopping::Verdict::kStop;

using Verdicts = std::vector<EarlyStopping::Verdict>;

// What is said of epochs with these figures of the watched split and metric.
// All other figures would say something else: they are NaN.
Verdicts VerdictsOn(const EarlyStoppingOptions& options,
                    const std::vector<double>& figures) {
  EarlyStopping early_stopping(options);
  Verdicts verdicts;
  for (double figure : figures) {
    EpochResult epoch;
    EpochMetrics& watched = options.split == DataSplit::kTrain ? epoch.train
                            : options.split == DataSplit::kTest
                                ? epoch.test
                                : epoch.validation.emplace();
    (options.metric == Metric::kLoss ? watched.loss : watched.accuracy) =
        figure;
    verdicts.push_back(early_stopping.Observe(epoch));
  }
  return verdicts;
}

TEST(EarlyStoppingTest, FirstEpochIsABestAndOneThatBeatsItIsAnother) {
  EXPECT_EQ(VerdictsOn({}, {0.0, 0.1, 0.09, 0.1, 0.11}),
            Verdicts({kBest, kBest, kNotBest, kNotBest, kBest}));
}

TEST(EarlyStoppingTest, WatchesTheSplitAndTheMetricItIsTold) {
  for (DataSplit split :
       {DataSplit::kTrain, DataSplit::kValidation, DataSplit::kTest}) {
    EXPECT_EQ(VerdictsOn({.split = split, .metric = Metric::kAccuracy},
                         {0.5, 0.6, 0.4}),
              Verdicts({kBest, kBest, kNotBest}));
    EXPECT_EQ(
        VerdictsOn({.split = split, .metric = Metric::kLoss}, {0.5, 0.6, 0.4}),
        Verdicts({kBest, kNotBest, kBest}));
  }
}

TEST(EarlyStoppingTest, StopsAtTheFirstFallAsDocumentADoes) {
  const EarlyStoppingOptions first_fall = {.split = DataSplit::kTest,
                                           .patience = 1,
                                           .ties = Ties::kForgive,
                                           .keep = Keep::kLast};
  // A tie is no fall.
  EXPECT_EQ(VerdictsOn(first_fall, {0.5, 0.6, 0.6, 0.6, 0.7, 0.6999}),
            Verdicts({kBest, kBest, kNotBest, kNotBest, kBest, kStop}));
}

TEST(EarlyStoppingTest, TiesCountUnlessTheyAreForgiven) {
  EXPECT_EQ(VerdictsOn({.patience = 1}, {0.5, 0.5}), Verdicts({kBest, kStop}));
  // A forgiven tie neither counts nor makes good what counted before.
  EXPECT_EQ(VerdictsOn({.patience = 2, .ties = Ties::kForgive},
                       {0.5, 0.4, 0.5, 0.5, 0.4}),
            Verdicts({kBest, kNotBest, kNotBest, kNotBest, kStop}));
}

TEST(EarlyStoppingTest, PatienceBeginsAnewAtEachBest) {
  EXPECT_EQ(
      VerdictsOn({.patience = 3}, {0.5, 0.4, 0.45, 0.6, 0.5, 0.55, 0.59, 0.5}),
      Verdicts({kBest, kNotBest, kNotBest, kBest, kNotBest, kNotBest, kStop,
                kStop}));
}

TEST(EarlyStoppingTest, WithoutPatienceItNeverStops) {
  std::vector<double> falling;
  for (int i = 0; i < 1000; ++i) falling.push_back(-i);
  Verdicts expected(1000, kNotBest);
  expected[0] = kBest;
  EXPECT_EQ(VerdictsOn({}, falling), expected);
}

TEST(EarlyStoppingTest, ABestMustBeatTheLastByMoreThanMinChange) {
  // Binary fractions, so that "by exactly 0.25" is exact. What creeps up in
  // small steps is measured from the last best.
  EXPECT_EQ(VerdictsOn({.min_change = 0.25}, {1, 1.25, 1.375, 1.5}),
            Verdicts({kBest, kNotBest, kBest, kNotBest}));
  EXPECT_EQ(VerdictsOn({.metric = Metric::kLoss, .min_change = 0.25},
                       {1, 0.75, 0.625, 0.5}),
            Verdicts({kBest, kNotBest, kBest, kNotBest}));
  // Better, but not by enough, is no tie.
  EXPECT_EQ(
      VerdictsOn({.min_change = 0.25, .patience = 1, .ties = Ties::kForgive},
                 {1, 1.125}),
      Verdicts({kBest, kStop}));
}

// Document E's rule.
EarlyStoppingOptions DocumentE() {
  return {.min_change = 0.001, .decimals = 3};
}

TEST(EarlyStoppingTest, RoundingDecidesInBothDirections) {
  // 0.001 more as they are, 0.002 more when rounded.
  EXPECT_EQ(VerdictsOn({.min_change = 0.0015}, {0.3004, 0.3016}),
            Verdicts({kBest, kNotBest}));
  EXPECT_EQ(VerdictsOn({.min_change = 0.0015, .decimals = 3}, {0.3004, 0.3016}),
            Verdicts({kBest, kBest}));
  // 0.0018 more as they are, 0.001 more when rounded.
  EXPECT_EQ(VerdictsOn({.min_change = 0.0015}, {0.2996, 0.3014}),
            Verdicts({kBest, kBest}));
  EXPECT_EQ(VerdictsOn({.min_change = 0.0015, .decimals = 3}, {0.2996, 0.3014}),
            Verdicts({kBest, kNotBest}));
  // What rounds to the same is a tie.
  EXPECT_EQ(VerdictsOn({.decimals = 3, .patience = 1, .ties = Ties::kForgive},
                       {0.3004, 0.2996, 0.2994}),
            Verdicts({kBest, kNotBest, kStop}));
}

TEST(EarlyStoppingTest, HalvesAreRoundedToEvenAsNumPyDoes) {
  EXPECT_EQ(VerdictsOn({.decimals = 0}, {0.5, 1, 1.5, 2.5, 3}),
            Verdicts({kBest, kBest, kBest, kNotBest, kBest}));
}

// Validation accuracies that document E prints, in thousandths, and whether it
// prints "new best model" below; an output of the notebook that its page cuts
// short begins with a best one. What is 0.001 more than the best is a new best
// or none as the sum of doubles has it.
struct Printed {
  const char* experiment;
  std::vector<int> thousandths;
  std::vector<int> is_best;
};

TEST(EarlyStoppingTest, ChoosesTheBestModelsThatDocumentEPrints) {
  for (const Printed& printed :
       {Printed{
            "mnist_h1",
            {160, 160, 162, 164, 165, 167, 168, 169, 170, 172, 174, 175, 175},
            {1, 0, 1, 1, 0, 1, 0, 1, 0, 1, 1, 0, 0}},
        Printed{"mnist_h5",
                {243, 247, 249, 253, 256, 259, 262, 264, 266, 268, 271, 272},
                {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0}},
        Printed{
            "mnist_h100_fast",
            {900, 903, 904, 906, 908, 909, 911, 913, 914, 915, 916, 918, 919,
             920, 922, 922, 923, 924, 925, 926, 928, 928, 929, 930, 930},
            {1, 1, 0, 1, 1, 0, 1, 1, 0, 1, 0, 1, 0,
             1, 1, 0, 0, 1, 0, 1, 1, 0, 0, 1, 0}}}) {
    std::vector<double> accuracies;
    Verdicts expected;
    for (size_t i = 0; i < printed.thousandths.size(); ++i) {
      // Anything that rounds to it.
      accuracies.push_back((printed.thousandths[i] + 0.4 * (i % 3) - 0.4) /
                           1000);
      expected.push_back(printed.is_best[i] ? kBest : kNotBest);
    }
    EXPECT_EQ(VerdictsOn(DocumentE(), accuracies), expected)
        << printed.experiment;
  }
}

TEST(EarlyStoppingTest, NanIsNeverABestAndCountsAgainstPatience) {
  EXPECT_EQ(VerdictsOn({}, {kNotMeasured, kNotMeasured, 0.1, kNotMeasured}),
            Verdicts({kNotBest, kNotBest, kBest, kNotBest}));
  EXPECT_EQ(VerdictsOn({.patience = 2, .ties = Ties::kForgive},
                       {kNotMeasured, kNotMeasured}),
            Verdicts({kNotBest, kStop}));
  EXPECT_EQ(VerdictsOn({.metric = Metric::kLoss, .decimals = 3, .patience = 1},
                       {0.1, kNotMeasured}),
            Verdicts({kBest, kStop}));
}

TEST(EarlyStoppingTest, ASplitThatWasNotMeasuredCountsAsNan) {
  EarlyStopping early_stopping(
      {.split = DataSplit::kValidation, .patience = 2});
  EpochResult epoch;
  epoch.train.accuracy = epoch.test.accuracy = 1;
  EXPECT_EQ(early_stopping.Observe(epoch), kNotBest);
  EXPECT_EQ(early_stopping.Observe(epoch), kStop);
}

}  // namespace
}  // namespace tape
