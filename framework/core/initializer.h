// Initializers: what a variable holds before the first step.
//
// Each number is a function of (graph seed, variable name, index), drawn from
// the generator of random.h in double and rounded once to float32, so that a
// seed means the same weights on any machine. For a weight of shape [fan_in,
// fan_out] (the layout MatMul(x, w) wants) the fans are its two dimensions; a
// vector has fan_in 1. Tested by tests/core/initializer_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_INITIALIZER_H_
#define TAPE_FRAMEWORK_CORE_INITIALIZER_H_

#include <functional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/core/random.h"
#include "framework/core/tensor.h"

namespace tape {

// A rule that fills a variable. It gives one number at a time, in row-major
// order.
class Initializer {
 public:
  using Next = std::function<double(RandomStream& random)>;
  // An error tells of a bad argument or a type that the rule does not fit.
  using Make = std::function<absl::StatusOr<Next>(const TensorType& type)>;

  explicit Initializer(Make make) : make_(std::move(make)) {}

  // Fills `tensor` (float32 or int32) from `random`.
  absl::Status Fill(RandomStream random, Tensor& tensor) const;

 private:
  Make make_;
};

Initializer Zeros();
Initializer Constant(double value);
// The given numbers. Refused unless the variable has their shape and dtype.
Initializer Values(Tensor values);
// Uniform on [low, high). Refused unless low <= high, both finite.
Initializer Uniform(double low, double high);
// Normal with that mean and standard deviation. Refused if the latter is
// negative.
Initializer Normal(double mean, double standard_deviation);
// Uniform on ±gain * sqrt(6 / (fan_in + fan_out)). Glorot and Bengio,
// "Understanding the difficulty of training deep feedforward neural networks",
// AISTATS 2010, formula 16. The gain makes up for what an activation takes from
// the variance; sqrt(2), for a ReLU, gives ±sqrt(12 / (fan_in + fan_out)),
// which some call He's. Refused if it is negative or not finite.
Initializer Glorot(double gain = 1);
// Normal with variance 2 / fan_in, for layers followed by a ReLU. He, Zhang,
// Ren and Sun, "Delving deep into rectifiers", ICCV 2015, formula 10.
Initializer He();

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_INITIALIZER_H_
