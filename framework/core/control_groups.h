// The limits that a container or a batch system sets to this process, by
// control groups of version 1 and 2. Tested by tests/core/control_groups_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_CONTROL_GROUPS_H_
#define TAPE_FRAMEWORK_CORE_CONTROL_GROUPS_H_

#include <cstdint>
#include <string>

namespace tape {

// A group's limit holds for the groups within it, so these return the smallest
// on the way from the process's group to the root of each hierarchy. They read
// /proc/self/cgroup, /proc/self/mountinfo and what is mounted there, below the
// folder `root`: empty for this machine.

// Returns the processors that this process may use, such as 1.5; infinity if
// there is no quota.
double ControlGroupProcessors(const std::string& root = "");

// Returns the bytes of memory that this process may use; UINT64_MAX if there is
// no limit.
uint64_t ControlGroupMemory(const std::string& root = "");

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_CONTROL_GROUPS_H_
