// Plan (plan.h): checks what is fed, finds the executable of its batch size,
// runs it. Tested by tests/plan_test.cc.
#include "framework/compiler/plan.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/compiler/plan_impl.h"
#include "framework/core/check.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"
#include "framework/core/uninterrupted.h"

namespace tape {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

std::string NameOf(const Node& input) {
  return absl::StrCat("input \"", input.name, "\" (", input.loc.ToString(),
                      ")");
}

// Whether `fed` is of the declared type, for some batch size.
bool Fits(const TensorType& declared, const TensorType& fed) {
  if (fed.dtype != declared.dtype ||
      fed.shape.rank() != declared.shape.rank() || !fed.shape.is_bound() ||
      !fed.shape.is_valid()) {
    return false;
  }
  for (int axis = 0; axis < declared.shape.rank(); ++axis) {
    const int64_t dim = declared.shape[axis];
    if (dim != kBatch && dim != fed.shape[axis]) return false;
  }
  return true;
}

}  // namespace

Plan::Plan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Plan::~Plan() = default;
Plan::Plan(Plan&&) noexcept = default;
Plan& Plan::operator=(Plan&&) noexcept = default;

Plan::Impl::Impl(const Graph& graph, Program program, std::vector<Var> fetches,
                 const Executable::Options& options, bool check_finite)
    : graph_(&graph),
      program_(std::move(program)),
      fetches_(std::move(fetches)),
      variables_(graph.shared_variables()),
      team_(options.threads),
      options_(options),
      graph_size_(graph.size()),
      check_finite_(check_finite) {
  options_.threads = team_.size();
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

absl::StatusOr<Executable*> Plan::Impl::Prepare(int64_t batch) {
  for (const std::unique_ptr<Executable>& executable : executables_) {
    if (executable->batch() == batch) return executable.get();
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
  auto executable =
      std::make_unique<Executable>(bound, batch, options_, *variables_);
  executable->Record(profile_, team_.size());
  executable->WarmUp();
  executables_.push_back(std::move(executable));
  compile_seconds_ += SecondsSince(start);
  return executables_.back().get();
}

void Plan::Impl::Record(Profile* profile) {
  profile_ = profile;
  for (const std::unique_ptr<Executable>& executable : executables_) {
    executable->Record(profile, team_.size());
  }
}

absl::Status Plan::Impl::Run(absl::Span<const Feed> feeds) {
  int64_t batch = kBatch;  // Not known yet.
  const PlanInput* batch_from = nullptr;
  std::vector<std::string> mistakes;  // Allocates nothing while empty.
  std::fill(fed_.begin(), fed_.end(), nullptr);
  for (const Feed& feed : feeds) {
    const int index = IndexOf(feed.input);
    if (feed.input.graph() != graph_ || !feed.input.valid() ||
        (index == kNone && feed.input.id() < graph_size_)) {
      mistakes.push_back(
          "Run: what is fed is not an input of the plan's graph");
      continue;
    }
    if (index == kNone) continue;  // Declared since.
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
    return absl::InvalidArgumentError(absl::StrJoin(mistakes, "\n"));
  }
  const absl::StatusOr<Executable*> executable =
      Prepare(has_batch_ ? batch : 0);
  if (!executable.ok()) return executable.status();
  for (const Feed& feed : feeds) {
    const int index = IndexOf(feed.input);
    if (index != kNone && inputs_[index].needed_as != kNone &&
        (*executable)->Overwrites(feed.value)) {
      return absl::InvalidArgumentError(
          absl::StrCat("Run: ", NameOf(inputs_[index].node),
                       " is fed from memory that this run writes, what it "
                       "fetched before or a "
                       "variable that it updates; feed a copy"));
    }
  }
  if (absl::Status status = (*executable)->CheckFed(needed_); !status.ok()) {
    return status;
  }
  last_ = *executable;
  has_run_ = false;
  const UninterruptedScope scope;
  absl::Status status = check_finite_ ? last_->RunChecked(needed_, ++runs_)
                                      : last_->Run(team_, needed_);
  has_run_ = status.ok();
  return status;
}

int Plan::Impl::IndexOf(Var input) const {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (inputs_[i].tape_id == input.id()) return static_cast<int>(i);
  }
  return kNone;
}

TensorView Plan::Impl::Value(Var fetch) const {
  for (size_t i = 0; i < fetches_.size(); ++i) {
    if (fetches_[i] == fetch && has_run_) {
      return last_->Fetched(static_cast<int>(i));
    }
  }
  internal::CheckFailed(__FILE__, __LINE__,
                        absl::StrCat("Value: node ", fetch.id(),
                                     " is not fetched by this plan, or it has "
                                     "not run"));
}

const Executable* Plan::Impl::Latest() const {
  if (last_ != nullptr) return last_;
  return executables_.empty() ? nullptr : executables_.back().get();
}

std::vector<StepCost> Plan::Impl::Steps() const {
  const Executable* const latest = Latest();
  return latest == nullptr ? std::vector<StepCost>() : latest->Steps();
}

std::string Plan::Impl::Dump() const {
  const Executable* const latest = Latest();
  return latest == nullptr ? tape::Dump(program_) : latest->Dump();
}

absl::Status Plan::Run(absl::Span<const Feed> feeds) {
  try {
    return impl_->Run(feeds);
  } catch (...) {
    return CaughtStatus("Run");
  }
}
TensorView Plan::Value(Var fetch) const { return impl_->Value(fetch); }
float Plan::Scalar(Var fetch) const {
  const TensorView value = Value(fetch);
  TAPE_CHECK_EQ(value.shape().elements(), int64_t{1});
  return value.values<float>()[0];
}
void Plan::Record(Profile* profile) { impl_->Record(profile); }
int Plan::threads() const { return impl_->threads(); }
std::vector<StepCost> Plan::Steps() const { return impl_->Steps(); }
std::string Plan::Dump() const { return impl_->Dump(); }
double Plan::compile_seconds() const { return impl_->compile_seconds(); }

}  // namespace tape
