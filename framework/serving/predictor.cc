// Predictions by a saved model (predictor.h). Tested by
// tests/serving/predictor_test.cc.
#include "framework/serving/predictor.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "framework/compiler/compile.h"
#include "framework/core/exceptions.h"
#include "framework/io/files.h"
#include "framework/runtime/plan.h"

namespace tape {
namespace {

absl::Status CheckOutputs(const SavedModel& model) {
  for (const Output& output : model.outputs) {
    const absl::Span<const int64_t> dims = output.value.shape().dims();
    if (!dims.empty() && dims[0] == kBatch &&
        std::count(dims.begin(), dims.end(), kBatch) == 1) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "expected outputs [batch, …], a row for each sample, found ",
        Quoted(output.name, 40), " ", output.value.type().ToString()));
  }
  return absl::OkStatus();
}

// The column that feeds an input. Its rows may be fed from where they are.
absl::StatusOr<const Tensor*> ColumnFor(const ModelFeed& input,
                                        const DataTable& table) {
  const Tensor* const column = table.Find(input.column);
  if (column == nullptr) {
    const std::string names = absl::StrJoin(
        table.columns, ", ", [](std::string* out, const Column& column) {
          out->append(Quoted(column.name, 40));
        });
    return absl::InvalidArgumentError(
        absl::StrCat("expected a column ", Quoted(input.column, 40), ", found ",
                     names.empty() ? "no column" : names));
  }
  const TensorType& type = input.input.type();
  if (column->dtype() != type.dtype || !type.shape.Allows(column->shape()) ||
      !(type.shape.Bind(table.size()) == column->shape())) {
    return absl::InvalidArgumentError(
        absl::StrCat("column ", Quoted(input.column, 40), ": expected ",
                     type.ToString(), ", found ", column->type().ToString()));
  }
  return column;
}

size_t RowBytes(const TensorType& type) {
  TensorType row = type;
  row.shape = type.shape.Bind(1);
  return row.bytes();
}

// Returns the number of the calling thread: 0 for the first that asks, then 1, ….
size_t NumberOfThread() {
  static std::atomic<size_t> threads = 0;
  thread_local const size_t number =
      threads.fetch_add(1, std::memory_order_relaxed);
  return number;
}

// Sessions that no call uses, in lists. A thread has a list of its own, so that
// it takes the session that it gave back last, whose memory is in its core's
// cache, and writes to no cache line of another thread. More threads than lists
// share them.
class IdleSessions {
 public:
  // Returns a session of the thread's list or, if that is empty, of another one;
  // null if all are empty.
  std::optional<Plan> Take() {
    const size_t own = NumberOfThread();
    for (size_t i = 0; i < lists_.size(); ++i) {
      List& list = lists_[(own + i) % lists_.size()];
      const std::lock_guard<std::mutex> lock(list.mutex);
      if (list.sessions.empty()) continue;
      std::optional<Plan> session = std::move(list.sessions.back());
      list.sessions.pop_back();
      return session;
    }
    return std::nullopt;
  }
  void GiveBack(Plan session) {
    List& list = lists_[NumberOfThread() % lists_.size()];
    const std::lock_guard<std::mutex> lock(list.mutex);
    list.sessions.push_back(std::move(session));
  }

 private:
  struct alignas(kAlignment) List {
    std::mutex mutex;
    std::vector<Plan> sessions;
  };
  std::array<List, 16> lists_;
};

}  // namespace

struct Predictor::Impl {
  SavedModel model;
  int64_t batch_size;
  int threads;
  // Sessions are made of it; it is never run.
  Plan plan;
  IdleSessions idle = {};

  absl::StatusOr<Plan> TakeSession(Loc loc) {
    if (std::optional<Plan> session = idle.Take()) return *std::move(session);
    return plan.NewSession(threads, loc);
  }

  absl::StatusOr<DataTable> Predict(const DataTable& table, Loc loc) {
    if (absl::Status status = CheckDataTable(table); !status.ok()) {
      return status;
    }
    absl::InlinedVector<const Tensor*, 4> columns;
    for (const ModelFeed& input : model.inputs) {
      const absl::StatusOr<const Tensor*> column = ColumnFor(input, table);
      if (!column.ok()) return column.status();
      columns.push_back(*column);
    }
    const int64_t samples = table.size();
    DataTable found;
    found.columns.reserve(model.outputs.size());
    for (const Output& output : model.outputs) {
      const TensorType& type = output.value.type();
      absl::StatusOr<Tensor> rows =
          Tensor::Make({type.dtype, type.shape.Bind(samples)});
      if (!rows.ok()) return rows.status();
      found.columns.push_back({output.name, *std::move(rows)});
    }
    if (samples == 0) return found;
    absl::StatusOr<Plan> session = TakeSession(loc);
    if (!session.ok()) return session.status();
    absl::Status status = Run(*session, columns, samples, found, loc);
    idle.GiveBack(*std::move(session));
    if (!status.ok()) return status;
    return found;
  }

