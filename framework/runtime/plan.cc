// Plan (plan.h): checks what is fed, finds the executable of its batch size,
// runs it. Tested by tests/runtime/plan_test.cc.
#include "framework/runtime/plan.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/clock.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"
#include "framework/core/misuse.h"
#include "framework/core/text.h"
#include "framework/core/uninterrupted.h"
#include "framework/runtime/check_finite.h"
#include "framework/runtime/dump.h"
#include "framework/runtime/plan_impl.h"

namespace tape {
namespace {

using Clock = std::chrono::steady_clock;

std::string NameOf(const Node& input) {
  return absl::StrCat("input \"", Printable(input.name), "\" (",
                      input.loc.ToString(), ")");
}

// `message` with the line of the call, if it is known.
std::string WithLoc(Loc loc, absl::string_view message) {
  return loc.line > 0 ? absl::StrCat(loc.ToString(), ": ", message)
                      : std::string(message);
}

// Whether `fed` is of the declared type, for some batch size.
bool Fits(const TensorType& declared, const TensorType& fed) {
  return fed.dtype == declared.dtype && declared.shape.Allows(fed.shape);
}

}  // namespace

Plan::Plan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Plan::~Plan() = default;
Plan::Plan(Plan&&) noexcept = default;
Plan& Plan::operator=(Plan&&) noexcept = default;

Plan::Impl::Impl(const Graph& graph, Program program, Options options)
    : graph_(graph.handle()),
      program_(std::move(program)),
      variables_(graph.shared_variables()),
      ops_(graph.shared_ops()),
      team_(options.threads),
      compile_(std::move(options.compile)),
      graph_size_(graph.size()),
      max_batch_sizes_(options.max_batch_sizes),
      check_finite_(options.check_finite) {
  const size_t unnamed = options.fetches.size() - options.output_names.size();
  for (size_t i = 0; i < options.fetches.size(); ++i) {
    const Var var = options.fetches[i];
    fetches_.push_back(
        {.var = var,
         .name = i < unnamed ? "" : options.output_names[i - unnamed],
         .text = graph.Describe(var.id()),
         .type = var.type()});
  }
  const std::vector<int> needed = program_.Inputs();
  size_t next = 0;  // Of the needed inputs, which are in the tape's order.
  for (int id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    if (!node.op->traits.source || node.variable != kNone) continue;
    const bool is_needed =
        next < needed.size() && program_.tape_ids[needed[next]] == id;
    inputs_.push_back({id, node, is_needed ? static_cast<int>(next++) : kNone});
  }
  for (const Node& node : program_.nodes) {
    // The batch may be in an attribute alone: ElementCount's type has none.
    has_batch_ |=
        !node.type.shape.is_bound() || !node.attributes.shape.is_bound();
  }
  team_.Run([](int) {});  // Threads have started before the first step.
  fed_.resize(inputs_.size());
  needed_.resize(needed.size());
}

Plan::Impl::Impl(const Impl& plan, int threads)
    : graph_(plan.graph_),
      program_(plan.program_),
      fetches_(plan.fetches_),
      variables_(plan.variables_),
      ops_(plan.ops_),
      team_(threads),
      compile_(plan.compile_),
      graph_size_(plan.graph_size_),
      inputs_(plan.inputs_),
      fed_(plan.fed_.size()),
      needed_(plan.needed_.size()),
      has_batch_(plan.has_batch_),
      max_batch_sizes_(plan.max_batch_sizes_),
      check_finite_(plan.check_finite_) {
  team_.Run([](int) {});
}

// Writes what nobody has learned of.
Plan::Impl::~Impl() {
  if (missed_.message.empty() || missed_.is_known) return;
  internal::ReportMisuse(missed_.loc, missed_.message);
}

absl::StatusOr<const Plan::Impl::Prepared*> Plan::Impl::Prepare(int64_t batch) {
  for (auto it = prepared_.begin(); it != prepared_.end(); ++it) {
    if ((*it)->executable->compiled().batch != batch) continue;
    std::rotate(it, it + 1, prepared_.end());
    return prepared_.back().get();
  }
  const FloatingPointScope environment;
  const UninterruptedScope scope;
  const Clock::time_point start = Clock::now();
  const Program bound = Bind(program_, batch);
  if (absl::Status status =
          CheckTypes(bound, has_batch_ ? WithBatch(batch) : "");
      !status.ok()) {
    return status;
  }
  CompiledProgram compiled = compile_(bound, batch);
  const bool compiled_for_ranks = compiled.parallel.ranks().size() > 1;
  auto prepared = std::make_unique<Prepared>();
  for (const auto& tiles : compiled.tiles) {
    prepared->tiles.push_back(std::make_unique<TileKernels>(tiles));
  }
  prepared->shards = std::make_unique<ShardKernels>(compiled.parallel, batch);
  const KernelSource kernels = [&](const Node& node, const KernelSpec& spec) {
    if (node.op == &kTiles || node.op == &kOfTiles) {
      return prepared->tiles[node.attributes.stream]->Make(node);
    }
    return prepared->shards->Make(spec, *node.op);
  };
  prepared->executable = std::make_unique<Executable>(
      std::move(compiled), team_.size(), *variables_, kernels);
  if (compiled_for_ranks) {
    prepared->executable->set_poll(
        [shards = prepared->shards.get()] { shards->Progress(); });
  }
  prepared->executable->Record(profile_, team_.size());
  prepared->executable->WarmUp();
  prepared_.push_back(std::move(prepared));
  compile_seconds_ += SecondsSince(start);
  return prepared_.back().get();
}

void Plan::Impl::Record(Profile* profile) {
  profile_ = profile;
  for (const std::unique_ptr<const Prepared>& prepared : prepared_) {
    prepared->executable->Record(profile, team_.size());
  }
}

void Plan::Impl::DropOldest() {
  if (prepared_.size() <= max_batch_sizes_) return;
  const auto end = prepared_.end() - max_batch_sizes_;
  for (auto it = prepared_.begin(); it != end; ++it) {
    if (it->get() == last_) last_ = nullptr;
  }
  prepared_.erase(prepared_.begin(), end);
}

absl::Status Plan::Impl::Run(absl::Span<const Feed> feeds, Loc loc) {
  if (is_running_.exchange(true, std::memory_order_acquire)) {
    return absl::FailedPreconditionError(
        WithLoc(loc,
                "Run: another thread is running this plan; make a session of "
                "it for each thread (NewSession)"));
  }
  try {
    last_run_ = RunExclusively(feeds, loc);
  } catch (...) {
    last_run_ = CaughtStatus(CallText(loc, "Run"));
  }
  has_run_ = true;
  // After the run, since what it was fed may lie in one that is dropped.
  DropOldest();
  absl::Status status = last_run_;
  is_running_.store(false, std::memory_order_release);
  return status;
}

absl::Status Plan::Impl::RunExclusively(absl::Span<const Feed> feeds, Loc loc) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!missed_.message.empty()) {
      absl::Status status =
          absl::FailedPreconditionError(WithLoc(missed_.loc, missed_.message));
      missed_ = {};
      return status;
    }
  }
  const Variables::Run run(*variables_, /*writes=*/!program_.updates.empty());
  if (!run.may_begin()) {
    return absl::FailedPreconditionError(WithLoc(
        loc, program_.updates.empty()
                 ? "Run: a plan that updates variables of this graph is running"
                 : "Run: another plan of this graph is running, and this one "
                   "updates variables"));
  }
  int64_t batch = kBatch;  // Not known yet.
  const PlanInput* batch_from = nullptr;
  std::vector<std::string> mistakes;  // Allocates nothing while empty.
  std::fill(fed_.begin(), fed_.end(), nullptr);
  for (const Feed& feed : feeds) {
    const int index = IndexOf(feed.input);
    if (index == kNone) {
      const std::string why = WhyNoInput(feed.input);
      if (!why.empty()) mistakes.push_back(absl::StrCat("Run: ", why));
      continue;
    }
    const PlanInput& input = inputs_[index];
    if (fed_[index] != nullptr) {
      mistakes.push_back(
          absl::StrCat("Run: ", NameOf(input.node), " is fed twice"));
      continue;
    }
    // No samples may have no memory; but what is fed is not null.
    static constexpr std::byte kNoSamples{};
    const Shape& fed = feed.value.shape();
    const bool is_empty =
        !fed.is_bound() || !fed.is_valid() || fed.elements() == 0;
    fed_[index] = is_empty ? &kNoSamples : feed.value.data();
    if (fed_[index] == nullptr) {
      fed_[index] = &kNoSamples;
      mistakes.push_back(absl::StrCat("Run: ", NameOf(input.node),
                                      " is fed a view that has no memory"));
    }
    if (!Fits(input.node.type, feed.value.type())) {
      mistakes.push_back(absl::StrCat("Run: ", NameOf(input.node),
                                      " was declared as ",
                                      input.node.type.ToString(), ", and fed ",
                                      feed.value.type().ToString()));
      continue;
    }
    const Shape& declared = input.node.type.shape;
    for (int axis = 0; axis < declared.rank(); ++axis) {
      if (declared[axis] != kBatch) continue;
      const int64_t dim = fed[axis];
      if (batch == kBatch) {
        batch = dim;
        batch_from = &input;
      } else if (dim != batch) {
        mistakes.push_back(absl::StrCat("Run: the batch has ", batch,
                                        " samples in ",
                                        NameOf(batch_from->node), ", and ", dim,
                                        " in ", NameOf(input.node)));
        break;
      }
    }
  }
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (inputs_[i].needed_as == kNone) continue;
    needed_[inputs_[i].needed_as] = fed_[i];
    if (fed_[i] == nullptr) {
      mistakes.push_back(
          absl::StrCat("Run: ", NameOf(inputs_[i].node), " is not fed"));
    }
  }
  if (has_batch_ && batch == kBatch && mistakes.empty()) {
    mistakes.push_back(
        "Run: the batch size is not known: no input that is fed has it");
  }
  if (!mistakes.empty()) {
    for (std::string& mistake : mistakes) mistake = WithLoc(loc, mistake);
    return absl::InvalidArgumentError(absl::StrJoin(mistakes, "\n"));
  }
  if (has_batch_) last_batch_ = batch;
  const absl::StatusOr<const Prepared*> prepared =
      Prepare(has_batch_ ? batch : 0);
  if (!prepared.ok()) return prepared.status();
  Executable& executable = *(*prepared)->executable;
  for (const Feed& feed : feeds) {
    const int index = IndexOf(feed.input);
    if (index != kNone && inputs_[index].needed_as != kNone &&
        executable.Overwrites(feed.value)) {
      return absl::InvalidArgumentError(WithLoc(
          loc, absl::StrCat("Run: ", NameOf(inputs_[index].node),
                            " is fed from memory that this run writes, what it "
                            "fetched before or a variable that it updates; "
                            "feed a copy")));
    }
  }
  if (absl::Status status = CheckFed(executable.compiled().fed_operands,
                                     executable.compiled().batch,
                                     executable.compiled().parallel, needed_);
      !status.ok()) {
    return status;
  }
  last_ = *prepared;
  const UninterruptedScope scope(executable.uses_stack_pointer());
  return check_finite_ ? RunChecked(executable, needed_, ++runs_)
                       : executable.Run(team_, needed_);
}

