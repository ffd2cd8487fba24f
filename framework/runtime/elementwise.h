// A fused elementwise pass: any number of elementwise ops of one output shape,
// run as one sweep over memory.
//
// Ops that follow one another and have a LaneOp (core/kernel.h) become one piece
// of machine code, which keeps the values between them in registers (lane_code.h).
// For the others the sweep goes block by block. A block is small enough for all
// values between the ops to stay in the first-level cache, so each operand is read
// from memory once and each result written once, however many ops there are. The
// ops are run one after the other on each block, each by its own vector code
// (Block in core/kernel.h). Tested by tests/runtime/elementwise_test.cc, and with every op by
// tests/ops/op_test.cc.
#ifndef TAPE_FRAMEWORK_RUNTIME_ELEMENTWISE_H_
#define TAPE_FRAMEWORK_RUNTIME_ELEMENTWISE_H_

#include <memory>
#include <vector>

#include "framework/core/kernel.h"
#include "framework/core/op.h"

namespace tape {

// Straight-line code over values. Value v is operand v for v < operands.size();
// after these come the constants, and then the results of the instructions, in
// order.
struct ElementwiseCode {
  struct Constant {
    DType dtype;
    double value;
  };
  struct Instruction {
    Block block;
    Attributes attributes;
    std::vector<int> inputs;  // Values.
    DType dtype;              // Of the result.
    // Whether the block is Joint::block, which makes the next result along.
    bool with_next = false;
  };

  // Of a value of the shape, of which each piece (kPieceElements) goes to `block`,
  // which writes one float64.
  struct PieceSum {
    Block block;
    Attributes attributes;
    int value;
  };

  Shape shape;                       // Bound. Of every result.
  std::vector<TensorType> operands;  // Each broadcasts to `shape`.
  std::vector<Constant> constants;
  std::vector<Instruction> instructions;
  std::vector<int> outputs;  // Results of instructions, each once.
  // Outputs after these. If there are any, each operand has the shape or one element.
  std::vector<PieceSum> sums = {};

  int FirstResult() const {
    return static_cast<int>(operands.size() + constants.size());
  }
  // Of a value.
  DType TypeOf(int value) const;
  // Whether output `output` may be written over the memory of operand
  // `operand`: it has the same elements, and no instruction reads the operand
  // after the one that makes the output.
  bool MayOverwrite(int output, int operand) const;
  // For each operand the last instruction that reads it; -1 if none does.
  std::vector<int> LastReads() const;
};

// How instructions are run. The results are the same to the bit, but for which of
// several NaN they are.
enum class ElementwiseEngine {
  kBlocks,  // Each by its block.
  kAvx2,    // As machine code, where that can be.
  kAvx512,
};
// The best for this processor.
ElementwiseEngine BestElementwiseEngine();

std::unique_ptr<Kernel> MakeElementwiseKernel(
    ElementwiseCode code, ElementwiseEngine engine = BestElementwiseEngine());

// A pass over what a product makes, region by region while it is in the cache:
// the value of `code`'s last operand, which has its shape, of one axis or more, is
// made by `product`, a kernel for KernelSpec::into_scratch, and never stands in memory
// as a whole. The kernel's inputs are the product's `product_inputs`, and then
// `code`'s other operands.
std::unique_ptr<Kernel> MakeProductPassKernel(std::unique_ptr<Kernel> product,
                                              size_t product_inputs,
                                              ElementwiseCode code);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_RUNTIME_ELEMENTWISE_H_
