// Which process this is. Tested by tests/core/process_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_PROCESS_H_
#define TAPE_FRAMEWORK_CORE_PROCESS_H_

#include <sys/types.h>

namespace tape {

// As getpid() says, but without its system call in each run of a plan. Right in a
// child that fork() has made; not in one of clone() or _Fork(), by which the C
// library itself learns of no child.
pid_t ProcessId();

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_PROCESS_H_
