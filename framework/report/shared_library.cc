// Shared libraries opened when they are first needed (shared_library.h). In
// goes a file's name, out come functions. Tested by
// tests/report/shared_library_test.cc.
#include "framework/report/shared_library.h"

#include <dlfcn.h>

#include "absl/strings/str_cat.h"

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
