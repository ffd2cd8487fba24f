// Which of the compiler's passes are made. All of them, unless somebody looks
// for a fault: whatever is left out, the results stay the same but for
// rounding. Tested by tests/without_passes_test.cc.
#ifndef TAPE_FRAMEWORK_COMPILER_PASS_SET_H_
#define TAPE_FRAMEWORK_COMPILER_PASS_SET_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

namespace tape {

// The passes that can be left out, in the order in which they are made.
enum class Pass {
  kFoldConstants,              // passes.h
  kSimplify,                   // passes.h
  kShareCommonSubexpressions,  // passes.h
  kPrune,                      // passes.h
  kTileBatch,                  // tile.h
  kFoldIntoProducts,           // passes.h
  kFuse,                       // fuse.h: elementwise ops into passes
  kFuseProducts,               // fuse.h: products into these passes
  kReuseMemory,                // memory_plan.h
};

class PassSet {
 public:
  PassSet() = default;  // All.
  static PassSet None() {
    PassSet set;
    set.left_out_ = ~0u;
    return set;
  }

  // All but those of these names (PassNames, compile.h). An error for one that
  // is unknown lists the known ones.
  static absl::StatusOr<PassSet> Without(absl::Span<const std::string> names);

  PassSet Without(Pass pass) const {
    PassSet set = *this;
    set.left_out_ |= Bit(pass);
    return set;
  }
  bool Has(Pass pass) const { return (left_out_ & Bit(pass)) == 0; }

 private:
  static unsigned Bit(Pass pass) { return 1u << static_cast<int>(pass); }
  unsigned left_out_ = 0;
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_PASS_SET_H_
