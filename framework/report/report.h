// The page about one run: what it was, what it came to, and what it looks like.
// It is made of plain data, which whoever has trained gathers
// (models/report_run.h). Tested by tests/report/report_test.cc.
#ifndef TAPE_FRAMEWORK_REPORT_REPORT_H_
#define TAPE_FRAMEWORK_REPORT_REPORT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "framework/core/tensor.h"
#include "framework/data/dataset.h"
#include "framework/metrics/classification.h"
#include "framework/metrics/metrics.h"
#include "framework/report/page.h"
#include "framework/runtime/profile.h"

namespace tape {

// "batch size", "32".
struct Fact {
  std::string name, value;
};

// What a regression made of the test set: for each sample its number and the
// prediction, in the target's units.
struct RegressionResult {
  std::string target;  // What the numbers are, for axes: "price".
  std::vector<float> targets = {};
  std::vector<float> predicted = {};
};

// What is missing or empty is left out of the page, and so is what has not the
// type and shape told here.
struct ReportInput {
  RunSummary run;
  std::string description = {};  // Of the experiment: one line.
  // What the document that the experiment is of has for its test accuracy.
  double published_test_accuracy = kNotMeasured;
  std::vector<Fact> settings = {};
  std::vector<Fact> versions = {};  // Of programs and machine.

  std::vector<EpochResult> history = {};
  ConfusionMatrix confusion = ConfusionMatrix(1);  // On the test set.
  std::optional<RegressionResult> regression = std::nullopt;
  // The name of each class; by default its number.
  std::vector<std::string> class_names = {};

  const DataSplits* data = nullptr;  // Images of bytes. Not owned.
  // Of their pixels: 1 of grey images; 3 of colour images, red, green and blue
  // side by side.
  int channels = 1;
  // Of each sample of data->test, in its order: the class it is taken for,
  // int32 [n]; how probable each class is, float32 [n, classes]; and the
  // outputs of a hidden layer of two units, float32 [n, 2].
  std::optional<Tensor> predicted = std::nullopt;
  std::optional<Tensor> probabilities = std::nullopt;
  std::optional<Tensor> two_units = std::nullopt;

  // Of the first layer: float32 [pixels, units]. Shown if pixels is a square.
  std::optional<Tensor> weights = std::nullopt;
  std::optional<Figure> graph = std::nullopt;  // MakeGraphPicture's.
  std::string graph_note = {};                 // Why there is none.
  // What training spent its time on: Profile::Costliest.
  std::vector<Profile::Cost> costliest = {};
};

// What reports name as their program (Page).
inline constexpr char kReportProgram[] = "Tape train";

// The page. Its figures are those it shows.
Page MakeReport(const ReportInput& input);

// Writes the page to FOLDER/report.html, and its figures to FOLDER/pictures, as
// SVG and PNG; the folder must be there. Errors: the system's, which name the
// file.
absl::Status WriteReport(const Page& page, const std::string& folder);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_REPORT_REPORT_H_
