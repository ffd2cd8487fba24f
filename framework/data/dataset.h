// Data sets in memory, and the readers that make them of files.
// Tested by tests/idx_test.cc.
#ifndef TAPE_FRAMEWORK_DATA_DATASET_H_
#define TAPE_FRAMEWORK_DATA_DATASET_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "framework/core/tensor.h"
#include "framework/core/tensor_type.h"

namespace tape {

// Samples for classification: row i of `images` shows label i.
struct Dataset {
  Tensor images = Tensor(TensorType{DType::kUint8, {0, 0}});  // [n, pixels]
  Tensor labels = Tensor(TensorType{DType::kInt32, {0}});     // [n]
  int classes = 0;  // Each label is in 0 … classes - 1.

  int64_t size() const { return images.shape()[0]; }
  int64_t pixels() const { return images.shape()[1]; }
};

// The data set of two IDX files (idx.h): images [n, rows, columns], flattened
// to uint8 [n, rows * columns] with grey levels 0 to 255 as they stand in the
// file, and labels [n], as int32 [n]. `classes` is at least 1. Errors: what
// ReadIdx returns; kInvalidArgument, naming file and byte, if a file has
// another rank, there is no image or an image has no pixel, the counts differ,
// or a label is not below `classes`.
absl::StatusOr<Dataset> ReadIdxDataset(const std::string& images_path,
                                       const std::string& labels_path,
                                       int classes);

struct DataSplits {
  Dataset train;
  Dataset test;
};

// The data set of a folder that is laid out as MNIST's, which Fashion-MNIST's
// and others are too: train-images-idx3-ubyte, train-labels-idx1-ubyte,
// t10k-images-idx3-ubyte and t10k-labels-idx1-ubyte, each plain or with ".gz";
// the plain one is taken if both are there. Ten classes. Errors: kNotFound if
// the folder or one of the files is missing, what ReadIdxDataset returns, and
// kInvalidArgument if the two splits differ in pixels an image.
absl::StatusOr<DataSplits> ReadMnistFolder(const std::string& folder);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DATA_DATASET_H_
