// Graph: the tape. An append-only list of nodes, each an op on earlier nodes,
// so the list is in topological order by construction and every walk over it is
// a loop.
//
// Where to read on: tensor_type.h (shapes) and op.h (what a node's op brings)
// come before this file; after it gradients.h and calculus.h (nodes that
// compute derivatives), ../compiler/compile.h (from nodes to a plan),
// ../../ops/ops.h (the vocabulary), ../optim/transform.h (who consumes
// gradients).
//
// A mistake in a declaration is neither thrown nor returned. The graph records
// an error with the user's file and line, and the op returns an invalid Var.
// Ops on an invalid Var return invalid Vars without a further error. Compile
// returns the recorded errors. All accessors of an invalid Var are safe to
// call: its type is float32 of rank 0, its name is empty, and its dimensions
// are kNoDim, which cause no further errors. Tested by
// tests/core/graph_test.cc and tests/core/handles_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_GRAPH_H_
#define TAPE_FRAMEWORK_CORE_GRAPH_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/core/initializer.h"
#include "framework/core/loc.h"
#include "framework/core/op.h"
#include "framework/core/op_store.h"
#include "framework/core/tensor_type.h"
#include "framework/core/variables.h"

namespace tape {

inline constexpr int kNone = -1;

// A weak reference to a graph. It stays safe to use after the graph has been
// destroyed, even if a new graph has the same address.
class GraphHandle {
 public:
  GraphHandle() = default;  // Of no graph.

  // Null if there never was one, or it has gone.
  Graph* graph() const {
    const bool is_there =
        slot_ != nullptr &&
        slot_->number.load(std::memory_order_acquire) == number_;
    return is_there ? slot_->graph.load(std::memory_order_acquire) : nullptr;
  }
  // Whether it was of a graph from the start.
  bool had_graph() const { return slot_ != nullptr; }

  friend bool operator==(GraphHandle a, GraphHandle b) {
    return a.slot_ == b.slot_ && a.number_ == b.number_;
  }

 private:
  friend class Graph;
  // Never freed; the next graph that takes it has another number.
  struct Slot {
    std::atomic<uint32_t> number = 0;
    std::atomic<Graph*> graph = nullptr;
  };
  static GraphHandle Make(Graph* graph);
  void Drop();  // Ends all handles that are equal to this one.

  Slot* slot_ = nullptr;
  uint32_t number_ = 0;
};

// A handle to one node of one graph: what user code passes around. Never holds
// numbers. Of a graph that has gone it is empty.
class Var {
 public:
  Var() = default;  // Empty: of no graph.
  Var(Graph* graph, int id);
  // Returns the result of `op` at `loc` if none of its operands has a graph
  // that could record the error: an empty Var. Its WhyEmpty names op and line.
  static Var WithoutGraph(absl::string_view op, Loc loc);

  // False for an empty Var and for the result of a mistaken declaration.
  bool valid() const;
  bool empty() const { return graph() == nullptr; }
  Graph* graph() const { return handle_.graph(); }
  const GraphHandle& handle() const { return handle_; }
  // The node's place on the tape; negative if not valid.
  int id() const { return id_; }

  // float32 of rank 0 if not valid.
  const TensorType& type() const;
  const Shape& shape() const { return type().shape; }
  DType dtype() const { return type().dtype; }

  // "an empty Var", with the line that it comes from if it is known, or "a Var
  // whose graph has gone".
  std::string WhyEmpty() const;

  friend bool operator==(Var a, Var b) {
    return a.handle_ == b.handle_ && a.id_ == b.id_;
  }

 private:
  GraphHandle handle_;
  int id_ = kNone;
};

// A gradient rule (op.h) that is part of one declaration, and may hold what it
// needs of it.
using UserGradientRule =
    std::function<Adjoints(absl::Span<const Var> x, Var y, Var gy)>;

// One record of the tape. Never knows how it runs.
struct Node {
  const OpDef* op;
  absl::InlinedVector<int, 3> inputs = {};  // Ids of earlier nodes.
  Attributes attributes = {};
  TensorType type = {};
  std::string name = {};    // Of inputs and variables; else empty.
  Loc loc = {};             // The user's line.
  int variable = kNone;     // Of a variable: its index in Graph::variables().
  int gradient_of = kNone;  // The node whose gradient rule declared this one.
};

struct GraphOptions {
  // Initializers draw from (seed, variable name).
  uint64_t seed = 0;
};

class Graph {
 public:
  explicit Graph(GraphOptions options = {});
  ~Graph();
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  // Numbers fed to each run. Names of inputs and variables are unique together.
  Var Input(absl::string_view name, Shape shape, DType dtype = DType::kFloat32,
            Loc loc = Loc::Current());

