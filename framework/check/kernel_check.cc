// CheckKernels (kernel_check.h). Tested by tests/check/kernel_check_test.cc.
#include "framework/check/kernel_check.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/compiler/compile.h"
#include "framework/compiler/passes.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"
#include "framework/core/random.h"

namespace tape {
namespace {

// How a plan is made.
struct Way {
  std::vector<std::string> without;
  int threads;

  std::string ToString() const {
    std::string text = without.empty()
                           ? "all passes"
                           : absl::StrCat("no ", absl::StrJoin(without, ", "));
    return absl::StrCat(" (", text, "; ", threads, " threads)");
  }
};

template <typename T>
Tensor Rounded(const Tensor& doubles) {
  Tensor rounded(TensorType{kDTypeOf<T>, doubles.shape()});
  for (int64_t i = 0; i < doubles.elements(); ++i) {
    rounded.values<T>()[i] = static_cast<T>(doubles.values<double>()[i]);
  }
  return rounded;
}

// The feeds in the dtypes that they were declared with.
ReferenceFeeds InDeclaredTypes(const ReferenceFeeds& feeds) {
  ReferenceFeeds rounded;
  for (const auto& feed : feeds) {
    if (!feed.first.valid()) {  // EvaluateReference says so.
      rounded.push_back(feed);
      continue;
    }
    const Tensor doubles = ToFloat64(feed.second);
    WithNumberOf(feed.first.dtype(), [&](auto number) {
      rounded.emplace_back(feed.first, Rounded<decltype(number)>(doubles));
    });
  }
  return rounded;
}

// Gives constants the values that a run has. With `in_range`, float32 nodes
// have float32's range as well: infinities beyond it, and no denormals. With
// `moved`, operands are moved as kernel_check.h says.
class Machine : public ReferenceObserver {
 public:
  struct Options {
    bool in_range = false;
    std::optional<RandomStream> random = std::nullopt;
    double moved = 0;
  };
  Machine(const Graph& graph, const Options& options)
      : graph_(graph), options_(options) {
    for (int id = 0; id < graph.size(); ++id) {
      const Node& node = graph.node(id);
      const Traits& traits = node.op->traits;
      const int forwards = traits.Forwards(Mode::kInference);
      const bool copies = traits.view || traits.identity || forwards >= 0;
      exact_.push_back(traits.source || traits.uniform ||
                       (copies && exact_[node.inputs[std::max(forwards, 0)]]));
    }
  }

  void OnOperand(int reader, int operand, Tensor& value) override {
    const Node& from = graph_.node(operand);
    if (from.type.dtype != DType::kFloat32) return;
    if (options_.in_range) LimitRange(value);
    const bool is_exact =
        from.op->traits.uniform ||
        (exact_[operand] && graph_.node(reader).op->traits.elementwise);
    if (!options_.random.has_value() || is_exact) return;
    for (double& x : value.values<double>()) {
      x *= 1 + options_.moved * (2 * options_.random->Uniform() - 1);
    }
    LimitRange(value);
  }

  void OnResult(int id, Tensor& value) override {
    const Node& node = graph_.node(id);
    if (node.op->traits.uniform) {
      for (double& x : value.values<double>()) x = AsInRun(node.type.dtype, x);
    } else if (options_.in_range && node.type.dtype == DType::kFloat32) {
      LimitRange(value);
    }
  }

 private:
  static void LimitRange(Tensor& value) {
    for (double& x : value.values<double>()) {
      if (std::fabs(x) < FLT_MIN) {
        x = std::copysign(0.0, x);
      } else if (std::isinf(static_cast<float>(x))) {
        x = static_cast<float>(x);
      }
    }
  }

