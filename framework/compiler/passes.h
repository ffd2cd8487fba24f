// The passes that rewrite a program for one batch size, in the order in which
// they run. Each keeps the meaning: what is fetched and what the variables
// become. They ask ops for their traits, never for their names. Tested by
// tests/passes_test.cc.
#ifndef TAPE_FRAMEWORK_COMPILER_PASSES_H_
#define TAPE_FRAMEWORK_COMPILER_PASSES_H_

#include "framework/compiler/program.h"

namespace tape {

// A rank-0 node without inputs that is no source, and an elementwise node or a
// view of Fills, become a Fill of their value, which the reference computes.
Program FoldConstants(Program program);

// Equal ops on equal inputs become one node.
Program ShareCommonSubexpressions(Program program);

// Nodes that nothing needs any more go.
Program Prune(Program program);

// A copy is put where numbers must stand in memory of their own: what is
// fetched, or assigned to a variable, but is itself a variable, an input or a
// Fill (perhaps under another shape); and a Fill that a kernel, not a fused
// pass, reads.
Program Materialize(Program program);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_PASSES_H_
