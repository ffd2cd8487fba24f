// sum_errors: what sums of many numbers are off by (tests/ops/sum_errors.h).
//
//   bazel run //bench:sum_errors -- 1000 100000 10000000 100000000
//
// prints the table for tensors of so many elements each. 10^8 elements need
// 2 GB, and some minutes for the sums in long double.
#include "tests/ops/sum_errors.h"

#include <cstdint>
#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  std::printf("%-13s %-5s %-18s %10s %10s %10s\n", "op", "axis", "data",
              "elements", "error", "bound");
  bool holds = true;
  for (int i = 1; i < argc; ++i) {
    const int64_t elements = std::strtoll(argv[i], nullptr, 10);
    if (elements < 4) {
      std::fprintf(stderr, "expected at least 4 elements, found %s\n", argv[i]);
      return 1;
    }
    for (const tape::SumError& row : tape::MeasureSumErrors(elements)) {
      std::printf("%-13s %-5s %-18s %10lld %10.2g %10.2g\n", row.op.c_str(),
                  row.axis.c_str(), row.data.c_str(),
                  static_cast<long long>(row.elements), row.error, row.bound);
      holds &= row.error <= row.bound;
    }
  }
  return holds ? 0 : 1;
}
