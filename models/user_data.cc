// A user's own data (user_data.h). Tested by tests/models/user_data_test.cc.
#include "models/user_data.h"

#include <cstddef>
#include <cstring>
#include <filesystem>
#include <numeric>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/exceptions.h"
#include "framework/data/dataset.h"
#include "framework/data/features.h"
#include "framework/io/files.h"

namespace tape {
namespace {

absl::Status WithPath(const std::string& path, const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat(path, ": ", status.message()));
}

// ---- Splits, as row numbers ----

struct Rows {
  std::vector<int32_t> train, validation, test;
};

// Splits `part` of `rows` off by their classes; empty without.
absl::StatusOr<std::vector<int32_t>> SplitOff(
    double share, const UserDataOptions& options, uint64_t seed,
    const std::vector<int32_t>& classes, int count,
    std::vector<int32_t>& rows) {
  if (share == 0) return std::vector<int32_t>();
  const auto size = static_cast<int64_t>(rows.size());
  std::vector<int32_t> labels;
  for (const int32_t row : rows) {
    labels.push_back(classes.empty() ? 0 : classes[row]);
  }
  const Dataset numbered = {.images = Tensor({size, 1}, rows),
                            .labels = Tensor({size}, labels),
                            .classes = count};
  const absl::StatusOr<RandomSplit> split =
      SplitAtRandom(numbered, {.fraction = share,
                               .seed = seed,
                               .stratification = options.stratification});
  if (!split.ok()) return split.status();
  const auto values = [](const Dataset& side) {
    const auto numbers = side.images.values<int32_t>();
    return std::vector<int32_t>(numbers.begin(), numbers.end());
  };
  rows = values(split->rest);
  return values(split->part);
}

// Row numbers of the splits, of `count` rows. `classes`: of each row, or empty.
absl::StatusOr<Rows> Split(const UserDataOptions& options, int64_t count,
                           const std::vector<int32_t>& classes,
                           int class_count) {
  Rows rows;
  rows.train.resize(count);
  std::iota(rows.train.begin(), rows.train.end(), 0);
  absl::StatusOr<std::vector<int32_t>> part = SplitOff(
      options.test, options, options.seed, classes, class_count, rows.train);
  if (!part.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--test: ", part.status().message()));
  }
  rows.test = *std::move(part);
  // Of all rows, as --test is.
  const double share = options.validation / (1 - options.test);
  if (share >= 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--validation: expected shares for --test and --validation that leave "
        "rows to train on, found ",
        options.test, " and ", options.validation));
  }
  part = SplitOff(share, options, options.seed + 1, classes, class_count,
                  rows.train);
  if (!part.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--validation: ", part.status().message()));
  }
  rows.validation = *std::move(part);
  return rows;
}

Tensor TakeRows(const Tensor& from, const std::vector<int32_t>& rows) {
  TensorType type = from.type();
  absl::InlinedVector<int64_t, 4> dims(type.shape.dims().begin(),
                                       type.shape.dims().end());
  const auto count = static_cast<size_t>(dims[0]);
  const size_t row_bytes = count == 0 ? 0 : type.bytes() / count;
  dims[0] = static_cast<int64_t>(rows.size());
  Tensor taken(TensorType{type.dtype, Shape(dims)});
  auto* to = static_cast<std::byte*>(taken.data());
  for (const int32_t row : rows) {
    std::memcpy(to,
                static_cast<const std::byte*>(from.data()) +
                    static_cast<size_t>(row) * row_bytes,
                row_bytes);
    to += row_bytes;
  }
  return taken;
}

TableSplits TakeSplits(const Tensor& x, const Tensor& y, const Rows& rows) {
  const auto take = [&](const std::vector<int32_t>& of) {
    return DataTable{{{"x", TakeRows(x, of)}, {"y", TakeRows(y, of)}}};
  };
  return {.train = take(rows.train),
          .test = take(rows.test),
          .validation = take(rows.validation)};
}

