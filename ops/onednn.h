// The only door to oneDNN: this header names none of its types, and onednn.cc
// alone includes dnnl.hpp.
#ifndef TAPE_OPS_ONEDNN_H_
#define TAPE_OPS_ONEDNN_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "framework/core/kernel.h"
#include "framework/core/tensor_type.h"

namespace tape::onednn {

// c = op(a) op(b), row-major: op(a) is [m,k], op(b) is [k,n], c is [m,n]; an
// operand is transposed if it is stored as [k,m] or [n,k]. All are float32, but
// for a and b in_bfloat16; the sums are float32 always.
struct MatMulShape {
  int64_t m;
  int64_t k;
  int64_t n;
  bool transpose_a;
  bool transpose_b;
  bool in_bfloat16 = false;
  // Whether a is uint8, and stands for byte_scale times itself, as float32.
  bool bytes = false;
  float byte_scale = 1;
  // Elements from a row of a, as it is stored, to the next; 0: as many as it has.
  int64_t a_step = 0;

  int64_t StepOfA() const { return a_step != 0 ? a_step : transpose_a ? m : k; }
};

// Whether both factors of a product, its first two inputs, are bfloat16.
bool IsBFloat16(absl::Span<const TensorType> inputs);

// The MachineRule of products: an error that says what is missing, if both
// factors are bfloat16 and this processor cannot multiply that, or only slower
// than float32.
absl::Status CanMultiply(absl::Span<const TensorType> inputs);

// c = product op(a) op(b) + addend d.
struct Scales {
  double product = 1;
  double addend = 0;
};

// Whether chunks are parts of the terms, whose products are added up at the end. So a
// thread reads the rows of b, which are weights, that it will write when it makes a
// band of their gradient, a^T dc, and weights do not move between processors. Chunks
// are no bands of c then. By the shape, and by what vectors the processor has.
bool IsCutByTerms(const MatMulShape& shape);

enum class Cut {
  kNone,       // One chunk, for one thread.
  kIntoBands,  // Chunks of rows or columns of c, or of terms.
  kIntoScratch,  // The same, each put where c starts, as KernelSpec::into_scratch says.
};

// A kernel of two inputs, a and b; and, unless its scale is 0, of a third, the
// addend d, [m,n] like c, which may lie where c is to be. Its primitives are
// made here, once, for one thread each.
std::unique_ptr<Kernel> MakeMatMulKernel(const MatMulShape& shape,
                                         Scales scales, Cut cut);

// Which of the matrices a and of the matrices b make a matrix c.
struct Factors {
  int64_t a;
  int64_t b;
};

// A kernel of as many products of one shape, the results one after another.
std::unique_ptr<Kernel> MakeBatchMatMulKernel(const MatMulShape& shape,
                                              std::vector<Factors> factors);

}  // namespace tape::onednn

#endif  // TAPE_OPS_ONEDNN_H_
