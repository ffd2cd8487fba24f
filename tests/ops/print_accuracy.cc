// Prints how exact each elementwise op is (accuracy.h), in roundings of 2^-24:
// the largest error found over so many operands, and the bound.
//
//   bazel run //tests:print_accuracy [-- POINTS]
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "tests/ops/accuracy.h"

int main(int argc, char** argv) {
  const int64_t points = argc > 1 ? std::atoll(argv[1]) : 1 << 20;
  std::printf("%-22s %-9s %9s %7s %9s  %s\n", "op", "quantity", "error",
              "bound", "reference", "worst at: found, exact");
  for (const tape::AccuracyRow& row : tape::AccuracyTable()) {
    const auto names = tape::QuantityNames(row);
    const auto found = tape::MeasureAccuracy(row, points);
    for (size_t q = 0; q < found.size(); ++q) {
      std::printf(
          "%-22s %-9s %9.2f %7g %9.2g  %s\n", row.op.c_str(), names[q].c_str(),
          found[q].error, row.quantities[q].bound, found[q].reference_error,
          absl::StrFormat("%s: %.9g, %.9g",
                          absl::StrJoin(found[q].where, ", ",
                                        [](std::string* out, float x) {
                                          absl::StrAppendFormat(out, "%.9g", x);
                                        }),
                          found[q].found, found[q].exact)
              .c_str());
    }
  }
}
