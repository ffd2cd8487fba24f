// Graph (graph.h): declarations become nodes, mistakes become kept errors.
// Tested by tests/core/graph_test.cc.
#include "framework/core/graph.h"

#include <cmath>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/basic_ops.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"
#include "framework/core/misuse.h"
#include "framework/core/text.h"

namespace tape {
namespace {

// More mistakes than this are counted, not kept.
constexpr size_t kMaxErrors = 20;

const char* OperandName(const OpDef& op, int index) {
  return op.operands[op.variadic ? 0 : index];
}

size_t Arity(const OpDef& op) {
  size_t arity = 0;
  while (arity < op.operands.size() && op.operands[arity] != nullptr) ++arity;
  return arity;
}

// What of a definition does not fit so many operands, or null. (What it needs to
// be run, Compile asks.)
const char* WrongDefinition(const OpDef& op, size_t operands) {
  const Traits& traits = op.traits;
  const auto count = static_cast<int>(operands);
  if (traits.same_as >= count || traits.in_place >= count) {
    return "a trait of the op names an operand that it does not have";
  }
  if (traits.by_mode && count != 2) {
    return "an op with a form for each mode needs two operands";
  }
  return traits.view && count == 0 ? "a view needs an operand" : nullptr;
}

}  // namespace

std::string Attributes::ToString() const {
  const Attributes defaults;
  std::vector<std::string> parts;
  if (value != defaults.value) parts.push_back(absl::StrCat("value=", value));
  if (alpha != defaults.alpha) parts.push_back(absl::StrCat("alpha=", alpha));
  if (beta != defaults.beta) parts.push_back(absl::StrCat("beta=", beta));
  if (depth != defaults.depth) parts.push_back(absl::StrCat("depth=", depth));
  if (index != defaults.index) parts.push_back(absl::StrCat("index=", index));
  if (begin != defaults.begin) parts.push_back(absl::StrCat("begin=", begin));
  if (step != defaults.step) parts.push_back(absl::StrCat("step=", step));
  if (length != defaults.length) {
    parts.push_back(absl::StrCat("length=", length));
  }
  if (seed != defaults.seed) parts.push_back(absl::StrCat("seed=", seed));
  if (stream != defaults.stream) {
    parts.push_back(absl::StrCat("stream=", stream));
  }
  if (axis != defaults.axis) parts.push_back(absl::StrCat("axis=", axis));
  if (reverse) parts.push_back("reverse");
  if (transpose_lhs) parts.push_back("transpose_lhs");
  if (transpose_rhs) parts.push_back("transpose_rhs");
  if (ignored_label.has_value()) {
    parts.push_back(absl::StrCat("ignored_label=", *ignored_label));
  }
  if (dtype != defaults.dtype) {
    parts.push_back(absl::StrCat("dtype=", Name(dtype)));
  }
  if (!(shape == defaults.shape)) {
    parts.push_back(absl::StrCat("shape=", shape.ToString()));
  }
  if (!axes.empty()) {
    parts.push_back(absl::StrCat("axes=[", absl::StrJoin(axes, ","), "]"));
  }
  return absl::StrJoin(parts, ", ");
}

namespace {

// What is kept for the whole process: the slots of handles, of which no graph
// has the free ones, and the operations that had no graph for their mistakes.
struct Registry {
  std::mutex mutex;
  std::vector<void*> free_slots;
  std::deque<std::string> without_graph;
};

Registry& TheRegistry() {
  static Registry& registry = *new Registry;
  return registry;
}

// Ids of empty Vars whose origin is kept: kFirstKept, kFirstKept - 1, ….
constexpr int kFirstKept = -2;
constexpr size_t kMostKept = 1000;

}  // namespace

GraphHandle GraphHandle::Make(Graph* graph) {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  if (registry.free_slots.empty()) {
    registry.free_slots.push_back(new Slot);
  }
  GraphHandle handle;
  handle.slot_ = static_cast<Slot*>(registry.free_slots.back());
  registry.free_slots.pop_back();
  handle.number_ = handle.slot_->number.load(std::memory_order_relaxed);
  handle.slot_->graph.store(graph, std::memory_order_release);
  return handle;
}

void GraphHandle::Drop() {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  slot_->graph.store(nullptr, std::memory_order_release);
  slot_->number.store(number_ + 1, std::memory_order_release);
  registry.free_slots.push_back(slot_);
}

Var Var::WithoutGraph(absl::string_view op, Loc loc) {
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  Var var;
  if (registry.without_graph.size() == kMostKept) return var;
  var.id_ = kFirstKept - static_cast<int>(registry.without_graph.size());
  registry.without_graph.push_back(absl::StrCat(loc.ToString(), ": ", op));
  return var;
}

std::string Var::WhyEmpty() const {
  if (handle_.had_graph()) return "a Var whose graph has gone";
  if (id_ > kFirstKept) return "an empty Var";
  Registry& registry = TheRegistry();
  const std::lock_guard<std::mutex> lock(registry.mutex);
  const auto kept = static_cast<size_t>(static_cast<int64_t>(kFirstKept) - id_);
  if (kept >= registry.without_graph.size()) return "an empty Var";
  return absl::StrCat("an empty Var (", registry.without_graph[kept],
                      " of no graph)");
}

Graph::Graph(GraphOptions options)
    : options_(options),
      handle_(GraphHandle::Make(this)),
      variables_(std::make_shared<Variables>()),
      ops_(std::make_shared<OpStore>()) {}

Graph::~Graph() { handle_.Drop(); }

const Node& Graph::NoNode() {
  static constexpr OpDef kNothing = {
      .name = "Nothing",
      .shape = [](absl::Span<const TensorType>,
                  const Attributes&) -> absl::StatusOr<TensorType> {
        return absl::InvalidArgumentError("there is no such node");
      },
  };
  static const Node& none = *new Node{.op = &kNothing};
  return none;
}

Var Graph::RefuseShape(Loc loc, absl::string_view what,
                       const TensorType& type) {
  bool follows = false;
  for (const int64_t dim : type.shape.dims()) follows |= dim == kNoDim;
  if (follows && !status().ok()) return Var(this, kNone);
  ReportError(loc, what,
              absl::StrCat("expected dimensions of at least 0, or kBatch, and "
                           "at most 2^40 elements, found ",
                           type.ToString()));
  return Var(this, kNone);
}

Var Graph::AppendSource(const OpDef& op, absl::string_view name,
                        TensorType type, Loc loc) {
  const auto fail = [&](absl::string_view message) {
    ReportError(loc, absl::StrCat(op.name, " \"", Printable(name), "\""),
                message);
    return Var(this, kNone);
  };
  if (name.empty()) return fail("expected a name, found an empty one");
  if (!IsUtf8(name)) {
    return fail("expected a name in UTF-8, which files can hold");
  }
  if (!IsForNodes(type.dtype)) {
    return fail(absl::StrCat("expected a dtype that nodes have, found ",
                             Name(type.dtype)));
  }
  if (!type.shape.is_valid()) {
    return RefuseShape(loc, absl::StrCat(op.name, " \"", Printable(name), "\""),
                       type);
  }
  const auto taken = node_of_name_.find(name);
  if (taken != node_of_name_.end()) {
    return fail(absl::StrCat("expected a name of its own, found it taken at ",
                             node(taken->second).loc.ToString()));
  }
  Node node{.op = &op, .name = std::string(name), .loc = loc};
  node.attributes.dtype = type.dtype;
  node.attributes.shape = type.shape;
  node.type = std::move(type);
  nodes_.push_back(std::move(node));
  try {
    node_of_name_.emplace(name, size() - 1);
  } catch (...) {  // Both, or neither.
    nodes_.pop_back();
    throw;
  }
  return Var(this, size() - 1);
}

Var Graph::Input(absl::string_view name, Shape shape, DType dtype, Loc loc) {
  return AppendSource(kInput, name, {dtype, std::move(shape)}, loc);
}

Var Graph::AppendVariable(absl::string_view name, TensorType type,
                          const Initializer& initializer, Tag tag, Loc loc) {
  const std::string what =
      absl::StrCat(Name(tag), " \"", Printable(name), "\"");
  if (type.shape.is_valid() && !type.shape.is_bound()) {
    ReportError(loc, what,
                absl::StrCat("a variable cannot have the batch dimension, "
                             "found shape ",
                             type.shape.ToString()));
    return Var(this, kNone);
  }
  if (absl::StartsWith(name, "@") || name == "__metadata__") {
    ReportError(loc, what,
                "expected a name that files can hold, neither \"__metadata__\" "
                "nor one that begins with \"@\"");
    return Var(this, kNone);
  }
  const Var var = AppendSource(kVariable, name, type, loc);
  if (!var.valid()) return var;
  try {
    AddVariable(var, std::move(type), initializer, tag, what);
  } catch (...) {  // No node without its variable.
    node_of_name_.erase(node_of_name_.find(name));
    nodes_.pop_back();
    throw;
  }
  return nodes_[var.id()].variable == kNone ? Var(this, kNone) : var;
}

void Graph::AddVariable(Var var, TensorType type,
                        const Initializer& initializer, Tag tag,
                        absl::string_view what) {
  const std::string name = nodes_[var.id()].name;
  const Loc loc = nodes_[var.id()].loc;
  const std::string size =
      absl::StrCat(type.bytes(), " bytes, of shape ", type.shape.ToString());
  absl::StatusOr<Tensor> value = Tensor::Make(std::move(type));
  if (!value.ok()) {
    ReportError(loc, what,
                absl::ResourceExhaustedError(
                    absl::StrCat("there is no memory for its ", size)));
    return;
  }
  absl::Status filled;
  try {
    filled =
        initializer.Fill(RandomStream(options_.seed, StreamOf(name)), *value);
  } catch (...) {
    filled = CaughtStatus("its initializer");
  }
  if (!filled.ok()) {
    ReportError(loc, what, filled);
    return;
  }
  nodes_[var.id()].variable = variables_->Add(
      {name, tag, *std::move(value), tag == Tag::kState && in_training_scope_});
}

Var Graph::Parameter(absl::string_view name, Shape shape,
                     const Initializer& initializer, Tag tag, Loc loc) {
  if (tag == Tag::kState) {
    ReportError(loc, absl::StrCat("parameter \"", Printable(name), "\""),
                "expected a tag weight or bias, found state: declare it by "
                "State");
    return Var(this, kNone);
  }
  if (tag == Tag::kAuto) tag = shape.rank() >= 2 ? Tag::kWeight : Tag::kBias;
  return AppendVariable(name, {DType::kFloat32, std::move(shape)}, initializer,
                        tag, loc);
}

Var Graph::State(absl::string_view name, Shape shape,
                 const Initializer& initializer, DType dtype, Loc loc) {
  if (dtype == DType::kUint8 || dtype == DType::kBFloat16) {
    ReportError(loc, absl::StrCat("state \"", Printable(name), "\""),
                absl::StrCat("expected float32 or int32, found ", Name(dtype)));
    return Var(this, kNone);
  }
  return AppendVariable(name, {dtype, std::move(shape)}, initializer,
                        Tag::kState, loc);
}

void Graph::AddTrainingAssignment(const TrainingAssignment& assignment,
                                  Loc loc) {
  const auto& [trigger, variable, value] = assignment;
  for (const Var var : {trigger, variable, value}) {
    if (Has(var) && var.valid()) continue;
    if (!Has(var)) {
      ReportError(loc, "AddTrainingAssignment",
                  var.empty() ? absl::StrCat("a Var is ", var.WhyEmpty())
                              : "a Var is of another graph");
    }
    return;  // What is not valid has its mistake already.
  }
  if (node(variable).variable == kNone || !(variable.type() == value.type())) {
    ReportError(
        loc, "AddTrainingAssignment",
        absl::StrCat("expected a variable and a value of its type, "
                     "found ",
                     Describe(variable.id()), " and ", Describe(value.id())));
    return;
  }
  training_assignments_.push_back(assignment);
}

Var Graph::Step(Loc loc) {
  if (!step_.empty()) return step_;
  const TrainingScope of_training(this);
  step_ = State("training_step", {}, Zeros(), DType::kInt32, loc);
  const Var next = tape::Append(kCountUp, {step_}, {}, loc);
  AddTrainingAssignment({.trigger = step_, .variable = step_, .value = next});
  return step_;
}

std::vector<Var> Graph::parameters() {
  std::vector<Var> parameters;
  for (int id = 0; id < size(); ++id) {
    const int variable = nodes_[id].variable;
    if (variable != kNone && (*variables_)[variable].tag != Tag::kState) {
      parameters.push_back(Var(this, id));
    }
  }
  return parameters;
}

Loc Graph::LocNow(const Loc& loc) const {
  if (gradient_of_ != kNone) return gradient_loc_;
  return loc_scope_.line > 0 ? loc_scope_ : loc;
}

std::optional<TensorType> Graph::Infer(const OpDef& op,
                                       absl::Span<const Var> inputs,
                                       const Attributes& attributes, Loc loc) {
  const auto fail = [&](absl::string_view message) {
    ReportError(LocNow(loc), op.name, message);
    return std::nullopt;
  };
  if (!op.variadic && inputs.size() != Arity(op)) {
    return fail(absl::StrCat("expected ", Arity(op), " operands, found ",
                             inputs.size()));
  }
  if (op.shape == nullptr) return fail("the op has no shape rule");
  if (op.variadic && inputs.empty()) {
    return fail("expected at least one operand, found none");
  }

  absl::InlinedVector<TensorType, 3> types;
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (!Has(inputs[i])) {
      return fail(absl::StrCat(
          "operand ", OperandName(op, i), " is ",
          inputs[i].empty() ? inputs[i].WhyEmpty() : "of another graph"));
    }
    if (!inputs[i].valid()) return std::nullopt;
    types.push_back(inputs[i].type());
  }

