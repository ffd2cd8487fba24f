// Compile (compile.h): checks what is asked, then extracts and prepares. Tested
// by tests/compile_test.cc.
#include "framework/compiler/compile.h"

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "framework/compiler/lower_precision.h"
#include "framework/compiler/plan_impl.h"

namespace tape {
namespace {

absl::Status CheckVar(const Graph& graph, Var var, absl::string_view what) {
  if (var.graph() == &graph && var.valid()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "Compile: ", what,
      var.empty() ? " is an empty Var"
                  : (var.graph() == &graph ? " is not valid"
                                           : " is of another graph")));
}

absl::Status CheckOptions(const Graph& graph, const CompileOptions& options) {
  for (size_t i = 0; i < options.fetch.size(); ++i) {
    absl::Status status =
        CheckVar(graph, options.fetch[i], absl::StrCat("fetch ", i));
    if (!status.ok()) return status;
  }
  absl::flat_hash_set<int> updated;
  for (size_t i = 0; i < options.updates.assignments.size(); ++i) {
    const Assignment& assignment = options.updates.assignments[i];
    const std::string what = absl::StrCat("assignment ", i);
    absl::Status status = CheckVar(graph, assignment.variable,
                                   absl::StrCat("the variable of ", what));
    if (!status.ok()) return status;
    status =
        CheckVar(graph, assignment.value, absl::StrCat("the value of ", what));
    if (!status.ok()) return status;
    const Node& variable = graph.node(assignment.variable);
    if (variable.variable == kNone) {
      return absl::InvalidArgumentError(
          absl::StrCat("Compile: ", what, " is to no variable, but to ",
                       graph.Describe(assignment.variable.id())));
    }
    if (!(variable.type == assignment.value.type())) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Compile: ", what, " to \"", variable.name, "\" (",
          graph.Describe(assignment.variable.id()), ") has another type (",
          graph.Describe(assignment.value.id()), ")"));
    }
    if (!updated.insert(variable.variable).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("Compile: \"", variable.name, "\" (",
                       variable.loc.ToString(), ") is assigned to twice"));
    }
  }
  if (!options.replace.empty() && !options.updates.assignments.empty()) {
    return absl::InvalidArgumentError(
        "Compile: a plan with replacements cannot make updates");
  }
  for (const Replacement& replacement : options.replace) {
    TensorType types[2];
    const std::string* const names[2] = {&replacement.variable,
                                         &replacement.by};
    for (int i = 0; i < 2; ++i) {
      const int index = graph.variables().Find(*names[i]);
      if (index < 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("Compile: a replacement names \"", *names[i],
                         "\", which is no variable of the graph"));
      }
      types[i] = graph.variables()[index].value.type();
    }
    if (!(types[0] == types[1])) {
      return absl::InvalidArgumentError(
          absl::StrCat("Compile: \"", replacement.variable, "\" (",
                       types[0].ToString(), ") cannot be replaced by \"",
                       replacement.by, "\" (", types[1].ToString(), ")"));
    }
  }
  if (options.threads < 0 || options.threads > kMaxThreads) {
    return absl::InvalidArgumentError(
        absl::StrCat("Compile: expected 1 to ", kMaxThreads,
                     " threads, or 0 for all, found ", options.threads));
  }
  for (int64_t batch : options.batch_sizes) {
    if (batch < 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "Compile: expected a batch size of at least 0, found ", batch));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Plan> Compile(const Graph& graph,
                             const CompileOptions& options) {
  const auto start = std::chrono::steady_clock::now();
  if (absl::Status status = graph.status(); !status.ok()) return status;
  if (absl::Status status = CheckOptions(graph, options); !status.ok()) {
    return status;
  }
  const absl::StatusOr<PassSet> passes = PassSet::Without(options.without);
  if (!passes.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("Compile: ", passes.status().message()));
  }
  const int threads =
      options.threads == 0 ? AvailableThreads() : options.threads;
  Program program = Extract(graph, options.fetch, options.updates.assignments,
                            options.replace);
  if (options.precision == Precision::kBFloat16) {
    if (absl::Status status = CheckLowPrecision(program); !status.ok()) {
      return status;
    }
  }
  auto impl = std::make_unique<Plan::Impl>(
      graph, std::move(program), options.fetch,
      Executable::Options{.threads = threads,
                          .passes = *passes,
                          .precision = options.precision});
  std::vector<int64_t> batch_sizes = options.batch_sizes;
  if (!impl->has_batch()) batch_sizes = {0};
  for (int64_t batch : batch_sizes) {
    const auto prepared = impl->Prepare(batch);
    if (!prepared.ok()) return prepared.status();
  }
  impl->set_compile_seconds(
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
          .count());
  return Plan(std::move(impl));
}

int Fail(const absl::Status& status) {
  std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return 1;
}

}  // namespace tape
