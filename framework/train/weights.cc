// Weights between a graph and files (weights.h). In go arrays and a map of
// names, out come new numbers for the parameters, or all that does not fit; and
// the other way round. Tested by tests/weights_test.cc and
// tests/interop_test.cc.
#include "framework/train/weights.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

namespace tape {
namespace {

// A parameter, and where it is in a file.
struct Placed {
  Var parameter;
  std::string name;  // Ours.
  StoredName stored;
};

// Adds to `errors` what of the map fits no parameter.
std::vector<Placed> Place(Graph& graph, const WeightMap& map,
                          std::vector<std::string>& errors) {
  std::vector<Placed> placed;
  absl::flat_hash_set<absl::string_view> names;
  for (Var parameter : graph.parameters()) {
    const std::string name(graph.NameOf(parameter));
    names.insert(graph.NameOf(parameter));
    const auto found = map.find(name);
    placed.push_back(
        {parameter, name,
         found != map.end() ? found->second : StoredName{.name = name}});
    if (placed.back().stored.transposed && parameter.shape().rank() != 2) {
      errors.push_back(absl::StrCat(
          "parameter \"", name, "\": expected a matrix to transpose, found ",
          parameter.shape().ToString()));
    }
  }
  for (const auto& [name, stored] : map) {
    if (!names.contains(name)) {
      errors.push_back(
          absl::StrCat("the map of names: expected parameters of "
                       "the graph, found \"",
                       name, "\""));
    }
  }
  return placed;
}

absl::Status AllErrors(std::vector<std::string> errors) {
  if (errors.empty()) return absl::OkStatus();
  // A map's order is random.
  std::sort(errors.begin(), errors.end());
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

// The parameter's new value.
absl::StatusOr<Tensor> ValueFor(const Placed& placed,
                                const StoredArray* array) {
  const auto& [parameter, name, stored] = placed;
  const std::string where =
      stored.name == name
          ? ArrayText(name)
          : absl::StrCat(ArrayText(stored.name), ", parameter \"", name, "\"");
  if (array == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat(where, ": expected it in the file, found none"));
  }
  const Shape expected =
      stored.transposed ? Transposed(parameter.shape()) : parameter.shape();
  if (!(array->shape == expected)) {
    return absl::InvalidArgumentError(absl::StrCat(
        where, ": expected ", expected.ToString(),
        stored.transposed ? ", the parameter's shape transposed" : "",
        ", found ", array->shape.ToString()));
  }
  absl::StatusOr<Tensor> value = ToTensor(*array, DType::kFloat32);
  if (!value.ok() || !stored.transposed) return value;
  return Transposed(*value);
}

}  // namespace

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
                         const WeightMap& map) {
  std::vector<std::string> errors;
  const std::vector<Placed> placed = Place(graph, map, errors);
  if (!errors.empty()) return AllErrors(std::move(errors));

  absl::flat_hash_map<absl::string_view, const StoredArray*> array_of;
  for (const StoredArray& array : arrays) array_of[array.name] = &array;
  absl::flat_hash_set<absl::string_view> taken;
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
  if (!errors.empty()) return AllErrors(std::move(errors));

  for (size_t i = 0; i < placed.size(); ++i) {
    absl::Status status = graph.SetValue(placed[i].parameter, values[i]);
    if (!status.ok()) return status;  // Cannot be: the types are the same.
  }
  return absl::OkStatus();
}

absl::StatusOr<SavedWeights> SaveWeights(Graph& graph, const WeightMap& map) {
  std::vector<std::string> errors;
  const std::vector<Placed> placed = Place(graph, map, errors);
  if (!errors.empty()) return AllErrors(std::move(errors));
  SavedWeights saved;
  for (const auto& [parameter, name, stored] : placed) {
    const Tensor* value = &graph.Value(parameter);
    if (stored.transposed) {
      saved.transposed.push_back(Transposed(*value));
      value = &saved.transposed.back();
    }
    saved.arrays.push_back(ViewOf(stored.name, *value));
  }
  return saved;
}

}  // namespace tape