  const FloatingPointScope environment;  // Rules look at attributes.
  absl::StatusOr<TensorType> type = TypeOf(op, types, attributes);
  if (!type.ok()) {
    std::vector<std::string> operands;
    for (size_t i = 0; i < inputs.size(); ++i) {
      operands.push_back(
          absl::StrCat(OperandName(op, i), " ", Describe(inputs[i].id())));
    }
    const std::string origin =
        operands.empty()
            ? ""
            : absl::StrCat(" (", absl::StrJoin(operands, "; "), ")");
    ReportError(LocNow(loc), op.name,
                absl::Status(type.status().code(),
                             absl::StrCat(type.status().message(), origin)));
    return std::nullopt;
  }
  if (!type->shape.is_valid()) {
    return fail(absl::StrCat("the result would have shape ",
                             type->shape.ToString(),
                             ", more than 2^40 elements"));
  }
  if (!IsForNodes(type->dtype)) {
    return fail(absl::StrCat("the result would be ", Name(type->dtype),
                             ", which nodes cannot be"));
  }
  return *std::move(type);
}

Var Graph::Append(const OpDef& op, absl::Span<const Var> inputs,
                  Attributes attributes, Loc loc) {
  std::optional<TensorType> type = Infer(op, inputs, attributes, loc);
  if (!type.has_value()) return Var(this, kNone);
  if (const char* const wrong = WrongDefinition(op, inputs.size())) {
    ReportError(LocNow(loc), op.name, wrong);
    return Var(this, kNone);
  }
  Node node{.op = &ops_->Keep(op),
            .attributes = std::move(attributes),
            .type = *std::move(type),
            .loc = LocNow(loc),
            .gradient_of = gradient_of_};
  for (Var input : inputs) node.inputs.push_back(input.id());
  nodes_.push_back(std::move(node));
  return Var(this, size() - 1);
}

