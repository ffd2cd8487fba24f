// What tests of bfloat16 expect of this machine: the products, or a refusal.
#ifndef TAPE_TESTS_BFLOAT16_TESTING_H_
#define TAPE_TESTS_BFLOAT16_TESTING_H_

#include <fstream>
#include <sstream>
#include <string>

namespace tape {

// Whether the processor multiplies bfloat16, by what the kernel says of it
// rather than oneDNN.
inline bool HasBFloat16Products() {
  std::ifstream cpuinfo("/proc/cpuinfo");
  std::string line;
  while (std::getline(cpuinfo, line)) {
    if (line.rfind("flags", 0) != 0) continue;
    std::istringstream flags(line);
    for (std::string flag; flags >> flag;) {
      if (flag == "avx512_bf16") return true;
    }
    return false;
  }
  return false;
}

inline constexpr char kNoBFloat16Products[] =
    "products of bfloat16 need a processor with the instructions AVX512_BF16, "
    "which this one lacks";

}  // namespace tape

#endif  // TAPE_TESTS_BFLOAT16_TESTING_H_
