// From exceptions to Status (exceptions.h). Tested by tests/core/exceptions_test.cc.
#include "framework/core/exceptions.h"

#include <cxxabi.h>

#include <cstdio>
#include <stdexcept>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "framework/core/text.h"

namespace tape {
namespace {

absl::Status Describe(absl::string_view subject) {
  const std::string what = Printable(subject);
  try {
    throw;
  } catch (const StatusError& error) {
    return error.status();
  } catch (const OutOfMemory& error) {
    return absl::ResourceExhaustedError(
        absl::StrCat(what, " found ", error.what()));
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(absl::StrCat(what, " found no memory"));
  } catch (const std::length_error&) {  // Of a container.
    return absl::ResourceExhaustedError(absl::StrCat(what, " found no memory"));
  } catch (const abi::__forced_unwind&) {
    throw;
  } catch (const std::exception& error) {
    return absl::InternalError(
        absl::StrCat(what, " threw an exception: ", Printable(error.what())));
  } catch (...) {
    return absl::InternalError(
        absl::StrCat(what, " threw an exception of an unknown type"));
  }
}

}  // namespace

OutOfMemory::OutOfMemory(size_t bytes) : bytes_(bytes) {
  std::snprintf(message_, sizeof(message_), "no memory for %zu bytes", bytes);
}

OutOfMemory::OutOfMemory(size_t bytes, absl::string_view of)
    : OutOfMemory(bytes) {
  of_ = std::make_shared<const std::string>(absl::StrCat("no memory for ", of));
}

absl::Status CaughtStatus(absl::string_view what) {
  try {
    return Describe(what);
  } catch (const std::bad_alloc&) {
    // Not even for a message; none needs no memory.
    return absl::Status(absl::StatusCode::kResourceExhausted, "");
  }
}

int Fail(const absl::Status& status) {
  // Messages quote names of files: these must not command the terminal.
  for (absl::string_view line : absl::StrSplit(status.message(), '\n')) {
    std::fprintf(stderr, "%s\n", Printable(line).c_str());
  }
  return 1;
}

absl::Status AtCall(Loc loc, absl::string_view function,
                    const absl::Status& status) {
  if (loc.line == 0 || !absl::StartsWith(status.message(), function)) {
    return status;
  }
  return absl::Status(status.code(),
                      absl::StrCat(loc.ToString(), ": ", status.message()));
}

}  // namespace tape
