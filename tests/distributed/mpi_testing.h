// Programs under mpirun, as a user starts them.
#ifndef TAPE_TESTS_DISTRIBUTED_MPI_TESTING_H_
#define TAPE_TESTS_DISTRIBUTED_MPI_TESTING_H_

#include <sys/types.h>

#include <map>
#include <string>
#include <vector>

#include "tests/models/program_testing.h"

namespace tape {

// Part of an mpirun: so many ranks of a program with these arguments.
struct Ranks {
  int ranks;
  std::vector<std::string> arguments;
};

// Runs mpirun with a program that is among the test's data, each of the parts with
// ranks of its own: mpirun -n 1 program … : -n 2 program …. The output is that of
// all ranks and of mpirun.
Outcome RunMpi(const std::string& program, const std::vector<Ranks>& parts,
               ProcessOptions options = {});

// The processes of a program that descend from the process `mpirun`, by rank.
std::map<int, pid_t> ProcessesOf(pid_t mpirun, const std::string& program);

}  // namespace tape

#endif  // TAPE_TESTS_DISTRIBUTED_MPI_TESTING_H_
