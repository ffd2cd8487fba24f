// The references' interpreter (reference.h): from fetches and feeds to values
// in double. Tested by tests/core/reference_test.cc.
#include "framework/core/reference.h"

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"
#include "framework/core/text.h"

namespace tape {
namespace {

template <typename T>
void CopyToDouble(const TensorView& from, Tensor& to) {
  const auto values = from.values<T>();
  std::copy(values.begin(), values.end(), to.values<double>().begin());
}

// Whether `fed` fits `declared` for some batch size, which is set if `declared`
// has one and it was not known.
bool Fits(const Shape& declared, const Shape& fed,
          std::optional<int64_t>& batch) {
  if (!declared.Allows(fed)) return false;
  for (int axis = 0; axis < declared.rank(); ++axis) {
    if (declared[axis] != kBatch) continue;
    if (!batch.has_value()) batch = fed[axis];
    if (fed[axis] != *batch) return false;
  }
  return true;
}

// What is fed to node `id`, or to what it is a view of, in the dtype that it was
// declared with; null if nothing is.
const Tensor* FedTo(const Graph& graph, int id, const ReferenceFeeds& feeds) {
  const DType dtype = graph.node(id).type.dtype;
  while (graph.node(id).op->traits.view) id = graph.node(id).inputs[0];
  for (const auto& [var, tensor] : feeds) {
    if (var.id() == id && tensor.dtype() == dtype) return &tensor;
  }
  return nullptr;
}

}  // namespace

Tensor ToFloat64(const TensorView& tensor) {
  Tensor result(TensorType{DType::kFloat64, tensor.shape()});
  switch (tensor.dtype()) {
    case DType::kFloat32:
      CopyToDouble<float>(tensor, result);
      break;
    case DType::kInt32:
      CopyToDouble<int32_t>(tensor, result);
      break;
    case DType::kUint8:
      CopyToDouble<uint8_t>(tensor, result);
      break;
    case DType::kBFloat16:
      CopyToDouble<BFloat16>(tensor, result);
      break;
    case DType::kFloat64:
      CopyToDouble<double>(tensor, result);
      break;
  }
  return result;
}

namespace {

// An error if an observer has left another type than it found.
absl::Status CheckObserved(const Graph& graph, int id,
                           const TensorType& expected,
                           const TensorType& found) {
  if (found == expected) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "EvaluateReference: expected the observer to leave the type ",
      expected.ToString(), " of ", graph.Describe(id), ", found ",
      found.ToString()));
}

