// Initializers (initializer.h): from a shape and a stream of random numbers to
// a filled tensor. Tested by tests/core/initializer_test.cc.
#include "framework/core/initializer.h"

#include <cmath>
#include <memory>

#include "absl/strings/str_cat.h"
#include "framework/core/floating_point.h"

namespace tape {
namespace {

struct Fans {
  double in = 1;
  double out = 1;
};

Fans FansOf(const Shape& shape) {
  if (shape.rank() == 0) return {};
  const double out = static_cast<double>(shape[shape.rank() - 1]);
  const double in =
      shape.rank() == 1 ? 1 : static_cast<double>(shape.elements()) / out;
  return {in, out};
}

Initializer::Next UniformNext(double low, double high) {
  return [low, high](RandomStream& random) {
    return low + (high - low) * random.Uniform();
  };
}

Initializer::Next NormalNext(double mean, double standard_deviation) {
  return [mean, standard_deviation](RandomStream& random) {
    return mean + standard_deviation * random.Normal();
  };
}

}  // namespace

absl::Status Initializer::Fill(RandomStream random, Tensor& tensor) const {
  const FloatingPointScope environment;
  const absl::StatusOr<Next> next =
      make_ != nullptr ? make_(tensor.type()) : Next();
  if (!next.ok()) return next.status();
  if (*next == nullptr) {
    return absl::InvalidArgumentError(
        "expected an initializer with a function, found none");
  }
  if (tensor.dtype() == DType::kInt32) {
    for (int32_t& x : tensor.values<int32_t>()) {
      const double value = (*next)(random);
      if (!CanHold(DType::kInt32, value)) {
        return absl::InvalidArgumentError(
            absl::StrCat("expected numbers that int32 holds, found ", value));
      }
      x = static_cast<int32_t>(value);
    }
  } else {
    for (float& x : tensor.values<float>()) {
      x = static_cast<float>((*next)(random));
    }
  }
  return absl::OkStatus();
}

Initializer Zeros() { return Constant(0); }

Initializer Constant(double value) {
  return Initializer([value](const TensorType&) -> Initializer::Next {
    return [value](RandomStream&) { return value; };
  });
}

Initializer Values(Tensor values) {
  // Shared, because a std::function and so an Initializer is copied freely.
  auto given = std::make_shared<const Tensor>(std::move(values));
  return Initializer(
      [given](const TensorType& type) -> absl::StatusOr<Initializer::Next> {
        if (!(type == given->type())) {
          return absl::InvalidArgumentError(absl::StrCat(
              "Values: the numbers given have the type ",
              given->type().ToString(), ", the variable ", type.ToString()));
        }
        return [given, i = size_t{0}](RandomStream&) mutable -> double {
          return given->dtype() == DType::kInt32 ? given->values<int32_t>()[i++]
                                                 : given->values<float>()[i++];
        };
      });
}

Initializer Uniform(double low, double high) {
  return Initializer(
      [=](const TensorType&) -> absl::StatusOr<Initializer::Next> {
        if (!std::isfinite(low) || !std::isfinite(high) || low > high) {
          return absl::InvalidArgumentError(
              absl::StrCat("Uniform: expected finite low <= high, found low ",
                           low, " and high ", high));
        }
        return UniformNext(low, high);
      });
}

Initializer Normal(double mean, double standard_deviation) {
  return Initializer(
      [=](const TensorType&) -> absl::StatusOr<Initializer::Next> {
        if (!std::isfinite(mean) || !(standard_deviation >= 0) ||
            !std::isfinite(standard_deviation)) {
          return absl::InvalidArgumentError(absl::StrCat(
              "Normal: expected a finite mean and a finite standard deviation "
              "of at least 0, found ",
              mean, " and ", standard_deviation));
        }
        return NormalNext(mean, standard_deviation);
      });
}

Initializer Glorot(double gain) {
  return Initializer(
      [gain](const TensorType& type) -> absl::StatusOr<Initializer::Next> {
        if (!(gain >= 0) || !std::isfinite(gain)) {
          return absl::InvalidArgumentError(absl::StrCat(
              "Glorot: expected a finite gain of at least 0, found ", gain));
        }
        const Fans fans = FansOf(type.shape);
        const double limit = gain * std::sqrt(6 / (fans.in + fans.out));
        return UniformNext(-limit, limit);
      });
}

Initializer He() {
  return Initializer([](const TensorType& type) -> Initializer::Next {
    return NormalNext(0, std::sqrt(2 / FansOf(type.shape).in));
  });
}

}  // namespace tape
