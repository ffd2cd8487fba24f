// A loaded model that answers: from a file alone, for any number of threads at
// once.
//
//   absl::StatusOr<Predictor> model = Predictor::Load("model.safetensors");
//   absl::StatusOr<DataTable> found = model->Predict(rows);
//
// Tested by tests/serving/predictor_test.cc.
#ifndef TAPE_FRAMEWORK_SERVING_PREDICTOR_H_
#define TAPE_FRAMEWORK_SERVING_PREDICTOR_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "framework/core/loc.h"
#include "framework/data/table.h"
#include "framework/data/tabular.h"
#include "framework/serving/saved_model.h"

namespace tape {

struct PredictorOptions {
  // Of each call, as CompileOptions::threads. One suits a program that calls from
  // several threads.
  int threads = 1;
  // More rows than this are computed in batches of so many, the last one smaller.
  // Memory is in proportion to it.
  int64_t batch_size = 1000;
  // As LoadModelOptions::ops.
  std::vector<const OpDef*> ops = {};
};

// Can be moved. All methods may be called from several threads at once: a call
// computes in memory of its own (Plan::NewSession), which later calls use again,
// and reads the weights that all share. No lock is held meanwhile.
class Predictor {
 public:
  // Errors: those of LoadModel and Make.
  static absl::StatusOr<Predictor> Load(const std::string& path,
                                        const PredictorOptions& options = {});
  // An error: a model with an output that is not [batch, …], one row for each
  // sample; one that this processor cannot compute; options out of their range.
  static absl::StatusOr<Predictor> Make(SavedModel model,
                                        const PredictorOptions& options = {});

  ~Predictor();
  Predictor(Predictor&&) noexcept;
  Predictor& operator=(Predictor&&) noexcept;

  // A table with a column for each output, of the samples of `table` in its
  // order. `table` has the model's inputs as columns, and may have more. Errors:
  // those of CheckDataTable; a column that is missing, or not of its input's type.
  absl::StatusOr<DataTable> Predict(const DataTable& table,
                                    Loc loc = Loc::Current()) const;
  // The same of the rows of a table of text, by the features that the model was
  // saved with. Errors: a model without features; those of Features::Apply.
  absl::StatusOr<DataTable> Predict(const Tabular& table,
                                    Loc loc = Loc::Current()) const;

  // The graph, inputs, outputs and card. Variables may be set while no call is
  // made.
  const SavedModel& model() const;

 private:
  struct Impl;
  explicit Predictor(std::unique_ptr<Impl> impl);

  std::unique_ptr<Impl> impl_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_SERVING_PREDICTOR_H_
