// The ranks that train one model together: processes, or threads of one process
// (local_group.h), that exchange messages. mpi.h implements it over MPI; plans,
// the trainer and reductions (all_reduce.h) use this interface alone.
#ifndef TAPE_FRAMEWORK_DISTRIBUTED_COMMUNICATOR_H_
#define TAPE_FRAMEWORK_DISTRIBUTED_COMMUNICATOR_H_

#include <array>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace tape {

// A message to a peer and one from it. Peers name equal tags, and each sends as
// many bytes as the other receives. The memory must stay where it is until the
// exchange is done.
struct Exchange {
  int peer = 0;
  int tag = 0;  // 0 to kMaxTag.
  const void* send = nullptr;
  size_t send_bytes = 0;
  void* receive = nullptr;
  size_t receive_bytes = 0;
};
inline constexpr int kMaxTag = 32767;  // What every MPI allows.

// What the ranks decide together while a step runs. Each rank may vote; the next
// reduction of a plan with updates carries the votes, and all ranks then know
// whether any rank voted.
enum Ballot : int {
  kBallotStop = 0,  // Stop after this step.
  kBallotSave = 1,  // Save a checkpoint after this step.
};
inline constexpr int kBallots = 2;

// One rank's end of the connections. For one thread at a time. Functions throw a
// StatusError (../core/exceptions.h) that names this rank and the peer if a peer
// fails or does not answer within the timeout.
class Communicator {
 public:
  virtual ~Communicator() = default;
  Communicator() = default;
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  virtual int rank() const = 0;  // 0 to size() - 1.
  virtual int size() const = 0;

  // Begins an exchange and returns its ticket.
  virtual int Begin(const Exchange& exchange) = 0;
  // Returns whether the exchange is done; then its ticket may be used again.
  virtual bool IsDone(int ticket) = 0;
  // Ends the run of every rank, because of `status` on this rank. MPI ends the
  // processes; in a LocalGroup the other ranks' calls throw.
  virtual void Abort(const absl::Status& status) = 0;

  // Returns when the exchange is done. `what` names it in errors; `meanwhile`, if
  // given, is called while it is waited for.
  void Complete(const Exchange& exchange,
                absl::string_view what = "an exchange",
                const std::function<void()>& meanwhile = nullptr);
  // Calls `is_done` until it returns true. `what` names the work in errors, and
  // `peer` the rank that has to answer; an error names the rank that `peer` waits
  // for, if it does.
  void WaitFor(const std::function<bool()>& is_done, absl::string_view what,
               int peer);
  // The ranks' texts, by rank. A collective call: every rank makes it.
  std::vector<std::string> AllGather(const std::string& text);
  // Returns the text of rank 0. A collective call.
  std::string Broadcast(const std::string& text);

  // How long a peer may take to answer, in seconds.
  double timeout_seconds() const { return timeout_seconds_; }
  void set_timeout_seconds(double seconds) { timeout_seconds_ = seconds; }

  // This rank's vote in the next reduction that carries votes.
  void Vote(Ballot ballot, bool vote) { votes_[ballot] = vote ? 1 : 0; }
  // How many ranks voted in the last such reduction.
  int Votes(Ballot ballot) const { return static_cast<int>(counted_[ballot]); }
  // For the reduction: the votes to send and where the sums go.
  const std::array<float, kBallots>& votes() const { return votes_; }
  void set_counted(const std::array<float, kBallots>& counted) {
    counted_ = counted;
  }

 private:
  // The rank to name where `peer` has not answered in time: `peer`, or the first
  // rank that is silent if `peer` itself waits in vain. Ranks that wait have the
  // same timeout, so that each finds the others here within a few seconds.
  int SilentRank(int peer);

  double timeout_seconds_ = 60;
  std::array<float, kBallots> votes_ = {};
  std::array<float, kBallots> counted_ = {};
};

// Returns the communicator of a process that trains alone: rank 0 of 1.
Communicator& SelfCommunicator();

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DISTRIBUTED_COMMUNICATOR_H_
