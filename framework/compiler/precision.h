// In which numbers the products of a plan read their operands.
#ifndef TAPE_FRAMEWORK_COMPILER_PRECISION_H_
#define TAPE_FRAMEWORK_COMPILER_PRECISION_H_

namespace tape {

enum class Precision {
  kFloat32,
  // Products read bfloat16, to which their operands are rounded each time (but
  // weights of a plan without updates only after they have changed), and add up in
  // float32. All else is float32: variables, their updates, sums.
  kBFloat16,
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_PRECISION_H_
