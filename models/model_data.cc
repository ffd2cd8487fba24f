// What saved models are fed (model_data.h). Tested by
// tests/models/user_data_program_test.cc.
#include "models/model_data.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "framework/data/image_tree.h"
#include "framework/data/images.h"
#include "framework/io/decode_image.h"
#include "framework/io/files.h"

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
                                    const std::string& path) {
  const Features& features = *model.card.features;
  TabularOptions options;
  for (const Features::Source& source : features.sources()) {
    if (!source.has_numbers) options.categories.push_back(source.column);
  }
  absl::StatusOr<Tabular> table = ReadTabular(path, options);
  if (!table.ok()) return table.status();
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
  data.table = *std::move(table);
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

absl::StatusOr<ModelData> ReadPictures(const SavedModel& model,
                                       const std::string& path) {
  const ImageLayout& layout = *model.card.images;
  const std::string expected = absl::StrCat(
      "images of ", SizeText(layout.rows, layout.columns, layout.channels),
      ", as the model takes them");
  ModelData data;
  Tensor pixels = Tensor(TensorType{DType::kUint8, {0, 0}});
  if (IsOfPictures(path)) {
    absl::StatusOr<ColorImages> images =
        ReadColorImages(path, {.channels = static_cast<int>(layout.channels)});
    if (!images.ok()) return images.status();
    if (images->rows != layout.rows || images->columns != layout.columns) {
      return WrongData(
          path, expected,
          SizeText(images->rows, images->columns, layout.channels));
    }
    data.names = std::move(images->names);
    pixels = std::move(images->pixels);
  } else {
    absl::StatusOr<Images> images = ReadImages(path);
    if (!images.ok()) return images.status();
    const int64_t found = images->pixels.shape()[1];
    if (layout.channels != 1 || found != layout.rows * layout.columns ||
        (images->rows > 0 && images->rows != layout.rows)) {
      return WrongData(path, expected,
                       images->rows > 0
                           ? SizeText(images->rows, found / images->rows, 1)
                           : absl::StrCat(found, " pixels"));
    }
    data.names = std::move(images->names);
    pixels = std::move(images->pixels);
  }
  data.inputs.columns.push_back({model.inputs[0].column, std::move(pixels)});
  return data;
}

}  // namespace

absl::StatusOr<ModelData> ReadModelData(const SavedModel& model,
                                        const std::string& path) {
  if (model.card.features.has_value()) return ReadTable(model, path);
  if (model.card.images.has_value()) return ReadPictures(model, path);
  return absl::FailedPreconditionError(
      "expected a model of a table or of images, whose file says how to feed "
      "it, found another, which a program of your own can load (LoadModel)");
}

}  // namespace tape
