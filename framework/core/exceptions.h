// From exceptions to Status, and from a Status to the line of the call. The framework gives its users errors and throws
// nothing at them; but an op's rules, a kernel, oneDNN and the standard library
// may throw, and a constructor or a kernel of ours has no other way to fail.
// Whatever users call catches all of it. Tested by tests/core/exceptions_test.cc.
#ifndef TAPE_FRAMEWORK_CORE_EXCEPTIONS_H_
#define TAPE_FRAMEWORK_CORE_EXCEPTIONS_H_

#include <cstddef>
#include <exception>
#include <memory>
#include <new>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "framework/core/loc.h"

namespace tape {

// An error on its way to the next CaughtStatus.
class StatusError : public std::exception {
 public:
  explicit StatusError(const absl::Status& status)
      : status_(status), message_(status.message()) {}
  const absl::Status& status() const { return status_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  absl::Status status_;
  std::string message_;
};

// The system has no memory for a buffer.
class OutOfMemory : public std::bad_alloc {
 public:
  explicit OutOfMemory(size_t bytes);
  // The same for a buffer that the user knows as `of`, "the plan's 80 bytes".
  OutOfMemory(size_t bytes, absl::string_view of);
  size_t bytes() const { return bytes_; }
  const char* what() const noexcept override {
    return of_ == nullptr ? message_ : of_->c_str();
  }

 private:
  size_t bytes_;
  char message_[64];                       // "no memory for … bytes".
  std::shared_ptr<const std::string> of_;  // In place of message_, or null.
};

// Returns the exception that is being handled as an error: that of a
// StatusError; kResourceExhausted for want of memory; else kInternal. `what` is
// the message's subject, "net.cc:5: Copy: its kernel". To be called in a
// handler `catch (...)`. Rethrows the exception by which a thread is cancelled,
// which must not be caught.
absl::Status CaughtStatus(absl::string_view what);

// Prints `status` to stderr, with control characters escaped, and returns 1, the
// exit code of a main that failed.
int Fail(const absl::Status& status);

// Returns `status` with the place of a call of `function` before its message,
// "net.cc:5: Train: …", if the message begins with the function's name: other
// messages have a place of their own. As it is if the place is not known.
absl::Status AtCall(Loc loc, absl::string_view function,
                    const absl::Status& status);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_CORE_EXCEPTIONS_H_
