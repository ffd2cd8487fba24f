// Compile (compile.h), and the pipeline: the passes in the order in which they
// run. Tested by tests/compiler/compile_test.cc and tests/compiler/without_passes_test.cc.
//
//   Compile          checks the options (check_options.h), extracts what the
//                    fetches and updates need (program.h), and makes a Plan
//   CompileForBatch  when a plan first sees a batch size: from the program,
//                    bound to it, through kPasses to what an Executable runs
#include "framework/compiler/compile.h"

#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "framework/compiler/check_options.h"
#include "framework/compiler/fuse.h"
#include "framework/compiler/hoist_invariants.h"
#include "framework/compiler/lower_precision.h"
#include "framework/compiler/memory_plan.h"
#include "framework/compiler/passes.h"
#include "framework/compiler/shard_batch.h"
#include "framework/compiler/tile_batch.h"
#include "framework/compiler/verify.h"
#include "framework/core/basic_ops.h"
#include "framework/core/clock.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"
#include "framework/runtime/compiled_program.h"
#include "framework/runtime/plan_impl.h"

namespace tape {
namespace {

// ---- The pipeline ----

// What the passes work on.
struct Compilation {
  CompiledProgram result;
  std::vector<Group> groups;  // Of its program's nodes: what one step makes.
  std::vector<std::string> without;
  Precision precision;
};

// What of a Compilation a pass may change.
enum class Changes { kProgram, kGroups, kSteps, kMemory };

// Which programs go through a pass: all; or that of the whole batch alone, since
// a tile's program is cut from one that has been through it.
enum class Scope { kAll, kWholeBatch };

struct Pass {
  absl::string_view name;
  Changes changes;
  Scope scope;
  void (*run)(Compilation& compilation);
  // What is done if CompileOptions::without names the pass.
  void (*run_instead)(Compilation& compilation);
};

void Skip(Compilation&) {}

// A pass that rewrites the program.
template <Program (*rewrite)(Program)>
void Rewrite(Compilation& compilation) {
  Program& program = compilation.result.program;
  program = rewrite(std::move(program));
}

void RunLowerPrecision(Compilation& compilation) {
  if (compilation.precision == Precision::kFloat32) return;
  Rewrite<LowerPrecision>(compilation);
}

void RunShardBatch(Compilation& compilation) {
  CompiledProgram& result = compilation.result;
  result.program =
      ShardBatch(std::move(result.program), result.batch, result.parallel);
}

void RunTileBatch(Compilation& compilation);

void RunFuse(Compilation& compilation) {
  compilation.groups = FuseElementwise(compilation.result.program);
}
void GroupEachByItself(Compilation& compilation) {
  compilation.groups = EachByItself(compilation.result.program);
}
void RunFuseProducts(Compilation& compilation) {
  FuseProducts(compilation.result.program, compilation.groups);
}
void RunFuseSums(Compilation& compilation) {
  FuseSums(compilation.result.program, compilation.groups);
}
void RunJoinKernels(Compilation& compilation) {
  JoinKernels(compilation.result.program, compilation.groups);
}
void RunMakeSteps(Compilation& compilation) {
  CompiledProgram& result = compilation.result;
  result.steps = MakeSteps(result.program, compilation.groups);
}
void RunHoistInvariants(Compilation& compilation) {
  CompiledProgram& result = compilation.result;
  result.steps = HoistInvariants(result.program, std::move(result.steps));
}
template <bool reuse>
void RunPlanMemory(Compilation& compilation) {
  CompiledProgram& result = compilation.result;
  result.memory = PlanMemory(result.program, result.steps, reuse);
}

// In this order. After each, the verifier looks at what it may have changed
// (verify.h). A pass that has no run_instead cannot be left out.
constexpr Pass kPasses[] = {
    {"fold_constants", Changes::kProgram, Scope::kWholeBatch,
     Rewrite<FoldConstants>, Skip},
    {"simplify", Changes::kProgram, Scope::kWholeBatch, Rewrite<Simplify>,
     Skip},
    {"share_common_subexpressions", Changes::kProgram, Scope::kWholeBatch,
     Rewrite<ShareCommonSubexpressions>, Skip},
    {"prune", Changes::kProgram, Scope::kWholeBatch, Rewrite<Prune>, Skip},
    {"shard_batch", Changes::kProgram, Scope::kWholeBatch, RunShardBatch,
     nullptr},
    {"lower_precision", Changes::kProgram, Scope::kWholeBatch,
     RunLowerPrecision, nullptr},
    {"read_bytes", Changes::kProgram, Scope::kWholeBatch, Rewrite<ReadBytes>,
     Skip},
    {"tile_batch", Changes::kProgram, Scope::kWholeBatch, RunTileBatch, Skip},
    {"fold_into_products", Changes::kProgram, Scope::kAll,
     Rewrite<FoldIntoProducts>, Skip},
    // What was folded.
    {"prune", Changes::kProgram, Scope::kAll, Rewrite<Prune>, Skip},
    {"cut_sums", Changes::kProgram, Scope::kAll, Rewrite<CutSums>, Skip},
    {"materialize", Changes::kProgram, Scope::kAll, Rewrite<Materialize>,
     nullptr},
    {"fuse", Changes::kGroups, Scope::kAll, RunFuse, GroupEachByItself},
    {"fuse_products", Changes::kGroups, Scope::kAll, RunFuseProducts, Skip},
    {"fuse_sums", Changes::kGroups, Scope::kAll, RunFuseSums, Skip},
    {"join_kernels", Changes::kGroups, Scope::kAll, RunJoinKernels, Skip},
    {"make_steps", Changes::kSteps, Scope::kAll, RunMakeSteps, nullptr},
    {"hoist_invariants", Changes::kSteps, Scope::kWholeBatch,
     RunHoistInvariants, Skip},
    {"reuse_memory", Changes::kMemory, Scope::kAll, RunPlanMemory<true>,
     RunPlanMemory<false>},
};

void VerifyAfter(const Pass& pass, const Compilation& compilation) {
  const CompiledProgram& result = compilation.result;
  switch (pass.changes) {
    case Changes::kProgram:
      return Verify(result.program, pass.name);
    case Changes::kGroups:
      return VerifyGroups(result.program, compilation.groups);
    case Changes::kSteps:
      return VerifySteps(result.program, result.steps);
    case Changes::kMemory:
      return VerifyMemory(result.program, result.memory);
  }
}

void RunPasses(Scope scope, Compilation& compilation) {
  Verify(compilation.result.program);
  for (const Pass& pass : kPasses) {
    if (pass.scope == Scope::kWholeBatch && scope != Scope::kWholeBatch) {
      continue;
    }
    const std::vector<std::string>& without = compilation.without;
    const bool is_left_out =
        pass.run_instead != nullptr &&
        std::find(without.begin(), without.end(), pass.name) != without.end();
    (is_left_out ? pass.run_instead : pass.run)(compilation);
    VerifyAfter(pass, compilation);
  }
}

// The program of a tile, compiled. A pass over a product's bands has nothing to
// gain where a tile is in the cache as a whole.
CompiledProgram CompileTile(const Program& program,
                            std::vector<std::string> without) {
  without.push_back("fuse_products");
  Compilation compilation = {.result = {.program = program,
                                        .input_tape_ids = InputTapeIds(program),
                                        .single_threaded = true},
                             .groups = {},
                             .without = std::move(without),
                             .precision = Precision::kFloat32};
  RunPasses(Scope::kAll, compilation);
  return std::move(compilation.result);
}

void RunTileBatch(Compilation& compilation) {
  CompiledProgram& result = compilation.result;
  const auto cut = [&](int64_t rows, int64_t shard) {
    std::shared_ptr<const TiledBatch> tiles = TileBatch(
        result.program, rows,
        {.shard = shard, .number = static_cast<int>(result.tiles.size())},
        [&](const Program& tile) {
          return CompileTile(tile, compilation.without);
        });
    if (tiles == nullptr) return;
    result.program = tiles->tiling.outer;
    result.tiles.push_back(std::move(tiles));
  };
  const DataParallel& parallel = result.parallel;
  if (parallel.shards == 1) return cut(result.batch, 0);
  const int first = parallel.first_shard();
  for (int i = first; i < first + parallel.shards_per_rank(); ++i) {
    cut(RowsOfShard(result.batch, parallel.shards, i).size(), i + 1);
  }
}

CompiledProgram CompileForBatch(const Program& program, int64_t batch,
                                const std::vector<std::string>& without,
                                Precision precision,
                                const DataParallel& parallel) {
  Compilation compilation = {
      .result = {.batch = batch,
                 .program = program,
                 .input_tape_ids = InputTapeIds(program),
                 .fed_operands = FindFedOperands(program),
                 .parallel = parallel},
      .groups = {},
      .without = without,
      .precision = precision};
  RunPasses(Scope::kWholeBatch, compilation);
  return std::move(compilation.result);
}

// ---- From a graph to a plan ----

// What an op lacks to be run, or null.
const char* Missing(const OpDef& op) {
  const Traits& traits = op.traits;
  if (traits.source || traits.view || traits.uniform) return nullptr;
  if (traits.elementwise) return op.block == nullptr ? "block" : nullptr;
  return op.kernel == nullptr ? "kernel" : nullptr;
}

// The nodes of the program that only a reference can evaluate, a line each.
std::vector<std::string> WithoutKernels(const Program& program) {
  std::vector<std::string> mistakes;
  for (const Node& node : program.nodes) {
    const char* const missing = Missing(*node.op);
    if (missing == nullptr) continue;
    mistakes.push_back(absl::StrCat(node.loc.ToString(), ": ", node.op->name,
                                    ": the op has no ", missing,
                                    " to be run by"));
  }
  return mistakes;
}

absl::Status AllOf(const std::vector<std::string>& mistakes) {
  if (mistakes.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrJoin(mistakes, "\n"));
}

// For training, the assignments that belong to declarations which the plan
// depends on, but for variables that the options assign to.
std::vector<Assignment> TrainingAssignments(const Graph& graph,
                                            const CompileOptions& options,
                                            absl::Span<const Var> fetches) {
  std::vector<Assignment> added;
  const std::vector<Assignment>& assignments = options.updates.assignments;
  if (assignments.empty() || graph.training_assignments().empty()) return added;
  std::vector<Var> wanted(fetches.begin(), fetches.end());
  std::set<int> assigned;
  for (const Assignment& assignment : assignments) {
    wanted.push_back(assignment.value);
    assigned.insert(assignment.variable.id());
  }
  // What is added may depend on further ones.
  for (size_t before = 0; before != wanted.size();) {
    before = wanted.size();
    const std::vector<bool> needed =
        NodesNeededBy(graph, wanted, Mode::kTraining);
    for (const auto& [trigger, variable, value] :
         graph.training_assignments()) {
      if (!needed[trigger.id()]) continue;
      if (!assigned.insert(variable.id()).second) continue;
      wanted.push_back(value);
      added.push_back({variable, value});
    }
  }
  return added;
}

// Makes the last updates of the program only in runs where its last fetch holds.
// That fetch and those of these updates' variables, `count` before it, are
// fetched no more.
void GateUpdates(size_t count, Program& program) {
  const int condition = program.fetches.back();
  program.fetches.pop_back();
  for (size_t i = 0; i < count; ++i) {
    Program::Update& update =
        program.updates[program.updates.size() - count + i];
    const int old = program.fetches[program.fetches.size() - count + i];
    const Node& value = program.nodes[update.value];
    program.nodes.push_back({.op = &kKeepUnless,
                             .inputs = {condition, update.value, old},
                             .type = value.type,
                             .loc = value.loc});
    program.tape_ids.push_back(kNone);
    update.value = program.size() - 1;
  }
  program.fetches.resize(program.fetches.size() - count);
}

// The nodes that the options ask for.
Program ExtractFor(const Graph& graph, const CompileOptions& options,
                   std::vector<Var> fetches) {
  const Mode mode = options.mode.value_or(
      options.updates.assignments.empty() ? Mode::kInference : Mode::kTraining);
  std::vector<Assignment> assignments = options.updates.assignments;
  std::vector<Assignment> added;
  if (mode == Mode::kTraining) {
    added = TrainingAssignments(graph, options, fetches);
    assignments.insert(assignments.end(), added.begin(), added.end());
  }
  const bool is_gated = !added.empty() && !options.updates.not_skipped.empty();
  if (is_gated) {
    for (const Assignment& one : added) fetches.push_back(one.variable);
    fetches.push_back(options.updates.not_skipped);
  }
  Program program = Extract(graph, fetches, assignments, options.replace, mode);
  if (is_gated) GateUpdates(added.size(), program);
  return program;
}

absl::StatusOr<Plan> CompileOrThrow(const Graph& graph,
                                    const CompileOptions& options, Loc loc) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::string> mistakes =
      FindMistakes(graph, options, PassNames(), loc);
  if (const absl::Status declared = graph.status(); !declared.ok()) {
    mistakes.insert(mistakes.begin(), std::string(declared.message()));
    return absl::Status(declared.code(), absl::StrJoin(mistakes, "\n"));
  }
  if (!mistakes.empty()) return AllOf(mistakes);

