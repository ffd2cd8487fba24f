// A log that grows by epochs (epoch_log.h). In go epochs, out comes a file, or
// a Status that names it. Tested by tests/json_lines_test.cc and
// tests/event_file_test.cc.
#include "framework/train/epoch_log.h"

#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

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
  return absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch());
}

EpochLog::EpochLog(std::string path, EpochFormat format,
                   std::function<double()> clock)
    : file_(std::move(path)),
      format_(std::move(format)),
      clock_(std::move(clock)) {}

std::string EpochLog::Text(const EpochResult& epoch, double time,
                           bool first) const {
  const bool has_head = first && format_.head != nullptr;
  return absl::StrCat(has_head ? format_.head(time) : "",
                      format_.epoch(epoch, time));
}

absl::Status EpochLog::Append(const EpochResult& epoch) {
  return file_.Append(Text(epoch, clock_(), file_.bytes() == 0));
}

absl::Status EpochLog::Rewrite(absl::Span<const EpochResult> history) {
  double time = clock_();
  for (const EpochResult& epoch : history) time -= SecondsOf(epoch);
  std::string content;
  for (const EpochResult& epoch : history) {
    time += SecondsOf(epoch);
    content += Text(epoch, time, content.empty());
  }
  return file_.Replace(content);
}

}  // namespace tape
