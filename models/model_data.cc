// What saved models are fed (model_data.h). Tested by
// tests/models/user_data_program_test.cc.
#include "models/model_data.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "framework/data/images.h"
#include "framework/io/files.h"

namespace tape {
namespace {

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
  data.table = *std::move(table);
  return data;
}

absl::StatusOr<ModelData> ReadPictures(const SavedModel& model,
                                       const std::string& path) {
  absl::StatusOr<Images> images = ReadImages(path);
  if (!images.ok()) return images.status();
  const ImageLayout& layout = *model.card.images;
  const int64_t pixels = layout.rows * layout.columns * layout.channels;
  const int64_t found = images->pixels.shape()[1];
  if (found != pixels || (images->rows > 0 && images->rows != layout.rows)) {
    return WrongData(
        path,
        absl::StrCat("images of ", layout.rows, " by ", layout.columns,
                     " pixels, as the model takes them"),
        images->rows > 0
            ? absl::StrCat(images->rows, " by ", found / images->rows)
            : absl::StrCat(found, " pixels"));
  }
  ModelData data;
  data.names = std::move(images->names);
  data.inputs.columns.push_back(
      {model.inputs[0].column, std::move(images->pixels)});
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
