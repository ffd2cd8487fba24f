// The network whose inference compare_inference.py times in several libraries:
// 784 pixels, ReLU layers of 256 and 128 units, 10 logits. Defines its weights and
// images by formulas, so that all programs compute the same numbers, and serves the
// driver's lines:
//
//   floats threads=2 batch=100         microseconds of a forward pass
//   logits floats threads=2 batch=100  the logits of all images, on one line
//   library                            the library's name and version, and, after a
//                                      comma, those of what it computes products by
//   versions                           the same with its system's and compiler's
//   list                               the kinds of passes, here "floats"
//
// Includes nothing of ours but rounds.h, so that programs of other libraries can be
// compiled by themselves in a chroot of another Debian.
#ifndef TAPE_BENCH_INFERENCE_LINE_H_
#define TAPE_BENCH_INFERENCE_LINE_H_

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "bench/rounds.h"

namespace tape {

inline constexpr std::array<int64_t, 4> kLayerUnits = {784, 256, 128, 10};
inline constexpr int64_t kPixels = kLayerUnits.front();
inline constexpr int64_t kLogits = kLayerUnits.back();

// Returns 32 random bits, the i-th of sequence `stream`: SplitMix64.
inline uint32_t RandomBits(uint64_t stream, uint64_t i) {
  uint64_t z = (stream << 40) + (i + 1) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return static_cast<uint32_t>((z ^ (z >> 31)) >> 32);
}

// Returns `count` numbers, uniform on [-bound, bound].
inline std::vector<float> UniformNumbers(uint64_t stream, int64_t count,
                                         double bound) {
  std::vector<float> numbers(count);
  for (int64_t i = 0; i < count; ++i) {
    const double unit = RandomBits(stream, i) / 4294967295.0;
    numbers[i] = static_cast<float>(bound * (2 * unit - 1));
  }
  return numbers;
}

// y = x weights + biases, and ReLU but for the last layer.
struct DenseLayer {
  int64_t inputs, units;
  std::vector<float> weights;  // [inputs, units], row-major.
  std::vector<float> biases;   // [units]
};

inline std::vector<DenseLayer> MakeLayers() {
  std::vector<DenseLayer> layers;
  for (size_t i = 0; i + 1 < kLayerUnits.size(); ++i) {
    const int64_t inputs = kLayerUnits[i], units = kLayerUnits[i + 1];
    const double bound = std::sqrt(6.0 / static_cast<double>(inputs));
    layers.push_back({inputs, units,
                      UniformNumbers(2 * i, inputs * units, bound),
                      UniformNumbers(2 * i + 1, units, 0.5)});
  }
  return layers;
}

// The pixels of `batch` images, [batch, kPixels].
inline std::vector<uint8_t> MakeBytes(int64_t batch) {
  std::vector<uint8_t> bytes(batch * kPixels);
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<uint8_t>(RandomBits(1000, i));
  }
  return bytes;
}

// The same images as floats in [0, 1].
inline std::vector<float> MakeFloats(int64_t batch) {
  const std::vector<uint8_t> bytes = MakeBytes(batch);
  std::vector<float> floats(bytes.size());
  for (size_t i = 0; i < bytes.size(); ++i) {
    floats[i] = static_cast<float>(bytes[i]) / 255.0f;
  }
  return floats;
}

// Runs the network on images that stay in memory from one run to the next, and
// returns where the logits are, [batch, kLogits].
using ForwardPass = std::function<const float*()>;

struct InferenceLine {
  std::string kind;  // Such as "floats"; each program has its own.
  int threads = 0;
  int64_t batch = 0;
};

// `threads` and `batch` are 0 if the line does not give them.
inline InferenceLine ParseInferenceLine(const std::string& line) {
  std::istringstream words(line);
  InferenceLine asked;
  words >> asked.kind;
  for (std::string word; words >> word;) {
    const size_t equals = word.find('=');
    if (equals == std::string::npos) continue;
    const std::string key = word.substr(0, equals);
    const char* const value = word.c_str() + equals + 1;
    if (key == "threads") asked.threads = std::atoi(value);
    if (key == "batch") asked.batch = std::atoll(value);
  }
  return asked;
}

inline void PrintLogits(const float* logits, int64_t count) {
  std::string text;
  for (int64_t i = 0; i < count; ++i) {
    char number[32];
    std::snprintf(number, sizeof(number), "%.9g ",
                  static_cast<double>(logits[i]));
    text += number;
  }
  std::cout << text << std::endl;
}

// Answers the driver's lines until stdin ends. `make` is called for each line once
// while the batch stays the same. What it does not know is answered by -1.
inline void ServeInference(
    const std::string& library, const std::vector<std::string>& kinds,
    const std::function<ForwardPass(const InferenceLine& line)>& make) {
  std::map<std::string, ForwardPass> passes;
  int64_t batch = 0;
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "library" || line == "versions") {
      std::cout << (line == "library" ? library : Versions(library))
                << std::endl;
      continue;
    }
    if (line == "list") {
      for (const std::string& kind : kinds) std::cout << kind << "\n";
      std::cout << std::endl;
      continue;
    }
    const std::string prefix = "logits ";
    const bool prints = line.rfind(prefix, 0) == 0;
    const std::string told = prints ? line.substr(prefix.size()) : line;
    const InferenceLine asked = ParseInferenceLine(told);
    if (asked.batch != batch) passes.clear();
    batch = asked.batch;
    if (passes.count(told) == 0) {
      const bool is_whole = asked.threads > 0 && asked.batch > 0;
      passes[told] = is_whole ? make(asked) : nullptr;
    }
    const ForwardPass& pass = passes[told];
    if (pass == nullptr) {
      std::cout << -1 << std::endl;
    } else if (prints) {
      PrintLogits(pass(), asked.batch * kLogits);
    } else {
      std::cout << TimeRound([&pass] { pass(); }) << std::endl;
    }
  }
}

}  // namespace tape

#endif  // TAPE_BENCH_INFERENCE_LINE_H_
