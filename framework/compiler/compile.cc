// Compile (compile.h): checks what is asked, then extracts and prepares. Tested
// by tests/compile_test.cc.
#include "framework/compiler/compile.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "framework/compiler/lower_precision.h"
#include "framework/compiler/plan_impl.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"
#include "framework/core/text.h"

namespace tape {
namespace {

// Finds all that is wrong with the options.
class OptionsChecker {
 public:
  OptionsChecker(const Graph& graph, const CompileOptions& options, Loc loc)
      : graph_(graph), options_(options), loc_(loc) {}

  // A line each.
  std::vector<std::string> Mistakes() {
    for (size_t i = 0; i < options_.fetch.size(); ++i) {
      IsOfGraph(options_.fetch[i], absl::StrCat("fetch ", i));
    }
    CheckOutputs();
    for (size_t i = 0; i < options_.updates.assignments.size(); ++i) {
      CheckAssignment(i);
    }
    if (!options_.replace.empty() && !options_.updates.assignments.empty()) {
      Add("a plan with replacements cannot make updates");
    }
    for (const Replacement& replacement : options_.replace) {
      CheckReplacement(replacement);
    }
    if (options_.threads < 0 || options_.threads > kMaxThreads) {
      Add(absl::StrCat("expected 1 to ", kMaxThreads,
                       " threads, or 0 for all, found ", options_.threads));
    }
    for (int64_t batch : options_.batch_sizes) {
      if (batch >= 0) continue;
      Add(absl::StrCat("expected a batch size of at least 0, found ", batch));
    }
    if (options_.max_batch_sizes < 1) {
      Add(absl::StrCat("expected max_batch_sizes of at least 1, found ",
                       options_.max_batch_sizes));
    }
    const absl::StatusOr<PassSet> passes = PassSet::Without(options_.without);
    if (!passes.ok()) Add(passes.status().message());
    return std::move(mistakes_);
  }

 private:
  void Add(absl::string_view message) {
    mistakes_.push_back(
        loc_.line > 0 ? absl::StrCat(loc_.ToString(), ": Compile: ", message)
                      : absl::StrCat("Compile: ", message));
  }

  bool IsOfGraph(Var var, absl::string_view what) {
    if (!graph_.Has(var)) {
      Add(absl::StrCat(what, " is ",
                       var.empty() ? var.WhyEmpty() : "of another graph"));
      return false;
    }
    // What is not valid for a mistake that the graph has kept is named there.
    if (!var.valid() && graph_.status().ok()) {
      Add(absl::StrCat(what, " is not valid"));
    }
    return var.valid();
  }

  void CheckOutputs() {
    absl::flat_hash_set<absl::string_view> names;
    for (const Output& output : options_.outputs) {
      const std::string what =
          absl::StrCat("output \"", Printable(output.name), "\"");
      IsOfGraph(output.value, what);
      if (output.name.empty()) Add("expected a name of an output, found none");
      if (!names.insert(output.name).second) {
        Add(absl::StrCat(what, " is there twice"));
      }
    }
  }

  void CheckAssignment(size_t i) {
    const Assignment& assignment = options_.updates.assignments[i];
    const std::string what = absl::StrCat("assignment ", i);
    const bool has_variable =
        IsOfGraph(assignment.variable, absl::StrCat("the variable of ", what));
    const bool has_value =
        IsOfGraph(assignment.value, absl::StrCat("the value of ", what));
    if (!has_variable) return;
    const Node& variable = graph_.node(assignment.variable);
    if (variable.variable == kNone) {
      Add(absl::StrCat(what, " is to no variable, but to ",
                       graph_.Describe(assignment.variable.id())));
      return;
    }
    if (!updated_.insert(variable.variable).second) {
      Add(absl::StrCat("\"", Printable(variable.name), "\" (",
                       variable.loc.ToString(), ") is assigned to twice"));
    }
    if (has_value && !(variable.type == assignment.value.type())) {
      Add(absl::StrCat(what, " to \"", Printable(variable.name), "\" (",
                       graph_.Describe(assignment.variable.id()),
                       ") has another type (",
                       graph_.Describe(assignment.value.id()), ")"));
    }
  }

