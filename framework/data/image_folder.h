// Data sets as trees of PNG images, a folder for each class:
//
//   FOLDER/LABEL/NAME.png     LABEL is 0, 1 and so on, NAME any
//
// An error is an absl::Status of one line that says the file or folder, what
// was expected there and what was found, libpng's own message where it refuses.
// Tested by tests/data/image_folder_test.cc.
#ifndef TAPE_FRAMEWORK_DATA_IMAGE_FOLDER_H_
#define TAPE_FRAMEWORK_DATA_IMAGE_FOLDER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "framework/core/tensor.h"
#include "framework/data/dataset.h"

namespace tape {

// The images of these PNG files, of which there is at least one, in their
// order: uint8 [n, rows * columns]. Each must be a greyscale image of 1, 2, 4
// or 8 bits (expanded to 0 to 255), whatever its name, and of the size of the
// first one, at most 2^24 pixels. Their rows come in `rows`, if it is given.
// Errors: kNotFound if a file is missing;
// kInvalidArgument if one is not such an image; otherwise what the system said.
absl::StatusOr<Tensor> ReadPngImages(absl::Span<const std::string> paths,
                                     int64_t* rows = nullptr);

// The data set of the label folders 0 to classes - 1 in `folder`: images of
// rows x columns become uint8 [n, rows * columns], labels int32 [n]. `classes`
// is at least 1. Every file must be a greyscale PNG of 1, 2, 4 or 8 bits
// (expanded to 0 to 255), whatever its name, and of the size of the first one,
// at most 2^24 pixels. Hidden files (.DS_Store) are passed over, in `folder`
// too.
//
// Samples are in the order of their file names, compared byte by byte, then of
// their labels. So a tree whose files are named by their index in the data set,
// with leading zeros (00017.png), as WriteImageFolder names them, has the data
// set's own order; and any other tree has an order that is the same on every
// machine and mixes the classes if their files are named alike.
//
// Memory is in proportion to the files' sizes, whatever headers claim: an image
// of more pixels than its file could hold is refused. Errors: kNotFound if
// `folder` is missing; kInvalidArgument if a class has no folder or no image,
// anything else stands among the label folders, or a file is not such an image;
// otherwise what the system said.
absl::StatusOr<Dataset> ReadImageFolder(const std::string& folder, int classes);

// Makes `folder`, and in it the tree that ReadImageFolder makes the same data
// set of: 8-bit images named by their index, with five digits or more. Errors:
// kInvalidArgument if the images have no rows and columns (SizeOfImages) or a
// class has none, since such a tree would be refused; otherwise the system's,
// kAlreadyExists for one if `folder` is taken. After an error of the system's
// part of the tree may be there.
absl::Status WriteImageFolder(const Dataset& dataset,
                              const std::string& folder);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DATA_IMAGE_FOLDER_H_
