// The rows of ops/compare.cc (op_samples.h).
#include <cfloat>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ops/ops.h"
#include "tests/ops/op_samples_internal.h"

namespace tape::samples {
namespace {

// ---- Comparisons ----

// Every number with every other of the same dtype.
void AddCrossRow(const BinaryOp& op, const char* name, DType dtype,
                 const std::vector<double>& numbers, SampleTable* table) {
  const int64_t count = numbers.size();
  table->Add(
      {.op = op.name,
       .name = name,
       .inputs = {Given({count, 1}, numbers, dtype), Given(numbers, dtype)},
       .build = Binary(op.f),
       .output = Byte({count, count}),
       .differentiated = Differentiated::kRefused});
}

void AddComparisons(SampleTable* table) {
  // Numbers that are often equal; bytes on either side of 128, which a
  // comparison of signed ones would get wrong.
  const std::vector<SampleInput> two = {Whole({}, 0, 2), Ints({}, 0, 2),
                                        Bytes({}, 0, 2)};
  const std::vector<SampleInput> few = {Whole({}, -1, 2), Ints({}, -2, 3),
                                        Bytes({}, 126, 130)};
  for (BinaryOp op : std::vector<BinaryOp>{{"Equal", Equal, two},
                                           {"NotEqual", NotEqual, two},
                                           {"Greater", Greater, few},
                                           {"GreaterEqual", GreaterEqual, few},
                                           {"Less", Less, few},
                                           {"LessEqual", LessEqual, few}}) {
    op.compares = true;
    AddBinaryRows(op, table);
    AddBinaryErrors(op, table);
    AddCrossRow(op, "uint8_extremes", DType::kUint8,
                {0, 1, 100, 127, 128, 129, 200, 255}, table);
    // 2^24 and 2^24 + 1 are one number in float32; kMinInt - kMaxInt overflows.
    AddCrossRow(op, "int32_extremes", DType::kInt32,
                {0, 1, -1, kMaxInt, kMaxInt - 1, kMinInt, kMinInt + 1, 16777216,
                 16777217, -16777217},
                table);
    AddCrossRow(op, "neighbours", DType::kFloat32,
                {1, 0.99999994, 1.0000001, -1, -1.0000001, FLT_MAX, -FLT_MAX,
                 FLT_MIN, -FLT_MIN, 16777216, 16777214},
                table);
    table->AddError(
        op.name, "uint8_and_int32", {Byte({2}), Int({2})}, Binary(op.f),
        absl::StrCat(op.name,
                     ": dtypes uint8 and int32 differ (lhs uint8[2] is input "
                     "\"x0\", x.cc:0; rhs int32[2] is input \"x1\", x.cc:1)"));
  }
}

// ---- IsFinite and IsNan ----

void AddFloatTests(SampleTable* table) {
  for (const auto& [name, f] :
       std::vector<std::pair<const char*, Var (*)(Var, Loc)>>{
           {"IsFinite", IsFinite}, {"IsNan", IsNan}}) {
    const UnaryOp op = {.name = name,
                        .build = Unary(f),
                        .draw = Draw::kUniform,
                        .low = -2,
                        .high = 2,
                        .extremes = {FLT_MAX, -FLT_MAX, FLT_MIN, -kNan},
                        .output = DType::kUint8};
    AddUnaryRows(op, table);
    AddUnaryErrors(op, table);
    // More than two blocks of which each number is one of these.
    std::vector<double> values;
    for (int i = 0; i < 1055; ++i) {
      values.push_back(i % 3 == 0 ? i : i % 5 == 0 ? kNan : kInf);
    }
    table->Add({.op = name,
                .name = "infinite_and_nan_in_blocks",
                .inputs = {Given(values)},
                .build = Unary(f),
                .output = Byte({1055}),
                .differentiated = Differentiated::kRefused});
  }
}

// ---- Maximum, Minimum and Clip ----

void AddMaximumAndMinimum(SampleTable* table) {
  constexpr Differentiated kCompiled = Differentiated::kCompiled;
  const BinaryOp maximum = {"Maximum", Maximum, {NotZero({})}, kCompiled};
  const BinaryOp minimum = {"Minimum", Minimum, {NotZero({})}, kCompiled};
  for (const BinaryOp& op : {maximum, minimum}) {
    AddBinaryRows(op, table);
    AddBinaryErrors(op, table);
    const bool is_maximum = op.f == &Maximum;
    // At a tie the derivative is the first operand's, even if b is 0 and a -0.
    const std::vector<double> a = {1, 2, 1, -3, 0, -0.0, 0};
    const std::vector<double> b = {2, 1, 1, -3, -0.0, 0, 0};
    std::vector<double> by_a = {0, 1, 1, 1, 1, 1, 1};
    std::vector<double> by_b = {1, 0, 0, 0, 0, 0, 0};
    if (!is_maximum) {
      std::swap(by_a[0], by_a[1]);
      std::swap(by_b[0], by_b[1]);
    }
    table->Add({.op = op.name,
                .name = "kink",
                .inputs = {Given(a), Given(b)},
                .build = Binary(op.f),
                .output = Float({7}),
                .differentiated = Differentiated::kOnce,
                .derivatives = {by_a, by_b}});
    // The same where b is broadcast, so that its derivatives are summed.
    table->Add({.op = op.name,
                .name = "kink_broadcast",
                .inputs = {Given({1, 1, 2, 2, 3}), Given({}, {2})},
                .build = Binary(op.f),
                .output = Float({5}),
                .differentiated = Differentiated::kOnce,
                .derivatives = {is_maximum ? std::vector<double>{0, 0, 1, 1, 1}
                                           : std::vector<double>{1, 1, 1, 1, 0},
                                {is_maximum ? 2.0 : 1.0}}});
    table->Add({.op = op.name,
                .name = "of_an_operand_and_itself",
                .inputs = {NotZero({3, 5})},
                .build =
                    [f = op.f](const SampleOperands& in) {
                      return f(in.x[0], in.x[0], in.loc);
                    },
                .output = Float({3, 5}),
                .derivatives = {std::vector<double>(15, 1)}});
  }
}

UnaryOp ClipTo(double low, double high) {
  return {.name = "Clip",
          .build =
              [=](const SampleOperands& in) {
                return Clip(in.x[0], low, high, in.loc);
              },
          .draw = Draw::kUniform,
          .low = -2,
          .high = 2,
          .extremes = {-0.5, 0.75, -0.50000006, 0.75000006, 0.74999994}};
}

void AddClip(SampleTable* table) {
  const UnaryOp op = ClipTo(-0.5, 0.75);
  AddUnaryRows(op, table);
  AddUnaryErrors(op, table);
  AddKinkRow(op, {-0.5, 0.75, -0.50000006, 0.75000006, 0, 0.74999994},
             {1, 1, 0, 0, 1, 1}, Differentiated::kOnce, table);
  struct Bounds {
    const char* name;
    double low;
    double high;
    std::vector<double> derivatives;  // At -2, -0.25, 1 and 3.
    Differentiated differentiated = Differentiated::kTwice;
  };
  for (const Bounds& bounds : std::vector<Bounds>{
           // By convention 1 at 1, where the slopes on both sides are 0.
           {"to_one_number", 1, 1, {0, 0, 1, 0}, Differentiated::kCompiled},
           {"from_below", 0, kInf, {0, 0, 1, 1}},
           {"from_above", -kInf, 0, {1, 1, 0, 0}},
           {"unbounded", -kInf, kInf, {1, 1, 1, 1}},
           {"beyond_float32", -1e300, 1e300, {1, 1, 1, 1}}}) {
    table->Add({.op = "Clip",
                .name = bounds.name,
                .inputs = {Given({-2, -0.25, 1, 3})},
                .build = ClipTo(bounds.low, bounds.high).build,
                .output = Float({4}),
                .differentiated = bounds.differentiated,
                .derivatives = {bounds.derivatives}});
  }
  table->AddError("Clip", "low_above_high", {Float({2})}, ClipTo(1, -1).build,
                  "Clip: expected low <= high, found 1 and -1 (x [2] is input "
                  "\"x0\", x.cc:0)");
  table->AddError("Clip", "nan_low", {Float({2})}, ClipTo(kNan, 1).build,
                  "Clip: expected low <= high, found nan and 1 (x [2] is input "
                  "\"x0\", x.cc:0)");
  table->AddError("Clip", "nan_high", {Float({2})}, ClipTo(0, kNan).build,
                  "Clip: expected low <= high, found 0 and nan (x [2] is input "
                  "\"x0\", x.cc:0)");
}

// ---- Select ----

BuildSample Selects() {
  return [](const SampleOperands& in) {
    return Select(in.x[0], in.x[1], in.x[2], in.loc);
  };
}

void AddSelectRows(SampleTable* table) {
  struct Case {
    const char* name;
    Shape condition;
    Shape a;
    Shape b;
    Shape y;
    Differentiated differentiated = Differentiated::kTwice;
  };
  constexpr Differentiated kCompiled = Differentiated::kCompiled;
  const std::vector<Case> cases = {
      {"ordinary", {3, 5}, {3, 5}, {3, 5}, {3, 5}},
      {"condition_row", {5}, {3, 5}, {3, 5}, {3, 5}},
      {"condition_column", {3, 1}, {3, 5}, {3, 5}, {3, 5}},
      {"condition_scalar", {}, {3, 5}, {3, 5}, {3, 5}},
      {"condition_largest", {3, 5}, {5}, {}, {3, 5}},
      {"a_stretched", {3, 5}, {3, 1}, {3, 5}, {3, 5}},
      {"b_stretched", {3, 5}, {3, 5}, {1, 5}, {3, 5}},
      {"b_scalar", {3, 5}, {3, 5}, {}, {3, 5}},
      {"all_stretched", {2, 1, 1}, {3, 1}, {4}, {2, 3, 4}},
      {"scalars", {}, {}, {}, {}},
      {"one_element", {1}, {1, 1}, {}, {1, 1}},
      {"empty", {0, 3}, {0, 3}, {3}, {0, 3}},
      {"empty_from_one", {2, 0}, {1}, {}, {2, 0}},
      {"batch", {kBatch, 3}, {kBatch, 3}, {kBatch, 3}, {kBatch, 3}},
      {"batch_column", {kBatch, 1}, {3}, {kBatch, 3}, {kBatch, 3}},
      {"blocks", {5, 211}, {5, 211}, {5, 211}, {5, 211}},
      {"pattern", {97}, {11, 97}, {11, 1}, {11, 97}},
      {"row", {700}, {3, 700}, {3, 1}, {3, 700}},
      {"column", {3, 1}, {700}, {3, 700}, {3, 700}},
      {"chunks", {3, 100003}, {3, 100003}, {3, 100003}, {3, 100003}, kCompiled},
      {"chunks_pattern", {900, 307}, {307}, {900, 1}, {900, 307}, kCompiled},
      {"chunks_row", {1001}, {300, 1001}, {}, {300, 1001}, kCompiled},
  };
  for (const Case& c : cases) {
    // 0 in a third of the cases.
    const SampleInput condition = Bytes(c.condition, 0, 3);
    table->Add({.op = "Select",
                .name = c.name,
                .inputs = {condition, Floats(c.a), Floats(c.b)},
                .build = Selects(),
                .output = Float(c.y),
                .differentiated = c.differentiated});
    table->Add({.op = "Select",
                .name = absl::StrCat("int32_", c.name),
                .inputs = {condition, Ints(c.a), Ints(c.b)},
                .build = Selects(),
                .output = Int(c.y)});
  }
}

void AddSelectExtremes(SampleTable* table) {
  // Every byte but 0 holds.
  table->Add(
      {.op = "Select",
       .name = "conditions",
       .inputs = {Given({0, 1, 2, 127, 128, 254, 255, 0}, DType::kUint8),
                  Floats({8}), Floats({8})},
       .build = Selects(),
       .output = Float({8}),
       .derivatives = {{0, 1, 1, 1, 1, 1, 1, 0}, {1, 0, 0, 0, 0, 0, 0, 1}}});
  // What is not taken leaves no trace, neither in y nor in a derivative.
  const std::vector<double> extremes = {
      kNan,  1,   kInf, -kInf,     0,          -0.0,    1e38,
      -1e38, 300, -300, kDenormal, -kDenormal, FLT_MAX, FLT_MIN};
  const int64_t count = extremes.size();
  const std::vector<double> reversed(extremes.rbegin(), extremes.rend());
  table->Add({.op = "Select",
              .name = "extremes",
              .inputs = {Given({2, 1}, {0, 1}, DType::kUint8), Given(extremes),
                         Given(reversed)},
              .build = Selects(),
              .output = Float({2, count}),
              .differentiated = Differentiated::kCompiled,
              .derivatives = {std::vector<double>(count, 1),
                              std::vector<double>(count, 1)}});
  table->Add(
      {.op = "Select",
       .name = "int32_extremes",
       .inputs = {Given({2, 1}, {0, 1}, DType::kUint8),
                  Given({kMinInt, kMaxInt, 0, -1, 16777217}, DType::kInt32),
                  Given({0, 0x7F800000, 1, 0x7FC00000, 2}, DType::kInt32)},
       .build = Selects(),
       .output = Int({2, 5})});
  // A condition that is computed: no derivative goes by it.
  table->Add({.op = "Select",
              .name = "by_comparison",
              .inputs = {NotZero({3, 5}), NotZero({3, 5})},
              .build =
                  [](const SampleOperands& in) {
                    const Var a = in.x[0], b = in.x[1];
                    return Select(Greater(a, b), a * b, a, in.loc);
                  },
              .output = Float({3, 5})});
}

void AddSelectErrors(SampleTable* table) {
  const auto add = [&](const char* name, std::vector<TensorType> inputs,
                       const std::string& message) {
    table->AddError("Select", name, std::move(inputs), Selects(), message);
  };
  add("float32_condition", {Float({2}), Float({2}), Float({2})},
      "Select: expected a uint8 condition, found float32 (condition [2] is "
      "input \"x0\", x.cc:0; a [2] is input \"x1\", x.cc:1; b [2] is input "
      "\"x2\", x.cc:2)");
  add("int32_condition", {Int({2}), Float({2}), Float({2})},
      "Select: expected a uint8 condition, found int32 (condition int32[2] is "
      "input \"x0\", x.cc:0; a [2] is input \"x1\", x.cc:1; b [2] is input "
      "\"x2\", x.cc:2)");
  add("dtypes", {Byte({2}), Float({2}), Int({2})},
      "Select: dtypes float32 and int32 differ (condition uint8[2] is input "
      "\"x0\", x.cc:0; a [2] is input \"x1\", x.cc:1; b int32[2] is input "
      "\"x2\", x.cc:2)");
  add("uint8", {Byte({2}), Byte({2}), Byte({2})},
      "Select: expected float32 or int32, found uint8 (condition uint8[2] is "
      "input \"x0\", x.cc:0; a uint8[2] is input \"x1\", x.cc:1; b uint8[2] is "
      "input \"x2\", x.cc:2)");
  add("shapes", {Byte({2}), Float({2}), Float({3})},
      "Select: shapes [2] and [3] do not broadcast: axis -1 is 2 against 3 "
      "(condition uint8[2] is input \"x0\", x.cc:0; a [2] is input \"x1\", "
      "x.cc:1; b [3] is input \"x2\", x.cc:2)");
  add("shape_of_condition", {Byte({kBatch, 2}), Float({5, 1}), Float({2})},
      "Select: shapes [batch,2] and [5,2] do not broadcast: axis -2 is batch "
      "against 5 (condition uint8[batch,2] is input \"x0\", x.cc:0; a [5,1] is "
      "input \"x1\", x.cc:1; b [2] is input \"x2\", x.cc:2)");
}

// ---- Cast ----

BuildSample CastTo(DType dtype) {
  return [dtype](const SampleOperands& in) {
    return Cast(in.x[0], dtype, in.loc);
  };
}

void AddCastRows(SampleTable* table) {
  const std::vector<std::pair<const char*, Shape>> kinds = {
      {"ordinary", {3, 5}},   {"scalar", {}},       {"empty", {0, 3}},
      {"batch", {kBatch, 3}}, {"blocks", {5, 211}}, {"chunks", {3, 100003}}};
  for (const auto& kind : kinds) {
    const char* const name = kind.first;
    const Shape& shape = kind.second;
    const auto add = [&](const char* conversion, SampleInput input, DType to) {
      table->Add({.op = "Cast",
                  .name = absl::StrCat(conversion, "_", name),
                  .inputs = {std::move(input)},
                  .build = CastTo(to),
                  .output = {to, shape},
                  .differentiated = Differentiated::kRefused});
    };
    add("int32_to_float32", Ints(shape), DType::kFloat32);
    add("uint8_to_float32", Bytes(shape), DType::kFloat32);
    add("uint8_to_int32", Bytes(shape), DType::kInt32);
  }
  for (const auto& [name, shape] :
       {std::pair<const char*, Shape>{"ordinary", {3, 5}},
        {"blocks", {5, 211}},
        {"chunks", {3, 100003}}}) {
    SampleInput low = Floats(shape);
    low.dtype = DType::kBFloat16;
    for (const auto& [conversion, input, to] :
         {std::tuple("float32_to_bfloat16", Floats(shape), DType::kBFloat16),
          std::tuple("bfloat16_to_float32", low, DType::kFloat32)}) {
      table->Add({.op = "Cast",
                  .name = absl::StrCat(conversion, "_", name),
                  .inputs = {input},
                  .build = CastTo(to),
                  .output = {to, shape},
                  .differentiated = Differentiated::kRefused});
    }
  }
  // Halfway between two, a little to either side, and at the ends.
  const std::vector<double> to_be_rounded = {0,
                                             -0.0,
                                             1 + 0x1p-8,
                                             1 + 0x3p-8,
                                             1 + 0x1p-8 + 0x1p-23,
                                             1 + 0x3p-8 - 0x1p-23,
                                             kInf,
                                             -kInf,
                                             kNan,
                                             FLT_MAX,
                                             -FLT_MAX,
                                             FLT_MIN,
                                             kDenormal,
                                             255,
                                             256,
                                             257};
  table->Add({.op = "Cast",
              .name = "float32_to_bfloat16_extremes",
              .inputs = {Given(to_be_rounded)},
              .build = CastTo(DType::kBFloat16),
              .output = {DType::kBFloat16,
                         {static_cast<int64_t>(to_be_rounded.size())}},
              .differentiated = Differentiated::kRefused});
  // 2^24 + 1 lies halfway between two float32s, and is rounded to the even one.
  table->Add({.op = "Cast",
              .name = "int32_extremes",
              .inputs = {Given(
                  {16777217, 16777219, -16777217, 2147483647, -2147483648.0},
                  DType::kInt32)},
              .build = CastTo(DType::kFloat32),
              .output = Float({5}),
              .differentiated = Differentiated::kRefused});
}

void AddCastErrors(SampleTable* table) {
  table->AddError(
      "Cast", "float32_to_int32", {Float({2})}, CastTo(DType::kInt32),
      "Cast: there is no conversion from float32 to int32 (x [2] is input "
      "\"x0\", x.cc:0)");
  table->AddError(
      "Cast", "int32_to_uint8", {Int({2})}, CastTo(DType::kUint8),
      "Cast: there is no conversion from int32 to uint8 (x int32[2] is input "
      "\"x0\", x.cc:0)");
  table->AddError(
      "Cast", "uint8_to_bfloat16", {Byte({2})}, CastTo(DType::kBFloat16),
      "Cast: there is no conversion from uint8 to bfloat16 (x uint8[2] is "
      "input \"x0\", x.cc:0)");
  table->AddError(
      "Cast", "to_float64", {Float({2})}, CastTo(DType::kFloat64),
      "Cast: there is no conversion from float32 to float64 (x [2] is input "
      "\"x0\", x.cc:0)");
}

}  // namespace

void AddCompareSamples(SampleTable* table) {
  AddComparisons(table);
  AddFloatTests(table);
  AddMaximumAndMinimum(table);
  AddClip(table);
  AddSelectRows(table);
  AddSelectExtremes(table);
  AddSelectErrors(table);
  AddCastRows(table);
  AddCastErrors(table);
}

}  // namespace tape::samples
