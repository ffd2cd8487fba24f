// Transforms of tables (features.h). Tested by tests/data/features_test.cc.
#include "framework/data/features.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"
#include "framework/core/text.h"
#include "framework/io/files.h"
#include "nlohmann/json.hpp"

namespace tape {
namespace {

using Json = nlohmann::ordered_json;

// An error unless the table's columns have what its rows ask for, as those that
// were read do.
absl::Status CheckTabular(const Tabular& table) {
  const auto rows = static_cast<size_t>(table.rows);
  for (const TabularColumn& column : table.columns) {
    const size_t found =
        column.has_numbers() ? column.numbers.size() : column.categories.size();
    if (table.rows < 0 || found != rows) {
      return absl::InvalidArgumentError(absl::StrCat(
          "column ", Quoted(column.name, 40), ": expected a cell for each of ",
          table.rows, " rows, found ", found));
    }
    for (const int32_t category : column.categories) {
      if (category < static_cast<int64_t>(column.values.size())) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          "column ", Quoted(column.name, 40), ": expected categories below ",
          column.values.size(), ", found ", category));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<const TabularColumn*> FindColumn(const Tabular& table,
                                                absl::string_view name) {
  const TabularColumn* const column = table.Find(name);
  if (column != nullptr) return column;
  return absl::InvalidArgumentError(absl::StrCat(
      "expected a column ", Quoted(name, 40), ", found ", table.ColumnNames()));
}

// The same of a table that nobody has checked yet.
absl::StatusOr<const TabularColumn*> CheckAndFindColumn(
    const Tabular& table, absl::string_view name) {
  if (absl::Status status = CheckTabular(table); !status.ok()) return status;
  return FindColumn(table, name);
}

// A header and the rows from 1 on: what an editor shows, if no cell has a line
// break.
std::string RowText(const TabularColumn& column, int64_t row) {
  return absl::StrCat("column ", Quoted(column.name, 40), ", row ", row + 2);
}

// The error of a column of categories where numbers are expected: its first cell
// that is no number. OK if all cells are missing.
absl::Status NoNumbers(const TabularColumn& column, absl::string_view why) {
  const auto error = [&](absl::string_view row, const std::string& text) {
    return absl::InvalidArgumentError(
        absl::StrCat("column ", Quoted(column.name, 40), row,
                     ": expected numbers", why, ", found ", Quoted(text, 40)));
  };
  if (const std::optional<OddCell> odd = FindOddCell(column)) {
    return error(absl::StrCat(", row ", odd->row), odd->text);
  }
  for (size_t row = 0; row < column.categories.size(); ++row) {
    if (column.categories[row] < 0) continue;
    return error(absl::StrCat(", row ", row + 2),
                 column.values[column.categories[row]]);
  }
  return absl::OkStatus();
}

Features::Source FitNumbers(const TabularColumn& column, Scaling scaling) {
  Features::Source source = {.column = column.name};
  double sum = 0, least = 0, most = 0;
  int64_t count = 0;
  for (const double number : column.numbers) {
    if (std::isnan(number)) continue;
    least = count == 0 ? number : std::min<double>(least, number);
    most = count == 0 ? number : std::max<double>(most, number);
    sum += number;
    ++count;
  }
  if (count == 0) return source;
  source.fill = sum / static_cast<double>(count);
  if (scaling == Scaling::kMinMax) {
    source.shift = least;
    source.scale = most > least ? most - least : 1;
  }
  if (scaling != Scaling::kStandardise) return source;
  // Of the rows as they are fed, those that were filled in among them.
  double squares = 0;
  for (const double number : column.numbers) {
    if (std::isnan(number)) continue;
    squares += (number - source.fill) * (number - source.fill);
  }
  const double deviation =
      std::sqrt(squares / static_cast<double>(column.numbers.size()));
  source.shift = source.fill;
  source.scale = deviation > 0 ? deviation : 1;
  return source;
}

// As few digits as tell it from other doubles.
std::string NumberText(double number) {
  char text[32];
  const std::to_chars_result end = std::to_chars(
      text, text + sizeof(text), number == 0 ? 0 : number);  // Not -0.
  return std::string(text, end.ptr);
}

// From here on double does not have all whole numbers.
constexpr double kExact = int64_t{1} << 53;

}  // namespace

absl::StatusOr<Features> Features::Fit(const Tabular& training,
                                       const FeatureOptions& options) {
  const FloatingPointScope environment;
  if (absl::Status status = CheckTabular(training); !status.ok()) {
    return status;
  }
  std::set<std::string> left_out;
  for (const std::string& name : options.leave_out) {
    const auto column = FindColumn(training, name);
    if (!column.ok()) return column.status();
    left_out.insert(name);
  }
  Features features;
  for (const TabularColumn& column : training.columns) {
    if (left_out.contains(column.name)) continue;
    if (column.has_numbers()) {
      features.sources_.push_back(FitNumbers(column, options.scaling));
      continue;
    }
    // A table that is part of another one may lack some of its categories.
    std::set<std::string> categories;
    for (const int32_t category : column.categories) {
      if (category >= 0) categories.insert(column.values[category]);
    }
    if (categories.empty() ||
        static_cast<int64_t>(categories.size()) > options.most_categories) {
      features.left_out_.push_back(column.name);
      continue;
    }
    features.sources_.push_back(
        {.column = column.name,
         .categories = {categories.begin(), categories.end()},
         .has_numbers = false});
  }
  if (features.width() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected a column of numbers, or of at most ", options.most_categories,
        " categories, to learn from, found none in ", training.ColumnNames()));
  }
  return features;
}

