// Kernels of shards (shard_kernels.h). Tested by tests/compiler/shard_batch_test.cc
// and tests/distributed/plan_test.cc.
#include "framework/runtime/shard_kernels.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "framework/core/basic_ops.h"

namespace tape {

constinit const OpDef kSumShards = {
    .name = "SumShards",
    .operands = {"x"},
    .variadic = true,
    .shape = TypeOfAttributes,
    .traits = {.in_place = 0},
};
constinit const OpDef kBeginAllReduce = {
    .name = "BeginAllReduce",
    .operands = {"x"},
    .variadic = true,
    .shape = TypeOfAttributes,
    .traits = {.in_place = 0, .side_effects = true},
};
constinit const OpDef kEndAllReduce = {
    .name = "EndAllReduce",
    .operands = {"x"},
    .variadic = true,
    .shape = TypeOfAttributes,
    .traits = {.in_place = 0, .side_effects = true},
};
constinit const OpDef kReducedPart = {
    .name = "ReducedPart",
    .operands = {"x"},
    .shape = TypeOfAttributes,
};
constinit const OpDef kGatherRows = {
    .name = "GatherRows",
    .operands = {"x"},
    .variadic = true,
    .shape = TypeOfAttributes,
    .rows = [](const RowQuery&) { return RowRole::kGathered; },
    .traits = {.side_effects = true},
};
constinit const OpDef kRowsOf = {
    .name = "RowsOf",
    .operands = {"x"},
    .shape = TypeOfAttributes,
};

namespace {

std::byte* Output(const KernelArguments& arguments) {
  return static_cast<std::byte*>(arguments.outputs[0]);
}
const std::byte* Input(const KernelArguments& arguments, int input) {
  return static_cast<const std::byte*>(arguments.inputs[input]);
}

// The tag of an all-reduce or a gathering. Those under way have different ones:
// there are never so many.
int TagOf(const Attributes& attributes) {
  constexpr int64_t kTags =
      kMaxTag - 2;  // The last three are the Communicator's.
  return static_cast<int>(attributes.index % kTags);
}

// Hands on `bytes`, which may be where they belong.
void Forward(const KernelArguments& arguments, size_t bytes) {
  if (arguments.outputs[0] == arguments.inputs[0] || bytes == 0) return;
  std::memcpy(arguments.outputs[0], arguments.inputs[0], bytes);
}

class SumShardsKernel : public PlainKernel {
 public:
  SumShardsKernel(const KernelSpec& spec, int shards)
      : dtype_(spec.output.dtype),
        shards_(shards),
        rounds_(spec.attributes.value != 0),
        has_votes_(spec.attributes.transpose_lhs),
        elements_(spec.output.shape.elements()) {
    const auto values = static_cast<size_t>(spec.attributes.depth);
    present_ = values == 0 ? 0 : static_cast<int>(spec.inputs.size() / values);
    for (size_t v = 0; v < values; ++v) {
      // Without shards that have rows all is 0, whatever the sizes.
      lengths_.push_back(
          present_ == 0 ? 0 : spec.inputs[v * present_].shape.elements());
    }
  }

  int chunks() const override {
    constexpr int64_t kElementsPerChunk = 16 * 1024;
    constexpr int64_t kMostChunks = 64;
    if (lengths_.size() != 1) return 1;
    return static_cast<int>(
        std::clamp<int64_t>(elements_ / kElementsPerChunk, 1, kMostChunks));
  }

  void Run(int chunk, const KernelArguments& arguments) const override {
    if (present_ == 0) {
      std::memset(Output(arguments), 0,
                  static_cast<size_t>(elements_) * SizeOf(dtype_));
      return;
    }
    if (lengths_.size() == 1) {
      const int64_t length = lengths_[0];
      if (has_votes_) {
        std::memset(
            Output(arguments) + static_cast<size_t>(length) * SizeOf(dtype_), 0,
            kBallots * sizeof(float));
      }
      return Sum(arguments.inputs, length * chunk / chunks(),
                 length * (chunk + 1) / chunks(), Output(arguments));
    }
    // The first value is done before anything is written behind it, where the
    // output may lie over an input.
    std::byte* output = Output(arguments);
    for (size_t v = 0; v < lengths_.size(); ++v) {
      Sum(arguments.inputs + v * present_, 0, lengths_[v], output);
      output += static_cast<size_t>(lengths_[v]) * SizeOf(dtype_);
    }
    if (has_votes_) std::memset(output, 0, kBallots * sizeof(float));
  }

 private:
  static constexpr int64_t kSome = 256;  // Elements at a time.
  struct Part {
    alignas(64) std::array<std::byte, kSome * sizeof(double)> bytes;
  };

