// The inside of Plan (plan.h), apart so that users of a plan do not compile
// against the compiler.
#ifndef TAPE_FRAMEWORK_COMPILER_PLAN_IMPL_H_
#define TAPE_FRAMEWORK_COMPILER_PLAN_IMPL_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "framework/compiler/executable.h"
#include "framework/compiler/plan.h"
#include "framework/compiler/program.h"
#include "framework/compiler/threads.h"

namespace tape {

class Plan::Impl {
 public:
  Impl(const Graph& graph, Program program, std::vector<Var> fetches,
       const Executable::Options& options, bool check_finite);

  // The executable for a batch size, built if there is none. An error if an op
  // refuses what the size makes of a shape, say 0.
  absl::StatusOr<Executable*> Prepare(int64_t batch);
  bool has_batch() const { return has_batch_; }

  absl::Status Run(absl::Span<const Feed> feeds);
  TensorView Value(Var fetch) const;
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

  // The executable of the batch size last run or, before a run, prepared. Null
  // if there is none.
  const Executable* Latest() const;
  // The place of `input` among inputs_, or kNone.
  int IndexOf(Var input) const;

  const Graph* graph_;  // Only ever compared: it may be gone.
  Program program_;     // With kBatch still in it.
  std::vector<Var> fetches_;
  std::shared_ptr<Variables> variables_;
  ThreadTeam team_;
  Executable::Options options_;
  Profile* profile_ = nullptr;
  int graph_size_;  // At Compile. What is declared later is of no use here.
  std::vector<PlanInput> inputs_;
  // In the current run: of each of inputs_, and of those that are needed.
  std::vector<const void*> fed_, needed_;
  bool has_batch_ = false;
  std::vector<std::unique_ptr<Executable>> executables_;
  Executable* last_ = nullptr;
  bool has_run_ = false;
  double compile_seconds_ = 0;  // And of Prepare since.
  const bool check_finite_;
  int64_t runs_ = 0;  // With check_finite_.
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_PLAN_IMPL_H_
