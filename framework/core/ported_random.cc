// Other libraries' initial numbers (ported_random.h): from their seeds to
// initializers. Tested by tests/core/ported_random_test.cc.
#include "framework/core/ported_random.h"

#include <cmath>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace tape {
namespace {

// An initializer whose numbers are all drawn at once, by `draw`, in the order
// of `layout`.
template <typename Draw>
Initializer DrawAtOnce(Layout layout, Draw draw) {
  return Initializer(
      [=](const TensorType& type) -> absl::StatusOr<Initializer::Next> {
        if (layout == Layout::kOutputsByInputs && type.shape.rank() != 2) {
          return absl::InvalidArgumentError(
              absl::StrCat("expected two axes, [inputs, outputs], found shape ",
                           type.shape.ToString()));
        }
        std::vector<double> numbers(type.shape.elements());
        if (layout == Layout::kInputsByOutputs) {
          for (double& number : numbers) number = draw(type);
        } else {
          const int64_t inputs = type.shape[0], outputs = type.shape[1];
          for (int64_t column = 0; column < outputs; ++column) {
            for (int64_t row = 0; row < inputs; ++row) {
              numbers[row * outputs + column] = draw(type);
            }
          }
        }
        return [numbers = std::move(numbers),
                i = size_t{0}](RandomStream&) mutable { return numbers[i++]; };
      });
}

}  // namespace

struct NumpyRandom::Sequence {
  std::mt19937 generator;
  std::optional<double> kept_normal;

  double Uniform() {
    const double a = static_cast<double>(generator() >> 5);
    const double b = static_cast<double>(generator() >> 6);
    return (a * 67108864 + b) / 9007199254740992;  // 2^26 and 2^53.
  }

  double Normal() {
    if (kept_normal.has_value()) return *std::exchange(kept_normal, {});
    double x, y, square;
    do {
      x = 2 * Uniform() - 1;
      y = 2 * Uniform() - 1;
      square = x * x + y * y;
    } while (square >= 1 || square == 0);
    const double factor = std::sqrt(-2 * std::log(square) / square);
    kept_normal = factor * x;
    return factor * y;
  }
};

NumpyRandom::NumpyRandom(uint32_t seed)
    : sequence_(std::make_shared<Sequence>()) {
  sequence_->generator.seed(seed);
}

Initializer NumpyRandom::Uniform(double low, double high, Layout layout) const {
  return DrawAtOnce(layout, [=, sequence = sequence_](const TensorType&) {
    return low + (high - low) * sequence->Uniform();
  });
}

Initializer NumpyRandom::Normal(double mean, double standard_deviation,
                                Layout layout) const {
  return DrawAtOnce(layout, [=, sequence = sequence_](const TensorType&) {
    return mean + standard_deviation * sequence->Normal();
  });
}

struct TorchRandom::Sequence {
  std::mt19937 generator;

  // Uniform on ±limit.
  float Uniform(double limit) {
    constexpr uint32_t kMask = (1u << 24) - 1;
    const float low = static_cast<float>(-limit);
    const float high = static_cast<float>(limit);
    const float x = static_cast<float>(generator() & kMask) * 0x1p-24f;
    // Rounded once: the library's kernels are built with fused multiply-add.
    return std::fma(x, high - low, low);
  }
};

TorchRandom::TorchRandom(uint64_t seed)
    : sequence_(std::make_shared<Sequence>()) {
  sequence_->generator.seed(static_cast<uint32_t>(seed));
}

Initializer TorchRandom::LinearWeight() const {
  return DrawAtOnce(
      Layout::kOutputsByInputs, [sequence = sequence_](const TensorType& type) {
        // kaiming_uniform_(a=sqrt(5)), in the library's own steps: in double
        // they may end a digit away from 1 / sqrt(inputs).
        const double gain = std::sqrt(2.0 / (1 + std::pow(std::sqrt(5.0), 2)));
        const double deviation =
            gain / std::sqrt(static_cast<double>(type.shape[0]));
        return sequence->Uniform(std::sqrt(3.0) * deviation);
      });
}

Initializer TorchRandom::LinearBias(int64_t inputs) const {
  return DrawAtOnce(
      Layout::kInputsByOutputs, [=, sequence = sequence_](const TensorType&) {
        return sequence->Uniform(1 / std::sqrt(static_cast<double>(inputs)));
      });
}

}  // namespace tape