  // Writes elements begin to end - 1 of the sum of the shards.
  void Sum(const void* const* shards, int64_t begin, int64_t end,
           std::byte* output) const {
    const size_t size = SizeOf(dtype_);
    if (shards_ == 1 && !rounds_) {
      const auto offset = static_cast<size_t>(begin) * size;
      const auto* const from =
          static_cast<const std::byte*>(shards[0]) + offset;
      // It may be in its place.
      if (from == output + offset) return;
      std::memcpy(output + offset, from,
                  static_cast<size_t>(end - begin) * size);
      return;
    }
    // The partial sum of each level of the tree, as a binary counter.
    constexpr int kLevels = std::bit_width(unsigned{kMaxShards});
    std::array<Part, kLevels> levels;
    for (int64_t first = begin; first < end; first += kSome) {
      const int64_t count = std::min(kSome, end - first);
      const auto offset = static_cast<size_t>(first) * size;
      const auto bytes = static_cast<size_t>(count) * size;
      Part sum;
      for (int shard = 0; shard < shards_; ++shard) {
        if (shard < present_) {
          std::memcpy(sum.bytes.data(),
                      static_cast<const std::byte*>(shards[shard]) + offset,
                      bytes);
          Round(count, sum);
        } else {
          sum.bytes.fill(std::byte{0});
        }
        int level = 0;
        for (; (shard >> level & 1) != 0; ++level) {
          // The earlier shards' sum comes first.
          AddTo(dtype_, count, sum.bytes.data(), levels[level].bytes.data());
          sum = levels[level];
          Round(count, sum);
        }
        levels[level] = sum;
      }
      std::memcpy(output + offset, sum.bytes.data(), bytes);
    }
  }

  void Round(int64_t count, Part& part) const {
    if (!rounds_) return;
    RoundToBFloat16(count, reinterpret_cast<float*>(part.bytes.data()));
  }

  const DType dtype_;
  const int shards_;  // Of this rank, with and without rows.
  const bool rounds_, has_votes_;
  const int64_t elements_;
  int present_;                   // Of them, those with rows.
  std::vector<int64_t> lengths_;  // Elements of each value.
};

class ReducedPartKernel : public PlainKernel {
 public:
  explicit ReducedPartKernel(const KernelSpec& spec)
      : offset_(static_cast<size_t>(spec.attributes.begin) *
                SizeOf(spec.output.dtype)),
        bytes_(spec.output.bytes()) {}
  void Run(int, const KernelArguments& arguments) const override {
    std::memcpy(arguments.outputs[0], Input(arguments, 0) + offset_, bytes_);
  }

 private:
  const size_t offset_, bytes_;
};

// Of kRowsOf: a part that is counted in rows.
std::unique_ptr<Kernel> MakeRowsOfKernel(const KernelSpec& spec) {
  Attributes elements = spec.attributes;
  const Shape& shape = spec.inputs[0].shape;
  elements.begin *= shape[0] == 0 ? 0 : shape.elements() / shape[0];
  return std::make_unique<ReducedPartKernel>(KernelSpec{
      .attributes = elements, .inputs = spec.inputs, .output = spec.output});
}

}  // namespace

class ShardKernels::BeginKernel : public PlainKernel {
 public:
  BeginKernel(const KernelSpec& spec, Communicator& ranks,
              std::shared_ptr<AllReduce> reduction,
              std::vector<AllReduce*>& under_way)
      : bytes_(spec.output.bytes()),
        has_votes_(spec.attributes.transpose_lhs && ranks.size() > 1),
        ranks_(ranks),
        reduction_(std::move(reduction)),
        under_way_(under_way) {}

  void Run(int, const KernelArguments& arguments) const override {
    Forward(arguments, bytes_);
    if (has_votes_) {
      std::memcpy(Output(arguments) + bytes_ - sizeof(ranks_.votes()),
                  ranks_.votes().data(), sizeof(ranks_.votes()));
    }
    reduction_->Begin(arguments.outputs[0]);
    if (ranks_.size() > 1) under_way_.push_back(reduction_.get());
  }

 private:
  const size_t bytes_;
  const bool has_votes_;
  Communicator& ranks_;
  const std::shared_ptr<AllReduce> reduction_;
  std::vector<AllReduce*>& under_way_;
};

class ShardKernels::EndKernel : public PlainKernel {
 public:
  EndKernel(const KernelSpec& spec, Communicator& ranks, ShardKernels& others,
            std::shared_ptr<AllReduce> reduction)
      : bytes_(spec.output.bytes()),
        has_votes_(spec.attributes.transpose_lhs && ranks.size() > 1),
        ranks_(ranks),
        others_(others),
        reduction_(std::move(reduction)) {}

