// The fused elementwise pass (elementwise.h): from code to a kernel that sweeps
// over memory in blocks. Tested by tests/runtime/elementwise_test.cc.
#include "framework/runtime/elementwise.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <optional>
#include <utility>

#include "framework/core/check.h"
#include "framework/core/sum_kernels.h"
#include "framework/core/tensor.h"
#include "framework/runtime/lane_code.h"

namespace tape {
namespace {

// Elements of a block: 2 KiB a value, so that a dozen live values fit the 32
// KiB of the smallest first-level cache in use, and the cost of calling a block
// (some 5 ns) is small beside its work (some 40 ns).
constexpr int64_t kBlock = 512;
// The same of what is all machine code, which keeps values in registers: a row
// that repeats within a block is laid out for it, and a call sets up its
// pointers anew.
constexpr int64_t kCompiledBlock = kPieceElements;
// Elements times instructions of a chunk: some 3 µs from the caches.
constexpr int64_t kWorkPerChunk = 32 * 1024;

// How an operand reaches the blocks.
enum class Access {
  kDirect,   // It has the whole shape: a block of it is a block of its memory.
  kPattern,  // It repeats every `period` elements, and blocks are whole
             // periods: laid out once for all blocks.
  kRow,      // It repeats every `period` elements, and a block lies within one
             // period.
  kGather,   // Anything else: collected run by run for each block.
  kScalar,   // One element, which machine code alone reads.
};

struct Operand {
  Access access;
  size_t element_bytes;
  int64_t period = 1;
  // For kGather: the shape, with axes along which the operand goes on in one
  // step taken together, and the operand's step along each; the last is 0 or 1.
  std::vector<int64_t> dims = {}, strides = {};
  int slot = kNoSlot;  // The scratch slot of kPattern and kGather.

  static constexpr int kNoSlot = -1;
};

// The number of elements after which `operand` repeats within `shape`; 0 if it
// is not a repetition of its whole self.
int64_t Period(const Shape& operand, const Shape& shape) {
  // Drop leading axes of 1: what remains must be the last axes of the shape.
  int first = 0;
  while (first < operand.rank() && operand[first] == 1) ++first;
  int64_t period = 1;
  for (int axis = first; axis < operand.rank(); ++axis) {
    if (operand[axis] != shape[axis + shape.rank() - operand.rank()]) return 0;
    period *= operand[axis];
  }
  return period;
}

int64_t LastOf(const Shape& shape) { return shape[shape.rank() - 1]; }

// Sets dims and strides.
void SetSteps(const Shape& from, const Shape& shape, Operand* operand) {
  std::vector<int64_t>& dims = operand->dims;
  std::vector<int64_t>& strides = operand->strides;
  // From the last axis to the first.
  int64_t elements = 1;
  for (int back = 1; back <= shape.rank(); ++back) {
    const int64_t dim = shape[shape.rank() - back];
    const int64_t own = back <= from.rank() ? from[from.rank() - back] : 1;
    const int64_t stride = own == 1 ? 0 : elements;
    elements *= own;
    if (dim == 1) continue;
    if (!dims.empty() && stride == strides.back() * dims.back()) {
      dims.back() *= dim;
    } else {
      dims.push_back(dim);
      strides.push_back(stride);
    }
  }
  std::reverse(dims.begin(), dims.end());
  std::reverse(strides.begin(), strides.end());
}

// Writes `length` elements from `from` on to `to`, or the first as often.
template <typename T>
void CopyRun(const std::byte* from, bool repeat, int64_t length,
             std::byte* to) {
  if (!repeat) {
    std::memcpy(to, from, length * sizeof(T));
    return;
  }
  T value;
  std::memcpy(&value, from, sizeof(T));
  // The first few, and then copies of what there is.
  constexpr int64_t kFew = 64 / sizeof(T);
  std::fill_n(reinterpret_cast<T*>(to), std::min(length, kFew), value);
  for (int64_t done = kFew; done < length; done *= 2) {
    std::memcpy(to + done * sizeof(T), to,
                std::min(done, length - done) * sizeof(T));
  }
}

template <typename T>
void FillBlock(double value, int64_t count, void* slot) {
  std::fill_n(static_cast<T*>(slot), count, static_cast<T>(value));
}

class ElementwiseKernel : public PlainKernel {
 public:
  // What a run of blocks may be of: whole rows, or anything that no pattern
  // needs to know the start of; or a part of one row.
  enum class Runs { kAny, kOfRows };

