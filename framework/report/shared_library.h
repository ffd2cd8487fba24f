// Shared libraries that are opened when they are first needed.
//
// librsvg and Graphviz draw a few pictures at the end of a run; linked, they
// would bring 47 libraries to every start of //models:train, and `train
// --help` would take 15.3 ms instead of 8.2 (medians of 60 starts; librsvg
// alone 14.7, Graphviz alone 8.7). So nothing links them: a struct lists the
// functions that are used, with the types of the library's own header, and
// finds them by name when it is made:
//
//   struct Librsvg {
//     SharedLibrary library{"librsvg-2.so.2", "librsvg2-2"};
//     TAPE_FUNCTION_OF(library, rsvg_handle_new_from_data);
//   };
//
// Tested by tests/report/shared_library_test.cc.
#ifndef TAPE_FRAMEWORK_REPORT_SHARED_LIBRARY_H_
#define TAPE_FRAMEWORK_REPORT_SHARED_LIBRARY_H_

#include <cstdint>

#include "absl/status/status.h"

namespace tape {

class SharedLibrary {
 public:
  // Opens `file`, "librsvg-2.so.2", and what it needs, for the rest of the
  // process; `package` is Debian's that has it, for the error. Libraries in C end
  // the process when they find no memory: so if this process has a limit of its
  // own (ulimit -v, -d) that leaves less than `memory_bytes` for the library and
  // its functions, it is not opened, and `status` is kResourceExhausted.
  SharedLibrary(const char* file, const char* package,
                uint64_t memory_bytes = 0);

  // The function of that name, in the library or in one that it needs. Null,
  // and an error in `status`, if there is none.
  template <typename Function>
  Function Find(const char* name) {
    return reinterpret_cast<Function>(Address(name));
  }

  // OK, or the first thing that was not there.
  const absl::Status& status() const { return status_; }

 private:
  void* Address(const char* name);

  const char* file_;
  const char* package_;
  void* handle_;
  absl::Status status_;
};

// A member, named and typed as the function is.
#define TAPE_FUNCTION_OF(library, name) \
  decltype(&::name) name = library.Find<decltype(&::name)>(#name)

}  // namespace tape

#endif  // TAPE_FRAMEWORK_REPORT_SHARED_LIBRARY_H_
