// mpi_bench: what MPI ranks cost: all-reduces by size, and training steps.
//
//   mpirun -n 2 bazel-bin/bench/mpi_bench
//
// prints, for 4 B to 64 MiB, an all-reduce's microseconds, least of 50 rounds (or of
// as many as the argument says), its bytes by them, and which part of it is hidden by
// as much work that lies between its begin and its end: by work that does not call MPI
// ("overlap"), and by work that does so every 20 us, as a plan does ("polled").
//
//   mpirun -n 2 bazel-bin/bench/mpi_bench serve
//
// answers lines on stdin by microseconds, as rounds.h does; mpi_compare.py and
// mpi_model.py drive it. Ranks sleep while no line is under way. A round of steps takes
// some 20 ms, another 1 ms: a short one more often ends undisturbed on a busy machine.
// Lines, with what is optional in brackets:
//   step threads=1 shards=2 [bfloat16=1] sizes=… (step_line.h)
//   all_reduce bytes=4096 [bfloat16=1]     Values of float32.
//   overlap bytes=4096                     An all-reduce and as much work.
//   polled bytes=4096                      The same, with Progress.
//   add bytes=4096                         Adds what a message brings.
//   round bytes=4096                       Rounds values to bfloat16 and back.
#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bench/configs.h"
#include "bench/step.h"
#include "bench/timed_all_reduce.h"
#include "framework/core/version.h"
#include "framework/distributed/mpi.h"
#include "framework/framework.h"

