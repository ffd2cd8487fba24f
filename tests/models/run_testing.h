// What tests of the training programs have in common: a small data set, folders,
// and what a run has left in its own.
#ifndef TAPE_TESTS_MODELS_RUN_TESTING_H_
#define TAPE_TESTS_MODELS_RUN_TESTING_H_

#include <filesystem>
#include <map>
#include <string>

namespace tape {

// The folder of a small data set of images, 600 for training and 100 for testing,
// made once: for --data_dir.
const std::string& SmallDataFolder();

// The path of a folder that is not there.
std::filesystem::path NewFolder(const std::string& name);

// metrics.csv without the wall clock's column, which no two runs share.
std::string MetricsOf(const std::filesystem::path& run);

// The newest checkpoint's arrays by name: variables, optimiser state, the best
// model, the order of the samples; its file's name is "@path". Not the state's
// JSON, which has the seconds.
std::map<std::string, std::string> LastArrays(const std::filesystem::path& run);

// The name of the newest checkpoint; empty if there is none.
std::string NewestCheckpoint(const std::filesystem::path& run);

// What a run has left, as text and bits.
struct Left {
  explicit Left(const std::filesystem::path& run);
  friend bool operator==(const Left&, const Left&) = default;

  std::string metrics;
  std::map<std::string, std::string> arrays;
  std::string model;
};

void SleepFor(double seconds);

}  // namespace tape

#endif  // TAPE_TESTS_MODELS_RUN_TESTING_H_
