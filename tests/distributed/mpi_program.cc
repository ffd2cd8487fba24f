// Exchanges messages over MPI, and prints a line for each rank whose messages were
// right: "rank 1 of 4: right". Run by mpi_test.cc, with the work to do as the
// argument.
#include <signal.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "framework/core/exceptions.h"
#include "framework/core/tensor_type.h"
#include "framework/distributed/all_reduce.h"
#include "framework/distributed/mpi.h"

namespace tape {
namespace {

// Bytes that differ for each sender, receiver and place.
std::vector<uint8_t> Message(int from, int to, size_t bytes) {
  std::vector<uint8_t> message(bytes);
  for (size_t i = 0; i < bytes; ++i) {
    message[i] = static_cast<uint8_t>(131 * from + 17 * to + i + (i >> 8));
  }
  return message;
}

// Exchanges of messages of these lengths with each other rank, all under way at
// once.
bool Exchanges(Communicator& ranks) {
  constexpr size_t kBytes[] = {0, 1, 4096, 70000, 5000000};
  struct UnderWay {
    int peer, ticket;
    std::vector<uint8_t> sent, received;
  };
  std::vector<std::unique_ptr<UnderWay>> all;
  for (int peer = 0; peer < ranks.size(); ++peer) {
    if (peer == ranks.rank()) continue;
    int tag = 0;
    for (const size_t bytes : kBytes) {
      // The two messages of an exchange may differ in length.
      const size_t more = ranks.rank() < peer ? 3 : 0, less = 3 - more;
      auto& one = all.emplace_back(std::make_unique<UnderWay>());
      one->peer = peer;
      one->sent = Message(ranks.rank(), peer, bytes == 0 ? 0 : bytes + more);
      one->received.resize(bytes == 0 ? 0 : bytes + less);
      one->ticket = ranks.Begin({.peer = peer,
                                 .tag = tag++,
                                 .send = one->sent.data(),
                                 .send_bytes = one->sent.size(),
                                 .receive = one->received.data(),
                                 .receive_bytes = one->received.size()});
    }
  }
  bool right = true;
  for (const auto& one : all) {
    ranks.WaitFor([&] { return ranks.IsDone(one->ticket); }, "a message",
                  one->peer);
    right &=
        one->received == Message(one->peer, ranks.rank(), one->received.size());
  }
  return right;
}

bool Gathers(Communicator& ranks) {
  const auto text = [](int rank) {
    return rank == 1 ? "" : std::string(100000 * rank + 3, 'a' + rank);
  };
  const std::vector<std::string> texts = ranks.AllGather(text(ranks.rank()));
  bool right = texts.size() == static_cast<size_t>(ranks.size());
  for (int rank = 0; rank < ranks.size(); ++rank) {
    right &= texts[rank] == text(rank);
  }
  return right && ranks.Broadcast(text(ranks.rank())) == text(0);
}

// Sums of numbers that float32 adds exactly.
bool Sums(Communicator& ranks) {
  bool right = true;
  for (const int64_t elements : {1, 1000, 16384, 300001}) {
    std::vector<float> values(elements);
    std::iota(values.begin(), values.end(), static_cast<float>(ranks.rank()));
    AllReduce reduction(ranks, /*tag=*/7, DType::kFloat32, elements,
                        /*bfloat16=*/false);
    reduction.Begin(values.data());
    reduction.Wait();
    const int size = ranks.size();
    const auto first = static_cast<float>(size * (size - 1) / 2);
    for (int64_t i = 0; i < elements; ++i) {
      right &= values[i] == first + static_cast<float>(size * i);
    }
  }
  return right;
}

// Whether every thread but this one has SIGTERM blocked, and this one has not.
bool OnlyThisThreadTakesSignals() {
  bool right = true;
  for (const auto& thread :
       std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(thread.path() / "status");
    std::string word;
    while (status >> word && word != "SigBlk:") {
    }
    uint64_t blocked = 0;
    status >> std::hex >> blocked;
    const bool is_this = thread.path().filename() == absl::StrCat(getpid());
    right &= ((blocked >> (SIGTERM - 1)) & 1) == (is_this ? 0 : 1);
  }
  return right;
}

int Main(int argc, char** argv) {
  absl::StatusOr<std::unique_ptr<Mpi>> mpi = Mpi::Start(argc, argv);
  if (!mpi.ok()) return Fail(mpi.status());
  Mpi& ranks = **mpi;
  const std::string work = argc > 1 ? argv[1] : "";
  try {
    if (work == "version") {
      if (ranks.rank() == 0) std::printf("%s\n", Mpi::Version().c_str());
      return 0;
    }
    if (work == "wait" && ranks.rank() != 1) {
      // Rank 1 makes no such call.
      ranks.set_timeout_seconds(0.01);
      ranks.Complete({.peer = 1});
    }
    if (work == "forward") {
      // An error that names another rank.
      if (ranks.rank() == 0) ranks.Abort(absl::DataLossError("rank 1: late"));
      ranks.set_timeout_seconds(1e6);
      ranks.Complete({.peer = 0});
    }
    if (work == "threads") return OnlyThisThreadTakesSignals() ? 0 : 1;
    if (work == "abort") {
      if (ranks.rank() == 1) ranks.Abort(absl::DataLossError("a bad\ndisk"));
      ranks.set_timeout_seconds(1e6);
      ranks.Complete({.peer = 1});
    }
    if (work == "wait") return 0;
    const bool right = Exchanges(ranks) && Gathers(ranks) && Sums(ranks);
    const std::string line =
        absl::StrCat("rank ", ranks.rank(), " of ", ranks.size(), ": ",
                     right ? "right" : "wrong", "\n");
    std::fputs(line.c_str(), stdout);
  } catch (...) {
    ranks.Abort(CaughtStatus("mpi_program"));
  }
  return 0;
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) { return tape::Main(argc, argv); }
