// Replaces operator new by one that counts, and fails when it is told to: what a
// test's program allocates, and what it does without memory.
#ifndef TAPE_TESTS_ALLOCATION_TESTING_H_
#define TAPE_TESTS_ALLOCATION_TESTING_H_

#include <cstdint>

namespace tape {

// Calls of operator new until now, those that failed included.
int64_t AllocationCount();

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

#endif  // TAPE_TESTS_ALLOCATION_TESTING_H_
