// OpStore: copies of ops that a graph must not point to. An OpDef is meant to
// be a constant of a program or library, and nodes hold its address. One that
// is a local variable, or on the heap, may have gone when a plan is made or
// run, so the graph and its plans share a copy of it. Tested by
// tests/core/handles_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_OP_STORE_H_
#define TAPE_FRAMEWORK_CORE_OP_STORE_H_

#include <deque>
#include <set>
#include <string>

#include "framework/core/op.h"

namespace tape {

class OpStore {
 public:
  // `op` itself if it stays where it is for as long as its code is loaded, else
  // the copy of it: one for all equal ops.
  const OpDef& Keep(const OpDef& op);

 private:
  const char* KeepText(const char* text);

  std::deque<OpDef> copies_;
  std::deque<std::string> texts_;
  std::set<const void*> lasting_;  // What is known to stay.
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_OP_STORE_H_
