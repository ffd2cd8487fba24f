// The vector code behind AddN and SumTo, compiled once for each instruction set
// and chosen at run time by Highway. Tested by tests/op_test.cc through the
// sample table.
#include "framework/core/sum_kernels.h"

#include <algorithm>
#include <vector>

#include "framework/core/tensor.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "framework/core/sum_kernels.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace tape::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Floats = hn::ScalableTag<float>;
using FloatVector = hn::Vec<Floats>;

// Terms added into one running sum before it joins the total: the rounding
// error of n terms then grows as 128 + n / 128.
constexpr int64_t kSumBlock = 128;

void AddFloats(const BlockArguments& block) {
  const Floats d;
  const size_t lanes = hn::Lanes(d);
  float* const out = static_cast<float*>(block.output);
  const auto term = [&](size_t input) {
    return static_cast<const float*>(block.inputs[input]);
  };
  size_t i = 0;
  for (; i + lanes <= block.count; i += lanes) {
    FloatVector sum = hn::LoadU(d, term(0) + i);
    for (size_t input = 1; input < block.inputs.size(); ++input) {
      sum = hn::Add(sum, hn::LoadU(d, term(input) + i));
    }
    hn::StoreU(sum, d, out + i);
  }
  for (; i < block.count; ++i) {
    float sum = term(0)[i];
    for (size_t input = 1; input < block.inputs.size(); ++input) {
      sum += term(input)[i];
    }
    out[i] = sum;
  }
}

// The sum of `count` neighbours.
float SumRow(const float* x, int64_t count) {
  const Floats d;
  const int64_t lanes = hn::Lanes(d);
  FloatVector total = hn::Zero(d);
  int64_t i = 0;
  while (i + lanes <= count) {
    // Four running sums, so that the additions need not wait for each other.
    FloatVector sum0 = hn::Zero(d), sum1 = hn::Zero(d);
    FloatVector sum2 = hn::Zero(d), sum3 = hn::Zero(d);
    const int64_t end = std::min(count, i + kSumBlock * lanes);
    for (; i + 4 * lanes <= end; i += 4 * lanes) {
      sum0 = hn::Add(sum0, hn::LoadU(d, x + i));
      sum1 = hn::Add(sum1, hn::LoadU(d, x + i + lanes));
      sum2 = hn::Add(sum2, hn::LoadU(d, x + i + 2 * lanes));
      sum3 = hn::Add(sum3, hn::LoadU(d, x + i + 3 * lanes));
    }
    for (; i + lanes <= end; i += lanes) {
      sum0 = hn::Add(sum0, hn::LoadU(d, x + i));
    }
    total = hn::Add(total, hn::Add(hn::Add(sum0, sum1), hn::Add(sum2, sum3)));
  }
  float sum = hn::GetLane(hn::SumOfLanes(d, total));
  for (; i < count; ++i) sum += x[i];
  return sum;
}

// out[c] = the sum of column c, for `columns` columns of `rows` rows that lie
// `stride` apart.
void SumColumns(const float* x, int64_t rows, int64_t stride, int64_t columns,
                float* out) {
  const Floats d;
  const int64_t lanes = hn::Lanes(d);
  int64_t c = 0;
  for (; c + lanes <= columns; c += lanes) {
    FloatVector total = hn::Zero(d);
    for (int64_t begin = 0; begin < rows; begin += kSumBlock) {
      const int64_t end = std::min(rows, begin + kSumBlock);
      FloatVector sum = hn::Zero(d);
      for (int64_t r = begin; r < end; ++r) {
        sum = hn::Add(sum, hn::LoadU(d, x + r * stride + c));
      }
      total = hn::Add(total, sum);
    }
    hn::StoreU(total, d, out + c);
  }
  for (; c < columns; ++c) {
    float total = 0;
    for (int64_t begin = 0; begin < rows; begin += kSumBlock) {
      const int64_t end = std::min(rows, begin + kSumBlock);
      float sum = 0;
      for (int64_t r = begin; r < end; ++r) sum += x[r * stride + c];
      total += sum;
    }
    out[c] = total;
  }
}

