// Program: what the compiler works on. A copy of the part of a tape that a plan
// needs, nodes renumbered, still in topological order. First with kBatch in its
// shapes; Bind makes the copy for one batch size that the passes rewrite.
// Tested by tests/compiler/passes_test.cc.
#ifndef TAPE_FRAMEWORK_RUNTIME_PROGRAM_H_
#define TAPE_FRAMEWORK_RUNTIME_PROGRAM_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/core/exceptions.h"
#include "framework/core/graph.h"
#include "framework/core/updates.h"

namespace tape {

struct Program {
  struct Update {
    int variable;  // Index in Variables.
    int value;     // A node.
  };

  std::vector<Node> nodes;
  std::vector<int> tape_ids;  // Where each node stands on the tape; kNone if
                              // the compiler made it.
  std::vector<int> fetches;
  std::vector<Update> updates;

  int size() const { return static_cast<int>(nodes.size()); }
  const Node& operator[](int id) const { return nodes[id]; }

  // The nodes that are fed, in order.
  std::vector<int> Inputs() const;

  // The node that owns the memory in which node `id` is seen: itself unless it
  // is a view.
  int StorageOf(int id) const {
    while (nodes[id].op->traits.view) id = nodes[id].inputs[0];
    return id;
  }
  // The same of every node, in time linear in their number: views may be views
  // of views.
  std::vector<int> Storages() const;
};

// The nodes that the fetches and the updates depend on in that mode, with the
// variables that `replace` names replaced; what only forwards an input
// (Traits::Forwards) is left out.
Program Extract(const Graph& graph, absl::Span<const Var> fetches,
                absl::Span<const Assignment> assignments,
                absl::Span<const Replacement> replace = {},
                Mode mode = Mode::kInference);

// The program with every kBatch, in types and attributes, replaced by `batch`.
Program Bind(const Program& program, int64_t batch);

// Returns what `call` does, a call of a part of the node's op, "shape rule". If
// that throws, throws a StatusError (exceptions.h) with op and line.
template <typename Call>
auto CallOf(const Node& node, absl::string_view part, const Call& call) {
  try {
    return call();
  } catch (...) {
    throw StatusError(CaughtStatus(absl::StrCat(
        node.loc.ToString(), ": ", node.op->name, ": its ", part)));
  }
}
// A StatusError that says what a part of a node's op has done wrong: "gave no
// kernel".
StatusError MistakeOf(const Node& node, absl::string_view mistake);

// `value` as a run has it in a node of that dtype: rounded, and a denormal
// taken for a zero of its sign.
double AsInRun(DType dtype, double value);

// ", with a batch of 100 samples", for errors.
std::string WithBatch(int64_t batch);

// Stable text: a line a node, then fetches and updates.
std::string Dump(const Program& program);

// The nodes whose type is not what their op's shape rule gives for them, or has
// more than kMaxElements elements, as an error with `suffix` and the line of
// each: a rule may refuse what a batch size makes of a shape. After 20 they are
// counted.
absl::Status CheckTypes(const Program& program, absl::string_view suffix = "");

// Where each of program.Inputs() stands on the tape, by which an input is known
// again after passes have renumbered the nodes.
std::vector<int> InputTapeIds(const Program& program);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_RUNTIME_PROGRAM_H_
