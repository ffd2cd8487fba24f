// A user's own data (user_data.h). Tested by tests/models/user_data_test.cc.
#include "models/user_data.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <filesystem>
#include <map>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/exceptions.h"
#include "framework/data/dataset.h"
#include "framework/data/features.h"
#include "framework/data/image_tree.h"
#include "framework/io/files.h"
#include "framework/io/idx.h"

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

absl::StatusOr<UserData> OfTable(const Tabular& table,
                                 const UserDataOptions& options) {
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
  AddNotes(table, data);
  return data;
}

// ---- Images ----

absl::Status CheckForImages(const UserDataOptions& options) {
  if (!options.target.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--target: expected none for a folder of images, whose "
                     "folders or labels are the classes, found ",
                     Quoted(options.target, 40)));
  }
  if (options.task == Task::kRegression) {
    return absl::InvalidArgumentError(
        "--task: expected classification for a folder of images, found "
        "regression");
  }
  return absl::OkStatus();
}

// Images with labels, 0 to classes - 1.
struct Labelled {
  Tensor pixels = Tensor(TensorType{DType::kUint8, {0, 0}});
  Tensor labels = Tensor(TensorType{DType::kInt32, {0}});
  std::vector<std::string> classes = {};
  ImageLayout layout = {};
  std::vector<std::string> notes = {};
};

// One set, split by shares.
absl::StatusOr<UserData> OfImages(Labelled images,
                                  const UserDataOptions& options) {
  const auto labels = images.labels.values<int32_t>();
  const std::vector<int32_t> classes(labels.begin(), labels.end());
  const auto count = static_cast<int>(images.classes.size());
  const absl::StatusOr<Rows> rows =
      Split(options, static_cast<int64_t>(classes.size()), classes, count);
  if (!rows.ok()) return rows.status();
  UserData data;
  data.splits = TakeSplits(images.pixels, images.labels, *rows);
  data.card.classes = std::move(images.classes);
  data.card.images = images.layout;
  data.notes = std::move(images.notes);
  return data;
}

// A set with a test set of its own.
absl::StatusOr<UserData> OfImages(Labelled images, Labelled test,
                                  UserDataOptions options) {
  if (options.test_is_given) {
    return absl::InvalidArgumentError(
        "--test: expected none for data with a test set of their own, found "
        "one");
  }
  options.test = 0;
  absl::StatusOr<UserData> data = OfImages(std::move(images), options);
  if (!data.ok()) return data;
  data->splits.test = {
      {{"x", std::move(test.pixels)}, {"y", std::move(test.labels)}}};
  return data;
}

Labelled OfTree(ImageTree tree) {
  return {
      .pixels = std::move(tree.images.pixels),
      .labels = std::move(tree.labels),
      .classes = std::move(tree.classes),
      .layout = {tree.images.rows, tree.images.columns, tree.images.channels},
      .notes = std::move(tree.images.notes)};
}

// FOLDER/train and FOLDER/test, or one tree.
absl::StatusOr<UserData> OfTrees(const std::string& folder,
                                 const std::vector<std::string>& names,
                                 const UserDataOptions& options) {
  if (names != std::vector<std::string>{"test", "train"}) {
    absl::StatusOr<ImageTree> tree = ReadImageTree(folder);
    if (!tree.ok()) return tree.status();
    return OfImages(OfTree(*std::move(tree)), options);
  }
  absl::StatusOr<ImageTree> train = ReadImageTree(PathIn(folder, "train"));
  if (!train.ok()) return train.status();
  const ColorImages& images = train->images;
  absl::StatusOr<ImageTree> test = ReadImageTree(
      PathIn(folder, "test"), {.channels = static_cast<int>(images.channels)});
  if (!test.ok()) return test.status();
  if (test->classes != train->classes || test->images.rows != images.rows ||
      test->images.columns != images.columns) {
    return absl::InvalidArgumentError(
        "expected the classes and the size of images of train in test, found "
        "others");
  }
  return OfImages(OfTree(*std::move(train)), OfTree(*std::move(test)), options);
}

// ---- IDX ----

// The one name that has all of `parts` in it; empty if none has.
absl::StatusOr<std::string> FindFile(const std::vector<std::string>& names,
                                     const std::vector<std::string>& parts) {
  std::string found;
  for (const std::string& name : names) {
    const bool has_all = std::all_of(
        parts.begin(), parts.end(),
        [&](const std::string& part) { return absl::StrContains(name, part); });
    if (!has_all) continue;
    if (!found.empty()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "expected one file of ", absl::StrJoin(parts, " "), ", found ",
          Quoted(found, 60), " and ", Quoted(name, 60)));
    }
    found = name;
  }
  return found;
}

// Image and label files under the customary names, with any prefix:
// "train-images-idx3-ubyte.gz", "emnist-letters-train-images-idx3-ubyte",
// "train-images.idx3-ubyte". No images if there are none.
struct IdxPair {
  std::string images, labels;
};
absl::StatusOr<IdxPair> FindPair(const std::string& folder,
                                 const std::vector<std::string>& names,
                                 const std::string& split) {
  const absl::StatusOr<std::string> images =
      FindFile(names, {split, "images", "idx3"});
  if (!images.ok()) return images.status();
  if (images->empty()) return IdxPair();
  const absl::StatusOr<std::string> labels =
      FindFile(names, {split, "labels", "idx1"});
  if (!labels.ok()) return labels.status();
  if (labels->empty()) {
    return absl::NotFoundError(absl::StrCat("expected the labels of ",
                                            Quoted(*images, 60),
                                            ", a file with \"", split,
                                            "\", \"labels\" and \"idx1\" "
                                            "in its name, found none"));
  }
  return IdxPair{PathIn(folder, *images), PathIn(folder, *labels)};
}