absl::StatusOr<std::vector<Tensor>> EvaluateOrThrow(
    absl::Span<const Var> fetches, const ReferenceFeeds& feeds,
    const ReferenceFeeds& held, ReferenceObserver* observer, Mode mode) {
  Graph* const graph = GraphOf(fetches);
  if (graph == nullptr && fetches.empty()) return std::vector<Tensor>();
  if (graph == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("EvaluateReference: a fetch is ", fetches[0].WhyEmpty()));
  }
  absl::Status status = graph->status();
  if (!status.ok()) return status;
  for (Var fetch : fetches) {
    if (fetch.graph() != graph || !fetch.valid()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "EvaluateReference: a fetch is ",
          fetch.empty() ? fetch.WhyEmpty() : "not valid, or of another graph"));
    }
  }

  // What the fetches depend on.
  int end = 0;
  for (Var fetch : fetches) end = std::max(end, fetch.id() + 1);
  std::vector<bool> needed(end, false), is_held(end, false);
  for (Var fetch : fetches) needed[fetch.id()] = true;
  for (const auto& [var, tensor] : held) {
    std::optional<int64_t> any_batch;
    if (!graph->Has(var) || !var.valid() || tensor.dtype() != DType::kFloat64 ||
        !Fits(var.shape(), tensor.shape(), any_batch)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "EvaluateReference: what is held must be float64 numbers of a node, "
          "found ",
          Name(tensor.dtype()), tensor.shape().ToString(), " for ",
          graph->Has(var) ? graph->Describe(var.id())
                          : "a Var of no graph or another one"));
    }
    if (var.id() < end) is_held[var.id()] = true;
  }
  for (int id = end; id-- > 0;) {
    if (!needed[id] || is_held[id]) continue;
    const Node& node = graph->node(id);
    if (node.op->traits.by_mode) {
      needed[node.inputs[node.op->traits.Forwards(mode)]] = true;
      continue;
    }
    for (int input : node.inputs) needed[input] = true;
  }

  // Give the sources their numbers, and the batch its size.
  std::vector<std::optional<Tensor>> values(end);
  std::optional<int64_t> batch;
  for (const auto& [var, tensor] : feeds) {
    if (var.graph() != graph || !var.valid()) {
      return absl::InvalidArgumentError(
          "EvaluateReference: what is fed is not a Var of the graph of the "
          "fetches");
    }
    const Node& node = graph->node(var);
    if (!node.op->traits.source ||
        !Fits(node.type.shape, tensor.shape(), batch)) {
      return absl::InvalidArgumentError(absl::StrCat(
          node.loc.ToString(), ": ", node.op->name, " \"", Printable(node.name),
          "\" was declared as ", node.type.ToString(), ", and fed ",
          tensor.type().ToString()));
    }
    if (var.id() < end && needed[var.id()]) {
      values[var.id()] = ToFloat64(tensor);
    }
  }

  for (const auto& [var, tensor] : held) {
    if (var.id() < end && needed[var.id()]) values[var.id()] = tensor;
  }
  for (int id = 0; id < end; ++id) {
    if (!needed[id] || values[id].has_value()) continue;
    const Node& node = graph->node(id);
    if (node.variable != kNone) {
      values[id] = ToFloat64(graph->Value(Var(graph, id)));
      continue;
    }
    if (node.op->traits.source) {
      return absl::InvalidArgumentError(
          absl::StrCat(node.loc.ToString(), ": input \"", Printable(node.name),
                       "\" is needed and was not fed"));
    }
    if (node.op->traits.by_mode) {
      values[id] = *values[node.inputs[node.op->traits.Forwards(mode)]];
      continue;
    }
    std::vector<Tensor> inputs;
    for (int input : node.inputs) {
      inputs.push_back(*values[input]);
      if (observer == nullptr) continue;
      observer->OnOperand(id, input, inputs.back());
      status = CheckObserved(*graph, input, values[input]->type(),
                             inputs.back().type());
      if (!status.ok()) return status;
    }
    Attributes attributes = node.attributes;
    Shape shape = node.type.shape;
    if (batch.has_value()) {
      attributes.shape = attributes.shape.Bind(*batch);
      shape = shape.Bind(*batch);
    }
    if (!attributes.shape.is_bound() || !shape.is_bound()) {
      return absl::InvalidArgumentError(absl::StrCat(
          node.loc.ToString(), ": the batch size of ", graph->Describe(id),
          " is not known: no input that is fed has it"));
    }
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      if (node.op->refuses == nullptr) break;
      const Tensor* const fed = FedTo(*graph, node.inputs[i], feeds);
      if (fed == nullptr) continue;
      std::vector<TensorType> types;
      for (size_t k = 0; k < inputs.size(); ++k) {
        types.push_back(
            {graph->node(node.inputs[k]).type.dtype, inputs[k].shape()});
      }
      std::string wrong;
      try {
        wrong = node.op->refuses({.attributes = attributes,
                                  .inputs = types,
                                  .operand = static_cast<int>(i),
                                  .fed = TensorView(*fed)});
      } catch (...) {
        return CaughtStatus(absl::StrCat(node.loc.ToString(), ": ",
                                         node.op->name,
                                         ": its rule for fed numbers"));
      }
      if (wrong.empty()) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(node.loc.ToString(), ": ", wrong));
    }
    if (batch.has_value()) {
      // What the rule accepted of any batch it may refuse of this one, say 0.
      std::vector<TensorType> types;
      for (int input : node.inputs) {
        const TensorType& type = graph->node(input).type;
        types.push_back({type.dtype, type.shape.Bind(*batch)});
      }
      if (const auto type = TypeOf(*node.op, types, attributes); !type.ok()) {
        return absl::InvalidArgumentError(absl::StrCat(
            node.loc.ToString(), ": ", node.op->name, ": ",
            type.status().message(), ", with a batch of ", *batch, " samples"));
      }
    }
    const Reference reference = node.op->ReferenceFor(node.type.dtype);
    if (reference == nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat(node.loc.ToString(), ": ", node.op->name,
                       " has no reference to be evaluated by"));
    }
    Tensor output(TensorType{DType::kFloat64, std::move(shape)});
    try {
      reference(attributes, inputs, output);
    } catch (...) {
      return CaughtStatus(absl::StrCat(node.loc.ToString(), ": ", node.op->name,
                                       ": its reference"));
    }
    if (observer != nullptr) {
      const TensorType type = output.type();
      observer->OnResult(id, output);
      status = CheckObserved(*graph, id, type, output.type());
      if (!status.ok()) return status;
    }
    values[id] = std::move(output);
  }

  std::vector<Tensor> results;
  for (Var fetch : fetches) results.push_back(*values[fetch.id()]);
  return results;
}

}  // namespace

absl::StatusOr<std::vector<Tensor>> EvaluateReference(
    absl::Span<const Var> fetches, const ReferenceFeeds& feeds,
    const ReferenceFeeds& held, ReferenceObserver* observer, Loc loc,
    Mode mode) {
  constexpr char kName[] = "EvaluateReference";
  const FloatingPointScope environment;
  try {
    auto values = EvaluateOrThrow(fetches, feeds, held, observer, mode);
    if (values.ok()) return values;
    return AtCall(loc, kName, values.status());
  } catch (...) {
    return AtCall(loc, kName, CaughtStatus(kName));
  }
}

}  // namespace tape