  explicit ElementwiseKernel(ElementwiseCode code,
                             ElementwiseEngine engine = BestElementwiseEngine(),
                             Runs runs = Runs::kAny)
      : code_(std::move(code)) {
    elements_ = code_.shape.elements();
    MakeSteps(engine);
    ChooseAccess(runs);
    AssignSlots();
    const int64_t work = elements_ * std::max<int64_t>(1, WorkOfElement());
    const int64_t blocks = (elements_ + block_ - 1) / block_;
    chunks_ = ChunksOf(work, kWorkPerChunk, blocks);
    chunk_length_ = (blocks + chunks_ - 1) / chunks_ * block_;
  }

  int chunks() const override { return chunks_; }
  // One for each op and element.
  double flops() const override {
    return static_cast<double>(elements_) * code_.instructions.size();
  }

  size_t scratch_bytes() const override {
    return SumsAt() + is_summed_.size() * kSumBytes;
  }

  void Run(int chunk, const KernelArguments& arguments) const override {
    const int64_t begin = std::min(elements_, chunk * chunk_length_);
    const int64_t end = std::min(elements_, begin + chunk_length_);
    if (begin == end) return;

    const Lists lists = Prepare(arguments, end - begin);
    RunRange(begin, end, arguments, lists);
  }

  // Runs a region of the matrix that the shape is, for which `last`, row after
  // row, has the last operand. If it is not of whole rows, the kernel is for
  // Runs::kOfRows.
  void RunRegion(const Region& region, const std::byte* last,
                 const KernelArguments& arguments) const {
    const int64_t width = LastOf(code_.shape);
    if (region.rows == 0 || region.columns == 0) return;
    const size_t row_bytes = region.columns * operands_.back().element_bytes;
    const bool whole_rows = region.columns == width;
    const int64_t rows_at_once = whole_rows ? region.rows : 1;
    const Lists lists = Prepare(arguments, rows_at_once * region.columns);
    for (int64_t row = 0; row < region.rows; row += rows_at_once) {
      const int64_t begin = (region.row + row) * width + region.column;
      RunRange(begin, begin + rows_at_once * region.columns, arguments, lists,
               last + row * row_bytes);
    }
  }

 private:
  // Of a value's last elements, fewer than a vector.
  static constexpr size_t kRestBytes = 64;
  // Of a sum that machine code makes.
  static constexpr size_t kSumBytes = 128;

  // An instruction, or several as machine code.
  struct Step {
    int begin;
    const LaneFunction* function = nullptr;
  };

  // Where each value lies in the current block; the inputs that the next block
  // is called with.
  struct Lists {
    void** at;
    const void** inputs;
  };

  int Values() const {
    return code_.FirstResult() + static_cast<int>(code_.instructions.size());
  }
  size_t PointerBytes() const {
    return RoundUpToAlignment((Values() + code_.sums.size() + max_inputs_) *
                              sizeof(void*));
  }

  std::byte* Slot(const KernelArguments& arguments, int index) const {
    return arguments.scratch + PointerBytes() +
           index * max_block_ * sizeof(float);
  }
  // Behind the slots: the pointers for the last elements, and their memory.
  size_t RestAt() const {
    return PointerBytes() + slots_ * max_block_ * sizeof(float) +
           (has_rests_ ? RoundUpToAlignment(Values() * sizeof(void*)) : 0);
  }

  // Behind these: the sums of machine code.
  size_t SumsAt() const { return RestAt() + most_in_memory_ * kRestBytes; }

