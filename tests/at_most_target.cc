// Lets a test run as on an older processor: the variable TAPE_TEST_AT_MOST names
// the best of Highway's targets that may be used, say AVX2. (What oneDNN may use,
// its own ONEDNN_MAX_CPU_ISA says.) An unknown name ends the test.
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>

#include "hwy/targets.h"

namespace {

// Of two targets of a processor family the better one has the lower bit.
[[maybe_unused]] const bool kIsLimited = [] {
  const char* const name = std::getenv("TAPE_TEST_AT_MOST");
  if (name == nullptr) return false;
  for (int bit = 0; bit < 63; ++bit) {
    const int64_t target = int64_t{1} << bit;
    if (std::string(hwy::TargetName(target)) != name) continue;
    // (What DisableTargets leaves out, a call of SupportedTargets, as passes of
    // machine code make it, brings back for all later choices.)
    hwy::SetSupportedTargetsForTest(hwy::SupportedTargets() & ~(target - 1));
    return true;
  }
  std::cerr << "TAPE_TEST_AT_MOST: expected one of Highway's targets, found "
            << name << "\n";
  std::exit(1);
}();

}  // namespace
