// Variables (variables.h). Tested by tests/graph_test.cc.
#include "framework/core/variables.h"

#include <utility>

#include "framework/core/check.h"

namespace tape {

const char* Name(Tag tag) {
  switch (tag) {
    case Tag::kAuto:
      return "auto";
    case Tag::kWeight:
      return "weight";
    case Tag::kBias:
      return "bias";
    case Tag::kState:
      return "state";
  }
  return "unknown";
}

int Variables::Add(Variable variable) {
  const int index = size();
  const bool is_new = index_of_.emplace(variable.name, index).second;
  TAPE_CHECK(is_new);
  variables_.push_back(std::move(variable));
  return index;
}

int Variables::Find(absl::string_view name) const {
  const auto found = index_of_.find(name);
  return found == index_of_.end() ? -1 : found->second;
}

}  // namespace tape
