// Indices (ops.h). Tested by tests/op_test.cc through the sample table.
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/ops.h"
#include "ops/rules.h"

namespace tape {
namespace {

class OneHotKernel : public Kernel {
 public:
  OneHotKernel(int64_t count, int64_t depth) : count_(count), depth_(depth) {}
  void Run(int, const KernelArguments& arguments) const override {
    const int32_t* indices = static_cast<const int32_t*>(arguments.inputs[0]);
    float* y = static_cast<float*>(arguments.outputs[0]);
    std::memset(y, 0, count_ * depth_ * sizeof(float));
    for (int64_t i = 0; i < count_; ++i) {
      const int32_t index = indices[i];
      if (index >= 0 && index < depth_) y[i * depth_ + index] = 1;
    }
  }

 private:
  int64_t count_;
  int64_t depth_;
};

// ---- OneHot: y[…,j] = 1 where j = index, else 0 ----
constexpr OpDef kOneHot = {
    .name = "OneHot",
    .operands = {"indices"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (x[0].dtype != DType::kInt32) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected int32, found ", Name(x[0].dtype)));
      }
      if (attributes.depth < 1) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected a depth of at least 1, found ", attributes.depth));
      }
      absl::InlinedVector<int64_t, 4> dims(x[0].shape.dims().begin(),
                                           x[0].shape.dims().end());
      dims.push_back(attributes.depth);
      return TensorType{DType::kFloat32, Shape(dims)};
    },
    .gradient = ZeroGradient,
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          for (int64_t i = 0; i < y.elements(); ++i) {
            const double index = x[0].values<double>()[i / attributes.depth];
            y.values<double>()[i] = index == i % attributes.depth;
          }
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      return std::make_unique<OneHotKernel>(spec.inputs[0].shape.elements(),
                                            spec.attributes.depth);
    },
    .rows = [](const RowQuery&) { return RowRole::kApart; },
};

}  // namespace

Var OneHot(Var indices, int64_t depth, Loc loc) {
  return Append(kOneHot, {indices}, {.depth = depth}, loc);
}

}  // namespace tape