  const Graph& graph_;
  Options options_;
  std::vector<bool> exact_;  // Nodes whose numbers no op has computed.
};

// What is right: for each fetch the references' values, in double and within
// float32's range, either of which will do; and those with errors.
struct Expected {
  std::vector<Tensor> exact, in_range;
  std::vector<std::vector<Tensor>> moved;
};

absl::StatusOr<Expected> Evaluate(absl::Span<const Var> fetches,
                                  const ReferenceFeeds& feeds,
                                  const KernelCheckOptions& options) {
  constexpr int kDraws = 4;
  absl::Status status;
  const auto evaluate = [&](const Machine::Options& how) {
    Machine machine(*GraphOf(fetches), how);
    absl::StatusOr<std::vector<Tensor>> values =
        EvaluateReference(fetches, feeds, {}, &machine, Loc());
    if (values.ok()) return *std::move(values);
    status = values.status();
    return std::vector<Tensor>();
  };
  Expected expected = {.exact = evaluate({}),
                       .in_range = evaluate({.in_range = true}),
                       .moved = {}};
  for (int draw = 0; status.ok() && draw < kDraws; ++draw) {
    expected.moved.push_back(
        evaluate({.in_range = true,
                  .random = RandomStream(0, static_cast<uint64_t>(draw)),
                  .moved = options.relative}));
  }
  if (!status.ok()) return status;
  return expected;
}

absl::StatusOr<std::vector<Tensor>> RunPlan(const Graph& graph,
                                            absl::Span<const Var> fetches,
                                            const ReferenceFeeds& feeds,
                                            const Way& way) {
  absl::StatusOr<Plan> plan =
      Compile(graph,
              {.fetch = {fetches.begin(), fetches.end()},
               .threads = way.threads,
               .without = way.without},
              Loc{});
  if (!plan.ok()) return plan.status();
  std::vector<Feed> fed;
  for (const auto& [var, tensor] : feeds) fed.push_back({var, tensor});
  if (absl::Status status = plan->Run(fed, Loc{}); !status.ok()) return status;
  std::vector<Tensor> values;
  for (Var fetch : fetches) {
    const TensorView view = plan->Value(fetch);
    values.push_back(Tensor(view.type()));
    if (view.type().bytes() == 0) continue;
    std::memcpy(values.back().data(), view.data(), view.type().bytes());
  }
  return values;
}

constexpr double kWrong = std::numeric_limits<double>::infinity();

// How many times the tolerance `found` is from the reference's; above 1 is
// wrong. `change`: what errors of earlier ops can make of it.
double Excess(DType dtype, double found, double expected, double change,
              const KernelCheckOptions& options) {
  if (dtype != DType::kFloat32) return found == expected ? 0 : kWrong;
  const float rounded = static_cast<float>(expected);
  if (std::isnan(rounded)) return std::isnan(found) ? 0 : kWrong;
  if (std::isinf(rounded)) return found == rounded ? 0 : kWrong;
  if (!std::isfinite(found)) return kWrong;
  // FLT_MIN: where the result is denormal, it may be 0.
  return std::fabs(found - rounded) / (options.relative * std::fabs(rounded) +
                                       options.absolute + FLT_MIN + change);
}

// How far element `i` of fetch `index` is moved by errors; nothing if they
// decide it.
std::optional<double> ChangeOf(DType dtype, const Expected& expected,
                               size_t index, int64_t i) {
  const double exact = expected.exact[index].values<double>()[i];
  double change = 0;
  for (const std::vector<Tensor>& draw : expected.moved) {
    const double moved = draw[index].values<double>()[i];
    if (moved == exact || (std::isnan(moved) && std::isnan(exact))) continue;
    if (dtype != DType::kFloat32) return std::nullopt;
    const double by = std::fabs(moved - exact);
    if (!std::isfinite(by)) return std::nullopt;
    change = std::max(change, by);
  }
  return change;
}

// What is wrong with `found`; empty if nothing is.
std::string Difference(const Graph& graph, Var fetch, const Tensor& found,
                       const Expected& all_expected, size_t index,
                       const KernelCheckOptions& options) {
  const Tensor& expected = all_expected.exact[index];
  if (!(found.shape() == expected.shape())) {
    return absl::StrCat(graph.Describe(fetch.id()), " has shape ",
                        found.shape().ToString(), ", the reference's ",
                        expected.shape().ToString());
  }
  const Tensor doubles = ToFloat64(found);
  double worst = 1;
  int64_t at = -1, wrong = 0;
  for (int64_t i = 0; i < found.elements(); ++i) {
    const std::optional<double> change =
        ChangeOf(found.dtype(), all_expected, index, i);
    if (!change.has_value()) continue;
    double excess = kWrong;
    for (const Tensor* const right :
         {&expected, &all_expected.in_range[index]}) {
      excess = std::min(excess,
                        Excess(found.dtype(), doubles.values<double>()[i],
                               right->values<double>()[i], *change, options));
    }
    if (!(excess > 1)) continue;
    ++wrong;
    if (excess <= worst) continue;
    worst = excess;
    at = i;
  }
  if (wrong == 0) return "";
  return absl::StrCat(
      graph.Describe(fetch.id()), " is ", doubles.values<double>()[at],
      " at element ", at, ", the reference's ", expected.values<double>()[at],
      "; the worst of ", wrong, " wrong among ", found.elements());
}

// The first node that a fetch depends on whose value differs from the
// reference's, in a plan that fetches them all.
std::string FirstDifference(Graph* graph, absl::Span<const Var> fetches,
                            const ReferenceFeeds& feeds,
                            const KernelCheckOptions& options) {
  std::vector<bool> needed(graph->size(), false);
  for (Var fetch : fetches) needed[fetch.id()] = true;
  for (int id = graph->size(); id-- > 0;) {
    if (!needed[id]) continue;
    for (int input : graph->node(id).inputs) needed[input] = true;
  }
  std::vector<Var> all;
  for (int id = 0; id < graph->size(); ++id) {
    if (needed[id]) all.push_back(Var(graph, id));
  }
  const Way way = {{PassNames().begin(), PassNames().end()}, 1};
  const auto found = RunPlan(*graph, all, feeds, way);
  const auto expected = Evaluate(all, feeds, options);
  if (!found.ok() || !expected.ok()) return "";
  for (size_t i = 0; i < all.size(); ++i) {
    const std::string wrong =
        Difference(*graph, all[i], (*found)[i], *expected, i, options);
    if (!wrong.empty())
      return absl::StrCat("\nthe first that differs: ", wrong);
  }
  return "\neach node agrees where all are fetched";
}

absl::Status CheckOrThrow(absl::Span<const Var> fetches,
                          const ReferenceFeeds& feeds,
                          const KernelCheckOptions& options) {
  Graph* const graph = GraphOf(fetches);
  if (graph == nullptr) {
    return absl::InvalidArgumentError(
        "CheckKernels: expected fetches, found none, or empty Vars");
  }
  const ReferenceFeeds rounded = InDeclaredTypes(feeds);
  const auto expected = Evaluate(fetches, rounded, options);
  if (!expected.ok()) return expected.status();
  for (const auto& [var, tensor] : rounded) {
    if (graph->node(var).variable == kNone) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "CheckKernels: a variable has what it holds, and cannot be "
        "fed, found ",
        graph->Describe(var.id())));
  }

