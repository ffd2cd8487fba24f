// Accumulators (accumulators.h). Tested by tests/train/model_test.cc.
#include "framework/train/accumulators.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/floating_point.h"
#include "framework/metrics/classification.h"
#include "framework/metrics/metrics.h"

namespace tape {
namespace {

absl::Status Unfit(const std::string& name, const char* expected,
                   absl::Span<const TensorView> found) {
  std::string types;
  for (const TensorView& one : found) {
    absl::StrAppend(&types, types.empty() ? "" : " and ", Name(one.dtype()),
                    one.shape().ToString());
  }
  return absl::InvalidArgumentError(absl::StrCat("Train: the metric \"", name,
                                                 "\": expected ", expected,
                                                 ", found ", types));
}

// Whether the values are `count` with these dtypes, the first axis being alike.
bool HaveTypes(absl::Span<const TensorView> values,
               std::initializer_list<DType> dtypes) {
  if (values.size() != dtypes.size()) return false;
  size_t i = 0;
  for (DType dtype : dtypes) {
    const TensorView& value = values[i++];
    if (value.dtype() != dtype || value.shape().rank() == 0 ||
        value.shape()[0] != values[0].shape()[0]) {
      return false;
    }
  }
  return true;
}

// Sums of targets by Welford's method: no difference of large numbers.
class Errors : public Accumulator {
 public:
  enum class Form { kRootMeanSquare, kR2 };
  Errors(std::string name, Form form) : name_(std::move(name)), form_(form) {}

  absl::Status Add(absl::Span<const TensorView> values) override {
    if (!HaveTypes(values, {DType::kFloat32, DType::kFloat32}) ||
        !(values[0].shape() == values[1].shape())) {
      return Unfit(name_, "float32 predictions and targets of one shape",
                   values);
    }
    const FloatingPointScope environment;
    const auto predicted = values[0].values<float>();
    const auto target = values[1].values<float>();
    for (size_t i = 0; i < target.size(); ++i) {
      const double error = double{predicted[i]} - target[i];
      squares_ += error * error;
      ++count_;
      const double from_mean = target[i] - mean_;
      mean_ += from_mean / static_cast<double>(count_);
      spread_ += from_mean * (target[i] - mean_);
    }
    return absl::OkStatus();
  }

  double Result() const override {
    const FloatingPointScope environment;
    if (count_ == 0) return kNotMeasured;
    if (form_ == Form::kRootMeanSquare) {
      return std::sqrt(squares_ / static_cast<double>(count_));
    }
    if (std::isnan(squares_)) return squares_;
    if (spread_ == 0) return squares_ == 0 ? 1 : 0;
    return 1 - squares_ / spread_;
  }

 private:
  const std::string name_;
  const Form form_;
  int64_t count_ = 0;
  double squares_ = 0, mean_ = 0, spread_ = 0;
};

class TopK : public Accumulator {
 public:
  TopK(std::string name, int k) : name_(std::move(name)), k_(k) {}

  absl::Status Add(absl::Span<const TensorView> values) override {
    if (!HaveTypes(values, {DType::kFloat32, DType::kInt32}) ||
        values[0].shape().rank() != 2 || values[1].shape().rank() != 1) {
      return Unfit(name_, "scores [batch, classes] and int32 labels [batch]",
                   values);
    }
    const int64_t classes = values[0].shape()[1];
    const auto scores = values[0].values<float>();
    const auto labels = values[1].values<int32_t>();
    for (size_t row = 0; row < labels.size(); ++row, ++samples_) {
      const int32_t label = labels[row];
      if (label < 0 || label >= classes) continue;
      const float* const of_row = scores.data() + row * classes;
      int64_t before = 0;
      for (int64_t c = 0; c < classes; ++c) {
        before += of_row[c] > of_row[label] ||
                  (of_row[c] == of_row[label] && c < label);
      }
      right_ += before < k_ && !std::isnan(of_row[label]);
    }
    return absl::OkStatus();
  }
  double Result() const override {
    return samples_ == 0
               ? kNotMeasured
               : static_cast<double>(right_) / static_cast<double>(samples_);
  }

 private:
  const std::string name_;
  const int k_;
  int64_t samples_ = 0, right_ = 0;
};

class Roc : public Accumulator {
 public:
  explicit Roc(std::string name) : name_(std::move(name)) {}

