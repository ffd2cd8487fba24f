// Limits of control groups (control_groups.h): which groups, where they are
// mounted, what their files say. Tested by tests/core/control_groups_test.cc.
#include "framework/core/control_groups.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <limits>
#include <optional>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace tape {
namespace {

std::string ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool HasController(absl::string_view list, absl::string_view controller) {
  const std::vector<absl::string_view> controllers = absl::StrSplit(list, ',');
  return std::find(controllers.begin(), controllers.end(), controller) !=
         controllers.end();
}

// A hierarchy that is mounted somewhere.
struct Mount {
  bool second_version;
  std::string group;  // That is seen at `folder`.
  std::string folder;
};

// A path of mountinfo, in which a space is "\040".
std::string Unescaped(absl::string_view text) {
  std::string path;
  for (size_t i = 0; i < text.size(); ++i) {
    int code = 0;
    if (text[i] != '\\' || i + 3 >= text.size()) {
      path.push_back(text[i]);
      continue;
    }
    for (int digit = 0; digit < 3; ++digit) code = 8 * code + text[++i] - '0';
    path.push_back(static_cast<char>(code));
  }
  return path;
}

std::vector<Mount> Mounts(absl::string_view controller,
                          const std::string& root) {
  // Where they usually are, if mountinfo cannot be read.
  std::vector<Mount> mounts = {
      {true, "/", "/sys/fs/cgroup"},
      {true, "/", "/sys/fs/cgroup/unified"},
      {false, "/", absl::StrCat("/sys/fs/cgroup/", controller)}};
  const std::string table = ReadText(root + "/proc/self/mountinfo");
  for (absl::string_view line : absl::StrSplit(table, '\n')) {
    // "36 35 98:0 /group /folder rw shared:1 - cgroup2 none rw", where any
    // number of fields stands before "-".
    const std::vector<absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(" - ", 1));
    if (parts.size() != 2) continue;
    const std::vector<absl::string_view> mount = absl::StrSplit(parts[0], ' ');
    const std::vector<absl::string_view> type = absl::StrSplit(parts[1], ' ');
    if (mount.size() < 5 || type.size() < 3) continue;
    const bool second = type[0] == "cgroup2";
    if (second || (type[0] == "cgroup" && HasController(type[2], controller))) {
      mounts.push_back({second, Unescaped(mount[3]), Unescaped(mount[4])});
    }
  }
  return mounts;
}

// The path of `group` below that of the mount; of a group outside of it, none.
absl::string_view PathIn(const Mount& mount, absl::string_view group) {
  absl::string_view path = group;
  if (!absl::StartsWith(path, "/")) return "";
  if (mount.group != "/") {
    if (!absl::StartsWith(path, mount.group)) return "";
    path.remove_prefix(mount.group.size());
    if (!path.empty() && path[0] != '/') return "";
  }
  // Above what a namespace shows.
  return path == "/" || absl::StrContains(path, "..") ? "" : path;
}

// The folders of the groups of `controller` that the process is in, and of
// those above them. In a container, a path may be the machine's, and a folder
// not there.
std::vector<std::string> Folders(absl::string_view controller,
                                 const std::string& root) {
  std::vector<std::string> folders;
  const std::vector<Mount> mounts = Mounts(controller, root);
  const std::string groups = ReadText(root + "/proc/self/cgroup");
  for (absl::string_view line : absl::StrSplit(groups, '\n')) {
    // "5:memory,hugetlb:/a/b", or "0::/a/b" of version 2.
    const std::vector<absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3) continue;
    const bool second = parts[1].empty();
    if (!second && !HasController(parts[1], controller)) continue;
    for (const Mount& mount : mounts) {
      if (mount.second_version != second) continue;
      absl::string_view path = PathIn(mount, parts[2]);
      while (true) {
        folders.push_back(absl::StrCat(root, mount.folder, path));
        if (path.empty()) break;
        path = path.substr(0, path.rfind('/'));
      }
    }
  }
  return folders;
}

// The numbers in a file, such as "150000 100000"; none where there is another
// word ("max"), or no file.
std::vector<double> NumbersIn(const std::string& path) {
  std::vector<double> numbers;
  const std::string text = ReadText(path);
  for (absl::string_view word :
       absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    double number;
    if (!absl::SimpleAtod(word, &number)) return {};
    numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

double ControlGroupProcessors(const std::string& root) {
  double processors = std::numeric_limits<double>::infinity();
  for (const std::string& folder : Folders("cpu", root)) {
    // Of version 2, or of version 1, where -1 is no quota: the microseconds of
    // all processors in a period, and those of the period.
    std::vector<double> quota = NumbersIn(folder + "/cpu.max");
    if (quota.empty()) {
      quota = NumbersIn(folder + "/cpu.cfs_quota_us");
      for (double period : NumbersIn(folder + "/cpu.cfs_period_us")) {
        quota.push_back(period);
      }
    }
    if (quota.size() == 2 && quota[0] > 0 && quota[1] > 0) {
      processors = std::min(processors, quota[0] / quota[1]);
    }
  }
  return processors;
}

uint64_t ControlGroupMemory(const std::string& root) {
  uint64_t smallest = std::numeric_limits<uint64_t>::max();
  for (const std::string& folder : Folders("memory", root)) {
    for (const char* name : {"/memory.max", "/memory.limit_in_bytes"}) {
      uint64_t limit;
      if (absl::SimpleAtoi(ReadText(folder + name), &limit)) {
        smallest = std::min(smallest, limit);
      }
    }
  }
  return smallest;
}

}  // namespace tape
