// What saved models are fed (model_data.h). Tested by
// tests/models/user_data_program_test.cc.
#include "models/model_data.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <numeric>
#include <system_error>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "framework/data/image_tree.h"
#include "framework/data/images.h"
#include "framework/io/decode_image.h"
#include "framework/io/files.h"
#include "models/npz_data.h"
#include "models/user_data.h"
#include "models/user_files.h"

namespace tape {
namespace {

// Categories that the training rows did not have count as missing: which columns
// have them.
std::vector<std::string> UnknownNotes(const Features& features,
                                      const Tabular& table) {
  std::vector<std::string> notes;
  for (const Features::Source& source : features.sources()) {
    const TabularColumn* const column = table.Find(source.column);
    if (source.has_numbers || column == nullptr) continue;
    std::vector<bool> is_known;
    for (const std::string& value : column->values) {
      is_known.push_back(std::binary_search(source.categories.begin(),
                                            source.categories.end(), value));
    }
    int64_t unknown = 0;
    for (const int32_t category : column->categories) {
      unknown += category >= 0 && !is_known[category];
    }
    if (unknown == 0) continue;
    notes.push_back(absl::StrCat(
        "column ", Quoted(source.column, 40), ": ", unknown, " of ", table.rows,
        " cells are of categories that the training rows did not have"));
  }
  return notes;
}

absl::StatusOr<ModelData> ReadTable(const SavedModel& model,
                                    const std::string& path,
                                    bool needs_targets) {
  const Features& features = *model.card.features;
  UserFileOptions options = {.needs_targets = needs_targets};
  for (const Features::Source& source : features.sources()) {
    if (!source.has_numbers) options.categories.push_back(source.column);
  }
  absl::StatusOr<UserFile> file = ReadUserFile(path, options);
  if (!file.ok()) return file.status();
  auto* const of_table = std::get_if<TableFile>(&*file);
  if (of_table == nullptr) {
    return WrongData(path, "a table, as the model takes them", "images");
  }
  Tabular* const table = &of_table->table;
  if (of_table->test_rows > 0) {
    std::vector<int32_t> rows(of_table->test_rows);
    std::iota(rows.begin(), rows.end(),
              static_cast<int32_t>(table->rows - of_table->test_rows));
    *table = SelectRows(*table, rows);
  }
  absl::StatusOr<Tensor> x = features.Apply(*table);
  if (!x.ok()) {
    return absl::Status(x.status().code(),
                        absl::StrCat(path, ": ", x.status().message()));
  }
  ModelData data;
  data.inputs.columns.push_back({model.inputs[0].column, *std::move(x)});
  for (int64_t row = 0; row < table->rows; ++row) {
    data.names.push_back(absl::StrCat(row));
  }
  data.notes = UnknownNotes(features, *table);
  data.table = std::move(*table);
  return data;
}

// "28 by 28", "28 by 28 in colour".
std::string SizeText(int64_t rows, int64_t columns, int64_t channels) {
  return absl::StrCat(rows, " by ", columns,
                      channels == 3 ? " pixels in colour" : " pixels");
}

// Whether a path is a folder, or a PNG or JPEG file.
bool IsOfPictures(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return true;
  const absl::StatusOr<FileBytes> bytes = ReadWholeFile(path, "images");
  return bytes.ok() && IsImageFile(bytes->view());
}

// OK if images of that size are what the model takes.
absl::Status CheckSize(const ImageLayout& layout, const std::string& path,
                       int64_t rows, int64_t columns, int64_t channels) {
  if (rows == layout.rows && columns == layout.columns &&
      channels == layout.channels) {
    return absl::OkStatus();
  }
  return WrongData(
      path,
      absl::StrCat("images of ",
                   SizeText(layout.rows, layout.columns, layout.channels),
                   ", as the model takes them"),
      SizeText(rows, columns, channels));
}

// The labels of images as places among the model's classes, by name.
absl::StatusOr<std::vector<int32_t>> LabelsOf(
    const ImageTree& tree, const std::vector<std::string>& classes,
    const std::string& path) {
  std::vector<int32_t> places;
  for (const std::string& name : tree.classes) {
    const auto found = std::find(classes.begin(), classes.end(), name);
    if (found == classes.end()) {
      return WrongData(path, "classes that the model has", Quoted(name, 40));
    }
    places.push_back(static_cast<int32_t>(found - classes.begin()));
  }
  std::vector<int32_t> labels;
  for (const int32_t label : tree.labels.values<int32_t>()) {
    labels.push_back(places[label]);
  }
  return labels;
}

// Images of a file or folder that may say what they are of.
absl::StatusOr<ModelData> ReadImageSet(const SavedModel& model,
                                       const std::string& path,
                                       bool needs_targets) {
  const ImageLayout& layout = *model.card.images;
  absl::StatusOr<UserFile> file =
      ReadUserFile(path, {.needs_targets = needs_targets,
                          .channels = static_cast<int>(layout.channels)});
  if (!file.ok()) return file.status();
  auto* const sets = std::get_if<ImageFile>(&*file);
  if (sets == nullptr) {
    return WrongData(path, "images, as the model takes them", "a table");
  }
  ImageTree& tree = sets->test.has_value() ? *sets->test : sets->train;
  ColorImages& images = tree.images;
  absl::Status status =
      CheckSize(layout, path, images.rows, images.columns, images.channels);
  if (!status.ok()) return status;
  ModelData data;
  if (needs_targets) {
    absl::StatusOr<std::vector<int32_t>> labels =
        LabelsOf(tree, model.card.classes, path);
    if (!labels.ok()) return labels.status();
    data.labels = *std::move(labels);
  }
  const int64_t count = images.pixels.shape()[0];
  data.names = std::move(images.names);
  for (auto i = std::ssize(data.names); i < count; ++i) {
    data.names.push_back(absl::StrCat(i));
  }
  data.notes = std::move(images.notes);
  data.inputs.columns.push_back(
      {model.inputs[0].column, std::move(images.pixels)});
  return data;
}

absl::StatusOr<ModelData> ReadPictures(const SavedModel& model,
                                       const std::string& path) {
  const ImageLayout& layout = *model.card.images;
  ModelData data;
  Tensor pixels = Tensor(TensorType{DType::kUint8, {0, 0}});
  if (IsOfPictures(path)) {
    absl::StatusOr<ColorImages> images =
        ReadColorImages(path, {.channels = static_cast<int>(layout.channels)});
    if (!images.ok()) return images.status();
    absl::Status status = CheckSize(layout, path, images->rows, images->columns,
                                    images->channels);
    if (!status.ok()) return status;
    data.names = std::move(images->names);
    pixels = std::move(images->pixels);
  } else {
    absl::StatusOr<Images> images = ReadImages(path);
    if (!images.ok()) return images.status();
    // A file of rows of pixels does not tell how many rows an image has.
    const int64_t found = images->pixels.shape()[1];
    const int64_t rows = images->rows > 0           ? images->rows
                         : found % layout.rows == 0 ? layout.rows
                                                    : 1;
    absl::Status status = CheckSize(layout, path, rows, found / rows, 1);
    if (!status.ok()) return status;
    data.names = std::move(images->names);
    pixels = std::move(images->pixels);
  }
  data.inputs.columns.push_back({model.inputs[0].column, std::move(pixels)});
  return data;
}

}  // namespace

absl::StatusOr<ModelData> ReadModelData(const SavedModel& model,
                                        const std::string& path,
                                        bool needs_targets) {
  if (model.card.features.has_value()) {
    return ReadTable(model, path, needs_targets);
  }
  if (!model.card.images.has_value()) {
    return absl::FailedPreconditionError(
        "expected a model of a table or of images, whose file says how to feed "
        "it, found another, which a program of your own can load (LoadModel)");
  }
  if (needs_targets || IsNpz(path) || IsIdxFolder(path)) {
    return ReadImageSet(model, path, needs_targets);
  }
  return ReadPictures(model, path);
}

}  // namespace tape
