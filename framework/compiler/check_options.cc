// The checks of CompileOptions (check_options.h). Tested by
// tests/compiler/compile_test.cc.
#include "framework/compiler/check_options.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/text.h"

namespace tape {
namespace {

// Finds all that is wrong with the options.
class OptionsChecker {
 public:
  OptionsChecker(const Graph& graph, const CompileOptions& options,
                 absl::Span<const absl::string_view> passes, Loc loc)
      : graph_(graph),
        options_(options),
        passes_(passes),
        call_(CallText(loc, "Compile")) {}

  // A line each.
  std::vector<std::string> Mistakes() {
    for (size_t i = 0; i < options_.fetch.size(); ++i) {
      IsOfGraph(options_.fetch[i], absl::StrCat("fetch ", i));
    }
    CheckOutputs();
    for (size_t i = 0; i < options_.updates.assignments.size(); ++i) {
      CheckAssignment(i);
    }
    if (const Var not_skipped = options_.updates.not_skipped;
        !not_skipped.empty() && IsOfGraph(not_skipped, "not_skipped") &&
        !(not_skipped.type() == TensorType{DType::kUint8, {}})) {
      Add(absl::StrCat("expected a not_skipped of uint8 and rank 0, found ",
                       graph_.Describe(not_skipped.id())));
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
    if (const absl::Status status = CheckDataParallel(options_.parallel);
        !status.ok()) {
      Add(status.message());
    }
    if (options_.check_finite && options_.parallel.shards != 1) {
      Add(absl::StrCat("expected check_finite of a batch of one shard, found ",
                       options_.parallel.shards, " shards"));
    }
    for (int64_t batch : options_.batch_sizes) {
      if (batch >= 0) continue;
      Add(absl::StrCat("expected a batch size of at least 0, found ", batch));
    }
    if (options_.max_batch_sizes < 1) {
      Add(absl::StrCat("expected max_batch_sizes of at least 1, found ",
                       options_.max_batch_sizes));
    }
    for (const std::string& name : options_.without) {
      if (std::find(passes_.begin(), passes_.end(), name) != passes_.end()) {
        continue;
      }
      Add(absl::StrCat("there is no pass \"", Printable(name),
                       "\" to leave out; known are ",
                       absl::StrJoin(passes_, ", ")));
    }
    return std::move(mistakes_);
  }

 private:
  void Add(absl::string_view message) {
    mistakes_.push_back(absl::StrCat(call_, ": ", message));
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
    std::set<absl::string_view> names;
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
  const absl::Span<const absl::string_view> passes_;
  const std::string call_;
  std::set<int> updated_;
  std::vector<std::string> mistakes_;
};

}  // namespace

std::vector<std::string> FindMistakes(
    const Graph& graph, const CompileOptions& options,
    absl::Span<const absl::string_view> passes, Loc loc) {
  return OptionsChecker(graph, options, passes, loc).Mistakes();
}

}  // namespace tape
