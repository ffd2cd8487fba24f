// The rows that elementwise ops share (op_samples_internal.h).
#include "tests/ops/op_samples_internal.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "framework/core/basic_ops.h"
#include "framework/core/gradients.h"

namespace tape::samples {

void SampleTable::AddError(const char* op, const char* name,
                           std::vector<TensorType> inputs, BuildSample build,
                           const std::string& message) {
  errors.push_back(
      {.op = op,
       .name = name,
       .inputs = std::move(inputs),
       .build = std::move(build),
       .message = absl::StrCat(kSampleLoc.ToString(), ": ", message)});
}

// ---- Operands ----

SampleInput Floats(Shape shape, double low, double high) {
  return {.shape = std::move(shape), .low = low, .high = high};
}
SampleInput NotZero(Shape shape) {
  return {.shape = std::move(shape),
          .draw = Draw::kEitherSign,
          .low = 0.5,
          .high = 2};
}
SampleInput Whole(Shape shape, double low, double high) {
  return {.shape = std::move(shape),
          .draw = Draw::kIntegers,
          .low = low,
          .high = high};
}
SampleInput Ints(Shape shape, double low, double high) {
  SampleInput input = Whole(std::move(shape), low, high);
  input.dtype = DType::kInt32;
  return input;
}
SampleInput Bytes(Shape shape, double low, double high) {
  SampleInput input = Whole(std::move(shape), low, high);
  input.dtype = DType::kUint8;
  return input;
}
SampleInput Given(Shape shape, std::vector<double> values, DType dtype) {
  return {
      .shape = std::move(shape), .dtype = dtype, .values = std::move(values)};
}
SampleInput Given(std::vector<double> values, DType dtype) {
  Shape shape = {static_cast<int64_t>(values.size())};
  return Given(std::move(shape), std::move(values), dtype);
}

TensorType Float(Shape shape) { return {DType::kFloat32, std::move(shape)}; }
TensorType Int(Shape shape) { return {DType::kInt32, std::move(shape)}; }
TensorType Byte(Shape shape) { return {DType::kUint8, std::move(shape)}; }

// ---- Functions ----

BuildSample Unary(Var (*f)(Var, Loc)) {
  return [f](const SampleOperands& in) { return f(in.x[0], in.loc); };
}
BuildSample Binary(Var (*f)(Var, Var, Loc)) {
  return [f](const SampleOperands& in) { return f(in.x[0], in.x[1], in.loc); };
}

BuildSample DerivativeNode(const char* op,
                           std::function<Var(const SampleOperands&)> f) {
  return [=](const SampleOperands& in) {
    const Var y = f(in);
    const Var gradient = Gradients(
        y, {in.x[0]}, {.seed = Fill(in.graph, y.shape(), 1)}, in.loc)[0];
    int id = gradient.id();
    while (absl::string_view(in.graph->node(id).op->name) != op) {
      const auto& inputs = in.graph->node(id).inputs;
      if (inputs.size() < 2) return gradient;  // Of operands that do not fit.
      id = inputs[1];
    }
    return Var(in.graph, id);
  };
}

// ---- Elementwise ops of one operand ----

void AddUnaryRows(const UnaryOp& op, SampleTable* table) {
  struct Case {
    const char* name;
    Shape shape;
    Differentiated differentiated = Differentiated::kTwice;
  };
  const std::vector<Case> cases = {
      {"ordinary", {3, 5}},
      {"scalar", {}},
      {"one_element", {1, 1}},
      {"empty", {0}},
      {"empty_rows", {3, 0}},
      {"batch", {kBatch, 3}},
      // More than two blocks of 512 (runtime/elementwise.cc), and a rest.
      {"blocks", {5, 211}},
      // More than two chunks of 128 * 1024.
      {"chunks", {3, 100003}, Differentiated::kCompiled},
  };
  const auto add = [&](const char* name, SampleInput input,
                       Differentiated differentiated) {
    if (op.output != DType::kFloat32) differentiated = Differentiated::kRefused;
    const TensorType output = {op.output, input.shape};
    table->Add({.op = op.name,
                .name = absl::StrCat(op.rows, name),
                .inputs = {std::move(input)},
                .build = op.build,
                .output = output,
                .tolerance = op.tolerance,
                .differentiated = differentiated});
  };
  for (const Case& c : cases) {
    add(c.name,
        {.shape = c.shape, .draw = op.draw, .low = op.low, .high = op.high},
        c.differentiated);
  }
  std::vector<double> extremes = {300,        -300, 0,     -0.0, kDenormal,
                                  -kDenormal, 1e38, -1e38, kInf, -kInf,
                                  kNan,       1,    -1};
  extremes.insert(extremes.end(), op.extremes.begin(), op.extremes.end());
  add("extremes", Given(extremes), Differentiated::kCompiled);
}

void AddUnaryErrors(const UnaryOp& op, SampleTable* table) {
  table->AddError(
      op.name, "int32", {Int({2})}, op.build,
      absl::StrCat(op.name,
                   ": expected float32, found int32 (x int32[2] is input "
                   "\"x0\", x.cc:0)"));
}

void AddKinkRow(const UnaryOp& op, std::vector<double> x,
                std::vector<double> derivatives, Differentiated differentiated,
                SampleTable* table) {
  const SampleInput input = Given(std::move(x));
  table->Add({.op = op.name,
              .name = absl::StrCat(op.rows, "kink"),
              .inputs = {input},
              .build = op.build,
              .output = Float(input.shape),
              .tolerance = op.tolerance,
              .differentiated = differentiated,
              .derivatives = {std::move(derivatives)}});
}

// ---- Elementwise ops of two operands ----

namespace {

struct Stretch {
  const char* name;
  Shape a;
  Shape b;
  Shape y;
  Differentiated differentiated = Differentiated::kTwice;
};

// The ways of two operands to be broadcast, and of a pass over them to read
// (Access in runtime/elementwise.cc).
std::vector<Stretch> Stretches() {
  constexpr Differentiated kCompiled = Differentiated::kCompiled;
  return {
      {"ordinary", {3, 5}, {3, 5}, {3, 5}},
      {"lhs_stretched", {5}, {3, 5}, {3, 5}},
      {"rhs_stretched", {3, 5}, {5}, {3, 5}},
      {"both_stretched", {3, 1}, {1, 5}, {3, 5}},
      {"lhs_scalar", {}, {3, 5}, {3, 5}},
      {"rhs_scalar", {3, 5}, {}, {3, 5}},
      {"scalars", {}, {}, {}},
      {"one_element", {1}, {1, 1}, {1, 1}},
      {"middle_axis", {2, 3, 4}, {2, 1, 4}, {2, 3, 4}},
      {"outer_and_inner_axis", {1, 3, 1}, {2, 1, 4}, {2, 3, 4}},
      {"empty", {0, 3}, {3}, {0, 3}},
      {"empty_from_one", {1}, {2, 0}, {2, 0}},
      {"batch", {kBatch, 3}, {3}, {kBatch, 3}},
      {"batch_column", {kBatch, 3}, {kBatch, 1}, {kBatch, 3}},
      {"batch_scalar", {}, {kBatch}, {kBatch}},
      {"blocks", {5, 211}, {5, 211}, {5, 211}},
      {"pattern", {11, 97}, {97}, {11, 97}},
      {"row", {3, 700}, {700}, {3, 700}},
      {"row_and_column", {700}, {3, 1}, {3, 700}},
      {"chunks", {3, 100003}, {3, 100003}, {3, 100003}, kCompiled},
      {"chunks_pattern", {900, 307}, {307}, {900, 307}, kCompiled},
      {"chunks_row", {300, 1001}, {1001}, {300, 1001}, kCompiled},
      {"chunks_column", {300, 1}, {300, 1001}, {300, 1001}, kCompiled},
  };
}

}  // namespace

void AddBinaryRows(const BinaryOp& op, SampleTable* table) {
  const auto add = [&](const std::string& name, SampleInput a, SampleInput b,
                       Shape y, Differentiated differentiated) {
    if (op.compares) differentiated = Differentiated::kRefused;
    const DType output = op.compares ? DType::kUint8 : a.dtype;
    table->Add({.op = op.name,
                .name = name,
                .inputs = {std::move(a), std::move(b)},
                .build = Binary(op.f),
                .output = {output, std::move(y)},
                .differentiated = differentiated});
  };
  for (const Stretch& stretch : Stretches()) {
    for (const SampleInput& drawn : op.operands) {
      SampleInput a = drawn, b = drawn;
      a.shape = stretch.a;
      b.shape = stretch.b;
      add(drawn.dtype == DType::kFloat32
              ? stretch.name
              : absl::StrCat(Name(drawn.dtype), "_", stretch.name),
          a, b, stretch.y, stretch.differentiated);
    }
  }
  if (op.operands[0].dtype != DType::kFloat32) return;
  // Every extreme with every other.
  const std::vector<double> extremes = {
      300,  -300,  1,    -1,    0,    -0.0, kDenormal, -kDenormal,
      1e38, -1e38, kInf, -kInf, kNan, 3e-5, 1e-30};
  const int64_t count = extremes.size();
  add("extremes", Given({count, 1}, extremes), Given(extremes), {count, count},
      op.extremes);
}

void AddBinaryErrors(const BinaryOp& op, SampleTable* table) {
  const BuildSample build = Binary(op.f);
  table->AddError(
      op.name, "shapes", {Float({2, 3}), Float({4})}, build,
      absl::StrCat(op.name,
                   ": shapes [2,3] and [4] do not broadcast: axis -1 is 3 "
                   "against 4 (lhs [2,3] is input \"x0\", x.cc:0; rhs [4] is "
                   "input \"x1\", x.cc:1)"));
  table->AddError(
      op.name, "batch_against_number", {Float({kBatch, 3}), Float({2, 3})},
      build,
      absl::StrCat(op.name,
                   ": shapes [batch,3] and [2,3] do not broadcast: axis -2 "
                   "is batch against 2 (lhs [batch,3] is input \"x0\", "
                   "x.cc:0; rhs [2,3] is input \"x1\", x.cc:1)"));
  const bool only_floats = op.operands.size() == 1;
  table->AddError(
      op.name, "dtypes", {Float({2}), Int({2})}, build,
      absl::StrCat(op.name,
                   only_floats ? ": expected float32, found int32"
                               : ": dtypes float32 and int32 differ",
                   " (lhs [2] is input \"x0\", x.cc:0; rhs int32[2] is input "
                   "\"x1\", x.cc:1)"));
  if (op.compares) return;  // Bytes too.
  table->AddError(
      op.name, "uint8", {Byte({2}), Byte({2})}, build,
      absl::StrCat(op.name,
                   only_floats ? ": expected float32, found uint8"
                               : ": expected float32 or int32, found uint8",
                   " (lhs uint8[2] is input \"x0\", x.cc:0; rhs uint8[2] is "
                   "input \"x1\", x.cc:1)"));
}

}  // namespace tape::samples
