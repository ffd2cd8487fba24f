// A thousand random programs from the whole vocabulary: plans, whatever their
// threads and passes, compute what the references do, gradients of both orders
// and updates of variables included. Each is run on ordinary numbers, and on
// some with special values among them: zeros of both signs, infinities, NaN,
// denormals, the ends of float32's range, huge logits and masked classes. By 1,
// 2 and 3 threads the bits are the same.
//
// The environment variable RANDOM_PROGRAMS asks for another number of programs,
// each of which is then run without each of the passes in turn, not without one
// of them: bazel test --test_env=RANDOM_PROGRAMS=10000. RANDOM_PROGRAM_SEED
// asks for the one of that seed.
//
// How far a plan may be from the references is found for each element of each
// program. A kernel is taken to give f(x + dx) + dy for its operands x, where
// dx and dy are within some roundings of x and y, as the sample table
// (tests/ops/op_samples.h) holds each to. So the references are run several times
// more, each operand of each node and each result moved at random, each element
// and each reading by itself, by up to kMoved = 2^-20 of it, that is 16
// roundings. An op rounds a few times, at random too, so the largest change
// seen in kDraws such runs is a few times what roundings add up to, by whatever
// way they reach the element: through cancellation, a small divisor or a long
// chain. Twice that is allowed.
//
// One run more has float32's range, every node beyond it infinite and every
// denormal 0; so have those that are moved, where denormals are 0 at random.
//
// Where a kink or a step is within reach of roundings, the program magnifies
// them, or a value within is beyond the range, runs differ by more than
// kUnstable: such an element says nothing and is counted instead, and there may
// be few of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/random.h"
#include "framework/framework.h"
#include "ops/ops.h"
#include "tests/ops/random_program.h"

namespace tape {
namespace {

constexpr int kPrograms = 1000;
constexpr int kMaxOps = 30;
constexpr int kDraws =
    12;  // A sign at random is the same in 13 runs 1 in 4096 times.
constexpr double kUnstable = 1e-3;  // Of an element, or of 1 if it is smaller.

// ---- What is found ----

struct Counts {
  int64_t elements = 0;
  int64_t derivatives = 0;  // Of these, what Gradients gave.
  int64_t unstable = 0;     // Of the elements.
  int64_t infinite = 0;     // Not finite, and rightly so.
};

// What of `found` is not as `exact` within what `moved` allow; or empty.
std::string Difference(const Tensor& found, const Tensor& exact,
                       absl::Span<const Tensor* const> moved, Counts* counts) {
  if (!(found.shape() == exact.shape())) {
    return absl::StrCat("has shape ", found.shape().ToString(),
                        ", the reference's ", exact.shape().ToString());
  }
  const auto same = [](double a, double b) {
    return a == b || (std::isnan(a) && std::isnan(b));
  };
  for (int64_t i = 0; i < exact.elements(); ++i) {
    const double y = exact.values<double>()[i];
    const double f = found.values<double>()[i];
    ++counts->elements;
    double change = 0;
    bool settled = true;  // Whether it is the same infinity, or NaN, in all.
    for (const Tensor* tensor : moved) {
      const double other = tensor->values<double>()[i];
      settled = settled && same(y, other);
      const double moved_by = std::fabs(other - y);
      change = std::isnan(moved_by) ? std::numeric_limits<double>::infinity()
                                    : std::max(change, moved_by);
    }
    if (!std::isfinite(y) && settled) {
      ++counts->infinite;
      if (!same(y, f)) return absl::StrCat("[", i, "] is ", f, ", not ", y);
      continue;
    }
    if (!std::isfinite(change) ||
        change > kUnstable * std::max(1.0, std::fabs(y))) {
      ++counts->unstable;
      continue;
    }
    // What is fetched is rounded once at least.
    const double allowed = 2 * change + 0x1p-23 * std::fabs(y) + FLT_MIN;
    if (!(std::fabs(f - y) <= allowed)) {
      return absl::StrCat("[", i, "] is ", f, ", the reference's ", y,
                          ", and no more than ", allowed, " is allowed");
    }
  }
  return "";
}

// What a plan is made of.
struct Way {
  int threads;
  std::vector<std::string> without = {};

  std::string ToString() const {
    return absl::StrCat(threads, " threads, without {",
                        absl::StrJoin(without, ", "), "}");
  }
};

// All passes by 1, 2 and 3 threads; then without some passes, without one, or
// without each in turn.
std::vector<Way> DrawWays(RandomStream random, bool each_pass) {
  const auto below = [&](int64_t n) {
    return static_cast<int>(random.Below(static_cast<uint32_t>(n)));
  };
  std::vector<Way> ways = {{1}, {2}, {3}, {1 + below(3)}};
  for (absl::string_view pass : PassNames()) {
    if (below(3) == 0) ways.back().without.emplace_back(pass);
  }
  const int only = below(PassNames().size());
  for (int pass = 0; pass < static_cast<int>(PassNames().size()); ++pass) {
    if (each_pass || pass == only) {
      ways.push_back({1 + below(3), {std::string(PassNames()[pass])}});
    }
  }
  return ways;
}

std::vector<Tensor> VariablesOf(const Graph& graph) {
  std::vector<Tensor> values;
  for (int i = 0; i < graph.variables().size(); ++i) {
    values.push_back(graph.variables()[i].value);
  }
  return values;
}

// What a random program is asked for.
struct Question {
  std::vector<Var> fetches;
  size_t derivatives = 0;  // The fetches from 1 on are so many derivatives.
  std::vector<Assignment> assignments;

