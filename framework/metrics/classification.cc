// Confusion matrices and classification reports (classification.h). In go
// labels and predicted classes, out come counts, scores and tables of them.
//
// A score such as 0.125 lies on the border between two printed numbers, and so
// may any mean of scores: its last bit decides what is printed. For the text to
// be scikit-learn's, each formula is computed in scikit-learn's order.
//
// Tested by tests/metrics/classification_test.cc.
#include "framework/metrics/classification.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "framework/core/floating_point.h"
#include "framework/core/text.h"

namespace tape {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// The sum as NumPy takes it (pairwise_sum in its loops_utils.h): a few terms
// one by one, up to 128 in eight sums side by side, more by halves.
double NumPySum(absl::Span<const double> terms) {
  constexpr size_t kLanes = 8;
  constexpr size_t kBlock = 128;
  const size_t size = terms.size();
  if (size > kBlock) {
    const size_t half = size / 2 / kLanes * kLanes;
    return NumPySum(terms.first(half)) + NumPySum(terms.subspan(half));
  }
  double sum = 0;
  size_t i = 0;
  if (size >= kLanes) {
    double lanes[kLanes] = {};
    for (; i + kLanes <= size; i += kLanes) {
      for (size_t lane = 0; lane < kLanes; ++lane) {
        lanes[lane] += terms[i + lane];
      }
    }
    sum = ((lanes[0] + lanes[1]) + (lanes[2] + lanes[3])) +
          ((lanes[4] + lanes[5]) + (lanes[6] + lanes[7]));
  }
  for (; i < size; ++i) sum += terms[i];
  return sum;
}

// a / b, or 0 for 0 / 0: scikit-learn's zero_division by default.
double Ratio(int64_t a, int64_t b) {
  return b == 0 ? 0 : static_cast<double>(a) / static_cast<double>(b);
}

double F1(double precision, double recall) {
  const double sum = precision + recall;
  return sum == 0 ? 0 : 2 * precision * recall / sum;
}

// The mean of one score of all classes, weighted by `weight` of each.
template <typename Weight>
double Mean(const std::vector<ClassScores>& classes, double ClassScores::*score,
            Weight weight) {
  std::vector<double> terms;
  double weights = 0;  // Whole numbers, so their order does not matter.
  for (const ClassScores& scores : classes) {
    terms.push_back(scores.*score * weight(scores));
    weights += weight(scores);
  }
  return NumPySum(terms) / weights;
}

template <typename Weight>
AverageScores Average(const std::vector<ClassScores>& classes, Weight weight) {
  return {.precision = Mean(classes, &ClassScores::precision, weight),
          .recall = Mean(classes, &ClassScores::recall, weight),
          .f1 = Mean(classes, &ClassScores::f1, weight)};
}

}  // namespace

ConfusionMatrix::ConfusionMatrix(int classes)
    : classes_(std::clamp(classes, 1, kMostConfusedClasses)) {
  counts_.resize(int64_t{classes_} * classes_);
}

absl::Status ConfusionMatrix::Check(const char* what, int a_class) const {
  if (Has(a_class)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("ConfusionMatrix: expected ", what, " in 0 to ",
                   classes_ - 1, ", found ", a_class));
}

absl::Status ConfusionMatrix::CheckNumber(int64_t samples) const {
  const int64_t most = std::numeric_limits<int64_t>::max() - total_;
  if (samples >= 0 && samples <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("ConfusionMatrix: expected 0 to ", most,
                   " further samples, found ", samples));
}

absl::Status ConfusionMatrix::Add(absl::Span<const int32_t> labels,
                                  absl::Span<const int32_t> predicted) {
  if (labels.size() != predicted.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("ConfusionMatrix: expected a prediction for each of ",
                     labels.size(), " labels, found ", predicted.size()));
  }
  absl::Status status = CheckNumber(static_cast<int64_t>(labels.size()));
  for (size_t i = 0; i < labels.size() && status.ok(); ++i) {
    status.Update(Check("labels", labels[i]));
    status.Update(Check("predictions", predicted[i]));
  }
  if (!status.ok()) return status;
  for (size_t i = 0; i < labels.size(); ++i) {
    ++counts_[int64_t{labels[i]} * classes_ + predicted[i]];
  }
  total_ += static_cast<int64_t>(labels.size());
  return status;
}

absl::Status ConfusionMatrix::Add(int label, int predicted, int64_t samples) {
  absl::Status status = Check("labels", label);
  status.Update(Check("predictions", predicted));
  if (!status.ok()) return status;
  status = CheckNumber(samples);
  if (!status.ok()) return status;
  counts_[int64_t{label} * classes_ + predicted] += samples;
  total_ += samples;
  return status;
}

int64_t ConfusionMatrix::count(int label, int predicted) const {
  if (!Has(label) || !Has(predicted)) return 0;
  return counts_[int64_t{label} * classes_ + predicted];
}

