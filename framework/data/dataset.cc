// The readers of data sets (dataset.h). In go paths, out come tensors whose
// shapes and labels were checked, or a Status that names file and byte.
// Tested by tests/idx_test.cc.
#include "framework/data/dataset.h"

#include <cstdint>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "framework/core/check.h"
#include "framework/data/idx.h"

namespace tape {
namespace {

constexpr int kMnistClasses = 10;

// Where idx.h puts the size of the first axis, and the labels of a file of
// rank 1.
constexpr int kFirstSizeOffset = 4;
constexpr int kLabelsOffset = 8;

absl::Status Wrong(absl::string_view path, int64_t offset,
                   absl::string_view expected, absl::string_view found) {
  return absl::InvalidArgumentError(absl::StrCat(
      path, ": byte ", offset, ": expected ", expected, ", found ", found));
}

// ReadIdx, of a file that must have `rank` dimensions.
absl::StatusOr<IdxArray> ReadIdxOfRank(const std::string& path, int rank) {
  absl::StatusOr<IdxArray> array = ReadIdx(path);
  if (!array.ok() || array->shape.rank() == rank) return array;
  const auto magic = [](int rank) {
    return absl::StrCat(
        "IDX magic 0x", absl::Hex(0x800 + rank, absl::kZeroPad8),
        " (unsigned bytes, ", rank, rank == 1 ? " dimension)" : " dimensions)");
  };
  return Wrong(path, 0, magic(rank), magic(array->shape.rank()));
}

// The path of the file `name` in `folder`, or of `name`.gz.
absl::StatusOr<std::string> Find(const std::string& folder,
                                 const std::string& name) {
  std::error_code ignored;  // A file we may not look at is not there for us.
  const std::string plain = (std::filesystem::path(folder) / name).string();
  const std::string gzipped = plain + ".gz";
  if (std::filesystem::exists(plain, ignored)) return plain;
  if (std::filesystem::exists(gzipped, ignored)) return gzipped;
  const absl::string_view found =
      std::filesystem::is_directory(folder, ignored) ? "neither in that folder"
      : std::filesystem::exists(folder, ignored)     ? "no folder but a file"
                                                     : "no such folder";
  return absl::NotFoundError(absl::StrCat(
      folder, ": expected the file ", name, " or ", name, ".gz, found ", found,
      " (third_party/install.sh installs the data sets)"));
}

absl::StatusOr<Dataset> ReadSplit(const std::string& folder,
                                  const std::string& split) {
  const absl::StatusOr<std::string> images =
      Find(folder, split + "-images-idx3-ubyte");
  if (!images.ok()) return images.status();
  const absl::StatusOr<std::string> labels =
      Find(folder, split + "-labels-idx1-ubyte");
  if (!labels.ok()) return labels.status();
  return ReadIdxDataset(*images, *labels, kMnistClasses);
}

}  // namespace

absl::StatusOr<Dataset> ReadIdxDataset(const std::string& images_path,
                                       const std::string& labels_path,
                                       int classes) {
  TAPE_CHECK_LE(1, classes);
  const absl::StatusOr<IdxArray> images = ReadIdxOfRank(images_path, 3);
  if (!images.ok()) return images.status();
  const absl::StatusOr<IdxArray> labels = ReadIdxOfRank(labels_path, 1);
  if (!labels.ok()) return labels.status();

  const Shape& shape = images->shape;
  if (shape.elements() == 0) {
    return Wrong(images_path, kFirstSizeOffset,
                 "at least 1 image of at least 1 pixel", shape.ToString());
  }
  if (labels->shape[0] != shape[0]) {
    return Wrong(
        labels_path, kFirstSizeOffset,
        absl::StrCat(shape[0], " labels, one for each image in ", images_path),
        absl::StrCat(labels->shape[0]));
  }
  for (int64_t i = 0; i < labels->shape[0]; ++i) {
    if (labels->values[i] >= classes) {
      return Wrong(labels_path, kLabelsOffset + i,
                   absl::StrCat("a label in 0 to ", classes - 1),
                   absl::StrCat(labels->values[i]));
    }
  }

  const std::vector<int32_t> wide_labels(labels->values.begin(),
                                         labels->values.end());
  return Dataset{
      .images = Tensor(Shape{shape[0], shape[1] * shape[2]}, images->values),
      .labels = Tensor(labels->shape, wide_labels),
      .classes = classes};
}

absl::StatusOr<DataSplits> ReadMnistFolder(const std::string& folder) {
  absl::StatusOr<Dataset> train = ReadSplit(folder, "train");
  if (!train.ok()) return train.status();
  absl::StatusOr<Dataset> test = ReadSplit(folder, "t10k");
  if (!test.ok()) return test.status();
  if (train->pixels() != test->pixels()) {
    return absl::InvalidArgumentError(absl::StrCat(
        folder, ": expected train and t10k images of one size, found ",
        train->pixels(), " and ", test->pixels(), " pixels an image"));
  }
  return DataSplits{*std::move(train), *std::move(test)};
}

}  // namespace tape
