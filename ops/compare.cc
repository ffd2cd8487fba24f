// Comparisons, choices and conversions, element by element (ops.h).
// Tested by tests/ops/op_test.cc through the sample table.
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/reference.h"
#include "ops/op_lists.h"
#include "ops/ops.h"
#include "ops/rules.h"
#include "ops/vector.h"

namespace tape {
namespace {

// A zero that broadcasts to x's shape.
Var ZeroLike(Var x) { return Fill(x.graph(), {}, 0, x.dtype()); }

// ---- Maximum: y = the larger of a and b, NaN if either is ----
// gy goes to it, at a tie to a.
constexpr OpDef kMaximum = {
    .name = "Maximum",
    .operands = {"lhs", "rhs"},
    .shape = BroadcastFloats,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      const Var b_wins = Greater(x[1], x[0]), none = ZeroLike(gy);
      return {Select(b_wins, none, gy), Select(b_wins, gy, none)};
    },
    .reference = MapReference<[](double a, double b) {
      return std::isnan(a) || a >= b ? a : b;
    }>,
    .block = Only<vector::MaximumFloat>,
    .simplify = [](const SimplifyQuery& query) -> Simplification {
      if (query.inputs[0].node != query.inputs[1].node) return {};
      return {Simplification::kInput, 0};
    },
    .traits = {.elementwise = true},
};

// ---- Minimum: y = the smaller of a and b, NaN if either is ----
// gy goes to it, at a tie to a.
constexpr OpDef kMinimum = {
    .name = "Minimum",
    .operands = {"lhs", "rhs"},
    .shape = BroadcastFloats,
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      const Var b_wins = Greater(x[0], x[1]), none = ZeroLike(gy);
      return {Select(b_wins, none, gy), Select(b_wins, gy, none)};
    },
    .reference = MapReference<[](double a, double b) {
      return std::isnan(a) || a <= b ? a : b;
    }>,
    .block = Only<vector::MinimumFloat>,
    .simplify = [](const SimplifyQuery& query) -> Simplification {
      if (query.inputs[0].node != query.inputs[1].node) return {};
      return {Simplification::kInput, 0};
    },
    .traits = {.elementwise = true},
};

absl::StatusOr<TensorType> CompareRule(absl::Span<const TensorType> x,
                                       const Attributes&) {
  if (x[0].dtype != x[1].dtype) {
    return absl::InvalidArgumentError(absl::StrCat(
        "dtypes ", Name(x[0].dtype), " and ", Name(x[1].dtype), " differ"));
  }
  if (x[0].dtype == DType::kBFloat16) {
    return absl::InvalidArgumentError(
        "expected float32, int32 or uint8, found bfloat16");
  }
  absl::StatusOr<Shape> shape = Broadcast(x[0].shape, x[1].shape);
  if (!shape.ok()) return shape.status();
  return TensorType{DType::kUint8, *shape};
}

absl::StatusOr<TensorType> FloatTest(absl::Span<const TensorType> x,
                                     const Attributes&) {
  if (absl::Status status = ExpectFloat32(x[0]); !status.ok()) return status;
  return TensorType{DType::kUint8, x[0].shape};
}

// One block for each dtype.
template <const Block& for_float, const Block& for_int, const Block& for_byte>
Block ByAnyDType(absl::Span<const DType> x, DType) {
  switch (x[0]) {
    case DType::kInt32:
      return for_int;
    case DType::kUint8:
      return for_byte;
    default:
      return for_float;
  }
}

// ---- Equal: y = 1 where a = b, else 0 ----
constexpr OpDef kEqual = {
    .name = "Equal",
    .operands = {"lhs", "rhs"},
    .shape = CompareRule,
    .reference = MapReference<[](double a, double b) { return a == b; }>,
    .block =
        ByAnyDType<vector::EqualFloat, vector::EqualInt, vector::EqualByte>,
    .traits = {.elementwise = true},
};

// ---- Greater: y = 1 where a > b, else 0 ----
constexpr OpDef kGreater = {
    .name = "Greater",
    .operands = {"lhs", "rhs"},
    .shape = CompareRule,
    .reference = MapReference<[](double a, double b) { return (a > b); }>,
    .block = ByAnyDType<vector::GreaterFloat, vector::GreaterInt,
                        vector::GreaterByte>,
    .traits = {.elementwise = true},
};

