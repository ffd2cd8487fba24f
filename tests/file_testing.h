// Files in tests, read and written by the standard library alone: no second
// opinion about ours. A file that cannot be read is empty.
#ifndef TAPE_TESTS_FILE_TESTING_H_
#define TAPE_TESTS_FILE_TESTING_H_

#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/string_view.h"

namespace tape {

inline std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Returns the path.
inline std::string WriteText(const std::string& path, absl::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
  return path;
}

}  // namespace tape

#endif  // TAPE_TESTS_FILE_TESTING_H_