// ---- Tables ----

absl::StatusOr<UserData> OfTable(const Tabular& table,
                                 const UserDataOptions& options) {
  const TabularColumn* const target = table.Find(options.target);
  if (target == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--target: expected the column to predict, one of ",
        table.ColumnNames(), ", found ",
        options.target.empty() ? "none" : Quoted(options.target, 40)));
  }
  UserData data = {.task = options.task.value_or(target->has_numbers()
                                                     ? Task::kRegression
                                                     : Task::kClassification)};
  data.card.target = options.target;
  absl::StatusOr<Tensor> y;
  std::vector<int32_t> classes;
  if (data.task == Task::kClassification) {
    absl::StatusOr<std::vector<std::string>> names =
        ClassesOf(table, options.target);
    if (!names.ok()) return names.status();
    data.card.classes = *std::move(names);
    y = EncodeLabels(table, options.target, data.card.classes);
    if (!y.ok()) return y.status();
    const auto labels = y->values<int32_t>();
    classes.assign(labels.begin(), labels.end());
    if (data.card.classes.size() < 2) {
      return absl::InvalidArgumentError(absl::StrCat(
          "column ", Quoted(options.target, 40),
          ": expected at least two classes, found ",
          data.card.classes.empty() ? "none"
                                    : Quoted(data.card.classes[0], 40)));
    }
  } else {
    y = NumbersOf(table, options.target);
    if (!y.ok()) return y.status();
  }
  const absl::StatusOr<Rows> rows = Split(
      options, table.rows, classes, static_cast<int>(data.card.classes.size()));
  if (!rows.ok()) return rows.status();
  absl::StatusOr<Features> features = Features::Fit(
      SelectRows(table, rows->train), {.leave_out = {options.target}});
  if (!features.ok()) return features.status();
  const absl::StatusOr<Tensor> x = features->Apply(table);
  if (!x.ok()) return x.status();
  data.card.features = *std::move(features);
  data.splits = TakeSplits(*x, *y, *rows);
  return data;
}

}  // namespace

const char* Name(Task task) {
  return task == Task::kRegression ? "regression" : "classification";
}

std::optional<Task> TaskOf(absl::string_view name) {
  for (const Task task : {Task::kClassification, Task::kRegression}) {
    if (name == Name(task)) return task;
  }
  return std::nullopt;
}

int64_t RunData::training_samples() const {
  return user != nullptr ? user->splits.train.size() : images->train.size();
}

int64_t RunData::batches_per_epoch(const BatchOptions& options) const {
  return (user != nullptr ? Batches(user->splits.train, options)
                          : Batches(images->train, options))
      .batches_per_epoch();
}

Tabular SelectRows(const Tabular& table, absl::Span<const int32_t> rows) {
  Tabular selected = {.rows = static_cast<int64_t>(rows.size())};
  for (const TabularColumn& column : table.columns) {
    TabularColumn& to = selected.columns.emplace_back();
    to.name = column.name;
    to.values = column.values;
    for (const int32_t row : rows) {
      if (column.has_numbers()) {
        to.numbers.push_back(column.numbers[row]);
      } else {
        to.categories.push_back(column.categories[row]);
      }
    }
  }
  return selected;
}

absl::StatusOr<UserData> ReadUserData(const UserDataOptions& options) try {
  std::error_code ignored;  // What we may not look at, its reader names.
  if (std::filesystem::is_directory(options.path, ignored)) {
    return absl::UnimplementedError(
        absl::StrCat(options.path, ": expected a CSV file, found a folder"));
  }
  const absl::StatusOr<Tabular> table = ReadTabular(options.path);
  if (!table.ok()) return table.status();
  absl::StatusOr<UserData> data = OfTable(*table, options);
  if (data.ok()) return data;
  return WithPath(options.path, data.status());
} catch (...) {
  return CaughtStatus(options.path);
}

}  // namespace tape