void RunSumStage(const SumStage& stage, const float* in, float* out,
                 int64_t outer_begin, int64_t outer_end, int64_t inner_begin,
                 int64_t inner_end) {
  for (int64_t o = outer_begin; o < outer_end; ++o) {
    const float* block = in + o * stage.reduced * stage.inner;
    if (stage.inner == 1) {
      out[o] = SumRow(block, stage.reduced);
    } else {
      SumColumns(block + inner_begin, stage.reduced, stage.inner,
                 inner_end - inner_begin, out + o * stage.inner + inner_begin);
    }
  }
}

}  // namespace tape::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace tape {
namespace {

HWY_EXPORT(AddFloats);
HWY_EXPORT(RunSumStage);

// Numbers read by one chunk: some 20 µs of work, which pays for a fork and
// join.
constexpr int64_t kChunkElements = 64 * 1024;
// Columns of one chunk come in whole cache lines.
constexpr int64_t kColumnStep = 16;

// The axes of `from`, neighbours of a kind merged, as stages that sum over one
// axis each, the last axes first.
std::vector<SumStage> PlanStages(const Shape& from, const Shape& to) {
  struct Run {
    int64_t size;
    bool reduced;
  };
  std::vector<Run> runs;
  for (int axis = 0; axis < from.rank(); ++axis) {
    const int to_axis = axis - (from.rank() - to.rank());
    const bool reduced = to_axis < 0 || to[to_axis] != from[axis];
    if (!runs.empty() && runs.back().reduced == reduced) {
      runs.back().size *= from[axis];
    } else {
      runs.push_back({from[axis], reduced});
    }
  }
  std::vector<SumStage> stages;
  int64_t inner = 1;
  for (size_t i = runs.size(); i-- > 0;) {
    if (!runs[i].reduced) {
      inner *= runs[i].size;
      continue;
    }
    int64_t outer = 1;
    for (size_t j = 0; j < i; ++j) outer *= runs[j].size;
    stages.push_back({outer, runs[i].size, inner});
  }
  // Nothing to sum over: a copy.
  if (stages.empty()) stages.push_back({1, 1, inner});
  return stages;
}

class SumToKernel : public Kernel {
 public:
  SumToKernel(const Shape& from, const Shape& to)
      : stages_(PlanStages(from, to)) {
    const SumStage& stage = stages_[0];
    const int64_t elements = stage.outer * stage.reduced * stage.inner;
    if (stages_.size() == 1 && elements > 0) {
      by_rows_ = stage.outer > 1;
      const int64_t length =
          by_rows_ ? stage.outer
                   : (stage.inner + kColumnStep - 1) / kColumnStep;
      const int64_t wanted = (elements + kChunkElements - 1) / kChunkElements;
      chunks_ =
          static_cast<int>(std::min<int64_t>({length, wanted, kMaxChunks}));
      chunk_length_ = (length + chunks_ - 1) / chunks_;
    }
    // All stages but the last leave their sums in the scratch memory, one after
    // the other.
    for (size_t i = 0; i + 1 < stages_.size(); ++i) {
      scratch_bytes_ += RoundUpToAlignment(stages_[i].outer * stages_[i].inner *
                                           sizeof(float));
    }
  }

  int chunks() const override { return chunks_; }
  size_t scratch_bytes() const override { return scratch_bytes_; }

  void Run(int chunk, const KernelArguments& arguments) const override {
    const float* in = static_cast<const float*>(arguments.inputs[0]);
    float* const out = static_cast<float*>(arguments.outputs[0]);
    if (stages_.size() == 1) {
      const SumStage& stage = stages_[0];
      int64_t rows = stage.outer, columns = stage.inner;
      int64_t row = 0, column = 0;
      if (chunks_ > 1 && by_rows_) {
        row = std::min(rows, chunk * chunk_length_);
        rows = std::min(rows, row + chunk_length_);
      } else if (chunks_ > 1) {
        column = std::min(columns, chunk * chunk_length_ * kColumnStep);
        columns = std::min(columns, column + chunk_length_ * kColumnStep);
      }
      HWY_DYNAMIC_DISPATCH(RunSumStage)
      (stage, in, out, row, rows, column, columns);
      return;
    }
    std::byte* scratch = arguments.scratch;
    for (size_t i = 0; i < stages_.size(); ++i) {
      const SumStage& stage = stages_[i];
      const bool last = i + 1 == stages_.size();
      float* const sums = last ? out : reinterpret_cast<float*>(scratch);
      HWY_DYNAMIC_DISPATCH(RunSumStage)
      (stage, in, sums, 0, stage.outer, 0, stage.inner);
      in = sums;
      scratch += RoundUpToAlignment(stage.outer * stage.inner * sizeof(float));
    }
  }

 private:
  // More than the threads of most machines, few enough to cost nothing.
  static constexpr int64_t kMaxChunks = 32;

  std::vector<SumStage> stages_;
  bool by_rows_ = false;
  int chunks_ = 1;
  int64_t chunk_length_ = 0;  // In rows, or in steps of columns.
  size_t scratch_bytes_ = 0;
};

}  // namespace

void AddFloats(const BlockArguments& block) {
  HWY_DYNAMIC_DISPATCH(AddFloats)(block);
}

std::unique_ptr<Kernel> MakeSumToKernel(const KernelSpec& spec) {
  return std::make_unique<SumToKernel>(spec.inputs[0].shape, spec.output.shape);
}

}  // namespace tape
#endif  // HWY_ONCE
