// What the programs of this folder have in common: how they read flags and
// print help.
#ifndef TAPE_MODELS_PROGRAM_H_
#define TAPE_MODELS_PROGRAM_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace tape {

// A flag as --help shows it: "--epochs=N", and then the flag's own help.
struct ShownFlag {
  absl::string_view name;
  absl::string_view value;  // Empty for a bool.
};

// Reads the command line into the flags. For --help (or -h) prints `usage` and
// `flags`, for --version the version, and exits with 0. An argument that is no
// flag is an error; a flag with an empty value ("--epochs=$N" of a script) exits
// with 1 after an error; of an unknown flag, or a value that does not parse,
// Abseil says so and exits with 1.
absl::Status ParseFlags(int argc, char** argv, absl::string_view usage,
                        absl::Span<const ShownFlag> flags);

// The same for a program that takes arguments beside flags: these.
std::vector<std::string> ParseFlagsAndArguments(
    int argc, char** argv, absl::string_view usage,
    absl::Span<const ShownFlag> flags);

// "--flag: expected …, found …".
absl::Status WrongFlag(absl::string_view flag, absl::string_view expected,
                       absl::string_view found);

// What --threads says: 0, for all processors, if it was not given. An error
// unless it is 1 to kMaxThreads.
absl::StatusOr<int> ThreadsFromFlag(std::optional<int> flag);

// What main returns: 0; or 1 after printing the error, be it only that standard
// output did not take all that was printed.
int ExitCode(const absl::Status& status);
// The same of what `program` returns or throws.
int ExitCode(const std::function<absl::Status()>& program);

}  // namespace tape

#endif  // TAPE_MODELS_PROGRAM_H_
