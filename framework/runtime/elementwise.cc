// The fused elementwise pass (elementwise.h): from code to a kernel that sweeps
// over memory in blocks. Tested by tests/runtime/elementwise_test.cc.
#include "framework/runtime/elementwise.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "framework/core/check.h"
#include "framework/core/tensor.h"

namespace tape {
namespace {

// Elements of a block: 2 KiB a value, so that a dozen live values fit the 32
// KiB of the smallest first-level cache in use, and the cost of calling a block
// (some 5 ns) is small beside its work (some 40 ns).
constexpr int64_t kBlock = 512;
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

class ElementwiseKernel : public Kernel {
 public:
  // What a run of blocks may be of: whole rows, or anything that no pattern
  // needs to know the start of; or a part of one row.
  enum class Runs { kAny, kOfRows };

  explicit ElementwiseKernel(ElementwiseCode code, Runs runs = Runs::kAny)
      : code_(std::move(code)) {
    elements_ = code_.shape.elements();
    ChooseAccess(runs);
    AssignSlots();
    const int64_t work =
        elements_ * std::max<int64_t>(1, code_.instructions.size());
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
    return PointerBytes() + slots_ * kSlotBytes;
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
    const int64_t width = code_.shape[1];
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
  static constexpr size_t kSlotBytes = kBlock * sizeof(float);

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
    return RoundUpToAlignment((Values() + max_inputs_) * sizeof(void*));
  }

  std::byte* Slot(const KernelArguments& arguments, int index) const {
    return arguments.scratch + PointerBytes() + index * kSlotBytes;
  }

  void ChooseAccess(Runs runs) {
    for (const TensorType& type : code_.operands) {
      Operand operand{.access = Access::kGather,
                      .element_bytes = SizeOf(type.dtype)};
      const int64_t period = Period(type.shape, code_.shape);
      if (type.shape.elements() == elements_) {
        operand.access = Access::kDirect;
      } else if (period > 0) {
        operand.period = period;
        const bool is_pattern =
            period == 1 || (period <= kBlock && runs == Runs::kAny);
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
    block_ = kBlock / block_period_ * block_period_;
  }

  // Gives each value that has no memory of its own a slot of the scratch,
  // taking up again the slots of values that are read no more.
  void AssignSlots() {
    std::vector<int> last_read(Values(), -1);
    for (size_t i = 0; i < code_.instructions.size(); ++i) {
      for (int input : code_.instructions[i].inputs) {
        last_read[input] = static_cast<int>(i);
      }
      max_inputs_ = std::max(max_inputs_, code_.instructions[i].inputs.size());
    }
    result_slots_.assign(code_.instructions.size(), Operand::kNoSlot);
    for (Operand& operand : operands_) {
      if (operand.access == Access::kPattern ||
          operand.access == Access::kGather) {
        operand.slot = slots_++;
      }
    }
    first_constant_slot_ = slots_;
    slots_ += static_cast<int>(code_.constants.size());

    output_of_.assign(code_.instructions.size(), -1);
    for (size_t k = 0; k < code_.outputs.size(); ++k) {
      output_of_[code_.outputs[k] - code_.FirstResult()] = static_cast<int>(k);
    }
    std::vector<int> free;
    for (size_t i = 0; i < code_.instructions.size(); ++i) {
      if (output_of_[i] < 0) {
        if (free.empty()) free.push_back(slots_++);
        result_slots_[i] = free.back();
        free.pop_back();
      }
      // After the result has its slot: a block may not write over an input of
      // another width.
      for (int input : code_.instructions[i].inputs) {
        const int result = input - code_.FirstResult();
        if (result >= 0 && result_slots_[result] >= 0 &&
            last_read[input] == static_cast<int>(i)) {
          free.push_back(result_slots_[result]);
          last_read[input] = -1;  // An input may be named twice.
        }
      }
    }
  }

  // Lays out what is the same for all blocks, of up to `count` elements.
  Lists Prepare(const KernelArguments& arguments, int64_t count) const {
    count = std::min(count, kBlock);
    void** const at = reinterpret_cast<void**>(arguments.scratch);
    for (size_t k = 0; k < operands_.size(); ++k) {
      const Operand& operand = operands_[k];
      if (operand.slot == Operand::kNoSlot) continue;
      at[k] = Slot(arguments, operand.slot);
      if (operand.access != Access::kPattern) continue;
      const size_t bytes = operand.period * operand.element_bytes;
      const size_t limit = block_ * operand.element_bytes;
      for (size_t offset = 0; offset < limit; offset += bytes) {
        std::memcpy(static_cast<std::byte*>(at[k]) + offset,
                    arguments.inputs[k], bytes);
      }
    }
    for (size_t k = 0; k < code_.constants.size(); ++k) {
      void* const to =
          Slot(arguments, first_constant_slot_ + static_cast<int>(k));
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
    return {at, const_cast<const void**>(at + Values())};
  }

  // Runs the blocks of elements begin to end. `last`: where the last operand
  // has those, if it is not among the inputs.
  void RunRange(int64_t begin, int64_t end, const KernelArguments& arguments,
                const Lists& lists, const std::byte* last = nullptr) const {
    for (int64_t i = begin; i < end;) {
      // A block does not cross the end of a row, if any operand is read by
      // rows.
      int64_t count = std::min(block_, end - i);
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
    for (size_t i = 0; i < code_.instructions.size(); ++i) {
      const ElementwiseCode::Instruction& instruction = code_.instructions[i];
      const int result = code_.FirstResult() + static_cast<int>(i);
      if (output_of_[i] >= 0) {
        at[result] = static_cast<std::byte*>(arguments.outputs[output_of_[i]]) +
                     begin * SizeOf(instruction.dtype);
      }
      for (size_t j = 0; j < instruction.inputs.size(); ++j) {
        inputs[j] = at[instruction.inputs[j]];
      }
      instruction.block({.inputs = {inputs, instruction.inputs.size()},
                         .output = at[result],
                         .count = static_cast<size_t>(count),
                         .attributes = instruction.attributes});
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
  std::vector<int> result_slots_;  // Of each instruction; kNoSlot if an output.
  std::vector<int> output_of_;     // Of each instruction; -1 if none.
  int64_t elements_ = 0;
  int64_t block_period_ = 1;
  int64_t block_ = kBlock;
  int64_t row_ = 0;  // The shortest period of kRow; 0 if there is none.
  size_t max_inputs_ = 0;
  int slots_ = 0;
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
    for (int i = 0; i < product.chunks(); ++i) {
      if (product.region(i).columns != code.shape[1]) {
        runs = ElementwiseKernel::Runs::kOfRows;
      }
    }
    return ElementwiseKernel(std::move(code), runs);
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

std::unique_ptr<Kernel> MakeElementwiseKernel(ElementwiseCode code) {
  return std::make_unique<ElementwiseKernel>(std::move(code));
}

}  // namespace tape
