// Nodes as JSON (stored_graph.h). Tested by tests/serving/saved_model_test.cc.
#include "framework/serving/stored_graph.h"

#include <bit>
#include <charconv>
#include <cstdint>
#include <optional>
#include <set>
#include <system_error>
#include <type_traits>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "framework/core/initializer.h"
#include "framework/core/text.h"
#include "framework/io/files.h"
#include "ops/op_table.h"

namespace tape {
namespace {

using Json = nlohmann::ordered_json;

// ---- Values ----

constexpr DType kDTypes[] = {DType::kFloat32, DType::kInt32, DType::kUint8,
                             DType::kBFloat16, DType::kFloat64};
constexpr Tag kTags[] = {Tag::kWeight, Tag::kBias, Tag::kState};

// As text, since JSON has no infinity, no NaN and no -0 to rely on.
Json ToJson(double value) {
  char text[32];
  const std::to_chars_result end =
      std::to_chars(text, text + sizeof(text), value);
  return std::string(text, end.ptr);
}
Json ToJson(bool value) { return value; }
Json ToJson(int value) { return value; }
Json ToJson(int64_t value) { return value; }
Json ToJson(uint64_t value) { return value; }
Json ToJson(const std::optional<int32_t>& value) { return *value; }
Json ToJson(DType value) { return Name(value); }
Json ToJson(const Shape& shape) {
  Json dims = Json::array();
  for (const int64_t dim : shape.dims()) {
    if (dim == kBatch) {
      dims.push_back("batch");
    } else {
      dims.push_back(dim);
    }
  }
  return dims;
}
Json ToJson(const absl::InlinedVector<int, 4>& axes) {
  return Json(std::vector<int>(axes.begin(), axes.end()));
}

// Each returns whether `json` is such a value, which then is in `value`.
bool FromJson(const Json& json, double& value) {
  if (!json.is_string()) return false;
  const std::string& text = json.get_ref<const std::string&>();
  const char* const end = text.data() + text.size();
  const std::from_chars_result read = std::from_chars(text.data(), end, value);
  return read.ec == std::errc() && read.ptr == end;
}
bool FromJson(const Json& json, bool& value) {
  if (!json.is_boolean()) return false;
  value = json.get<bool>();
  return true;
}
bool FromJson(const Json& json, uint64_t& value) {
  if (!json.is_number_unsigned()) return false;
  value = json.get<uint64_t>();
  return true;
}
bool FromJson(const Json& json, int64_t& value) {
  if (json.is_number_unsigned()) {
    value = static_cast<int64_t>(json.get<uint64_t>());
    return value >= 0;
  }
  if (!json.is_number_integer()) return false;
  value = json.get<int64_t>();
  return true;
}
bool FromJson(const Json& json, int32_t& value) {
  int64_t wide;
  if (!FromJson(json, wide)) return false;
  value = static_cast<int32_t>(wide);
  return value == wide;
}
bool FromJson(const Json& json, std::optional<int32_t>& value) {
  return FromJson(json, value.emplace());
}
bool FromJson(const Json& json, DType& value) {
  if (!json.is_string()) return false;
  for (const DType dtype : kDTypes) {
    if (json.get_ref<const std::string&>() != Name(dtype)) continue;
    value = dtype;
    return true;
  }
  return false;
}
bool FromJson(const Json& json, Shape& value) {
  if (!json.is_array()) return false;
  absl::InlinedVector<int64_t, 4> dims;
  for (const Json& dim : json) {
    int64_t& length = dims.emplace_back(kBatch);
    if (dim.is_string() && dim.get_ref<const std::string&>() == "batch") {
      continue;
    }
    if (!FromJson(dim, length) || length < 0) return false;
  }
  value = Shape(dims);
  return true;
}
bool FromJson(const Json& json, absl::InlinedVector<int, 4>& value) {
  if (!json.is_array()) return false;
  for (const Json& axis : json) {
    if (!FromJson(axis, value.emplace_back())) return false;
  }
  return true;
}

// ---- Attributes ----

// Calls visit(key, field) for each attribute.
template <typename Record, typename Visit>
void ForEachAttribute(Record& attributes, Visit visit) {
  visit("value", attributes.value);
  visit("alpha", attributes.alpha);
  visit("beta", attributes.beta);
  visit("depth", attributes.depth);
  visit("index", attributes.index);
  visit("begin", attributes.begin);
  visit("step", attributes.step);
  visit("length", attributes.length);
  visit("seed", attributes.seed);
  visit("stream", attributes.stream);
  visit("axis", attributes.axis);
  visit("reverse", attributes.reverse);
  visit("transpose_lhs", attributes.transpose_lhs);
  visit("transpose_rhs", attributes.transpose_rhs);
  visit("ignored_label", attributes.ignored_label);
  visit("dtype", attributes.dtype);
  visit("shape", attributes.shape);
  visit("axes", attributes.axes);
}

template <typename T>
bool Same(const T& a, const T& b) {
  return a == b;
}
// To the bit: -0 is not 0.
bool Same(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

// Adds the attributes that differ from their defaults.
void AddAttributes(const Attributes& attributes, Json& node) {
  const Attributes defaults;
  std::vector<const void*> fields;
  ForEachAttribute(defaults, [&](const char*, const auto& field) {
    fields.push_back(&field);
  });
  size_t i = 0;
  ForEachAttribute(attributes, [&](const char* key, const auto& field) {
    using Field = std::remove_cvref_t<decltype(field)>;
    const auto* const same = static_cast<const Field*>(fields[i++]);
    if (!Same(field, *same)) node[key] = ToJson(field);
  });
}

// ---- Nodes ----

// What a node of a file is; errors name it.
class NodeReader {
 public:
  NodeReader(const Json& json, size_t place, const UserOps& user_ops)
      : json_(json), place_(place), user_ops_(user_ops) {}

  absl::StatusOr<Var> Append(absl::Span<const Var> before,
                             const CheckVariable& check_variable,
                             Graph& graph) {
    if (!json_.is_object()) return Wrong("an object", json_);
    const bool is_users = json_.contains("user_op");
    absl::StatusOr<std::string> name = TextOf(is_users ? "user_op" : "op");
    if (!name.ok()) return name.status();
    name_ = *std::move(name);
    Attributes attributes;
    absl::Status status;
    ForEachAttribute(attributes, [&](const char* key, auto& field) {
      const auto found = json_.find(key);
      if (found == json_.end()) return;
      read_.insert(key);
      if (!FromJson(*found, field)) {
        status.Update(Wrong(absl::StrCat("a value of \"", key, "\""), *found));
      }
    });
    if (!status.ok()) return status;
    if (!is_users && (name_ == "Input" || name_ == "Variable")) {
      return Declare({attributes.dtype, attributes.shape}, check_variable,
                     graph);
    }
    const OpDef* const op = OpOf(is_users);
    if (op == nullptr) {
      return WrongData(Where(),
                       is_users ? "an op that this program has registered "
                                  "(LoadModelOptions::ops)"
                                : "an op of this version of Tape",
                       Quoted(name_, 40));
    }
    std::vector<Var> inputs;
    read_.insert("inputs");
    if (const auto found = json_.find("inputs"); found != json_.end()) {
      if (!found->is_array()) return Wrong("a list of inputs", *found);
      for (const Json& input : *found) {
        int64_t place;
        if (!FromJson(input, place) || place < 0 ||
            place >= static_cast<int64_t>(before.size())) {
          return Wrong(absl::StrCat("inputs among the ", before.size(),
                                    " nodes before it"),
                       input);
        }
        inputs.push_back(before[place]);
      }
    }
    if (absl::Status keys = CheckKeys(); !keys.ok()) return keys;
    return Checked(graph.Append(*op, inputs, std::move(attributes), Loc{}),
                   graph);
  }

 private:
  std::string Where() const {
    return absl::StrCat("node ", place_, name_.empty() ? "" : " (",
                        Printable(name_), name_.empty() ? "" : ")");
  }

  absl::Status Wrong(absl::string_view expected, const Json& found) const {
    return WrongData(
        Where(), expected,
        Quoted(found.dump(-1, ' ', true, Json::error_handler_t::replace), 40));
  }

  absl::StatusOr<std::string> TextOf(const char* key) {
    read_.insert(key);
    const auto found = json_.find(key);
    if (found == json_.end() || !found->is_string()) {
      return Wrong(absl::StrCat("a text \"", key, "\""), json_);
    }
    return found->get<std::string>();
  }

  const OpDef* OpOf(bool is_users) const {
    if (!is_users) return FindOp(name_);
    const auto found = user_ops_.find(name_);
    return found == user_ops_.end() ? nullptr : found->second;
  }

  // What this version does not know may change what the node computes.
  absl::Status CheckKeys() const {
    for (const auto& [key, value] : json_.items()) {
      if (read_.contains(key)) continue;
      return WrongData(Where(), "members that this version of Tape knows",
                       Quoted(key, 40));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<Var> Declare(const TensorType& type,
                              const CheckVariable& check_variable,
                              Graph& graph) {
    const absl::StatusOr<std::string> name = TextOf("name");
    if (!name.ok()) return name.status();
    if (name_ == "Input") {
      if (absl::Status keys = CheckKeys(); !keys.ok()) return keys;
      return Checked(graph.Input(*name, type.shape, type.dtype, Loc{}), graph);
    }
    const absl::StatusOr<std::string> tag_name = TextOf("tag");
    if (!tag_name.ok()) return tag_name.status();
    if (absl::Status keys = CheckKeys(); !keys.ok()) return keys;
    if (absl::Status status = check_variable(*name, type); !status.ok()) {
      return status;
    }
    for (const Tag tag : kTags) {
      if (*tag_name != Name(tag)) continue;
      if (tag == Tag::kState) {
        return Checked(
            graph.State(*name, type.shape, Zeros(), type.dtype, Loc{}), graph);
      }
      if (type.dtype != DType::kFloat32) break;
      return Checked(graph.Parameter(*name, type.shape, Zeros(), tag, Loc{}),
                     graph);
    }
    return WrongData(Where(), "a float32 weight or bias, or a state",
                     absl::StrCat(Quoted(*tag_name), " of ", Name(type.dtype)));
  }

  absl::StatusOr<Var> Checked(Var var, const Graph& graph) const {
    if (graph.status().ok()) return var;
    return absl::Status(graph.status().code(),
                        absl::StrCat(Where(), ": ", graph.status().message()));
  }

  const Json& json_;
  const size_t place_;
  const UserOps& user_ops_;
  std::string name_;
  std::set<absl::string_view> read_;
};

}  // namespace

int StoredNodes::PlaceOf(const Graph& graph, Var var) const {
  int id = var.id();
  while (true) {
    const Node& node = graph.node(id);
    const int input = node.op->traits.Forwards(Mode::kInference);
    if (input < 0) break;
    id = node.inputs[input];
  }
  const auto found = places.find(id);
  return found == places.end() ? kNone : found->second;
}

StoredNodes StoreNodes(Graph& graph, absl::Span<const Var> outputs) {
  StoredNodes stored = {.list = Json::array()};
  const std::vector<bool> needed =
      NodesNeededBy(graph, outputs, Mode::kInference);
  for (int id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (!needed[id] || node.op->traits.Forwards(Mode::kInference) >= 0) {
      continue;
    }
    Json json = Json::object();
    if (node.op->traits.source) {
      const bool is_variable = node.variable != kNone;
      json["op"] = is_variable ? "Variable" : "Input";
      json["name"] = node.name;
      if (is_variable) {
        json["tag"] = Name(graph.variables()[node.variable].tag);
        stored.variables.push_back(Var(&graph, id));
      }
    } else {
      const OpDef* const known = FindOp(node.op->name);
      const bool is_known = known != nullptr && *known == *node.op;
      json[is_known ? "op" : "user_op"] = node.op->name;
      std::vector<int> inputs;
      for (const int input : node.inputs) {
        inputs.push_back(stored.PlaceOf(graph, Var(&graph, input)));
      }
      if (!inputs.empty()) json["inputs"] = inputs;
    }
    AddAttributes(node.attributes, json);
    stored.places[id] = static_cast<int>(stored.list.size());
    stored.list.push_back(std::move(json));
  }
  return stored;
}

absl::StatusOr<std::vector<Var>> AppendStoredNodes(
    const Json& list, const UserOps& user_ops,
    const CheckVariable& check_variable, Graph& graph) {
  if (!list.is_array()) {
    return absl::InvalidArgumentError("expected a list of nodes, found none");
  }
  std::vector<Var> nodes;
  for (const Json& json : list) {
    absl::StatusOr<Var> node = NodeReader(json, nodes.size(), user_ops)
                                   .Append(nodes, check_variable, graph);
    if (!node.ok()) return node.status();
    nodes.push_back(*node);
  }
  return nodes;
}

}  // namespace tape