const UserGradientRule* Graph::rule(int64_t number) const {
  const bool is_there =
      number >= 0 && number < static_cast<int64_t>(rules_.size());
  return is_there ? &rules_[number] : nullptr;
}

int64_t Graph::KeepRule(UserGradientRule rule) {
  rules_.push_back(std::move(rule));
  return static_cast<int64_t>(rules_.size()) - 1;
}

void Graph::ReportError(Loc loc, absl::string_view what,
                        absl::string_view message) {
  ReportError(loc, what, absl::InvalidArgumentError(message));
}

void Graph::ReportError(Loc loc, absl::string_view what,
                        const absl::Status& error) {
  if (errors_.size() == kMaxErrors) {
    ++errors_left_out_;
    return;
  }
  errors_.push_back(
      absl::StrCat(loc.ToString(), ": ", what, ": ", error.message()));
  if (errors_.size() == 1) first_error_ = error.code();
}

absl::Status Graph::status() const {
  if (errors_.empty()) return absl::OkStatus();
  std::string text = absl::StrJoin(errors_, "\n");
  if (errors_left_out_ > 0) {
    absl::StrAppend(&text, "\nand ", errors_left_out_, " more");
  }
  return first_error_ == absl::StatusCode::kResourceExhausted
             ? absl::ResourceExhaustedError(text)
             : absl::InvalidArgumentError(text);
}

