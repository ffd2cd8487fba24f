// THE VOCABULARY: every public op, on one page.
//
// Each is a function of Vars that appends to their graph and returns the
// result's Var. Unless said otherwise operands are float32, any shape may hold
// kBatch, and elementwise ops broadcast as NumPy does. A shape or dtype that
// does not fit is kept by the graph, with the line of the call, and returned by
// Compile.
//
// Numbers: plans and references round to nearest, whatever the caller's
// floating-point environment. A plan takes a denormal operand for a zero of its
// sign or for itself, and a result below FLT_MIN may be a zero; the references
// (framework/core/reference.h) keep denormals. Int32 arithmetic wraps modulo
// 2^32 in both.
//
// To add an op: declare it here; write its block (mathematics, name, shape
// rule, gradient rule, reference, kernel, traits, function) in its family's
// .cc; give it a row in its family's tests/ops/op_samples_*.cc, without which a
// test fails by its name. The framework's own ops AddN, SumTo, BroadcastTo and
// Fill are in framework/core/basic_ops.h.
#ifndef TAPE_OPS_OPS_H_
#define TAPE_OPS_OPS_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "framework/core/basic_ops.h"
#include "framework/core/graph.h"
#include "framework/core/updates.h"

namespace tape {

// An operand of an arithmetic operator: a Var, or a number, which takes the
// dtype of the other operand. Its implicit conversions take note of the line in
// which the operator is written.
class Operand {
 public:
  Operand(Var var, Loc loc = Loc::Current())  // NOLINT: implicit by design.
      : var_(var), loc_(loc) {}
  Operand(double number, Loc loc = Loc::Current())  // NOLINT
      : number_(number), loc_(loc) {}

  // The Var, or the number as a Fill beside `other`. Two numbers never meet:
  // that is C++'s own arithmetic.
  Var Resolve(const Operand& other) const;
  const Loc& loc() const { return loc_; }

