// A log that grows by epochs (epoch_log.h). In go epochs, out comes a file, or
// a Status that names it. Tested by tests/log/json_lines_test.cc and
// tests/log/event_file_test.cc.
#include "framework/log/epoch_log.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "framework/core/floating_point.h"
#include "framework/core/text.h"

namespace tape {
namespace {

// That all passes of the epoch took, as far as they are known.
double SecondsOf(const EpochResult& epoch) {
  double seconds = 0;
  const auto add = [&](const EpochMetrics& pass) {
    if (!std::isnan(pass.seconds)) seconds += pass.seconds;
  };
  add(epoch.train);
  if (epoch.validation.has_value()) add(*epoch.validation);
  add(epoch.test);
  return seconds;
}

}  // namespace

double SecondsSince1970() {
  const FloatingPointScope environment;
  return absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch());
}

EpochLog::EpochLog(std::string path, EpochFormat format,
                   std::function<double()> clock)
    : file_(std::move(path)),
      format_(std::move(format)),
      clock_(std::move(clock)) {}

absl::Status EpochLog::status() const {
  if (format_.epoch && clock_) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat(Printable(path()), path().empty() ? "" : ": ",
                   "expected a log with a format and a clock, found one "
                   "without, or that was moved from"));
}

absl::Status EpochLog::Append(const EpochResult& epoch) {
  if (!status().ok()) return status();
  const FloatingPointScope environment;
  const double time = clock_();
  const bool first = file_.bytes() == 0;
  std::string text = first && format_.head ? format_.head(time) : "";
  if (restarts_) text += format_.restart(epoch.train.epoch, time);
  text += format_.epoch(epoch, time);
  absl::Status status = file_.Append(text);
  if (status.ok()) restarts_ = false;
  return status;
}

absl::Status EpochLog::Continue(absl::Span<const EpochResult> history) {
  if (!status().ok()) return status();
  const FloatingPointScope environment;
  const bool only_grows = format_.restart != nullptr;
  if (only_grows && (earlier_files_ || file_.bytes() > 0)) {
    restarts_ = true;
    return absl::OkStatus();
  }
  double time = clock_();
  for (const EpochResult& epoch : history) time -= SecondsOf(epoch);
  std::string content;
  for (const EpochResult& epoch : history) {
    time += SecondsOf(epoch);
    if (content.empty() && format_.head) content = format_.head(time);
    content += format_.epoch(epoch, time);
  }
  if (!only_grows) return file_.Continue(content, format_.beginning);
  return content.empty() ? absl::OkStatus() : file_.Append(content);
}

}  // namespace tape
