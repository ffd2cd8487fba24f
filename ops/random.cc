// Random numbers as nodes (ops.h), by the generator of framework/core/random.h.
// Tested by tests/op_test.cc through the sample table, and by
// tests/random_test.cc.
#include "framework/core/random.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "ops/ops.h"
#include "ops/rules.h"

namespace tape {
namespace {

// Fills out[begin, end) with the numbers of (attributes, step) at these places.
template <typename T>
void DrawNormals(const Attributes& attributes, int32_t step, int64_t begin,
                 int64_t end, T* out) {
  RandomStream random = StreamOfStep(attributes.seed, attributes.stream, step);
  random.SkipNormals(begin);
  for (int64_t i = begin; i < end; ++i) {
    out[i] = static_cast<T>(random.Normal());
  }
}

class RandomNormalKernel : public Kernel {
 public:
  explicit RandomNormalKernel(const KernelSpec& spec)
      : attributes_(spec.attributes), elements_(spec.output.shape.elements()) {}
  int chunks() const override {
    // Some 30 µs each.
    constexpr int64_t kElementsPerChunk = 1024;
    constexpr int64_t kMaxChunks = 1 << 16;
    return static_cast<int>(
        std::clamp<int64_t>(elements_ / kElementsPerChunk, 1, kMaxChunks));
  }
  void Run(int chunk, const KernelArguments& arguments) const override {
    const int64_t length = (elements_ + chunks() - 1) / chunks();
    const int64_t begin = std::min(elements_, chunk * length);
    const int64_t end = std::min(elements_, begin + length);
    DrawNormals(attributes_, *static_cast<const int32_t*>(arguments.inputs[0]),
                begin, end, static_cast<float*>(arguments.outputs[0]));
  }

 private:
  Attributes attributes_;
  int64_t elements_;
};

// ---- RandomNormal: y = standard normal numbers ----
constexpr OpDef kRandomNormal = {
    .name = "RandomNormal",
    .operands = {"step"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (x[0].dtype != DType::kInt32 || x[0].shape.rank() != 0) {
        return absl::InvalidArgumentError(absl::StrCat(
            "expected an int32 step of rank 0, found ", x[0].ToString()));
      }
      if (!attributes.shape.is_bound()) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected a shape of known dimensions, found ",
                         attributes.shape.ToString()));
      }
      return TensorType{DType::kFloat32, attributes.shape};
    },
    .reference =
        [](const Attributes& attributes, absl::Span<const Tensor> x,
           Tensor& y) {
          DrawNormals(attributes,
                      static_cast<int32_t>(x[0].values<double>()[0]), 0,
                      y.elements(), y.values<double>().data());
        },
    .kernel = [](const KernelSpec& spec) -> std::unique_ptr<Kernel> {
      return std::make_unique<RandomNormalKernel>(spec);
    },
};

}  // namespace

Var RandomNormal(Var step, Shape shape, RandomKey key, Loc loc) {
  return Append(kRandomNormal, {step},
                {.seed = key.seed, .stream = key.stream, .shape = shape}, loc);
}

}  // namespace tape