  std::vector<Var> fetches = options.fetch;
  std::vector<std::string> output_names;
  for (const Output& output : options.outputs) {
    fetches.push_back(output.value);
    output_names.push_back(output.name);
  }
  Program program = ExtractFor(graph, options, fetches);
  mistakes = WithoutKernels(program);
  if (!mistakes.empty()) return AllOf(mistakes);
  if (absl::Status status = CheckMachine(program, options.precision);
      !status.ok()) {
    return status;
  }

  // Each value of the tape is looked at as it is made, so all must be there.
  std::vector<std::string> without = options.without;
  if (options.check_finite) {
    without = std::vector<std::string>(PassNames().begin(), PassNames().end());
  }
  auto impl = std::make_unique<Plan::Impl>(
      graph, std::move(program),
      Plan::Impl::Options{.fetches = std::move(fetches),
                          .output_names = std::move(output_names),
                          .threads = options.threads == 0 ? AvailableThreads()
                                                          : options.threads,
                          .compile =
                              [without, precision = options.precision,
                               parallel = options.parallel](
                                  const Program& bound, int64_t batch) {
                                return CompileForBatch(bound, batch, without,
                                                       precision, parallel);
                              },
                          .check_finite = options.check_finite,
                          .max_batch_sizes = std::max(
                              static_cast<size_t>(options.max_batch_sizes),
                              options.batch_sizes.size())});
  std::vector<int64_t> batch_sizes = options.batch_sizes;
  if (!impl->has_batch()) batch_sizes = {0};
  for (int64_t batch : batch_sizes) {
    const auto prepared = impl->Prepare(batch);
    if (!prepared.ok()) {
      mistakes.push_back(std::string(prepared.status().message()));
    }
  }
  if (!mistakes.empty()) return AllOf(mistakes);
  impl->set_compile_seconds(SecondsSince(start));
  return Plan(std::move(impl));
}

}  // namespace

absl::Span<const absl::string_view> PassNames() {
  static const auto& names = *new std::vector<absl::string_view>([] {
    std::vector<absl::string_view> names;
    for (const Pass& pass : kPasses) {
      if (pass.run_instead == nullptr) continue;
      if (std::find(names.begin(), names.end(), pass.name) == names.end()) {
        names.push_back(pass.name);
      }
    }
    return names;
  }());
  return names;
}

absl::StatusOr<Plan> Compile(const Graph& graph, const CompileOptions& options,
                             Loc loc) {
  const FloatingPointScope environment;
  try {
    return CompileOrThrow(graph, options, loc);
  } catch (...) {
    return CaughtStatus(CallText(loc, "Compile"));
  }
}

}  // namespace tape
