// Executable (executable.h): the passes in their order, and the loop that runs
// what they made. Tested by tests/plan_test.cc.
#include "framework/compiler/executable.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/compiler/dump.h"
#include "framework/compiler/lower_precision.h"
#include "framework/compiler/passes.h"
#include "framework/core/basic_ops.h"
#include "framework/core/check.h"
#include "framework/core/exceptions.h"
#include "framework/core/floating_point.h"

namespace tape {
namespace {

struct Rewrite {
  Pass pass;
  Program (*run)(Program);
};

// In this order, and between the two lists the batch is cut into tiles. A
// tile's program has been through the first list.
constexpr Rewrite kFirstRewrites[] = {
    {Pass::kFoldConstants, FoldConstants},
    {Pass::kSimplify, Simplify},
    {Pass::kShareCommonSubexpressions, ShareCommonSubexpressions},
    {Pass::kPrune, Prune},
};
constexpr Rewrite kLastRewrites[] = {
    {Pass::kFoldIntoProducts, FoldIntoProducts},
    {Pass::kPrune, Prune},  // What was folded.
};

// An element that is infinite or NaN.
struct NotFinite {
  int64_t index;  // In row-major order.
  float value;
};

template <typename T>
std::optional<NotFinite> FindNotFiniteOf(const TensorType& type,
                                         const void* memory) {
  const auto* const values = static_cast<const T*>(memory);
  for (int64_t i = 0; i < type.shape.elements(); ++i) {
    const auto value = static_cast<float>(values[i]);
    if (!std::isfinite(value)) return NotFinite{i, value};
  }
  return std::nullopt;
}

// The first one of a tensor.
std::optional<NotFinite> FindNotFinite(const TensorType& type,
                                       const void* memory) {
  switch (type.dtype) {
    case DType::kFloat32:
      return FindNotFiniteOf<float>(type, memory);
    case DType::kBFloat16:
      return FindNotFiniteOf<BFloat16>(type, memory);
    case DType::kInt32:
    case DType::kUint8:
    case DType::kFloat64:
      return std::nullopt;
  }
  return std::nullopt;
}

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

void Executable::RunPasses(const Program& program) {
  program_ = program;
  Verify(program_);
  // After each, the verifier runs.
  const auto run = [&](absl::Span<const Rewrite> rewrites) {
    for (const Rewrite& rewrite : rewrites) {
      if (!options_.passes.Has(rewrite.pass)) continue;
      program_ = rewrite.run(std::move(program_));
      Verify(program_);
    }
  };
  if (options_.use == Use::kPlan) {
    run(kFirstRewrites);
    if (options_.precision == Precision::kBFloat16) {
      program_ = LowerPrecision(std::move(program_));
      Verify(program_);
    }
    if (options_.passes.Has(Pass::kTileBatch)) {
      try {
        tiles_ = Tiles::Make(program_, batch_, options_.passes, &program_);
      } catch (const OutOfMemory& error) {
        throw StatusError(absl::ResourceExhaustedError(absl::StrCat(
            "the tiles of the batch found ", error.what(), WithBatch(batch_))));
      }
      Verify(program_);
    }
  }
  run(kLastRewrites);
  program_ = Materialize(std::move(program_));
  Verify(program_);
}

// Of the program as it was declared: passes may take such a node away.
void Executable::FindFedOperands(const Program& program) {
  absl::flat_hash_map<int, int> fed_of_node;
  for (int input : program.Inputs()) {
    fed_of_node.emplace(input, static_cast<int>(fed_of_node.size()));
  }
  for (const Node& node : program.nodes) {
    if (node.op->refuses == nullptr) continue;
    std::vector<TensorType> types;
    for (int input : node.inputs) types.push_back(program[input].type);
    for (size_t i = 0; i < node.inputs.size(); ++i) {
      int from = node.inputs[i];
      while (program[from].op->traits.view) from = program[from].inputs[0];
      const auto fed = fed_of_node.find(from);
      if (fed == fed_of_node.end()) continue;
      // A loss and its derivative take the same labels: one look is enough.
      const FedOperand operand = {node, types, static_cast<int>(i),
                                  fed->second};
      const bool is_known = std::any_of(
          fed_operands_.begin(), fed_operands_.end(), [&](const auto& other) {
            return other.node.op->refuses == node.op->refuses &&
                   other.node.attributes == node.attributes &&
                   other.inputs == types && other.operand == operand.operand &&
                   other.fed == operand.fed;
          });
      if (!is_known) fed_operands_.push_back(operand);
    }
  }
}

absl::Status Executable::CheckFed(absl::Span<const void* const> fed) const {
  for (const FedOperand& operand : fed_operands_) {
    const TensorView value(operand.inputs[operand.operand], fed[operand.fed]);
    const std::string wrong = CallOf(operand.node, "rule for fed numbers", [&] {
      return operand.node.op->refuses({.attributes = operand.node.attributes,
                                       .inputs = operand.inputs,
                                       .operand = operand.operand,
                                       .fed = value});
    });
    if (wrong.empty()) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(operand.node.loc.ToString(), ": ", wrong));
  }
  return absl::OkStatus();
}

std::unique_ptr<Kernel> Executable::MakeKernel(const Step& step) const {
  const auto make = [&](int id, bool apart) {
    const Node& node = program_[id];
    std::vector<TensorType> inputs;
    for (int input : node.inputs) inputs.push_back(program_[input].type);
    auto kernel = node.op->kernel({.attributes = node.attributes,
                                   .inputs = inputs,
                                   .output = node.type,
                                   .alone = options_.use == Use::kTile,
                                   .apart = apart});
    if (kernel == nullptr) throw MistakeOf(node, "made no kernel");
    return kernel;
  };
  if (step.product != kNone) {
    return MakeProductPassKernel(make(step.product, true),
                                 program_[step.product].inputs.size(),
                                 *step.code);
  }
  if (step.code.has_value()) return MakeElementwiseKernel(*step.code);
  if (tiles_ != nullptr) {
    auto kernel = tiles_->MakeKernel(program_, step.outputs[0]);
    if (kernel != nullptr) return kernel;
  }
  return make(step.outputs[0], false);
}

bool Executable::HasSideEffects(const Step& step) const {
  return std::any_of(step.outputs.begin(), step.outputs.end(), [&](int id) {
    return program_[id].op->traits.side_effects;
  });
}

Executable::Executable(const Program& program, int64_t batch,
                       const Options& options, Variables& variables)
    : batch_(batch), options_(options), variables_(&variables) {
  if (options_.use == Use::kPlan) FindFedOperands(program);
  RunPasses(program);
  steps_ = Fuse(program_, options_.passes);
  memory_ = PlanMemory(program_, steps_, options_.passes);

  const std::vector<int> storage_of = program_.Storages();
  for (const Step& step : steps_) {
    Call call{.name = step.name,
              .subject = SubjectOf(program_, step),
              .kernel = nullptr,
              .node = step.outputs.empty() ? kNone : step.outputs[0],
              .side_effects = HasSideEffects(step)};
    absl::flat_hash_set<int> storages;  // An operand may be named twice.
    for (int id : step.inputs) {
      call.read.push_back(memory_.places[id]);
      if (storages.insert(storage_of[id]).second) {
        call.bytes_read += static_cast<double>(program_[id].type.bytes());
      }
    }
    for (int id : step.outputs) {
      call.written.push_back(memory_.places[id]);
      call.bytes_written += static_cast<double>(program_[id].type.bytes());
    }
    try {
      call.kernel = MakeKernel(step);
      AddCall(std::move(call));
    } catch (...) {
      throw StatusError(CaughtStatus(SubjectOf(program_, step)));
    }
  }
  for (const Program::Update& copy : memory_.copies) {
    const auto bytes = static_cast<double>(program_[copy.value].type.bytes());
    AddCall({.name = "Copy",
             .subject = "a copy to a variable",
             .kernel = MakeCopyKernel(program_[copy.value].type),
             .read = {memory_.places[copy.value]},
             .written = {{.kind = Place::kVariable, .index = copy.variable}},
             .bytes_read = bytes,
             .bytes_written = bytes});
  }

  MakeBuffers();
  // Passes keep a node's tape id, by which an input is known again.
  absl::flat_hash_map<int, int> fed_of_tape_id;
  for (int input : program.Inputs()) {
    fed_of_tape_id.emplace(program.tape_ids[input],
                           static_cast<int>(fed_of_tape_id.size()));
  }
  for (size_t c = 0; c < calls_.size(); ++c) {
    Call& call = calls_[c];
    for (const Place& place : call.read) {
      if (place.kind == Place::kFed) {
        fed_arguments_.push_back(
            {c, call.inputs.size(),
             fed_of_tape_id.at(program_.tape_ids[place.index])});
      }
      call.inputs.push_back(Address(place));
    }
    for (const Place& place : call.written) {
      call.outputs.push_back(Address(place));
    }
  }
  for (int fetch : program_.fetches) {
    fetched_.push_back(
        TensorView(program_[fetch].type, Address(memory_.places[fetch])));
  }
}

Executable::~Executable() = default;

void Executable::MakeBuffers() {
  // A call of one chunk has all of the scratch memory to itself.
  size_t scratch_bytes = scratch_bytes_ * std::min(options_.threads, chunks_);
  for (const Call& call : calls_) {
    scratch_bytes = std::max(scratch_bytes, call.scratch_bytes);
  }
  try {
    arena_ = Buffer(memory_.arena_bytes);
    scratch_ = Buffer(scratch_bytes);
  } catch (const OutOfMemory&) {
    throw StatusError(absl::ResourceExhaustedError(absl::StrCat(
        "there is no memory for the plan's ",
        memory_.arena_bytes + scratch_bytes, " bytes",
        batch_ > 0 ? WithBatch(batch_) : "", "; the largest of its values are ",
        LargestValues(program_, memory_))));
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
  call.scratch_bytes = call.kernel->scratch_bytes();
  call.flops = call.kernel->flops();
  if (!calls_.empty()) {
    call.meet_before = call.chunks > 1 || calls_.back().chunks > 1;
  }
  chunks_ = std::max(chunks_, call.chunks);
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
    calls_[argument.call].inputs[argument.input] = fed[argument.fed];
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

void Executable::RunAlone(absl::Span<const void* const> fed) {
  Feed(fed);
  for (const Call& call : calls_) {
    RunAllChunks(call, {.inputs = call.inputs.data(),
                        .outputs = call.outputs.data(),
                        .scratch = scratch_.data()});
  }
}

absl::Status Executable::ReportMade(int node, int64_t index, float value,
                                    int64_t run) const {
  const Node& made = program_[node];
  std::vector<int64_t> place(made.type.shape.rank());
  for (int axis = made.type.shape.rank(); axis-- > 0;) {
    place[axis] = index % made.type.shape[axis];
    index /= made.type.shape[axis];
  }
  return absl::OutOfRangeError(
      absl::StrCat(made.loc.ToString(), ": ", made.op->name, " made ",
                   std::isnan(value) ? "nan"
                   : value > 0       ? "inf"
                                     : "-inf",
                   " at [", absl::StrJoin(place, ","), "] of ",
                   made.type.ToString(), " in run ", run));
}

absl::Status Executable::RunChecked(absl::Span<const void* const> fed,
                                    int64_t run) {
  const FloatingPointScope environment(Denormals::kFlush);
  Feed(fed);
  // Steps without passes are in the program's order, and what updates copy
  // comes after them all.
  size_t next = 0;
  const auto make = [&] {
    const Call& call = calls_[next++];
    RunAllChunks(call, {.inputs = call.inputs.data(),
                        .outputs = call.outputs.data(),
                        .scratch = scratch_.data()});
  };
  size_t next_fed = 0;
  std::vector<bool> finite(program_.size());  // All elements of a node.
  for (int id = 0; id < program_.size(); ++id) {
    const Node& node = program_[id];
    const Traits& traits = node.op->traits;
    // Pad's number, say, is an operand too.
    bool from_finite = std::isfinite(static_cast<float>(node.attributes.value));
    for (int input : node.inputs) from_finite = from_finite && finite[input];
    if (traits.uniform) {
      finite[id] =
          std::isfinite(AsInRun(node.type.dtype, node.attributes.value));
      continue;
    }
    const void* memory = nullptr;
    if (traits.source) {
      memory = node.variable == kNone ? fed[next_fed++]
                                      : Address(memory_.places[id]);
    } else if (next < calls_.size() && calls_[next].node == id) {
      make();
      memory = calls_[next - 1].outputs[0];
    } else {  // A view.
      finite[id] = from_finite;
      continue;
    }
    const std::optional<NotFinite> found = FindNotFinite(node.type, memory);
    finite[id] = !found.has_value();
    if (found.has_value() && from_finite && !traits.source) {
      return ReportMade(id, found->index, found->value, run);
    }
  }
  while (next < calls_.size()) {
    TAPE_CHECK_EQ(calls_[next].node, kNone);
    make();
  }
  return absl::OkStatus();
}

absl::Status Executable::Run(ThreadTeam& team,
                             absl::Span<const void* const> fed) {
  Feed(fed);
  // More members than chunks would only stand at the barriers.
  team.Run(chunks_, [&](int member) { RunMember(team, member); });
  if (!has_failed_) return absl::OkStatus();
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
  for (const Call& call : calls_) {
    if (call.meet_before) team.Meet();
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
  if (overlaps(arena_.data(), memory_.arena_bytes)) return true;
  for (const Program::Update& update : program_.updates) {
    const Tensor& variable = (*variables_)[update.variable].value;
    if (overlaps(variable.data(), variable.type().bytes())) return true;
  }
  return false;
}

TensorView Executable::Fetched(int index) const { return fetched_[index]; }

std::string Executable::PlaceText(const Place& place) const {
  switch (place.kind) {
    case Place::kArena:
      return absl::StrCat("arena+", place.offset);
    case Place::kVariable:
      return absl::StrCat("variable \"", (*variables_)[place.index].name, "\"");
    case Place::kFed:
      return absl::StrCat("input \"", program_[place.index].name, "\"");
    case Place::kNowhere:
      break;
  }
  return "nowhere";
}

std::vector<StepCost> Executable::Steps() const {
  std::vector<StepCost> steps;
  for (const Call& call : calls_) {
    steps.push_back({.name = call.name,
                     .chunks = call.chunks,
                     .flops = call.flops,
                     .bytes_read = call.bytes_read,
                     .bytes_written = call.bytes_written});
  }
  return steps;
}

std::string Executable::Dump() const {
  std::string text = absl::StrCat(
      options_.use == Use::kPlan ? absl::StrCat("batch ", batch_, ", ") : "",
      calls_.size(), " steps, peak ", memory_.arena_bytes, " bytes of arena (",
      memory_.unshared_bytes, " unshared)\n");
  if (!calls_.empty()) {
    const auto append_place = [&](std::string* out, const Place& place) {
      absl::StrAppend(out, PlaceText(place));
    };
    std::vector<std::string> accesses;
    for (const Call& call : calls_) {
      accesses.push_back(
          absl::StrCat(absl::StrJoin(call.read, ", ", append_place), " -> ",
                       absl::StrJoin(call.written, ", ", append_place)));
    }
    absl::StrAppend(
        &text, StepTable(Steps(), accesses),
        MemoryMap(program_, steps_, memory_,
                  [&](const Place& place) { return PlaceText(place); }));
  }
  if (tiles_ != nullptr) absl::StrAppend(&text, tiles_->Dump());
  return text;
}

}  // namespace tape
