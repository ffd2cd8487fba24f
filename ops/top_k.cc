// The largest elements along an axis (ops.h). Tested by tests/ops/op_test.cc
// through the sample table.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/lines.h"
#include "ops/op_lists.h"
#include "ops/ops.h"
#include "ops/ranges.h"
#include "ops/rules.h"

namespace tape {
namespace {

// Whether x[a] comes before x[b] among the largest.
template <typename T>
bool IsAhead(const T* x, int64_t step, int64_t a, int64_t b) {
  const T left = x[a * step], right = x[b * step];
  if (std::isnan(left) != std::isnan(right)) return std::isnan(left);
  if (left > right || left < right) return left > right;
  return a < b;
}

// ---- TopKIndices: where the largest elements along an axis are ----
constexpr OpDef kTopKIndices = {
    .name = "TopKIndices",
    .operands = {"x"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (absl::Status status = ExpectAxis(x[0], attributes.axis);
          !status.ok()) {
        return status;
      }
      const int64_t length =
          x[0].shape[*ResolveAxis(attributes.axis, x[0].shape.rank())];
      if (length == kBatch || attributes.length < 0 ||
          attributes.length > length) {
        return absl::InvalidArgumentError(
            absl::StrCat("no ", attributes.length, " elements along axis ",
                         attributes.axis, " of ", x[0].shape.ToString()));
      }
      return TensorType{DType::kInt32, WithLength(x[0].shape, attributes.axis,
                                                  attributes.length)};
    },
    .reference =
        LineReference<[](const Attributes&, absl::Span<const ReferenceLine> x,
                         ReferenceLine& y) {
          std::vector<int64_t> order(x[0].size());
          std::iota(order.begin(), order.end(), 0);
          std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
            return IsAhead(x[0].data(), 1, a, b);
          });
          std::copy_n(order.begin(), y.size(), y.begin());
        }>,
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      const Lines x = Along(spec.inputs[0].shape, spec.attributes.axis);
      const int64_t count = spec.attributes.length;
      return MakeRangesKernel(
          // Comparisons cost more than the bytes moved.
          x.count(), 8 * spec.inputs[0].bytes(),
          [=](const KernelArguments& arguments, int64_t begin, int64_t end) {
            auto* const order = reinterpret_cast<int32_t*>(arguments.scratch);
            for (int64_t line = begin; line < end; ++line) {
              const int64_t outer = line / x.inner, inner = line % x.inner;
              const float* const from =
                  static_cast<const float*>(arguments.inputs[0]) +
                  outer * x.length * x.inner + inner;
              int32_t* const to = static_cast<int32_t*>(arguments.outputs[0]) +
                                  outer * count * x.inner + inner;
              std::iota(order, order + x.length, 0);
              std::partial_sort(order, order + count, order + x.length,
                                [&](int32_t a, int32_t b) {
                                  return IsAhead(from, x.inner, a, b);
                                });
              for (int64_t i = 0; i < count; ++i) to[i * x.inner] = order[i];
            }
          },
          x.length * sizeof(int32_t));
    },
    .rows = RowsOfLines,
};

}  // namespace

Var TopKIndices(Var x, int64_t k, int axis, Loc loc) {
  return Append(kTopKIndices, {x}, {.length = k, .axis = axis}, loc);
}

// ---- TopK: what GatherAlong finds at TopKIndices ----
TopKResult TopK(Var x, int64_t k, int axis, Loc loc) {
  const Var indices = TopKIndices(x, k, axis, loc);
  return {GatherAlong(x, indices, axis, loc), indices};
}

absl::Span<const OpDef* const> OpsOfTopK() {
  static constexpr const OpDef* kOps[] = {&kTopKIndices};
  return kOps;
}

}  // namespace tape