  absl::Status Run(Plan& session, absl::Span<const Tensor* const> columns,
                   int64_t samples, DataTable& found, Loc loc) const {
    absl::InlinedVector<tape::Feed, 4> feeds;
    for (int64_t begin = 0; begin < samples; begin += batch_size) {
      const int64_t size = std::min(batch_size, samples - begin);
      feeds.clear();
      for (size_t i = 0; i < columns.size(); ++i) {
        const TensorType& type = model.inputs[i].input.type();
        const std::byte* const rows =
            static_cast<const std::byte*>(columns[i]->data()) +
            static_cast<size_t>(begin) * RowBytes(type);
        feeds.push_back(
            {model.inputs[i].input,
             TensorView({type.dtype, type.shape.Bind(size)}, rows)});
      }
      absl::Status status = session.Run(feeds, loc);
      if (!status.ok()) return status;
      for (size_t i = 0; i < model.outputs.size(); ++i) {
        const TensorView rows = session.Value(model.outputs[i].value, loc);
        std::memcpy(static_cast<std::byte*>(found.columns[i].values.data()) +
                        static_cast<size_t>(begin) *
                            RowBytes(model.outputs[i].value.type()),
                    rows.data(), rows.type().bytes());
      }
    }
    return absl::OkStatus();
  }
};

Predictor::Predictor(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Predictor::~Predictor() = default;
Predictor::Predictor(Predictor&&) noexcept = default;
Predictor& Predictor::operator=(Predictor&&) noexcept = default;

absl::StatusOr<Predictor> Predictor::Make(SavedModel model,
                                          const PredictorOptions& options) try {
  if (model.graph == nullptr) {
    return absl::InvalidArgumentError("Predictor: the model has no graph");
  }
  if (options.batch_size < 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("Predictor: expected a batch_size of at least 1, found ",
                     options.batch_size));
  }
  if (absl::Status status = CheckOutputs(model); !status.ok()) return status;
  absl::StatusOr<Plan> plan = Compile(*model.graph,
                                      {.outputs = model.outputs,
                                       .mode = Mode::kInference,
                                       .threads = options.threads,
                                       .precision = model.card.precision},
                                      Loc{});
  if (!plan.ok()) return plan.status();
  const int threads = plan->threads();
  return Predictor(
      std::unique_ptr<Impl>(new Impl{.model = std::move(model),
                                     .batch_size = options.batch_size,
                                     .threads = threads,
                                     .plan = *std::move(plan)}));
} catch (...) {
  return CaughtStatus("Predictor");
}

absl::StatusOr<Predictor> Predictor::Load(const std::string& path,
                                          const PredictorOptions& options) {
  absl::StatusOr<SavedModel> model = LoadModel(path, {.ops = options.ops});
  if (!model.ok()) return model.status();
  absl::StatusOr<Predictor> predictor = Make(*std::move(model), options);
  if (predictor.ok()) return predictor;
  return absl::Status(predictor.status().code(),
                      absl::StrCat(path, ": ", predictor.status().message()));
}

absl::StatusOr<DataTable> Predictor::Predict(const DataTable& table,
                                             Loc loc) const try {
  if (impl_ == nullptr) {
    return absl::FailedPreconditionError(
        "Predict: the predictor has been moved from");
  }
  absl::StatusOr<DataTable> found = impl_->Predict(table, loc);
  if (found.ok() || !absl::IsInvalidArgument(found.status())) return found;
  return absl::InvalidArgumentError(
      absl::StrCat(CallText(loc, "Predict"), ": ", found.status().message()));
} catch (...) {
  return CaughtStatus("Predict");
}

absl::StatusOr<DataTable> Predictor::Predict(const Tabular& table,
                                             Loc loc) const {
  if (impl_ == nullptr) return Predict(DataTable(), loc);
  const SavedModel& model = impl_->model;
  if (!model.card.features.has_value()) {
    return absl::FailedPreconditionError(absl::StrCat(
        CallText(loc, "Predict"),
        ": expected a model that was saved with features, found one without"));
  }
  absl::StatusOr<Tensor> features = model.card.features->Apply(table);
  if (!features.ok()) return features.status();
  DataTable rows;
  rows.columns.push_back({model.inputs[0].column, *std::move(features)});
  return Predict(rows, loc);
}

const SavedModel& Predictor::model() const {
  static const SavedModel* const kNoModel = new SavedModel();
  return impl_ == nullptr ? *kNoModel : impl_->model;
}

}  // namespace tape
