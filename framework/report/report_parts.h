// The parts of the page about a run (report.h), for its own files.
#ifndef TAPE_FRAMEWORK_REPORT_REPORT_PARTS_H_
#define TAPE_FRAMEWORK_REPORT_REPORT_PARTS_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "framework/report/page.h"
#include "framework/report/report.h"

namespace tape::internal {

// ---- Texts ----

// The class's name, or its number.
std::string ClassName(const ReportInput& input, int label);
// "98.20 %"; "none" of a fraction that is not finite.
std::string Percent(double fraction, int digits = 2);
// "1 epoch", "2,000 epochs".
std::string Counted(int64_t count, absl::string_view what);

// ---- Samples (report_samples.cc) ----

// Whether there are samples that can be shown.
bool HasData(const ReportInput& input);
// The test samples that the model got wrong and was surest of.
void AddMistakes(const ReportInput& input, Page& page);
// The section on the data: labels, and the first images of each class.
void AddData(const ReportInput& input, Page& page);
// The checksums of the splits.
Table ChecksumTable(const DataSplits& data);
// What a layer of two units makes of the test samples.
void AddTwoUnits(const ReportInput& input, Page& page);

// ---- Regressions (report_regression.cc) ----

// Predictions against targets, residuals, and how large the errors are.
void AddRegression(const ReportInput& input, Page& page);

// ---- Weights (report_weights.cc) ----

// The first layer's weights as images.
void AddWeights(const ReportInput& input, Page& page);

}  // namespace tape::internal

#endif  // TAPE_FRAMEWORK_REPORT_REPORT_PARTS_H_
