// What a user's own file or folder holds, as the programs train, predict and
// evaluate read it. Tested by tests/models/user_data_program_test.cc.
#ifndef TAPE_MODELS_USER_FILES_H_
#define TAPE_MODELS_USER_FILES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "framework/data/image_tree.h"
#include "framework/data/tabular.h"

namespace tape {

struct TableFile {
  Tabular table;
  // So many of its last rows are a test set of its own.
  int64_t test_rows = 0;
  // The column to predict, if the form of the file says which.
  std::string target = {};
};

struct ImageFile {
  ImageTree train;
  // Of the same classes and size of images.
  std::optional<ImageTree> test = std::nullopt;
};

using UserFile = std::variant<TableFile, ImageFile>;

struct UserFileOptions {
  // Whether it must say what is to be predicted. Folders do.
  bool needs_targets = true;
  // Of a CSV file: columns that are not of numbers whatever their cells look like.
  std::vector<std::string> categories = {};
  // Of images: 1 or 3; 0: 3 if one of them has colours.
  int channels = 0;
};

// Reads one of these:
//
//   a CSV file with a header    tabular.h
//   an .npz file                npz_data.h
//   a folder of IDX files       images and labels under the customary names, with
//                               any prefix: (train|t10k|test)-images…idx3…, and
//                               …labels…idx1…, bytes or integers from any number
//                               on; or …labels…idx2…, whose first column is the
//                               label, as in QMNIST
//   a folder of images          image_tree.h, perhaps below "train" and "test"
//
// Errors name the file or folder.
absl::StatusOr<UserFile> ReadUserFile(const std::string& path,
                                      const UserFileOptions& options = {});

// Whether a path is a folder of IDX files, by their names.
bool IsIdxFolder(const std::string& path);

// Images whose labels are numbers, with the numbers as names of their classes.
// `known`, if it is given, has the classes; a label that is none of them is an
// error, which names `path`.
absl::StatusOr<ImageTree> WithNumberedClasses(
    ColorImages images, const std::vector<int32_t>& labels,
    const std::string& path, const std::vector<std::string>* known = nullptr);

}  // namespace tape

#endif  // TAPE_MODELS_USER_FILES_H_
