// Saved models (saved_model.h). Tested by tests/serving/saved_model_test.cc.
#include "framework/serving/saved_model.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "framework/core/exceptions.h"
#include "framework/core/text.h"
#include "framework/core/version.h"
#include "framework/io/files.h"
#include "framework/metrics/read_json.h"
#include "framework/serving/stored_graph.h"

namespace tape {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kModelKey[] = "model";
constexpr char kVersionKey[] = "tape";
// Of the JSON. A reader refuses a later one.
constexpr int kFormat = 1;

absl::Status WrongCall(Loc loc, const char* function,
                       absl::string_view message) {
  return absl::InvalidArgumentError(
      absl::StrCat(CallText(loc, function), ": ", message));
}

// ---- The card ----

// An error unless the card's features and images are of the model's one input.
absl::Status CheckCard(const ModelCard& card,
                       const std::vector<ModelFeed>& inputs) {
  if (!card.features.has_value() && !card.images.has_value()) {
    return absl::OkStatus();
  }
  int64_t width = 0;
  DType dtype = DType::kFloat32;
  if (card.features.has_value()) {
    width = card.features->width();
  } else {
    const ImageLayout& size = *card.images;
    if (size.rows < 1 || size.columns < 1 || size.channels < 1 ||
        size.rows > kMaxElements / size.columns ||
        size.rows * size.columns > kMaxElements / size.channels) {
      return absl::InvalidArgumentError(absl::StrCat(
          "expected images of at least one pixel, found ", size.rows, " by ",
          size.columns, " of ", size.channels, " channels"));
    }
    width = size.rows * size.columns * size.channels;
    dtype = DType::kUint8;
  }
  const TensorType expected = {dtype, {kBatch, width}};
  const std::string what = card.features.has_value() ? "features" : "images";
  if (inputs.size() != 1) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected one input for the ", what, ", found ", inputs.size()));
  }
  const TensorType& found = inputs[0].input.type();
  if (found == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("expected an input ", expected.ToString(), " for the ", what,
                   ", found ", found.ToString()));
}

void AddCard(const ModelCard& card, Json& model) {
  if (!card.classes.empty()) model["classes"] = card.classes;
  if (!card.target.empty()) model["target"] = card.target;
  if (card.features.has_value()) {
    model["features"] = Json::parse(card.features->ToJson());
  }
  if (card.images.has_value()) {
    model["images"] = {{"rows", card.images->rows},
                       {"columns", card.images->columns},
                       {"channels", card.images->channels}};
  }
  if (card.precision == Precision::kBFloat16) model["precision"] = "bf16";
}

absl::Status ReadCard(const Json& model, ModelCard& card) {
  const auto wrong = [](absl::string_view key) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected \"", key, "\" of a model, found another value"));
  };
  if (const auto found = model.find("classes"); found != model.end()) {
    if (!found->is_array()) return wrong("classes");
    for (const Json& name : *found) {
      if (!json::Read(name, card.classes.emplace_back())) {
        return wrong("classes");
      }
    }
  }
  if (const auto found = model.find("target"); found != model.end()) {
    if (!json::Read(*found, card.target)) return wrong("target");
  }
  if (const auto found = model.find("features"); found != model.end()) {
    absl::StatusOr<Features> features = Features::FromJson(
        found->dump(-1, ' ', false, Json::error_handler_t::replace));
    if (!features.ok()) return features.status();
    card.features = *std::move(features);
  }
  if (const auto found = model.find("images"); found != model.end()) {
    ImageLayout& size = card.images.emplace();
    const auto read = [&](const char* key, int64_t& value) {
      const auto member = found->find(key);
      return member != found->end() && json::Read(*member, value);
    };
    if (!found->is_object() || !read("rows", size.rows) ||
        !read("columns", size.columns) || !read("channels", size.channels)) {
      return wrong("images");
    }
  }
  if (const auto found = model.find("precision"); found != model.end()) {
    if (*found != "bf16") return wrong("precision");
    card.precision = Precision::kBFloat16;
  }
  return absl::OkStatus();
}

// ---- Writing ----

