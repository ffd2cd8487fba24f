// Data sets as .npz (npz_data.h). Tested by
// tests/models/user_data_program_test.cc.
#include "models/npz_data.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/tensor.h"
#include "framework/io/files.h"
#include "framework/io/npz.h"
#include "framework/io/stored_array.h"

namespace tape {
namespace {

// One of the sets of a file.
struct ArrayPair {
  const StoredArray* x = nullptr;
  const StoredArray* y = nullptr;  // Null if there is none.
};

bool IsFloating(StoredType type) {
  return type == StoredType::kFloat16 || type == StoredType::kBFloat16 ||
         type == StoredType::kFloat32 || type == StoredType::kFloat64;
}

bool IsOfImages(const StoredArray& x) { return x.shape.rank() >= 3; }

class Reader {
 public:
  Reader(const std::string& path, const NpzFile& file, bool needs_targets)
      : path_(path), file_(file), needs_targets_(needs_targets) {}

  absl::StatusOr<UserFile> Read() const {
    const absl::StatusOr<ArrayPair> train =
        Find(file_.Find("x_train") != nullptr ? "x_train"
             : file_.Find("x") != nullptr     ? "x"
                                              : "X",
             file_.Find("x_train") != nullptr ? "y_train" : "y");
    if (!train.ok()) return train.status();
    ArrayPair test;
    if (file_.Find("x_test") != nullptr) {
      const absl::StatusOr<ArrayPair> found = Find("x_test", "y_test");
      if (!found.ok()) return found.status();
      test = *found;
    }
    // To be predicted, not to be learnt: the test set, if there is one.
    const ArrayPair none;
    if (!needs_targets_ && test.x != nullptr) return ReadSets(test, none);
    return ReadSets(*train, test);
  }

 private:
  absl::StatusOr<UserFile> ReadSets(const ArrayPair& train,
                                    const ArrayPair& test) const {
    return IsOfImages(*train.x) ? ReadImages(train, test)
                                : ReadTable(train, test);
  }

  absl::Status Wrong(const StoredArray& array, absl::string_view expected,
                     absl::string_view found) const {
    return WrongData(absl::StrCat(path_, ": ", ArrayText(array.name)), expected,
                     found);
  }
  absl::Status WithPath(const absl::Status& status) const {
    return absl::Status(status.code(),
                        absl::StrCat(path_, ": ", status.message()));
  }

  // The arrays of these names, which go together.
  absl::StatusOr<ArrayPair> Find(absl::string_view x,
                                 absl::string_view y) const {
    const ArrayPair pair = {file_.Find(x), file_.Find(y)};
    if (pair.x == nullptr || (pair.y == nullptr && needs_targets_)) {
      std::vector<std::string> names;
      for (const StoredArray& array : file_.arrays) {
        names.push_back(Quoted(array.name, 40));
      }
      return WrongData(
          path_,
          pair.x == nullptr
              ? "arrays \"x_train\" and \"y_train\", or "
                "\"x\" and \"y\""
              : absl::StrCat("an array \"", y, "\" beside \"", x, "\""),
          names.empty() ? "none" : absl::StrJoin(names, ", "));
    }
    if (pair.x->shape.rank() == 0 || pair.x->shape.elements() == 0) {
      return Wrong(*pair.x, "at least one sample of at least one number",
                   pair.x->shape.ToString());
    }
    if (pair.y == nullptr) return pair;
    const Shape& shape = pair.y->shape;
    const bool is_column =
        shape.rank() == 1 || (shape.rank() == 2 && shape[1] == 1);
    const int64_t samples = pair.x->shape[0];
    if (!is_column || shape[0] != samples) {
      return Wrong(
          *pair.y,
          absl::StrCat("one for each of the ", samples, " samples of \"", x,
                       "\", [", samples, "] or [", samples, ",1]"),
          shape.ToString());
    }
    return pair;
  }

  // ---- Images ----

  absl::StatusOr<ImageTree> ReadImageSet(
      const ArrayPair& pair, const std::vector<std::string>* known) const {
    const Shape& shape = pair.x->shape;
    ColorImages images = {.rows = shape[1], .columns = shape[2]};
    images.channels = shape.rank() == 3 ? 1 : shape[shape.rank() - 1];
    const bool is_layout =
        shape.rank() == 3 ||
        (shape.rank() == 4 && (images.channels == 1 || images.channels == 3));
    if (!is_layout || pair.x->type != StoredType::kUint8) {
      return Wrong(*pair.x,
                   "images, uint8 of [n,rows,columns] or "
                   "[n,rows,columns,1 or 3], or a table of [n,columns]",
                   absl::StrCat(Name(pair.x->type), " of ", shape.ToString()));
    }
    StoredArray flat = *pair.x;
    flat.shape = {shape[0], shape.elements() / shape[0]};
    absl::StatusOr<Tensor> pixels = ToTensor(flat, DType::kUint8);
    if (!pixels.ok()) return WithPath(pixels.status());
    images.pixels = *std::move(pixels);
    if (pair.y == nullptr) return ImageTree{.images = std::move(images)};
    StoredArray column = *pair.y;
    column.shape = {shape[0]};
    const absl::StatusOr<Tensor> labels = ToTensor(column, DType::kInt32);
    if (!labels.ok()) return WithPath(labels.status());
    const auto values = labels->values<int32_t>();
    return WithNumberedClasses(std::move(images),
                               {values.begin(), values.end()}, path_, known);
  }

