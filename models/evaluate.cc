// evaluate: measures a saved model on data whose right answers are known; see
// --help. Tested by tests/models/user_data_program_test.cc.
#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/types/span.h"
#include "framework/core/text.h"
#include "framework/data/features.h"
#include "framework/io/files.h"
#include "framework/metrics/classification.h"
#include "framework/metrics/regression.h"
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
    "among them, in any order; an .npz file of x_test and y_test, or x and y; "
    "or a "
    "folder of images by class or of IDX files; where there is a test set, it "
    "is "
    "that which is measured");
ABSL_FLAG(bool, report, false,
          "print the confusion matrix and the classification report too");
ABSL_FLAG(std::optional<int>, threads, std::nullopt,
          "how many threads to use; by default all processors");

namespace tape {
namespace {

constexpr char kUsage[] =
    "Measures a model on a table or images: the accuracy of a classifier, or "
    "the\n"
    "errors of a regression.\n\n"
    "  evaluate --model=RUN_DIR --data=FILE.csv|FILE.npz|FOLDER\n\n"
    "Exits with 0 if the model was measured, else with 1, after an error on "
    "stderr.";

constexpr ShownFlag kFlags[] = {
    {"model", "FILE"}, {"data", "PATH"}, {"report", ""}, {"threads", "N"}};

// Prints accuracy, mean loss and, if asked for, the report.
absl::Status PrintClassification(const std::vector<std::string>& classes,
                                 absl::Span<const int32_t> labels,
                                 const Tensor& predicted,
                                 const Tensor& probabilities,
                                 const char* samples) {
  ConfusionMatrix confusion(static_cast<int>(classes.size()));
  absl::Status status = confusion.Add(labels, predicted.values<int32_t>());
  if (!status.ok()) return status;
  const size_t width = classes.size();
  double loss = 0;
  for (size_t i = 0; i < labels.size(); ++i) {
    const float right = probabilities.values<float>()[i * width + labels[i]];
    loss -= std::log(static_cast<double>(right)) /
            static_cast<double>(labels.size());
  }
  if (absl::GetFlag(FLAGS_report)) {
    absl::PrintF(
        "%s\n%s\n", confusion.ToString(),
        MakeClassificationReport(confusion).ToString({.class_names = classes}));
  }
  absl::PrintF("accuracy %.4f, loss %.4f, of %d %s\n", confusion.accuracy(),
               loss, labels.size(), samples);
  return absl::OkStatus();
}

absl::Status PrintRegression(const ModelCard& card, const Tabular& table,
                             const Tensor& predicted) {
  const absl::StatusOr<Tensor> targets = NumbersOf(table, card.target);
  if (!targets.ok()) return targets.status();
  const RegressionScores scores =
      ScoreRegression(targets->values<float>(), predicted.values<float>());
  absl::PrintF("rmse %.6g, mean absolute error %.6g, r2 %.4f, of %d rows\n",
               scores.root_mean_square, scores.mean_absolute, scores.r2,
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
  const absl::StatusOr<ModelData> data =
      ReadModelData(*loaded, path, /*needs_targets=*/true);
  const auto in_file = [&](const absl::Status& status) {
    const bool names_it = absl::StrContains(status.message(), path);
    if (status.ok() || names_it) return status;
    return absl::Status(status.code(),
                        absl::StrCat(path, ": ", status.message()));
  };
  if (!data.ok()) return in_file(data.status());
  if (data->table.has_value() && loaded->card.target.empty()) {
    return absl::FailedPreconditionError(
        "expected a model of a table with a target, found none");
  }
  const absl::StatusOr<Predictor> predictor =
      Predictor::Make(*std::move(loaded), {.threads = threads});
  if (!predictor.ok()) return predictor.status();
  for (const std::string& note : data->notes) {
    absl::FPrintF(stderr, "%s: %s\n", Printable(path), Printable(note));
  }
  const ModelCard& card = predictor->model().card;
  const absl::StatusOr<DataTable> outputs =
      predictor->Predict(data->inputs, Loc{});
  if (!outputs.ok()) return outputs.status();
  const int64_t samples = data->inputs.size();
  const auto classes = static_cast<int64_t>(card.classes.size());
  const Tensor* const predicted =
      FindOutput(*outputs, "class", {DType::kInt32, {samples}});
  const Tensor* const probabilities = FindOutput(
      *outputs, "probabilities", {DType::kFloat32, {samples, classes}});
  const Tensor* const values =
      FindOutput(*outputs, "value", {DType::kFloat32, {samples, 1}});
  const bool is_classifier = predicted != nullptr && probabilities != nullptr;
  if (is_classifier && !data->table.has_value()) {
    return PrintClassification(card.classes, data->labels, *predicted,
                               *probabilities, "images");
  }
  if (is_classifier) {
    const absl::StatusOr<Tensor> labels =
        EncodeLabels(*data->table, card.target, card.classes);
    if (!labels.ok()) return in_file(labels.status());
    return PrintClassification(card.classes, labels->values<int32_t>(),
                               *predicted, *probabilities, "rows");
  }
  if (values != nullptr && data->table.has_value()) {
    return in_file(PrintRegression(card, *data->table, *values));
  }
  return absl::FailedPreconditionError(
      absl::StrCat(file.path,
                   ": expected the outputs \"class\" and \"probabilities\", or "
                   "\"value\", found others"));
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
  if (path.empty()) return WrongFlag("data", "a file or a folder", "none");
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
