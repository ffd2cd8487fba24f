// Checkpoints: a folder of safetensors files, each of them all that a run needs
// to go on to the same bits. A file holds every variable of the graph under its
// own name, and beside them "@best/<variable>", "@order" (the samples of the
// current epoch, int32) and "@state" (JSON, uint8); its metadata is the
// caller's.
//
// A file is written beside its place, is on the disk before it gets its name,
// and carries a checksum of all its bytes: whatever happens to the machine or
// the file, a checkpoint is whole or known to be damaged. Tested by
// tests/train/checkpoint_test.cc.
#ifndef TAPE_FRAMEWORK_TRAIN_CHECKPOINT_H_
#define TAPE_FRAMEWORK_TRAIN_CHECKPOINT_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/io/files.h"
#include "framework/io/safetensors.h"
#include "framework/train/training_state.h"

namespace tape {

struct Checkpoint {
  std::string path;
  SafetensorsFile file;
  TrainingState state;  // But for `best`, whose order is the graph's.
};

// Whether a run may go back to the checkpoint of a step, if it diverges.
using IsForGoingBack = std::function<bool(int64_t step)>;

// Writes the variables of `graph` and the state to the file `path`, which is
// then there as a whole, or as it was. Errors: those of WriteSafetensors;
// kFailedPrecondition while a plan that writes variables of the graph runs.
absl::Status WriteCheckpoint(const std::string& path, const Graph& graph,
                             const TrainingState& state,
                             const Metadata& metadata);

// Errors, which name the path: those of ReadSafetensors, kDataLoss if a byte is
// not as it was written; kInvalidArgument if it is no checkpoint.
absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& path);
// The same of a file's `bytes`; `path` only names them in errors.
absl::StatusOr<Checkpoint> ParseCheckpoint(FileBytes bytes,
                                           const std::string& path);

// Gives all variables of `graph` the values of the file; the whole state. The
// error, after which nothing has changed, names the path and the first variable
// that is missing, of another type, or not of the graph; or it is
// kFailedPrecondition, while a plan of the graph runs.
absl::StatusOr<TrainingState> Restore(const Checkpoint& checkpoint,
                                      Graph& graph);

// The checkpoints of one run, in a folder of their own: files named as Save
// names them; others stay as they are. For one thread.
class CheckpointFolder {
 public:
  // So many are kept, at least 1.
  CheckpointFolder(std::string path, int keep)
      : path_(std::move(path)), keep_(keep) {}

  // From now on Save also keeps the newest `keep` of those that are for going
  // back, and that of step 0.
  void KeepForGoingBack(IsForGoingBack is_for_going_back) {
    is_for_going_back_ = std::move(is_for_going_back);
  }

  const std::string& path() const { return path_; }

  // Writes "step-<state.step, 12 digits>.safetensors", and removes those before it that are
  // not to be kept; makes the folder, in a parent that is there, if it is
  // missing. Errors: the system's; those that were there are then still there.
  absl::Status Save(const Graph& graph, const TrainingState& state,
                    const Metadata& metadata);

  // The newest that can be read, of those after at most `most_steps` steps;
  // none if there is none. Each one that is damaged or no checkpoint is told of
  // to `damaged`, and passed over. Errors: the system's, of the folder, or of a
  // file that may be good.
  absl::StatusOr<std::optional<Checkpoint>> Newest(
      std::vector<absl::Status>& damaged,
      int64_t most_steps = std::numeric_limits<int64_t>::max()) const;

  // The newest that can be read of those to go back to after at most
  // `most_steps` steps, of which those in `not_good` are none: of the newest
  // `keep` for going back or, if there is none, that of step 0. Otherwise as
  // Newest.
  absl::StatusOr<std::optional<Checkpoint>> NewestGood(
      std::vector<absl::Status>& damaged, int64_t most_steps,
      absl::Span<const int64_t> not_good) const;

  // Removes what a process that was killed while it saved has left. Nobody must
  // be saving now. Errors: the system's.
  absl::Status RemoveUnfinished();

  // Removes those after more than `most_steps` steps. Errors: the system's.
  absl::Status RemoveAfter(int64_t most_steps);

 private:
  struct Entry {
    int64_t step;
    std::string path;
  };
  // By step, the newest first. None if there is no folder.
  absl::StatusOr<std::vector<Entry>> Entries() const;
  // The first that can be read, or none.
  static absl::StatusOr<std::optional<Checkpoint>> ReadFirst(
      absl::Span<const Entry> entries, std::vector<absl::Status>& damaged);

  std::string path_;
  int keep_;
  IsForGoingBack is_for_going_back_ = nullptr;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_TRAIN_CHECKPOINT_H_