int Plan::Impl::IndexOf(const FedInput& input) const {
  const bool by_name = input.name().data() != nullptr;
  if (!by_name && !(input.var().handle() == graph_)) return kNone;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const bool is_it = by_name ? inputs_[i].node.name == input.name()
                               : inputs_[i].tape_id == input.var().id();
    if (is_it) return static_cast<int>(i);
  }
  return kNone;
}

std::string Plan::Impl::WhyNoInput(const FedInput& input) const {
  if (input.name().data() != nullptr) {
    std::vector<std::string> names;
    for (const PlanInput& known : inputs_) {
      names.push_back(absl::StrCat("\"", Printable(known.node.name), "\""));
    }
    return absl::StrCat("there is no input \"", Printable(input.name()),
                        "\" to feed, only ", absl::StrJoin(names, ", "));
  }
  const Var var = input.var();
  if (var.handle() == graph_ && var.id() >= graph_size_) return "";
  constexpr char kWhat[] = "what is fed is not an input of the plan's graph: ";
  if (!(var.handle() == graph_)) {
    return absl::StrCat(kWhat,
                        var.empty() ? var.WhyEmpty() : "it is of another one");
  }
  const Graph* const graph = var.graph();
  return absl::StrCat(
      kWhat, graph == nullptr ? "it is computed" : graph->Describe(var.id()));
}

