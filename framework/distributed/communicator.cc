// Communicator (communicator.h). Tested by tests/distributed/communicator_test.cc.
#include "framework/distributed/communicator.h"

#include <sched.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <thread>

#include "absl/strings/str_cat.h"
#include "framework/core/clock.h"
#include "framework/core/exceptions.h"

namespace tape {
namespace {

// Tags of AllGather and SilentRank, above those of reductions.
constexpr int kSizeTag = kMaxTag;
constexpr int kTextTag = kMaxTag - 1;
constexpr int kRollCallTag = kMaxTag - 2;

class Self : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  int Begin(const Exchange&) override { return 0; }
  bool IsDone(int) override { return true; }
  void Abort(const absl::Status&) override {}
};

}  // namespace

Communicator& SelfCommunicator() {
  static Self& self = *new Self;
  return self;
}

void Communicator::WaitFor(const std::function<bool()>& is_done,
                           absl::string_view what, int peer) {
  // Polls before the first look at the clock, which most waits do not need.
  constexpr int kPolls = 1000;
  for (int i = 0; i < kPolls; ++i) {
    if (is_done()) return;
  }
  const auto start = std::chrono::steady_clock::now();
  while (!is_done()) {
    // There may be more ranks than processors: a long wait leaves them to others.
    constexpr double kLongSeconds = 1e-3;
    constexpr auto kNap = std::chrono::microseconds(20);
    const double seconds = SecondsSince(start);
    if (seconds < kLongSeconds) {
      sched_yield();
    } else {
      std::this_thread::sleep_for(kNap);
    }
    if (seconds <= timeout_seconds_) continue;
    throw StatusError(absl::DeadlineExceededError(absl::StrCat(
        "rank ", rank(), " of ", size(), ": expected an answer of rank ",
        SilentRank(peer), " in ", what, ", found none in ", timeout_seconds_,
        " s (--mpi_timeout)")));
  }
}

int Communicator::SilentRank(int peer) {
  // Ranks that wait for the same one do not give up at the same moment.
  constexpr double kMostSeconds = 5;
  const double seconds = std::min(timeout_seconds_, kMostSeconds);
  constexpr int kSilent = -1, kAnswered = -2;
  std::vector<int> tickets(size(), kAnswered);
  const auto is_answered = [&](int other) {
    int& ticket = tickets[other];
    try {
      if (ticket >= 0 && IsDone(ticket)) ticket = kAnswered;
    } catch (const StatusError&) {
      ticket = kSilent;
    }
    return ticket == kAnswered;
  };
  for (int other = 0; other < size(); ++other) {
    if (other == rank()) continue;
    try {
      // Empty: no memory has to stay.
      tickets[other] = Begin({.peer = other, .tag = kRollCallTag});
    } catch (const StatusError&) {
      tickets[other] = kSilent;
    }
  }
  const auto start = std::chrono::steady_clock::now();
  int silent = 0;
  do {
    sched_yield();
    silent = 0;
    for (int other = 0; other < size(); ++other) silent += !is_answered(other);
  } while (silent > 0 && SecondsSince(start) <= seconds);
  if (silent == 0 || tickets[peer] != kAnswered) return peer;
  int first = 0;
  while (tickets[first] == kAnswered) ++first;
  return first;
}

void Communicator::Complete(const Exchange& exchange, absl::string_view what,
                            const std::function<void()>& meanwhile) {
  const int ticket = Begin(exchange);
  WaitFor(
      [&] {
        if (meanwhile) meanwhile();
        return IsDone(ticket);
      },
      what, exchange.peer);
}

std::vector<std::string> Communicator::AllGather(const std::string& text) {
  std::vector<std::string> texts(size());
  texts[rank()] = text;
  // Few and short texts: in round d each rank exchanges with rank ^ d, so that
  // every pair meets once.
  constexpr absl::string_view kWhat = "an exchange of texts";
  int rounds = 1;
  while (rounds < size()) rounds *= 2;
  for (int round = 1; round < rounds; ++round) {
    const int peer = rank() ^ round;
    if (peer >= size()) continue;
    uint64_t bytes = text.size(), peer_bytes = 0;
    Complete({peer, kSizeTag, &bytes, sizeof(bytes), &peer_bytes,
              sizeof(peer_bytes)},
             kWhat);
    texts[peer].resize(peer_bytes);
    Complete({peer, kTextTag, text.data(), text.size(), texts[peer].data(),
              texts[peer].size()},
             kWhat);
  }
  return texts;
}

std::string Communicator::Broadcast(const std::string& text) {
  // Only rank 0's text travels: the others gather empty ones.
  return AllGather(rank() == 0 ? text : "")[0];
}

}  // namespace tape