absl::Status CheckNotes(const Metadata& notes) {
  for (const auto& [key, value] : notes) {
    if (key != kModelKey && key != kVersionKey && key != "crc32c") continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "expected notes under other keys than \"tape\", \"model\" and "
        "\"crc32c\", found \"",
        key, "\""));
  }
  return absl::OkStatus();
}

absl::Status CheckOutputs(const Model& model) {
  if (model.outputs.empty()) {
    return absl::InvalidArgumentError(
        "expected outputs of the model, found none");
  }
  std::set<absl::string_view> names;
  for (const Output& output : model.outputs) {
    if (!model.graph->Has(output.value) || !output.value.valid()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "output ", Quoted(output.name, 40), " is ",
          output.value.empty() ? output.value.WhyEmpty() : "an invalid Var"));
    }
    if (output.name.empty() || !IsUtf8(output.name) ||
        !names.insert(output.name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("expected outputs with names of their own, in UTF-8, "
                       "found ",
                       Quoted(output.name, 40)));
    }
  }
  return absl::OkStatus();
}

// The arrays of the variables, some replaced.
absl::StatusOr<std::vector<StoredArray>> ArraysOf(
    const Graph& graph, const StoredNodes& stored,
    const std::vector<Replacement>& replace) {
  std::map<absl::string_view, absl::string_view> by;
  const Variables& variables = graph.variables();
  for (const Replacement& one : replace) {
    const int from = variables.Find(one.variable);
    const int to = variables.Find(one.by);
    if (from < 0 || to < 0 ||
        !(variables[from].value.type() == variables[to].value.type())) {
      return absl::InvalidArgumentError(absl::StrCat(
          "expected a variable ", Quoted(one.variable, 40),
          " and one of its type to replace it, found ", Quoted(one.by, 40)));
    }
    by[one.variable] = one.by;
  }
  std::vector<StoredArray> arrays;
  for (Var variable : stored.variables) {
    const std::string name(graph.NameOf(variable));
    const auto replaced = by.find(name);
    const int index = variables.Find(
        replaced == by.end() ? absl::string_view(name) : replaced->second);
    arrays.push_back(ViewOf(name, variables[index].value));
  }
  return arrays;
}

struct Written {
  StoredNodes nodes;
  Metadata metadata;  // But for the version.
};

absl::StatusOr<Written> Write(const Model& model, const ModelCard& card) {
  if (model.graph == nullptr) {
    return absl::InvalidArgumentError("the model has no graph");
  }
  Graph& graph = *model.graph;
  absl::Status status = graph.status();
  status.Update(CheckNotes(card.notes));
  status.Update(CheckOutputs(model));
  if (!status.ok()) return status;
  std::vector<Var> outputs;
  for (const Output& output : model.outputs) outputs.push_back(output.value);
  Written written = {.nodes = StoreNodes(graph, outputs),
                     .metadata = card.notes};
  const StoredNodes& stored = written.nodes;

  std::vector<ModelFeed> inputs;
  Json feeds = Json::array();
  std::set<int> fed;
  for (const ModelFeed& feed : model.feeds) {
    const int place = graph.Has(feed.input) && feed.input.valid()
                          ? stored.PlaceOf(graph, feed.input)
                          : kNone;
    if (place == kNone || !fed.insert(place).second) continue;
    inputs.push_back(feed);
    feeds.push_back({{"node", place}, {"column", feed.column}});
  }
  for (size_t i = 0; i < stored.list.size(); ++i) {
    if (stored.list[i]["op"] != "Input" || fed.contains(static_cast<int>(i))) {
      continue;
    }
    return absl::InvalidArgumentError(
        absl::StrCat("expected a column for each input that the outputs read, "
                     "found none for ",
                     Quoted(stored.list[i]["name"].get<std::string>(), 40)));
  }
  if (status = CheckCard(card, inputs); !status.ok()) return status;
  Json json = {{"format", kFormat}, {"nodes", stored.list}, {"inputs", feeds}};
  Json& named = json["outputs"] = Json::array();
  for (const Output& output : model.outputs) {
    named.push_back(
        {{"name", output.name}, {"node", stored.PlaceOf(graph, output.value)}});
  }
  AddCard(card, json);
  written.metadata.emplace_back(kModelKey, json.dump());
  return written;
}

