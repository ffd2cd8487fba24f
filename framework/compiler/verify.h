// The verifier: what must hold of a program and of what the passes make of it.
// The pipeline calls it after each pass (compile.cc). What it finds is a bug of
// a pass, and aborts; but for types that an op's shape rule does not confirm,
// which may be the rule's own fault. Tested by tests/compiler/passes_test.cc,
// tests/compiler/fuse_test.cc and tests/compiler/memory_plan_test.cc.
#ifndef TAPE_FRAMEWORK_COMPILER_VERIFY_H_
#define TAPE_FRAMEWORK_COMPILER_VERIFY_H_

#include <vector>

#include "absl/strings/string_view.h"
#include "framework/compiler/fuse.h"
#include "framework/runtime/compiled_program.h"
#include "framework/runtime/program.h"

namespace tape {

// Every node's inputs stand before it, and its type is what its op's shape rule
// gives for them; if not, throws a StatusError (exceptions.h), kInternal, with
// op and line, and the pass `after`.
void Verify(const Program& program, absl::string_view after = "");

// Every node that a step must make is in one group, or is the product of one.
void VerifyGroups(const Program& program, const std::vector<Group>& groups);

// Every step comes after those that make what it reads, and whatever is fetched
// or assigned is made.
void VerifySteps(const Program& program, const std::vector<Step>& steps);

// Every node has a place, those in the arena within it and aligned.
void VerifyMemory(const Program& program, const MemoryPlan& memory);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_VERIFY_H_
