// Variables (variables.h). Tested by tests/core/graph_test.cc.
#include "framework/core/variables.h"

#include <cstring>
#include <utility>

#include "framework/core/check.h"
#include "framework/core/process.h"

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
  TAPE_CHECK(!index_of_.contains(variable.name));
  variables_.push_back(std::move(variable));
  try {
    index_of_.emplace(variables_.back().name, index);
  } catch (...) {  // Both, or neither.
    variables_.pop_back();
    throw;
  }
  return index;
}

bool Variables::Assign(absl::Span<const NewValue> values) {
  const Run run(*this, /*writes=*/true);
  if (!run.may_begin()) return false;
  for (const auto& [index, value] : values) {
    const size_t bytes = value.type().bytes();
    if (bytes != 0) std::memmove(memory(index), value.data(), bytes);
  }
  return true;
}

Variables::Run::Run(Variables& variables, bool writes)
    : variables_(variables), process_(ProcessId()), writes_(writes) {
  Runs runs = variables_.runs_.load();
  Runs with_this;
  do {
    // The threads that had begun the parent's are not in a forked child.
    const int others = runs.process == process_ ? runs.count : 0;
    may_begin_ = writes ? others == 0 : others != kWriting;
    with_this = {process_, writes ? kWriting : others + 1};
  } while (may_begin_ &&
           !variables_.runs_.compare_exchange_weak(runs, with_this));
  // Not at the end: a process that is forked meanwhile has half of what is written.
  if (may_begin_ && writes_) ++variables_.version_;
}

Variables::Run::~Run() {
  if (!may_begin_) return;
  Runs runs = variables_.runs_.load();
  while (runs.process == process_ &&
         !variables_.runs_.compare_exchange_weak(
             runs, {process_, writes_ ? 0 : runs.count - 1})) {
  }
}

int Variables::Find(absl::string_view name) const {
  const auto found = index_of_.find(name);
  return found == index_of_.end() ? -1 : found->second;
}

}  // namespace tape
