// Programs under mpirun (mpi_testing.h): of Open MPI, also as root, or MPICH.
#include "tests/distributed/mpi_testing.h"

#include <cstdlib>
#include <filesystem>
#include <sstream>
#include <system_error>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;

// The parent of a process; 0 if it has ended.
pid_t ParentOf(pid_t process) {
  const std::string stat = ReadText(absl::StrCat("/proc/", process, "/stat"));
  // "PID (NAME) STATE PARENT …", where a name may have any character.
  const size_t end = stat.rfind(')');
  if (end == std::string::npos) return 0;
  std::istringstream rest(stat.substr(end + 1));
  char state;
  pid_t parent = 0;
  rest >> state >> parent;
  return state == 'Z' ? 0 : parent;
}

bool Descends(pid_t process, pid_t from) {
  while (process > 1 && process != from) process = ParentOf(process);
  return process == from;
}

// The rank that Open MPI or MPICH gave a process; -1 if it has none.
int RankOf(pid_t process) {
  const std::string environment =
      ReadText(absl::StrCat("/proc/", process, "/environ"));
  int rank = -1;
  for (absl::string_view entry : absl::StrSplit(environment, '\0')) {
    if (absl::ConsumePrefix(&entry, "OMPI_COMM_WORLD_RANK=") ||
        absl::ConsumePrefix(&entry, "PMI_RANK=")) {
      if (!absl::SimpleAtoi(entry, &rank)) rank = -1;
    }
  }
  return rank;
}

}  // namespace

Outcome RunMpi(const std::string& program, const std::vector<Ranks>& parts,
               ProcessOptions options) {
  setenv("OMPI_ALLOW_RUN_AS_ROOT", "1", 1);
  setenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1", 1);
  // More ranks than processors; as Open MPI's flag --oversubscribe, which MPICH
  // does not know.
  setenv("OMPI_MCA_rmaps_base_oversubscribe", "1", 1);
  setenv("OMPI_MCA_hwloc_base_binding_policy", "none", 1);
  // Open MPI names its files, those of shared memory too, by the process number of
  // mpirun: in sandboxes with process numbers of their own, tests that run at the
  // same time, or were killed, would share them.
  const std::string folder = testing::TempDir() + "/mpi";
  std::error_code ignored;
  fs::remove_all(folder, ignored);
  fs::create_directory(folder);
  for (const char* const name :
       {"OMPI_MCA_btl_vader_backing_directory", "OMPI_MCA_orte_tmpdir_base",
        // Of version 5.
        "OMPI_MCA_btl_sm_backing_directory", "PRTE_MCA_prte_tmpdir_base"}) {
    setenv(name, folder.c_str(), 1);
  }
  std::vector<std::string> arguments = {"mpirun"};
  for (const Ranks& part : parts) {
    if (arguments.size() > 1) arguments.push_back(":");
    arguments.insert(arguments.end(),
                     {"-n", absl::StrCat(part.ranks), program});
    arguments.insert(arguments.end(), part.arguments.begin(),
                     part.arguments.end());
  }
  return RunProgram("/usr/bin/env", std::move(arguments), std::move(options));
}

std::map<int, pid_t> ProcessesOf(pid_t mpirun, const std::string& program) {
  std::map<int, pid_t> processes;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/proc", none)) {
    pid_t process;
    if (!absl::SimpleAtoi(entry.path().filename().string(), &process)) continue;
    const std::string name = fs::path(program).filename();
    if (ReadText(absl::StrCat("/proc/", process, "/comm")) != name + "\n") {
      continue;
    }
    const int rank = RankOf(process);
    if (rank >= 0 && Descends(process, mpirun)) processes[rank] = process;
  }
  return processes;
}

}  // namespace tape