  absl::Status Add(absl::Span<const TensorView> values) override {
    if (!HaveTypes(values, {DType::kFloat32, DType::kInt32}) ||
        values[0].shape().elements() != values[1].shape().elements()) {
      return Unfit(name_, "a float32 score and an int32 label of each sample",
                   values);
    }
    const auto scores = values[0].values<float>();
    const auto labels = values[1].values<int32_t>();
    for (size_t i = 0; i < labels.size(); ++i) {
      if (labels[i] != 0 && labels[i] != 1) {
        return absl::InvalidArgumentError(
            absl::StrCat("Train: the metric \"", name_,
                         "\": expected labels 0 and 1, found ", labels[i]));
      }
      samples_.push_back({scores[i], labels[i] == 1});
    }
    return absl::OkStatus();
  }

  // Ranks, those of equal scores in the middle: Mann and Whitney's U.
  double Result() const override {
    const FloatingPointScope environment;
    std::vector<Sample> sorted = samples_;
    for (const Sample& sample : sorted) {
      if (std::isnan(sample.score)) return kNotMeasured;
    }
    std::sort(
        sorted.begin(), sorted.end(),
        [](const Sample& a, const Sample& b) { return a.score < b.score; });
    double ranks = 0, ones = 0;
    for (size_t begin = 0; begin < sorted.size();) {
      size_t end = begin;
      double ones_here = 0;
      for (; end < sorted.size() && sorted[end].score == sorted[begin].score;
           ++end) {
        ones_here += sorted[end].is_one ? 1 : 0;
      }
      ranks += ones_here * (static_cast<double>(begin + 1 + end) / 2);
      ones += ones_here;
      begin = end;
    }
    const double zeros = static_cast<double>(sorted.size()) - ones;
    if (ones == 0 || zeros == 0) return kNotMeasured;
    return (ranks - ones * (ones + 1) / 2) / (ones * zeros);
  }

 private:
  struct Sample {
    float score;
    bool is_one;
  };
  const std::string name_;
  std::vector<Sample> samples_;
};

class Macro : public Accumulator {
 public:
  Macro(std::string name, ClassScore score, int classes)
      : name_(std::move(name)), score_(score), confusion_(classes) {}

  absl::Status Add(absl::Span<const TensorView> values) override {
    if (!HaveTypes(values, {DType::kInt32, DType::kInt32})) {
      return Unfit(name_, "int32 predictions and labels [batch]", values);
    }
    const absl::Status status = confusion_.Add(values[1].values<int32_t>(),
                                               values[0].values<int32_t>());
    if (status.ok()) return status;
    return absl::InvalidArgumentError(
        absl::StrCat("Train: the metric \"", name_, "\": ", status.message()));
  }
  double Result() const override {
    if (confusion_.total() == 0) return kNotMeasured;
    const AverageScores average = MakeClassificationReport(confusion_).macro;
    switch (score_) {
      case ClassScore::kPrecision:
        return average.precision;
      case ClassScore::kRecall:
        return average.recall;
      case ClassScore::kF1:
        return average.f1;
    }
    return kNotMeasured;
  }

 private:
  const std::string name_;
  const ClassScore score_;
  ConfusionMatrix confusion_;
};

template <typename Kind, typename... Arguments>
ModelMetric Accumulated(std::string name, std::vector<Var> values,
                        Arguments... arguments) {
  return {.name = name,
          .values = std::move(values),
          .accumulator = [name, arguments...] {
            return std::make_unique<Kind>(name, arguments...);
          }};
}

}  // namespace

ModelMetric MeanOf(std::string name, Var number) {
  return {.name = std::move(name), .values = {number}};
}

ModelMetric RootMeanSquaredError(std::string name, Var predicted, Var target) {
  return Accumulated<Errors>(std::move(name), {predicted, target},
                             Errors::Form::kRootMeanSquare);
}

ModelMetric R2(std::string name, Var predicted, Var target) {
  return Accumulated<Errors>(std::move(name), {predicted, target},
                             Errors::Form::kR2);
}

ModelMetric TopKAccuracy(std::string name, Var scores, Var labels, int k) {
  return Accumulated<TopK>(std::move(name), {scores, labels}, k);
}

ModelMetric AreaUnderRoc(std::string name, Var scores, Var labels) {
  return Accumulated<Roc>(std::move(name), {scores, labels});
}

ModelMetric MacroAverage(std::string name, ClassScore score, Var predicted,
                         Var labels, int classes) {
  return Accumulated<Macro>(std::move(name), {predicted, labels}, score,
                            classes);
}

}  // namespace tape
