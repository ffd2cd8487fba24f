// A training run that ends at a given test accuracy: the flags, the settings and the
// loop that time_to_accuracy.cc and libtorch_time_to_accuracy.cc share. Includes
// nothing of Tape, so that the latter can be compiled by itself in a chroot.
#ifndef TAPE_BENCH_ACCURACY_RUN_H_
#define TAPE_BENCH_ACCURACY_RUN_H_

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tape {

// ---- Settings ----

// The network and its training: a perceptron with ReLU, He's uniform weights and
// zero biases, mean softmax cross-entropy, Adam with beta1 0.9 and epsilon 1e-8.
struct AccuracySetting {
  std::vector<int64_t> hidden;  // Units of each hidden layer.
  int64_t batch = 128;
  double rate = 0;       // Largest learning rate.
  double beta2 = 0.999;  // Of Adam.
  double smoothing = 0;  // Of the labels.
  double shift = 0;      // Pixels are (grey level / 255 - shift) scale.
  double scale = 1;
  int64_t warmup = 0;   // Steps of linear rise to `rate`.
  int64_t decay = 1;    // Steps of linear fall from `rate`, after the warm-up.
  double end_rate = 0;  // The rate from there on.
  int64_t evaluate_from =
      0;  // The first step after which accuracy is measured.
  int64_t evaluate_every = 1;  // Steps from there to the next measurement.
  int64_t max_steps =
      0;  // The run has failed if these do not reach the target.
};

// The learning rate of the step that `step` steps precede.
inline double LearningRate(const AccuracySetting& setting, int64_t step) {
  if (step < setting.warmup) {
    return setting.rate * (step + 1) / (setting.warmup + 1);
  }
  const double done =
      std::min(1.0, static_cast<double>(step - setting.warmup) / setting.decay);
  return setting.end_rate + (setting.rate - setting.end_rate) * (1 - done);
}

// ---- Flags ----

struct AccuracyRun {
  std::string data;    // "mnist" or "fashion".
  std::string folder;  // With its four IDX files.
  double target = 0;   // Test accuracy at which the run ends.
  uint64_t seed = 0;   // Of weights and order.
  int threads = 2;
  bool log = false;  // Prints each measurement, and times to stderr.
  AccuracySetting setting;
};

// Prints the error and ends the program.
[[noreturn]] inline void FailFlag(std::string_view flag,
                                  std::string_view expected,
                                  std::string_view found) {
  std::fprintf(stderr, "error: %.*s: expected %.*s, found \"%.*s\"\n",
               static_cast<int>(flag.size()), flag.data(),
               static_cast<int>(expected.size()), expected.data(),
               static_cast<int>(found.size()), found.data());
  std::exit(1);
}

template <typename T>
T ParseNumber(std::string_view flag, std::string_view text, T low, T high,
              std::string_view expected) {
  T value{};
  const auto [end, error] =
      std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() ||
      !(value >= low && value <= high)) {
    FailFlag(flag, expected, text);
  }
  return value;
}

// Changes the fields that `line` names: "hidden=256,128 batch=64 rate=0.01".
inline void ParseSetting(const std::string& line, AccuracySetting& setting) {
  constexpr int64_t kMost = 1000000;
  std::istringstream words(line);
  for (std::string word; words >> word;) {
    const size_t equals = std::min(word.find('='), word.size());
    const std::string name = word.substr(0, equals);
    const std::string value = word.substr(std::min(equals + 1, word.size()));
    const std::string flag = "--setting: " + name;
    const auto count = [&](int64_t low) {
      return ParseNumber<int64_t>(flag, value, low, kMost,
                                  low == 0 ? "a whole number of at least 0"
                                           : "a whole number of at least 1");
    };
    const auto number = [&](double low, double high,
                            std::string_view expected) {
      return ParseNumber<double>(flag, value, low, high, expected);
    };
    if (name == "hidden") {
      setting.hidden.clear();
      std::istringstream parts(value);
      for (std::string part; std::getline(parts, part, ',');) {
        setting.hidden.push_back(ParseNumber<int64_t>(
            flag, part, 1, kMost, "whole numbers of at least 1"));
      }
    } else if (name == "batch") {
      setting.batch = count(1);
    } else if (name == "rate") {
      setting.rate = number(0, 1e3, "a number of at least 0");
    } else if (name == "beta2") {
      setting.beta2 = number(0, 0.999999, "a number from 0 to below 1");
    } else if (name == "smoothing") {
      setting.smoothing = number(0, 1, "a number from 0 to 1");
    } else if (name == "shift") {
      setting.shift = number(-1e3, 1e3, "a number");
    } else if (name == "scale") {
      setting.scale = number(1e-3, 1e3, "a number above 0");
    } else if (name == "warmup") {
      setting.warmup = count(0);
    } else if (name == "decay") {
      setting.decay = count(1);
    } else if (name == "end_rate") {
      setting.end_rate = number(0, 1e3, "a number of at least 0");
    } else if (name == "evaluate_from") {
      setting.evaluate_from = count(1);
    } else if (name == "evaluate_every") {
      setting.evaluate_every = count(1);
    } else if (name == "max_steps") {
      setting.max_steps = count(1);
    } else {
      FailFlag("--setting", "a field of AccuracySetting", name);
    }
  }
}

