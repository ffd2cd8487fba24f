// Ends a program that has too little memory for its shared libraries to start.
//
// oneDNN makes code, and Abseil its tables of flags, in constructors that run
// before main(). Both abort when they find no memory. Only .preinit_array runs
// earlier, in the program itself; a shared object must not have one. Tested by
// tests/models/little_memory_test.cc.
#include <sys/mman.h>
#include <unistd.h>

namespace tape {
namespace {

// The sanitizers take terabytes of addresses, and are not ready yet.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

void NeedMemoryForLibraries(int, char**, char**) {
  // oneDNN 3.7 and Abseil 20240722 take 5 MB.
  constexpr size_t kBytes = 8 << 20;
  void* const memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory != MAP_FAILED) {
    munmap(memory, kBytes);
    return;
  }
  constexpr char kMessage[] = "there is no memory left for this program\n";
  [[maybe_unused]] const ssize_t written =
      write(STDERR_FILENO, kMessage, sizeof(kMessage) - 1);
  _exit(1);
}

using Initializer = void (*)(int, char**, char**);
[[gnu::section(".preinit_array"), gnu::used]] const Initializer kFirst =
    NeedMemoryForLibraries;

#endif

}  // namespace
}  // namespace tape
