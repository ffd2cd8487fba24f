// What the report of a run shows, gathered from the run: predictions on the
// test set, weights, settings, versions. Tested by tests/models/report_run_test.cc.
#ifndef TAPE_MODELS_REPORT_RUN_H_
#define TAPE_MODELS_REPORT_RUN_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/data/dataset.h"
#include "framework/report/report.h"
#include "framework/runtime/profile.h"
#include "framework/train/trainer.h"
#include "models/experiment.h"
#include "models/run.h"
#include "models/run_record.h"

namespace tape {

// The names of the classes that an experiment's data set has, if they are known.
std::vector<std::string> ClassNames(const Experiment& experiment);

// A run that has ended. All of it must outlive this object; the model's graph
// has the weights that the run ends with.
struct FinishedRun {
  const Experiment& experiment;
  const Settings& settings;
  uint64_t seed;
  std::string data_dir;
  RunData data;
  const Classifier& model;  // Of an experiment.
  const TrainResult& result;
  const Profile& profile;  // Of training; may be empty.
  // Of a run on a user's data.
  const DeclaredRun* declared = nullptr;
  const RunSettings* run = nullptr;
};

// Makes a pass over the test set, for which it appends a node to the graph.
// Errors: what Compile and Run say.
absl::StatusOr<ReportInput> GatherReport(const FinishedRun& run);

// Writes report.html and the folder pictures into `folder`. Errors: those of
// GatherReport and WriteReport.
absl::Status ReportRun(const FinishedRun& run, const std::string& folder);

}  // namespace tape

#endif  // TAPE_MODELS_REPORT_RUN_H_