  bool IsScalar(const TensorType& type) const {
    return type.shape.elements() == 1 && elements_ != 1;
  }

  void MakeSteps(ElementwiseEngine engine) {
    std::vector<bool> is_scalar;
    for (const TensorType& operand : code_.operands) {
      is_scalar.push_back(IsScalar(operand));
    }
    lanes_.emplace(code_, is_scalar, engine);
    const absl::Span<const LaneFunction> functions = lanes_->functions();
    is_summed_.assign(code_.sums.size(), false);
    size_t next = 0;  // Of the functions.
    for (int i = 0; i < std::ssize(code_.instructions);) {
      Step& step = steps_.emplace_back(Step{.begin = i});
      i += WithNext(step) ? 2 : 1;
      // (Of what is made along there must be no machine code.)
      TAPE_CHECK(!WithNext(step) ||
                 code_.instructions[i - 1].block.lane == LaneOp::kNone);
      if (next == functions.size() || functions[next].begin != step.begin) {
        continue;
      }
      step.function = &functions[next++];
      i = step.function->end;
      for (const size_t k : step.function->sums) is_summed_[k] = true;
      if (lanes_->granularity() == 1) continue;
      has_rests_ = true;
      most_in_memory_ =
          std::max(most_in_memory_, step.function->in_memory.size());
    }
  }

  // Whether a block makes the result of the next instruction along.
  bool WithNext(const Step& step) const {
    return code_.instructions[step.begin].with_next;
  }

  // In instructions that are run by their blocks; of machine code an instruction
  // costs a fourth of that, and so does an element that is loaded or stored.
  int64_t WorkOfElement() const {
    int64_t fourths = 0;
    for (const Step& step : steps_) {
      fourths += step.function == nullptr
                     ? (WithNext(step) ? 8 : 4)
                     : step.function->end - step.begin +
                           std::ssize(step.function->in_memory);
    }
    return (fourths + 3) / 4 + std::ssize(code_.sums);
  }

  // Calls read(value) for each value that a step reads from memory, and then
  // written(value) for each that it writes there.
  template <typename Read, typename Written>
  void ForEachInMemory(const Step& step, Read read, Written written) const {
    if (step.function == nullptr) {
      for (const int input : code_.instructions[step.begin].inputs) read(input);
      written(code_.FirstResult() + step.begin);
      if (WithNext(step)) written(code_.FirstResult() + step.begin + 1);
      return;
    }
    const std::vector<int>& values = step.function->in_memory;
    for (size_t i = 0; i < values.size(); ++i) {
      i < step.function->first_written ? read(values[i]) : written(values[i]);
    }
  }

  void ChooseAccess(Runs runs) {
    in_blocks_.assign(Values(), false);
    for (const Step& step : steps_) {
      if (step.function != nullptr) continue;
      if (code_.sums.empty()) max_block_ = kBlock;
      for (const int input : code_.instructions[step.begin].inputs) {
        in_blocks_[input] = true;
      }
    }
    for (const TensorType& type : code_.operands) {
      Operand operand{.access = Access::kGather,
                      .element_bytes = SizeOf(type.dtype)};
      const int64_t period = Period(type.shape, code_.shape);
      if (type.shape.elements() == elements_) {
        operand.access = Access::kDirect;
      } else if (IsScalar(type) && !in_blocks_[operands_.size()]) {
        operand.access = Access::kScalar;
      } else if (period > 0) {
        operand.period = period;
        const bool is_pattern =
            period == 1 ||
            (period <= std::max(kBlock, max_block_ / 2) && runs == Runs::kAny);
        operand.access = is_pattern ? Access::kPattern : Access::kRow;
      } else {
        SetSteps(type.shape, code_.shape, &operand);
      }
      operands_.push_back(std::move(operand));
    }
    // Every period is the size of some last axes of the shape, so the smaller
    // of two divides the larger: blocks can be whole periods of all patterns,
    // and a block within the shortest row is within all rows.
    for (const Operand& operand : operands_) {
      if (operand.access == Access::kPattern) {
        block_period_ = std::max(block_period_, operand.period);
      } else if (operand.access == Access::kRow) {
        row_ = row_ == 0 ? operand.period : std::min(row_, operand.period);
      }
    }
    block_ = max_block_ / block_period_ * block_period_;
    TAPE_CHECK(code_.sums.empty() || (block_ == kPieceElements && row_ == 0));
  }

