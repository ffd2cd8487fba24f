// Fuzzes the reader of saved models (framework/serving/saved_model.h): the input
// is a safetensors file, whose metadata's "model" is the JSON of the graph.
// Changes are also made to that JSON alone. What is read is saved again, to the
// same model, and answers a batch of one and of three.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "framework/compiler/compile.h"
#include "framework/core/check.h"
#include "framework/core/graph.h"
#include "framework/io/safetensors.h"
#include "framework/serving/saved_model.h"
#include "tests/file_testing.h"
#include "tests/fuzz/fuzzing.h"

namespace tape {
namespace {

// Nodes of JSON of some ten bytes become Json values and nodes of a graph, of
// some hundred bytes each.
size_t Limit(size_t file) { return 400 * file + 256 * 1024; }

// A program may ask for as much memory as it likes: only small ones are run.
bool IsSmall(const Graph& graph) {
  constexpr int64_t kMost = 1 << 12;
  int64_t all = 0;
  for (int id = 0; id < graph.size(); ++id) {
    const int64_t elements = graph.node(id).type.shape.Bind(3).elements();
    if (elements > kMost) return false;
    all += elements;
  }
  return all <= 64 * kMost;
}

void CheckSavedAgain(const SavedModel& model) {
  const std::string path = NewPath("copy");
  const Model again = {.graph = model.graph.get(),
                       .feeds = model.inputs,
                       .outputs = model.outputs};
  const absl::Status saved = SaveModel(path, again, model.card);
  // Nodes that the outputs do not read may have no column.
  if (!saved.ok()) return CheckError(saved, {"SaveModel"});
  const absl::StatusOr<SavedModel> read = LoadModel(path);
  TAPE_CHECK(read.ok());
  TAPE_CHECK(read->outputs.size() == model.outputs.size());
  for (size_t i = 0; i < model.outputs.size(); ++i) {
    TAPE_CHECK(read->outputs[i].name == model.outputs[i].name);
    TAPE_CHECK(read->outputs[i].value.type() == model.outputs[i].value.type());
  }
}

// Runs it on zeros; its errors are its own.
void Run(const SavedModel& model) {
  absl::StatusOr<Plan> plan = Compile(
      *model.graph,
      {.outputs = model.outputs, .mode = Mode::kInference, .threads = 1},
      Loc{});
  if (!plan.ok()) return;
  for (const int64_t batch : {1, 3}) {
    std::vector<Tensor> zeros;
    zeros.reserve(model.inputs.size());
    std::vector<Feed> feeds;
    for (const ModelFeed& input : model.inputs) {
      const TensorType& type = input.input.type();
      zeros.emplace_back(TensorType{type.dtype, type.shape.Bind(batch)});
      feeds.push_back({input.input, zeros.back()});
    }
    (void)plan->Run(feeds, Loc{});
  }
}

}  // namespace
}  // namespace tape

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tape;
  const std::string path = FileOf("model", AsText(data, size));
  const auto model = WithinMemory(Limit(size), [&] { return LoadModel(path); });
  if (!model.ok()) {
    CheckError(model.status(), {path});
    return 0;
  }
  CheckSavedAgain(*model);
  if (IsSmall(*model->graph)) Run(*model);
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                          size_t max_size, unsigned int seed) {
  using namespace tape;
  const absl::string_view bytes = AsText(data, size);
  std::string changed;
  const absl::StatusOr<SafetensorsFile> file =
      ReadSafetensors(FileOf("seed", bytes));
  if (seed % 16 != 0 && file.ok() && file->FindMetadata("model") != nullptr) {
    Metadata metadata = file->metadata;
    for (auto& [key, value] : metadata) {
      if (key == "model") value = Mutated(value, value.size() + 64);
    }
    const std::string path = NewPath("changed");
    if (WriteSafetensors(path, file->arrays, metadata, seed % 2 == 0).ok()) {
      changed = ReadText(path);
    }
  }
  if (changed.empty() || changed.size() > max_size) {
    changed = Mutated(bytes, max_size);
  }
  std::memcpy(data, changed.data(), changed.size());
  return changed.size();
}
