// Data sets in memory, and the folders of files that they are read from and
// written to. Tested by tests/io/idx_test.cc and tests/data/dataset_test.cc.
#ifndef TAPE_FRAMEWORK_DATA_DATASET_H_
#define TAPE_FRAMEWORK_DATA_DATASET_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/core/tensor.h"
#include "framework/core/tensor_type.h"
#include "framework/io/grey_png.h"

namespace tape {

// Samples for classification: row i of `images` shows label i. What is read
// from files has grey levels, uint8; batches and training take any dtype that
// an input of a graph has, float32 for one.
struct Dataset {
  Tensor images = Tensor(TensorType{DType::kUint8, {0, 0}});  // [n, pixels]
  Tensor labels = Tensor(TensorType{DType::kInt32, {0}});     // [n]
  int classes = 0;  // Each label is in 0 … classes - 1.
  // Of pixels in an image, as its file has them; 0 if no file tells. SizeOfImages
  // is for who needs them.
  int64_t rows = 0;

  int64_t size() const { return Dim(0); }
  int64_t pixels() const { return Dim(1); }

 private:
  int64_t Dim(int axis) const {
    return axis < images.shape().rank() ? images.shape()[axis] : 0;
  }
};

// OK if the images are a matrix of a dtype that inputs have, and the labels
// int32, one for each image, of which there are fewer than 2^32. An error says
// what was expected and found.
absl::Status CheckDataset(const Dataset& dataset);
// OK if, besides, the images are uint8, as files of images have them.
absl::Status CheckGreyLevels(const Dataset& dataset);
// An error unless there is a class, for who is told how many there are.
absl::Status CheckClasses(int classes);

// The data set of two IDX files (idx.h): images [n, rows, columns], flattened
// to uint8 [n, rows * columns] with grey levels 0 to 255 as they stand in the
// file, and labels [n], as int32 [n]. `classes` is at least 1. Errors: what
// ReadIdx returns; kInvalidArgument, naming file and byte, if a file has
// another rank, there is no image or an image has no pixel, the counts differ,
// or a label is not below `classes`.
absl::StatusOr<Dataset> ReadIdxDataset(const std::string& images_path,
                                       const std::string& labels_path,
                                       int classes);

// The images alone: uint8 [n, rows * columns], and their rows in `rows`, if it
// is given. Errors are those of its images.
absl::StatusOr<Tensor> ReadIdxImages(const std::string& path,
                                     int64_t* rows = nullptr);

// Writes two new IDX files, not gzipped, that ReadIdxDataset makes the same
// data set of. Errors: those of SizeOfImages; kInvalidArgument if
// there are more than 256 classes, since a label is a byte; otherwise what WriteIdx returns. After an error of the second file the first
// one is there.
absl::Status WriteIdxDataset(const Dataset& dataset,
                             const std::string& images_path,
                             const std::string& labels_path);

// The rows and columns of the data set's images, in pixels: those of their file,
// or, if `rows` is 0, of squares. kInvalidArgument if they cannot be, or `rows`
// does not divide the pixels.
absl::StatusOr<ImageSize> SizeOfImages(const Dataset& dataset);

// The side of square images, in pixels. kInvalidArgument if they are not square.
absl::StatusOr<int64_t> SquareSide(const Dataset& dataset);

struct DataSplits {
  Dataset train;
  Dataset test;
  Dataset validation = {};  // No sample unless it was split off.
};

// The forms in which a folder can hold a data set of ten classes, and its
// files.
enum class DatasetForm {
  // idx.h. As MNIST's, which Fashion-MNIST's and others are too:
  // train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte
  // and t10k-labels-idx1-ubyte, each plain or with ".gz"; the plain one is
  // taken if both are there.
  kIdx,
  // csv.h. trainData.csv, trainLabels.csv, testData.csv and testLabels.csv.
  kCsv,
  // csv.h. mnist_train.csv and mnist_test.csv, with a header and labels.
  kLabelledCsv,
  // image_folder.h. The trees train and test.
  kPng,
};

// All forms.
absl::Span<const DatasetForm> DatasetForms();

// "idx", "csv", "labelled_csv", "png".
absl::string_view NameOf(DatasetForm form);

// What a folder was found to hold.
struct FoundDataset {
  DatasetForm form;
  // Of the form's files or trees, in its order.
  std::vector<std::string> paths;
};

// Finds out by the names of its files which form `folder` has: the first of the
// enum that is there in full. Errors: kNotFound, saying what was looked for, if
// the folder is missing or has no form; or, if some of a form's files are
// there, which one of the first such form is not.
absl::StatusOr<FoundDataset> FindDataset(const std::string& folder);

// The data set of a folder in any of the forms. The same data give the same
// tensors whatever their form. Errors: those of FindDataset and of the form's
// reader, and kInvalidArgument if the two splits differ in rows or columns.
absl::StatusOr<DataSplits> ReadDatasetFolder(const std::string& folder);

// The same of a folder that must have the form kIdx.
absl::StatusOr<DataSplits> ReadMnistFolder(const std::string& folder);

// Writes the training and the test split to `folder`, which must be there
// without such files. What is written as CSV must be square, since its readers take
// no other images. Errors are those of the form's
// writer; part of the files may then be there.
absl::Status WriteDatasetFolder(const DataSplits& splits, DatasetForm form,
                                const std::string& folder);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DATA_DATASET_H_
