// evaluate: measures a saved model on data whose right answers are known; see
// --help. Tested by tests/models/user_data_program_test.cc.
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "framework/core/text.h"
#include "framework/data/features.h"
#include "framework/metrics/classification.h"
#include "framework/serving/predictor.h"
#include "models/model_data.h"
#include "models/model_file.h"
#include "models/program.h"

ABSL_FLAG(
    std::string, model, "",
    "the model: a file that train or SaveModel wrote; or a run directory, "
    "whose model it then is, or else its newest checkpoint that is sound");
ABSL_FLAG(
    std::string, data, "",
    "a CSV file with the columns that the model was trained on, its target "
    "among them, in any order");
ABSL_FLAG(bool, report, false,
          "print the confusion matrix and the classification report too");
ABSL_FLAG(std::optional<int>, threads, std::nullopt,
          "how many threads to use; by default all processors");

namespace tape {
namespace {

constexpr char kUsage[] =
    "Measures a model on a table: the accuracy of a classifier, or the errors "
    "of "
    "a\nregression.\n\n"
    "  evaluate --model=RUN_DIR --data=FILE.csv\n\n"
    "Exits with 0 if the model was measured, else with 1, after an error on "
    "stderr.";

constexpr ShownFlag kFlags[] = {
    {"model", "FILE"}, {"data", "FILE"}, {"report", ""}, {"threads", "N"}};

// Prints accuracy, mean loss and, if asked for, the report.
absl::Status PrintClassification(const SavedModel& model, const Tabular& table,
                                 const Tensor& predicted,
                                 const Tensor& probabilities) {
  const std::vector<std::string>& classes = model.card.classes;
  const absl::StatusOr<Tensor> labels =
      EncodeLabels(table, model.card.target, classes);
  if (!labels.ok()) return labels.status();
  ConfusionMatrix confusion(static_cast<int>(classes.size()));
  absl::Status status =
      confusion.Add(labels->values<int32_t>(), predicted.values<int32_t>());
  if (!status.ok()) return status;
  const auto width = static_cast<int64_t>(classes.size());
  double loss = 0;
  for (int64_t i = 0; i < table.rows; ++i) {
    const float right =
        probabilities.values<float>()[i * width + labels->values<int32_t>()[i]];
    loss -=
        std::log(static_cast<double>(right)) / static_cast<double>(table.rows);
  }
  if (absl::GetFlag(FLAGS_report)) {
    absl::PrintF(
        "%s\n%s\n", confusion.ToString(),
        MakeClassificationReport(confusion).ToString({.class_names = classes}));
  }
  absl::PrintF("accuracy %.4f, loss %.4f, of %d rows\n", confusion.accuracy(),
               loss, table.rows);
  return absl::OkStatus();
}

absl::Status PrintRegression(const SavedModel& model, const Tabular& table,
                             const Tensor& predicted) {
  const absl::StatusOr<Tensor> targets = NumbersOf(table, model.card.target);
  if (!targets.ok()) return targets.status();
  const auto y = targets->values<float>();
  const auto found = predicted.values<float>();
  const auto n = static_cast<double>(y.size());
  double mean = 0, absolute = 0, squares = 0, variance = 0;
  for (const float one : y) mean += one / n;
  for (size_t i = 0; i < y.size(); ++i) {
    const double error = static_cast<double>(found[i]) - y[i];
    absolute += std::fabs(error) / n;
    squares += error * error;
    variance += (y[i] - mean) * (y[i] - mean);
  }
  absl::PrintF("rmse %.6g, mean absolute error %.6g, r2 %.4f, of %d rows\n",
               std::sqrt(squares / n), absolute,
               variance > 0 ? 1 - squares / variance : (squares == 0 ? 1.0 : 0),
               table.rows);
  return absl::OkStatus();
}

// Whether an output is there, of that type for `rows` samples.
const Tensor* FindOutput(const DataTable& outputs, const char* name,
                         const TensorType& type) {
  const Tensor* const found = outputs.Find(name);
  return found != nullptr && found->type() == type ? found : nullptr;
}

absl::Status Evaluate(const ModelFile& file, const std::string& path,
                      int threads) {
  absl::StatusOr<SavedModel> loaded = ParseModel(file.content, file.path);
  if (!loaded.ok()) return loaded.status();
  const absl::StatusOr<ModelData> data = ReadModelData(*loaded, path);
  if (!data.ok()) return data.status();
  const absl::StatusOr<Predictor> predictor =
      Predictor::Make(*std::move(loaded), {.threads = threads});
  if (!predictor.ok()) return predictor.status();
  for (const std::string& note : data->notes) {
    absl::FPrintF(stderr, "%s: %s\n", Printable(path), Printable(note));
  }
  const SavedModel& model = predictor->model();
  if (!data->table.has_value() || model.card.target.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        file.path, ": expected a model of a table with a target, found none"));
  }
  const absl::StatusOr<DataTable> outputs =
      predictor->Predict(data->inputs, Loc{});
  if (!outputs.ok()) return outputs.status();
  const Tabular& table = *data->table;
  const auto classes = static_cast<int64_t>(model.card.classes.size());
  const Tensor* const predicted =
      FindOutput(*outputs, "class", {DType::kInt32, {table.rows}});
  const Tensor* const probabilities = FindOutput(
      *outputs, "probabilities", {DType::kFloat32, {table.rows, classes}});
  const Tensor* const values =
      FindOutput(*outputs, "value", {DType::kFloat32, {table.rows, 1}});
  absl::Status status;
  if (predicted != nullptr && probabilities != nullptr) {
    status = PrintClassification(model, table, *predicted, *probabilities);
  } else if (values != nullptr) {
    status = PrintRegression(model, table, *values);
  } else {
    return absl::FailedPreconditionError(absl::StrCat(
        file.path,
        ": expected the outputs \"class\" and \"probabilities\", or "
        "\"value\", found others"));
  }
  if (status.ok()) return status;
  return absl::Status(status.code(),
                      absl::StrCat(path, ": ", status.message()));
}

absl::Status Main(int argc, char** argv) {
  if (absl::Status status = ParseFlags(argc, argv, kUsage, kFlags);
      !status.ok()) {
    return status;
  }
  const std::string model = absl::GetFlag(FLAGS_model);
  if (model.empty()) {
    return WrongFlag("model", "a model's file or a run directory", "none");
  }
  const std::string path = absl::GetFlag(FLAGS_data);
  if (path.empty()) return WrongFlag("data", "a CSV file", "none");
  const absl::StatusOr<int> threads =
      ThreadsFromFlag(absl::GetFlag(FLAGS_threads));
  if (!threads.ok()) return threads.status();
  const absl::StatusOr<ModelFile> file = ReadModelFile(model);
  if (!file.ok()) return file.status();
  for (const std::string& note : file->notes) {
    absl::FPrintF(stderr, "model: %s, %s\n", file->path, note);
  }
  return Evaluate(*file, path, *threads);
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  return tape::ExitCode([&] { return tape::Main(argc, argv); });
}
