// A system whose calls fail when a test wants it: the linker hands our code's
// open, write, fsync, close, rename and unlink to failing_system.cc (--wrap,
// see BUILD.bazel).
#ifndef TAPE_TESTS_TRAIN_FAILING_SYSTEM_H_
#define TAPE_TESTS_TRAIN_FAILING_SYSTEM_H_

#include <string>
#include <vector>

namespace tape {

enum class Failure {
  kNoSpace,     // ENOSPC.
  kHalfAWrite,  // A write takes half of its bytes, the next one none: ENOSPC.
  kBrokenDisk,  // EIO.
};

// While it lives, the call of this number, from 1 on, fails, once; with 0 none
// does.
class FailingSystem {
 public:
  FailingSystem(Failure failure, int call);
  ~FailingSystem();
  FailingSystem(const FailingSystem&) = delete;
  FailingSystem& operator=(const FailingSystem&) = delete;

  bool has_failed() const;
  // All calls that it has seen but for writes, as "fsync <path>"; a rename's is
  // the new path.
  const std::vector<std::string>& calls() const;
};

}  // namespace tape

#endif  // TAPE_TESTS_TRAIN_FAILING_SYSTEM_H_
