// The op contract: everything the framework knows of an operation, in one
// record (OpDef) that stands in one place.
//
// The fields stand in the order of the mathematics: name, shape rule, gradient
// rule, reference, kernel, traits. The driver of gradients (gradients.cc) and
// the compiler's passes ask these fields and traits, never which op it is, so
// an op declared outside this repository is used like a built-in one. See
// ops/activation.cc for examples. A rule that throws is a mistake that the graph
// keeps, or an error of Compile or Run, with the op and the user's line.
#ifndef TAPE_FRAMEWORK_CORE_OP_H_
#define TAPE_FRAMEWORK_CORE_OP_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "framework/core/kernel.h"
#include "framework/core/mode.h"
#include "framework/core/tensor.h"
#include "framework/core/tensor_type.h"

namespace tape {

class Graph;
class Var;

// What an op is told besides its inputs. One flat record for all ops: a field
// means what the op's comment says, and keeps its default where the op has no
// use for it. Equal ops on equal inputs with equal attributes are the same
// value.
struct Attributes {
  double value = 0;            // Fill, LeakyRelu, ….
  double alpha = 1;            // MatMulAdd: factor of the product,
  double beta = 1;             // and of the addend.
  int64_t depth = 0;           // OneHot: how many classes there are.
  int64_t index = 0;           // Which rule: WithGradient. Which block of
                               // elements: BlockOf, PlaceBlock.
  int64_t begin = 0;           // Slice, Pad: along `axis`, the first place,
  int64_t step = 1;            // how far apart the next ones are,
  int64_t length = 0;          // and the length of the result. TopKIndices.
  uint64_t seed = 0;           // RandomNormal.
  uint64_t stream = 0;         // RandomNormal.
  int axis = 0;                // ArgMax, Softmax, ….
  bool reverse = false;        // CumSum, ….
  bool transpose_lhs = false;  // MatMul.
  bool transpose_rhs = false;  // MatMul.
  // SoftmaxCrossEntropy: the label whose rows do not count.
  std::optional<int32_t> ignored_label = {};
  DType dtype = DType::kFloat32;          // Cast, Fill, sources.
  Shape shape = {};                       // Fill, BroadcastTo, SumTo, Reshape.
  absl::InlinedVector<int, 4> axes = {};  // Transpose.

  // The fields that differ from their defaults, as in "value=0.01,
  // shape=[4,1]".
  std::string ToString() const;
  friend bool operator==(const Attributes&, const Attributes&) = default;
};

// The derivative of the loss by each input of a node, as a Var of the same
// graph. An empty Var says that the derivative is zero everywhere. An adjoint
// may have a shape that the input broadcasts to, or one that broadcasts to the
// input's: the driver sums or stretches it. No Vars at all: every derivative is
// zero; any other number than that of the inputs is an error.
using Adjoints = absl::InlinedVector<Var, 3>;

// Type of the output from the types of the inputs (as many as OpDef::operands
// names). Shapes may hold kBatch. An error's message says the rule that is
// broken and both figures; the graph adds op, line and operands.
using ShapeRule = absl::StatusOr<TensorType> (*)(
    absl::Span<const TensorType> inputs, const Attributes& attributes);

// d loss / d x[i] for each input x[i] of y = op(x), given gy = d loss / d y;
// written in ops, so that it can be differentiated again.
using GradientRule = Adjoints (*)(absl::Span<const Var> x, Var y, Var gy,
                                  const Attributes& attributes);

// What the op means: slow, obvious, in double. `inputs` and `output` are
// float64 tensors whatever the node's dtype (every int32 and uint8 is a
// double); `output` has its bound shape and arrives zeroed.
using Reference = void (*)(const Attributes& attributes,
                           absl::Span<const Tensor> inputs, Tensor& output);

// How the output depends on the rows (slices along axis 0) of the inputs that
// are split by rows (RowQuery::in_rows). Elementwise ops and views need no
// rule.
enum class RowRole {
  kMixed,   // None of the below: the op cannot be split by rows.
  kApart,   // Output row i reads only row i of the split inputs. It may read
            // all of the other inputs.
  kSummed,  // The output is a sum of terms, each of which reads one row of the
            // split inputs.
  kGathered,  // The op reads all rows after the last one is made. No op that
              // makes rows may read its output.
};
struct RowQuery {
  const Attributes& attributes;
  absl::Span<const TensorType> inputs;
  // Whether each input is split by rows; true for at least one.
  absl::Span<const bool> in_rows;
  const TensorType& output;
};
using RowRule = RowRole (*)(const RowQuery& query);

// What is fed to operand `operand` of a node, for that op to look at; the inputs'
// shapes are bound.
struct FeedQuery {
  const Attributes& attributes;
  absl::Span<const TensorType> inputs;
  int operand;
  const TensorView& fed;
};
// Returns an error text if the op cannot accept a fed number ("Name: expected
// …, found … at …", with the op's public name), else an empty string. Called
// before each run of a plan, for graph inputs that the op reads directly. A
// refused run has changed nothing.
using FeedRule = std::string (*)(const FeedQuery& query);

// What this machine lacks to compute the op on inputs of these types. Asked by
// Compile alone: any graph can be declared, and its reference evaluated, on any
// machine.
using MachineRule = absl::Status (*)(absl::Span<const TensorType> inputs);

// Whether an op with Traits::regions is worth having by regions for these types.
using RegionRule = bool (*)(const Attributes& attributes,
                            absl::Span<const TensorType> inputs,
                            const TensorType& output);

struct OpDef;

// What a rule for simpler values sees of a node whose inputs are themselves as
// simple as they get.
struct SimplifyQuery {
  struct Input {
    const OpDef* op;  // That makes it.
    const Attributes& attributes;
    const TensorType& type;
    int node;  // Equal for inputs that are the same node.