namespace {

// What is said of a Var that was to be a variable of `graph`.
std::string NoVariable(const Graph& graph, Var var) {
  return absl::StrCat("expected a variable, found ",
                      var.empty()       ? var.WhyEmpty()
                      : !graph.Has(var) ? "a Var of another graph"
                                        : graph.Describe(var.id()));
}

}  // namespace

const Tensor& Graph::Value(Var variable, Loc loc) const {
  const int index = node(variable).variable;
  if (index != kNone) return (*variables_)[index].value;
  internal::ReportMisuse(loc,
                         absl::StrCat("Value: ", NoVariable(*this, variable)));
  static const Tensor& none =
      *new Tensor(Shape(), std::vector<float>{std::nanf("")});
  return none;
}

absl::Status Graph::SetValue(Var variable, const TensorView& value, Loc loc) {
  const int index = node(variable).variable;
  const auto fail = [&](absl::string_view message) {
    return absl::InvalidArgumentError(
        absl::StrCat(loc.ToString(), ": SetValue: ", message));
  };
  if (index == kNone) return fail(NoVariable(*this, variable));
  const TensorType& held = (*variables_)[index].value.type();
  const std::string name =
      absl::StrCat("\"", Printable(NameOf(variable)), "\"");
  if (!(held == value.type())) {
    return fail(absl::StrCat(name, " has the type ", held.ToString(),
                             ", the value given ", value.type().ToString()));
  }
  if (held.bytes() == 0) return absl::OkStatus();
  if (value.data() == nullptr) {
    return fail(absl::StrCat("the value given for ", name, " has no memory"));
  }
  if (!variables_->Assign({{index, value}})) {
    return absl::FailedPreconditionError(
        absl::StrCat(loc.ToString(), ": SetValue: a plan of the graph of ",
                     name, " is running"));
  }
  return absl::OkStatus();
}

