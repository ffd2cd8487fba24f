// The only door to oneDNN: this header names none of its types, and onednn.cc
// alone includes dnnl.hpp.
#ifndef TAPE_OPS_ONEDNN_H_
#define TAPE_OPS_ONEDNN_H_

#include <cstdint>
#include <memory>

#include "framework/core/kernel.h"

namespace tape::onednn {

// c = op(a) op(b), float32 and row-major: op(a) is [m,k], op(b) is [k,n], c is
// [m,n]; an operand is transposed if it is stored as [k,m] or [n,k].
struct MatMulShape {
  int64_t m;
  int64_t k;
  int64_t n;
  bool transpose_a;
  bool transpose_b;
};

// c = product op(a) op(b) + addend d.
struct Scales {
  double product = 1;
  double addend = 0;
};

enum class Cut {
  kNone,       // One chunk, for one thread.
  kIntoBands,  // Chunks of rows or columns of c, by the shape alone.
  kApart,      // The same, each put where c starts, as KernelSpec::apart says.
};

// A kernel of two inputs, a and b; and, unless its scale is 0, of a third, the
// addend d, [m,n] like c, which may lie where c is to be. Its primitives are
// made here, once, for one thread each.
std::unique_ptr<Kernel> MakeMatMulKernel(const MatMulShape& shape,
                                         Scales scales, Cut cut);

}  // namespace tape::onednn

#endif  // TAPE_OPS_ONEDNN_H_
