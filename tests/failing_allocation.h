// Replaces operator new by one that fails when it is told to: what a test's
// program does without memory.
#ifndef TAPE_TESTS_FAILING_ALLOCATION_H_
#define TAPE_TESTS_FAILING_ALLOCATION_H_

#include <cstdint>

namespace tape {

// While one lives, the allocation of that number, from 0 on, throws
// std::bad_alloc. One at a time.
class FailingAllocation {
 public:
  explicit FailingAllocation(int64_t number);
  ~FailingAllocation();
  FailingAllocation(const FailingAllocation&) = delete;
  FailingAllocation& operator=(const FailingAllocation&) = delete;

  // Whether there was such an allocation.
  bool has_failed() const;
};

}  // namespace tape

#endif  // TAPE_TESTS_FAILING_ALLOCATION_H_
