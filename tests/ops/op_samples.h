// THE SAMPLE TABLE: for each op, ordinary cases, corner cases and mistakes. It
// drives the generic tests of op_test.cc (types, values, fusion, threads,
// gradients, error texts). An op without a
// row fails a test by its name.
//
// To add an op, give it rows in tests/ops/op_samples_<family>.cc, beside those of
// its family in ops/: samples and, if its shape rule can fail, mistakes.
#ifndef TAPE_TESTS_OPS_OP_SAMPLES_H_
#define TAPE_TESTS_OPS_OP_SAMPLES_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "framework/core/graph.h"
#include "framework/core/tensor.h"

namespace tape {

// What a row's function builds the op from.
struct SampleOperands {
  Graph* graph;
  std::vector<Var> x;
  Loc loc;  // The line on which to declare the op.
};
using BuildSample = std::function<Var(const SampleOperands& operands)>;

// How the numbers of an operand are drawn.
enum class Draw {
  kUniform,     // Uniform on [low, high).
  kEitherSign,  // The same, with a random sign: keeps away from 0.
  kIntegers,    // Whole numbers low … high - 1. Float32 sums and products of
                // small ones are exact, however many and in whatever order.
};

// One operand of a sample.
struct SampleInput {
  Shape shape;  // May hold kBatch.
  Draw draw = Draw::kUniform;
  double low = -1;
  double high = 1;
  DType dtype = DType::kFloat32;
  std::vector<double> values =
      {};  // If not empty, these, and nothing is drawn.
};

// How far a float32 result may be from the reference's, rounded to float32, of
// the same float32 inputs: relative * |reference| + absolute.
struct Tolerance {
  double relative = 0;
  double absolute = 0;
};

// What is expected of Gradients through a sample.
enum class Differentiated {
  kTwice,     // Compared with differences to second order.
  kOnce,      // To first order: at a kink there is no second derivative.
  kCompiled,  // Too large, or too extreme, for differences: only the compiled
              // gradient is compared with the reference's, as it is for kTwice
              // and kOnce.
  kRefused,   // The op is not differentiable.
  kNotAsked,  // There is one, of no use to a test.
};

struct OpSample {
  std::string op;    // OpDef::name, or the function in ops.h if it is composed.
  std::string name;  // Of the case.
  std::vector<SampleInput> inputs;
  BuildSample build;
  TensorType output;  // What the op's type must be.
  Tolerance tolerance = {};
  Differentiated differentiated = Differentiated::kTwice;
  // Where a derivative is a convention, as at a kink, or a matter of course:
  // that of the sum of y by each float32 operand, exactly. If empty, the row
  // does not say.
  std::vector<std::vector<double>> derivatives = {};
  // What y is, to 1e-6 of it and of 1: for what is composed, whose reference is
  // that of its parts, and so cannot tell that they are the wrong ones. If
  // empty, the row does not say.
  std::vector<double> values = {};
};

// A declaration that is a mistake.
struct OpErrorSample {
  std::string op;
  std::string name;
  std::vector<TensorType> inputs;  // Operand i is the input "xi" of OperandLoc.
  BuildSample build;
  std::string message;  // All of what the graph then says.
};

const std::vector<OpSample>& OpSamples();
const std::vector<OpErrorSample>& OpErrorSamples();

// What kBatch stands for in the samples.
inline constexpr int64_t kSampleBatch = 6;

// The place of a sample's op.
inline constexpr Loc kSampleLoc = {"op.cc", 10};
// The place of operand `index` of a sample.
Loc OperandLoc(int index);

// The numbers of operand `index`; the same at each call. `batch`: what kBatch
// stands for.
Tensor SampleValues(const OpSample& sample, int index,
                    int64_t batch = kSampleBatch);

// Declares the operands of a sample as inputs "x0", "x1", ….
SampleOperands DeclareOperands(Graph* graph, const OpSample& sample);

}  // namespace tape

#endif  // TAPE_TESTS_OPS_OP_SAMPLES_H_