  const std::vector<std::string> all(PassNames().begin(), PassNames().end());
  std::vector<Way> ways = {{{}, 1}, {{}, 2}, {all, 1}, {all, 2}};
  for (const std::string& pass : all) ways.push_back({{pass}, 1});
  std::vector<Tensor> before;
  for (const Way& way : ways) {
    absl::StatusOr<std::vector<Tensor>> found =
        RunPlan(*graph, fetches, rounded, way);
    if (!found.ok()) return found.status();
    for (size_t i = 0; i < fetches.size(); ++i) {
      const std::string wrong =
          Difference(*graph, fetches[i], (*found)[i], *expected, i, options);
      if (!wrong.empty()) {
        return absl::InternalError(absl::StrCat(
            graph->node(fetches[i]).loc.ToString(), ": CheckKernels: ", wrong,
            way.ToString(), FirstDifference(graph, fetches, rounded, options)));
      }
      if (way.threads == 2 && std::memcmp((*found)[i].data(), before[i].data(),
                                          before[i].type().bytes()) != 0) {
        return absl::InternalError(absl::StrCat(
            graph->node(fetches[i]).loc.ToString(),
            ": CheckKernels: ", graph->Describe(fetches[i].id()),
            " has other bits on two threads than on one", way.ToString()));
      }
    }
    before = *std::move(found);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckKernels(absl::Span<const Var> fetches,
                          const ReferenceFeeds& feeds,
                          const KernelCheckOptions& options, Loc loc) {
  const FloatingPointScope environment;
  absl::Status status;
  try {
    status = CheckOrThrow(fetches, feeds, options);
  } catch (...) {
    status = CaughtStatus("CheckKernels");
  }
  return AtCall(loc, "EvaluateReference", AtCall(loc, "CheckKernels", status));
}

}  // namespace tape
