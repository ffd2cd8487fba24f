// Images by class: a folder for each class, under any name, with PNG and JPEG
// images, grey or colour, all of one size:
//
//   flowers/rose/001.jpg
//   flowers/tulip/a.png
//
// (Grey PNG images in folders 0 to 9: image_folder.h.) Tested by
// tests/data/image_tree_test.cc.
#ifndef TAPE_FRAMEWORK_DATA_IMAGE_TREE_H_
#define TAPE_FRAMEWORK_DATA_IMAGE_TREE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "framework/core/tensor.h"

namespace tape {

struct ColorImages {
  // uint8 [n, rows * columns * channels]; of a pixel the channels are side by
  // side.
  Tensor pixels = Tensor(TensorType{DType::kUint8, {0, 0}});
  int64_t rows = 0, columns = 0;
  int64_t channels = 1;  // 1: grey; 3: red, green, blue.
  std::vector<std::string> names =
      {};  // Of each image: its path in the folder.
  // What was passed over, a line each.
  std::vector<std::string> notes = {};
};

struct ImageTree {
  ColorImages images;
  Tensor labels = Tensor(TensorType{DType::kInt32, {0}});  // [n]
  std::vector<std::string> classes = {};  // Names of folders, by label.
};

struct ImageTreeOptions {
  // 1 or 3; 0: 3 if one of the images has colours.
  int channels = 0;
};

// The images of a tree, class by class, in the order of their names; classes are
// sorted by name, or by number if all names are numbers. Hidden files, Thumbs.db
// and desktop.ini are passed over, with a note. Memory is in proportion to the
// files, whatever their headers claim. Errors name the file or folder:
// kNotFound; fewer than two classes; a class without images; a file among the
// classes, or a folder among images; what DecodeImage refuses; an image of
// another size than the first one.
absl::StatusOr<ImageTree> ReadImageTree(const std::string& folder,
                                        const ImageTreeOptions& options = {});

// The images of one file, or of a folder and the folders in it, in the order of
// their names. Errors: as above.
absl::StatusOr<ColorImages> ReadColorImages(
    const std::string& path, const ImageTreeOptions& options = {});

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DATA_IMAGE_TREE_H_