// The images and labels of a pair, labels as they are in the file: EMNIST's
// letters have 1 to 26.
struct IdxSet {
  Tensor pixels = Tensor(TensorType{DType::kUint8, {0, 0}});
  std::vector<uint8_t> labels = {};
  int64_t rows = 0;
};
absl::StatusOr<IdxSet> ReadPair(const IdxPair& pair) {
  IdxSet set;
  absl::StatusOr<Tensor> pixels = ReadIdxImages(pair.images, &set.rows);
  if (!pixels.ok()) return pixels.status();
  set.pixels = *std::move(pixels);
  absl::StatusOr<IdxArray> labels = ReadIdx(pair.labels);
  if (!labels.ok()) return labels.status();
  const Shape expected = {set.pixels.shape()[0]};
  if (!(labels->shape == expected)) {
    return WrongData(pair.labels,
                     absl::StrCat("a label for each of the ", expected[0],
                                  " images, ", expected.ToString()),
                     labels->shape.ToString());
  }
  set.labels = std::move(labels->values);
  return set;
}

// With the labels as places among `known`. A label that is none is an error.
absl::StatusOr<Labelled> Encoded(IdxSet set, const std::set<uint8_t>& known,
                                 const std::string& path) {
  Labelled labelled;
  labelled.layout = {set.rows, set.pixels.shape()[1] / set.rows};
  labelled.pixels = std::move(set.pixels);
  std::map<uint8_t, int32_t> places;
  for (const uint8_t label : known) {
    places.emplace(label, static_cast<int32_t>(places.size()));
    labelled.classes.push_back(absl::StrCat(label));
  }
  std::vector<int32_t> labels;
  for (const uint8_t label : set.labels) {
    const auto place = places.find(label);
    if (place == places.end()) {
      return WrongData(path, "labels that the training set has",
                       absl::StrCat(label));
    }
    labels.push_back(place->second);
  }
  const auto count = static_cast<int64_t>(labels.size());
  labelled.labels = Tensor({count}, labels);
  return labelled;
}

absl::StatusOr<UserData> OfIdx(const IdxPair& train_pair,
                               const IdxPair& test_pair,
                               const UserDataOptions& options) {
  absl::StatusOr<IdxSet> train = ReadPair(train_pair);
  if (!train.ok()) return train.status();
  const std::set<uint8_t> known(train->labels.begin(), train->labels.end());
  if (known.size() < 2) {
    return WrongData(train_pair.labels, "labels of at least two classes",
                     absl::StrCat(known.size()));
  }
  absl::StatusOr<Labelled> labelled =
      Encoded(*std::move(train), known, train_pair.labels);
  if (!labelled.ok()) return labelled.status();
  if (test_pair.images.empty()) {
    return OfImages(*std::move(labelled), options);
  }
  absl::StatusOr<IdxSet> test = ReadPair(test_pair);
  if (!test.ok()) return test.status();
  if (test->rows != labelled->layout.rows ||
      test->pixels.shape()[1] != labelled->pixels.shape()[1]) {
    return WrongData(test_pair.images, "images of the training set's size",
                     absl::StrCat(test->rows, " rows of another size"));
  }
  absl::StatusOr<Labelled> of_test =
      Encoded(*std::move(test), known, test_pair.labels);
  if (!of_test.ok()) return of_test.status();
  return OfImages(*std::move(labelled), *std::move(of_test), options);
}

absl::StatusOr<UserData> OfFolder(const UserDataOptions& options) {
  if (absl::Status status = CheckForImages(options); !status.ok()) {
    return status;
  }
  const std::string& folder = options.path;
  const absl::StatusOr<std::vector<std::string>> names =
      VisibleNames(folder, "a folder of images");
  if (!names.ok()) return names.status();
  const absl::StatusOr<IdxPair> train = FindPair(folder, *names, "train");
  if (!train.ok()) return train.status();
  if (train->images.empty()) return OfTrees(folder, *names, options);
  absl::StatusOr<IdxPair> test = FindPair(folder, *names, "t10k");
  if (test.ok() && test->images.empty()) {
    test = FindPair(folder, *names, "test");
  }
  if (!test.ok()) return test.status();
  return OfIdx(*train, *test, options);
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
    absl::StatusOr<UserData> data = OfFolder(options);
    if (data.ok() || absl::StrContains(data.status().message(), options.path)) {
      return data;
    }
    return WithPath(options.path, data.status());
  }
  const absl::StatusOr<Tabular> table = ReadTabular(options.path);
  if (!table.ok()) return table.status();
  if (table->columns.size() == 1) {
    for (const char separator : {';', '\t'}) {
      if (!absl::StrContains(table->columns[0].name, separator)) continue;
      return WrongData(
          options.path, "columns separated by commas",
          absl::StrCat("one column ", Quoted(table->columns[0].name, 40)));
    }
  }
  absl::StatusOr<UserData> data = OfTable(*table, options);
  if (data.ok()) return data;
  return WithPath(options.path, data.status());
} catch (...) {
  return CaughtStatus(options.path);
}

}  // namespace tape