    // Whether every element of it is `value`; 0 is not -0.
    bool IsAll(double value) const;
  };
  const OpDef* op;
  const Attributes& attributes;
  absl::Span<const Input> inputs;
  const TensorType& output;
};

// A simpler expression with the same value as a node, bit for bit, for all
// inputs, NaN and -0 included.
struct Simplification {
  enum Kind : int {
    kNothing,       // There is none.
    kInput,         // The node's input `input`.
    kInputOfInput,  // The first input of the node's input `input`.
    kWithoutInput,  // The node's op, with input `input` replaced by the first
                    // input of that input.
  };
  Kind kind = kNothing;
  int input = 0;
  // Of kWithoutInput: what the node's attributes become, if they change.
  std::optional<Attributes> attributes = {};
};
// A result whose type differs from the node's type is ignored.
using SimplifyRule = Simplification (*)(const SimplifyQuery& query);

// Whether and how an op is linear, element by element.
enum class Linearity {
  kNone,
  kLinear,         // In all its inputs together: a + b, -x.
  kLinearInFirst,  // In the first, the others held fixed: a / b.
  kBilinear,       // In either of two, the other held fixed: a b.
};

// How an op can read numbers of less precision than float32.
struct LowPrecision {
  // So many of the first inputs, all of them together, may be bfloat16 where
  // they are float32; the output's type stays, and what is added up within is
  // float32. Whether this processor can, OpDef::machine says.
  int inputs = 0;
  // The op that rounds a float32 input, to attributes.dtype.
  const OpDef* cast = nullptr;