  // A float32 variable to be trained. The shape must be bound. Refused for
  // variables, because files have them for themselves: the name "__metadata__",
  // and names that begin with "@".
  Var Parameter(absl::string_view name, Shape shape,
                const Initializer& initializer, Tag tag = Tag::kAuto,
                Loc loc = Loc::Current());

  // A float32 or int32 variable that is not trained: optimiser state, counters,
  // constants.
  Var State(absl::string_view name, Shape shape, const Initializer& initializer,
            DType dtype = DType::kFloat32, Loc loc = Loc::Current());

  // How many runs there were of plans for training that make updates and depend
  // on it: int32 of rank 0, the State "training_step", which the first call
  // declares, and which stays at the largest int32. What a declaration draws by
  // it, such as Dropout, differs from run to run without an optimiser's counter.
  Var Step(Loc loc = Loc::Current());

  // An assignment that belongs to a declaration, such as that of a running
  // statistic. Each run of a plan for training makes it that makes updates and
  // depends on `trigger`, unless the run is skipped (Updates::not_skipped).
  // Updates that assign to the variable take its place.
  struct TrainingAssignment {
    Var trigger;
    Var variable;
    Var value;
  };
  // A mistake, which the graph keeps: a Var that is of another graph; a variable
  // that is none, or not of its value's type.
  void AddTrainingAssignment(const TrainingAssignment& assignment,
                             Loc loc = Loc::Current());
  absl::Span<const TrainingAssignment> training_assignments() const {
    return training_assignments_;
  }

  const GraphHandle& handle() const { return handle_; }
  // Whether a Var is of this graph, valid or not.
  bool Has(Var var) const { return var.handle() == handle_; }

  // What its random numbers are drawn from.
  uint64_t seed() const { return options_.seed; }

  // The trained variables, in order of declaration.
  std::vector<Var> parameters();

  // Appends op(inputs). Every public op is a call of this. Inputs must be of
  // this graph; an invalid one makes the result invalid without a further
  // error. An OpDef that is no static of a program or library, say a local
  // variable, is copied (op_store.h).
  Var Append(const OpDef& op, absl::Span<const Var> inputs,
             Attributes attributes, Loc loc);

  // Returns the type that op(inputs) would have, without appending a node. If
  // op(inputs) is a mistake, records the error as Append does and returns
  // nullopt. For functions that are composed of several ops.
  std::optional<TensorType> Infer(const OpDef& op, absl::Span<const Var> inputs,
                                  const Attributes& attributes, Loc loc);

  // Keeps a gradient rule of the user's for a node (WithGradient, calculus.h);
  // its number.
  int64_t KeepRule(UserGradientRule rule);
  // The rule of that number, or null.
  const UserGradientRule* rule(int64_t number) const;

  // Keeps a mistake: "file:line: what: message".
  void ReportError(Loc loc, absl::string_view what, absl::string_view message);
  // The same for an error that something given to the declaration returned, or
  // that was made of what it threw.
  void ReportError(Loc loc, absl::string_view what, const absl::Status& error);
  // OK, or the mistakes kept so far, a line each: kResourceExhausted if the
  // first of them was want of memory, else kInvalidArgument.
  absl::Status status() const;

  int size() const { return static_cast<int>(nodes_.size()); }
  // References stay valid as nodes are appended.
  // If there is no such node, one of an op "Nothing", without inputs or a name.
  const Node& node(int id) const {
    return id >= 0 && id < size() ? nodes_[id] : NoNode();
  }
  const Node& node(Var var) const {
    return Has(var) ? node(var.id()) : NoNode();
  }

  // What a variable holds now. Of anything else it is a misuse (misuse.h), and
  // gives a NaN of rank 0.
  const Tensor& Value(Var variable, Loc loc = Loc::Current()) const;
  // Sets it. An error if it is no variable, `value` is not of its type, or a
  // plan that reads or writes variables of this graph is running.
  absl::Status SetValue(Var variable, const TensorView& value,
                        Loc loc = Loc::Current());
  // The name of an input or variable, else empty.
  absl::string_view NameOf(Var var) const { return node(var).name; }
  // kAuto if it is no variable.
  Tag TagOf(Var parameter) const;
  const Variables& variables() const { return *variables_; }
  // What plans share with the graph, and need when it has gone: the variables,
  // and the ops that it has copied.
  const std::shared_ptr<Variables>& shared_variables() const {
    return variables_;
  }
  std::shared_ptr<const OpStore> shared_ops() const { return ops_; }

  // "[4,8] from Tanh at xor.cc:12" or `[9,1] is parameter "w2", xor.cc:11`; "an
  // invalid Var" if there is no such node.
  std::string Describe(int id) const;
  // The whole tape as stable text, a line a node.
  std::string Dump() const;
  // The whole tape in the language of Graphviz: boxes, ellipses for inputs and
  // variables, and dashed boxes for what Gradients appended.
  std::string Graphviz() const;

