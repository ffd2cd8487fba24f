// Shared libraries opened when they are first needed (shared_library.h). In
// goes a file's name, out come functions. Tested by
// tests/report/shared_library_test.cc.
#include "framework/report/shared_library.h"

#include <dlfcn.h>
#include <sys/resource.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "framework/core/memory.h"

// What these libraries keep until the process ends (fontconfig its lists of
// fonts, Graphviz 3 kB of each layout) is no leak of ours.
#ifdef __SANITIZE_ADDRESS__
extern "C" const char* __lsan_default_suppressions() {
  return "leak:libfontconfig\nleak:libgvc\n";
}
extern "C" const char* __lsan_default_options() {
  return "print_suppressions=0";
}
#endif

namespace tape {
namespace {

// Whether the addresses of this process are limited. Without a limit, what is
// reserved for stacks and heaps of threads costs nothing.
bool HasOwnLimit() {
  for (const auto resource : {RLIMIT_AS, RLIMIT_DATA}) {
    rlimit limit;
    if (getrlimit(resource, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
      return true;
    }
  }
  return false;
}

}  // namespace

SharedLibrary::SharedLibrary(const char* file, const char* package,
                             uint64_t memory_bytes)
    : file_(file),
      package_(package),
      handle_(nullptr),
      status_(HasOwnLimit() ? CheckMemory(file, memory_bytes)
                            : absl::OkStatus()) {
  if (!status_.ok()) return;
  handle_ = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (handle_ != nullptr) return;
  const std::string error = dlerror();
  const bool no_memory = absl::StrContains(error, "failed to map segment") ||
                         absl::StrContains(error, "annot allocate memory");
  status_ = no_memory ? absl::ResourceExhaustedError(absl::StrCat(
                            file, ": there is no memory to open it: ", error))
                      : absl::NotFoundError(absl::StrCat(
                            file, ": expected the library of Debian's package ",
                            package, ", found none: ", error));
}

void* SharedLibrary::Address(const char* name) {
  if (handle_ == nullptr) return nullptr;
  void* address = dlsym(handle_, name);
  if (address == nullptr) {
    status_.Update(absl::NotFoundError(
        absl::StrCat(file_, ": expected the function ", name,
                     " of Debian's package ", package_, ", found none")));
  }
  return address;
}

}  // namespace tape
