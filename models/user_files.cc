// Users' files and folders (user_files.h). Tested by
// tests/models/user_data_program_test.cc.
#include "models/user_files.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/data/dataset.h"
#include "framework/io/files.h"
#include "framework/io/idx.h"
#include "models/npz_data.h"

namespace tape {
namespace {

// FOLDER/train and FOLDER/test, or one tree.
absl::StatusOr<UserFile> ReadTrees(const std::string& folder,
                                   const std::vector<std::string>& names,
                                   int channels) {
  const ImageTreeOptions options = {.channels = channels};
  if (names != std::vector<std::string>{"test", "train"}) {
    absl::StatusOr<ImageTree> tree = ReadImageTree(folder, options);
    if (!tree.ok()) return tree.status();
    return ImageFile{*std::move(tree)};
  }
  absl::StatusOr<ImageTree> train =
      ReadImageTree(PathIn(folder, "train"), options);
  if (!train.ok()) return train.status();
  const ColorImages& images = train->images;
  absl::StatusOr<ImageTree> test = ReadImageTree(
      PathIn(folder, "test"), {.channels = static_cast<int>(images.channels)});
  if (!test.ok()) return test.status();
  if (test->classes != train->classes || test->images.rows != images.rows ||
      test->images.columns != images.columns) {
    return WrongData(folder,
                     "the classes and the size of images of train in test",
                     "others");
  }
  return ImageFile{*std::move(train), *std::move(test)};
}

// ---- IDX ----

// The one name that has all of `parts` in it; empty if none has.
absl::StatusOr<std::string> FindFile(const std::string& folder,
                                     const std::vector<std::string>& names,
                                     const std::vector<std::string>& parts) {
  std::string found;
  for (const std::string& name : names) {
    const bool has_all = std::all_of(
        parts.begin(), parts.end(),
        [&](const std::string& part) { return absl::StrContains(name, part); });
    if (!has_all) continue;
    if (!found.empty()) {
      return WrongData(
          folder, absl::StrCat("one file of ", absl::StrJoin(parts, " ")),
          absl::StrCat(Quoted(found, 60), " and ", Quoted(name, 60)));
    }
    found = name;
  }
  return found;
}

// Image and label files under the customary names, with any prefix:
// "train-images-idx3-ubyte.gz", "emnist-letters-train-images-idx3-ubyte",
// "train-images.idx3-ubyte", "qmnist-test-labels-idx2-int". No images if there
// are none.
struct IdxPair {
  std::string images, labels;
};
absl::StatusOr<IdxPair> FindPair(const std::string& folder,
                                 const std::vector<std::string>& names,
                                 const std::string& split) {
  const absl::StatusOr<std::string> images =
      FindFile(folder, names, {split, "images", "idx3"});
  if (!images.ok()) return images.status();
  if (images->empty()) return IdxPair();
  const absl::StatusOr<std::string> labels =
      FindFile(folder, names, {split, "labels", "idx"});
  if (!labels.ok()) return labels.status();
  if (labels->empty()) {
    return absl::NotFoundError(
        absl::StrCat(folder, ": expected the labels of ", Quoted(*images, 60),
                     ", a file with \"", split,
                     "\", \"labels\" and \"idx\" in its name, found none"));
  }
  return IdxPair{PathIn(folder, *images), PathIn(folder, *labels)};
}

// `known` is as of WithNumberedClasses.
absl::StatusOr<ImageTree> ReadPair(const IdxPair& pair,
                                   const std::vector<std::string>* known) {
  ColorImages images;
  absl::StatusOr<Tensor> pixels = ReadIdxImages(pair.images, &images.rows);
  if (!pixels.ok()) return pixels.status();
  images.pixels = *std::move(pixels);
  images.columns = images.pixels.shape()[1] / images.rows;
  const absl::StatusOr<Tensor> labels =
      ReadIdxTensor(pair.labels, DType::kInt32);
  if (!labels.ok()) return labels.status();
  const int64_t count = images.pixels.shape()[0];
  const Shape& shape = labels->shape();
  const bool is_table = shape.rank() == 2 && shape[1] > 0;
  if ((shape.rank() != 1 && !is_table) || shape[0] != count) {
    return WrongData(pair.labels,
                     absl::StrCat("a label, or a row of them, for each of the ",
                                  count, " images"),
                     shape.ToString());
  }
  const int64_t width = is_table ? shape[1] : 1;
  if (width > 1) {
    images.notes.push_back(
        absl::StrCat(std::filesystem::path(pair.labels).filename().string(),
                     ": the first of its ", width, " columns is the class"));
  }
  std::vector<int32_t> classes;
  for (int64_t i = 0; i < count; ++i) {
    classes.push_back(labels->values<int32_t>()[i * width]);
  }
  return WithNumberedClasses(std::move(images), classes, pair.labels, known);
}

absl::StatusOr<UserFile> ReadPairs(const IdxPair& train_pair,
                                   const IdxPair& test_pair) {
  absl::StatusOr<ImageTree> train = ReadPair(train_pair, nullptr);
  if (!train.ok()) return train.status();
  if (test_pair.images.empty()) return ImageFile{*std::move(train)};
  absl::StatusOr<ImageTree> test = ReadPair(test_pair, &train->classes);
  if (!test.ok()) return test.status();
  const ColorImages& found = test->images;
  if (found.rows != train->images.rows ||
      found.columns != train->images.columns) {
    return WrongData(
        test_pair.images,
        absl::StrCat("images of the training set's size, ", train->images.rows,
                     " by ", train->images.columns),
        absl::StrCat(found.rows, " by ", found.columns));
  }
  return ImageFile{*std::move(train), *std::move(test)};
}

absl::StatusOr<UserFile> ReadFolder(const std::string& folder, int channels) {
  const absl::StatusOr<std::vector<std::string>> names =
      VisibleNames(folder, "a folder of images");
  if (!names.ok()) return names.status();
  const absl::StatusOr<IdxPair> train = FindPair(folder, *names, "train");
  if (!train.ok()) return train.status();
  if (train->images.empty()) return ReadTrees(folder, *names, channels);
  absl::StatusOr<IdxPair> test = FindPair(folder, *names, "t10k");
  if (test.ok() && test->images.empty()) {
    test = FindPair(folder, *names, "test");
  }
  if (!test.ok()) return test.status();
  return ReadPairs(*train, *test);
}

}  // namespace

bool IsIdxFolder(const std::string& path) {
  const absl::StatusOr<std::vector<std::string>> names =
      VisibleNames(path, "a folder of images");
  if (!names.ok()) return false;
  const absl::StatusOr<IdxPair> train = FindPair(path, *names, "train");
  return !train.ok() || !train->images.empty();
}

absl::StatusOr<ImageTree> WithNumberedClasses(
    ColorImages images, const std::vector<int32_t>& labels,
    const std::string& path, const std::vector<std::string>* known) {
  ImageTree tree;
  if (known != nullptr) {
    tree.classes = *known;
  } else {
    for (const int32_t label : std::set(labels.begin(), labels.end())) {
      tree.classes.push_back(absl::StrCat(label));
    }
  }
  std::map<std::string, int32_t> places;
  for (const std::string& name : tree.classes) {
    places.emplace(name, static_cast<int32_t>(places.size()));
  }
  std::vector<int32_t> found;
  for (const int32_t label : labels) {
    const auto place = places.find(absl::StrCat(label));
    if (place == places.end()) {
      return WrongData(path, "labels that the training set has",
                       absl::StrCat(label));
    }
    found.push_back(place->second);
  }
  tree.labels = Tensor({static_cast<int64_t>(found.size())}, found);
  tree.images = std::move(images);
  return tree;
}

absl::StatusOr<UserFile> ReadUserFile(const std::string& path,
                                      const UserFileOptions& options) {
  std::error_code ignored;  // What we may not look at, its reader names.
  if (std::filesystem::is_directory(path, ignored)) {
    return ReadFolder(path, options.channels);
  }
  if (IsNpz(path)) return ReadNpzData(path, options.needs_targets);
  absl::StatusOr<Tabular> table =
      ReadTabular(path, {.categories = options.categories});
  if (!table.ok()) return table.status();
  return TableFile{*std::move(table)};
}

}  // namespace tape
