// Executable (executable.h): kernels and memory, and the loop that runs them.
// Tested by tests/runtime/plan_test.cc.
#include "framework/runtime/executable.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/basic_ops.h"
#include "framework/core/check.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"

namespace tape {
namespace {

// The largest values in the arena, with their ops and lines.
std::string LargestValues(const Program& program, const MemoryPlan& memory) {
  constexpr size_t kShown = 3;
  std::vector<int> ids;
  for (int id = 0; id < program.size(); ++id) {
    if (memory.places[id].kind == Place::kArena &&
        !program[id].op->traits.view) {
      ids.push_back(id);
    }
  }
  const size_t shown = std::min(kShown, ids.size());
  std::partial_sort(ids.begin(), ids.begin() + shown, ids.end(),
                    [&](int a, int b) {
                      return std::pair(program[b].type.bytes(), a) <
                             std::pair(program[a].type.bytes(), b);
                    });
  ids.resize(shown);
  return absl::StrJoin(ids, ", ", [&](std::string* out, int id) {
    const Node& node = program[id];
    absl::StrAppend(out, node.type.bytes(), " bytes of ", node.op->name, " ",
                    node.type.ToString(), " (", node.loc.ToString(), ")");
  });
}

// "net.cc:5, net.cc:6: MatMul+Relu: its kernel".
std::string SubjectOf(const Program& program, const Step& step) {
  std::vector<std::string> lines;
  for (int id : step.nodes) {
    std::string line = program[id].loc.ToString();
    if (std::find(lines.begin(), lines.end(), line) == lines.end()) {
      lines.push_back(std::move(line));
    }
  }
  return absl::StrCat(absl::StrJoin(lines, ", "), ": ", step.name,
                      ": its kernel");
}

std::unique_ptr<Kernel> MakeCopyKernel(const TensorType& type) {
  return MakeElementwiseKernel(
      {.shape = type.shape,
       .operands = {type},
       .constants = {},
       .instructions = {{.block =
                             kBroadcastTo.block({&type.dtype, 1}, type.dtype),
                         .attributes = {},
                         .inputs = {0},
                         .dtype = type.dtype}},
       .outputs = {1}});
}

}  // namespace

Executable::Executable(CompiledProgram compiled, int threads,
                       Variables& variables, const KernelSource& kernels)
    : compiled_(std::move(compiled)), variables_(&variables) {
  AddSteps(kernels);
  AddCopies();
  MakeBuffers(threads);
  FindAddresses();
}

std::unique_ptr<Kernel> Executable::MakeKernel(
    const Step& step, const KernelSource& kernels) const {
  const Program& program = compiled_.program;
  const bool is_joint = !step.code.has_value() && step.outputs.size() > 1;
  const auto make = [&](int id, bool into_scratch) {
    const Node& node = program[id];
    std::vector<TensorType> inputs;
    for (int input : node.inputs) inputs.push_back(program[input].type);
    const KernelMaker maker =
        is_joint ? node.op->joint->kernel : node.op->kernel;
    const KernelSpec spec = {.attributes = node.attributes,
                             .inputs = inputs,
                             .output = node.type,
                             .single_threaded = compiled_.single_threaded,
                             .into_scratch = into_scratch};
    if (kernels != nullptr && !into_scratch) {
      auto kernel = kernels(node, spec);
      if (kernel != nullptr) return kernel;
    }
    auto kernel = maker(spec);
    if (kernel == nullptr) throw MistakeOf(node, "made no kernel");
    return kernel;
  };
  if (step.product != kNone) {
    return MakeProductPassKernel(make(step.product, true),
                                 program[step.product].inputs.size(),
                                 *step.code);
  }
  if (step.code.has_value()) return MakeElementwiseKernel(*step.code);
  return make(step.outputs[0], false);
}

void Executable::AddSteps(const KernelSource& kernels) {
  const Program& program = compiled_.program;
  const std::vector<Place>& places = compiled_.memory.places;
  const std::vector<int> storage_of = program.Storages();
  for (const Step& step : compiled_.steps) {
    const bool side_effects = std::any_of(
        step.outputs.begin(), step.outputs.end(),
        [&](int id) { return program[id].op->traits.side_effects; });
    Call call{.name = step.name,
              .subject = SubjectOf(program, step),
              .kernel = nullptr,
              .node = step.outputs.empty() ? kNone : step.outputs[0],
              .side_effects = side_effects,
              .invariant = step.invariant};
    std::set<int> storages;  // An operand may be named twice.
    for (int id : step.inputs) {
      call.read.push_back(places[id]);
      if (storages.insert(storage_of[id]).second) {
        call.bytes_read += static_cast<double>(program[id].type.bytes());
      }
    }
    for (int id : step.outputs) {
      call.written.push_back(places[id]);
      call.bytes_written += static_cast<double>(program[id].type.bytes());
    }
    try {
      call.kernel = MakeKernel(step, kernels);
      AddCall(std::move(call));
    } catch (...) {
      throw StatusError(CaughtStatus(SubjectOf(program, step)));
    }
  }
}

void Executable::AddCopies() {
  for (const Program::Update& copy : compiled_.memory.copies) {
    const TensorType& type = compiled_.program[copy.value].type;
    const auto bytes = static_cast<double>(type.bytes());
    AddCall({.name = "Copy",
             .subject = "a copy to a variable",
             .kernel = MakeCopyKernel(type),
             .read = {compiled_.memory.places[copy.value]},
             .written = {{.kind = Place::kVariable, .index = copy.variable}},
             .bytes_read = bytes,
             .bytes_written = bytes});
  }
}

void Executable::FindAddresses() {
  std::map<int, int> fed_of_tape_id;
  for (int tape_id : compiled_.input_tape_ids) {
    fed_of_tape_id.emplace(tape_id, static_cast<int>(fed_of_tape_id.size()));
  }
  for (size_t c = 0; c < calls_.size(); ++c) {
    Call& call = calls_[c];
    for (const Place& place : call.read) {
      if (place.kind == Place::kFed) {
        const Node& input = compiled_.program[place.index];
        // An input of a shard is some rows of what is fed.
        const auto begin = static_cast<size_t>(input.attributes.begin);
        const size_t offset =
            begin == 0 ? 0
                       : begin * (input.type.bytes() /
                                  static_cast<size_t>(input.type.shape[0]));
        fed_arguments_.push_back(
            {c, call.inputs.size(),
             fed_of_tape_id.at(compiled_.program.tape_ids[place.index]),
             offset});
      }
      call.inputs.push_back(Address(place));
    }
    for (const Place& place : call.written) {
      call.outputs.push_back(Address(place));
    }
  }
  for (int fetch : compiled_.program.fetches) {
    fetched_.push_back(TensorView(compiled_.program[fetch].type,
                                  Address(compiled_.memory.places[fetch])));
  }
}

void Executable::MakeBuffers(int threads) {
  // A call of one chunk has all of the scratch memory to itself.
  size_t scratch_bytes = scratch_bytes_ * std::min(threads, chunks_);
  for (const Call& call : calls_) {
    scratch_bytes = std::max(scratch_bytes, call.scratch_bytes);
  }
  const size_t arena_bytes = compiled_.memory.arena_bytes;
  try {
    arena_ = Buffer(arena_bytes);
    scratch_ = Buffer(scratch_bytes);
  } catch (const OutOfMemory&) {
    throw OutOfMemory(
        arena_bytes + scratch_bytes,
        absl::StrCat("the plan's ", arena_bytes + scratch_bytes, " bytes",
                     compiled_.batch > 0 ? WithBatch(compiled_.batch) : "",
                     "; the largest of its values are ",
                     LargestValues(compiled_.program, compiled_.memory)));
  }
}

void Executable::WarmUp() const {
  // A step over more takes longer than reading in whatever it needs.
  constexpr double kMostBytes = 8 << 20;
  double bytes = 0, most_read = 0, most_written = 0;
  for (const Call& call : calls_) {
    bytes += call.bytes_read + call.bytes_written;
    most_read = std::max(most_read, call.bytes_read);
    most_written = std::max(most_written, call.bytes_written);
  }
  if (bytes > kMostBytes) return;
  const FloatingPointScope environment(Denormals::kFlush);
  // All operands are the same zeros; results go over one another.
  Buffer zeros, results;
  try {
    zeros = Buffer(static_cast<size_t>(most_read));
    results = Buffer(static_cast<size_t>(most_written));
  } catch (const OutOfMemory&) {
    return;  // Runs need neither.
  }
  for (const Call& call : calls_) {
    if (call.side_effects) continue;
    const std::vector<const void*> inputs(call.inputs.size(), zeros.data());
    const std::vector<void*> outputs(call.outputs.size(), results.data());
    RunAllChunks(call, {.inputs = inputs.data(),
                        .outputs = outputs.data(),
                        .scratch = scratch_.data()});
  }
}

void Executable::AddCall(Call call) {
  call.chunks = call.kernel->chunks();
  // More than any machine has, and times the threads no overflow.
  constexpr size_t kMostBytes = size_t{1} << 48;
  call.scratch_bytes = std::min(call.kernel->scratch_bytes(), kMostBytes);
  call.flops = call.kernel->flops();
  if (!calls_.empty()) {
    call.meet_before = call.chunks > 1 || calls_.back().chunks > 1;
  }
  if (call.invariant) ++invariant_calls_;
  chunks_ = std::max(chunks_, call.chunks);
  uses_stack_pointer_ =
      uses_stack_pointer_ || call.kernel->uses_stack_pointer();
  if (call.chunks > 1) {
    scratch_bytes_ =
        std::max(scratch_bytes_, RoundUpToAlignment(call.scratch_bytes));
  }
  calls_.push_back(std::move(call));
}

void* Executable::Address(const Place& place) const {
  switch (place.kind) {
    case Place::kArena:
      return arena_.data() + place.offset;
    case Place::kVariable:
      return variables_->memory(place.index);
    case Place::kFed:
      return nullptr;  // Set by each Run.
    case Place::kNowhere:
      break;
  }
  TAPE_CHECK(place.kind != Place::kNowhere);
  return nullptr;
}

void Executable::Feed(absl::Span<const void* const> fed) {
  for (const FedArgument& argument : fed_arguments_) {
    calls_[argument.call].inputs[argument.input] =
        static_cast<const std::byte*>(fed[argument.fed]) + argument.offset;
  }
}

void Executable::RunAllChunks(const Call& call,
                              const KernelArguments& arguments) const {
  try {
    for (int chunk = 0; chunk < call.chunks; ++chunk) {
      call.kernel->Run(chunk, arguments);
    }
  } catch (...) {
    throw StatusError(CaughtStatus(call.subject));
  }
}

void Executable::RunCall(const Call& call) const {
  RunAllChunks(call, {.inputs = call.inputs.data(),
                      .outputs = call.outputs.data(),
                      .scratch = scratch_.data()});
}

void Executable::RunAlone(absl::Span<const void* const> fed) {
  Feed(fed);
  for (const Call& call : calls_) RunCall(call);
}

absl::Status Executable::Run(ThreadTeam& team,
                             absl::Span<const void* const> fed) {
  Feed(fed);
  const int64_t version = variables_->version();
  first_call_ = version == invariants_version_ ? invariant_calls_ : 0;
  // More members than chunks would only stand at the barriers.
  team.Run(chunks_, [&](int member) { RunMember(team, member); });
  if (!has_failed_) {
    invariants_version_ = version;
    return absl::OkStatus();
  }
  has_failed_ = false;
  try {
    std::rethrow_exception(std::exchange(exception_, nullptr));
  } catch (...) {
    return CaughtStatus(failed_->subject);
  }
}

// Every member walks through all calls, of which each has its share of chunks,
// all in a row: so what a member makes of some rows, it also reads in the next
// call, from its own caches. What has one chunk is member 0's.
void Executable::RunMember(ThreadTeam& team, int member) {
  const int members = team.running();
  const FloatingPointScope environment(Denormals::kFlush);
  std::byte* const scratch = scratch_.data() + member * scratch_bytes_;
  const auto first_chunk = [members](const Call& call, int member) {
    return (call.chunks * member + members - 1) / members;
  };
  for (size_t c = first_call_; c < calls_.size(); ++c) {
    const Call& call = calls_[c];
    if (c > first_call_ && call.meet_before) team.Meet();
    const int begin = first_chunk(call, member);
    const int end = first_chunk(call, member + 1);
    const KernelArguments arguments = {.inputs = call.inputs.data(),
                                       .outputs = call.outputs.data(),
                                       .scratch = scratch};
    if (begin < end) RunChunks(call, member, begin, end, arguments);
  }
}

// After a failure the members still meet each other, but run nothing.
void Executable::RunChunks(const Call& call, int member, int begin, int end,
                           const KernelArguments& arguments) {
  if (has_failed_.load(std::memory_order_relaxed)) return;
  try {
    const Profile::Clock::time_point start = profile_ == nullptr
                                                 ? Profile::Clock::time_point()
                                                 : Profile::Clock::now();
    for (int chunk = begin; chunk < end; ++chunk) {
      call.kernel->Run(chunk, arguments);
      if (member == 0 && poll_) poll_();
    }
    if (profile_ == nullptr) return;
    profile_->Add(
        member, first_profiled_ + static_cast<int>(&call - &calls_[0]), start,
        Profile::Clock::now(), static_cast<double>(end - begin) / call.chunks);
  } catch (...) {
    if (has_failed_.exchange(true)) return;  // Another was first.
    exception_ = std::current_exception();
    failed_ = &call;
  }
}

double Executable::flops() const {
  double flops = 0;
  for (const Call& call : calls_) flops += call.flops;
  return flops;
}

void Executable::Record(Profile* profile, int threads) {
  profile_ = profile;
  if (profile == nullptr) return;
  std::vector<Profile::Step> steps;
  for (const Call& call : calls_) {
    steps.push_back(
        {call.name, call.flops, call.bytes_read + call.bytes_written});
  }
  first_profiled_ = profile->AddSteps(steps);
  profile->Reserve(threads);
}

bool Executable::Overwrites(const TensorView& value) const {
  if (value.type().bytes() == 0) return false;
  const auto* const begin = static_cast<const std::byte*>(value.data());
  const std::byte* const end = begin + value.type().bytes();
  const auto overlaps = [&](const void* memory, size_t bytes) {
    const auto* const start = static_cast<const std::byte*>(memory);
    return std::less<>()(begin, start + bytes) && std::less<>()(start, end);
  };
  if (overlaps(arena_.data(), compiled_.memory.arena_bytes)) return true;
  for (const Program::Update& update : compiled_.program.updates) {
    const Tensor& variable = (*variables_)[update.variable].value;
    if (overlaps(variable.data(), variable.type().bytes())) return true;
  }
  return false;
}

TensorView Executable::Fetched(int index) const { return fetched_[index]; }

}  // namespace tape
