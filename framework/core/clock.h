// Time as it is measured: by a clock that is never set.
#ifndef TAPE_FRAMEWORK_CORE_CLOCK_H_
#define TAPE_FRAMEWORK_CORE_CLOCK_H_

#include <chrono>

namespace tape {

inline double SecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_CLOCK_H_
