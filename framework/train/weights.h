// Weights from other programs and for them: the variables of a model as arrays
// of a file (../io/safetensors.h, ../io/npz.h), under the other program's
// names and in its layout.
//
//   const absl::StatusOr<SafetensorsFile> file = ReadSafetensors("net.safetensors");
//   …
//   absl::Status status =
//       LoadWeights(graph, file->arrays, TorchLinears({"fc1", "fc2"}));
//
// Tested by tests/train/weights_test.cc and tests/io/interop_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_WEIGHTS_H_
#define TAPE_FRAMEWORK_TRAIN_WEIGHTS_H_

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/core/tensor.h"
#include "framework/io/stored_array.h"

namespace tape {

// The variables that `outputs` depend on, in order of declaration.
std::vector<Var> VariablesOf(Graph& graph, absl::Span<const Var> outputs);

// The variables of a model: the parameters of the graph, and the states that
// are part of it, such as the running statistics of BatchNorm. These are the
// states that `outputs` depend on; without outputs, all float32 states but
// those that a chain has declared (Variable::of_training).
std::vector<Var> ModelVariables(Graph& graph,
                                absl::Span<const Var> outputs = {});

// Where a variable is in a file.
struct StoredName {
  std::string name;
  bool transposed = false;  // A matrix [a,b] lies there as [b,a].
};

// By the variable's name. One that is not in it has its own name in the file,
// and its own layout.
using WeightMap = std::map<std::string, StoredName, std::less<>>;

// For a network whose layer i, counted from 1, is PyTorch's
// nn.Linear modules[i - 1]: "layer<i>/w" [in,out] is "<module>.weight"
// [out,in], "layer<i>/b" is "<module>.bias". In an nn.Sequential with
// activations in between the modules are "0", "2", "4", ….
WeightMap TorchLinears(absl::Span<const std::string> modules);

// Gives each of the ModelVariables of `graph` and `outputs` its array's numbers,
// rounded to its type. An error, kInvalidArgument, has a line for each variable
// whose array is missing or has another shape or type, each array that no
// variable takes, or whose name another one has too, each array that the map
// gives to several variables, and each name of the map that no variable has; and
// nothing is changed. kFailedPrecondition while a plan of the graph runs.
absl::Status LoadWeights(Graph& graph, absl::Span<const StoredArray> arrays,
                         const WeightMap& map = {},
                         absl::Span<const Var> outputs = {},
                         Loc loc = Loc::Current());

// What SaveWeights makes. Can be moved, and the arrays stay where they are.
struct SavedWeights {
  std::vector<StoredArray> arrays;  // In order of declaration.
  std::vector<Tensor> transposed;   // Of those that had to be.
};

// The ModelVariables of `graph` and `outputs` as arrays to write. They are views
// of the graph's variables, but for those that are transposed. An error,
// kInvalidArgument: a variable that is to be transposed and is no matrix, a name
// of the map that no variable has, or an array that several variables would
// have.
absl::StatusOr<SavedWeights> SaveWeights(Graph& graph,
                                         const WeightMap& map = {},
                                         absl::Span<const Var> outputs = {},
                                         Loc loc = Loc::Current());

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_WEIGHTS_H_
