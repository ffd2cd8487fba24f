// Initializers that give other libraries' numbers: the very same float32 values
// for the same seed, for whoever ports a notebook.
//
//   NumpyRandom numpy(42);  // np.random.seed(42)
//   Var w = g.Parameter("w", {784, 500}, numpy.Uniform(-m, m, Layout::kOutputsByInputs));
//
// Both libraries draw from one sequence for all arrays, so initializers of one
// generator must be used in the order in which the notebook draws its arrays.
// Tested by tests/core/ported_random_test.cc against the libraries' own numbers.
#ifndef TAPE_FRAMEWORK_CORE_PORTED_RANDOM_H_
#define TAPE_FRAMEWORK_CORE_PORTED_RANDOM_H_

#include <cstdint>
#include <memory>

#include "framework/core/initializer.h"

namespace tape {

// In which order the notebook draws the elements of a matrix that is declared
// here as [inputs, outputs], the layout MatMul(x, w) wants.
enum class Layout {
  kInputsByOutputs,  // As declared.
  kOutputsByInputs,  // It holds the transpose, and draws that row by row.
};

// NumPy's legacy generator, np.random.seed(seed) and after: MT19937 seeded with
// init_genrand, which std::mt19937 is. Copies draw from the same sequence.
class NumpyRandom {
 public:
  explicit NumpyRandom(uint32_t seed);

  // np.random.uniform(low, high, shape): each number takes two outputs a and b,
  // low + (high - low) ((a >> 5) 2^26 + (b >> 6)) / 2^53.
  Initializer Uniform(double low, double high,
                      Layout layout = Layout::kInputsByOutputs) const;
  // np.random.normal(mean, standard_deviation, shape): Marsaglia's polar
  // method, whose second number of each pair is kept for the next draw, whoever
  // makes it.
  Initializer Normal(double mean, double standard_deviation,
                     Layout layout = Layout::kInputsByOutputs) const;

 private:
  struct Sequence;
  std::shared_ptr<Sequence> sequence_;  // Shared with the initializers.
};

// PyTorch's CPU generator, torch.manual_seed(seed) and after: MT19937 seeded
// with init_genrand of the seed's low 32 bits. A uniform float32 takes one
// output r, (r mod 2^24) 2^-24 (high - low) + low in float32, product and sum
// rounded once.
class TorchRandom {
 public:
  explicit TorchRandom(uint64_t seed);

  // The weight of torch.nn.Linear(inputs, outputs), for a parameter of shape
  // [inputs, outputs]: uniform on ±1/sqrt(inputs), drawn as (outputs, inputs).
  // Refused unless the parameter has two axes.
  Initializer LinearWeight() const;
  // Its bias [outputs], drawn after the weight: uniform on ±1/sqrt(inputs).
  Initializer LinearBias(int64_t inputs) const;

 private:
  struct Sequence;
  std::shared_ptr<Sequence> sequence_;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_PORTED_RANDOM_H_
