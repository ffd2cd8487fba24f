// Operands that are fed to ops which may refuse their numbers, such as a loss
// its labels (OpDef::refuses). Tested by tests/runtime/plan_test.cc and
// tests/ops/loss_test.cc.
#ifndef TAPE_FRAMEWORK_RUNTIME_FED_OPERANDS_H_
#define TAPE_FRAMEWORK_RUNTIME_FED_OPERANDS_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "framework/distributed/data_parallel.h"
#include "framework/runtime/program.h"

namespace tape {

struct FedOperand {
  Node node;                       // That reads it,
  std::vector<TensorType> inputs;  // inputs of these types,
  int operand;                     // as this one of them.
  int fed;                         // Its number among Program::Inputs().
};

// The operands of `program`, which is as it was declared (passes may take such a
// node away), each once.
std::vector<FedOperand> FindFedOperands(const Program& program);

// What an op refuses of the numbers in `fed`, the memory of each of the inputs,
// with the op's line; OK if nothing. Looks at this rank's rows of a batch.
absl::Status CheckFed(absl::Span<const FedOperand> operands, int64_t batch,
                      const DataParallel& parallel,
                      absl::Span<const void* const> fed);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_RUNTIME_FED_OPERANDS_H_
