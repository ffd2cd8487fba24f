// A training step to be timed, as compare.py names it on a line:
//
//   modules threads=2 sizes=784,40,10 batch=16 optimizer=sgd activation=relu
//   order=fixed learning_rate=0.01 l2=0
//
// (all of it on one). Nothing else of ours is included here, so that others'
// steps can be compiled by themselves, in a chroot of another Debian.
#ifndef TAPE_BENCH_STEP_LINE_H_
#define TAPE_BENCH_STEP_LINE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "bench/rounds.h"

namespace tape {

struct StepLine {
  std::string what;  // Which step, or part of it.
  int threads = 1;
  std::vector<int64_t> sizes;  // Pixels, then the units of each layer.
  int64_t batch = 1;
  std::string optimizer;   // sgd, momentum (of 0.9) or adam.
  std::string activation;  // relu or sigmoid; of the last layer none.
  std::string order;  // fixed, or each batch is gathered from the whole set.
  double learning_rate = 0;
  double l2 = 0;  // Its gradient is 2 l2 w.
};

inline StepLine ParseStepLine(const std::string& line) {
  std::istringstream words(line);
  StepLine step;
  words >> step.what;
  std::map<std::string, std::string> values;
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    values[word.substr(0, equals)] = word.substr(equals + 1);
  }
  step.threads = std::stoi(values.at("threads"));
  std::istringstream sizes(values.at("sizes"));
  for (std::string size; std::getline(sizes, size, ',');) {
    step.sizes.push_back(std::stoll(size));
  }
  step.batch = std::stoll(values.at("batch"));
  step.optimizer = values.at("optimizer");
  step.activation = values.at("activation");
  step.order = values.at("order");
  step.learning_rate = std::stod(values.at("learning_rate"));
  step.l2 = std::stod(values.at("l2"));
  return step;
}

// Serves steps (rounds.h), which are made when they are first asked for, and let go
// with those of another config.
inline void ServeSteps(const std::string& libraries,
                       const std::vector<std::string>& names,
                       const CallMaker& make) {
  std::string config;
  std::map<std::string, std::function<void()>> calls;
  const auto call_of = [&](const std::string& line) -> std::function<void()> {
    const size_t begin = line.find(" sizes=");
    if (begin == std::string::npos) return nullptr;
    const std::string asked = line.substr(begin);
    if (asked != config) calls.clear();
    config = asked;
    if (!calls.contains(line)) calls[line] = make(line);
    return calls[line];
  };
  ServeRounds(libraries, names, call_of);
}

}  // namespace tape

#endif  // TAPE_BENCH_STEP_LINE_H_