  // Gives each value in memory that has none of its own a slot of the scratch,
  // taking up again the slots of values that are read no more.
  void AssignSlots() {
    for (Operand& operand : operands_) {
      if (operand.access == Access::kPattern ||
          operand.access == Access::kGather) {
        operand.slot = slots_++;
      }
    }
    first_constant_slot_ = slots_;
    for (size_t k = 0; k < code_.constants.size(); ++k) {
      slots_ += in_blocks_[operands_.size() + k] ? 1 : 0;
    }
    result_slots_.assign(code_.instructions.size(), Operand::kNoSlot);
    std::vector<bool> is_output(Values(), false);
    for (const int output : code_.outputs) is_output[output] = true;
    std::vector<int> last_read(Values(), -1);  // The step.
    for (size_t i = 0; i < steps_.size(); ++i) {
      ForEachInMemory(
          steps_[i], [&](int value) { last_read[value] = static_cast<int>(i); },
          [](int) {});
      if (steps_[i].function == nullptr) {
        max_inputs_ = std::max(
            max_inputs_, code_.instructions[steps_[i].begin].inputs.size());
      }
    }
    // What is summed is read after all steps.
    for (const auto& sum : code_.sums) {
      last_read[sum.value] = static_cast<int>(steps_.size());
    }
    std::vector<int> free;
    for (size_t i = 0; i < steps_.size(); ++i) {
      std::vector<int> read;
      ForEachInMemory(
          steps_[i], [&](int value) { read.push_back(value); },
          [&](int value) {
            if (is_output[value]) return;
            if (free.empty()) free.push_back(slots_++);
            result_slots_[value - code_.FirstResult()] = free.back();
            free.pop_back();
          });
      // After the results have their slots: a block may not write over an input
      // of another width.
      for (const int value : read) {
        const int result = value - code_.FirstResult();
        if (result >= 0 && result_slots_[result] >= 0 &&
            last_read[value] == static_cast<int>(i)) {
          free.push_back(result_slots_[result]);
          last_read[value] = -1;  // An input may be named twice.
        }
      }
    }
    is_whole_ = slots_ == 0 && code_.sums.empty();
  }

  // Lays out what is the same for all blocks, of up to `count` elements.
  Lists Prepare(const KernelArguments& arguments, int64_t count) const {
    count = std::min(count, block_);
    void** const at = reinterpret_cast<void**>(arguments.scratch);
    for (size_t k = 0; k < operands_.size(); ++k) {
      const Operand& operand = operands_[k];
      if (operand.access == Access::kScalar) {
        at[k] = const_cast<void*>(arguments.inputs[k]);
      }
      if (operand.slot == Operand::kNoSlot) continue;
      at[k] = Slot(arguments, operand.slot);
      if (operand.access != Access::kPattern) continue;
      const size_t bytes = operand.period * operand.element_bytes;
      const size_t limit = count * operand.element_bytes;
      for (size_t offset = 0; offset < limit; offset += bytes) {
        std::memcpy(static_cast<std::byte*>(at[k]) + offset,
                    arguments.inputs[k], bytes);
      }
    }
    int slot = first_constant_slot_;
    for (size_t k = 0; k < code_.constants.size(); ++k) {
      if (!in_blocks_[operands_.size() + k]) continue;
      void* const to = Slot(arguments, slot++);
      at[operands_.size() + k] = to;
      WithNumberOf(code_.constants[k].dtype, [&](auto number) {
        FillBlock<decltype(number)>(code_.constants[k].value, count, to);
      });
    }
    for (size_t i = 0; i < code_.instructions.size(); ++i) {
      if (result_slots_[i] >= 0) {
        at[code_.FirstResult() + i] = Slot(arguments, result_slots_[i]);
      }
    }
    for (size_t k = 0; k < code_.sums.size(); ++k) {
      at[Values() + k] = arguments.scratch + SumsAt() + k * kSumBytes;
    }
    return {at, const_cast<const void**>(at + Values() + code_.sums.size())};
  }

