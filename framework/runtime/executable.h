// Executable: a compiled program ready to run: kernels, memory, and the loop over
// the steps. A Plan (plan.h) holds one for each batch size it has seen.
#ifndef TAPE_FRAMEWORK_RUNTIME_EXECUTABLE_H_
#define TAPE_FRAMEWORK_RUNTIME_EXECUTABLE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "framework/core/kernel.h"
#include "framework/core/memory.h"
#include "framework/core/tensor.h"
#include "framework/core/variables.h"
#include "framework/runtime/compiled_program.h"
#include "framework/runtime/profile.h"
#include "framework/runtime/threads.h"

namespace tape {

// Makes the kernel of a node whose op has none of its own (tile_kernels.h,
// shard_kernels.h); null for others.
using KernelSource = std::function<std::unique_ptr<Kernel>(
    const Node& node, const KernelSpec& spec)>;

class Executable {
 public:
  // One step, ready to run: a kernel, and where it reads and writes.
  struct Call {
    std::string name;
    std::string subject;  // Of errors.
    std::unique_ptr<Kernel> kernel;
    int node = kNone;  // The first that it makes; of a copy, none.
    bool side_effects = false;
    bool invariant = false;  // Step::invariant.
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

  // Builds the kernels and the memory for up to `threads` threads. `variables`
  // must outlive it. Throws a StatusError (exceptions.h) if an op's factory or
  // kernel throws, or if there is no memory; so do all runs but Run, which
  // returns it.
  Executable(CompiledProgram compiled, int threads, Variables& variables,
             const KernelSource& kernels = nullptr);

  // From now on, the thread that calls Run also calls `poll` after each chunk of
  // its own: what goes on beside the steps, such as messages, may need a push. It
  // must be quick; what it throws ends the run as a kernel's exception does.
  void set_poll(std::function<void()> poll) { poll_ = std::move(poll); }

  const CompiledProgram& compiled() const { return compiled_; }
  // A run makes these one after the other.
  const std::vector<Call>& calls() const { return calls_; }
  const Variables& variables() const { return *variables_; }
  double flops() const;  // Of a run.
  bool uses_stack_pointer() const { return uses_stack_pointer_; }
  // From now on, runs add to `profile`, which must outlive them; null: to none.
  void Record(Profile* profile, int threads);

  // Runs each kernel once on zeros, unless that would take long: so that the
  // first step does not wait for code and tables to be read in. Touches nothing
  // of the user's.
  void WarmUp() const;

  // Runs the steps, during a Variables::Run; the invariant ones only if a variable
  // may have changed since the last run that succeeded. `fed` gives the memory of
  // each of program.Inputs(), in order. Does not allocate. If a kernel throws, an
  // error with op and line, and the others are not run: variables may be half
  // updated.
  absl::Status Run(ThreadTeam& team, absl::Span<const void* const> fed);
  // All steps on the calling thread, in its floating-point environment.
  void RunAlone(absl::Span<const void* const> fed);

  // The steps of a run one by one, on the calling thread: Feed, then RunCall for
  // each of calls(), in order.
  void Feed(absl::Span<const void* const> fed);
  void RunCall(const Call& call) const;

  // Whether a run writes to the memory of `value`.
  bool Overwrites(const TensorView& value) const;

  // What fetch `index` of the program computed in the last run.
  TensorView Fetched(int index) const;

  // Where `place` is; null for what is fed.
  void* Address(const Place& place) const;

 private:
  // An argument that is known only when the run is fed:
  // calls_[call].inputs[input] is `offset` bytes into fed[fed].
  struct FedArgument {
    size_t call;
    size_t input;
    int fed;
    size_t offset;
  };

  std::unique_ptr<Kernel> MakeKernel(const Step& step,
                                     const KernelSource& kernels) const;
  void AddSteps(const KernelSource& kernels);
  void AddCopies();
  void AddCall(Call call);
  void MakeBuffers(int threads);
  void FindAddresses();
  void RunAllChunks(const Call& call, const KernelArguments& arguments) const;
  void RunChunks(const Call& call, int member, int begin, int end,
                 const KernelArguments& arguments);
  void RunMember(ThreadTeam& team, int member);

  const CompiledProgram compiled_;
  Variables* variables_;
  std::function<void()> poll_;
  Profile* profile_ = nullptr;
  int first_profiled_ = 0;  // The first step's number in it.
  std::vector<Call> calls_;
  size_t invariant_calls_ = 0;  // The first of these.
  // The variables' version that the invariant calls were last run with; negative
  // before a run.
  int64_t invariants_version_ = -1;
  size_t first_call_ = 0;  // Of the current run.
  std::vector<FedArgument> fed_arguments_;
  std::vector<TensorView> fetched_;
  Buffer arena_;
  Buffer scratch_;
  size_t scratch_bytes_ = 0;  // A thread's, in calls of more than one chunk.
  int chunks_ = 1;            // Of the call with the most.
  bool uses_stack_pointer_ = false;  // Of any kernel.
  // The first exception of a run, and the call whose kernel threw it.
  std::atomic<bool> has_failed_ = false;
  std::exception_ptr exception_;
  const Call* failed_ = nullptr;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_RUNTIME_EXECUTABLE_H_