// The same; an error has the line of the call.
absl::StatusOr<Written> WriteFor(Loc loc, const char* function,
                                 const Model& model,
                                 const ModelCard& card) try {
  absl::StatusOr<Written> written = Write(model, card);
  if (written.ok()) return written;
  return WrongCall(loc, function, written.status().message());
} catch (const nlohmann::json::exception& error) {
  return WrongCall(
      loc, function,
      absl::StrCat("expected text in UTF-8, found ", Printable(error.what())));
} catch (...) {
  return CaughtStatus(CallText(loc, function));
}

// ---- Reading ----

// The node that a member of the list `key` names.
absl::StatusOr<Var> NodeOf(const Json& member, absl::string_view key,
                           const std::vector<Var>& nodes) {
  size_t place;
  const auto found = member.is_object() ? member.find("node") : member.end();
  if (!member.is_object() || found == member.end() ||
      !json::Read(*found, place) || place >= nodes.size()) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected in \"", key, "\" one of the ", nodes.size(),
                     " nodes, found another"));
  }
  return nodes[place];
}

// A text of an object, not empty.
absl::StatusOr<std::string> TextOf(const Json& member, const char* key) {
  std::string text;
  const auto found = member.find(key);
  if (found != member.end() && json::Read(*found, text) && !text.empty()) {
    return text;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("expected a text \"", key, "\", found none"));
}

absl::Status ReadSignature(const Json& json, const std::vector<Var>& nodes,
                           SavedModel& model) {
  for (const char* key : {"inputs", "outputs"}) {
    if (json.contains(key) && json[key].is_array()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("expected a list \"", key, "\", found none"));
  }
  std::set<int> fed;
  for (const Json& member : json["inputs"]) {
    const absl::StatusOr<Var> input = NodeOf(member, "inputs", nodes);
    if (!input.ok()) return input.status();
    absl::StatusOr<std::string> column = TextOf(member, "column");
    if (!column.ok()) return column.status();
    const Node& node = model.graph->node(*input);
    const bool is_input = node.op->traits.source && node.variable == kNone;
    if (!is_input || !fed.insert(input->id()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("expected in \"inputs\" each input once, found ",
                       model.graph->Describe(input->id())));
    }
    model.inputs.push_back({*input, *std::move(column)});
  }
  std::set<std::string> names;
  for (const Json& member : json["outputs"]) {
    const absl::StatusOr<Var> value = NodeOf(member, "outputs", nodes);
    if (!value.ok()) return value.status();
    absl::StatusOr<std::string> name = TextOf(member, "name");
    if (!name.ok()) return name.status();
    if (!names.insert(*name).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("expected outputs of different names, found ",
                       Quoted(*name, 40), " twice"));
    }
    model.outputs.push_back({*std::move(name), *value});
  }
  if (model.outputs.empty()) {
    return absl::InvalidArgumentError("expected outputs, found none");
  }
  return absl::OkStatus();
}

