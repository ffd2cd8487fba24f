// From tables of text (tabular.h) to the numbers that models take, by transforms
// that are fitted on the training rows and kept with the model: missing values
// filled in, numbers scaled, categories one-hot, labels encoded.
//
//   const absl::StatusOr<Features> features = Features::Fit(
//       training, {.leave_out = {"weather"}});
//   const absl::StatusOr<Tensor> x = features->Apply(test);
//
// Tested by tests/data/features_test.cc.
#ifndef TAPE_FRAMEWORK_DATA_FEATURES_H_
#define TAPE_FRAMEWORK_DATA_FEATURES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "framework/core/tensor.h"
#include "framework/data/tabular.h"

namespace tape {

enum class Scaling {
  kNone,
  kStandardise,  // (x - mean) / standard deviation over n, 1 where that is 0.
  kMinMax,       // (x - min) / (max - min), 1 where that is 0.
};

struct FeatureOptions {
  std::vector<std::string> leave_out = {};  // Columns, the target's among them.
  Scaling scaling = Scaling::kStandardise;
  // A column of more categories than this, such as a name or a date, is left
  // out: it tells rows apart, and nothing of rows to come.
  int most_categories = 32;
};

// How the columns of a table become features, float32 [n, width].
class Features {
 public:
  // What a column becomes: a number (number - shift) / scale, a missing one
  // first being the training rows' mean; or a 1 in the place of its category and
  // else 0, all 0 for one that is missing or was not among the training rows.
  struct Source {
    std::string column;
    double fill = 0, shift = 0, scale = 1;     // Of numbers.
    std::vector<std::string> categories = {};  // Sorted; empty of numbers.
    bool has_numbers = true;
  };

  // Errors: no column is left; a column to leave out is not there; a table whose
  // columns do not have a number or category for each row, as all calls here
  // refuse it.
  static absl::StatusOr<Features> Fit(const Tabular& training,
                                      const FeatureOptions& options = {});
  // Of sources as they were kept. An error: what ToJson would not have written.
  static absl::StatusOr<Features> FromJson(absl::string_view json);
  std::string ToJson() const;

  // Of the same columns of another table, in any order; it may have more. An
  // error names the column that is missing, or has categories for numbers or the
  // other way round.
  absl::StatusOr<Tensor> Apply(const Tabular& table) const;

  // "temp_max", "weather=rain", …: one for each number of a row.
  std::vector<std::string> names() const;
  int64_t width() const;
  const std::vector<Source>& sources() const { return sources_; }
  // Columns with too many categories.
  const std::vector<std::string>& left_out() const { return left_out_; }

 private:
  std::vector<Source> sources_;
  std::vector<std::string> left_out_;
};

// The classes of a column: its distinct values, sorted; of numbers, all of which
// must be whole numbers below 2^53, by value.
absl::StatusOr<std::vector<std::string>> ClassesOf(const Tabular& table,
                                                   absl::string_view column);

// The class of each row, int32 [n]. An error names the row and the value that is
// missing or no class.
absl::StatusOr<Tensor> EncodeLabels(const Tabular& table,
                                    absl::string_view column,
                                    const std::vector<std::string>& classes);

// A column of numbers as float32 [n, 1], for a regression. An error names the row
// whose number is missing, or says that the column has none.
absl::StatusOr<Tensor> NumbersOf(const Tabular& table,
                                 absl::string_view column);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DATA_FEATURES_H_