 private:
  Var var_;
  std::optional<double> number_;
  Loc loc_;
};

// ---- Arithmetic, elementwise: float32 or int32, both operands alike.
// ops/elementwise.cc ----
Var Add(Var a, Var b, Loc loc = Loc::Current());  // a + b
Var Sub(Var a, Var b, Loc loc = Loc::Current());  // a - b
Var Mul(Var a, Var b, Loc loc = Loc::Current());  // a b
Var Neg(Var x, Loc loc = Loc::Current());         // -x
// The same, and Div, as operators. (There is no +=, which would look like a
// change of a node. == asks whether two Vars are one node, see Var in
// framework/core/graph.h; element by element it is Equal.)
Var operator+(const Operand& a, const Operand& b);
Var operator-(const Operand& a, const Operand& b);
Var operator*(const Operand& a, const Operand& b);
Var operator/(const Operand& a, const Operand& b);
Var operator-(const Operand& x);

// ---- Functions, elementwise. ops/elementwise.cc ----
Var Div(Var a, Var b, Loc loc = Loc::Current());  // a / b
Var Square(Var x, Loc loc = Loc::Current());      // x^2
Var Sqrt(Var x, Loc loc = Loc::Current());        // sqrt(x)
Var Exp(Var x, Loc loc = Loc::Current());         // e^x
Var Expm1(Var x, Loc loc = Loc::Current());       // e^x - 1, exact near 0
Var Log(Var x, Loc loc = Loc::Current());         // ln x
Var Log1p(Var x, Loc loc = Loc::Current());       // ln(1 + x), exact near 0
Var Erf(Var x, Loc loc = Loc::Current());         // the error function
Var Abs(Var x, Loc loc = Loc::Current());         // |x|; its derivative is Sign
Var Sign(Var x, Loc loc = Loc::Current());        // -1, 0 or 1; derivative 0
Var Floor(Var x, Loc loc = Loc::Current());       // rounded down; derivative 0
Var Ceil(Var x, Loc loc = Loc::Current());        // rounded up; derivative 0
Var Round(Var x, Loc loc = Loc::Current());       // half to even; derivative 0
Var Sin(Var x, Loc loc = Loc::Current());         // sin x, x in radians
Var Cos(Var x, Loc loc = Loc::Current());         // cos x, x in radians

// ---- Powers, elementwise. ops/power.cc ----
Var Reciprocal(Var x, Loc loc = Loc::Current());  // 1 / x
Var Rsqrt(Var x, Loc loc = Loc::Current());       // 1 / sqrt(x)
// base^exponent as IEEE 754's pow. The derivative by an exponent is NaN where
// the base is negative; 0 where the base is 0 and the exponent is not negative,
// and where the base is infinite and the exponent negative.
Var Pow(Var base, Var exponent, Loc loc = Loc::Current());
Var Pow(Var base, double exponent, Loc loc = Loc::Current());

// ---- Activations, elementwise. ops/activation.cc ----
Var Relu(Var x, Loc loc = Loc::Current());     // max(x, 0); derivative 0 at 0
Var Sigmoid(Var x, Loc loc = Loc::Current());  // 1 / (1 + e^-x)
Var Tanh(Var x, Loc loc = Loc::Current());     // tanh x
// x where x > 0, else slope x; derivative slope at 0. The slope must be at
// least 0.
Var LeakyRelu(Var x, double slope = 0.01, Loc loc = Loc::Current());
// x where x > 0, else alpha (e^x - 1); derivative alpha at 0.
Var Elu(Var x, double alpha = 1, Loc loc = Loc::Current());
// 1.0507… Elu(x, 1.6733…); the derivative at 0 is that of the negative side.
Var Selu(Var x, Loc loc = Loc::Current());
// kErf:  x/2 (1 + erf(x / sqrt(2))), exact in the negative tail too.
// kTanh: x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), which is close to it.
enum class GeluForm { kErf, kTanh };
Var Gelu(Var x, GeluForm form = GeluForm::kErf, Loc loc = Loc::Current());
Var Silu(Var x, Loc loc = Loc::Current());      // x Sigmoid(x)
Var Softplus(Var x, Loc loc = Loc::Current());  // ln(1 + e^x), never infinite
                                                // for a finite x
Var Softsign(Var x, Loc loc = Loc::Current());  // x / (1 + |x|)
Var HardTanh(Var x, Loc loc = Loc::Current());  // Clip(x, -1, 1)

// ---- Comparison, elementwise, not differentiable. ops/compare.cc ----
// 1 where it holds, else 0, as uint8; a and b of one dtype, any but bfloat16.
Var Equal(Var a, Var b, Loc loc = Loc::Current());         // a = b
Var NotEqual(Var a, Var b, Loc loc = Loc::Current());      // a != b
Var Greater(Var a, Var b, Loc loc = Loc::Current());       // a > b
Var GreaterEqual(Var a, Var b, Loc loc = Loc::Current());  // a >= b
Var Less(Var a, Var b, Loc loc = Loc::Current());          // a < b
Var LessEqual(Var a, Var b, Loc loc = Loc::Current());     // a <= b
// Whether x (float32) is NaN, and whether it is neither infinite nor NaN.
Var IsNan(Var x, Loc loc = Loc::Current());
Var IsFinite(Var x, Loc loc = Loc::Current());

// ---- Logic, elementwise, not differentiable. ops/logical.cc ----
// From uint8, of which all but 0 holds, to 1 where the result holds, else 0.
Var And(Var a, Var b, Loc loc = Loc::Current());
Var Or(Var a, Var b, Loc loc = Loc::Current());
Var Xor(Var a, Var b, Loc loc = Loc::Current());
Var Not(Var x, Loc loc = Loc::Current());

// ---- Choice and conversion, elementwise. ops/compare.cc ----
// The larger and the smaller of a and b; NaN if either is. Derivative 1 by the
// one that is taken, at a tie by a.
Var Maximum(Var a, Var b, Loc loc = Loc::Current());
Var Minimum(Var a, Var b, Loc loc = Loc::Current());
// x, or the bound that it is beyond; low <= high. Derivative 0 beyond the
// bounds, 1 at them.
Var Clip(Var x, double low, double high, Loc loc = Loc::Current());
// a where condition (uint8) is not 0, else b; a and b both float32 or both
// int32. A choice does not keep a NaN out of the gradient: what is not taken
// has the gradient 0, and 0 times an infinite derivative, as of Sqrt(x) at 0,
// is NaN. Choose the operand as well: Sqrt(Select(x > 0, x, 1)).
Var Select(Var condition, Var a, Var b, Loc loc = Loc::Current());
// The same numbers in another dtype: to float32 from any other, to int32 from
// uint8, to bfloat16 from float32, rounded, and from any to itself. Not
// differentiable.
Var Cast(Var x, DType dtype, Loc loc = Loc::Current());

// ---- Products. ops/matmul.cc ----
struct Transposes {
  bool lhs = false;
  bool rhs = false;
};
// [m,k] by [k,n] to [m,n]; an operand named in `transposes` is given as its
// transpose. Both may be bfloat16, which Compile refuses where the processor does
// not multiply that; the result is float32 all the same.
// (CompileOptions::precision has this done throughout a graph of float32.) Of more axes these are the last two, and the
// others broadcast: [b,1,m,k] by [c,k,n] to [b,c,m,n]. ops/batch_matmul.cc
Var MatMul(Var lhs, Var rhs, Transposes transposes = {},
           Loc loc = Loc::Current());
struct MatMulAddOptions {
  double alpha = 1;
  double beta = 1;
  Transposes transposes = {};
};
// alpha lhs rhs + beta addend, the addend [m,n], as BLAS's gemm (Dongarra and
// others, "A Set of Level 3 Basic Linear Algebra Subprograms", 1990): with a
// beta of 0 the addend is not read. The compiler makes it of MatMul and what
// follows; nobody needs to write it.
Var MatMulAdd(Var lhs, Var rhs, Var addend, MatMulAddOptions options = {},
              Loc loc = Loc::Current());

// Of the last axes, the others broadcast. ops/batch_matmul.cc
Var MatVec(Var matrix, Var vector,
           Loc loc = Loc::Current());               // sum_k a[i,k] b[k]
Var Dot(Var a, Var b, Loc loc = Loc::Current());    // sum_k a[k] b[k]
Var Outer(Var a, Var b, Loc loc = Loc::Current());  // a[i] b[j]

// ---- Reductions. ops/reduce.cc, ops/extremum.cc, ops/scan.cc ----
// The axes count from the front, or from the back if negative. No axes, {} or an
// empty vector, means all of them: a list that is computed and may come out
// empty, where nothing is to be reduced, must be looked at first. (To take it for
// none would silently change programs that rely on the default.) What is reduced
// is dropped from the shape, or kept as 1.
//
// Relative errors, for any number of terms below 2^28, u = 2^-24, and any order
// of magnitude of what comes between: nothing overflows where the result is
// finite. Sum and Mean: at most 3.01 u sum |x| / |sum x| + u, and of equal terms
// u. Variance: 8 u, but for what x itself has lost. Norm (of order 2): 2 u.
// CumSum and Prod are taken in double and rounded once: u, but for 2^-52 times
// the terms. LogSumExp, see there. (framework/core/sum_kernels.h)
enum class Axes { kDrop, kKeep };
Var Sum(Var x, absl::Span<const int> axes = {}, Axes reduced = Axes::kDrop,
        Loc loc = Loc::Current());
Var Mean(Var x, absl::Span<const int> axes = {}, Axes reduced = Axes::kDrop,
         Loc loc = Loc::Current());
// For its derivatives, prefix and suffix products must not overflow float32.
Var Prod(Var x, absl::Span<const int> axes = {}, Axes reduced = Axes::kDrop,
         Loc loc = Loc::Current());
// ln sum e^x: -infinity, with derivatives 0, where all of x is. Off by at most
// 32 * 2^-24 of it, or of 1 if that is larger. ops/softmax.cc
Var LogSumExp(Var x, absl::Span<const int> axes = {},
              Axes reduced = Axes::kDrop, Loc loc = Loc::Current());
// The largest and the smallest element; NaN if any element is NaN. The
// derivative is 1 by the selected element, 0 by the others; ties go to the
// first in row-major order. Each reduced axis must have at least one element.
Var Max(Var x, absl::Span<const int> axes = {}, Axes reduced = Axes::kDrop,
        Loc loc = Loc::Current());
Var Min(Var x, absl::Span<const int> axes = {}, Axes reduced = Axes::kDrop,
        Loc loc = Loc::Current());
// Where along `axis` they are: int32, not differentiable.
Var ArgMax(Var x, int axis = -1, Axes reduced = Axes::kDrop,
           Loc loc = Loc::Current());
Var ArgMin(Var x, int axis = -1, Axes reduced = Axes::kDrop,
           Loc loc = Loc::Current());
// Sum((x - mean)^2) / (n - correction), n elements to each sum.
struct VarianceOptions {
  double correction = 0;  // 1: unbiased for samples of a larger whole.
  Axes reduced = Axes::kDrop;
};
Var Variance(Var x, absl::Span<const int> axes = {},
             VarianceOptions options = {}, Loc loc = Loc::Current());
// sum |x|, sqrt(sum x^2) or max |x|, of order 1, 2 or infinity. x^2 may be
// beyond float32. At 0 the derivatives are 0.
struct NormOptions {
  double order = 2;
  Axes reduced = Axes::kDrop;
};
Var Norm(Var x, absl::Span<const int> axes = {}, NormOptions options = {},
         Loc loc = Loc::Current());
// The Euclidean norm as the product scale * ratio, for norms that are beyond
// float32 although no element is. `scale` is the power of two next below it, but
// between 2^-126 and 2^126, so that 1 / scale is a normal number; ratio is
// |x| / scale, rounded once. Gradients takes the scale for a constant, on which
// the product does not depend.
struct ScaledNorm {
  Var scale;
  Var ratio;
};
// Over the given axes, kept as 1, or over all, which gives rank 0.
ScaledNorm NormWithScale(Var x, absl::Span<const int> axes = {},
                         Loc loc = Loc::Current());
// The same in two steps, for several x with one scale, which is the power of two
// next below max |x|.
Var NormScale(Var x, absl::Span<const int> axes = {}, Loc loc = Loc::Current());
Var NormOverScale(Var x, Var scale, Loc loc = Loc::Current());
// y[i] = x[0] + … + x[i] along `axis`, or if reverse x[i] + … to the last.
struct CumSumOptions {
  bool reverse = false;
};
Var CumSum(Var x, int axis = -1, CumSumOptions options = {},
           Loc loc = Loc::Current());
// How many elements `shape` has, as a float32 of rank 0; known when kBatch is.
Var ElementCount(Graph* graph, Shape shape, Loc loc = Loc::Current());

// ---- Shape, of any dtype. ops/layout.cc ----
// Axes count from the front, or from the back if negative. The first four keep
// the elements of x in their order.
// Another shape with as many elements.
Var Reshape(Var x, Shape shape, Loc loc = Loc::Current());
// The axes from `first` on become one: [a,b,c] to [a,b c].
Var Flatten(Var x, int first = 1, Loc loc = Loc::Current());
// Drops the given axes, which must be 1; none given: every axis of 1.
Var Squeeze(Var x, absl::Span<const int> axes = {}, Loc loc = Loc::Current());
// Inserts an axis of 1, which is the result's `axis`.
Var ExpandDims(Var x, int axis, Loc loc = Loc::Current());
// BroadcastTo(x, shape), which repeats x along axes that are missing or 1, and
// its adjoint SumTo are in framework/core/basic_ops.h.
// y's axis i is x's axis axes[i]; none given, all in reverse.
// ops/transpose.cc. A MatMul takes a transposed matrix as it lies.
Var Transpose(Var x, absl::Span<const int> axes = {}, Loc loc = Loc::Current());

// ---- Parts along an axis, whose length must not be kBatch. ops/slice.cc ----
// x[begin], x[begin + step], …: `length` of them, all of which must be there.
struct Range {
  int64_t begin = 0;
  int64_t length = 0;
  int64_t step = 1;
};
Var Slice(Var x, int axis, Range range, Loc loc = Loc::Current());
// x, with `value` so many times before it and after it.
struct Padding {
  int64_t before = 0;
  int64_t after = 0;
  double value = 0;
};
Var Pad(Var x, int axis, Padding padding, Loc loc = Loc::Current());
// One after another: at least one, alike but for their lengths.
Var Concat(absl::Span<const Var> x, int axis, Loc loc = Loc::Current());
// Into parts of these lengths, whose sum is x's; or into so many equal parts.
// (One length in braces, {n}, is read as n parts.)
std::vector<Var> Split(Var x, int axis, absl::Span<const int64_t> lengths,
                       Loc loc = Loc::Current());
std::vector<Var> Split(Var x, int axis, int parts, Loc loc = Loc::Current());
// y[i] = x[n - 1 - i]; along the batch as well.
Var Reverse(Var x, int axis, Loc loc = Loc::Current());
// x so many times along each axis: [a,b] to [r a,s b] for repeats r and s.
Var Tile(Var x, absl::Span<const int64_t> repeats, Loc loc = Loc::Current());

// ---- Indices, which are int32. ops/index.cc ----
// indices int32 [...] to float32 [...,depth]: 1 at the index, else 0; all 0 for
// an index outside 0 … depth - 1.
Var OneHot(Var indices, int64_t depth, Loc loc = Loc::Current());
// x's slices (any dtype) at these places along an axis, which the axes of
// `indices` replace: [a,b] and [...] to [...,b] for axis 0. 0 where an index is
// outside.
Var Gather(Var x, Var indices, int axis = 0, Loc loc = Loc::Current());
// Gather's adjoint: zeros of `shape`, to which the slices of updates (float32)
// are added at these places, in order for any number of threads: in double, or
// if there are no more than 16, in float32. What is outside is left out.
Var ScatterAdd(Var updates, Var indices, Shape shape, int axis = 0,
               Loc loc = Loc::Current());
// Each line of x along an axis at its own indices: x [a,b] and indices [a,c] to
// [a,c] for axis 1. 0 where an index is outside.
Var GatherAlong(Var x, Var indices, int axis = -1, Loc loc = Loc::Current());
// Returns the indices of the k largest elements along `axis`, largest first:
// int32, of the shape of x with `axis` of length k. Ties go to the lowest
// index; NaN sorts first. With k equal to the length of `axis` this is a
// descending argsort. Not differentiable.
Var TopKIndices(Var x, int64_t k, int axis = -1, Loc loc = Loc::Current());
// And these elements themselves, which are differentiable.
struct TopKResult {
  Var values;
  Var indices;
};
TopKResult TopK(Var x, int64_t k, int axis = -1, Loc loc = Loc::Current());

// ---- Random. ops/random.cc ----
// Float32 of `shape`: a function of (seed, stream, step, place in the tensor)
// alone, so others at each step and the same on any machine, by any number of
// threads. step is int32 of rank 0. Not differentiable by it.
//
// Draws of one seed, stream and step have the same numbers: two Dropouts with
// equal keys leave out the same units. Without a stream a draw has one that no
// earlier draw of the graph from its seed has; it follows from the order of
// declaration, so the same declaration has the same numbers again. Streams
// from names (StreamOf, framework/core/random.h) do not depend on the order.
struct RandomKey {
  std::optional<uint64_t> seed = std::nullopt;  // Empty: Graph::seed().
  std::optional<uint64_t> stream = std::nullopt;
};
// Standard normal numbers.
Var RandomNormal(Var step, Shape shape, RandomKey key = {},
                 Loc loc = Loc::Current());
// Uniform numbers on [0, 1), multiples of 2^-24.
Var RandomUniform(Var step, Shape shape, RandomKey key = {},
                  Loc loc = Loc::Current());
// In plans for training (CompileOptions::mode), sets each element to 0 with
// probability `rate`, else to x / (1 - rate), others in each run that makes
// updates, by Graph::Step; in plans for inference x itself. Srivastava et al.,
// "Dropout: A Simple Way to Prevent Neural Networks from Overfitting", 2014.
Var Dropout(Var x, double rate, RandomKey key = {}, Loc loc = Loc::Current());
// The same by a step of one's own, in plans of either mode.
Var Dropout(Var x, double rate, Var step, RandomKey key = {},
            Loc loc = Loc::Current());

// ---- Normalisation: (x - mean) / sqrt(variance + epsilon) scale + shift, the
// variance over n, not n - 1. ops/normalise.cc ----
// Of the last axes, those of scale and shift, which have one shape. Rows are
// normalised in double, so that those of any magnitude are right, and rounded
// once.
struct LayerNormOptions {
  double epsilon = 1e-5;
};
Var LayerNorm(Var x, Var scale, Var shift, LayerNormOptions options = {},
              Loc loc = Loc::Current());
// Over all axes but `axis`, the channels'; scale, shift and statistics are
// vectors, a number for each channel. BatchNorm, for training, normalises by
// the batch's own mean and variance; its assignments, which go to Updates
// (framework/core/updates.h), set each running statistic to
// decay old + (1 - decay) batch. BatchNormInference uses the running ones.
// A batch without two elements for each channel has no variance: it leaves the
// running statistics as they are, and y of a single element is shift. So does,
// channel by channel, a batch whose mean or variance is not finite. Add the
// assignments to a chain's updates by AddAssignments
// (framework/optim/transform.h), which leaves out the steps that it skips.
struct BatchNormOptions {
  int axis = -1;
  double decay = 0.9;
  double epsilon = 1e-5;
};
struct RunningStatistics {
  Var mean;      // Graph::State, from 0,
  Var variance;  // and from 1.
};
struct BatchNormResult {
  Var y;
  std::vector<Assignment> assignments = {};
};
BatchNormResult BatchNorm(Var x, Var scale, Var shift,
                          RunningStatistics running,
                          BatchNormOptions options = {},
                          Loc loc = Loc::Current());
Var BatchNormInference(Var x, Var scale, Var shift, RunningStatistics running,
                       BatchNormOptions options = {}, Loc loc = Loc::Current());
// Both, with variables of their own under PyTorch's names: "<name>/weight" from
// 1, "<name>/bias" from 0, "<name>/running_mean" and "<name>/running_var". Plans
// for training (CompileOptions::mode) have BatchNorm, and those that make
// updates set the running statistics; plans for inference have
// BatchNormInference. Ioffe and Szegedy, "Batch Normalization", 2015.
Var BatchNorm(Var x, absl::string_view name, BatchNormOptions options = {},
              Loc loc = Loc::Current());

// ---- Softmax: along an axis of at least one element. ops/softmax.cc ----
// A probability is off by at most 32 * 2^-24 of it, where x - max x is not
// rounded, however many elements there are.
Var Softmax(Var x, int axis = -1, Loc loc = Loc::Current());  // e^x / sum e^x
// x - ln sum e^x
Var LogSoftmax(Var x, int axis = -1, Loc loc = Loc::Current());

// ---- Losses. ops/loss.cc ----
// One for each element, or row, or their mean or sum. By default
// MeanSquaredError and MeanAbsoluteError are means, as their names say, and all
// others are not reduced: Mean(SoftmaxCrossEntropy(logits, labels)). It stays so,
// since another default would scale the gradients of programs that rely on it.
enum class Reduction { kNone, kMean, kSum };
// logits [...,classes] to [...]: with labels int32 [...], -LogSoftmax(logits)
// at the label; with labels float32 [...,classes], the sum of
// -label LogSoftmax(logits), where a label of 0 gives 0 whatever the logit.
// Smoothing by s makes of a label p the label (1 - s) p + s / classes.
//
// A run is refused whose int32 labels are fed and not in 0 … classes - 1; of
// labels that are computed, loss and gradient are NaN in such a row.
struct SoftmaxCrossEntropyOptions {
  double label_smoothing = 0;
  Reduction reduction = Reduction::kNone;
  // Rows of this int32 label have loss and gradient 0, and do not count in the
  // mean, which is 0 if no row does.
  std::optional<int32_t> ignored_label = {};
};
Var SoftmaxCrossEntropy(Var logits, Var labels,
                        SoftmaxCrossEntropyOptions options = {},
                        Loc loc = Loc::Current());
// [...,classes] to [...]: the sum of p (ln p - log_probability) for labels p,
// where 0 ln 0 = 0, with the derivative 0 by that p.
Var KlDivergence(Var log_probabilities, Var labels,
                 Reduction reduction = Reduction::kNone,
                 Loc loc = Loc::Current());
// The others are for each element; both operands have one shape.
// -p ln s - (1 - p) ln(1 - s), for labels p and s = Sigmoid(logits), where 0
// ln 0 = 0.
Var SigmoidCrossEntropy(Var logits, Var labels,
                        Reduction reduction = Reduction::kNone,
                        Loc loc = Loc::Current());
// (prediction - target)^2
Var MeanSquaredError(Var prediction, Var target,
                     Reduction reduction = Reduction::kMean,
                     Loc loc = Loc::Current());
// |prediction - target|; derivative 0 where they are equal.
Var MeanAbsoluteError(Var prediction, Var target,
                      Reduction reduction = Reduction::kMean,
                      Loc loc = Loc::Current());
// With d = prediction - target, d^2 / 2 where |d| <= delta, else
// delta (|d| - delta / 2).
struct HuberOptions {
  double delta = 1;
  Reduction reduction = Reduction::kNone;
};
Var Huber(Var prediction, Var target, HuberOptions options = {},
          Loc loc = Loc::Current());
// max(0, 1 - target prediction), targets 1 and -1; derivative 0 at the kink.
Var Hinge(Var prediction, Var target, Reduction reduction = Reduction::kNone,
          Loc loc = Loc::Current());

}  // namespace tape

#endif  // TAPE_OPS_OPS_H_
