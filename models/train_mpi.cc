// train_mpi: the program train as several processes that train one model:
//
//   mpirun -n 4 bazel-bin/models/train_mpi --shards=8 --experiment=NAME
//
// Rank 0 prints and writes what train does. Tested by
// tests/models/train_mpi_test.cc.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "framework/distributed/mpi.h"
#include "framework/train/ranks.h"
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

// The flags that are compared by their values once they are read, in the record of
// the run, and those that may differ.
bool IsComparedLater(absl::string_view name) {
  constexpr absl::string_view kNames[] = {
      "experiment", "variant",    "seed",
      "epochs",     "batch_size", "learning_rate",
      "l1",         "l2",         "proximal_l1",
      "validation", "stratified", "precision",
      "shards",     "bf16_sums",  "on_divergence",
      "data",       "data_dir",   "target",
      "task",       "test",       "layers",
      "activation", "batch_norm", "dropout",
      "optimizer",  "schedule",   "patience",
      "threads",    "mpi_timeout"};
  return std::find(std::begin(kNames), std::end(kNames), name) !=
         std::end(kNames);
}

// The other arguments, by which ranks go different ways: before any is read, they
// must be the same on all ranks.
tape::Identity ArgumentsOf(int argc, char** argv) {
  std::string text;
  for (int i = 1; i < argc; ++i) {
    absl::string_view name = argv[i];
    while (absl::ConsumePrefix(&name, "-")) {
    }
    name = name.substr(0, name.find('='));
    if (IsComparedLater(name)) continue;
    if (absl::ConsumePrefix(&name, "no") && IsComparedLater(name)) continue;
    absl::StrAppend(&text, text.empty() ? "" : " ", argv[i]);
  }
  return {{"the arguments", absl::StrCat("\"", text, "\"")}};
}

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
  if (const absl::Status status =
          tape::CheckRanksAgree(ranks, ArgumentsOf(argc, argv));
      !status.ok()) {
    ranks.Abort(status);
  }
  // A flag that does not parse is wrong on all ranks, which exit alike.
  if (const absl::Status status = tape::ParseTrainFlags(argc, argv);
      !status.ok()) {
    return tape::ExitCode(status);
  }
  error = nullptr;
  return tape::RunTrainProgram(ranks);
}
