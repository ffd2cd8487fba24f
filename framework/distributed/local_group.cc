// LocalGroup (local_group.h). Tested by tests/distributed/communicator_test.cc.
#include "framework/distributed/local_group.h"

#include <cstring>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "framework/core/check.h"
#include "framework/core/exceptions.h"

namespace tape {

class LocalGroup::Rank : public Communicator {
 public:
  Rank(LocalGroup& group, int rank, int size)
      : group_(group), rank_(rank), size_(size) {}
  int rank() const override { return rank_; }
  int size() const override { return size_; }

  int Begin(const Exchange& exchange) override {
    const auto* const bytes = static_cast<const std::byte*>(exchange.send);
    {
      const std::lock_guard<std::mutex> lock(group_.mutex_);
      group_.messages_[{rank_, exchange.peer, exchange.tag}].emplace_back(
          bytes, bytes + exchange.send_bytes);
    }
    for (size_t i = 0; i < under_way_.size(); ++i) {
      if (under_way_[i].peer >= 0) continue;
      under_way_[i] = exchange;
      return static_cast<int>(i);
    }
    under_way_.push_back(exchange);
    return static_cast<int>(under_way_.size()) - 1;
  }

  bool IsDone(int ticket) override {
    Exchange& exchange = under_way_[ticket];
    const std::lock_guard<std::mutex> lock(group_.mutex_);
    if (!group_.aborted_.ok()) throw StatusError(group_.aborted_);
    auto& queue = group_.messages_[{exchange.peer, rank_, exchange.tag}];
    if (queue.empty()) return false;
    TAPE_CHECK_EQ(queue.front().size(), exchange.receive_bytes);
    if (exchange.receive_bytes > 0) {
      std::memcpy(exchange.receive, queue.front().data(),
                  exchange.receive_bytes);
    }
    queue.pop_front();
    exchange.peer = -1;
    return true;
  }

  void Abort(const absl::Status& status) override {
    const std::lock_guard<std::mutex> lock(group_.mutex_);
    if (!group_.aborted_.ok()) return;
    group_.aborted_ = absl::Status(
        status.code(), absl::StrCat("rank ", rank_, ": ", status.message()));
  }

 private:
  LocalGroup& group_;
  const int rank_, size_;
  std::vector<Exchange> under_way_;  // By ticket; a negative peer: free.
};

LocalGroup::LocalGroup(int size) {
  for (int rank = 0; rank < size; ++rank) {
    ranks_.push_back(std::make_unique<Rank>(*this, rank, size));
  }
}

LocalGroup::~LocalGroup() = default;

std::vector<absl::Status> LocalGroup::Run(
    const std::function<absl::Status(Communicator& rank)>& run) {
  std::vector<absl::Status> results(ranks_.size());
  std::vector<std::thread> threads;
  for (size_t rank = 0; rank < ranks_.size(); ++rank) {
    threads.emplace_back([&, rank] {
      try {
        results[rank] = run(*ranks_[rank]);
      } catch (...) {
        results[rank] = CaughtStatus(absl::StrCat("rank ", rank));
      }
      if (!results[rank].ok()) ranks_[rank]->Abort(results[rank]);
    });
  }
  for (std::thread& thread : threads) thread.join();
  return results;
}

}  // namespace tape
