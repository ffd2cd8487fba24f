// What a classifier got right and what it took for what: the confusion matrix
// of its predictions, and the report of precision, recall and f1 that
// scikit-learn's metrics.classification_report prints.
//
//   ConfusionMatrix matrix(10);
//   matrix.Add(labels, predicted);  // As often as there are batches.
//   std::cout << matrix.ToString()
//             << MakeClassificationReport(matrix).ToString({.digits = 4});
//
// Tested by tests/metrics/classification_test.cc.
#ifndef TAPE_FRAMEWORK_METRICS_CLASSIFICATION_H_
#define TAPE_FRAMEWORK_METRICS_CLASSIFICATION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace tape {

// More classes than this would take gigabytes.
inline constexpr int kMostConfusedClasses = 1 << 14;

// How many samples of each label were predicted to be of each class.
class ConfusionMatrix {
 public:
  // For the classes 0 … classes - 1, and no sample yet. Fewer than 1 are taken
  // for 1, more than kMostConfusedClasses for that many.
  explicit ConfusionMatrix(int classes);

  // Counts sample i with label labels[i], which was taken for predicted[i].
  // kInvalidArgument, and nothing is counted, if the spans differ in size or a
  // class is not in 0 … classes - 1.
  absl::Status Add(absl::Span<const int32_t> labels,
                   absl::Span<const int32_t> predicted);

  // Counts so many samples more with this label that were taken for this class.
  // The same error, also for a negative number, or more than an int64 in all.
  absl::Status Add(int label, int predicted, int64_t samples);

  int classes() const { return classes_; }
  // The samples with this label that were predicted to be of this class; 0 if
  // either is not in 0 … classes - 1.
  int64_t count(int label, int predicted) const;
  // All samples.
  int64_t total() const { return total_; }
  // The fraction of samples predicted rightly, 0 to 1; NaN if there is none.
  double accuracy() const;

  // A table with a row for each label, a column for each predicted class, and
  // the sums of both:
  //
  //         predicted
  //   label     0     1     2 total
  //       0    11     0     1    12
  //       1     0     3     0     3
  //       2     2     0     8    10
  //   total    13     3     9    25
  std::string ToString() const;

 private:
  bool Has(int a_class) const { return a_class >= 0 && a_class < classes_; }
  absl::Status Check(const char* what, int a_class) const;
  // Whether there may be so many samples more.
  absl::Status CheckNumber(int64_t samples) const;

  int classes_;
  std::vector<int64_t> counts_;  // [label, predicted]
  int64_t total_ = 0;            // Their sum.
};

// How well one class is recognised.
struct ClassScores {
  int label = 0;
  double precision = 0;  // Of the predictions of this class, the right ones.
  double recall = 0;     // Of the samples of this class, those that were found.
  double f1 = 0;         // Harmonic mean of the two.
  int64_t support = 0;   // Samples of this class.
};

// Averages over classes.
struct AverageScores {
  double precision = 0;
  double recall = 0;
  double f1 = 0;
};

struct ReportFormat {
  int digits = 2;  // After the point: 0 to 100; others are taken for these.
  // The names of the classes from 0 on, as scikit-learn's target_names; a class
  // beyond them has its number.
  std::vector<std::string> class_names = {};
};

// All scores are fractions, 0 to 1.
struct ClassificationReport {
  // Those that occur as a label or as a prediction, by label.
  std::vector<ClassScores> classes;
  AverageScores macro;     // Each class counts alike.
  AverageScores weighted;  // Each class counts by its support.
  double accuracy = 0;
  int64_t support = 0;  // All samples.

  // The table that scikit-learn 1.2 prints of the same predictions, character
  // for character, that is,
  // classification_report(y_true, y_pred, digits=digits) for integer labels.
  // Its oddity too: "12.0" for a support of 12, if no sample at all is right.
  std::string ToString(const ReportFormat& format = {}) const;
};

// The scores of the predictions in `matrix`, to the last bit as scikit-learn
// 1.2 has them. What would be divided by zero is 0: the precision of a class
// that was never predicted, the recall of one that is only predicted, the f1 if
// both are 0. If `matrix` is empty there is no class, and averages and accuracy
// are NaN (scikit-learn refuses that).
ClassificationReport MakeClassificationReport(const ConfusionMatrix& matrix);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_METRICS_CLASSIFICATION_H_