  void CheckReplacement(const Replacement& replacement) {
    const TensorType* types[2] = {};
    const std::string* const names[2] = {&replacement.variable,
                                         &replacement.by};
    for (int i = 0; i < 2; ++i) {
      const int index = graph_.variables().Find(*names[i]);
      if (index < 0) {
        Add(absl::StrCat("a replacement names \"", Printable(*names[i]),
                         "\", which is no variable of the graph"));
      } else {
        types[i] = &graph_.variables()[index].value.type();
      }
    }
    if (types[0] == nullptr || types[1] == nullptr || *types[0] == *types[1]) {
      return;
    }
    Add(absl::StrCat("\"", Printable(replacement.variable), "\" (",
                     types[0]->ToString(), ") cannot be replaced by \"",
                     Printable(replacement.by), "\" (", types[1]->ToString(),
                     ")"));
  }

  const Graph& graph_;
  const CompileOptions& options_;
  const Loc loc_;
  absl::flat_hash_set<int> updated_;
  std::vector<std::string> mistakes_;
};

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

absl::StatusOr<Plan> CompileOrThrow(const Graph& graph,
                                    const CompileOptions& options, Loc loc) {
  const auto start = std::chrono::steady_clock::now();
  std::vector<std::string> mistakes =
      OptionsChecker(graph, options, loc).Mistakes();
  if (absl::Status status = graph.status(); !status.ok()) {
    mistakes.insert(mistakes.begin(), std::string(status.message()));
  }
  if (!mistakes.empty()) {
    return absl::InvalidArgumentError(absl::StrJoin(mistakes, "\n"));
  }
  const PassSet passes = *PassSet::Without(options.without);
  const int threads =
      options.threads == 0 ? AvailableThreads() : options.threads;
  std::vector<Var> fetches = options.fetch;
  std::vector<std::string> output_names;
  for (const Output& output : options.outputs) {
    fetches.push_back(output.value);
    output_names.push_back(output.name);
  }
  Program program =
      Extract(graph, fetches, options.updates.assignments, options.replace);
  mistakes = WithoutKernels(program);
  if (!mistakes.empty()) {
    return absl::InvalidArgumentError(absl::StrJoin(mistakes, "\n"));
  }
  if (absl::Status status = CheckMachine(program, options.precision);
      !status.ok()) {
    return status;
  }
  auto impl = std::make_unique<Plan::Impl>(
      graph, std::move(program),
      Plan::Impl::Options{
          .fetches = std::move(fetches),
          .output_names = std::move(output_names),
          .executable = {.threads = threads,
                         .passes =
                             options.check_finite ? PassSet::None() : passes,
                         .precision = options.precision},
          .check_finite = options.check_finite,
          .max_batch_sizes =
              std::max(static_cast<size_t>(options.max_batch_sizes),
                       options.batch_sizes.size())});
  std::vector<int64_t> batch_sizes = options.batch_sizes;
  if (!impl->has_batch()) batch_sizes = {0};
  for (int64_t batch : batch_sizes) {
    const auto prepared = impl->Prepare(batch);
    if (!prepared.ok()) {
      mistakes.push_back(std::string(prepared.status().message()));
    }
  }
  if (!mistakes.empty()) {
    return absl::InvalidArgumentError(absl::StrJoin(mistakes, "\n"));
  }
  impl->set_compile_seconds(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count());
  return Plan(std::move(impl));
}

}  // namespace

absl::StatusOr<Plan> Compile(const Graph& graph, const CompileOptions& options,
                             Loc loc) {
  const FloatingPointScope environment;
  try {
    return CompileOrThrow(graph, options, loc);
  } catch (...) {
    return CaughtStatus(CallText(loc, "Compile"));
  }
}

int Fail(const absl::Status& status) {
  // Messages quote names of files: these must not command the terminal.
  for (absl::string_view line : absl::StrSplit(status.message(), '\n')) {
    std::fprintf(stderr, "%s\n", Printable(line).c_str());
  }
  return 1;
}

}  // namespace tape
