// How numbers are made: the contract between an op, which brings the
// arithmetic, and the plan, which brings the memory and the threads. A kernel
// is built for fully known shapes, and does not fail: whatever could be wrong
// was refused by the op's shape rule. If one throws all the same, say for want
// of memory, Compile and Run give an error with the op and its line.
#ifndef TAPE_FRAMEWORK_CORE_KERNEL_H_
#define TAPE_FRAMEWORK_CORE_KERNEL_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

#include "absl/types/span.h"
#include "framework/core/tensor_type.h"

namespace tape {

struct Attributes;

// What a kernel is built for: one node, its shapes bound.
struct KernelSpec {
  const Attributes& attributes;
  absl::Span<const TensorType> inputs;
  TensorType output;
  // True if one thread runs the whole kernel.
  bool single_threaded = false;
  // Of an op with Traits::regions: whether each chunk puts its region of the
  // output at the start of outputs[0], row after row, as if it were the whole.
  // The plan works on it there while it is in the cache.
  bool into_scratch = false;
};

// A part of a matrix. A tensor of more axes is one whose rows are the last axis.
struct Region {
  int64_t row, rows;
  int64_t column, columns;
};

// What a kernel is run with. Inputs and outputs lie where the plan put them;
// `scratch` is this thread's own memory of Kernel::scratch_bytes() bytes,
// aligned, its contents undefined.
struct KernelArguments {
  const void* const* inputs;
  void* const* outputs;
  std::byte* scratch;
};

// One step of a plan. Its chunks run concurrently, in any order, on any
// threads. The same chunk never runs on two threads at a time, because runs of
// a plan do not overlap; and if a run begins with one of them, it runs all. So a kernel may keep working objects for each chunk in
// mutable members, such as a oneDNN primitive whose operand addresses it sets
// in each run. A result must not depend on earlier runs. Before the first run,
// the plan may run the kernel once on zeros to warm it up.
class Kernel {
 public:
  virtual ~Kernel() = default;
  // Into how many independent parts the work is cut. Must follow from the
  // shapes alone, never from the number of threads, so that the same bits come
  // out for any number of them.
  virtual int chunks() const { return 1; }
  virtual size_t scratch_bytes() const { return 0; }
  // Floating-point operations of all chunks, for profiles; 0 if the kernel does
  // not count them.
  virtual double flops() const { return 0; }
  // Whether its code may keep data in the stack pointer, as oneDNN's does: then no
  // signal handler runs meanwhile (uninterrupted.h).
  virtual bool uses_stack_pointer() const { return true; }
  // What a chunk makes, of a kernel for KernelSpec::into_scratch.
  virtual Region region(int) const { return {}; }
  virtual void Run(int chunk, const KernelArguments& arguments) const = 0;
};

// A kernel of nothing but code that a compiler has made, and other such kernels, so
// that signal handlers may run meanwhile.
class PlainKernel : public Kernel {
 public:
  bool uses_stack_pointer() const override { return false; }
};

// The most chunks of a kernel: more than the threads of most machines, few
// enough to cost nothing.
inline constexpr int64_t kMostChunks = 32;

// Into how many chunks so much `work` is cut, of at least `per_chunk` each, if it
// consists of `parts` that stay whole: 1 to kMostChunks.
inline int ChunksOf(int64_t work, int64_t per_chunk, int64_t parts) {
  return static_cast<int>(std::clamp<int64_t>(
      work / per_chunk, 1, std::clamp<int64_t>(parts, 1, kMostChunks)));
}

// Sums over all elements of a tensor are made of sums over pieces of so many, of
// which the last may be shorter, added up in order. So any number of threads, and
// the pass that makes the numbers, can make them with the same bits.
inline constexpr int64_t kPieceElements = 2048;

using KernelMaker = std::unique_ptr<Kernel> (*)(const KernelSpec& spec);

// The fast form of an elementwise op: `count` elements, each input already
// stretched to the output's shape and contiguous. The plan strings such blocks
// into one pass over memory (runtime/elementwise.h). An output may be the very
// memory of an input, so each element is read before it is written.
struct BlockArguments {
  absl::Span<const void* const> inputs;
  void* output;
  size_t count;
  const Attributes& attributes;
  void* along = nullptr;  // The output that Joint::block makes besides.
};

// What an op does to each element by itself, for the passes that are compiled to
// machine code (runtime/lane_code.h), bit for bit what the block does (of several
// NaN either may be the result). With the dtypes of inputs and result it says all.
enum class LaneOp : uint8_t {
  kNone,  // Only the block knows.
  kCopy,
  kCast,
  kAdd,  // Of two or more, one after the other.
  kSub,
  kMul,
  kDiv,
  kNeg,
  kAbs,
  kSquare,
  kSqrt,
  kReciprocal,
  kRsqrt,  // 1 / sqrt(x).
  kSign,
  kFloor,
  kCeil,
  kRound,
  kMaximum,
  kMinimum,
  kRelu,
  kLeakyRelu,          // With Attributes::value as slope.
  kLeakyReluGradient,  // Of gy and y.
  kEqual,
  kNotEqual,
  kGreater,
  kGreaterEqual,
  kLess,
  kLessEqual,
  kIsNan,
  kIsFinite,
  kAnd,
  kOr,
  kXor,
  kNot,
  kSelect,
};

// A block's code, and what it does if there is a LaneOp for it.
struct Block {
  using Code = void (*)(const BlockArguments& arguments);

  // NOLINTBEGIN(google-explicit-constructor): a function is a block.
  constexpr Block(Code code = nullptr, LaneOp lane = LaneOp::kNone)
      : code(code), lane(lane) {}
  template <typename F>
  requires std::is_convertible_v<F, Code>
  constexpr Block(F function) : Block(static_cast<Code>(function)) {}
  // NOLINTEND(google-explicit-constructor)
  void operator()(const BlockArguments& arguments) const { code(arguments); }
  friend bool operator==(const Block&, const Block&) = default;

  Code code;
  LaneOp lane;
};

// The block of an elementwise op, or of one of Traits::piecewise, for these input
// dtypes, which its shape rule has accepted.
using BlockMaker = Block (*)(absl::Span<const DType> inputs, DType output);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_KERNEL_H_
