// Passes over a table without training (trainer.h). Tested by
// tests/train/model_test.cc.
#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/compiler/compile.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"
#include "framework/core/text.h"
#include "framework/train/evaluation.h"
#include "framework/train/trainer.h"

namespace tape {
namespace {

constexpr char kTheTable[] = "the table";

CompileOptions PlanOf(const PassOptions& options) {
  return {.mode = Mode::kInference,
          .replace = options.replace,
          .threads = options.threads,
          .precision = options.precision};
}

absl::StatusOr<EpochMetrics> EvaluateOrThrow(const Model& model,
                                             const DataTable& table,
                                             const PassOptions& options,
                                             Loc loc) {
  if (absl::Status status = CheckModel(model); !status.ok()) return status;
  Evaluation evaluation(table, kTheTable, options);
  if (absl::Status status = evaluation.Check(model); !status.ok()) {
    return status;
  }
  CompileOptions compile = PlanOf(options);
  compile.fetch = FetchesOf(model, MetricKinds::kAll);
  absl::StatusOr<Plan> plan = Compile(*model.graph, compile, loc);
  if (!plan.ok()) return plan.status();
  return evaluation.Run(*plan, model);
}

// Puts the rows of a batch behind those of the batches before.
absl::Status AddRows(const TensorView& rows, int64_t begin, int64_t samples,
                     Tensor& all) {
  const Shape& shape = rows.shape();
  if (begin == 0) {
    absl::InlinedVector<int64_t, 4> dims(shape.dims().begin(),
                                         shape.dims().end());
    dims[0] = samples;
    absl::StatusOr<Tensor> made = Tensor::Make({rows.dtype(), Shape(dims)});
    if (!made.ok()) return made.status();
    all = *std::move(made);
  }
  const size_t row_bytes =
      rows.type().bytes() / static_cast<size_t>(std::max<int64_t>(shape[0], 1));
  std::memcpy(static_cast<std::byte*>(all.data()) +
                  static_cast<size_t>(begin) * row_bytes,
              rows.data(), rows.type().bytes());
  return absl::OkStatus();
}

// The model without what its outputs do not need.
absl::StatusOr<Model> ForOutputs(const Model& model) {
  if (model.graph == nullptr) {
    return absl::InvalidArgumentError("Predict: the model has no graph");
  }
  std::vector<Var> values;
  for (const Output& output : model.outputs) {
    const Var value = output.value;
    const absl::Span<const int64_t> dims = value.shape().dims();
    if (value.valid() && (dims.empty() || dims[0] != kBatch ||
                          std::count(dims.begin(), dims.end(), kBatch) > 1)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Predict: expected outputs [batch, …], rows of one size, found \"",
          Printable(output.name), "\", ", model.graph->Describe(value.id())));
    }
    values.push_back(value);
  }
  const std::vector<bool> is_read =
      NodesNeededBy(*model.graph, values, Mode::kInference);
  Model needed = model;
  needed.classification = std::nullopt;
  std::erase_if(needed.feeds, [&](const ModelFeed& feed) {
    return model.graph->Has(feed.input) && feed.input.valid() &&
           !is_read[feed.input.id()];
  });
  return needed;
}

absl::StatusOr<DataTable> PredictOrThrow(const Model& model,
                                         const DataTable& table,
                                         const PassOptions& options, Loc loc) {
  const absl::StatusOr<Model> needed = ForOutputs(model);
  if (!needed.ok()) return needed.status();
  Batches batches(table,
                  {.batch_size = options.batch_size, .order = Order::kFixed});
  if (!batches.status().ok()) return batches.status();
  const absl::StatusOr<FedColumns> columns =
      FindColumns(*needed, table, kTheTable);
  if (!columns.ok()) return columns.status();
  CompileOptions compile = PlanOf(options);
  compile.outputs = model.outputs;
  absl::StatusOr<Plan> plan = Compile(*model.graph, compile, loc);
  if (!plan.ok()) return plan.status();

  DataTable found;
  for (const Output& output : model.outputs) {
    const TensorType& type = output.value.type();
    found.columns.push_back(
        {output.name, Tensor(TensorType{type.dtype, type.shape.Bind(0)})});
  }
  int64_t begin = 0;
  std::vector<Feed> feeds;
  while (const std::optional<Batch> batch = batches.Next()) {
    columns->Feed(*needed, *batch, feeds);
    absl::Status status = plan->Run(feeds, loc);
    for (size_t i = 0; status.ok() && i < found.columns.size(); ++i) {
      status = AddRows(plan->Value(model.outputs[i].value), begin, table.size(),
                       found.columns[i].values);
    }
    if (!status.ok()) return status;
    begin += batch->size;
  }
  return found;
}

// What `call` returns, or the error of what it throws, with the user's line.
template <typename Call>
auto Guarded(const char* name, Loc loc, const Call& call) -> decltype(call()) {
  const FloatingPointScope environment;
  absl::Status status;
  try {
    auto result = call();
    if (result.ok()) return result;
    status = result.status();
  } catch (...) {
    status = CaughtStatus(name);
  }
  return AtCall(loc, name, status);
}

}  // namespace

absl::StatusOr<EpochMetrics> Evaluate(const Model& model,
                                      const DataTable& table,
                                      const PassOptions& options, Loc loc) {
  return Guarded("Evaluate", loc,
                 [&] { return EvaluateOrThrow(model, table, options, loc); });
}

absl::StatusOr<DataTable> Predict(const Model& model, const DataTable& table,
                                  const PassOptions& options, Loc loc) {
  return Guarded("Predict", loc,
                 [&] { return PredictOrThrow(model, table, options, loc); });
}

}  // namespace tape
