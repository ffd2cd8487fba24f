// Variables (variables.h). Tested by tests/core/graph_test.cc.
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

Variables::Run::Run(Variables& variables, bool writes)
    : variables_(variables), writes_(writes) {
  int runs = 0;
  if (writes) {
    may_begin_ = variables_.runs_.compare_exchange_strong(runs, kWriting);
    return;
  }
  runs = variables_.runs_.load();
  while (runs != kWriting &&
         !variables_.runs_.compare_exchange_weak(runs, runs + 1)) {
  }
  may_begin_ = runs != kWriting;
}

Variables::Run::~Run() {
  if (!may_begin_) return;
  if (writes_) {
    variables_.runs_.store(0);
  } else {
    variables_.runs_.fetch_sub(1);
  }
}

int Variables::Find(absl::string_view name) const {
  const auto found = index_of_.find(name);
  return found == index_of_.end() ? -1 : found->second;
}

}  // namespace tape
