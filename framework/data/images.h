// Images without labels, such as a model is to take for classes, from files of
// any form. Tested by tests/data/images_test.cc.
#ifndef TAPE_FRAMEWORK_DATA_IMAGES_H_
#define TAPE_FRAMEWORK_DATA_IMAGES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "framework/core/tensor.h"

namespace tape {

struct Images {
  Tensor pixels = Tensor(TensorType{DType::kUint8, {0, 0}});  // [n, pixels]
  // Of each image: its file's, if it has one, else its index from 0 on.
  std::vector<std::string> names = {};
  int64_t rows =
      0;  // Of pixels in an image; 0 if the file does not tell (CSV).

  int64_t size() const { return pixels.shape()[0]; }
};

// The images, grey levels 0 to 255, of what `path` is. What a file holds is
// known by how it begins, whatever its name:
//
//   IDX, plain or gzipped   images [n, rows, columns] (idx.h)
//   PNG                     one greyscale image
//   else CSV                a row for each image (ReadCsvImages, csv.h)
//   a folder                PNG images, in the order of their names, and of
//                           those of folders in it ("3/00017.png"); hidden ones
//                           are passed over
//
// Errors: those of the form's reader, and kInvalidArgument if there is no
// image.
absl::StatusOr<Images> ReadImages(const std::string& path);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DATA_IMAGES_H_