Tag Graph::TagOf(Var parameter) const {
  const int index = node(parameter).variable;
  return index == kNone ? Tag::kAuto : (*variables_)[index].tag;
}

std::string Graph::Describe(int id) const {
  if (id < 0 || id >= size()) return "an invalid Var";
  const Node& node = nodes_[id];
  const std::string type = node.type.ToString();
  if (!node.op->traits.source) {
    return absl::StrCat(type, " from ", Printable(node.op->name), " at ",
                        node.loc.ToString());
  }
  std::string kind = "input";
  if (node.variable != kNone) {
    const Tag tag = (*variables_)[node.variable].tag;
    kind = tag == Tag::kState ? "state" : "parameter";
  }
  return absl::StrCat(type, " is ", kind, " \"", Printable(node.name), "\", ",
                      node.loc.ToString());
}

std::string Graph::Dump() const {
  std::string text;
  for (int id = 0; id < size(); ++id) {
    const Node& node = nodes_[id];
    absl::StrAppend(&text, "%", id, " = ", Printable(node.op->name), "(");
    absl::StrAppend(&text, absl::StrJoin(node.inputs, ", ",
                                         [](std::string* out, int input) {
                                           absl::StrAppend(out, "%", input);
                                         }));
    if (node.op->traits.source) {
      absl::StrAppend(&text, "\"", Printable(node.name), "\"");
    } else {
      const std::string attributes = node.attributes.ToString();
      absl::StrAppend(&text,
                      node.inputs.empty() || attributes.empty() ? "" : "; ",
                      Printable(attributes));
    }
    absl::StrAppend(&text, ") ", node.type.ToString());
    if (node.gradient_of != kNone) {
      absl::StrAppend(&text, " gradient of %", node.gradient_of);
    }
    absl::StrAppend(&text, "  # ", node.loc.ToString(), "\n");
  }
  return text;
}