// ---- NotEqual: y = 1 where a != b, else 0 ----
constexpr OpDef kNotEqual = {
    .name = "NotEqual",
    .operands = {"lhs", "rhs"},
    .shape = CompareRule,
    .reference = MapReference<[](double a, double b) { return (a != b); }>,
    .block = ByAnyDType<vector::NotEqualFloat, vector::NotEqualInt,
                        vector::NotEqualByte>,
    .traits = {.elementwise = true},
};

// ---- GreaterEqual: y = 1 where a >= b, else 0 ----
constexpr OpDef kGreaterEqual = {
    .name = "GreaterEqual",
    .operands = {"lhs", "rhs"},
    .shape = CompareRule,
    .reference = MapReference<[](double a, double b) { return (a >= b); }>,
    .block = ByAnyDType<vector::GreaterEqualFloat, vector::GreaterEqualInt,
                        vector::GreaterEqualByte>,
    .traits = {.elementwise = true},
};

// ---- Less: y = 1 where a < b, else 0 ----
constexpr OpDef kLess = {
    .name = "Less",
    .operands = {"lhs", "rhs"},
    .shape = CompareRule,
    .reference = MapReference<[](double a, double b) { return (a < b); }>,
    .block = ByAnyDType<vector::LessFloat, vector::LessInt, vector::LessByte>,
    .traits = {.elementwise = true},
};

// ---- LessEqual: y = 1 where a <= b, else 0 ----
constexpr OpDef kLessEqual = {
    .name = "LessEqual",
    .operands = {"lhs", "rhs"},
    .shape = CompareRule,
    .reference = MapReference<[](double a, double b) { return (a <= b); }>,
    .block = ByAnyDType<vector::LessEqualFloat, vector::LessEqualInt,
                        vector::LessEqualByte>,
    .traits = {.elementwise = true},
};

// ---- IsFinite: y = 1 where x is neither infinite nor NaN, else 0 ----
constexpr OpDef kIsFinite = {
    .name = "IsFinite",
    .operands = {"x"},
    .shape = FloatTest,
    .reference = MapReference<[](double x) { return std::isfinite(x); }>,
    .block = Only<vector::IsFiniteFloat>,
    .traits = {.elementwise = true},
};

// ---- IsNan: y = 1 where x is NaN, else 0 ----
constexpr OpDef kIsNan = {
    .name = "IsNan",
    .operands = {"x"},
    .shape = FloatTest,
    .reference = MapReference<[](double x) { return std::isnan(x); }>,
    .block = Only<vector::IsNanFloat>,
    .traits = {.elementwise = true},
};

// ---- Select: y = a where condition is not 0, else b ----
constexpr OpDef kSelect = {
    .name = "Select",
    .operands = {"condition", "a", "b"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (x[0].dtype != DType::kUint8) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected a uint8 condition, found ", Name(x[0].dtype)));
      }
      absl::StatusOr<TensorType> chosen =
          BroadcastNumbers(x.subspan(1), attributes);
      if (!chosen.ok()) return chosen.status();
      absl::StatusOr<Shape> shape = Broadcast(x[0].shape, chosen->shape);
      if (!shape.ok()) return shape.status();
      return TensorType{chosen->dtype, *shape};
    },
    .gradient = [](absl::Span<const Var> x, Var, Var gy,
                   const Attributes&) -> Adjoints {
      const Var none = ZeroLike(gy);
      return {Var(), Select(x[0], gy, none), Select(x[0], none, gy)};
    },
    .reference = MapReference<[](double condition, double a, double b) {
      return condition != 0 ? a : b;
    }>,
    .block = Only<vector::SelectWord>,
    .simplify = [](const SimplifyQuery& query) -> Simplification {
      const SimplifyQuery::Input& condition = query.inputs[0];
      const bool constant = condition.op->traits.uniform;
      if (!constant && query.inputs[1].node != query.inputs[2].node) return {};
      return {Simplification::kInput,
              condition.IsAll(0) || condition.IsAll(-0.0) ? 2 : 1};
    },
    .traits = {.elementwise = true},
};

}  // namespace

