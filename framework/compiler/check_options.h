// What is wrong with what Compile is asked for. Tested by tests/compiler/compile_test.cc.
#ifndef TAPE_FRAMEWORK_COMPILER_CHECK_OPTIONS_H_
#define TAPE_FRAMEWORK_COMPILER_CHECK_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "framework/compiler/compile.h"
#include "framework/core/graph.h"
#include "framework/core/loc.h"

namespace tape {

// All that is wrong with `options`, a line each, with the place of the call.
// `passes` are those that may be left out.
std::vector<std::string> FindMistakes(
    const Graph& graph, const CompileOptions& options,
    absl::Span<const absl::string_view> passes, Loc loc);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_CHECK_OPTIONS_H_
