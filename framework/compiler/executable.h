// Executable: a program made ready to run for one batch size. What a Plan
// (plan.h) holds one of for each size it has seen.
#ifndef TAPE_FRAMEWORK_COMPILER_EXECUTABLE_H_
#define TAPE_FRAMEWORK_COMPILER_EXECUTABLE_H_

#include <atomic>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "framework/compiler/fuse.h"
#include "framework/compiler/memory_plan.h"
#include "framework/compiler/pass_set.h"
#include "framework/compiler/plan.h"
#include "framework/compiler/precision.h"
#include "framework/compiler/profile.h"
#include "framework/compiler/program.h"
#include "framework/compiler/threads.h"
#include "framework/compiler/tiles.h"
#include "framework/core/kernel.h"
#include "framework/core/tensor.h"
#include "framework/core/variables.h"

namespace tape {

class Executable {
 public:
  enum class Use {
    kPlan,  // Run by a team.
    kTile,  // A tile's program (tile.h), run by one thread.
  };
  struct Options {
    int threads = 1;
    PassSet passes = {};
    Use use = Use::kPlan;
    // Of a tile's program: its plan has seen to that.
    Precision precision = Precision::kFloat32;
  };
  // Runs the passes over `program`, which is bound to `batch`, fuses, lays out
  // memory and builds the kernels. `variables` must outlive it. Throws a
  // StatusError (exceptions.h) if an op's rule, factory or kernel throws, or if
  // there is no memory; so do all runs but Run, which returns it.
  Executable(const Program& program, int64_t batch, const Options& options,
             Variables& variables);
  ~Executable();

  int64_t batch() const { return batch_; }
  size_t arena_bytes() const { return memory_.arena_bytes; }

  double flops() const;  // Of a run.
  std::vector<StepCost> Steps() const;
  // From now on, runs add to `profile`, which must outlive them; null: to none.
  void Record(Profile* profile, int threads);

  // Runs each kernel once on zeros, unless that would take long: so that the
  // first step does not wait for code and tables to be read in. Touches nothing
  // of the user's.
  void WarmUp() const;

  // Runs the steps. `fed` gives the memory of each of program.Inputs(), in
  // order. Does not allocate. If a kernel throws, an error with op and line, and
  // the others are not run: variables may be half updated.
  absl::Status Run(ThreadTeam& team, absl::Span<const void* const> fed);
  // The same on the calling thread, in its floating-point environment.
  void RunAlone(absl::Span<const void* const> fed);
  // The same on the calling thread, until an op makes a value that is not
  // finite of operands that are. An error says which, and that it was in run
  // `run`; then no variable has been changed. Of an executable that was made
  // without any pass.
  absl::Status RunChecked(absl::Span<const void* const> fed, int64_t run);

  // What an op refuses of the numbers in `fed`, with its line; OK if nothing.
  absl::Status CheckFed(absl::Span<const void* const> fed) const;

  // Whether a run writes to the memory of `value`.
  bool Overwrites(const TensorView& value) const;

  // What fetch `index` of the program computed in the last run.
  TensorView Fetched(int index) const;

  // As Plan::Dump.
  std::string Dump() const;

 private:
  // One step, ready to run: a kernel, and where it reads and writes.
  struct Call {
    std::string name;
    std::string subject;  // Of errors.
    std::unique_ptr<Kernel> kernel;
    int node = kNone;  // The first that it makes; of a copy, none.
    bool side_effects = false;
    std::vector<Place> read = {}, written = {};
    std::vector<const void*> inputs = {};
    std::vector<void*> outputs = {};
    double bytes_read = 0, bytes_written = 0;
    // What its kernel says.
    int chunks = 1;
    size_t scratch_bytes = 0;
    double flops = 0;
    // Whether all threads must meet before it: it, or what runs since the last
    // meeting, is shared between them.
    bool meet_before = false;
  };
  // An operand that is fed to an op that may refuse its numbers.
  struct FedOperand {
    Node node;
    std::vector<TensorType> inputs;
    int operand;
    int fed;
  };
  // An argument that is known only when the run is fed:
  // calls_[call].inputs[input] is fed[fed].
  struct FedArgument {
    size_t call;
    size_t input;
    int fed;
  };

  void RunPasses(const Program& program);
  void FindFedOperands(const Program& program);
  std::unique_ptr<Kernel> MakeKernel(const Step& step) const;
  bool HasSideEffects(const Step& step) const;
  void AddCall(Call call);
  void MakeBuffers();
  std::string PlaceText(const Place& place) const;
  void* Address(const Place& place) const;
  void Feed(absl::Span<const void* const> fed);
  void RunAllChunks(const Call& call, const KernelArguments& arguments) const;
  void RunChunks(const Call& call, int member, int begin, int end,
                 const KernelArguments& arguments);
  void RunMember(ThreadTeam& team, int member);
  // The error that says that `node` made `value` at the element `index`.
  absl::Status ReportMade(int node, int64_t index, float value,
                          int64_t run) const;

  int64_t batch_;
  Options options_;
  Variables* variables_;
  Program program_;
  Profile* profile_ = nullptr;
  int first_profiled_ = 0;        // The first step's number in it.
  std::unique_ptr<Tiles> tiles_;  // Null: the batch is not cut into tiles.
  MemoryPlan memory_;
  std::vector<Step> steps_;  // For Dump.
  std::vector<Call> calls_;
  std::vector<FedArgument> fed_arguments_;
  std::vector<FedOperand> fed_operands_;
  std::vector<TensorView> fetched_;
  Buffer arena_;
  Buffer scratch_;
  size_t scratch_bytes_ = 0;  // A thread's, in calls of more than one chunk.
  int chunks_ = 1;            // Of the call with the most.
  // The first exception of a run, and the call whose kernel threw it.
  std::atomic<bool> has_failed_ = false;
  std::exception_ptr exception_;
  const Call* failed_ = nullptr;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_EXECUTABLE_H_
