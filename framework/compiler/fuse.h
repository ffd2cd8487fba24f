// FUSE: from a program to the steps of a plan. Elementwise nodes of one shape
// that feed one another become one step, a single pass over memory; every other
// node that computes becomes a step of its own. Tested by tests/compiler/fuse_test.cc,
// which prints the steps.
#ifndef TAPE_FRAMEWORK_COMPILER_FUSE_H_
#define TAPE_FRAMEWORK_COMPILER_FUSE_H_

#include <set>
#include <vector>

#include "framework/runtime/compiled_program.h"
#include "framework/runtime/program.h"

namespace tape {

// Nodes that one step makes: elementwise ones, in program order; or one other; or
// one, and what its kernel makes along (OpDef::joint).
struct Group {
  std::vector<int> nodes;
  // The product, or other op of Traits::regions, whose value they take in.
  int product = kNone;
  // Nodes of Traits::piecewise that the pass makes along: sums over the pieces of
  // values that it makes or reads.
  std::vector<int> sums = {};
  // Those of the elementwise nodes whose block makes the next node along.
  std::set<int> with_next = {};
};

// Whether some step must make the node: it is no source, no view and no Fill.
bool IsComputed(const Node& node);

// A group for each computed node of a bound program that has been through
// Materialize (passes.h).
std::vector<Group> EachByItself(const Program& program);
// The same, with elementwise nodes of one shape that feed one another together.
std::vector<Group> FuseElementwise(const Program& program);

// Gives to each elementwise group the largest product, or other op of
// Traits::regions, whose value it alone reads and can take in.
void FuseProducts(const Program& program, std::vector<Group>& groups);

// Gives the sums over pieces of a value to the pass that makes it, or else to the
// first that reads it and can run before the sums are wanted, if it has no product
// and all that it reads has its shape or one element.
void FuseSums(const Program& program, std::vector<Group>& groups);

// Puts together the nodes of one op and of another that its kernel, or within a pass
// its block, can make along, if they read the same: a loss and its slope share their
// exponentials. fuse_sums.cc has both.
void JoinKernels(const Program& program, std::vector<Group>& groups);

// The steps that make the groups, in an order in which each comes after what it
// reads.
std::vector<Step> MakeSteps(const Program& program,
                            const std::vector<Group>& groups);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_FUSE_H_
