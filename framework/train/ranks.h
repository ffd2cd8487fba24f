// What the ranks of a run do together before they train: they find out whether
// they agree, and share the checkpoint that rank 0 reads. Every function is a
// collective call: all ranks make it. Tested by tests/train/ranks_test.cc
// and tests/distributed/train_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_RANKS_H_
#define TAPE_FRAMEWORK_TRAIN_RANKS_H_

#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/distributed/communicator.h"
#include "framework/train/checkpoint.h"
#include "framework/train/evaluation.h"
#include "framework/train/model.h"
#include "framework/train/trainer.h"

namespace tape {

// Returns OK if all ranks give OK. Otherwise rank 0 returns its own error or, with
// the rank before it, that of the first rank that has one; the others return
// kCancelled, and need not print anything.
absl::Status ErrorOfAny(Communicator& ranks, const absl::Status& status);

// What must be the same on all ranks: names and values.
using Identity = std::vector<std::pair<std::string, std::string>>;

// Of a call of Train: the version, the processor's vectors, the model with its
// initial variables, the data and the options that its bits depend on.
Identity IdentityOf(const Model& model, const SplitViews& data,
                    const TrainOptions& options);

// An error on rank 0, which names the first rank and the first name that differ
// from its own: "rank 2: expected the training set 100 samples, …, as on rank 0,
// found 90 samples, …". The other ranks then wait for the end of the run, so that
// one error is printed.
absl::Status CheckRanksAgree(Communicator& ranks, const Identity& identity);

// The same of the graph's variables after an epoch. They differ if a machine has
// computed something else.
absl::Status CheckSameVariables(Communicator& ranks, const Graph& graph,
                                int epoch);

// Calls `read` on rank 0 and returns its checkpoint, if there is one, on every
// rank. After an error of rank 0 the others return kCancelled.
absl::StatusOr<std::optional<Checkpoint>> OnRankZero(
    Communicator& ranks,
    const std::function<absl::StatusOr<std::optional<Checkpoint>>()>& read);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_RANKS_H_
