// Passes that rewrite a program for one batch size; compile.cc has their order.
// Each keeps the meaning: what is fetched and what the variables
// become. They ask ops for their traits, never for their names. Tested by
// tests/compiler/passes_test.cc.
#ifndef TAPE_FRAMEWORK_COMPILER_PASSES_H_
#define TAPE_FRAMEWORK_COMPILER_PASSES_H_

#include <vector>

#include "framework/runtime/program.h"

namespace tape {

// A rank-0 node without inputs that is no source, and an elementwise node or a
// view of Fills, become a Fill of their value. The reference computes it of
// numbers as a run has them (AsInRun), and it is rounded as a run rounds it.
Program FoldConstants(Program program);

// A node whose op says that its value is another's (OpDef::simplify) gives way
// to that: x * 1 to x, -(-x) to x, the reshape of a reshape to one reshape.
// Only where the bits are the same, which x + 0 is not: -0 + 0 is 0.
// (Denormals, which a run takes for zero anyway, may come through unflushed.)
// simplify.cc.
Program Simplify(Program program);

// Equal ops on equal inputs become one node.
Program ShareCommonSubexpressions(Program program);

// A product whose first factor is bytes, cast to float32 and perhaps multiplied by
// a number, reads the bytes (Traits::of_bytes), if all that reads the factor can,
// and its op says that it pays. So a batch of pixels is never written as floats.
// read_bytes.cc.
Program ReadBytes(Program program);

// A product p of which nothing but alpha p + beta c is needed, for one other
// node c of its shape, becomes the op that gives this in one go (Traits::fused_add).
// So an update such as w - rate (X^T dZ + 2 lambda w) is made within the
// product, and the gradient is never written to memory. Not if a pass reads the
// sum: that can take in the product itself (fuse.h), and has the sum at hand.
//
// What is infinite or NaN comes out as without the pass: no factor is 0, not
// finite or denormal, and x - x or x - 0.5 x is not put together. The one
// exception is an x that is a variable, as in the update above, which would be
// a pass over memory longer: there an infinite w gives inf where w - 2 lambda w
// by itself would be NaN.
Program FoldIntoProducts(Program program);

// Removes the nodes that no fetch, update or op with side effects needs.
Program Prune(Program program);

// A sum over all of more than kPieceElements elements becomes two nodes: the sums
// over its pieces, which any number of threads can make, or the pass that makes
// or reads the elements (FuseSums), and their total.
Program CutSums(Program program);

// A copy is put where numbers must stand in memory of their own: what is
// fetched, or assigned to a variable, but is itself a variable, an input or a
// Fill (perhaps under another shape); and a Fill that a kernel, not a fused
// pass, reads.
Program Materialize(Program program);

// The one value of an elementwise node, by its reference on tensors of one
// element: what passes compute with.
double ReferenceOfOne(const Node& node, const std::vector<double>& inputs);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_PASSES_H_