double ConfusionMatrix::accuracy() const {
  const FloatingPointScope environment;
  int64_t right = 0;
  for (int c = 0; c < classes_; ++c) right += count(c, c);
  const int64_t all = total();
  return all == 0 ? kNan : Ratio(right, all);
}

std::string ConfusionMatrix::ToString() const {
  // One more row and column than classes: the sums.
  std::vector<std::vector<int64_t>> rows(classes_ + 1,
                                         std::vector<int64_t>(classes_ + 1));
  std::vector<std::string> captions;
  for (int label = 0; label < classes_; ++label) {
    captions.push_back(absl::StrCat(label));
    for (int predicted = 0; predicted < classes_; ++predicted) {
      const int64_t samples = count(label, predicted);
      rows[label][predicted] = samples;
      rows[label][classes_] += samples;
      rows[classes_][predicted] += samples;
      rows[classes_][classes_] += samples;
    }
  }
  captions.push_back("total");

  // All columns are as wide as the widest entry may be.
  const int width = static_cast<int>(
      std::max({captions[classes_].size(), captions[classes_ - 1].size(),
                absl::StrCat(total()).size()}));
  std::string text =
      absl::StrFormat("%*s predicted\n%*s", width, "", width, "label");
  for (const std::string& caption : captions) {
    absl::StrAppendFormat(&text, " %*s", width, caption);
  }
  text.push_back('\n');
  for (int row = 0; row <= classes_; ++row) {
    absl::StrAppendFormat(&text, "%*s", width, captions[row]);
    for (int64_t samples : rows[row]) {
      absl::StrAppendFormat(&text, " %*d", width, samples);
    }
    text.push_back('\n');
  }
  return text;
}

ClassificationReport MakeClassificationReport(const ConfusionMatrix& matrix) {
  const FloatingPointScope environment;
  ClassificationReport report;
  report.accuracy = matrix.accuracy();
  report.support = matrix.total();
  for (int c = 0; c < matrix.classes(); ++c) {
    int64_t support = 0, predicted = 0;
    for (int other = 0; other < matrix.classes(); ++other) {
      support += matrix.count(c, other);
      predicted += matrix.count(other, c);
    }
    if (support == 0 && predicted == 0) continue;
    const double precision = Ratio(matrix.count(c, c), predicted);
    const double recall = Ratio(matrix.count(c, c), support);
    report.classes.push_back({.label = c,
                              .precision = precision,
                              .recall = recall,
                              .f1 = F1(precision, recall),
                              .support = support});
  }
  report.macro =
      Average(report.classes, [](const ClassScores&) { return 1.0; });
  report.weighted = Average(report.classes, [](const ClassScores& scores) {
    return static_cast<double>(scores.support);
  });
  return report;
}

std::string ClassificationReport::ToString(const ReportFormat& format) const {
  const FloatingPointScope environment;
  const int digits = std::clamp(format.digits, 0, 100);
  constexpr absl::string_view kLongestCaption = "weighted avg";
  const auto name_of = [&](int label) {
    const auto i = static_cast<size_t>(label);
    return i < format.class_names.size() ? Printable(format.class_names[i])
                                         : absl::StrCat(label);
  };
  int width = std::max<int>(kLongestCaption.size(), digits);
  for (const ClassScores& scores : classes) {
    width = std::max(width, static_cast<int>(name_of(scores.label).size()));
  }
  std::string text;
  const auto append = [&](absl::string_view caption,
                          absl::Span<const std::string> cells) {
    absl::StrAppendFormat(&text, "%*s ", width, caption);
    for (const std::string& cell : cells) {
      absl::StrAppendFormat(&text, " %9s", cell);
    }
    text.push_back('\n');
  };
  const auto score = [&](double value) {
    return absl::StrFormat("%.*f", digits, value);
  };
  // If no sample at all is right, scikit-learn 1.2 has supports in floating
  // point, and prints them so.
  const auto samples = [&](int64_t count) {
    return absl::StrCat(count, accuracy == 0 ? ".0" : "");
  };

  append("", {"precision", "recall", "f1-score", "support"});
  text.push_back('\n');
  for (const ClassScores& scores : classes) {
    append(name_of(scores.label),
           {score(scores.precision), score(scores.recall), score(scores.f1),
            samples(scores.support)});
  }
  text.push_back('\n');
  // The f1 of all samples together, whose precision and recall are both the
  // accuracy: the same number, but for rounding.
  append("accuracy", {"", "", score(F1(accuracy, accuracy)), samples(support)});
  append("macro avg", {score(macro.precision), score(macro.recall),
                       score(macro.f1), samples(support)});
  append("weighted avg", {score(weighted.precision), score(weighted.recall),
                          score(weighted.f1), samples(support)});
  return text;
}

}  // namespace tape
