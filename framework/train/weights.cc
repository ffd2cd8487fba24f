// Weights between a graph and files (weights.h). Tested by
// tests/train/weights_test.cc and tests/io/interop_test.cc.
#include "framework/train/weights.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "framework/core/exceptions.h"
#include "framework/core/text.h"

namespace tape {
namespace {

// A variable, and where it is in a file.
struct Placed {
  Var variable;
  absl::string_view kind;  // "parameter" or "state".
  std::string name;        // Ours.
  StoredName stored;
};

// Adds to `errors` what of the map fits no variable, and arrays that several
// variables would have.
std::vector<Placed> Place(Graph& graph, const WeightMap& map,
                          absl::Span<const Var> outputs,
                          std::vector<std::string>& errors) {
  std::vector<Placed> placed;
  std::set<absl::string_view> names;
  // By the array's name, the variables.
  std::map<std::string, std::vector<std::string>> variables_of;
  for (Var variable : ModelVariables(graph, outputs)) {
    const std::string name(graph.NameOf(variable));
    const bool is_state = graph.TagOf(variable) == Tag::kState;
    names.insert(graph.NameOf(variable));
    const auto found = map.find(name);
    placed.push_back(
        {variable, is_state ? "state" : "parameter", name,
         found != map.end() ? found->second : StoredName{.name = name}});
    const Placed& place = placed.back();
    variables_of[place.stored.name].push_back(
        absl::StrCat("\"", Printable(name), "\""));
    if (place.stored.transposed &&
        (variable.shape().rank() != 2 || variable.dtype() != DType::kFloat32)) {
      errors.push_back(
          absl::StrCat(place.kind, " \"", Printable(name),
                       "\": expected a matrix to transpose, found ",
                       variable.shape().ToString()));
    }
  }
  for (const auto& [array, variables] : variables_of) {
    if (variables.size() > 1) {
      errors.push_back(absl::StrCat("the map of names: expected ",
                                    ArrayText(array),
                                    " for one variable, found it for ",
                                    absl::StrJoin(variables, " and ")));
    }
  }
  for (const auto& [name, stored] : map) {
    if (!names.contains(name)) {
      errors.push_back(
          absl::StrCat("the map of names: expected parameters of "
                       "the graph, found \"",
                       Printable(name), "\""));
    }
  }
  return placed;
}

// One error of all of them, a line each. `call` is where they were met.
absl::Status AllErrors(std::vector<std::string> errors,
                       const std::string& call) {
  if (errors.empty()) return absl::OkStatus();
  // A map's order is random.
  std::sort(errors.begin(), errors.end());
  for (std::string& error : errors) error = absl::StrCat(call, ": ", error);
  return absl::InvalidArgumentError(absl::StrJoin(errors, "\n"));
}

Tensor Transposed(const Tensor& matrix) {
  const int64_t rows = matrix.shape()[0];
  const int64_t columns = matrix.shape()[1];
  Tensor result({DType::kFloat32, {columns, rows}});
  const absl::Span<const float> from = matrix.values<float>();
  const absl::Span<float> to = result.values<float>();
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      to[j * rows + i] = from[i * columns + j];
    }
  }
  return result;
}

Shape Transposed(const Shape& shape) { return {shape[1], shape[0]}; }

// The variable's new value.
absl::StatusOr<Tensor> ValueFor(const Placed& placed,
                                const StoredArray* array) {
  const auto& [variable, kind, name, stored] = placed;
  const std::string where =
      stored.name == name ? ArrayText(name)
                          : absl::StrCat(ArrayText(stored.name), ", ", kind,
                                         " \"", Printable(name), "\"");
  if (array == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": expected it in the file, found none"));
  }
  const Shape expected =
      stored.transposed ? Transposed(variable.shape()) : variable.shape();
  if (!(array->shape == expected)) {
    return absl::InvalidArgumentError(absl::StrCat(
        where, ": expected ", expected.ToString(),
        stored.transposed ? absl::StrCat(", the ", kind, "'s shape transposed")
                          : "",
        ", found ", array->shape.ToString()));
  }
  absl::StatusOr<Tensor> value = ToTensor(*array, variable.dtype());
  if (!value.ok() || !stored.transposed) return value;
  return Transposed(*value);
}

}  // namespace

