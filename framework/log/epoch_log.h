// A log that grows by some bytes an epoch, and is a function of the run's
// history: what metrics.jsonl (json_lines.h) and TensorBoard's file
// (event_file.h) have in common.
// Tested by tests/log/json_lines_test.cc and tests/log/event_file_test.cc.
#ifndef TAPE_FRAMEWORK_LOG_EPOCH_LOG_H_
#define TAPE_FRAMEWORK_LOG_EPOCH_LOG_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "framework/io/files.h"
#include "framework/metrics/metrics.h"

namespace tape {

// How a log is written. Times are in seconds since 1970.
struct EpochFormat {
  // What every such file begins with: no other one is changed.
  std::string beginning = {};
  // What the file begins with, if anything; `time` is that of the first epoch.
  std::function<std::string(double time)> head = nullptr;
  // What is added for an epoch that ended at `time`. At least a byte.
  std::function<std::string(const EpochResult& epoch, double time)> epoch;
  // If given, the log only grows: this is added before `epoch` if the log
  // already has an epoch of that number or later ones. Otherwise these are cut
  // off.
  std::function<std::string(int epoch, double time)> restart = nullptr;
};

// The time now, in seconds since 1970.
double SecondsSince1970();

// For one thread. Errors are those of AppendOnlyFile, and name the file;
// kFailedPrecondition of a log without a format or a clock, as one is that was
// moved from.
class EpochLog {
 public:
  // Touches nothing. `clock` is for tests.
  EpochLog(std::string path, EpochFormat format,
           std::function<double()> clock = SecondsSince1970);

  const std::string& path() const { return file_.path(); }

  // Adds an epoch that has just ended: in one piece, which is with the system
  // when this returns. The first one creates the file; kAlreadyExists if it is
  // there.
  absl::Status Append(const EpochResult& epoch);

  // For a run that is continued: goes on after these epochs. Of a log that may
  // be cut, the file stays the same one, and then has these epochs alone, be it
  // there or not. One that only grows has them already, or some earlier file
  // does (HaveEarlierFiles); without either, it gets them. When they ended nobody has
  // kept, so they are said to have ended one after the other by the seconds they
  // took, the last one now.
  absl::Status Continue(absl::Span<const EpochResult> history);

  // For a log that only grows: earlier files have the epochs so far.
  void HaveEarlierFiles() { earlier_files_ = true; }

 private:
  absl::Status status() const;

  AppendOnlyFile file_;
  EpochFormat format_;
  std::function<double()> clock_;
  bool earlier_files_ = false;
  bool restarts_ = false;  // Before the next epoch.
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_LOG_EPOCH_LOG_H_
