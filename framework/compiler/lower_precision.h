// LOWER THE PRECISION: products that read bfloat16 (CompileOptions::precision).
// Which ops can, and how many of their inputs, they say in
// Traits::low_precision. Tested by tests/compiler/lower_precision_test.cc, and
// tests/compiler/machine_test.cc as on a machine without such products.
#ifndef TAPE_FRAMEWORK_COMPILER_LOWER_PRECISION_H_
#define TAPE_FRAMEWORK_COMPILER_LOWER_PRECISION_H_

#include "absl/status/status.h"
#include "framework/compiler/precision.h"
#include "framework/runtime/program.h"

namespace tape {

// An error with the line of the first node that this machine cannot compute
// (OpDef::machine), as it is, or with its inputs lowered to `precision`.
absl::Status CheckMachine(const Program& program, Precision precision);

// Puts a node that rounds to bfloat16 before each input that can be read so;
// one, however many nodes read it. Fusing makes it part of the pass that makes
// the input, and tiling leaves the roundings of weights outside of the tiles.
Program LowerPrecision(Program program);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_LOWER_PRECISION_H_
