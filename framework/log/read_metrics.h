// A run's metrics.csv read back (run_directory.h writes it). Tested by
// tests/log/read_metrics_test.cc.
#ifndef TAPE_FRAMEWORK_LOG_READ_METRICS_H_
#define TAPE_FRAMEWORK_LOG_READ_METRICS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "framework/metrics/metrics.h"

namespace tape {

// The epochs of the file, of which there is at least one: the same numbers, to
// the bit, that were written. Errors name the file and the line: those of
// ReadWholeFile; kInvalidArgument if the file is not as RunDirectory writes it,
// whole epochs with rising numbers, of each its training pass, the validation
// pass in all epochs or in none, and the test pass, in this order.
absl::StatusOr<std::vector<EpochResult>> ReadMetrics(const std::string& path);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_LOG_READ_METRICS_H_
