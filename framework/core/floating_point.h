// The floating-point environment in which the framework computes. Tested by
// tests/core/floating_point_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_FLOATING_POINT_H_
#define TAPE_FRAMEWORK_CORE_FLOATING_POINT_H_

#include <cstdint>

#if !defined(__x86_64__) && !defined(__aarch64__)
#include <cfenv>
#endif

namespace tape {

// How arithmetic treats denormal numbers (magnitudes below FLT_MIN, but not 0).
enum class Denormals {
  kKeep,   // As IEEE 754 says.
  kFlush,  // Operands and results become zeros of their sign. Denormals can
           // slow arithmetic down tens of times, and carry nothing. For
           // kernels: long double must not be used.
};

// Gives this thread the environment of the framework while it lives: rounding
// to nearest, no traps, denormals as asked whatever the host has set. The
// destructor restores the caller's environment, its exception flags included.
// So neither a result nor whether a run ends depends on the caller's rounding
// mode, traps or flush modes, and no caller sees that we have divided by 0.
//
// Scopes nest. A new thread inherits the environment of its creator, so each
// thread that computes needs a scope of its own. Costs some 20 ns.
class FloatingPointScope {
 public:
  explicit FloatingPointScope(Denormals denormals = Denormals::kKeep);
  ~FloatingPointScope();
  FloatingPointScope(const FloatingPointScope&) = delete;
  FloatingPointScope& operator=(const FloatingPointScope&) = delete;

 private:
#if defined(__x86_64__)
  uint32_t control_and_status_;  // Of SSE and AVX: MXCSR.
  // Of the x87, which long double uses; strtod and printf round as it does.
  uint16_t x87_control_;
  uint16_t x87_status_;
  bool restores_x87_;
#elif defined(__aarch64__)
  uint64_t control_, status_;
#else
  std::fenv_t environment_;  // Denormals stay as the host has them.
#endif
};

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_FLOATING_POINT_H_
