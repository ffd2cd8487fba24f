// Ranks that are threads of one process: for tests, and for measuring without
// MPI. Tested by tests/distributed/communicator_test.cc.
#ifndef TAPE_FRAMEWORK_DISTRIBUTED_LOCAL_GROUP_H_
#define TAPE_FRAMEWORK_DISTRIBUTED_LOCAL_GROUP_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <tuple>
#include <vector>

#include "absl/status/status.h"
#include "framework/distributed/communicator.h"

namespace tape {

class LocalGroup {
 public:
  explicit LocalGroup(int size);
  ~LocalGroup();

  Communicator& rank(int rank) { return *ranks_[rank]; }
  // Calls `run` for each rank, each on a thread of its own, and returns when all
  // have returned. A rank that returns an error aborts the others. Returns the
  // ranks' results.
  std::vector<absl::Status> Run(
      const std::function<absl::Status(Communicator& rank)>& run);

 private:
  class Rank;
  // From, to, tag.
  using Address = std::tuple<int, int, int>;
  std::mutex mutex_;
  std::map<Address, std::deque<std::vector<std::byte>>> messages_;
  absl::Status aborted_;
  std::vector<std::unique_ptr<Communicator>> ranks_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DISTRIBUTED_LOCAL_GROUP_H_