  // While one lives, appended nodes are marked as the given node's gradient's,
  // and bear its line or, if it is not empty, `loc`.
  class GradientScope {
   public:
    GradientScope(Graph* graph, int of, Loc loc = {});
    ~GradientScope();
    GradientScope(const GradientScope&) = delete;
    GradientScope& operator=(const GradientScope&) = delete;

   private:
    Graph* graph_;
    int outer_;
    Loc outer_loc_;
  };

  // The line that appended nodes bear, if one is set (LocScope), or none.
  const Loc& loc_scope() const { return loc_scope_; }

  // While one lives, appended nodes bear `loc`: that of the user's line which
  // made us append them. An empty Loc changes nothing.
  class LocScope {
   public:
    LocScope(Graph* graph, Loc loc);
    ~LocScope();
    LocScope(const LocScope&) = delete;
    LocScope& operator=(const LocScope&) = delete;

   private:
    Graph* graph_;
    Loc outer_;
  };

  // Takes back, at its end, what has been appended since its beginning: nodes,
  // their names, rules and mistakes. Variables must not be declared meanwhile.
  class Rollback {
   public:
    explicit Rollback(Graph* graph);
    ~Rollback();
    Rollback(const Rollback&) = delete;
    Rollback& operator=(const Rollback&) = delete;

   private:
    Graph* graph_;
    size_t nodes_, rules_, errors_, training_assignments_;
    int variables_;
    int64_t errors_left_out_;
  };

  // While one lives, states are declared as states of the training
  // (Variable::of_training).
  class TrainingScope {
   public:
    explicit TrainingScope(Graph* graph);
    ~TrainingScope();
    TrainingScope(const TrainingScope&) = delete;
    TrainingScope& operator=(const TrainingScope&) = delete;

   private:
    Graph* graph_;
    bool outer_;
  };

 private:
  friend class Var;
  static const Node& NoNode();
  // Keeps the mistake, unless the shape is of what an earlier mistake left
  // without dimensions. Returns an invalid Var.
  Var RefuseShape(Loc loc, absl::string_view what, const TensorType& type);
  // The line that a node appended now bears, if it is declared on `loc`.
  Loc LocNow(const Loc& loc) const;
  Var AppendSource(const OpDef& op, absl::string_view name, TensorType type,
                   Loc loc);
  Var AppendVariable(absl::string_view name, TensorType type,
                     const Initializer& initializer, Tag tag, Loc loc);
  // Gives the node its variable, or reports why there is none.
  void AddVariable(Var var, TensorType type, const Initializer& initializer,
                   Tag tag, absl::string_view what);

  GraphOptions options_;
  GraphHandle handle_;
  std::deque<Node> nodes_;
  std::shared_ptr<Variables> variables_;
  std::shared_ptr<OpStore> ops_;
  std::map<std::string, int, std::less<>> node_of_name_;
  std::deque<UserGradientRule> rules_;
  std::vector<TrainingAssignment> training_assignments_;
  int gradient_of_ = kNone;
  Loc gradient_loc_;
  Loc loc_scope_;
  bool in_training_scope_ = false;
  Var step_;  // Empty until it is asked for.
  std::vector<std::string> errors_;
  absl::StatusCode first_error_ = absl::StatusCode::kOk;
  int64_t errors_left_out_ = 0;
};

// Appends op(inputs) to the graph of the inputs. What every op's public
// function calls.
Var Append(const OpDef& op, std::initializer_list<Var> inputs,
           Attributes attributes, Loc loc);
Var Append(const OpDef& op, absl::Span<const Var> inputs, Attributes attributes,
           Loc loc);

// The graph of the first input that has one, or null.
Graph* GraphOf(absl::Span<const Var> inputs);

// For each node of `graph`, whether one of `vars` depends on it or is it. Vars
// that are not valid, or of another graph, count for nothing. With a mode, what
// plans of that mode depend on.
std::vector<bool> NodesNeededBy(const Graph& graph, absl::Span<const Var> vars,
                                std::optional<Mode> mode = std::nullopt);

inline Var::Var(Graph* graph, int id) : id_(id) {
  if (graph != nullptr) handle_ = graph->handle();
}

inline bool Var::valid() const {
  const Graph* const graph = handle_.graph();
  return graph != nullptr && id_ >= 0 && id_ < graph->size();
}

inline const TensorType& Var::type() const {
  const Graph* const graph = handle_.graph();
  return graph == nullptr ? Graph::NoNode().type : graph->node(id_).type;
}

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_GRAPH_H_
