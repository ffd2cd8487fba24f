// Files in tests, read and written by the standard library alone: no second
// opinion about ours. A file that cannot be read is empty.
#ifndef TAPE_TESTS_FILE_TESTING_H_
#define TAPE_TESTS_FILE_TESTING_H_

#include <sys/resource.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/string_view.h"

namespace tape {

// Whether the address sanitizer is in this program. A limit of the address space
// (RLIMIT_AS) leaves it no room for its shadow memory.
#ifdef __SANITIZE_ADDRESS__
inline constexpr bool kUnderAddressSanitizer = true;
#else
inline constexpr bool kUnderAddressSanitizer = false;
#endif

inline std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Returns the path.
inline std::string WriteText(const std::string& path, absl::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

// What another process reads in the file now.
inline std::string ReadByAnotherProcess(const std::string& path) {
  std::string text;
  if (std::FILE* const pipe = popen(("cat '" + path + "'").c_str(), "r")) {
    for (int c; (c = std::fgetc(pipe)) != EOF;) {
      text.push_back(static_cast<char>(c));
    }
    pclose(pipe);
  }
  return text;
}

// Within its life, files of this process cannot grow over `bytes`: a disk that
// becomes full in the middle of a line.
class LargestFile {
 public:
  explicit LargestFile(rlim_t bytes) {
    old_handler_ = std::signal(SIGXFSZ, SIG_IGN);  // An errno instead.
    getrlimit(RLIMIT_FSIZE, &old_limit_);
    rlimit limit = old_limit_;
    limit.rlim_cur = bytes;
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~LargestFile() {
    setrlimit(RLIMIT_FSIZE, &old_limit_);
    std::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_limit_;
  void (*old_handler_)(int);
};

}  // namespace tape

#endif  // TAPE_TESTS_FILE_TESTING_H_
