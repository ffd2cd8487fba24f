// The passes' names (pass_set.h). Tested by tests/without_passes_test.cc.
#include "framework/compiler/pass_set.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/compiler/compile.h"

namespace tape {

absl::Span<const absl::string_view> PassNames() {
  static constexpr absl::string_view kNames[] = {
      "fold_constants", "simplify",      "share_common_subexpressions",
      "prune",          "tile_batch",    "fold_into_products",
      "fuse",           "fuse_products", "reuse_memory",
  };
  return kNames;
}

absl::StatusOr<PassSet> PassSet::Without(absl::Span<const std::string> names) {
  PassSet set;
  for (const std::string& name : names) {
    const auto found = std::find(PassNames().begin(), PassNames().end(), name);
    if (found == PassNames().end()) {
      return absl::InvalidArgumentError(absl::StrCat(
          "there is no pass \"", name, "\" to leave out; known are ",
          absl::StrJoin(PassNames(), ", ")));
    }
    set = set.Without(static_cast<Pass>(found - PassNames().begin()));
  }
  return set;
}

}  // namespace tape
