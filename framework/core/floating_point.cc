// FloatingPointScope (floating_point.h), by the control words of each
// architecture: <cfenv> takes some hundred nanoseconds and knows no flush
// modes. Tested by tests/core/floating_point_test.cc.
#include "framework/core/floating_point.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace tape {

#if defined(__x86_64__)
namespace {

// The bits of MXCSR: Intel's manual, volume 1, section 10.2.3.
constexpr uint32_t kMaskAllTraps = 0x1f80;  // To nearest, no flags.
constexpr uint32_t kFlushToZero = 0x8000, kDenormalsAreZero = 0x0040;
// The x87's control word as Linux starts a program (section 8.1.5): to nearest,
// extended precision, all traps masked; and its exception flags (8.1.3).
constexpr uint16_t kX87Control = 0x037f;
constexpr uint16_t kX87Exceptions = 0x00ff;

// As fnstenv stores it (figure 8-9).
struct X87Environment {
  uint16_t control, unused_control;
  uint16_t status, unused_status;
  uint16_t tag, unused_tag;
  uint32_t pointers[4];
};

uint16_t X87Control() {
  uint16_t control;
  __asm__ volatile("fnstcw %0" : "=m"(control));
  return control;
}

uint16_t X87Status() {
  uint16_t status;
  __asm__ volatile("fnstsw %0" : "=a"(status));
  return status;
}

// Sets both; `flags` are the status word's. By the whole environment: a flag
// whose trap is not masked must not be raised in between.
void SetX87(uint16_t control, uint16_t flags) {
  X87Environment environment;
  __asm__ volatile("fnstenv %0" : "=m"(environment));
  environment.control = control;
  environment.status =
      (environment.status & ~kX87Exceptions) | (flags & kX87Exceptions);
  __asm__ volatile("fldenv %0" : : "m"(environment));
}

}  // namespace

FloatingPointScope::FloatingPointScope(Denormals denormals)
    : control_and_status_(_mm_getcsr()), x87_control_(X87Control()) {
  const bool flush = denormals == Denormals::kFlush;
  _mm_setcsr(flush ? kMaskAllTraps | kFlushToZero | kDenormalsAreZero
                   : kMaskAllTraps);
  // Reading the status takes as long as all else. No kernel uses the x87.
  restores_x87_ = !flush || x87_control_ != kX87Control;
  if (restores_x87_) x87_status_ = X87Status();
  if (x87_control_ != kX87Control) SetX87(kX87Control, 0);
}

FloatingPointScope::~FloatingPointScope() {
  if (restores_x87_ && (x87_control_ != kX87Control ||
                        ((X87Status() ^ x87_status_) & kX87Exceptions) != 0)) {
    SetX87(x87_control_, x87_status_);
  }
  _mm_setcsr(control_and_status_);
}
#elif defined(__aarch64__)
namespace {

// FPCR.FZ flushes float32 and float64; the other bits of 0 are rounding to
// nearest and no traps (Arm's manual, D17.2.45).
constexpr uint64_t kFlushToZero = uint64_t{1} << 24;

}  // namespace

FloatingPointScope::FloatingPointScope(Denormals denormals) {
  __asm__ volatile("mrs %0, fpcr" : "=r"(control_));
  __asm__ volatile("mrs %0, fpsr" : "=r"(status_));
  const uint64_t control = denormals == Denormals::kFlush ? kFlushToZero : 0;
  __asm__ volatile("msr fpcr, %0" : : "r"(control));
}

FloatingPointScope::~FloatingPointScope() {
  __asm__ volatile("msr fpsr, %0" : : "r"(status_));
  __asm__ volatile("msr fpcr, %0" : : "r"(control_));
}
#else
FloatingPointScope::FloatingPointScope(Denormals) {
  std::fegetenv(&environment_);
  std::fesetenv(FE_DFL_ENV);
}

FloatingPointScope::~FloatingPointScope() { std::fesetenv(&environment_); }
#endif

}  // namespace tape