  // Runs the blocks of elements begin to end. `last`: where the last operand
  // has those, if it is not among the inputs.
  void RunRange(int64_t begin, int64_t end, const KernelArguments& arguments,
                const Lists& lists, const std::byte* last = nullptr) const {
    for (int64_t i = begin; i < end;) {
      // A block does not cross the end of a row, if any operand is read by
      // rows.
      int64_t count = is_whole_ ? end - i : std::min(block_, end - i);
      if (row_ > 0) count = std::min(count, row_ - i % row_);
      RunBlock(i, count, arguments, lists,
               last == nullptr
                   ? nullptr
                   : last + (i - begin) * operands_.back().element_bytes);
      i += count;
    }
  }

  void RunBlock(int64_t begin, int64_t count, const KernelArguments& arguments,
                const Lists& lists, const std::byte* last) const {
    const auto [at, inputs] = lists;
    const size_t given = operands_.size() - (last == nullptr ? 0 : 1);
    if (last != nullptr) at[given] = const_cast<std::byte*>(last);
    for (size_t k = 0; k < given; ++k) {
      const Operand& operand = operands_[k];
      const auto* const memory =
          static_cast<const std::byte*>(arguments.inputs[k]);
      if (operand.access == Access::kDirect) {
        at[k] = const_cast<std::byte*>(memory + begin * operand.element_bytes);
      } else if (operand.access == Access::kRow) {
        at[k] = const_cast<std::byte*>(memory + begin % operand.period *
                                                    operand.element_bytes);
      } else if (operand.access == Access::kGather) {
        Gather(operand, memory, begin, count, Slot(arguments, operand.slot));
      }
    }
    for (size_t k = 0; k < code_.outputs.size(); ++k) {
      const int output = code_.outputs[k];
      at[output] = static_cast<std::byte*>(arguments.outputs[k]) +
                   begin * SizeOf(code_.TypeOf(output));
    }
    // Operands before an output may be written over them.
    const int first_result = code_.FirstResult();
    SumValues(0, first_result, begin, count, arguments, at);
    for (const Step& step : steps_) {
      if (step.function != nullptr) {
        RunFunction(*step.function, count, arguments, at);
        for (const size_t k : step.function->sums) {
          *SumOf(k, begin, arguments) =
              TotalOfLanes(static_cast<const double*>(at[Values() + k]));
        }
        continue;
      }
      const ElementwiseCode::Instruction& instruction =
          code_.instructions[step.begin];
      for (size_t j = 0; j < instruction.inputs.size(); ++j) {
        inputs[j] = at[instruction.inputs[j]];
      }
      void* const* const outputs = at + first_result + step.begin;
      instruction.block({.inputs = {inputs, instruction.inputs.size()},
                         .output = outputs[0],
                         .count = static_cast<size_t>(count),
                         .attributes = instruction.attributes,
                         .along = WithNext(step) ? outputs[1] : nullptr});
    }
    SumValues(first_result, Values(), begin, count, arguments, at);
  }

  // Where sum k of the piece from element `begin` on goes.
  double* SumOf(size_t k, int64_t begin,
                const KernelArguments& arguments) const {
    return static_cast<double*>(arguments.outputs[code_.outputs.size() + k]) +
           begin / kPieceElements;
  }