TensorView Plan::Impl::Miss(const std::string& message, TensorType type,
                            Loc loc) const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (missed_.message.empty()) missed_ = {.message = message, .loc = loc};
  void* memory = internal::NoNumbers(type.bytes());
  if (memory == nullptr) {
    type = {};
    memory = internal::NoNumbers(type.bytes());
  }
  return TensorView(type, memory);
}

TensorView Plan::Impl::ValueOf(const Fetch* fetch, const std::string& text,
                               bool scalar, Loc loc) const {
  const std::string what = scalar ? "Scalar: " : "Value: ";
  if (fetch == nullptr) return Miss(absl::StrCat(what, text), {}, loc);
  const TensorType type = {fetch->type.dtype,
                           fetch->type.shape.Bind(last_batch_)};
  if (is_running_.load(std::memory_order_relaxed)) {
    return Miss(absl::StrCat(what, text, " is asked for during a run"), type,
                loc);
  }
  if (!has_run_ || !last_run_.ok()) {
    return Miss(absl::StrCat(what, text, " is fetched, but ",
                             has_run_ ? absl::StrCat("the last run failed: ",
                                                     last_run_.message())
                                      : "there has been no run"),
                type, loc);
  }
  const TensorView value =
      last_->executable->Fetched(static_cast<int>(fetch - fetches_.data()));
  if (!scalar ||
      (value.dtype() == DType::kFloat32 && value.shape().elements() == 1)) {
    return value;
  }
  return Miss(
      absl::StrCat(what, "expected a float32 of one element, found ", text), {},
      loc);
}