  void Run(int, const KernelArguments& arguments) const override {
    reduction_->Wait([this] { others_.Progress(); });
    Forward(arguments, bytes_);
    if (!has_votes_) return;
    std::array<float, kBallots> counted;
    std::memcpy(counted.data(), Output(arguments) + bytes_ - sizeof(counted),
                sizeof(counted));
    ranks_.set_counted(counted);
  }

 private:
  const size_t bytes_;
  const bool has_votes_;
  Communicator& ranks_;
  ShardKernels& others_;  // What goes on meanwhile.
  const std::shared_ptr<AllReduce> reduction_;
};

// Puts this rank's rows into their place, and exchanges rows with the other ranks
// by recursive doubling: after round r a rank has those of 2^(r + 1) ranks.
class ShardKernels::GatherKernel : public PlainKernel {
 public:
  GatherKernel(const KernelSpec& spec, const DataParallel& parallel,
               int64_t batch, ShardKernels& others)
      : ranks_(parallel.ranks()),
        others_(others),
        tag_(TagOf(spec.attributes)),
        what_(absl::StrCat("gathering of rows ", tag_)) {
    const size_t row_bytes =
        batch == 0 ? 0 : spec.output.bytes() / static_cast<size_t>(batch);
    // The last input may be there for the order alone.
    const size_t rows =
        spec.inputs.size() - (spec.attributes.transpose_rhs ? 1 : 0);
    for (const TensorType& type : spec.inputs.first(rows)) {
      bytes_.push_back(type.bytes());
    }
    const auto first_byte = [&](int rank) {
      return row_bytes *
             static_cast<size_t>(RowsOfShard(batch, parallel.shards,
                                             rank * parallel.shards_per_rank())
                                     .begin);
    };
    for (int rank = 0; rank <= ranks_.size(); ++rank) {
      first_bytes_.push_back(first_byte(rank));
    }
  }

  void Run(int, const KernelArguments& arguments) const override {
    const int rank = ranks_.rank();
    std::byte* row = Output(arguments) + first_bytes_[rank];
    for (size_t i = 0; i < bytes_.size(); ++i) {
      if (bytes_[i] == 0) continue;
      std::memcpy(row, Input(arguments, static_cast<int>(i)), bytes_[i]);
      row += bytes_[i];
    }
    for (int distance = 1; distance < ranks_.size(); distance *= 2) {
      const int mine = rank / distance * distance;
      const int theirs = mine ^ distance;
      std::byte* const output = Output(arguments);
      const auto bytes = [&](int first) {
        return first_bytes_[first + distance] - first_bytes_[first];
      };
      ranks_.Complete({.peer = rank ^ distance,
                       .tag = tag_,
                       .send = output + first_bytes_[mine],
                       .send_bytes = bytes(mine),
                       .receive = output + first_bytes_[theirs],
                       .receive_bytes = bytes(theirs)},
                      what_, [this] { others_.Progress(); });
    }
  }

 private:
  Communicator& ranks_;
  ShardKernels& others_;  // What goes on meanwhile.
  const int tag_;
  const std::string what_;           // In errors.
  std::vector<size_t> bytes_;        // Of each input.
  std::vector<size_t> first_bytes_;  // Of the output, of each rank's rows.
};

std::shared_ptr<AllReduce> ShardKernels::AllReduceOf(const KernelSpec& spec) {
  std::shared_ptr<AllReduce>& reduction = reductions_[spec.attributes.index];
  if (reduction == nullptr) {
    reduction = std::make_shared<AllReduce>(
        parallel_.ranks(), TagOf(spec.attributes), spec.output.dtype,
        spec.output.shape.elements(), spec.attributes.value != 0);
    under_way_.reserve(reductions_.size());
  }
  return reduction;
}

void ShardKernels::Progress() {
  std::erase_if(under_way_,
                [](AllReduce* reduction) { return reduction->Progress(); });
}

std::unique_ptr<Kernel> ShardKernels::Make(const KernelSpec& spec,
                                           const OpDef& op) {
  Communicator& ranks = parallel_.ranks();
  if (&op == &kSumShards) {
    return std::make_unique<SumShardsKernel>(spec, parallel_.shards_per_rank());
  }
  if (&op == &kBeginAllReduce) {
    return std::make_unique<BeginKernel>(spec, ranks, AllReduceOf(spec),
                                         under_way_);
  }
  if (&op == &kEndAllReduce) {
    return std::make_unique<EndKernel>(spec, ranks, *this, AllReduceOf(spec));
  }
  if (&op == &kReducedPart) return std::make_unique<ReducedPartKernel>(spec);
  if (&op == &kRowsOf) return MakeRowsOfKernel(spec);
  if (&op == &kGatherRows) {
    return std::make_unique<GatherKernel>(spec, parallel_, batch_, *this);
  }
  return nullptr;
}

}  // namespace tape
