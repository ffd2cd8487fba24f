// A trained model as one file, complete: the graph of its outputs, its weights,
// and what a program needs to feed it and to name its answers. Programs that have
// never seen its declaration load it and predict (predictor.h):
//
//   absl::Status saved = SaveModel("model.safetensors", model,
//                                  {.classes = {"rain", "sun"}});
//   …
//   absl::StatusOr<SavedModel> loaded = LoadModel("model.safetensors");
//
// The file is one of ../io/safetensors.h: the arrays are the variables under
// their names; the metadata's "model" is JSON: "format", "nodes"
// (stored_graph.h), "inputs", "outputs" and what ModelCard has; and "tape" is the
// version that wrote it. Tested by tests/serving/saved_model_test.cc, and fuzzed
// by tests/fuzz/saved_model_fuzzer.cc.
#ifndef TAPE_FRAMEWORK_SERVING_SAVED_MODEL_H_
#define TAPE_FRAMEWORK_SERVING_SAVED_MODEL_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "framework/compiler/compile.h"
#include "framework/compiler/precision.h"
#include "framework/core/graph.h"
#include "framework/core/loc.h"
#include "framework/data/features.h"
#include "framework/io/safetensors.h"
#include "framework/train/model.h"

namespace tape {

// The images that an input takes, [batch, rows * columns * channels] of bytes.
struct ImageLayout {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t channels = 1;
};

// What belongs to a model beside its graph and weights.
struct ModelCard {
  // The classes' names, by class; empty if the model has none.
  std::vector<std::string> classes = {};
  // The column of a table that the model predicts; empty if there is none.
  std::string target = {};
  // What makes a table's columns (tabular.h) the one input of the model.
  std::optional<Features> features = std::nullopt;
  // Of a model whose one input is images.
  std::optional<ImageLayout> images = std::nullopt;
  // What products read.
  Precision precision = Precision::kFloat32;
  // Anything else that is to be kept: further metadata of the file. The keys
  // "tape", "model" and "crc32c" are taken.
  Metadata notes = {};
};

struct SaveModelOptions {
  // Variables whose numbers are saved in place of others': AveragedWeights(graph)
  // (wrappers.h) saves the averages.
  std::vector<Replacement> replace = {};
};

// Writes what inference needs of `model`: its outputs, what they are computed
// from, and the feeds among that. Dropout and the like are saved in their form
// for inference; loss, metrics and updates are not saved. The file is replaced as
// a whole (ReplaceFile). Errors: a model without a graph or outputs; an output
// that is not valid, or two of one name; an input that `feeds` lacks; a card
// whose features or images do not fit the input; a replacement that is none; the
// system's.
absl::Status SaveModel(const std::string& path, const Model& model,
                       const ModelCard& card = {},
                       const SaveModelOptions& options = {},
                       Loc loc = Loc::Current());

// The metadata that makes a file of the model's variables, under their names, a
// saved model too: "model" and the card's notes. For files that hold more, such
// as checkpoints (CheckpointFolder::Save). Errors: those of SaveModel.
absl::StatusOr<Metadata> ModelMetadata(const Model& model,
                                       const ModelCard& card = {},
                                       Loc loc = Loc::Current());

// A loaded model. May be compiled, trained further with updates of one's own, or
// given to a Predictor.
struct SavedModel {
  std::unique_ptr<Graph> graph;
  std::vector<ModelFeed> inputs = {};
  std::vector<Output> outputs = {};
  ModelCard card = {};
  std::string version = {};  // Of the Tape that wrote it.
};

struct LoadModelOptions {
  // Ops of the program's own that the model may have, by OpDef::name. They must
  // outlive the graph.
  std::vector<const OpDef*> ops = {};
};

// Reads such a file. Memory is in proportion to the file. Errors, which name the
// file: those of ReadSafetensors; kNotFound for a safetensors file that is no
// saved model, such as bare weights; kInvalidArgument for an op that neither
// this version nor the program has, by its name, and for whatever else is wrong.
absl::StatusOr<SavedModel> LoadModel(const std::string& path,
                                     const LoadModelOptions& options = {});

// The same of a file that has been read; `path` only names it in errors.
absl::StatusOr<SavedModel> ParseModel(const SafetensorsFile& file,
                                      absl::string_view path,
                                      const LoadModelOptions& options = {});

// Whether a file holds a model that LoadModel reads, rather than weights alone.
bool HoldsModel(const SafetensorsFile& file);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_SERVING_SAVED_MODEL_H_
