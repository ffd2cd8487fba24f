// The nodes that outputs need for inference, as JSON, and back: how a saved model
// (saved_model.h) holds its graph. The list is in the tape's order; each node
// names its op, its inputs by their places in the list, and the attributes that
// differ from their defaults:
//
//   [{"op": "Input", "name": "x", "shape": ["batch", 4]},
//    {"op": "Variable", "name": "layer1/w", "tag": "weight", "shape": [4, 3]},
//    {"op": "MatMul", "inputs": [0, 1]},
//    {"user_op": "Swish", "inputs": [2]}]
//
// An op of the framework stands under "op", any other one under "user_op".
// Tested by tests/serving/saved_model_test.cc.
#ifndef TAPE_FRAMEWORK_SERVING_STORED_GRAPH_H_
#define TAPE_FRAMEWORK_SERVING_STORED_GRAPH_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/core/tensor_type.h"
#include "nlohmann/json.hpp"

namespace tape {

struct StoredNodes {
  nlohmann::ordered_json list;
  std::map<int, int> places = {};   // Of each node there, by its id.
  std::vector<Var> variables = {};  // Those there, in order of declaration.

  // The place of a node; that of the node it forwards for inference.
  int PlaceOf(const Graph& graph, Var var) const;
};

// Returns the nodes that plans for inference of `outputs` read, without those
// that merely forward one of them (Traits::Forwards).
StoredNodes StoreNodes(Graph& graph, absl::Span<const Var> outputs);

// Ops that a program brings, by name.
using UserOps = std::map<std::string, const OpDef*, std::less<>>;

// Refuses a variable that is about to be declared, or does not.
using CheckVariable =
    std::function<absl::Status(absl::string_view name, const TensorType& type)>;

// Appends the nodes of such a list to `graph`, which is empty, and returns them.
// Variables are 0. An error names the node: its place, its op, what was expected and
// what was found.
absl::StatusOr<std::vector<Var>> AppendStoredNodes(
    const nlohmann::ordered_json& list, const UserOps& user_ops,
    const CheckVariable& check_variable, Graph& graph);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_SERVING_STORED_GRAPH_H_