std::vector<Var> VariablesOf(Graph& graph, absl::Span<const Var> outputs) {
  const std::vector<bool> needed = NodesNeededBy(graph, outputs);
  std::vector<Var> variables;
  for (int id = 0; id < graph.size(); ++id) {
    if (needed[id] && graph.node(id).variable != kNone) {
      variables.push_back(Var(&graph, id));
    }
  }
  return variables;
}

std::vector<Var> ModelVariables(Graph& graph, absl::Span<const Var> outputs) {
  const std::vector<bool> needed =
      NodesNeededBy(graph, outputs, Mode::kInference);
  std::vector<Var> model;
  for (int id = 0; id < graph.size(); ++id) {
    const int index = graph.node(id).variable;
    if (index == kNone) continue;
    const Variable& variable = graph.variables()[index];
    const bool is_part =
        variable.tag != Tag::kState ||
        (outputs.empty() ? !variable.of_training &&
                               variable.value.dtype() == DType::kFloat32
                         : needed[id]);
    if (is_part) model.push_back(Var(&graph, id));
  }
  return model;
}

WeightMap TorchLinears(absl::Span<const std::string> modules) {
  WeightMap map;
  for (size_t i = 0; i < modules.size(); ++i) {
    map[absl::StrCat("layer", i + 1, "/w")] = {
        .name = absl::StrCat(modules[i], ".weight"), .transposed = true};
    map[absl::StrCat("layer", i + 1, "/b")] = {
        .name = absl::StrCat(modules[i], ".bias")};
  }
  return map;
}

absl::Status LoadWeights(Graph& graph, absl::Span<const StoredArray> arrays,
                         const WeightMap& map, absl::Span<const Var> outputs,
                         Loc loc) try {
  const std::string call = CallText(loc, "LoadWeights");
  std::vector<std::string> errors;
  const std::vector<Placed> placed = Place(graph, map, outputs, errors);
  if (!errors.empty()) return AllErrors(std::move(errors), call);

  std::map<absl::string_view, const StoredArray*> array_of;
  for (const StoredArray& array : arrays) {
    if (!array_of.emplace(array.name, &array).second) {
      errors.push_back(absl::StrCat(ArrayText(array.name),
                                    ": expected one of that name, found "
                                    "another"));
    }
  }
  std::set<absl::string_view> taken;
  std::vector<Tensor> values;
  for (const Placed& place : placed) {
    const auto found = array_of.find(place.stored.name);
    absl::StatusOr<Tensor> value =
        ValueFor(place, found != array_of.end() ? found->second : nullptr);
    taken.insert(place.stored.name);
    if (value.ok()) {
      values.push_back(*std::move(value));
    } else {
      errors.emplace_back(value.status().message());
    }
  }
  for (const StoredArray& array : arrays) {
    if (!taken.contains(array.name)) {
      errors.push_back(absl::StrCat(ArrayText(array.name),
                                    ": expected a parameter to take it, found "
                                    "none in the graph"));
    }
  }
  if (!errors.empty()) return AllErrors(std::move(errors), call);

  std::vector<Variables::NewValue> new_values;
  for (size_t i = 0; i < placed.size(); ++i) {
    new_values.push_back({graph.node(placed[i].variable).variable, values[i]});
  }
  if (!graph.shared_variables()->Assign(new_values)) {
    return absl::FailedPreconditionError(
        absl::StrCat(call, ": a plan of the graph is running"));
  }
  return absl::OkStatus();
} catch (...) {
  return CaughtStatus(CallText(loc, "LoadWeights"));
}

absl::StatusOr<SavedWeights> SaveWeights(Graph& graph, const WeightMap& map,
                                         absl::Span<const Var> outputs,
                                         Loc loc) try {
  const std::string call = CallText(loc, "SaveWeights");
  std::vector<std::string> errors;
  const std::vector<Placed> placed = Place(graph, map, outputs, errors);
  if (!errors.empty()) return AllErrors(std::move(errors), call);
  SavedWeights saved;
  for (const auto& [variable, kind, name, stored] : placed) {
    const Tensor* value = &graph.Value(variable);
    if (stored.transposed) {
      saved.transposed.push_back(Transposed(*value));
      value = &saved.transposed.back();
    }
    saved.arrays.push_back(ViewOf(stored.name, *value));
  }
  return saved;
} catch (...) {
  return CaughtStatus(CallText(loc, "SaveWeights"));
}

}  // namespace tape