namespace tape {
namespace {

using Clock = std::chrono::steady_clock;
using Call = std::function<void()>;

double MicrosecondsSince(Clock::time_point begin) {
  return std::chrono::duration<double, std::micro>(Clock::now() - begin)
      .count();
}

// Microseconds a call, mean of a round that takes about `seconds`. A collective
// call: rank 0 says how many calls the round has.
double TimeRound(Communicator& ranks, double seconds, const Call& call) {
  call();  // What the first call prepares does not count.
  Clock::time_point begin = Clock::now();
  call();
  const double one = MicrosecondsSince(begin);
  const int64_t wanted = static_cast<int64_t>(1e6 * seconds / (one + 0.01));
  int64_t calls = 1;
  if (!absl::SimpleAtoi(ranks.Broadcast(absl::StrCat(wanted)), &calls)) {
    std::exit(1);
  }
  calls = std::max<int64_t>(calls, 1);
  begin = Clock::now();
  for (int64_t i = 0; i < calls; ++i) call();
  return MicrosecondsSince(begin) / static_cast<double>(calls);
}

// The same work on all ranks: rank 0's measure of an all-reduce, least of some.
double AllReduceMicroseconds(Communicator& ranks, TimedAllReduce& reduce) {
  double best = 1e9;
  for (int i = 0; i < 5; ++i) {
    best = std::min(best, TimeRound(ranks, 0.002, [&reduce] { reduce.Run(); }));
  }
  if (!absl::SimpleAtod(ranks.Broadcast(absl::StrCat(best)), &best)) {
    std::exit(1);
  }
  return best;
}

using Values = std::map<std::string, std::string>;

int64_t Number(const Values& values, const std::string& name,
               int64_t otherwise = 0) {
  const auto found = values.find(name);
  int64_t number = otherwise;
  if (found == values.end()) return number;
  return absl::SimpleAtoi(found->second, &number) ? number : otherwise;
}

// The call that a line asks for, on this rank; null if there is none.
Call Make(Communicator& ranks, const std::string& line) {
  const std::vector<std::string> words = absl::StrSplit(line, ' ');
  Values values;
  for (const std::string& word : words) {
    values.insert(absl::StrSplit(word, absl::MaxSplits('=', 1)));
  }
  const std::string& what = words[0];
  const bool bfloat16 = Number(values, "bfloat16") != 0;
  if (what == "step") {
    const StepLine asked = ParseStepLine(line);
    const DataParallel parallel = {
        .shards = static_cast<int>(Number(values, "shards", 1)),
        .communicator = &ranks,
        .bfloat16_sums = bfloat16};
    const auto step = std::make_shared<TrainingStep>(
        ConfigOf(asked), RandomImages(), asked.threads, Precision::kFloat32,
        parallel);
    if (!step->status().ok()) ranks.Abort(step->status());
    return [step] { step->Run(); };
  }
  const int64_t bytes = Number(values, "bytes");
  if (bytes < 4) return nullptr;
  if (what == "add" || what == "round") {
    const auto from = std::make_shared<std::vector<float>>(bytes / 4);
    const auto to = std::make_shared<std::vector<float>>(bytes / 4);
    if (what == "round") {
      return [to, bytes] { RoundMessage(bytes, to->data()); };
    }
    return [from, to, bytes] { AddMessage(bytes, from->data(), to->data()); };
  }
  const auto reduce = std::make_shared<TimedAllReduce>(ranks, bytes, bfloat16);
  if (what == "all_reduce") return [reduce] { reduce->Run(); };
  if (what != "overlap" && what != "polled") return nullptr;
  const double work = AllReduceMicroseconds(ranks, *reduce);
  return [reduce, work, polls = what == "polled"] {
    reduce->RunWithWork(work, polls);
  };
}

// ---- serve ----

constexpr size_t kLineBytes = 1024;
using LineBytes = std::array<char, kLineBytes>;
constexpr int kLineTag = kMaxTag - 2;

// Rank 0's line on all ranks; empty at the end. The others sleep until it is there,
// so that another program can be timed meanwhile.
std::string NextLine(Communicator& ranks) {
  LineBytes bytes = {};
  if (ranks.rank() == 0) {
    std::string line;
    std::getline(std::cin, line);
    line.copy(bytes.data(), kLineBytes - 1);
    for (int rank = 1; rank < ranks.size(); ++rank) {
      ranks.Complete({.peer = rank,
                      .tag = kLineTag,
                      .send = bytes.data(),
                      .send_bytes = kLineBytes});
    }
  } else {
    const int ticket = ranks.Begin({.peer = 0,
                                    .tag = kLineTag,
                                    .receive = bytes.data(),
                                    .receive_bytes = kLineBytes});
    while (!ranks.IsDone(ticket)) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  return bytes.data();
}

void Serve(Communicator& ranks) {
  const bool answers = ranks.rank() == 0;
  // Of the last line, which is often asked for again.
  std::string made;
  Call call;
  for (std::string line; !(line = NextLine(ranks)).empty();) {
    if (line == "versions") {
      if (answers) {
        std::cout << Versions(
                         absl::StrCat("Tape ", kVersion, ", ", Mpi::Version()))
                  << std::endl;
      }
      continue;
    }
    if (line == "list") {
      if (!answers) continue;
      for (const StepConfig& config : StepConfigs()) {
        std::cout << LineOf(config) << "\n";
      }
      std::cout << std::endl;
      continue;
    }
    if (line != made) {
      call = nullptr;  // Frees its memory first.
      call = Make(ranks, line);
    }
    made = line;
    const double microseconds =
        call == nullptr
            ? -1
            : TimeRound(ranks, line[0] == 's' ? kRoundSeconds : 0.001, call);
    if (answers) std::cout << microseconds << std::endl;
  }
}

// ---- The table ----

constexpr int64_t kLeastBytes = 4, kMostBytes = int64_t{64} << 20;

void PrintTable(Communicator& ranks, int rounds) {
  if (ranks.rank() == 0) {
    std::printf("%d ranks, %s\n%10s %10s %10s %9s %9s\n", ranks.size(),
                Mpi::Version().c_str(), "bytes", "us", "MB/s", "overlap",
                "polled");
  }
  for (int64_t bytes = kLeastBytes; bytes <= kMostBytes; bytes *= 4) {
    TimedAllReduce reduce(ranks, bytes, /*bfloat16=*/false);
    double alone = 1e9, with_work = 1e9, polled = 1e9;
    const double work = AllReduceMicroseconds(ranks, reduce);
    for (int round = 0; round < rounds; ++round) {
      const auto time = [&](double& best, const Call& call) {
        best = std::min(best, TimeRound(ranks, 0.001, call));
      };
      time(alone, [&] { reduce.Run(); });
      time(with_work, [&] { reduce.RunWithWork(work, /*polls=*/false); });
      time(polled, [&] { reduce.RunWithWork(work, /*polls=*/true); });
    }
    if (ranks.rank() != 0) continue;
    // Shorter ones end before the first poll.
    constexpr double kLeastMicroseconds = 50;
    const auto hidden = [&](double both) {
      if (alone < kLeastMicroseconds) return std::string("-");
      const double part = (alone + work - both) / std::min(alone, work);
      return absl::StrCat(std::lround(100 * std::clamp(part, 0.0, 1.0)), "%");
    };
    std::printf("%10lld %10.2f %10.1f %9s %9s\n", static_cast<long long>(bytes),
                alone, static_cast<double>(bytes) / alone,
                hidden(with_work).c_str(), hidden(polled).c_str());
    std::fflush(stdout);
  }
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  const absl::StatusOr<std::unique_ptr<tape::Mpi>> mpi =
      tape::Mpi::Start(argc, argv);
  if (!mpi.ok()) return tape::Fail(mpi.status());
  const std::string argument = argc == 2 ? argv[1] : argc == 1 ? "50" : "";
  int rounds = 0;
  if (argument == "serve") {
    tape::Serve(**mpi);
  } else if (absl::SimpleAtoi(argument, &rounds) && rounds > 0) {
    tape::PrintTable(**mpi, rounds);
  } else {
    std::fprintf(stderr,
                 "mpi_bench: expected \"serve\" or the number of rounds\n");
    return 1;
  }
  return 0;
}
