// train_mpi: the program train as several processes that train one model:
//
//   mpirun -n 4 bazel-bin/models/train_mpi --shards=8 --experiment=NAME
//
// Rank 0 prints and writes what train does. Tested by
// tests/models/train_mpi_test.cc.
#include <fcntl.h>
#include <unistd.h>

#include <memory>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "framework/distributed/mpi.h"
#include "models/program.h"
#include "models/train_flags.h"
#include "models/train_program.h"

namespace {

// Has a rank print nothing while it lives: rank 0 says what all have to say.
class Silence {
 public:
  explicit Silence(int file) : file_(file), kept_(dup(file)) {
    const int nothing = open("/dev/null", O_WRONLY);
    if (nothing < 0) return;
    dup2(nothing, file_);
    close(nothing);
  }
  ~Silence() {
    if (kept_ < 0) return;
    dup2(kept_, file_);
    close(kept_);
  }

 private:
  const int file_, kept_;
};

}  // namespace

int main(int argc, char** argv) {
  const absl::StatusOr<std::unique_ptr<tape::Mpi>> mpi =
      tape::Mpi::Start(argc, argv);
  if (!mpi.ok()) return tape::ExitCode(mpi.status());
  tape::Mpi& ranks = **mpi;
  std::unique_ptr<Silence> out, error;
  if (ranks.rank() != 0) {
    out = std::make_unique<Silence>(STDOUT_FILENO);
    error = std::make_unique<Silence>(STDERR_FILENO);
  }
  // All ranks have the same flags, and exit alike.
  if (const absl::Status status = tape::ParseTrainFlags(argc, argv);
      !status.ok()) {
    return tape::ExitCode(status);
  }
  error = nullptr;
  return tape::RunTrainProgram(ranks);
}