TensorView Plan::Impl::Value(Var var, bool scalar, Loc loc) const {
  for (const Fetch& fetch : fetches_) {
    if (fetch.var == var) return ValueOf(&fetch, fetch.text, scalar, loc);
  }
  const Graph* const graph = var.graph();
  const std::string text =
      graph == nullptr ? var.WhyEmpty() : graph->Describe(var.id());
  return ValueOf(nullptr, absl::StrCat(text, " is not fetched by this plan"),
                 scalar, loc);
}

TensorView Plan::Impl::Value(absl::string_view output, bool scalar,
                             Loc loc) const {
  const std::string text = absl::StrCat("\"", Printable(output), "\"");
  for (const Fetch& fetch : fetches_) {
    if (fetch.name.empty() || fetch.name != output) continue;
    return ValueOf(&fetch, absl::StrCat(text, " (", fetch.text, ")"), scalar,
                   loc);
  }
  return ValueOf(nullptr, absl::StrCat(text, " is no output of this plan"),
                 scalar, loc);
}

absl::Status Plan::Impl::status() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (missed_.message.empty()) return absl::OkStatus();
  missed_.is_known = true;
  return absl::FailedPreconditionError(WithLoc(missed_.loc, missed_.message));
}

const Plan::Impl::Prepared* Plan::Impl::Latest() const {
  if (last_ != nullptr) return last_;
  return prepared_.empty() ? nullptr : prepared_.back().get();
}