absl::StatusOr<Features> Features::FromJson(absl::string_view json) try {
  const auto refuse = [](absl::string_view found) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected the features of a model, found ", found));
  };
  Features features;
  std::set<std::string> columns;
  const Json sources = Json::parse(json.begin(), json.end());
  if (!sources.is_array() || sources.empty()) return refuse("no list of them");
  for (const Json& one : sources) {
    Source source = {.column = one.at("column"),
                     .fill = one.at("fill"),
                     .shift = one.at("shift"),
                     .scale = one.at("scale"),
                     .categories = one.at("categories"),
                     .has_numbers = one.at("has_numbers")};
    const std::vector<std::string>& categories = source.categories;
    const bool is_sorted =
        std::adjacent_find(categories.begin(), categories.end(),
                           std::greater_equal<>()) == categories.end();
    if (!is_sorted || source.has_numbers != categories.empty() ||
        !(source.scale > 0)) {
      return refuse(absl::StrCat("another source ", Quoted(source.column, 40)));
    }
    if (!columns.insert(source.column).second) {
      return refuse(
          absl::StrCat("column ", Quoted(source.column, 40), " twice"));
    }
    features.sources_.push_back(std::move(source));
  }
  return features;
} catch (const Json::exception& error) {
  return absl::InvalidArgumentError(absl::StrCat(
      "expected the features of a model, found ", Printable(error.what())));
} catch (...) {
  return CaughtStatus("Features::FromJson");
}

