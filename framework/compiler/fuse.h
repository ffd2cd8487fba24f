// FUSE: from a program to the steps of a plan. Elementwise nodes of one shape
// that feed one another become one step, a single pass over memory; every other
// node that computes becomes a step of its own. Tested by tests/fuse_test.cc,
// which prints the steps.
#ifndef TAPE_FRAMEWORK_COMPILER_FUSE_H_
#define TAPE_FRAMEWORK_COMPILER_FUSE_H_

#include <optional>
#include <string>
#include <vector>

#include "framework/compiler/elementwise.h"
#include "framework/compiler/pass_set.h"
#include "framework/compiler/program.h"

namespace tape {

struct Step {
  std::string name;  // "MatMul", or "Mul+Add+Relu" of a fused pass.
  // The nodes it reads: a kernel's operands in order, a pass's each once. Of a
  // pass over a product: first the product's operands.
  std::vector<int> inputs = {};
  std::vector<int> outputs = {};  // The nodes it makes.
  std::vector<int> nodes = {};    // Whose ops the name names, in its order.
  // Of a fused pass: operands and outputs in the order of the two lists.
  std::optional<ElementwiseCode> code = {};
  // The node of the product that the pass is over, whose value is the code's
  // last operand and none of the inputs; kNone if there is none.
  int product = kNone;
};

// The steps of a bound program, in an order in which each comes after what it
// reads. Of the set it asks for kFuse and kFuseProducts: elementwise nodes in
// passes, and into these the products whose value they alone read. Fills,
// sources and views are no steps. The program must have been through
// Materialize (passes.h).
std::vector<Step> Fuse(const Program& program, PassSet passes = {});

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_FUSE_H_
