// The inside of Plan (plan.h), apart so that users of a plan do not compile
// against the runtime.
#ifndef TAPE_FRAMEWORK_RUNTIME_PLAN_IMPL_H_
#define TAPE_FRAMEWORK_RUNTIME_PLAN_IMPL_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "framework/runtime/executable.h"
#include "framework/runtime/plan.h"
#include "framework/runtime/program.h"
#include "framework/runtime/shard_kernels.h"
#include "framework/runtime/threads.h"
#include "framework/runtime/tile_kernels.h"

namespace tape {

class Plan::Impl {
 public:
  struct Options {
    std::vector<Var> fetches;               // Those that have no name,
    std::vector<std::string> output_names;  // and the names of the others.
    int threads = 1;
    // Makes of the program, bound to a batch size, what an Executable runs.
    std::function<CompiledProgram(const Program& bound, int64_t batch)> compile;
    bool check_finite = false;
    size_t max_batch_sizes = 1;
  };
  Impl(const Graph& graph, Program program, Options options);
  // A session of the same program, ready for no batch size.
  Impl(const Impl& plan, int threads);
  ~Impl();

  // A batch size that a plan is ready for.
  struct Prepared {
    // By their numbers; none if the batch is not cut.
    std::vector<std::unique_ptr<TileKernels>> tiles;
    std::unique_ptr<ShardKernels> shards;
    std::unique_ptr<Executable> executable;
  };
  // That of a batch size, compiled if there is none. An error if an op refuses
  // what the size makes of a shape, say 0.
  absl::StatusOr<const Prepared*> Prepare(int64_t batch);
  bool has_batch() const { return has_batch_; }

  absl::Status Run(absl::Span<const Feed> feeds, Loc loc);
  // `scalar`: if it is no float32 of one element, that is a mistake too.
  TensorView Value(Var var, bool scalar, Loc loc) const;
  TensorView Value(absl::string_view output, bool scalar, Loc loc) const;
  absl::Status status() const;
  void Record(Profile* profile);
  int threads() const { return team_.size(); }
  std::vector<StepCost> Steps() const;
  std::string Dump() const;
  double compile_seconds() const { return compile_seconds_; }
  void set_compile_seconds(double seconds) { compile_seconds_ = seconds; }

 private:
  // An input of the graph. What the plan has no use for may be fed too, so that
  // plans of one graph can be fed alike.
  struct PlanInput {
    int tape_id;
    Node node;
    int needed_as;  // Its number among Program::Inputs(), or kNone.
  };

  struct Fetch {
    Var var;
    std::string name;  // Of an output.
    std::string text;  // As errors describe it.
    TensorType type;   // As it was declared.
  };

  // Run, by the only thread that is in it.
  absl::Status RunExclusively(absl::Span<const Feed> feeds, Loc loc);
  // Drops the batch sizes that were not used for longest, down to the limit.
  void DropOldest();
  // That of the batch size last run or, before a run, prepared. Null if there is
  // none.
  const Prepared* Latest() const;
  // The place of what is fed among inputs_, or kNone.
  int IndexOf(const FedInput& input) const;
  // What is wrong with an input that is not among inputs_; empty if it was
  // declared since Compile.
  std::string WhyNoInput(const FedInput& input) const;
  TensorView ValueOf(const Fetch* fetch, const std::string& text, bool scalar,
                     Loc loc) const;
  // Keeps a mistake, and gives no numbers of that type.
  TensorView Miss(const std::string& message, TensorType type, Loc loc) const;

  GraphHandle graph_;
  Program program_;  // With kBatch still in it.
  std::vector<Fetch> fetches_;
  std::shared_ptr<Variables> variables_;
  // The ops of program_, as far as they are copies.
  std::shared_ptr<const OpStore> ops_;
  ThreadTeam team_;
  const std::function<CompiledProgram(const Program&, int64_t)> compile_;
  Profile* profile_ = nullptr;
  int graph_size_;  // At Compile. What is declared later is of no use here.
  std::vector<PlanInput> inputs_;
  // In the current run: of each of inputs_, and of those that are needed.
  std::vector<const void*> fed_, needed_;
  bool has_batch_ = false;
  const size_t max_batch_sizes_;
  // That which was used last is the last.
  std::vector<std::unique_ptr<const Prepared>> prepared_;
  const Prepared* last_ = nullptr;
  int64_t last_batch_ = 1;
  absl::Status last_run_ = absl::FailedPreconditionError("");
  bool has_run_ = false;        // last_run_ is of a run.
  double compile_seconds_ = 0;  // And of Prepare since.
  const bool check_finite_;
  int64_t runs_ = 0;  // With check_finite_.
  std::atomic<bool> is_running_ = false;

  // The first value that was asked for and is not there.
  struct Missed {
    std::string message;  // Empty: none.
    Loc loc;
    bool is_known = false;  // Somebody has read it.
  };
  mutable std::mutex mutex_;  // Of missed_.
  mutable Missed missed_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_RUNTIME_PLAN_IMPL_H_
