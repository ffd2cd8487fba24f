// predict: what a saved model makes of images or of the rows of a table; see
// --help. Tested by tests/models/predict_program_test.cc and
// tests/models/user_data_program_test.cc.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "framework/core/text.h"
#include "framework/data/images.h"
#include "framework/io/files.h"
#include "framework/serving/predictor.h"
#include "framework/serving/saved_model.h"
#include "models/experiment.h"
#include "models/model_data.h"
#include "models/model_file.h"
#include "models/predictor.h"
#include "models/program.h"
#include "models/run_record.h"
#include "nlohmann/json.hpp"

ABSL_FLAG(std::string, checkpoint, "",
          "the model: a safetensors file that train wrote, a model or a "
          "checkpoint; or a run directory, whose model it then is, or else its "
          "newest checkpoint that is sound");
ABSL_FLAG(std::string, images, "",
          "what to predict: an IDX file, plain or gzipped; a CSV file with a "
          "row of grey levels for each image, perhaps after a label, which is "
          "passed over, and perhaps below a header; a greyscale PNG file; or a "
          "folder of these");
ABSL_FLAG(std::string, model, "", "the same as --checkpoint");
ABSL_FLAG(
    std::string, data, "",
    "the same as --images, and JPEG and colour images for models of train "
    "--data; for a model of a table, a CSV file with the columns that the "
    "model was trained on, in any order; for either an .npz file, of whose "
    "arrays x_test or else x_train or x are read");
ABSL_FLAG(int, top, 1,
          "how many classes to print for each image, the likeliest first; by "
          "default 1");
ABSL_FLAG(bool, json, false, "print a line of JSON for each image");
ABSL_FLAG(std::optional<int>, threads, std::nullopt,
          "how many threads to use; by default all processors");

