// metrics.jsonl: the figures of a run as JSON, a line for each epoch and split:
//
//   {"epoch":1,"split":"train","loss":0.51,"accuracy":0.82,
//    "learning_rate":0.01,"seconds":1.2,"penalty":0.03}      (in one line)
//
// Tested by tests/log/json_lines_test.cc.
#ifndef TAPE_FRAMEWORK_LOG_JSON_LINES_H_
#define TAPE_FRAMEWORK_LOG_JSON_LINES_H_

#include <string>

#include "absl/strings/string_view.h"
#include "framework/log/epoch_log.h"
#include "framework/metrics/metrics.h"

namespace tape {

inline constexpr absl::string_view kJsonLinesName = "metrics.jsonl";

// The lines of an epoch, each with its newline: training, validation if there
// was one, test. Members and units are those of EpochMetrics, numbers read back
// to the same bits; NaN and infinities, which JSON has not, are null. After
// them comes a member for each report, by its name; if that is taken, it is
// made another by a number ("zeros_2").
std::string JsonLines(const EpochResult& epoch);

// The log metrics.jsonl in `folder`.
EpochLog JsonLinesLog(absl::string_view folder);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_LOG_JSON_LINES_H_