absl::StatusOr<SavedModel> ParseOrThrow(const SafetensorsFile& file,
                                        const LoadModelOptions& options) {
  const std::string* const text = file.FindMetadata(kModelKey);
  if (text == nullptr) {
    return absl::NotFoundError(
        "expected a saved model, found no \"model\" in the metadata: a file of "
        "weights alone");
  }
  const Json json = Json::parse(*text);
  int format = 0;
  if (!json.is_object() || !json.contains("format") ||
      !json::Read(json["format"], format) || format != kFormat) {
    return absl::InvalidArgumentError(absl::StrCat(
        "expected a model of format ", kFormat, ", found ",
        format == 0 ? "another" : absl::StrCat(format),
        format > kFormat ? ": a later version of Tape wrote it" : ""));
  }
  UserOps user_ops;
  for (const OpDef* op : options.ops) {
    if (op == nullptr || !user_ops.emplace(op->name, op).second) {
      return absl::InvalidArgumentError(absl::StrCat(
          "LoadModelOptions::ops: expected ops of different names, found ",
          op == nullptr ? "null" : Quoted(op->name, 40)));
    }
  }
  std::map<absl::string_view, const StoredArray*> arrays;
  for (const StoredArray& array : file.arrays) arrays[array.name] = &array;
  SavedModel model = {.graph = std::make_unique<Graph>()};
  Graph& graph = *model.graph;
  // Before it has memory.
  const auto check_variable = [&](absl::string_view name,
                                  const TensorType& type) -> absl::Status {
    const auto found = arrays.find(name);
    if (found == arrays.end()) {
      return WrongData(ArrayText(name), "the numbers of a variable",
                       "no array of that name");
    }
    if (found->second->shape == type.shape) return absl::OkStatus();
    return WrongData(ArrayText(name), type.shape.ToString(),
                     found->second->shape.ToString());
  };
  const absl::StatusOr<std::vector<Var>> nodes =
      AppendStoredNodes(json.contains("nodes") ? json["nodes"] : Json(),
                        user_ops, check_variable, graph);
  if (!nodes.ok()) return nodes.status();
  for (Var node : *nodes) {
    if (graph.node(node).variable == kNone) continue;
    const absl::StatusOr<Tensor> value =
        ToTensor(*arrays[graph.NameOf(node)], node.dtype());
    if (!value.ok()) return value.status();
    absl::Status status = graph.SetValue(node, *value, Loc{});
    if (!status.ok()) return status;
  }
  absl::Status status = ReadSignature(json, *nodes, model);
  if (status.ok()) status = ReadCard(json, model.card);
  if (status.ok()) status = CheckCard(model.card, model.inputs);
  if (!status.ok()) return status;
  for (const auto& [key, value] : file.metadata) {
    if (key == kVersionKey) model.version = value;
    const bool is_note =
        key != kVersionKey && key != kModelKey && key != "crc32c";
    if (is_note) model.card.notes.emplace_back(key, value);
  }
  return model;
}

}  // namespace

absl::Status SaveModel(const std::string& path, const Model& model,
                       const ModelCard& card, const SaveModelOptions& options,
                       Loc loc) {
  const absl::StatusOr<Written> written =
      WriteFor(loc, "SaveModel", model, card);
  if (!written.ok()) return written.status();
  const absl::StatusOr<std::vector<StoredArray>> arrays =
      ArraysOf(*model.graph, written->nodes, options.replace);
  if (!arrays.ok()) {
    return WrongCall(loc, "SaveModel", arrays.status().message());
  }
  Metadata metadata = {{kVersionKey, kVersion}};
  metadata.insert(metadata.end(), written->metadata.begin(),
                  written->metadata.end());
  return WriteSafetensors(path, *arrays, metadata);
}

absl::StatusOr<Metadata> ModelMetadata(const Model& model,
                                       const ModelCard& card, Loc loc) {
  absl::StatusOr<Written> written = WriteFor(loc, "ModelMetadata", model, card);
  if (!written.ok()) return written.status();
  return std::move(written->metadata);
}

absl::StatusOr<SavedModel> ParseModel(const SafetensorsFile& file,
                                      absl::string_view path,
                                      const LoadModelOptions& options) try {
  absl::StatusOr<SavedModel> model = ParseOrThrow(file, options);
  if (model.ok()) return model;
  return absl::Status(
      model.status().code(),
      absl::StrCat(Printable(path), ": ", model.status().message()));
} catch (const nlohmann::json::exception& error) {
  return WrongData(path, "a model as JSON", Printable(error.what()));
} catch (...) {
  return CaughtStatus(path);
}

absl::StatusOr<SavedModel> LoadModel(const std::string& path,
                                     const LoadModelOptions& options) {
  const absl::StatusOr<SafetensorsFile> file = ReadSafetensors(path);
  if (!file.ok()) return file.status();
  return ParseModel(*file, path, options);
}

bool HoldsModel(const SafetensorsFile& file) {
  return file.FindMetadata(kModelKey) != nullptr;
}

}  // namespace tape