namespace tape {
namespace {

constexpr char kUsage[] =
    "Prints a line for each image, or row of a table: its name, or its index "
    "from 0 on,\nand the class it is taken for with its probability, or the "
    "number of a regression.\n\n"
    "  predict --model=RUN_DIR --data=FILE.csv         rows of a table\n"
    "  predict --checkpoint=RUN_DIR --images=DIR       a folder of PNG images\n"
    "  predict --checkpoint=FILE --images=FILE --top=3 --json\n\n"
    "Of a run directory, stderr says which of its files was read. Exits with "
    "0\n"
    "if all images are printed, else with 1, after an error on stderr: an "
    "image\n"
    "that cannot be read; a model that is damaged, or of no use.";

constexpr ShownFlag kFlags[] = {{"model", "FILE"},      {"data", "PATH"},
                                {"checkpoint", "FILE"}, {"images", "PATH"},
                                {"top", "K"},           {"json", ""},
                                {"threads", "N"}};

// As lines: "00017.png  9 0.9812  7 0.0151".
void PrintText(const Images& images, const Predictions& predictions, int top) {
  // Names of files may hold anything.
  std::vector<std::string> names;
  size_t width = 0;
  for (const std::string& name : images.names) {
    names.push_back(Printable(name));
    width = std::max(width, names.back().size());
  }
  for (int64_t i = 0; i < predictions.size(); ++i) {
    absl::PrintF("%-*s", width, names[i]);
    for (const auto& [label, probability] : predictions.Top(i, top)) {
      absl::PrintF("  %d %.4f", label, probability);
    }
    absl::PrintF("\n");
  }
}

// As lines:
//   {"image":"00017.png","class":9,"probability":0.98,
//    "top":[{"class":9,"probability":0.98},…]}      ("top" if asked for)
void PrintJson(const Images& images, const Predictions& predictions, int top) {
  using Json = nlohmann::ordered_json;
  for (int64_t i = 0; i < predictions.size(); ++i) {
    Json classes = Json::array();
    for (const auto& [label, probability] : predictions.Top(i, top)) {
      classes.push_back({{"class", label}, {"probability", probability}});
    }
    // JSON has no bytes that are not UTF-8, and names must stay apart.
    const std::string& name = images.names[i];
    Json line = {{"image", IsUtf8(name) ? name : Printable(name)}};
    line.update(classes[0]);
    if (top > 1) line["top"] = classes;
    absl::PrintF("%s\n", line.dump());
  }
}

// ---- Models that their files describe ----

// The class that a number names.
std::string ClassText(const ModelCard& card, int32_t label) {
  const auto i = static_cast<size_t>(label);
  return i < card.classes.size() ? card.classes[i] : absl::StrCat(label);
}

// The likeliest classes of a row of probabilities, of equal ones the lower first.
std::vector<int32_t> Likeliest(absl::Span<const float> row, int top) {
  std::vector<int32_t> order(row.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int32_t a, int32_t b) { return row[a] > row[b]; });
  order.resize(std::min<size_t>(order.size(), top));
  return order;
}

// What is found of each sample: classes with probabilities, or the elements of
// every output.
struct Found {
  const SavedModel& model;
  const DataTable& outputs;
  const std::vector<std::string>& names;
  // Float32 [n, classes], or null.
  const Tensor* probabilities = nullptr;
};

absl::Span<const float> RowOf(const Tensor& tensor, int64_t row) {
  const int64_t width = tensor.elements() / tensor.shape()[0];
  return tensor.values<float>().subspan(row * width, width);
}

// Each element of the outputs of a sample, by its output's name.
template <typename Visit>
void ForEachNumber(const Found& found, int64_t row, Visit visit) {
  for (const Column& column : found.outputs.columns) {
    const Tensor& values = column.values;
    const int64_t width = values.elements() / values.shape()[0];
    for (int64_t i = 0; i < width; ++i) {
      const int64_t at = row * width + i;
      WithNumberOf(values.dtype(), [&](auto number) {
        visit(column.name,
              static_cast<double>(values.values<decltype(number)>()[at]));
      });
    }
  }
}

void PrintText(const Found& found, int top) {
  size_t width = 0;
  for (const std::string& name : found.names) {
    width = std::max(width, Printable(name).size());
  }
  for (size_t row = 0; row < found.names.size(); ++row) {
    absl::PrintF("%-*s", width, Printable(found.names[row]));
    if (found.probabilities != nullptr) {
      const auto probabilities = RowOf(*found.probabilities, row);
      for (const int32_t label : Likeliest(probabilities, top)) {
        absl::PrintF("  %s %.4f", Printable(ClassText(found.model.card, label)),
                     probabilities[label]);
      }
    } else {
      ForEachNumber(found, row, [](const std::string&, double number) {
        absl::PrintF("  %.9g", number);
      });
    }
    absl::PrintF("\n");
  }
}

// As lines: {"row":"3","class":"rain","probability":0.98} or
// {"row":"3","value":24.1}.
void PrintJson(const Found& found, int top) {
  using Json = nlohmann::ordered_json;
  const char* const key = found.model.card.images.has_value() ? "image" : "row";
  for (size_t row = 0; row < found.names.size(); ++row) {
    const std::string& name = found.names[row];
    Json line = {{key, IsUtf8(name) ? name : Printable(name)}};
    if (found.probabilities != nullptr) {
      const auto probabilities = RowOf(*found.probabilities, row);
      Json classes = Json::array();
      for (const int32_t label : Likeliest(probabilities, top)) {
        classes.push_back({{"class", ClassText(found.model.card, label)},
                           {"probability", probabilities[label]}});
      }
      line.update(classes[0]);
      if (top > 1) line["top"] = classes;
    } else {
      ForEachNumber(found, row, [&](const std::string& output, double number) {
        Json& values = line[output];
        if (values.is_null()) {
          values = number;
        } else {
          if (!values.is_array()) values = Json::array({values});
          values.push_back(number);
        }
      });
    }
    absl::PrintF("%s\n", line.dump());
  }
}

// The classes' probabilities that a classifier gives, or null.
const Tensor* ProbabilitiesOf(const DataTable& outputs) {
  const Tensor* const found = outputs.Find("probabilities");
  const bool is_matrix = found != nullptr &&
                         found->dtype() == DType::kFloat32 &&
                         found->shape().rank() == 2 && found->shape()[1] > 0;
  return is_matrix ? found : nullptr;
}

absl::Status CheckFinite(const std::string& path, const DataTable& outputs) {
  for (const Column& column : outputs.columns) {
    if (column.values.dtype() != DType::kFloat32) continue;
    for (const float number : column.values.values<float>()) {
      if (std::isfinite(number)) continue;
      return absl::FailedPreconditionError(absl::StrCat(
          path, ": expected finite outputs, found ", number, " in \"",
          Printable(column.name), "\": the model is useless"));
    }
  }
  return absl::OkStatus();
}

void PrintNotes(const std::string& asked, const std::string& path,
                const std::vector<absl::Status>& skipped,
                const std::vector<std::string>& notes) {
  for (const absl::Status& status : skipped) {
    absl::FPrintF(stderr, "passed over: %s\n", Printable(status.message()));
  }
  // Of a folder, or if there is more to say of it, the file that was read.
  if (path == asked && notes.empty()) return;
  const std::string text = absl::StrJoin(notes, "; ");
  absl::FPrintF(stderr, "model: %s%s%s\n", Printable(path),
                text.empty() ? "" : ", ", text);
}

absl::Status PredictByCard(const ModelFile& file, const std::string& asked,
                           const std::string& path, int threads) {
  absl::StatusOr<SavedModel> model = ParseModel(file.content, file.path);
  if (!model.ok()) return model.status();
  const int top = absl::GetFlag(FLAGS_top);
  const auto classes = static_cast<int>(model->card.classes.size());
  if (top < 1 || top > std::max(classes, 1)) {
    return WrongFlag("top", absl::StrCat("1 to ", std::max(classes, 1)),
                     absl::StrCat(top));
  }
  const absl::StatusOr<ModelData> data =
      ReadModelData(*model, path, /*needs_targets=*/false);
  if (!data.ok()) return data.status();
  const absl::StatusOr<Predictor> predictor =
      Predictor::Make(*std::move(model), {.threads = threads});
  if (!predictor.ok()) return predictor.status();
  const absl::StatusOr<DataTable> outputs =
      predictor->Predict(data->inputs, Loc{});
  if (!outputs.ok()) return outputs.status();
  absl::Status status = CheckFinite(file.path, *outputs);
  if (!status.ok()) return status;
  PrintNotes(asked, file.path, file.skipped_checkpoints, file.notes);
  for (const std::string& note : data->notes) {
    absl::FPrintF(stderr, "%s: %s\n", Printable(path), Printable(note));
  }
  const Found found = {.model = predictor->model(),
                       .outputs = *outputs,
                       .names = data->names,
                       .probabilities = ProbabilitiesOf(*outputs)};
  if (absl::GetFlag(FLAGS_json)) {
    PrintJson(found, top);
  } else {
    PrintText(found, top);
  }
  return absl::OkStatus();
}

// Whether a file is described by itself, not by one of our experiments.
bool IsDescribed(const ModelFile& file) {
  const Metadata& record = file.content.metadata;
  return HoldsModel(file.content) &&
         !FindExperiment(ValueOf(record, "experiment"),
                         ValueOf(record, "variant"))
              .ok();
}

// What one of two flags of the same meaning says.
absl::StatusOr<std::string> OneOf(const char* flag, const std::string& value,
                                  const char* other,
                                  const std::string& other_value,
                                  const char* what) {
  if (value.empty() && other_value.empty()) {
    return WrongFlag(other, what, "none");
  }
  if (!value.empty() && !other_value.empty()) {
    return WrongFlag(flag, absl::StrCat("this or --", other), "both");
  }
  return value.empty() ? other_value : value;
}

absl::Status Main(int argc, char** argv) {
  if (absl::Status status = ParseFlags(argc, argv, kUsage, kFlags);
      !status.ok()) {
    return status;
  }
  const absl::StatusOr<std::string> asked = OneOf(
      "model", absl::GetFlag(FLAGS_model), "checkpoint",
      absl::GetFlag(FLAGS_checkpoint), "a model's file or a run directory");
  if (!asked.ok()) return asked.status();
  const std::string& checkpoint = *asked;
  const absl::StatusOr<std::string> data =
      OneOf("data", absl::GetFlag(FLAGS_data), "images",
            absl::GetFlag(FLAGS_images), "a file or folder of images");
  if (!data.ok()) return data.status();
  const std::string& path = *data;
  const absl::StatusOr<int> threads =
      ThreadsFromFlag(absl::GetFlag(FLAGS_threads));
  if (!threads.ok()) return threads.status();

  absl::StatusOr<ModelFile> file = ReadModelFile(checkpoint);
  if (!file.ok()) return file.status();
  if (IsDescribed(*file)) {
    return PredictByCard(*file, checkpoint, path, *threads);
  }

  absl::StatusOr<ImagePredictor> model =
      ImagePredictor::Make(*std::move(file), {.threads = *threads});
  if (!model.ok()) return model.status();
  const int top = absl::GetFlag(FLAGS_top);
  if (top < 1 || top > model->classes()) {
    return WrongFlag("top", absl::StrCat("1 to ", model->classes()),
                     absl::StrCat(top));
  }
  const absl::StatusOr<Images> images = ReadImages(path);
  if (!images.ok()) return images.status();
  if (images->rows > 0 && model->rows() > 0 && images->rows != model->rows()) {
    return WrongData(path,
                     absl::StrCat("images of ", model->rows(), " rows, as ",
                                  model->experiment().name, " was trained on"),
                     absl::StrCat(images->rows));
  }
  const absl::StatusOr<Predictions> predictions =
      model->Predict(images->pixels);
  if (!predictions.ok()) {
    // What the model cannot do names its own file.
    if (!absl::IsInvalidArgument(predictions.status())) {
      return predictions.status();
    }
    return absl::Status(
        predictions.status().code(),
        absl::StrCat(path, ": ", predictions.status().message()));
  }
  PrintNotes(checkpoint, model->path(), model->skipped_checkpoints(),
             model->notes());
  if (absl::GetFlag(FLAGS_json)) {
    PrintJson(*images, *predictions, top);
  } else {
    PrintText(*images, *predictions, top);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  return tape::ExitCode([&] { return tape::Main(argc, argv); });
}