// The setting of one target, found by search on seeds from 1000 on.
struct TargetSetting {
  std::string_view data;
  std::string_view target;
  const char* line;
};
inline constexpr TargetSetting kTargetSettings[] = {
    {"mnist", "0.97",
     "hidden=128 batch=128 rate=0.008 beta2=0.95 smoothing=0.1 scale=2 "
     "warmup=37 decay=338 end_rate=0.0004 "
     "evaluate_from=375 evaluate_every=47 max_steps=1125"},
    {"mnist", "0.98",
     "hidden=256 batch=128 rate=0.006 beta2=0.95 smoothing=0.1 scale=2 "
     "warmup=98 decay=558 end_rate=0.00018 "
     "evaluate_from=656 evaluate_every=47 max_steps=1968"},
    {"fashion", "0.89",
     "hidden=256,128 batch=256 rate=0.006 beta2=0.95 smoothing=0.05 scale=2 "
     "shift=0.28 warmup=234 decay=937 end_rate=0.00012 "
     "evaluate_from=1171 evaluate_every=58 max_steps=3513"},
};

inline AccuracyRun ParseAccuracyFlags(int argc, char** argv) {
  AccuracyRun run;
  std::string target, setting;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    const size_t equals = std::min(argument.find('='), argument.size());
    const std::string flag = argument.substr(0, equals);
    const std::string value =
        argument.substr(std::min(equals + 1, argument.size()));
    if (flag == "--data") {
      if (value != "mnist" && value != "fashion") {
        FailFlag(flag, "mnist or fashion", value);
      }
      run.data = value;
    } else if (flag == "--target") {
      run.target = ParseNumber<double>(flag, value, 1e-9, 1.0,
                                       "an accuracy above 0, at most 1");
      target = value;
    } else if (flag == "--seed") {
      run.seed = ParseNumber<uint64_t>(flag, value, 0, UINT64_MAX,
                                       "a whole number of at least 0");
    } else if (flag == "--threads") {
      run.threads = ParseNumber<int>(flag, value, 1, 1024,
                                     "a whole number from 1 to 1024");
    } else if (flag == "--folder") {
      run.folder = value;
    } else if (flag == "--setting") {
      setting = value;
    } else if (argument == "--log") {
      run.log = true;
    } else {
      FailFlag(flag,
               "--data, --target, --seed, --threads, --folder, --setting or "
               "--log",
               argument);
    }
  }
  if (run.data.empty()) FailFlag("--data", "mnist or fashion", "");
  if (target.empty()) {
    FailFlag("--target", "an accuracy above 0, at most 1", "");
  }
  if (run.folder.empty()) {
    run.folder = run.data == "mnist" ? "/usr/local/share/datasets/mnist"
                                     : "/usr/share/datasets/fashion-mnist";
  }
  bool known = false;
  for (const TargetSetting& one : kTargetSettings) {
    if (one.data != run.data || one.target != target) continue;
    ParseSetting(one.line, run.setting);
    known = true;
  }
  if (!known && setting.empty()) {
    FailFlag("--target",
             "0.97 or 0.98 of mnist, 0.89 of fashion, or a --setting", target);
  }
  ParseSetting(setting, run.setting);
  if (run.setting.max_steps == 0) {
    FailFlag("--setting", "max_steps of at least 1", setting);
  }
  return run;
}

// ---- The run ----

using AccuracyClock = std::chrono::steady_clock;

// Milliseconds since the first call, to stderr, if the run logs.
inline void LogTime(const AccuracyRun& run, const char* what) {
  static const AccuracyClock::time_point start = AccuracyClock::now();
  if (!run.log) return;
  std::fprintf(
      stderr, "%8.2f ms %s\n",
      std::chrono::duration<double, std::milli>(AccuracyClock::now() - start)
          .count(),
      what);
}

// Calls train(rate) for step after step, and correct(), which returns how many of
// `samples` test images are classified right, when the setting says so. Prints the
// line "reached step=… correct=…" or "missed …", and returns the exit code.
template <typename Train, typename Correct>
int RunToAccuracy(const AccuracyRun& run, int64_t samples, Train train,
                  Correct correct) {
  const AccuracySetting& setting = run.setting;
  const auto wanted =
      static_cast<int64_t>(std::ceil(run.target * samples - 1e-6));
  int64_t best = 0;
  for (int64_t step = 0; step < setting.max_steps;) {
    train(LearningRate(setting, step));
    ++step;
    if (step == 1) LogTime(run, "first step");
    if (step < setting.evaluate_from ||
        (step - setting.evaluate_from) % setting.evaluate_every != 0) {
      continue;
    }
    if (run.log) LogTime(run, "before evaluation");
    const int64_t found = correct();
    best = std::max(best, found);
    if (run.log) {
      std::printf("evaluated step=%lld correct=%lld\n",
                  static_cast<long long>(step), static_cast<long long>(found));
      LogTime(run, "evaluated");
    }
    if (found < wanted) continue;
    std::printf("reached step=%lld correct=%lld\n",
                static_cast<long long>(step), static_cast<long long>(found));
    std::fflush(stdout);
    return 0;
  }
  std::printf("missed step=%lld correct=%lld\n",
              static_cast<long long>(setting.max_steps),
              static_cast<long long>(best));
  std::fflush(stdout);
  return 1;
}

}  // namespace tape

#endif  // TAPE_BENCH_ACCURACY_RUN_H_
