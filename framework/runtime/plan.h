// RUN: Plan, the compiled step. Made by Compile (compile.h). It holds kernels,
// prepared oneDNN primitives, one arena and its threads; it shares the graph's
// variables, and may outlive the graph: then it is fed and read by name, or by
// Vars that have been kept.
//
// A plan with kBatch in it is prepared for each batch size when it first sees
// it, or sees it again after CompileOptions::max_batch_sizes others; from the
// second run of a size on, Run allocates nothing but what oneDNN allocates
// within a product (see framework/README.md).
//
// A plan is for one thread at a time, which runs it and reads its values. To
// serve several threads at a time, make a session of it for each of them
// (NewSession): they share its variables. Plans without updates may run beside
// one another; one with updates, alone. A run that another one is in the way of
// is refused (kFailedPrecondition), and changes nothing. Tested by
// tests/runtime/plan_test.cc, plan_misuse_test.cc and sessions_test.cc.
#ifndef TAPE_FRAMEWORK_RUNTIME_PLAN_H_
#define TAPE_FRAMEWORK_RUNTIME_PLAN_H_

#include <cstddef>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/core/loc.h"
#include "framework/core/tensor.h"

namespace tape {

// Which input is fed: its Var, or the name that it was declared with. A name
// must stay where it is until Run returns.
class FedInput {
 public:
  FedInput(Var var) : var_(var) {}                    // NOLINT
  FedInput(absl::string_view name) : name_(name) {}   // NOLINT
  FedInput(const char* name) : name_(name) {}         // NOLINT
  FedInput(const std::string& name) : name_(name) {}  // NOLINT
  operator Var() const { return var_; }               // NOLINT

  // Empty if it is fed by name.
  Var var() const { return var_; }
  // Null data if it is fed by its Var.
  absl::string_view name() const { return name_; }

 private:
  Var var_;
  absl::string_view name_;
};

// The numbers of one input for one run. They must stay where they are until Run
// returns, and be no memory that the run writes: a variable that it updates, or
// what the same plan fetched before (Plan::Value). Feed a copy of these.
struct Feed {
  FedInput input;
  TensorView value;
};

class Profile;

// What one step of a plan costs by the plan's own count, which is the same for
// any number of threads. Bytes are those of the operands and of the results,
// each once, whichever of them caches hold: what a step keeps to itself, such
// as a product that a pass takes in, does not count.
struct StepCost {
  std::string name;  // "MatMul", or "Mul+Add+Relu" of a fused pass.
  int chunks = 1;    // Into how many parts threads may cut it.
  double flops = 0;  // Of one run; 0 if the step's kernel does not count them.
  double bytes_read = 0;
  double bytes_written = 0;
};

// More threads than this are taken for a slip of the finger.
inline constexpr int kMaxThreads = 1024;

class Plan {
 public:
  class Impl;

  explicit Plan(std::unique_ptr<Impl> impl);
  ~Plan();
  Plan(Plan&&) noexcept;
  Plan& operator=(Plan&&) noexcept;

  // Runs one step: computes the fetched values, then makes the updates.
  //
  // Returns an error before anything is computed if an input that the plan
  // needs is not fed, if an input is fed twice or is not of its declared type,
  // if the inputs differ in batch size, or if a fed Var or name is not an input
  // of the graph. If status() holds an error, Run computes nothing, returns
  // that error and clears it. Errors have the line of the call, `loc`, unless
  // it is empty. If memory runs out or an op throws, the error is
  // kResourceExhausted or kInternal, with the op and its line. The plan may be
  // run again, but variables may be half updated if its kernels had begun.
  //
  // Rounds to nearest, without traps, whatever the caller's floating-point
  // environment, which is the same afterwards, flags included. A denormal
  // operand may be taken for a zero of its sign, and a result below FLT_MIN may
  // be a zero. The thread's cancellation waits until Run ends, and so do signals
  // if a kernel asks for that (Kernel::uses_stack_pointer); else a handler may run
  // meanwhile, and must return.
  absl::Status Run(absl::Span<const Feed> feeds, Loc loc = Loc::Current());
  absl::Status Run(std::initializer_list<Feed> feeds = {},
                   Loc loc = Loc::Current()) {
    return Run(absl::MakeConstSpan(feeds.begin(), feeds.size()), loc);
  }

  // A plan of the same program for another thread, so that one model answers
  // several at once: it shares the variables, reads them from where they are, and
  // has memory, prepared batch sizes (CompileOptions::max_batch_sizes) and
  // threads of its own. May be called from any thread, also while this plan
  // runs. Plans that update variables run one at a time.
  absl::StatusOr<Plan> NewSession(int threads = 1,
                                  Loc loc = Loc::Current()) const;

  // What the last Run computed for a fetched Var, or for an output by its name:
  // valid until the next one, or, if it was also assigned to a variable, until
  // that is changed.
  //
  // If there is no such number, since it is not fetched or the last run was
  // refused, status() has the mistake, and the value is NaN, or -1 in integers,
  // of the type that it would have (kBatch as in the last run, or 1).
  TensorView Value(Var fetch, Loc loc = Loc::Current()) const;
  TensorView Value(absl::string_view output, Loc loc = Loc::Current()) const;
  // The same for a float32 of one element.
  float Scalar(Var fetch, Loc loc = Loc::Current()) const;
  float Scalar(absl::string_view output, Loc loc = Loc::Current()) const;

  // OK, or the first value that was asked for and is not there, with the line
  // where it was. The next Run returns it. If nobody ever learns of it, it is
  // written to stderr when the plan is destroyed.
  absl::Status status() const;

  // From now on, each run is added to `profile` (profile.h), which must outlive
  // this object's runs. Null: to none any more. Runs then allocate as it does.
  void Record(Profile* profile);

  // What is moved from has no threads, steps or text, and refuses to run.
  int threads() const;

  // The steps of a run, in their order: for the batch size last run or, before
  // a run, last prepared. None if no batch size is known yet.
  std::vector<StepCost> Steps() const;

  // The same steps with what each reads and writes, and the map of memory: of
  // each value its bytes, the step that makes it and the last that reads it,
  // where it lies, and what it shares that memory with; the arena's peak. For a
  // batch in tiles, those of a tile too. If no batch size is known yet, the
  // program. Equal declarations and options give equal text.
  std::string Dump() const;

  // How long Compile took, and preparing for further batch sizes since.
  double compile_seconds() const;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_RUNTIME_PLAN_H_