std::vector<StepCost> Plan::Impl::Steps() const {
  const Prepared* const latest = Latest();
  return latest == nullptr ? std::vector<StepCost>()
                           : StepCosts(*latest->executable);
}

std::string Plan::Impl::Dump() const {
  const Prepared* const latest = Latest();
  if (latest == nullptr) return tape::Dump(program_);
  std::string text = tape::Dump(*latest->executable);
  for (const auto& tiles : latest->tiles) text += tiles->Dump();
  return text;
}

namespace {

constexpr char kMovedFrom[] = "the plan has been moved from";

// What a plan that was moved from gives for a value.
TensorView NoValue(absl::string_view what, Loc loc) {
  internal::ReportMisuse(loc, absl::StrCat(what, ": ", kMovedFrom));
  return TensorView(TensorType(), internal::NoNumbers(sizeof(float)));
}

// The element of a float32 that has one; else NaN.
float Element(const TensorView& value) {
  const bool is_scalar =
      value.dtype() == DType::kFloat32 && value.shape().elements() == 1;
  return is_scalar ? value.values<float>()[0] : std::nanf("");
}

}  // namespace

absl::Status Plan::Run(absl::Span<const Feed> feeds, Loc loc) {
  if (impl_ != nullptr) return impl_->Run(feeds, loc);
  return absl::FailedPreconditionError(
      WithLoc(loc, absl::StrCat("Run: ", kMovedFrom)));
}
TensorView Plan::Value(Var fetch, Loc loc) const {
  if (impl_ == nullptr) return NoValue("Value", loc);
  return impl_->Value(fetch, /*scalar=*/false, loc);
}
TensorView Plan::Value(absl::string_view output, Loc loc) const {
  if (impl_ == nullptr) return NoValue("Value", loc);
  return impl_->Value(output, /*scalar=*/false, loc);
}
float Plan::Scalar(Var fetch, Loc loc) const {
  if (impl_ == nullptr) return Element(NoValue("Scalar", loc));
  return Element(impl_->Value(fetch, /*scalar=*/true, loc));
}
float Plan::Scalar(absl::string_view output, Loc loc) const {
  if (impl_ == nullptr) return Element(NoValue("Scalar", loc));
  return Element(impl_->Value(output, /*scalar=*/true, loc));
}
absl::Status Plan::status() const {
  return impl_ != nullptr ? impl_->status()
                          : absl::FailedPreconditionError(kMovedFrom);
}
void Plan::Record(Profile* profile) {
  if (impl_ != nullptr) impl_->Record(profile);
}
absl::StatusOr<Plan> Plan::NewSession(int threads, Loc loc) const {
  const auto refuse = [&](absl::string_view what) {
    return absl::InvalidArgumentError(
        WithLoc(loc, absl::StrCat("NewSession: ", what)));
  };
  if (impl_ == nullptr) {
    return absl::FailedPreconditionError(
        WithLoc(loc, absl::StrCat("NewSession: ", kMovedFrom)));
  }
  if (threads < 1 || threads > kMaxThreads) {
    return refuse(absl::StrCat("expected 1 to ", kMaxThreads,
                               " threads, found ", threads));
  }
  try {
    return Plan(std::make_unique<Impl>(*impl_, threads));
  } catch (...) {
    return CaughtStatus(CallText(loc, "NewSession"));
  }
}

int Plan::threads() const { return impl_ != nullptr ? impl_->threads() : 0; }
std::vector<StepCost> Plan::Steps() const {
  return impl_ != nullptr ? impl_->Steps() : std::vector<StepCost>();
}
std::string Plan::Dump() const {
  return impl_ != nullptr ? impl_->Dump() : std::string();
}
double Plan::compile_seconds() const {
  return impl_ != nullptr ? impl_->compile_seconds() : 0;
}

}  // namespace tape
