// A user's own data (user_data.h). Tested by tests/models/user_data_test.cc.
#include "models/user_data.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/exceptions.h"
#include "framework/data/dataset.h"
#include "framework/data/features.h"
#include "framework/io/files.h"
#include "models/user_files.h"

namespace tape {
namespace {

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
  if (!split.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected a share that leaves rows on both sides, found ",
                     share, " of ", size, " rows"));
  }
  const auto values = [](const Dataset& side) {
    const auto numbers = side.images.values<int32_t>();
    return std::vector<int32_t>(numbers.begin(), numbers.end());
  };
  rows = values(split->rest);
  return values(split->part);
}

// Row numbers of the splits, of `count` rows; of data with a test set of their own
// (`has_test`) there is none to split off. `classes`: of each row, or empty.
absl::StatusOr<Rows> Split(UserDataOptions options, int64_t count,
                           bool has_test, const std::vector<int32_t>& classes,
                           int class_count) {
  if (has_test) {
    if (options.test_is_given) {
      return absl::InvalidArgumentError(
          "--test: expected none for data with a test set of their own, found "
          "one");
    }
    options.test = 0;
  }
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

// What a user may not expect of the columns.
void AddNotes(const Tabular& table, UserData& data) {
  for (const TabularColumn& column : table.columns) {
    if (column.name == data.card.target || column.has_numbers()) continue;
    if (const std::optional<OddCell> odd = FindOddCell(column)) {
      data.notes.push_back(absl::StrCat(
          "column ", Quoted(column.name, 40), " is not of numbers, though ",
          odd->numbers, " of ", odd->cells, " cells are: row ", odd->row,
          " is ", Quoted(odd->text, 40)));
    }
  }
  const std::vector<std::string>& left_out = data.card.features->left_out();
  if (!left_out.empty()) {
    std::vector<std::string> names;
    for (const std::string& name : left_out) names.push_back(Quoted(name, 40));
    data.notes.push_back(absl::StrCat(
        "left out, of more than ", FeatureOptions().most_categories,
        " categories: ", absl::StrJoin(names, ", ")));
  }
  if (data.task != Task::kRegression) return;
  const auto y = data.splits.train.Find("y")->values<float>();
  const auto [low, high] = std::minmax_element(y.begin(), y.end());
  if (low == y.end()) return;
  const double largest = std::max(std::fabs(*low), std::fabs(*high));
  if (*high - *low < 1e-4 * largest) {
    data.notes.push_back(absl::StrCat(
        "column ", Quoted(data.card.target, 40), ": its numbers lie within ",
        *high - *low, " of one another near ", largest,
        ", and are rounded to float32: subtract a constant from them"));
  }
}

absl::StatusOr<UserData> OfTable(const TableFile& file,
                                 UserDataOptions options) {
  const Tabular& table = file.table;
  if (options.target.empty()) options.target = file.target;
  const TabularColumn* const target = table.Find(options.target);
  if (target == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--target: expected the column to predict, one of ",
        table.ColumnNames(), ", found ",
        options.target.empty() ? "none" : Quoted(options.target, 40)));
  }
  if (!options.task.has_value() && !target->has_numbers()) {
    if (const std::optional<OddCell> odd = FindOddCell(*target)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "column ", Quoted(options.target, 40), ", row ", odd->row,
          ": expected numbers, as in ", odd->numbers, " of ", odd->cells,
          " cells, found ", Quoted(odd->text, 40),
          "; --task=classification takes all cells for classes"));
    }
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
  const int64_t split = table.rows - file.test_rows;
  absl::StatusOr<Rows> rows = Split(options, split, file.test_rows > 0, classes,
                                    static_cast<int>(data.card.classes.size()));
  if (!rows.ok()) return rows.status();
  for (int64_t row = split; row < table.rows; ++row) {
    rows->test.push_back(static_cast<int32_t>(row));
  }
  absl::StatusOr<Features> features = Features::Fit(
      SelectRows(table, rows->train), {.leave_out = {options.target}});
  if (!features.ok()) return features.status();
  const absl::StatusOr<Tensor> x = features->Apply(table);
  if (!x.ok()) return x.status();
  data.card.features = *std::move(features);
  data.splits = TakeSplits(*x, *y, *rows);
  AddNotes(table, data);
  return data;
}

// ---- Images ----

absl::Status CheckForImages(const UserDataOptions& options) {
  if (!options.target.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--target: expected none for images, whose folders or "
                     "labels are the classes, found ",
                     Quoted(options.target, 40)));
  }
  if (options.task == Task::kRegression) {
    return absl::InvalidArgumentError(
        "--task: expected classification for images, found regression");
  }
  return absl::OkStatus();
}

absl::StatusOr<UserData> OfImages(ImageFile file,
                                  const UserDataOptions& options) {
  if (absl::Status status = CheckForImages(options); !status.ok()) {
    return status;
  }
  ImageTree& tree = file.train;
  if (tree.classes.size() < 2) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected images of at least two classes, found ",
                     tree.classes.size()));
  }
  const auto labels = tree.labels.values<int32_t>();
  const std::vector<int32_t> classes(labels.begin(), labels.end());
  const absl::StatusOr<Rows> rows =
      Split(options, tree.labels.elements(), file.test.has_value(), classes,
            static_cast<int>(tree.classes.size()));
  if (!rows.ok()) return rows.status();
  UserData data;
  data.splits = TakeSplits(tree.images.pixels, tree.labels, *rows);
  if (file.test.has_value()) {
    data.splits.test = {{{"x", std::move(file.test->images.pixels)},
                         {"y", std::move(file.test->labels)}}};
  }
  data.card.classes = std::move(tree.classes);
  data.card.images = {tree.images.rows, tree.images.columns,
                      tree.images.channels};
  data.notes = std::move(tree.images.notes);
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
  absl::StatusOr<UserFile> file = ReadUserFile(options.path);
  if (!file.ok()) return file.status();
  absl::StatusOr<UserData> data;
  if (auto* const images = std::get_if<ImageFile>(&*file)) {
    data = OfImages(std::move(*images), options);
  } else {
    const auto& table = std::get<TableFile>(*file);
    const std::vector<TabularColumn>& columns = table.table.columns;
    for (const char separator : {';', '\t'}) {
      if (columns.size() > 1 ||
          !absl::StrContains(columns[0].name, separator)) {
        continue;
      }
      return WrongData(
          options.path, "columns separated by commas",
          absl::StrCat("one column ", Quoted(columns[0].name, 40)));
    }
    data = OfTable(table, options);
  }
  if (data.ok()) return data;
  return absl::Status(
      data.status().code(),
      absl::StrCat(options.path, ": ", data.status().message()));
} catch (...) {
  return CaughtStatus(options.path);
}

}  // namespace tape
