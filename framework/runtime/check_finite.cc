// Checked runs (check_finite.h). Tested by tests/runtime/check_finite_test.cc.
#include "framework/runtime/check_finite.h"

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/check.h"
#include "framework/core/floating_point.h"

namespace tape {
namespace {

// An element that is infinite or NaN.
struct NotFinite {
  int64_t index;  // In row-major order.
  float value;
};

template <typename T>
std::optional<NotFinite> FindNotFiniteOf(const TensorType& type,
                                         const void* memory) {
  const auto* const values = static_cast<const T*>(memory);
  for (int64_t i = 0; i < type.shape.elements(); ++i) {
    const auto value = static_cast<float>(values[i]);
    if (!std::isfinite(value)) return NotFinite{i, value};
  }
  return std::nullopt;
}

// The first one of a tensor.
std::optional<NotFinite> FindNotFinite(const TensorType& type,
                                       const void* memory) {
  switch (type.dtype) {
    case DType::kFloat32:
      return FindNotFiniteOf<float>(type, memory);
    case DType::kBFloat16:
      return FindNotFiniteOf<BFloat16>(type, memory);
    case DType::kInt32:
    case DType::kUint8:
    case DType::kFloat64:
      return std::nullopt;
  }
  return std::nullopt;
}

// The error that says that `made` made `value` at the element `index`.
absl::Status ReportMade(const Node& made, int64_t index, float value,
                        int64_t run) {
  std::vector<int64_t> place(made.type.shape.rank());
  for (int axis = made.type.shape.rank(); axis-- > 0;) {
    place[axis] = index % made.type.shape[axis];
    index /= made.type.shape[axis];
  }
  return absl::OutOfRangeError(
      absl::StrCat(made.loc.ToString(), ": ", made.op->name, " made ",
                   std::isnan(value) ? "nan"
                   : value > 0       ? "inf"
                                     : "-inf",
                   " at [", absl::StrJoin(place, ","), "] of ",
                   made.type.ToString(), " in run ", run));
}

}  // namespace

absl::Status RunChecked(Executable& executable,
                        absl::Span<const void* const> fed, int64_t run) {
  const FloatingPointScope environment(Denormals::kFlush);
  const Program& program = executable.compiled().program;
  const std::vector<Executable::Call>& calls = executable.calls();
  executable.Feed(fed);
  // Steps without passes are in the program's order, and what updates copy
  // comes after them all.
  size_t next = 0;
  size_t next_fed = 0;
  std::vector<bool> finite(program.size());  // All elements of a node.
  for (int id = 0; id < program.size(); ++id) {
    const Node& node = program[id];
    const Traits& traits = node.op->traits;
    // Pad's number, say, is an operand too.
    bool from_finite = std::isfinite(static_cast<float>(node.attributes.value));
    for (int input : node.inputs) from_finite = from_finite && finite[input];
    if (traits.uniform) {
      finite[id] =
          std::isfinite(AsInRun(node.type.dtype, node.attributes.value));
      continue;
    }
    const void* memory = nullptr;
    if (traits.source) {
      memory =
          node.variable == kNone
              ? fed[next_fed++]
              : executable.Address(executable.compiled().memory.places[id]);
    } else if (next < calls.size() && calls[next].node == id) {
      executable.RunCall(calls[next]);
      memory = calls[next++].outputs[0];
    } else {  // A view.
      finite[id] = from_finite;
      continue;
    }
    const std::optional<NotFinite> found = FindNotFinite(node.type, memory);
    finite[id] = !found.has_value();
    if (found.has_value() && from_finite && !traits.source) {
      return ReportMade(node, found->index, found->value, run);
    }
  }
  while (next < calls.size()) {
    TAPE_CHECK_EQ(calls[next].node, kNone);
    executable.RunCall(calls[next++]);
  }
  return absl::OkStatus();
}

}  // namespace tape
