// Logic on uint8, of which all but 0 holds (ops.h). Tested by tests/ops/op_test.cc
// through the sample table.
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/reference.h"
#include "ops/op_lists.h"
#include "ops/ops.h"
#include "ops/rules.h"
#include "ops/vector.h"

namespace tape {
namespace {

absl::StatusOr<TensorType> LogicalRule(absl::Span<const TensorType> inputs,
                                       const Attributes&) {
  Shape shape = inputs[0].shape;
  for (const TensorType& input : inputs) {
    if (input.dtype != DType::kUint8) {
      return absl::InvalidArgumentError(
          absl::StrCat("expected uint8, found ", Name(input.dtype)));
    }
    absl::StatusOr<Shape> both = Broadcast(shape, input.shape);
    if (!both.ok()) return both.status();
    shape = *both;
  }
  return TensorType{DType::kUint8, shape};
}

// ---- And: y = 1 where a and b hold, else 0 ----
constexpr OpDef kAnd = {
    .name = "And",
    .operands = {"lhs", "rhs"},
    .shape = LogicalRule,
    .reference =
        MapReference<[](double a, double b) { return a != 0 && b != 0; }>,
    .block = Only<vector::AndByte>,
    .traits = {.elementwise = true},
};

// ---- Or: y = 1 where a or b holds, else 0 ----
constexpr OpDef kOr = {
    .name = "Or",
    .operands = {"lhs", "rhs"},
    .shape = LogicalRule,
    .reference =
        MapReference<[](double a, double b) { return a != 0 || b != 0; }>,
    .block = Only<vector::OrByte>,
    .traits = {.elementwise = true},
};

// ---- Xor: y = 1 where one of a and b holds and one does not, else 0 ----
constexpr OpDef kXor = {
    .name = "Xor",
    .operands = {"lhs", "rhs"},
    .shape = LogicalRule,
    .reference =
        MapReference<[](double a, double b) { return (a != 0) != (b != 0); }>,
    .block = Only<vector::XorByte>,
    .traits = {.elementwise = true},
};

// ---- Not: y = 1 where x does not hold, else 0 ----
constexpr OpDef kNot = {
    .name = "Not",
    .operands = {"x"},
    .shape = LogicalRule,
    .reference = MapReference<[](double x) { return x == 0; }>,
    .block = Only<vector::NotByte>,
    .traits = {.elementwise = true},
};

}  // namespace

Var And(Var a, Var b, Loc loc) { return Append(kAnd, {a, b}, {}, loc); }
Var Or(Var a, Var b, Loc loc) { return Append(kOr, {a, b}, {}, loc); }
Var Xor(Var a, Var b, Loc loc) { return Append(kXor, {a, b}, {}, loc); }
Var Not(Var x, Loc loc) { return Append(kNot, {x}, {}, loc); }

absl::Span<const OpDef* const> OpsOfLogical() {
  static constexpr const OpDef* kOps[] = {&kAnd, &kOr, &kXor, &kNot};
  return kOps;
}

}  // namespace tape
