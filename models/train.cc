// train: the main program. Trains one experiment and says how it went; see
// --help. Tested by tests/models/train_program_test.cc.
#include "models/program.h"
#include "models/train_flags.h"
#include "models/train_program.h"

int main(int argc, char** argv) {
  if (const absl::Status status = tape::ParseTrainFlags(argc, argv);
      !status.ok()) {
    return tape::ExitCode(status);
  }
  return tape::RunTrainProgram(tape::SelfCommunicator());
}
