// Trained models from files (predictor.h). In go a path and grey levels, out
// come classes and probabilities, or a Status that names the file. Tested by
// tests/models/predictor_test.cc.
#include "models/predictor.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "framework/compiler/compile.h"
#include "framework/core/check.h"
#include "framework/core/exceptions.h"
#include "framework/core/misuse.h"
#include "framework/io/files.h"
#include "framework/io/safetensors.h"
#include "framework/train/weights.h"
#include "models/model_file.h"
#include "models/run.h"
#include "models/run_record.h"
#include "models/training_run.h"
#include "ops/ops.h"

namespace tape {
namespace {

// So many images at a time, as evaluations have it: a result is the same bits.
constexpr int64_t kBatchSize = 1000;

// ---- The model ----

absl::StatusOr<const Experiment*> ExperimentOf(const ModelFile& file) {
  const Metadata& record = file.content.metadata;
  if (ValueOf(record, "experiment").empty()) {
    return WrongData(file.path, "\"experiment\" in the metadata of a model",
                     "no such entry");
  }
  absl::StatusOr<const Experiment*> experiment =
      FindExperiment(ValueOf(record, "experiment"), ValueOf(record, "variant"));
  if (experiment.ok()) return experiment;
  return absl::Status(
      experiment.status().code(),
      absl::StrCat(file.path, ": ", experiment.status().message()));
}

// How many pixels the model's images have.
absl::StatusOr<int64_t> PixelsOf(const ModelFile& file) {
  const absl::string_view text = ValueOf(file.content.metadata, "pixels");
  // A layer has a float32 for each at least: whatever the file claims, what is
  // declared is in proportion to what it holds.
  const auto most =
      static_cast<int64_t>(file.content.bytes.size() / sizeof(float));
  int64_t pixels;
  if (absl::SimpleAtoi(text, &pixels) && pixels >= 1 && pixels <= most) {
    return pixels;
  }
  return WrongData(file.path,
                   absl::StrCat("\"pixels\" in the metadata of a model, 1 to ",
                                most, " for a file of its size"),
                   Quoted(text));
}

struct Declared {
  std::unique_ptr<Graph> graph;
  Classifier model = {};
};

absl::StatusOr<Declared> Declare(const Experiment& experiment, int64_t pixels) {
  Declared declared = {.graph = std::make_unique<Graph>()};
  declared.model = experiment.declare(*declared.graph, pixels,
                                      experiment.defaults, /*updates=*/1);
  if (!declared.graph->status().ok()) return declared.graph->status();
  return declared;
}

// Gives the variables that `outputs` depend on the file's numbers.
absl::Status LoadVariables(const ModelFile& file, const Experiment& experiment,
                           Graph& graph, absl::Span<const Var> outputs) {
  for (Var variable : VariablesOf(graph, outputs)) {
    const std::string name(graph.NameOf(variable));
    const StoredArray* const array = file.content.Find(name);
    if (array == nullptr) {
      const bool is_state = graph.TagOf(variable) == Tag::kState;
      return WrongData(file.path,
                       absl::StrCat(ArrayText(name),
                                    is_state ? ", a state" : ", a parameter",
                                    " of ", experiment.name),
                       "no array of that name");
    }
    const TensorType& type = variable.type();
    if (array->shape != type.shape) {
      return WrongData(absl::StrCat(file.path, ": ", ArrayText(name)),
                       absl::StrCat(type.shape.ToString(), ", as ",
                                    experiment.name, " has it"),
                       array->shape.ToString());
    }
    const absl::StatusOr<Tensor> value = ToTensor(*array, type.dtype);
    if (!value.ok()) {
      return absl::Status(
          value.status().code(),
          absl::StrCat(file.path, ": ", value.status().message()));
    }
    if (type.dtype == DType::kFloat32) {
      for (const float element : value->values<float>()) {
        if (std::isfinite(element)) continue;
        return absl::FailedPreconditionError(
            absl::StrCat(file.path, ": ", ArrayText(name),
                         ": expected finite numbers, found ", element,
                         ": the run has diverged"));
      }
    }
    absl::Status status = graph.SetValue(variable, *value);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

// A plan for predictions with the products that the run had; `notes` tells if
// the processor has none.
absl::StatusOr<Plan> CompilePredictions(const Graph& graph,
                                        CompileOptions options,
                                        ModelFile& file) {
  if (ValueOf(file.content.metadata, "precision") == "bf16") {
    options.precision = Precision::kBFloat16;
    absl::StatusOr<Plan> plan = Compile(graph, options, Loc{});
    if (plan.ok()) return plan;
    file.notes.push_back(
        "trained in bf16, which this processor has no products for: predicts "
        "in float32");
    options.precision = Precision::kFloat32;
  }
  return Compile(graph, options, Loc{});
}

}  // namespace

std::vector<ClassProbability> Predictions::Top(int64_t i, int count,
                                               Loc loc) const {
  const bool has_images = classes.shape().rank() == 1;
  if (!has_images || i < 0 || i >= size()) {
    internal::ReportMisuse(
        loc, absl::StrCat("Top: expected one of ", has_images ? size() : 0,
                          " images, found number ", i));
    return {};
  }
  const int64_t columns = probabilities.shape()[1];
  const auto row = probabilities.values<float>().subspan(i * columns, columns);
  const int first = classes.values<int32_t>()[i];
  // Probabilities may be equal where what they are made of is not, or NaN.
  const auto rank = [&](const ClassProbability& of) {
    if (of.label == first) return 2.0f;
    return std::isnan(of.probability) ? -1.0f : of.probability;
  };
  std::vector<ClassProbability> all;
  for (int label = 0; label < columns; ++label) {
    all.push_back({label, row[label]});
  }
  std::sort(all.begin(), all.end(),
            [&](const ClassProbability& a, const ClassProbability& b) {
              return std::pair(rank(b), a.label) < std::pair(rank(a), b.label);
            });
  all.resize(std::min<size_t>(all.size(), std::max(count, 0)));
  return all;
}

absl::StatusOr<ImagePredictor> ImagePredictor::Load(
    const std::string& path, ImagePredictorOptions options) try {
  absl::StatusOr<ModelFile> file = ReadModelFile(path);
  if (!file.ok()) return file.status();
  return Make(*std::move(file), options);
} catch (...) {
  return CaughtStatus(path);
}

absl::StatusOr<ImagePredictor> ImagePredictor::Make(
    ModelFile file, ImagePredictorOptions options) try {
  const absl::StatusOr<const Experiment*> experiment = ExperimentOf(file);
  if (!experiment.ok()) return experiment.status();
  const absl::StatusOr<int64_t> pixels = PixelsOf(file);
  if (!pixels.ok()) return pixels.status();
  absl::StatusOr<Declared> declared = Declare(**experiment, *pixels);
  if (!declared.ok()) return declared.status();
  Graph& graph = *declared->graph;
  const Classifier& model = declared->model;
  TAPE_CHECK(model.logits.valid());
  const Var probabilities = Softmax(model.logits);
  absl::Status status =
      LoadVariables(file, **experiment, graph, {model.logits, model.predicted});
  if (!status.ok()) return status;
  if (!ScoresImagesApart(model)) {
    return absl::FailedPreconditionError(absl::StrCat(
        file.path, ": ", (*experiment)->name, " (", (*experiment)->variant,
        ") scores an image by the other images of its batch, as its document "
        "does, so one image has no class: expected a model of another "
        "variant"));
  }
  absl::StatusOr<Plan> plan = CompilePredictions(
      graph,
      {.fetch = {model.predicted, probabilities}, .threads = options.threads},
      file);
  if (!plan.ok()) return plan.status();

  ImagePredictor predictor(std::move(declared->graph), model, probabilities,
                           *std::move(plan));
  predictor.experiment_ = *experiment;
  if (!absl::SimpleAtoi(ValueOf(file.content.metadata, "rows"),
                        &predictor.rows_)) {
    predictor.rows_ = 0;
  }
  predictor.path_ = std::move(file.path);
  predictor.notes_ = std::move(file.notes);
  predictor.skipped_checkpoints_ = std::move(file.skipped_checkpoints);
  return predictor;
} catch (...) {
  return CaughtStatus(file.path);
}

absl::StatusOr<Predictions> ImagePredictor::Predict(const Tensor& images) try {
  if (graph_ == nullptr) {
    return absl::FailedPreconditionError(
        "Predict: the predictor has been moved from");
  }
  if (images.dtype() != DType::kUint8 || images.shape().rank() != 2 ||
      images.shape()[1] != pixels()) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected images as uint8[n,", pixels(), "], as ",
                     experiment_->name, " was trained on, found ",
                     Name(images.dtype()), images.shape().ToString()));
  }
  const int64_t count = images.shape()[0];
  absl::StatusOr<Tensor> chosen = Tensor::Make({DType::kInt32, {count}});
  if (!chosen.ok()) return chosen.status();
  absl::StatusOr<Tensor> probabilities =
      Tensor::Make({DType::kFloat32, {count, classes()}});
  if (!probabilities.ok()) return probabilities.status();
  Predictions predictions = {.classes = *std::move(chosen),
                             .probabilities = *std::move(probabilities)};
  for (int64_t start = 0; start < count; start += kBatchSize) {
    const int64_t size = std::min(kBatchSize, count - start);
    const TensorView batch({DType::kUint8, {size, pixels()}},
                           images.values<uint8_t>().data() + start * pixels());
    absl::Status status = plan_.Run({{model_.images, batch}}, Loc{});
    if (!status.ok()) return status;
    const auto found = plan_.Value(model_.predicted).values<int32_t>();
    std::copy(found.begin(), found.end(),
              predictions.classes.values<int32_t>().begin() + start);
    const auto probabilities = plan_.Value(probabilities_).values<float>();
    const auto bad = std::find_if(
        probabilities.begin(), probabilities.end(),
        [](float probability) { return !std::isfinite(probability); });
    if (bad != probabilities.end()) {
      return absl::FailedPreconditionError(absl::StrCat(
          path_, ": the probabilities of image ",
          start + (bad - probabilities.begin()) / classes(),
          " are not finite: the run has diverged, its model is useless"));
    }
    std::copy(
        probabilities.begin(), probabilities.end(),
        predictions.probabilities.values<float>().begin() + start * classes());
  }
  return predictions;
} catch (...) {
  return CaughtStatus(path_);
}

int64_t ImagePredictor::pixels() const { return model_.images.shape()[1]; }

int ImagePredictor::classes() const {
  return static_cast<int>(model_.logits.shape()[1]);
}

}  // namespace tape