Graph::GradientScope::GradientScope(Graph* graph, int of, Loc loc)
    : graph_(graph),
      outer_(graph->gradient_of_),
      outer_loc_(graph->gradient_loc_) {
  graph_->gradient_of_ = of;
  const Loc& scope = graph_->loc_scope_;
  graph_->gradient_loc_ = loc.line == 0    ? graph_->node(of).loc
                          : scope.line > 0 ? scope
                                           : loc;
}

Graph::GradientScope::~GradientScope() {
  graph_->gradient_of_ = outer_;
  graph_->gradient_loc_ = outer_loc_;
}

Graph::LocScope::LocScope(Graph* graph, Loc loc)
    : graph_(graph), outer_(graph->loc_scope_) {
  if (loc.line > 0) graph_->loc_scope_ = loc;
}

Graph::LocScope::~LocScope() { graph_->loc_scope_ = outer_; }

std::vector<bool> NodesNeededBy(const Graph& graph, absl::Span<const Var> vars,
                                std::optional<Mode> mode) {
  std::vector<bool> needed(graph.size(), false);
  int end = 0;
  for (Var var : vars) {
    if (!graph.Has(var) || !var.valid()) continue;
    needed[var.id()] = true;
    end = std::max(end, var.id() + 1);
  }
  for (int id = end; id-- > 0;) {
    if (!needed[id]) continue;
    const Node& node = graph.node(id);
    const int forwards =
        mode.has_value() ? node.op->traits.Forwards(*mode) : kNone;
    if (forwards >= 0) {
      needed[node.inputs[forwards]] = true;
      continue;
    }
    for (int input : node.inputs) needed[input] = true;
  }
  return needed;
}

Graph::Rollback::Rollback(Graph* graph)
    : graph_(graph),
      nodes_(graph->nodes_.size()),
      rules_(graph->rules_.size()),
      errors_(graph->errors_.size()),
      training_assignments_(graph->training_assignments_.size()),
      variables_(graph->variables_->size()),
      errors_left_out_(graph->errors_left_out_) {}

Graph::Rollback::~Rollback() {
  // A variable, which plans may share by now, stays: and with it what stands
  // before it on the tape.
  while (graph_->nodes_.size() > nodes_) {
    const Node& last = graph_->nodes_.back();
    if (last.variable >= variables_) break;
    if (!last.name.empty()) graph_->node_of_name_.erase(last.name);
    graph_->nodes_.pop_back();
  }
  if (graph_->nodes_.size() == nodes_) graph_->rules_.resize(rules_);
  graph_->errors_.resize(errors_);
  graph_->training_assignments_.resize(training_assignments_);
  graph_->errors_left_out_ = errors_left_out_;
}

Graph::TrainingScope::TrainingScope(Graph* graph)
    : graph_(graph), outer_(graph->in_training_scope_) {
  graph_->in_training_scope_ = true;
}

Graph::TrainingScope::~TrainingScope() { graph_->in_training_scope_ = outer_; }

Graph* GraphOf(absl::Span<const Var> inputs) {
  for (Var input : inputs) {
    if (!input.empty()) return input.graph();
  }
  return nullptr;
}

Var Append(const OpDef& op, absl::Span<const Var> inputs, Attributes attributes,
           Loc loc) {
  Graph* const graph = GraphOf(inputs);
  // With no graph to keep the mistake in, the result is as empty as the
  // operands; whoever refuses it will name this line.
  if (graph == nullptr) return Var::WithoutGraph(op.name, loc);
  return graph->Append(op, inputs, std::move(attributes), loc);
}

Var Append(const OpDef& op, std::initializer_list<Var> inputs,
           Attributes attributes, Loc loc) {
  return Append(op, absl::MakeConstSpan(inputs.begin(), inputs.size()),
                std::move(attributes), loc);
}

}  // namespace tape