std::string Features::ToJson() const {
  Json sources = Json::array();
  for (const Source& source : sources_) {
    sources.push_back({{"column", source.column},
                       {"fill", source.fill},
                       {"shift", source.shift},
                       {"scale", source.scale},
                       {"categories", source.categories},
                       {"has_numbers", source.has_numbers}});
  }
  // What is read is UTF-8; names given by hand must not throw.
  return sources.dump(/*indent=*/-1, /*indent_char=*/' ',
                      /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

absl::StatusOr<Tensor> Features::Apply(const Tabular& table) const {
  const FloatingPointScope environment;
  if (absl::Status status = CheckTabular(table); !status.ok()) return status;
  const int64_t width = this->width();
  absl::StatusOr<Tensor> made =
      Tensor::Make({DType::kFloat32, {table.rows, width}});
  if (!made.ok()) return made.status();
  Tensor features = *std::move(made);
  const absl::Span<float> to = features.values<float>();
  std::fill(to.begin(), to.end(), 0.0f);
  int64_t place = 0;
  for (const Source& source : sources_) {
    const auto found = FindColumn(table, source.column);
    if (!found.ok()) return found.status();
    const TabularColumn& column = **found;
    const bool is_of_numbers = source.has_numbers;
    const bool all_missing =
        column.has_numbers() &&
        std::all_of(column.numbers.begin(), column.numbers.end(),
                    [](double number) { return std::isnan(number); });
    if (!is_of_numbers && column.has_numbers() && !all_missing) {
      return absl::InvalidArgumentError(absl::StrCat(
          "column ", Quoted(column.name, 40),
          ": expected categories, as the training rows had, found numbers "
          "(TabularOptions::categories)"));
    }
    if (is_of_numbers && !column.has_numbers()) {
      const absl::Status status =
          NoNumbers(column, ", as the training rows had");
      if (!status.ok()) return status;
    }
    if (is_of_numbers) {
      for (int64_t row = 0; row < table.rows; ++row) {
        // Of categories all are missing here.
        const double number = column.has_numbers() ? column.numbers[row] : NAN;
        const double filled = std::isnan(number) ? source.fill : number;
        to[row * width + place] =
            static_cast<float>((filled - source.shift) / source.scale);
      }
      ++place;
      continue;
    }
    std::vector<int64_t> places;  // Of this table's categories.
    for (const std::string& value : column.values) {
      const auto at = std::lower_bound(source.categories.begin(),
                                       source.categories.end(), value);
      places.push_back(at != source.categories.end() && *at == value
                           ? at - source.categories.begin()
                           : -1);
    }
    for (int64_t row = 0; row < table.rows && !all_missing; ++row) {
      const int32_t category = column.categories[row];
      if (category < 0 || places[category] < 0) continue;
      to[row * width + place + places[category]] = 1;
    }
    place += static_cast<int64_t>(source.categories.size());
  }
  return features;
}

std::vector<std::string> Features::names() const {
  std::vector<std::string> names;
  for (const Source& source : sources_) {
    if (source.has_numbers) names.push_back(source.column);
    for (const std::string& category : source.categories) {
      names.push_back(absl::StrCat(source.column, "=", category));
    }
  }
  return names;
}

int64_t Features::width() const {
  int64_t width = 0;
  for (const Source& source : sources_) {
    width +=
        source.has_numbers ? 1 : static_cast<int64_t>(source.categories.size());
  }
  return width;
}

absl::StatusOr<std::vector<std::string>> ClassesOf(const Tabular& table,
                                                   absl::string_view column) {
  const FloatingPointScope environment;
  const auto found = CheckAndFindColumn(table, column);
  if (!found.ok()) return found.status();
  std::vector<std::string> classes;
  if (!(*found)->has_numbers()) {
    std::set<std::string> values;
    for (const int32_t category : (*found)->categories) {
      if (category >= 0) values.insert((*found)->values[category]);
    }
    return std::vector<std::string>(values.begin(), values.end());
  }
  std::set<double> numbers;
  for (int64_t row = 0; row < table.rows; ++row) {
    const double number = (*found)->numbers[row];
    if (std::isnan(number)) continue;
    if (number != std::floor(number) || std::fabs(number) >= kExact) {
      return absl::InvalidArgumentError(absl::StrCat(
          RowText(**found, row),
          ": expected a class, a word or a whole number below 2^53, found ",
          NumberText(number)));
    }
    numbers.insert(number);
  }
  for (const double number : numbers) classes.push_back(NumberText(number));
  return classes;
}

absl::StatusOr<Tensor> EncodeLabels(const Tabular& table,
                                    absl::string_view column,
                                    const std::vector<std::string>& classes) {
  const FloatingPointScope environment;
  const auto found = CheckAndFindColumn(table, column);
  if (!found.ok()) return found.status();
  std::map<std::string, int32_t, std::less<>> places;
  for (const std::string& name : classes) {
    places.emplace(name, static_cast<int32_t>(places.size()));
  }
  std::vector<int32_t> labels;
  for (int64_t row = 0; row < table.rows; ++row) {
    std::string value;
    if ((*found)->has_numbers()) {
      const double number = (*found)->numbers[row];
      if (!std::isnan(number)) value = NumberText(number);
    } else if ((*found)->categories[row] >= 0) {
      value = (*found)->values[(*found)->categories[row]];
    }
    const auto at = places.find(value);
    if (at == places.end()) {
      constexpr size_t kMost = 10;
      const std::vector<std::string> some(
          classes.begin(), classes.begin() + std::min(kMost, classes.size()));
      return absl::InvalidArgumentError(absl::StrCat(
          RowText(**found, row), ": expected one of the classes ",
          absl::StrJoin(some, ", "), classes.size() > kMost ? ", …" : "",
          ", found ", value.empty() ? "nothing" : Quoted(value, 40)));
    }
    labels.push_back(at->second);
  }
  return Tensor({table.rows}, labels);
}

absl::StatusOr<Tensor> NumbersOf(const Tabular& table,
                                 absl::string_view column) {
  const auto found = CheckAndFindColumn(table, column);
  if (!found.ok()) return found.status();
  if (!(*found)->has_numbers()) {
    if (absl::Status status = NoNumbers(**found, ""); !status.ok()) {
      return status;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "column ", Quoted(column, 40), ": expected numbers, found none"));
  }
  for (int64_t row = 0; row < table.rows; ++row) {
    if (!std::isnan((*found)->numbers[row])) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        RowText(**found, row), ": expected a number, found nothing"));
  }
  const std::vector<double>& numbers = (*found)->numbers;
  return Tensor({table.rows, 1},
                std::vector<float>(numbers.begin(), numbers.end()));
}

}  // namespace tape