  friend bool operator==(const LowPrecision&, const LowPrecision&) = default;
};

// How an op can read bytes instead of the float32 that they are made into.
struct OfBytes {
  // The op that has this one's output, bit for bit, where the first input is
  // attributes.value times the uint8 that it reads in its place.
  const OpDef* op;
  // Whether that is faster, for the inputs' types and attributes of this op.
  bool (*pays)(absl::Span<const TensorType> inputs,
               const Attributes& attributes);
};

// How a sum over all elements is made of sums over pieces (kPieceElements).
struct SumInPieces {
  // From x to the sums over its pieces, float64 [pieces]. Of Traits::piecewise.
  const OpDef* pieces;
  // From these and the op's other inputs to its output; with its attributes.
  const OpDef* total;
  // Elements of the output, if it is of one sum.
  int64_t numbers;
};

// What passes may ask of an op.
struct Traits {
  // Element i of the output depends on element i of each input (after
  // broadcasting) alone: has a `block`, may be fused.
  bool elementwise = false;
  // Elementwise, and each element of the output is the input's.
  bool identity = false;
  Linearity linearity = Linearity::kNone;
  // The output is the input's memory under another shape.
  bool view = false;
  // Index of the input that the op forwards unchanged; only the gradient
  // differs (StopGradient). Programs read that input in place of the node, so
  // the op costs nothing and needs no kernel. Negative: none.
  int same_as = -1;
  // The first input in plans for training, the second in plans for inference
  // (mode.h): forwarded as by same_as.
  bool by_mode = false;
  // The numbers come from outside the plan: an input or a variable.
  bool source = false;
  // Element i of the output depends on attributes.begin + i and on all of the
  // inputs, as a random draw does. So the op can make some rows of an output,
  // with the position of their first element in attributes.begin.
  bool positional = false;
  // Every element is attributes.value.
  bool uniform = false;
  // The kernel can make each chunk's region of the output apart
  // (KernelSpec::into_scratch).
  bool regions = false;
  // Index of an input that the kernel can overwrite with the output. It has
  // the output's type. The plan places the output there if no other node still
  // needs the input. Negative: none.
  int in_place = -1;
  // The op that computes alpha y + beta c in one kernel, where y is this op's
  // output. It has this op's inputs, followed by c, which has the type of y;
  // and this op's attributes, plus alpha and beta. Null: none.
  const OpDef* fused_add = nullptr;
  LowPrecision low_precision = {};
  const OfBytes* of_bytes = nullptr;  // Null: it reads no bytes.
  // How the sum of the first input over all elements can be cut. Null: the op is
  // no sum over axes.
  const SumInPieces* in_pieces = nullptr;
  // The output is one number for each piece of the only input: has a `block` for
  // a piece, and may be made by the pass that has the piece in the cache.
  bool piecewise = false;
  // Running it is more than its result, as for an op that prints, counts or
  // talks to another process: a plan that depends on it runs it in each run,
  // once for each node, before what reads its result, whether or not a pass
  // could do without. It is neither folded, shared, cut into tiles nor run on
  // trial by Compile. Such ops run in no particular order unless one reads
  // another's result.
  bool side_effects = false;

  // Index of the input that programs of `mode` read in place of the node;
  // negative if there is none.
  int Forwards(Mode mode) const {
    if (!by_mode) return same_as;
    return mode == Mode::kTraining ? 0 : 1;
  }

  friend bool operator==(const Traits&, const Traits&) = default;
};

// Another op whose output can be made beside an op's own, of the same operands and
// attributes, with the bits that the two have alone (of several NaN any): by a block
// if both are elementwise and without a LaneOp, else by a kernel, which makes the
// op's own output first.
struct Joint {
  const OpDef* with;
  KernelMaker kernel = nullptr;
  BlockMaker block = nullptr;
};

struct OpDef {
  const char* name;
  // The inputs' names, for errors. A variadic op has one operand, which stands
  // for all.
  std::array<const char*, 3> operands = {};
  bool variadic = false;
  ShapeRule shape;
  GradientRule gradient = nullptr;  // Null: not differentiable.
  Reference reference = nullptr;
  // The reference for int32 outputs, if `reference` could leave the range of
  // int32: exact integer arithmetic that wraps modulo 2^32, as kernels do.
  // Null: `reference` serves int32 too.
  Reference integer_reference = nullptr;
  BlockMaker block = nullptr;       // Elementwise or piecewise.
  KernelMaker kernel = nullptr;     // Of any other that computes.
  RowRule rows = nullptr;           // Null: kMixed.
  SimplifyRule simplify = nullptr;  // Null: kNothing.
  FeedRule refuses = nullptr;       // Null: takes all numbers.
  MachineRule machine = nullptr;    // Null: any machine will do.
  RegionRule by_regions = nullptr;  // Null: always, if Traits::regions says so.
  const Joint* joint = nullptr;     // Null: with none.
  Traits traits = {};

  // The reference of a node whose output is of type `output`.
  Reference ReferenceFor(DType output) const {
    const bool wraps = output == DType::kInt32 && integer_reference != nullptr;
    return wraps ? integer_reference : reference;
  }

  // Of the same rules, traits and texts, these by address.
  friend bool operator==(const OpDef&, const OpDef&) = default;
};

// What the op's shape rule says; an error if it throws.
absl::StatusOr<TensorType> TypeOf(const OpDef& op,
                                  absl::Span<const TensorType> inputs,
                                  const Attributes& attributes);

// Rules that several ops have. op(op(x)) is op(x): of Relu.
Simplification SimplifyIdempotent(const SimplifyQuery& query);
// op(op(x)) is x: of Neg.
Simplification SimplifyInvolution(const SimplifyQuery& query);
// What has the input's type is the input, and op(op(x)) is op(x) with the outer
// one's attributes: of Reshape.
Simplification SimplifyRetyping(const SimplifyQuery& query);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_OP_H_