  absl::StatusOr<UserFile> ReadImages(const ArrayPair& train,
                                      const ArrayPair& test) const {
    absl::StatusOr<ImageTree> images = ReadImageSet(train, nullptr);
    if (!images.ok()) return images.status();
    if (test.x == nullptr) return ImageFile{*std::move(images)};
    if (absl::Status status = CheckAlike(train, test); !status.ok()) {
      return status;
    }
    absl::StatusOr<ImageTree> others = ReadImageSet(test, &images->classes);
    if (!others.ok()) return others.status();
    return ImageFile{*std::move(images), *std::move(others)};
  }

  // ---- Tables ----

  // Numbers of a set's rows behind those of others.
  absl::Status Append(const StoredArray& array, int64_t width,
                      std::vector<TabularColumn>& columns) const {
    const absl::StatusOr<Tensor> numbers = ToTensor(array, DType::kFloat64);
    if (!numbers.ok()) return WithPath(numbers.status());
    const auto values = numbers->values<double>();
    for (int64_t i = 0; i < std::ssize(values); ++i) {
      if (std::isinf(values[i])) {
        return Wrong(array, "finite numbers, or NaN for missing ones",
                     absl::StrCat(values[i], " in row ", i / width));
      }
      columns[i % width].numbers.push_back(values[i]);
    }
    return absl::OkStatus();
  }

  // Whole numbers become categories, named after them.
  static void MakeCategories(TabularColumn& column) {
    std::vector<double> names = column.numbers;
    std::sort(names.begin(), names.end());
    names.erase(std::unique(names.begin(), names.end()), names.end());
    for (const double name : names) {
      column.values.push_back(absl::StrCat(static_cast<int64_t>(name)));
    }
    for (const double number : column.numbers) {
      column.categories.push_back(static_cast<int32_t>(
          std::lower_bound(names.begin(), names.end(), number) -
          names.begin()));
    }
    column.numbers = {};
  }

  // OK if the test set has samples of the training set's type and size.
  absl::Status CheckAlike(const ArrayPair& train, const ArrayPair& test) const {
    const auto sample = [](const StoredArray& array) {
      return Shape(array.shape.dims().subspan(1));
    };
    if (!(sample(*train.x) == sample(*test.x))) {
      return Wrong(*test.x,
                   absl::StrCat("samples of the size of the training set's, ",
                                train.x->shape.ToString()),
                   test.x->shape.ToString());
    }
    if ((train.y == nullptr) != (test.y == nullptr) ||
        (train.y != nullptr &&
         IsFloating(train.y->type) != IsFloating(test.y->type))) {
      return Wrong(test.y == nullptr ? *test.x : *test.y,
                   "targets of the training set's kind", "others");
    }
    return absl::OkStatus();
  }

  absl::StatusOr<UserFile> ReadTable(const ArrayPair& train,
                                     const ArrayPair& test) const {
    const Shape& shape = train.x->shape;
    const int64_t width = shape.elements() / shape[0];
    TableFile file;
    file.table.rows = shape[0];
    std::vector<ArrayPair> sets = {train};
    if (test.x != nullptr) {
      if (absl::Status status = CheckAlike(train, test); !status.ok()) {
        return status;
      }
      file.test_rows = test.x->shape[0];
      file.table.rows += file.test_rows;
      sets.push_back(test);
    }
    std::vector<TabularColumn>& columns = file.table.columns;
    columns.resize(width);
    for (int64_t i = 0; i < width; ++i) columns[i].name = absl::StrCat("x", i);
    std::vector<TabularColumn> target = {{.name = "y"}};
    for (const ArrayPair& set : sets) {
      absl::Status status = Append(*set.x, width, columns);
      if (status.ok() && set.y != nullptr) status = Append(*set.y, 1, target);
      if (!status.ok()) return status;
    }
    if (train.y != nullptr) {
      if (!IsFloating(train.y->type)) MakeCategories(target[0]);
      file.target = target[0].name;
      columns.push_back(std::move(target[0]));
    }
    return file;
  }

  const std::string& path_;
  const NpzFile& file_;
  const bool needs_targets_;
};

}  // namespace

bool IsNpz(const std::string& path) { return absl::EndsWith(path, ".npz"); }

absl::StatusOr<UserFile> ReadNpzData(const std::string& path,
                                     bool needs_targets) {
  const absl::StatusOr<NpzFile> file = ReadNpz(path);
  if (!file.ok()) return file.status();
  return Reader(path, *file, needs_targets).Read();
}

}  // namespace tape
