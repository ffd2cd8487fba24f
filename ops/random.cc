// Random numbers as nodes (ops.h), by the generator of framework/core/random.h.
// Tested by tests/ops/op_test.cc through the sample table, and by
// tests/core/random_test.cc.
#include "framework/core/random.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "framework/core/basic_ops.h"
#include "ops/op_lists.h"
#include "ops/ops.h"
#include "ops/rules.h"

namespace tape {
namespace {

// Fills out[begin, end) with the numbers of (attributes, step) at these places
// after attributes.begin.
template <typename T>
void DrawNormals(const Attributes& attributes, int32_t step, int64_t begin,
                 int64_t end, T* out) {
  RandomStream random = StreamOfStep(attributes.seed, attributes.stream, step);
  random.SkipNormals(attributes.begin + begin);
  for (int64_t i = begin; i < end; ++i) {
    out[i] = static_cast<T>(random.Normal());
  }
}

// The same on [0, 1): of 24 bits each, as many as keep below 1 in float32.
template <typename T>
void DrawUniforms(const Attributes& attributes, int32_t step, int64_t begin,
                  int64_t end, T* out) {
  RandomStream random = StreamOfStep(attributes.seed, attributes.stream, step);
  random.SkipBits(attributes.begin + begin);
  for (int64_t i = begin; i < end; ++i) {
    out[i] = static_cast<T>(random.Bits() >> 8) * static_cast<T>(0x1p-24);
  }
}

template <auto draw>
class RandomKernel : public PlainKernel {
 public:
  explicit RandomKernel(const KernelSpec& spec)
      : attributes_(spec.attributes), elements_(spec.output.shape.elements()) {}
  int chunks() const override {
    // Some 30 µs each of normal numbers.
    constexpr int64_t kElementsPerChunk = 1024;
    constexpr int64_t kMaxChunks = 1 << 16;
    return static_cast<int>(
        std::clamp<int64_t>(elements_ / kElementsPerChunk, 1, kMaxChunks));
  }
  void Run(int chunk, const KernelArguments& arguments) const override {
    const int64_t length = (elements_ + chunks() - 1) / chunks();
    const int64_t begin = std::min(elements_, chunk * length);
    const int64_t end = std::min(elements_, begin + length);
    draw(attributes_, *static_cast<const int32_t*>(arguments.inputs[0]), begin,
         end, static_cast<float*>(arguments.outputs[0]));
  }

 private:
  Attributes attributes_;
  int64_t elements_;
};

template <auto draw>
std::unique_ptr<Kernel> MakeRandomKernel(const KernelSpec& spec) {
  return std::make_unique<RandomKernel<draw>>(spec);
}

template <auto draw>
void RandomReference(const Attributes& attributes, absl::Span<const Tensor> x,
                     Tensor& y) {
  draw(attributes, static_cast<int32_t>(x[0].values<double>()[0]), 0,
       y.elements(), y.values<double>().data());
}

absl::Status ExpectStep(const TensorType& step) {
  if (step.dtype == DType::kInt32 && step.shape.rank() == 0) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "expected an int32 step of rank 0, found ", step.ToString()));
}

absl::StatusOr<TensorType> RandomRule(absl::Span<const TensorType> x,
                                      const Attributes& attributes) {
  if (absl::Status status = ExpectStep(x[0]); !status.ok()) return status;
  if (!attributes.shape.is_valid()) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected dimensions of at least 0, or kBatch, found ",
                     attributes.shape.ToString()));
  }
  return TensorType{DType::kFloat32, attributes.shape};
}

// ---- RandomNormal: y = standard normal numbers ----
constexpr OpDef kRandomNormal = {
    .name = "RandomNormal",
    .operands = {"step"},
    .shape = RandomRule,
    .reference = RandomReference<DrawNormals<double>>,
    .kernel = MakeRandomKernel<DrawNormals<float>>,
    .traits = {.positional = true},
};

// ---- RandomUniform: y = numbers on [0, 1) ----
constexpr OpDef kRandomUniform = {
    .name = "RandomUniform",
    .operands = {"step"},
    .shape = RandomRule,
    .reference = RandomReference<DrawUniforms<double>>,
    .kernel = MakeRandomKernel<DrawUniforms<float>>,
    .traits = {.positional = true},
};

// attributes.value: the rate.
constexpr Composite kDropout = {
    .name = "Dropout",
    .operands = {"x", "step"},
    .shape = [](absl::Span<const TensorType> x,
                const Attributes& attributes) -> absl::StatusOr<TensorType> {
      if (absl::Status status = ExpectFloat32(x[0]); !status.ok()) {
        return status;
      }
      if (absl::Status status = ExpectStep(x[1]); !status.ok()) return status;
      if (!(attributes.value >= 0 && attributes.value < 1)) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected a rate of at least 0 and below 1, found ",
                         attributes.value));
      }
      return x[0];
    }};

// The attributes of a draw whose key may lack its seed, its stream or both.
Attributes DrawAttributes(const Graph* graph, RandomKey key, Shape shape) {
  const uint64_t seed = key.seed.value_or(graph == nullptr ? 0 : graph->seed());
  uint64_t stream = key.stream.value_or(0);
  if (!key.stream.has_value() && graph != nullptr) {
    std::set<uint64_t> taken;
    for (int id = 0; id < graph->size(); ++id) {
      const Node& node = graph->node(id);
      const bool draws =
          node.op == &kRandomNormal || node.op == &kRandomUniform;
      if (draws && node.attributes.seed == seed) {
        taken.insert(node.attributes.stream);
      }
    }
    for (int i = 2; taken.contains(stream); ++i) {
      stream = StreamOf(absl::StrCat("draw/", i));
    }
  }
  return {.seed = seed, .stream = stream, .shape = std::move(shape)};
}

}  // namespace

Var RandomNormal(Var step, Shape shape, RandomKey key, Loc loc) {
  return Append(kRandomNormal, {step},
                DrawAttributes(step.graph(), key, std::move(shape)), loc);
}

Var RandomUniform(Var step, Shape shape, RandomKey key, Loc loc) {
  return Append(kRandomUniform, {step},
                DrawAttributes(step.graph(), key, std::move(shape)), loc);
}

// ---- Dropout: y = x / (1 - rate), or 0 with the probability `rate` ----
Var Dropout(Var x, double rate, Var step, RandomKey key, Loc loc) {
  const CompositeScope dropout(kDropout, {x, step}, loc, {.value = rate});
  if (!dropout.ok()) return dropout.mistake();
  const Var draw = RandomUniform(step, x.shape(), key);
  // Chosen, not multiplied: what is left out may be infinite.
  return Select(GreaterEqual(draw, Constant(draw, rate)), x * (1 / (1 - rate)),
                Constant(x, 0));
}

Var Dropout(Var x, double rate, RandomKey key, Loc loc) {
  if (x.graph() == nullptr) return Var::WithoutGraph("Dropout", loc);
  const Var kept = Dropout(x, rate, x.graph()->Step(loc), key, loc);
  return kept.valid() ? ByMode(kept, x, loc) : kept;
}

absl::Span<const OpDef* const> OpsOfRandom() {
  static constexpr const OpDef* kOps[] = {&kRandomNormal, &kRandomUniform};
  return kOps;
}

}  // namespace tape
