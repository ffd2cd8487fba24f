// What the programs train and train_mpi do once their flags are read: train one
// experiment and say how it went. Tested by tests/models/train_program_test.cc and
// tests/models/train_mpi_test.cc.
#ifndef TAPE_MODELS_TRAIN_PROGRAM_H_
#define TAPE_MODELS_TRAIN_PROGRAM_H_

#include "framework/distributed/communicator.h"

namespace tape {

// Runs the program of the flags (train_flags.h) as one of the ranks, of which rank
// 0 prints and writes files. Returns its exit code.
int RunTrainProgram(Communicator& ranks);

}  // namespace tape

#endif  // TAPE_MODELS_TRAIN_PROGRAM_H_
