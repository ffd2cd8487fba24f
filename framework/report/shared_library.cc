// Shared libraries opened when they are first needed (shared_library.h). In
// goes a file's name, out come functions. Tested by
// tests/shared_library_test.cc.
#include "framework/report/shared_library.h"

#include <dlfcn.h>

#include "absl/strings/str_cat.h"

namespace tape {

SharedLibrary::SharedLibrary(const char* file, const char* package)
    : file_(file),
      package_(package),
      handle_(dlopen(file, RTLD_NOW | RTLD_LOCAL)) {
  if (handle_ == nullptr) {
    status_ = absl::NotFoundError(
        absl::StrCat(file, ": expected the library of Debian's package ",
                     package, ", found none: ", dlerror()));
  }
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
