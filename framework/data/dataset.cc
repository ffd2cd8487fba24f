// Data sets and the folders that hold them (dataset.h). In go paths, out come
// tensors whose shapes and labels were checked, or a Status that names what is
// wrong and where; and the other way round. Tested by tests/io/idx_test.cc and
// tests/data/dataset_test.cc.
#include "framework/data/dataset.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <future>
#include <limits>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/check.h"
#include "framework/core/exceptions.h"
#include "framework/data/csv.h"
#include "framework/data/image_folder.h"
#include "framework/io/files.h"
#include "framework/io/idx.h"

namespace tape {
namespace {

constexpr int kFolderClasses = 10;

// Where idx.h puts the size of the first axis, and the labels of a file of
// rank 1.
constexpr int kFirstSizeOffset = 4;
constexpr int kLabelsOffset = 8;
constexpr int kMaxIdxClasses = 256;

absl::Status WrongByte(absl::string_view path, int64_t offset,
                       absl::string_view expected, absl::string_view found) {
  return WrongData(absl::StrCat(path, ": byte ", offset), expected, found);
}

// ReadIdxFile, of a file that must have `rank` dimensions.
absl::StatusOr<IdxFile> ReadIdxOfRank(const std::string& path, int rank) {
  absl::StatusOr<IdxFile> array = ReadIdxFile(path);
  if (!array.ok() || array->shape.rank() == rank) return array;
  const auto magic = [](int rank) {
    return absl::StrCat(
        "IDX magic 0x", absl::Hex(0x800 + rank, absl::kZeroPad8),
        " (unsigned bytes, ", rank, rank == 1 ? " dimension)" : " dimensions)");
  };
  return WrongByte(path, 0, magic(rank), magic(array->shape.rank()));
}

// ---- Folders ----

// What each form is made of: first the training split's half, then the test's.
constexpr absl::string_view kIdxFiles[] = {
    "train-images-idx3-ubyte", "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};
constexpr absl::string_view kCsvFiles[] = {"trainData.csv", "trainLabels.csv",
                                           "testData.csv", "testLabels.csv"};
constexpr absl::string_view kLabelledCsvFiles[] = {"mnist_train.csv",
                                                   "mnist_test.csv"};
constexpr absl::string_view kPngTrees[] = {"train", "test"};

struct FormFiles {
  absl::string_view name;
  absl::Span<const absl::string_view> files;
};

FormFiles FilesOf(DatasetForm form) {
  switch (form) {
    case DatasetForm::kIdx:
      return {"idx", kIdxFiles};
    case DatasetForm::kCsv:
      return {"csv", kCsvFiles};
    case DatasetForm::kLabelledCsv:
      return {"labelled_csv", kLabelledCsvFiles};
    case DatasetForm::kPng:
      return {"png", kPngTrees};
  }
  TAPE_CHECK(false);
}

absl::Status NoDataset(const std::string& folder, absl::string_view expected,
                       absl::string_view found) {
  std::error_code ignored;  // What we may not look at is not there for us.
  const bool is_folder = std::filesystem::is_directory(folder, ignored);
  const bool exists = std::filesystem::exists(folder, ignored);
  return absl::NotFoundError(
      absl::StrCat(folder, ": expected ", expected, ", found ",
                   is_folder ? found
                   : exists  ? "no folder but a file"
                             : "no such folder",
                   " (third_party/install.sh installs the data sets)"));
}

// The paths of the form's files in `folder`, one for each, empty if missing.
std::vector<std::string> FindFiles(const std::string& folder,
                                   DatasetForm form) {
  std::vector<std::string> paths;
  for (absl::string_view name : FilesOf(form).files) {
    std::error_code ignored;  // What we may not look at is not there for us.
    std::string path = PathIn(folder, name);
    if (form == DatasetForm::kIdx && !std::filesystem::exists(path, ignored)) {
      path += ".gz";
    }
    if (!std::filesystem::exists(path, ignored)) path.clear();
    paths.push_back(std::move(path));
  }
  return paths;
}

// FindDataset, where the form is known.
absl::StatusOr<FoundDataset> FindForm(const std::string& folder,
                                      DatasetForm form) {
  std::vector<std::string> paths = FindFiles(folder, form);
  const auto missing = std::find(paths.begin(), paths.end(), "");
  if (missing == paths.end()) return FoundDataset{form, std::move(paths)};
  const absl::string_view name = FilesOf(form).files[missing - paths.begin()];
  switch (form) {
    case DatasetForm::kIdx:
      return NoDataset(folder,
                       absl::StrCat("the file ", name, " or ", name, ".gz"),
                       "neither in that folder");
    case DatasetForm::kCsv:
    case DatasetForm::kLabelledCsv:
      return NoDataset(folder, absl::StrCat("the file ", name),
                       "none in that folder");
    case DatasetForm::kPng:
      return NoDataset(folder, absl::StrCat("the folder ", name),
                       "none in that folder");
  }
  TAPE_CHECK(false);
}

enum class Split { kTrain, kTest };

absl::StatusOr<Dataset> ReadSplit(const FoundDataset& found, Split split) {
  const size_t count = found.paths.size() / 2;
  const std::string* const paths =
      &found.paths[split == Split::kTrain ? 0 : count];
  switch (found.form) {
    case DatasetForm::kIdx:
      return ReadIdxDataset(paths[0], paths[1], kFolderClasses);
    case DatasetForm::kCsv:
      return ReadCsvDataset(paths[0], paths[1], kFolderClasses);
    case DatasetForm::kLabelledCsv:
      return ReadLabelledCsvDataset(paths[0], kFolderClasses);
    case DatasetForm::kPng:
      return ReadImageFolder(paths[0], kFolderClasses);
  }
  TAPE_CHECK(false);
}

absl::Status WriteSplit(const Dataset& dataset, DatasetForm form,
                        const std::string& folder, Split split) {
  const absl::Span<const absl::string_view> files = FilesOf(form).files;
  const size_t first = split == Split::kTrain ? 0 : files.size() / 2;
  const auto path = [&](size_t file) {
    return PathIn(folder, files[first + file]);
  };
  switch (form) {
    case DatasetForm::kIdx:
      return WriteIdxDataset(dataset, path(0), path(1));
    case DatasetForm::kCsv:
      return WriteCsvDataset(dataset, path(0), path(1));
    case DatasetForm::kLabelledCsv:
      return WriteLabelledCsvDataset(dataset, path(0));
    case DatasetForm::kPng:
      return WriteImageFolder(dataset, path(0));
  }
  TAPE_CHECK(false);
}

absl::StatusOr<DataSplits> ReadFound(
    const std::string& folder, const absl::StatusOr<FoundDataset>& found) {
  if (!found.ok()) return found.status();
  // At the same time, where there is a thread to be had; else afterwards. (If the
  // training set cannot be read, its error waits until this one has been.)
  std::future<absl::StatusOr<Dataset>> later =
      std::async(std::launch::async | std::launch::deferred,
                 [&found] { return ReadSplit(*found, Split::kTest); });
  absl::StatusOr<Dataset> train = ReadSplit(*found, Split::kTrain);
  if (!train.ok()) return train.status();
  absl::StatusOr<Dataset> test = later.get();
  if (!test.ok()) return test.status();
  if (train->pixels() != test->pixels()) {
    return WrongData(folder, "train and test images of one size",
                     absl::StrCat(train->pixels(), " and ", test->pixels(),
                                  " pixels an image"));
  }
  if (train->rows != test->rows) {
    return WrongData(folder, "train and test images of one size",
                     absl::StrCat(train->rows, " and ", test->rows, " rows of ",
                                  train->pixels(), " pixels in all"));
  }
  return DataSplits{.train = *std::move(train), .test = *std::move(test)};
}

}  // namespace

absl::Status CheckDataset(const Dataset& dataset) {
  const auto wrong = [](absl::string_view expected, absl::string_view found) {
    return WrongData("the data set", expected, found);
  };
  const Tensor& images = dataset.images;
  if (images.shape().rank() != 2 || !IsForNodes(images.dtype())) {
    return wrong("images as a matrix [n, pixels] of a dtype that inputs have",
                 absl::StrCat(Name(images.dtype()), images.shape().ToString()));
  }
  const TensorType labels = {DType::kInt32, {images.shape()[0]}};
  if (!(dataset.labels.type() == labels)) {
    return wrong(
        absl::StrCat("labels ", labels.ToString(), ", one for each image"),
        absl::StrCat(Name(dataset.labels.dtype()),
                     dataset.labels.shape().ToString()));
  }
  if (dataset.size() > std::numeric_limits<uint32_t>::max()) {
    return wrong("fewer than 2^32 samples", absl::StrCat(dataset.size()));
  }
  return absl::OkStatus();
}

absl::Status CheckGreyLevels(const Dataset& dataset) {
  absl::Status status = CheckDataset(dataset);
  if (!status.ok() || dataset.images.dtype() == DType::kUint8) return status;
  return WrongData("the data set", "images of uint8, grey levels",
                   Name(dataset.images.dtype()));
}

absl::StatusOr<Tensor> ReadIdxImages(const std::string& path,
                                     int64_t* rows) try {
  const absl::StatusOr<IdxFile> images = ReadIdxOfRank(path, 3);
  if (!images.ok()) return images.status();
  const Shape& shape = images->shape;
  if (shape.elements() == 0) {
    return WrongByte(path, kFirstSizeOffset,
                     "at least 1 image of at least 1 pixel", shape.ToString());
  }
  if (rows != nullptr) *rows = shape[1];
  Tensor pixels(TensorType{DType::kUint8, {shape[0], shape[1] * shape[2]}});
  std::copy(images->values.begin(), images->values.end(),
            pixels.values<uint8_t>().begin());
  return pixels;
} catch (...) {
  return CaughtStatus(path);
}

absl::StatusOr<Dataset> ReadIdxDataset(const std::string& images_path,
                                       const std::string& labels_path,
                                       int classes) try {
  if (absl::Status status = CheckClasses(classes); !status.ok()) return status;
  int64_t rows = 0;
  absl::StatusOr<Tensor> images = ReadIdxImages(images_path, &rows);
  if (!images.ok()) return images.status();
  const absl::StatusOr<IdxFile> labels = ReadIdxOfRank(labels_path, 1);
  if (!labels.ok()) return labels.status();

  const int64_t count = images->shape()[0];
  if (labels->shape[0] != count) {
    return WrongByte(
        labels_path, kFirstSizeOffset,
        absl::StrCat(count, " labels, one for each image in ", images_path),
        absl::StrCat(labels->shape[0]));
  }
  for (int64_t i = 0; i < labels->shape[0]; ++i) {
    if (labels->values[i] >= classes) {
      return WrongByte(labels_path, kLabelsOffset + i,
                       absl::StrCat("a label in 0 to ", classes - 1),
                       absl::StrCat(labels->values[i]));
    }
  }

  const std::vector<int32_t> wide_labels(labels->values.begin(),
                                         labels->values.end());
  return Dataset{.images = *std::move(images),
                 .labels = Tensor(labels->shape, wide_labels),
                 .classes = classes,
                 .rows = rows};
} catch (...) {
  return CaughtStatus(images_path);
}

absl::Status WriteIdxDataset(const Dataset& dataset,
                             const std::string& images_path,
                             const std::string& labels_path) try {
  if (absl::Status status = CheckGreyLevels(dataset); !status.ok()) {
    return status;
  }
  const absl::StatusOr<ImageSize> size = SizeOfImages(dataset);
  if (!size.ok()) return size.status();
  if (dataset.classes > kMaxIdxClasses) {
    return WrongData(labels_path,
                     absl::StrCat("at most ", kMaxIdxClasses,
                                  " classes, as labels are bytes"),
                     absl::StrCat(dataset.classes));
  }
  absl::Status status =
      WriteIdx(images_path, {dataset.size(), size->rows, size->columns},
               dataset.images.values<uint8_t>());
  if (!status.ok()) return status;
  const auto labels = dataset.labels.values<int32_t>();
  return WriteIdx(labels_path, {dataset.size()},
                  std::vector<uint8_t>(labels.begin(), labels.end()));
} catch (...) {
  return CaughtStatus(images_path);
}

absl::Status CheckClasses(int classes) {
  if (classes >= 1) return absl::OkStatus();
  return WrongData("the data set", "at least 1 class", absl::StrCat(classes));
}

absl::StatusOr<ImageSize> SizeOfImages(const Dataset& dataset) {
  const int64_t pixels = dataset.pixels();
  if (dataset.rows == 0) {
    const auto side = std::llround(std::sqrt(static_cast<double>(pixels)));
    if (side > 0 && side * side == pixels) return ImageSize{side, side};
    return WrongData("the data set", "square images, 28 x 28 for one",
                     absl::StrCat(pixels, " pixels an image"));
  }
  if (dataset.rows > 0 && pixels > 0 && pixels % dataset.rows == 0) {
    return ImageSize{dataset.rows, pixels / dataset.rows};
  }
  return WrongData(
      "the data set", "rows that divide the pixels of an image",
      absl::StrCat(dataset.rows, " rows of ", pixels, " pixels in all"));
}

absl::StatusOr<int64_t> SquareSide(const Dataset& dataset) {
  const absl::StatusOr<ImageSize> size = SizeOfImages(dataset);
  if (!size.ok()) return size.status();
  if (size->rows == size->columns) return size->rows;
  return WrongData("the data set", "square images, 28 x 28 for one",
                   absl::StrCat(size->rows, " x ", size->columns));
}

absl::Span<const DatasetForm> DatasetForms() {
  static constexpr DatasetForm kForms[] = {DatasetForm::kIdx, DatasetForm::kCsv,
                                           DatasetForm::kLabelledCsv,
                                           DatasetForm::kPng};
  return kForms;
}

absl::string_view NameOf(DatasetForm form) { return FilesOf(form).name; }

absl::StatusOr<FoundDataset> FindDataset(const std::string& folder) try {
  std::vector<std::string> looked_for;
  for (DatasetForm form : DatasetForms()) {
    absl::StatusOr<FoundDataset> found = FindForm(folder, form);
    if (found.ok()) return found;
    looked_for.push_back(absl::StrCat(
        NameOf(form), " (", absl::StrJoin(FilesOf(form).files, ", "), ")"));
  }
  for (DatasetForm form : DatasetForms()) {
    for (const std::string& path : FindFiles(folder, form)) {
      if (!path.empty()) return FindForm(folder, form).status();
    }
  }
  return NoDataset(
      folder, absl::StrCat("a data set as ", absl::StrJoin(looked_for, " or ")),
      "none of these");
} catch (...) {
  return CaughtStatus(folder);
}

absl::StatusOr<DataSplits> ReadDatasetFolder(const std::string& folder) try {
  return ReadFound(folder, FindDataset(folder));
} catch (...) {
  return CaughtStatus(folder);
}

absl::StatusOr<DataSplits> ReadMnistFolder(const std::string& folder) try {
  return ReadFound(folder, FindForm(folder, DatasetForm::kIdx));
} catch (...) {
  return CaughtStatus(folder);
}

absl::Status WriteDatasetFolder(const DataSplits& splits, DatasetForm form,
                                const std::string& folder) {
  absl::Status status = WriteSplit(splits.train, form, folder, Split::kTrain);
  if (!status.ok()) return status;
  return WriteSplit(splits.test, form, folder, Split::kTest);
}

}  // namespace tape