  // All that is compared: fetches, then the values assigned.
  std::vector<Var> Nodes() const {
    std::vector<Var> nodes = fetches;
    for (const Assignment& to : assignments) nodes.push_back(to.value);
    return nodes;
  }
};

// A loss of late nodes, its derivatives, and sometimes those of these; some
// other nodes; and updates.
Question DrawQuestion(RandomProgram& p, RandomStream random) {
  const auto below = [&](int64_t n) {
    return static_cast<int>(random.Below(static_cast<uint32_t>(n)));
  };
  std::vector<Var> sources = p.graph.parameters();
  sources.insert(sources.end(), {p.floats[3], p.floats[4]});
  const auto late = [&] {
    const int n = static_cast<int>(p.floats.size());
    return p.floats[n - 1 - below(std::min(n, 4))];
  };
  const Var loss = Mean(late()) + Sum(Sin(late()));
  const std::vector<Var> gradients =
      Gradients(loss, sources, {.unconnected = Unconnected::kZero});
  Question question;
  std::vector<Var>& fetches = question.fetches;
  fetches = {loss};
  fetches.insert(fetches.end(), gradients.begin(), gradients.end());
  if (below(3) == 0 && p.graph.status().ok()) {
    std::vector<Var> sums;
    for (Var gradient : gradients) sums.push_back(Sum(Sin(gradient)));
    const std::vector<Var> second =
        Gradients(AddN(sums), sources, {.unconnected = Unconnected::kZero});
    fetches.insert(fetches.end(), second.begin(), second.end());
  }
  question.derivatives = fetches.size() - 1;
  for (const std::vector<Var>* nodes : {&p.floats, &p.masks, &p.integers}) {
    for (int i = below(4); i > 0 && !nodes->empty(); --i) {
      const Var fetch = (*nodes)[below(nodes->size())];
      if (std::find(fetches.begin(), fetches.end(), fetch) == fetches.end()) {
        fetches.push_back(fetch);
      }
    }
  }
  if (below(2) == 0 && p.graph.status().ok()) {
    for (size_t i = 0; i < p.graph.parameters().size(); ++i) {
      if (below(2) == 0) continue;
      const Var w = sources[i];
      const Var change = below(2) == 0 ? gradients[i] : Tanh(gradients[i]);
      question.assignments.push_back({w, w - 0.05 * change});
    }
  }
  return question;
}

// One run of a plan: what was asked for, in order.
absl::StatusOr<std::vector<Tensor>> RunOnce(RandomProgram& p, Plan& plan,
                                            const Question& question,
                                            const ReferenceFeeds& feeds) {
  std::vector<Feed> fed;
  for (const auto& [input, tensor] : feeds) fed.push_back({input, tensor});
  if (absl::Status status = plan.Run(fed); !status.ok()) return status;
  std::vector<Tensor> found;
  for (Var fetch : question.fetches) {
    const TensorView view = plan.Value(fetch);
    found.push_back(Tensor(view.type()));
    if (view.type().bytes() == 0) continue;
    std::memcpy(found.back().data(), view.data(), view.type().bytes());
  }
  for (const Assignment& to : question.assignments) {
    found.push_back(p.graph.Value(to.variable));
  }
  return found;
}

// Runs a random program in all ways, on ordinary and on special numbers; what
// is wrong with it, or empty.
std::string Check(uint64_t seed, int max_ops, bool each_pass, Counts* counts) {
  RandomProgram p(seed, max_ops);
  const Question question = DrawQuestion(p, RandomStream(seed, 2));
  const std::vector<Way> ways = DrawWays(RandomStream(seed, 3), each_pass);
  const std::vector<Var> nodes = question.Nodes();
  std::vector<Plan> plans;
  for (const Way& way : ways) {
    absl::StatusOr<Plan> plan =
        Compile(p.graph, {.fetch = question.fetches,
                          .updates = {.assignments = question.assignments},
                          .threads = way.threads,
                          .without = way.without});
    if (!plan.ok()) return std::string(plan.status().message());
    plans.push_back(*std::move(plan));
  }

  for (int run = 0; run < 2; ++run) {
    const bool special = run == 1;
    const int64_t batch = special ? 1 + p.Below(6) : 4;
    const ReferenceFeeds feeds = p.Feeds(batch, special);
    std::vector<Interpreter> interpreters;
    interpreters.reserve(kDraws + 2);
    interpreters.emplace_back(&p.graph, batch, feeds,
                              Interpreter::Range::kDouble);
    interpreters.emplace_back(&p.graph, batch, feeds,
                              Interpreter::Range::kFloat32);
    for (int draw = 0; draw < kDraws; ++draw) {
      interpreters.emplace_back(&p.graph, batch, feeds,
                                Interpreter::Range::kFloat32,
                                RandomStream(seed, 100 + draw));
    }
    for (Interpreter& interpreter : interpreters) {  // Before the updates.
      for (Var node : nodes) interpreter.Value(node);
    }
    const std::vector<Tensor> before = VariablesOf(p.graph);
    std::vector<Tensor> first, updated;
    for (size_t w = 0; w < ways.size(); ++w) {
      // Each way starts from the same variables.
      for (Var parameter : p.graph.parameters()) {
        const int variable = p.graph.node(parameter).variable;
        const absl::Status status =
            p.graph.SetValue(parameter, before[variable]);
        if (!status.ok()) return std::string(status.message());
      }
      const auto found = RunOnce(p, plans[w], question, feeds);
      if (!found.ok()) return std::string(found.status().message());
      for (size_t i = 0; i < nodes.size(); ++i) {
        const auto wrong = [&](absl::string_view what) {
          return absl::StrCat(
              "run ", run, " at batch ", batch, ", ", ways[w].ToString(), ": ",
              i < question.fetches.size() ? "fetch " : "update ", i, ", ",
              p.graph.Describe(nodes[i].id()), " (", nodes[i].id(), ") ", what,
              "\n", p.graph.Dump());
        };
        if (w > 0 && ways[w].without.empty() &&
            std::memcmp((*found)[i].data(), first[i].data(),
                        first[i].type().bytes()) != 0) {
          return wrong("has other bits than by one thread");
        }
        std::vector<const Tensor*> moved;
        for (size_t k = 1; k < interpreters.size(); ++k) {
          moved.push_back(&interpreters[k].Value(nodes[i]));
        }
        const int64_t elements = counts[run].elements;
        const std::string difference =
            Difference(ToFloat64((*found)[i]), interpreters[0].Value(nodes[i]),
                       moved, &counts[run]);
        if (i > 0 && i <= question.derivatives) {
          counts[run].derivatives += counts[run].elements - elements;
        }
        if (!difference.empty()) return wrong(difference);
      }
      if (w > 0) continue;
      first = *found;
      updated = VariablesOf(p.graph);
    }
    // The next run goes on from what the first way made.
    for (Var parameter : p.graph.parameters()) {
      const absl::Status status = p.graph.SetValue(
          parameter, updated[p.graph.node(parameter).variable]);
      if (!status.ok()) return std::string(status.message());
    }
  }
  return "";
}

// The number in an environment variable, or nothing.
std::optional<int> FromEnvironment(const char* name) {
  const char* const text = std::getenv(name);
  int number;
  if (text == nullptr || !absl::SimpleAtoi(text, &number)) return std::nullopt;
  return number;
}

void Print(const char* numbers, const Counts& counts) {
  std::printf(
      "  %s: %lld elements, %lld of them derivatives; %lld unstable, %lld not "
      "finite\n",
      numbers, static_cast<long long>(counts.elements),
      static_cast<long long>(counts.derivatives),
      static_cast<long long>(counts.unstable),
      static_cast<long long>(counts.infinite));
}

TEST(RandomProgramsTest, PlansAgreeWithTheReferences) {
  const std::optional<int> asked = FromEnvironment("RANDOM_PROGRAMS");
  const std::optional<int> one = FromEnvironment("RANDOM_PROGRAM_SEED");
  const bool each_pass = asked.has_value() || one.has_value();
  const int first = one.value_or(0);
  const int end = one.has_value() ? first + 1 : asked.value_or(kPrograms);
  Counts counts[2];  // On ordinary numbers, and with special ones.
  for (int seed = first; seed < end; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    const int ops = 1 + seed % kMaxOps;
    if (Check(seed, ops, each_pass, counts).empty()) continue;
    // The same with fewer ops is a part of it, and easier to read.
    for (int fewer = 0; fewer <= ops; ++fewer) {
      Counts ignored[2];
      const std::string wrong = Check(seed, fewer, each_pass, ignored);
      if (wrong.empty()) continue;
      ADD_FAILURE() << "with " << fewer << " of " << ops << " ops: " << wrong;
      break;
    }
    if (!asked.has_value() && HasFailure()) break;
  }
  std::printf("%d programs\n", end - first);
  Print("ordinary numbers", counts[0]);
  Print("special numbers", counts[1]);
  if (one.has_value()) return;
  EXPECT_LT(counts[0].unstable, counts[0].elements / 50);
  EXPECT_LT(counts[0].infinite, counts[0].elements / 1000);
  EXPECT_LT(counts[1].unstable, counts[1].elements / 5);
  EXPECT_LT(counts[1].infinite, counts[1].elements * 3 / 4);
  for (size_t rule = 0; rule < RuleUses().size(); ++rule) {
    EXPECT_GE(RuleUses()[rule], 20) << "rule " << rule << " of the table";
  }
}

}  // namespace
}  // namespace tape