  // Makes the sums of the piece from element `begin` on that machine code does
  // not, of those of values first to end - 1.
  void SumValues(int first, int end, int64_t begin, int64_t count,
                 const KernelArguments& arguments, void* const* at) const {
    for (size_t k = 0; k < code_.sums.size(); ++k) {
      const auto& [block, attributes, value] = code_.sums[k];
      if (is_summed_[k] || value < first || value >= end) continue;
      const void* const piece[] = {at[value]};
      block({.inputs = piece,
             .output = SumOf(k, begin, arguments),
             .count = static_cast<size_t>(count),
             .attributes = attributes});
    }
  }

  // The last elements, if they are fewer than the function can do, go through
  // copies.
  void RunFunction(const LaneFunction& function, size_t count,
                   const KernelArguments& arguments, void* const* at) const {
    const size_t rest = count % lanes_->granularity();
    if (count > rest) function(at, count - rest);
    if (rest == 0) return;
    std::byte* const copies = arguments.scratch + RestAt();
    void** const to = reinterpret_cast<void**>(
        copies - RoundUpToAlignment(Values() * sizeof(void*)));
    for (const int value : function.scalars) to[value] = at[value];
    const std::vector<int>& values = function.in_memory;
    const auto elements = [&](int value) {
      return static_cast<std::byte*>(at[value]) +
             (count - rest) * SizeOf(code_.TypeOf(value));
    };
    for (size_t i = 0; i < values.size(); ++i) {
      to[values[i]] = copies + i * kRestBytes;
      if (i >= function.first_written) continue;
      std::memset(to[values[i]], 0, kRestBytes);
      std::memcpy(to[values[i]], elements(values[i]),
                  rest * SizeOf(code_.TypeOf(values[i])));
    }
    function(to, lanes_->granularity());
    for (size_t i = function.first_written; i < values.size(); ++i) {
      std::memcpy(elements(values[i]), to[values[i]],
                  rest * SizeOf(code_.TypeOf(values[i])));
    }
  }

  void Gather(const Operand& operand, const std::byte* memory, int64_t begin,
              int64_t count, std::byte* to) const {
    const std::vector<int64_t>& dims = operand.dims;
    const int last = static_cast<int>(dims.size()) - 1;
    for (int64_t i = begin; i < begin + count;) {
      const int64_t column = i % dims[last];
      int64_t rest = i / dims[last];
      int64_t element = column * operand.strides[last];
      for (int axis = last; axis-- > 0;) {
        element += rest % dims[axis] * operand.strides[axis];
        rest /= dims[axis];
      }
      const int64_t length = std::min(begin + count - i, dims[last] - column);
      const std::byte* const from = memory + element * operand.element_bytes;
      const bool repeat = operand.strides[last] == 0;
      switch (operand.element_bytes) {
        case 1:
          CopyRun<uint8_t>(from, repeat, length, to);
          break;
        case 2:
          CopyRun<uint16_t>(from, repeat, length, to);
          break;
        case 4:
          CopyRun<uint32_t>(from, repeat, length, to);
          break;
        default:
          TAPE_CHECK(false);
      }
      i += length;
      to += length * operand.element_bytes;
    }
  }

  ElementwiseCode code_;
  std::vector<Operand> operands_;
  std::optional<LaneCode> lanes_;
  std::vector<Step> steps_;
  std::vector<bool> is_summed_;  // By sum: whether machine code makes it.
  std::vector<bool> in_blocks_;  // By value: whether a block reads it.
  std::vector<int>
      result_slots_;  // Of each instruction; kNoSlot if it has none.
  int64_t elements_ = 0;
  int64_t block_period_ = 1;
  int64_t max_block_ = kCompiledBlock;  // Elements of a block.
  int64_t block_ = 0;                   // The same in whole periods.
  int64_t row_ = 0;  // The shortest period of kRow; 0 if there is none.
  size_t max_inputs_ = 0;
  int slots_ = 0;
  bool is_whole_ = false;  // Whether a block may have any length.
  // Whether there is code that cannot do any number of elements, and the most
  // values in memory of such code.
  bool has_rests_ = false;
  size_t most_in_memory_ = 0;
  int first_constant_slot_ = 0;
  int chunks_ = 1;
  int64_t chunk_length_ = 0;
};

// See MakeProductPassKernel.
class ProductPassKernel : public Kernel {
 public:
  ProductPassKernel(std::unique_ptr<Kernel> product, size_t product_inputs,
                    ElementwiseCode code)
      : product_(std::move(product)),
        product_inputs_(product_inputs),
        pass_(MakePass(*product_, std::move(code))) {
    for (int i = 0; i < product_->chunks(); ++i) {
      const Region region = product_->region(i);
      region_bytes_ = std::max<size_t>(
          region_bytes_,
          RoundUpToAlignment(region.rows * region.columns * sizeof(float)));
    }
  }

