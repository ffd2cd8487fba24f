// COMPILE: from declarations to a plan. All mistakes made while declaring come
// out here, each with its line.
//
// The pipeline stands at the head of compile.cc. Tested by
// tests/compiler/compile_test.cc.
#ifndef TAPE_FRAMEWORK_COMPILER_COMPILE_H_
#define TAPE_FRAMEWORK_COMPILER_COMPILE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/compiler/precision.h"
#include "framework/core/exceptions.h"
#include "framework/core/graph.h"
#include "framework/core/mode.h"
#include "framework/core/updates.h"
#include "framework/distributed/data_parallel.h"
#include "framework/runtime/plan.h"

namespace tape {

// What a run computes for the caller to read by a name, in a program that has
// kept neither Vars nor the graph: Plan::Value("probabilities").
struct Output {
  std::string name;  // Not empty; each has another.
  Var value;
};

struct CompileOptions {
  // What a run computes for the caller to read. A variable that the plan
  // updates is read before its update.
  std::vector<Var> fetch = {};
  // The same under names.
  std::vector<Output> outputs = {};
  // What a run does to variables, after every read of their old values.
  Updates updates = {};
  // Which forms the plan has of what differs between training and inference,
  // such as Dropout and BatchNorm (ByMode, core/basic_ops.h). Empty: a plan with
  // updates is for training, one without for inference. One for training that
  // makes updates makes those of Graph::training_assignments, too.
  std::optional<Mode> mode = std::nullopt;
  // Variables that the plan reads in place of others of their type, say
  // averaged weights for evaluation. Such a plan makes no updates.
  std::vector<Replacement> replace = {};
  // How many threads a run may use, at most kMaxThreads. 0: as many as this
  // process may run on. If the system does not give so many, there are fewer
  // (Plan::threads); the results are the same.
  int threads = 0;
  // What products read. bfloat16, asked for here or read by a product of the
  // graph, is refused with the product's line (kFailedPrecondition) on a
  // processor that does not multiply it by instructions of its own.
  Precision precision = Precision::kFloat32;
  // Cuts each batch into shards, which the ranks divide among themselves. Every
  // rank runs an equal plan and feeds it the whole batch, of which the plan reads
  // the rank's own rows alone (RowsOfRank). Sums over the batch, updates and
  // fetched values are those of the whole batch. All ranks run their plans in the
  // same order, one at a time; a plan of several ranks must have no sessions.
  DataParallel parallel = {};
  // Names of passes to leave out (PassNames), for finding faults: the results
  // are the same but for rounding.
  std::vector<std::string> without = {};
  // For finding where numbers go wrong: Run looks at each floating-point value
  // of the tape as it is made, in the tape's order, and returns an error
  // (kOutOfRange) at the first op that makes an infinity or a NaN of operands
  // whose elements are all finite: the op, its line, the number of the run (the
  // first is 1) and the first such element. Inputs, variables and constants
  // make nothing, and are not reported whatever they hold; nor is what an op
  // makes of an operand with an element that is not finite, such as the -inf of
  // a mask. At an error the run ends: no variable is changed, and nothing can
  // be read from the plan until a run succeeds. No passes are made then, one
  // thread runs it all, and no profile is kept of it.
  bool check_finite = false;
  // Batch sizes to prepare for now, rather than when they are first seen.
  std::vector<int64_t> batch_sizes = {};
  // For how many batch sizes the plan stays prepared, at least 1, or as many as
  // batch_sizes if these are more. Each holds memory for its values; a further
  // size takes the place of the one that was not run for longest, which must be
  // prepared anew if it comes again. Results do not depend on it.
  int max_batch_sizes = 8;
};

// Returns a plan that computes what `options` asks of `graph`. The graph does
// not change and may be compiled again; all its plans share its variables.
// An error lists the graph's recorded errors and the invalid options, one a
// line; the latter have the line of the call, `loc`, unless it is empty. If
// memory runs out, the error is kResourceExhausted and names the bytes. The
// caller's floating-point environment (rounding mode, traps, flush modes) does
// not matter, and stays as it is.
absl::StatusOr<Plan> Compile(const Graph& graph, const CompileOptions& options,
                             Loc loc = Loc::Current());

// The passes that CompileOptions::without may name, in the order in which they
// are made.
absl::Span<const absl::string_view> PassNames();

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_COMPILE_H_