// ---- Cast: y = x in another dtype, rounded to it ----
constinit const OpDef kCast = {
    .name = "Cast",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      const DType from = x[0].dtype, to = attributes.dtype;
      const bool exists = (to == DType::kFloat32 && from != DType::kFloat32) ||
                          (to == DType::kInt32 && from == DType::kUint8) ||
                          (to == DType::kBFloat16 && from == DType::kFloat32);
      if (!exists) {
        return absl::InvalidArgumentError(absl::StrCat(
            "there is no conversion from ", Name(from), " to ", Name(to)));
      }
      return TensorType{to, x[0].shape};
    },
    .reference = MapReference<[](const Attributes& attributes, double x) {
      if (attributes.dtype != DType::kBFloat16) return x;
      return static_cast<double>(BFloat16(static_cast<float>(x)));
    }>,
    .block = [](absl::Span<const DType> x, DType y) -> Block {
      if (y == DType::kBFloat16) return vector::FloatToBFloat16;
      if (x[0] == DType::kBFloat16) return vector::BFloat16ToFloat;
      if (x[0] == DType::kInt32) return vector::IntToFloat;
      return y == DType::kInt32 ? vector::ByteToInt : vector::ByteToFloat;
    },
    .traits = {.elementwise = true},
};

Var Maximum(Var a, Var b, Loc loc) { return Append(kMaximum, {a, b}, {}, loc); }
Var Minimum(Var a, Var b, Loc loc) { return Append(kMinimum, {a, b}, {}, loc); }
Var Clip(Var x, double low, double high, Loc loc) {
  if (!x.valid()) return x;
  absl::Status status = ExpectFloat32(x.type());
  if (status.ok() && !(low <= high)) {
    status = absl::InvalidArgumentError(
        absl::StrCat("expected low <= high, found ", low, " and ", high));
  }
  if (!status.ok()) {
    x.graph()->ReportError(loc, "Clip",
                           absl::StrCat(status.message(), " (x ",
                                        x.graph()->Describe(x.id()), ")"));
    return Var(x.graph(), kNone);
  }
  Graph* const g = x.graph();
  const auto bound = [&](double value) {
    return Fill(g, {}, value, DType::kFloat32, loc);
  };
  return Minimum(Maximum(x, bound(low), loc), bound(high), loc);
}
Var Equal(Var a, Var b, Loc loc) { return Append(kEqual, {a, b}, {}, loc); }
Var Greater(Var a, Var b, Loc loc) { return Append(kGreater, {a, b}, {}, loc); }
Var NotEqual(Var a, Var b, Loc loc) {
  return Append(kNotEqual, {a, b}, {}, loc);
}
Var GreaterEqual(Var a, Var b, Loc loc) {
  return Append(kGreaterEqual, {a, b}, {}, loc);
}
Var Less(Var a, Var b, Loc loc) { return Append(kLess, {a, b}, {}, loc); }
Var LessEqual(Var a, Var b, Loc loc) {
  return Append(kLessEqual, {a, b}, {}, loc);
}
Var IsNan(Var x, Loc loc) { return Append(kIsNan, {x}, {}, loc); }
Var IsFinite(Var x, Loc loc) { return Append(kIsFinite, {x}, {}, loc); }
Var Select(Var condition, Var a, Var b, Loc loc) {
  return Append(kSelect, {condition, a, b}, {}, loc);
}
Var Cast(Var x, DType dtype, Loc loc) {
  if (x.valid() && x.dtype() == dtype) return x;
  return Append(kCast, {x}, {.dtype = dtype}, loc);
}

absl::Span<const OpDef* const> OpsOfCompare() {
  static constexpr const OpDef* kOps[] = {
      &kMaximum, &kMinimum,   &kEqual,    &kGreater, &kNotEqual, &kGreaterEqual,
      &kLess,    &kLessEqual, &kIsFinite, &kIsNan,   &kSelect,   &kCast};
  return kOps;
}

}  // namespace tape