  int chunks() const override { return product_->chunks(); }
  bool uses_stack_pointer() const override {
    return product_->uses_stack_pointer();
  }
  double flops() const override { return product_->flops() + pass_.flops(); }
  size_t scratch_bytes() const override {
    return region_bytes_ +
           std::max(product_->scratch_bytes(), pass_.scratch_bytes());
  }

  void Run(int chunk, const KernelArguments& arguments) const override {
    void* region = arguments.scratch;
    std::byte* const scratch = arguments.scratch + region_bytes_;
    product_->Run(
        chunk,
        {.inputs = arguments.inputs, .outputs = &region, .scratch = scratch});
    pass_.RunRegion(product_->region(chunk), arguments.scratch,
                    {.inputs = arguments.inputs + product_inputs_,
                     .outputs = arguments.outputs,
                     .scratch = scratch});
  }

 private:
  static ElementwiseKernel MakePass(const Kernel& product,
                                    ElementwiseCode code) {
    auto runs = ElementwiseKernel::Runs::kAny;
    const int64_t width = LastOf(code.shape);
    for (int i = 0; i < product.chunks(); ++i) {
      const Region region = product.region(i);
      bool is_of_patterns = region.columns == width;
      for (const TensorType& operand : code.operands) {
        const int64_t period = Period(operand.shape, code.shape);
        // (What never repeats is no pattern.)
        if (period > width && period < code.shape.elements() &&
            region.row * width % period != 0) {
          is_of_patterns = false;
        }
      }
      if (!is_of_patterns) runs = ElementwiseKernel::Runs::kOfRows;
    }
    return ElementwiseKernel(std::move(code), BestElementwiseEngine(), runs);
  }

  std::unique_ptr<Kernel> product_;
  size_t product_inputs_;
  ElementwiseKernel pass_;
  size_t region_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Kernel> MakeProductPassKernel(std::unique_ptr<Kernel> product,
                                              size_t product_inputs,
                                              ElementwiseCode code) {
  return std::make_unique<ProductPassKernel>(std::move(product), product_inputs,
                                             std::move(code));
}

bool ElementwiseCode::MayOverwrite(int output, int operand) const {
  const int maker = outputs[output] - FirstResult();
  return operands[operand].shape.elements() == shape.elements() &&
         SizeOf(operands[operand].dtype) == SizeOf(instructions[maker].dtype) &&
         LastReads()[operand] <= maker;
}

DType ElementwiseCode::TypeOf(int value) const {
  const auto count = static_cast<int>(operands.size());
  if (value < count) return operands[value].dtype;
  if (value < FirstResult()) return constants[value - count].dtype;
  return instructions[value - FirstResult()].dtype;
}

std::vector<int> ElementwiseCode::LastReads() const {
  std::vector<int> last(operands.size(), -1);
  for (size_t i = 0; i < instructions.size(); ++i) {
    for (int input : instructions[i].inputs) {
      if (input < static_cast<int>(last.size())) {
        last[input] = static_cast<int>(i);
      }
    }
  }
  return last;
}

std::unique_ptr<Kernel> MakeElementwiseKernel(ElementwiseCode code,
                                              ElementwiseEngine engine) {
  return std::make_unique<ElementwiseKernel>(std::move(code), engine);
}

}  // namespace tape
