// The flags of train for a user's own data (--data), beside those of every run
// (train_flags.h). Tested by tests/models/user_data_program_test.cc.
#ifndef TAPE_MODELS_USER_FLAGS_H_
#define TAPE_MODELS_USER_FLAGS_H_

#include <string>

#include "absl/flags/declare.h"
#include "absl/status/status.h"
#include "models/training_run.h"

ABSL_DECLARE_FLAG(std::string, data);

namespace tape {

// Changes a run on a user's own data, whose other settings are known, to what the
// flags ask for; of another run, refuses that they ask for anything. Errors name
// the flag, what was expected and what was found.
absl::Status ReadUserFlags(RunSettings& run);

}  // namespace tape

#endif  // TAPE_MODELS_USER_FLAGS_H_
