// What the files of the sample table share: operands, functions and whole sets
// of rows in few words. There is a tests/ops/op_samples_<family>.cc for each
// ops/<family>.cc, which adds its rows by the function declared here.
#ifndef TAPE_TESTS_OPS_OP_SAMPLES_INTERNAL_H_
#define TAPE_TESTS_OPS_OP_SAMPLES_INTERNAL_H_

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "framework/core/graph.h"
#include "tests/ops/op_samples.h"

namespace tape::samples {

struct SampleTable {
  void Add(OpSample sample) { samples.push_back(std::move(sample)); }
  // `message` without the line, which is kSampleLoc.
  void AddError(const char* op, const char* name,
                std::vector<TensorType> inputs, BuildSample build,
                const std::string& message);

  std::vector<OpSample> samples;
  std::vector<OpErrorSample> errors;
};

// ---- The families ----

void AddElementwiseSamples(SampleTable* table);
void AddActivationSamples(SampleTable* table);
void AddPowerSamples(SampleTable* table);
void AddCompareSamples(SampleTable* table);
void AddLogicalSamples(SampleTable* table);
void AddMatMulSamples(SampleTable* table);
void AddBatchMatMulSamples(SampleTable* table);
void AddReduceSamples(SampleTable* table);
void AddExtremumSamples(SampleTable* table);
void AddScanSamples(SampleTable* table);
void AddSoftmaxSamples(SampleTable* table);
void AddLayoutSamples(SampleTable* table);
void AddTransposeSamples(SampleTable* table);
void AddSliceSamples(SampleTable* table);
void AddIndexSamples(SampleTable* table);
void AddRandomSamples(SampleTable* table);
void AddNormaliseSamples(SampleTable* table);
void AddLossSamples(SampleTable* table);
void AddCoreSamples(SampleTable* table);      // framework/core/basic_ops.cc
void AddCalculusSamples(SampleTable* table);  // framework/core/calculus.cc

// ---- Numbers ----

inline constexpr float kInf = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
// A number too small to be normal in float32.
inline constexpr double kDenormal = 1e-40;
inline constexpr double kMinInt = std::numeric_limits<int32_t>::min();
inline constexpr double kMaxInt = std::numeric_limits<int32_t>::max();

// The largest relative error of one rounding to float32.
inline constexpr double kRounding = 0x1p-24;
// One unit in the last place, relative to the smallest number that has it.
inline constexpr double kUlp = 0x1p-23;
// The result is the reference's, rounded: IEEE 754 asks so of + - * / and sqrt,
// and of copies there is nothing else to expect.
inline constexpr Tolerance kExact = {};

// ---- Operands ----

// Drawn on [low, high): in float32, …
SampleInput Floats(Shape shape, double low = -1, double high = 1);
// … away from 0, of either sign, …
SampleInput NotZero(Shape shape);
// … whole numbers in float32, …
SampleInput Whole(Shape shape, double low = -8, double high = 8);
// … and in the other dtypes.
SampleInput Ints(Shape shape, double low = -1000, double high = 1000);
SampleInput Bytes(Shape shape, double low = 0, double high = 256);
SampleInput Given(Shape shape, std::vector<double> values,
                  DType dtype = DType::kFloat32);
SampleInput Given(std::vector<double> values, DType dtype = DType::kFloat32);

TensorType Float(Shape shape);
TensorType Int(Shape shape);
TensorType Byte(Shape shape);

// ---- Functions ----

BuildSample Unary(Var (*f)(Var, Loc));
BuildSample Binary(Var (*f)(Var, Var, Loc));

// Of an op that gradient rules alone declare: the node of that name on the way
// of the derivative of `f` by x[0], which is gy times it.
BuildSample DerivativeNode(const char* op,
                           std::function<Var(const SampleOperands&)> f);

// ---- Elementwise ops of one float32 operand ----

struct UnaryOp {
  const char* name;
  BuildSample build;
  // Ordinary operands.
  Draw draw;
  double low;
  double high;
  Tolerance tolerance = kExact;
  // Where the ordinary operands do not go.
  std::vector<double> extremes = {};
  // If not float32, the op is not differentiable.
  DType output = DType::kFloat32;
  // What the names of the rows begin with.
  std::string rows = {};
};

// The shapes that there are, and the extremes.
void AddUnaryRows(const UnaryOp& op, SampleTable* table);
// That int32 is refused.
void AddUnaryErrors(const UnaryOp& op, SampleTable* table);
// A row "kink" at `x`, where the derivative is by convention `derivatives`:
// between the slopes on either side if kOnce, and what it may at a step if
// kCompiled.
void AddKinkRow(const UnaryOp& op, std::vector<double> x,
                std::vector<double> derivatives, Differentiated differentiated,
                SampleTable* table);

// ---- Elementwise ops of two operands ----

struct BinaryOp {
  const char* name;
  Var (*f)(Var, Var, Loc);
  // How operands are drawn, for each dtype that the op takes, float32, if it is
  // one of them, first; the shapes are not looked at.
  std::vector<SampleInput> operands;
  // What is expected of Gradients at the extremes of float32.
  Differentiated extremes = Differentiated::kNotAsked;
  // From two of any dtype to uint8, and so not differentiable.
  bool compares = false;
};

// Every way of two operands to be broadcast, in every dtype, and the extremes.
void AddBinaryRows(const BinaryOp& op, SampleTable* table);
// What is refused of shapes and dtypes.
void AddBinaryErrors(const BinaryOp& op, SampleTable* table);

}  // namespace tape::samples

#endif  // TAPE_TESTS_OPS_OP_SAMPLES_INTERNAL_H_
