// Profiles (profile.h). Tested by tests/runtime/profile_test.cc.
#include "framework/runtime/profile.h"

#include <algorithm>
#include <cmath>
#include <new>
#include <numeric>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "framework/core/text.h"
#include "framework/io/files.h"
#include "nlohmann/json.hpp"

namespace tape {
namespace {

// What every trace begins with, and so what may be replaced by one.
constexpr absl::string_view kTraceBeginning = "{\"traceEvents\"";

using Json = nlohmann::ordered_json;

double ToThousandths(double value) { return std::round(1e3 * value) / 1e3; }

double Microseconds(Profile::Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

// `work` in `seconds`, in billions a second.
double Rate(double work, double seconds) {
  return work / std::max(seconds, 1e-9) * 1e-9;
}

}  // namespace

Profile::Profile(size_t max_events) : max_events_(max_events) {}

int Profile::AddSteps(const std::vector<Step>& steps) {
  const int first = static_cast<int>(steps_.size());
  steps_.insert(steps_.end(), steps.begin(), steps.end());
  for (Lane& lane : lanes_) lane.totals.resize(steps_.size());
  return first;
}

void Profile::Reserve(int threads) {
  while (static_cast<int>(lanes_.size()) < threads) {
    lanes_.emplace_back();
    lanes_.back().totals.resize(steps_.size());
  }
  // Runs are not to allocate; but nobody who asks for all events pays for them
  // beforehand.
  constexpr size_t kMostReserved = 1 << 20;
  for (Lane& lane : lanes_) {
    lane.events.reserve(std::min(max_events_, kMostReserved) / lanes_.size());
  }
}

void Profile::Add(int thread, int step, Clock::time_point start,
                  Clock::time_point end, double share) {
  Lane& lane = lanes_[thread];
  Total& total = lane.totals[step];
  ++total.calls;
  total.seconds += Microseconds(end - start) * 1e-6;
  total.shares += share;
  if (lane.events.size() >= max_events_ / lanes_.size()) return;
  try {
    lane.events.push_back({step, start, end, share});
  } catch (const std::bad_alloc&) {
    // It is counted in the table, as if there were no room.
  }
}

absl::Status Profile::CheckTrace(const std::string& path) {
  absl::Status status = CheckReplaceable(path, kTraceBeginning, "a trace");
  return status.ok() ? CheckCanReplace(path) : status;
}

absl::Status Profile::WriteTrace(const std::string& path,
                                 const std::string& events) {
  absl::Status status = CheckReplaceable(path, kTraceBeginning, "a trace");
  if (!status.ok()) return status;
  return ReplaceFile(
      path, absl::StrCat(kTraceBeginning, ":[", events.empty() ? "" : "\n",
                         events, "\n]}\n"));
}

std::string Profile::Events(int pid, Clock::time_point from,
                            const std::string& name) const {
  std::vector<std::string> events;
  const auto add = [&](const Json& event) {
    events.push_back(event.dump(-1, ' ', /*ensure_ascii=*/false,
                                Json::error_handler_t::replace));
  };
  if (!name.empty()) {
    add({{"name", "process_name"},
         {"ph", "M"},
         {"pid", pid},
         {"args", {{"name", name}}}});
  }
  for (size_t thread = 0; thread < lanes_.size(); ++thread) {
    for (const Event& event : lanes_[thread].events) {
      const Step& step = steps_[event.step];
      const double seconds = Microseconds(event.end - event.start) * 1e-6;
      add({{"name", step.name},
           {"ph", "X"},
           {"pid", pid},
           {"tid", thread},
           {"ts", ToThousandths(Microseconds(event.start - from))},
           {"dur", ToThousandths(seconds * 1e6)},
           {"args",
            {{"GFLOP/s",
              ToThousandths(Rate(event.share * step.flops, seconds))},
             {"GB/s",
              ToThousandths(Rate(event.share * step.bytes, seconds))}}}});
    }
  }
  return absl::StrJoin(events, ",\n");
}

std::vector<Profile::Cost> Profile::Costliest(size_t most) const {
  std::vector<Total> totals(steps_.size());
  double all = 0;
  for (const Lane& lane : lanes_) {
    for (size_t step = 0; step < steps_.size(); ++step) {
      totals[step].calls += lane.totals[step].calls;
      totals[step].seconds += lane.totals[step].seconds;
      totals[step].shares += lane.totals[step].shares;
      all += lane.totals[step].seconds;
    }
  }
  std::vector<size_t> order(steps_.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::pair(totals[b].seconds, a) < std::pair(totals[a].seconds, b);
  });
  std::vector<Cost> costs;
  for (size_t i = 0; i < std::min(most, order.size()); ++i) {
    const Step& step = steps_[order[i]];
    const Total& total = totals[order[i]];
    if (total.calls == 0) break;
    costs.push_back(
        {.name = step.name,
         .calls = total.calls,
         .seconds = total.seconds,
         .share = total.seconds / std::max(all, 1e-12),
         .gflops = Rate(total.shares * step.flops, total.seconds),
         .gigabytes = Rate(total.shares * step.bytes, total.seconds)});
  }
  return costs;
}

std::string Profile::Table() const {
  std::string text = absl::StrFormat("%10s %10s %7s %9s %8s  %s\n", "calls",
                                     "ms", "share", "GFLOP/s", "GB/s", "step");
  for (const Cost& cost : Costliest()) {
    absl::StrAppendFormat(&text, "%10d %10.2f %6.1f%% %9.1f %8.1f  %s\n",
                          cost.calls, cost.seconds * 1e3, 100 * cost.share,
                          cost.gflops, cost.gigabytes, Printable(cost.name));
  }
  return text;
}

}  // namespace tape
