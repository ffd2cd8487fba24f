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
#include "framework/train/checkpoint.h"
#include "framework/train/weights.h"
#include "models/run_record.h"
#include "models/training_run.h"
#include "ops/ops.h"

namespace tape {
namespace {

// So many images at a time, as evaluations have it: a result is the same bits.
constexpr int64_t kBatchSize = 1000;

// ---- The file ----

struct ModelFile {
  std::string path;
  SafetensorsFile content;
  std::vector<absl::Status> skipped_checkpoints = {};
  std::vector<std::string> notes = {};
};

// "step 441, in epoch 147".
std::string PlaceOf(const Checkpoint& checkpoint) {
  return absl::StrCat("step ", checkpoint.state.step, ", in epoch ",
                      checkpoint.state.epoch);
}

// The newest checkpoint of a run that is sound.
absl::StatusOr<ModelFile> ReadNewestCheckpoint(const std::string& run) {
  const CheckpointFolder checkpoints(CheckpointsIn(run), /*keep=*/1);
  std::vector<absl::Status> damaged;
  absl::StatusOr<std::optional<Checkpoint>> newest =
      checkpoints.Newest(damaged);
  if (!newest.ok()) return newest.status();
  if (newest->has_value()) {
    const std::string note = absl::StrCat("a checkpoint of ", PlaceOf(**newest),
                                          ": the run has not finished");
    return ModelFile{std::move((*newest)->path),
                     std::move((*newest)->file),
                     std::move(damaged),
                     {note}};
  }
  if (!damaged.empty()) return damaged.front();
  return absl::NotFoundError(
      absl::StrCat(run, ": expected the folder of a run, with its model or ",
                   "checkpoints, found neither"));
}

absl::StatusOr<ModelFile> ReadFinishedModel(std::string path) {
  absl::StatusOr<SafetensorsFile> file = ReadSafetensors(path);
  if (!file.ok()) return file.status();
  return ModelFile{std::move(path), *std::move(file)};
}

absl::StatusOr<ModelFile> ReadModelFile(const std::string& path) {
  std::error_code ignored;  // What we may not look at, its reader names.
  if (!std::filesystem::is_directory(path, ignored)) {
    return ReadFinishedModel(path);
  }
  const std::string model = ModelFileIn(path);
  if (!std::filesystem::exists(model, ignored)) {
    return ReadNewestCheckpoint(path);
  }
  absl::StatusOr<ModelFile> file = ReadFinishedModel(model);
  if (!file.ok()) return file;
  // A run that was made longer keeps its model until it has the next one.
  std::vector<absl::Status> damaged;
  const absl::StatusOr<std::optional<Checkpoint>> newest =
      CheckpointFolder(CheckpointsIn(path), /*keep=*/1).Newest(damaged);
  if (!newest.ok() || !newest->has_value()) return file;
  const auto epochs_of = [](const Metadata& record) {
    int epochs = 0;  // Of a file that does not tell.
    return absl::SimpleAtoi(ValueOf(record, "epochs"), &epochs) ? epochs : 0;
  };
  const int finished = epochs_of(file->content.metadata);
  const int planned = epochs_of((*newest)->file.metadata);
  if (planned == finished) return file;
  file->notes.push_back(absl::StrCat(
      "of the finished run of ", finished, " epochs; ",
      planned > finished ? "it has gone on, to a checkpoint of "
                         : "its newest checkpoint is an older one, of ",
      PlaceOf(**newest)));
  return file;
}

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

// Whether the row of `output` for an image follows from that image alone, and
// not from others of the batch.
bool IsOfOneImage(const Graph& graph, Var images, Var output) {
  std::vector<bool> in_rows(graph.size(), false);
  in_rows[images.id()] = true;
  const std::vector<bool> needed =
      NodesNeededBy(graph, {output}, Mode::kInference);
  for (int id = 0; id <= output.id(); ++id) {
    const Node& node = graph.node(id);
    const bool reads_rows =
        std::any_of(node.inputs.begin(), node.inputs.end(),
                    [&](int input) { return in_rows[input]; });
    if (!needed[id] || !reads_rows) continue;
    const Traits& traits = node.op->traits;
    if (const int from = traits.Forwards(Mode::kInference); from >= 0) {
      in_rows[id] = in_rows[node.inputs[from]];
      continue;
    }
    if (traits.elementwise || traits.view) {
      // Axis 0 must stay what it is.
      if (node.type.shape.rank() == 0 || node.type.shape[0] != kBatch) {
        return false;
      }
    } else {
      std::vector<TensorType> types;
      absl::InlinedVector<bool, 3> inputs_in_rows;
      for (int input : node.inputs) {
        types.push_back(graph.node(input).type);
        inputs_in_rows.push_back(in_rows[input]);
      }
      if (node.op->rows == nullptr ||
          node.op->rows({.attributes = node.attributes,
                         .inputs = types,
                         .in_rows = inputs_in_rows,
                         .output = node.type}) != RowRole::kApart) {
        return false;
      }
    }
    in_rows[id] = true;
  }
  return true;
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

absl::StatusOr<Predictor> Predictor::Load(const std::string& path,
                                          PredictorOptions options) try {
  absl::StatusOr<ModelFile> file = ReadModelFile(path);
  if (!file.ok()) return file.status();
  const absl::StatusOr<const Experiment*> experiment = ExperimentOf(*file);
  if (!experiment.ok()) return experiment.status();
  const absl::StatusOr<int64_t> pixels = PixelsOf(*file);
  if (!pixels.ok()) return pixels.status();
  absl::StatusOr<Declared> declared = Declare(**experiment, *pixels);
  if (!declared.ok()) return declared.status();
  Graph& graph = *declared->graph;
  const Classifier& model = declared->model;
  TAPE_CHECK(model.logits.valid());
  const Var probabilities = Softmax(model.logits);
  absl::Status status = LoadVariables(*file, **experiment, graph,
                                      {model.logits, model.predicted});
  if (!status.ok()) return status;
  if (!IsOfOneImage(graph, model.images, model.logits)) {
    return absl::FailedPreconditionError(absl::StrCat(
        file->path, ": ", (*experiment)->name, " (", (*experiment)->variant,
        ") scores an image by the other images of its batch, as its document "
        "does, so one image has no class: expected a model of another "
        "variant"));
  }
  absl::StatusOr<Plan> plan = CompilePredictions(
      graph,
      {.fetch = {model.predicted, probabilities}, .threads = options.threads},
      *file);
  if (!plan.ok()) return plan.status();

  Predictor predictor(std::move(declared->graph), model, probabilities,
                      *std::move(plan));
  predictor.experiment_ = *experiment;
  if (!absl::SimpleAtoi(ValueOf(file->content.metadata, "rows"),
                        &predictor.rows_)) {
    predictor.rows_ = 0;
  }
  predictor.path_ = std::move(file->path);
  predictor.notes_ = std::move(file->notes);
  predictor.skipped_checkpoints_ = std::move(file->skipped_checkpoints);
  return predictor;
} catch (...) {
  return CaughtStatus(path);
}

absl::StatusOr<Predictions> Predictor::Predict(const Tensor& images) try {
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

int64_t Predictor::pixels() const { return model_.images.shape()[1]; }

int Predictor::classes() const {
  return static_cast<int>(model_.logits.shape()[1]);
}

}  // namespace tape
