// c_steps: the steps of tape_steps.cc in plain C style, for compare.py (rounds.h).
// Images are floats from the start. What it times:
//   plain_c    a multilayer perceptron as a small C library such as KANN trains it:
//              products by dnnl_sgemm, all else by loops that the compiler vectorises,
//              which run on one thread; all parameters are in one block, as are their
//              gradients
#include <oneapi/dnnl/dnnl.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "bench/rounds.h"
#include "bench/step_line.h"
#include "ops/openmp.h"

// Compiles a function for AVX-512, AVX2 and any x86-64; the loader picks one by the
// processor.
#if defined(__x86_64__) && !defined(__clang__)
#define VECTORISED \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VECTORISED
#endif

// SIMD(clauses) has GCC vectorise a loop that needs it: of a sum, whose order changes,
// or of expf. The declaration is of glibc's vector exponentials, which its header
// declares under -ffast-math alone.
#if defined(__x86_64__) && !defined(__clang__)
#define PRAGMA(text) _Pragma(#text)
#define SIMD(clauses) PRAGMA(omp simd clauses)
extern "C" __attribute__((simd("notinbranch"))) float expf(float) noexcept;
#else
#define SIMD(clauses)
#endif

namespace {

using tape::StepLine;

constexpr int64_t kSamples = 65536, kPixels = 784, kClasses = 10;

// ---- Memory ----

struct FreeFloats {
  void operator()(float* floats) const { std::free(floats); }
};
using Floats = std::unique_ptr<float[], FreeFloats>;

// Rounds up to whole cache lines.
int64_t Padded(int64_t count) { return (count + 15) / 16 * 16; }

Floats Zeros(int64_t count) {
  const size_t bytes = Padded(count) * sizeof(float);
  auto* const floats = static_cast<float*>(std::aligned_alloc(64, bytes));
  if (floats == nullptr) std::abort();
  std::memset(floats, 0, bytes);
  return Floats(floats);
}

// ---- Loops ----

VECTORISED void AddBiasRelu(float* __restrict y, const float* __restrict bias,
                            int64_t rows, int64_t units) {
  for (int64_t i = 0; i < rows; ++i, y += units) {
    for (int64_t j = 0; j < units; ++j) {
      const float sum = y[j] + bias[j];
      y[j] = sum > 0 ? sum : 0;
    }
  }
}

VECTORISED void AddBiasSigmoid(float* __restrict y,
                               const float* __restrict bias, int64_t rows,
                               int64_t units) {
  for (int64_t i = 0; i < rows; ++i, y += units) {
    SIMD()
    for (int64_t j = 0; j < units; ++j) {
      y[j] = 1 / (1 + expf(-(y[j] + bias[j])));
    }
  }
}

// Multiplies the gradient by the derivative of the activation, whose output is y.
VECTORISED void ReluGradient(float* __restrict gradient,
                             const float* __restrict y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    gradient[i] = y[i] > 0 ? gradient[i] : 0;
  }
}

VECTORISED void SigmoidGradient(float* __restrict gradient,
                                const float* __restrict y, int64_t count) {
  for (int64_t i = 0; i < count; ++i) gradient[i] *= y[i] * (1 - y[i]);
}

// Returns the mean cross entropy of the softmax of y + bias, and writes its gradient
// to `gradient`.
VECTORISED float SoftmaxCrossEntropy(const float* __restrict y,
                                     const float* __restrict bias,
                                     const int32_t* __restrict labels,
                                     int64_t rows, int64_t classes,
                                     float* __restrict gradient) {
  float loss = 0;
  for (int64_t i = 0; i < rows; ++i) {
    const float* const logits = y + i * classes;
    float* const shifted = gradient + i * classes;
    float largest = logits[0] + bias[0];
    SIMD(reduction(max : largest))
    for (int64_t j = 0; j < classes; ++j) {
      shifted[j] = logits[j] + bias[j];
      largest = shifted[j] > largest ? shifted[j] : largest;
    }
    for (int64_t j = 0; j < classes; ++j) shifted[j] -= largest;
    loss -= shifted[labels[i]];
  }
  SIMD()
  for (int64_t i = 0; i < rows * classes; ++i) gradient[i] = expf(gradient[i]);
  const float share = 1 / static_cast<float>(rows);
  for (int64_t i = 0; i < rows; ++i) {
    float* const row = gradient + i * classes;
    float sum = 0;
    SIMD(reduction(+ : sum))
    for (int64_t j = 0; j < classes; ++j) sum += row[j];
    loss += logf(sum);
    const float scale = share / sum;
    for (int64_t j = 0; j < classes; ++j) row[j] *= scale;
    row[labels[i]] -= share;
  }
  return loss * share;
}

VECTORISED void SumRows(const float* __restrict rows, int64_t count,
                        int64_t units, float* __restrict sums) {
  for (int64_t j = 0; j < units; ++j) sums[j] = 0;
  for (int64_t i = 0; i < count; ++i, rows += units) {
    for (int64_t j = 0; j < units; ++j) sums[j] += rows[j];
  }
}

// Updates; decay w is the gradient of the regulariser.
VECTORISED void Sgd(float* __restrict w, const float* __restrict g,
                    int64_t count, float rate, float decay) {
  for (int64_t i = 0; i < count; ++i) w[i] -= rate * (g[i] + decay * w[i]);
}

VECTORISED void Momentum(float* __restrict w, const float* __restrict g,
                         float* __restrict m, int64_t count, float rate,
                         float decay) {
  for (int64_t i = 0; i < count; ++i) {
    m[i] = 0.9f * m[i] + g[i] + decay * w[i];
    w[i] -= rate * m[i];
  }
}

VECTORISED void Adam(float* __restrict w, const float* __restrict g,
                     float* __restrict m, float* __restrict v, int64_t count,
                     int step, float rate, float decay) {
  const float rate_of_m = rate / (1 - std::pow(0.9f, step));
  const float scale_of_v = 1 / (1 - std::pow(0.999f, step));
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = g[i] + decay * w[i];
    m[i] = 0.9f * m[i] + 0.1f * gradient;
    v[i] = 0.999f * v[i] + 0.001f * gradient * gradient;
    w[i] -= rate_of_m * m[i] / (sqrtf(v[i] * scale_of_v) + 1e-8f);
  }
}

// ---- The data set ----

struct Samples {
  Floats images = Zeros(kSamples * kPixels);
  std::vector<int32_t> labels = std::vector<int32_t>(kSamples);
};

const Samples& TrainingSet() {
  static const auto* const samples = [] {
    auto* const samples = new Samples;
    std::minstd_rand random;
    for (int64_t i = 0; i < kSamples * kPixels; ++i) {
      samples->images[i] = static_cast<float>(random() % 256) / 255;
    }
    for (int32_t& label : samples->labels) {
      label = static_cast<int32_t>(random() % kClasses);
    }
    return samples;
  }();
  return *samples;
}

// ---- The network ----

struct Layer {
  int64_t inputs, units;
  int64_t weight, bias;  // Where they are in the block of parameters.
  Floats y, gradient;    // [batch, units]: the output, and of the last the sum.
};

struct Network {
  StepLine line;
  std::vector<Layer> layers;
  int64_t count = 0;                            // Of parameters.
  Floats parameters, gradients, first, second;  // Of `count` each.
  int step = 0;

  // The batch.
  int64_t next = kSamples;
  std::vector<int32_t> order;  // Of samples; empty if it is fixed.
  Floats gathered_images;
  std::vector<int32_t> gathered_labels;
  const float* images = nullptr;
  const int32_t* labels = nullptr;
};

std::shared_ptr<Network> MakeNetwork(const StepLine& line) {
  auto network = std::make_shared<Network>();
  Network& n = *network;
  n.line = line;
  for (size_t i = 0; i + 1 < line.sizes.size(); ++i) {
    const int64_t inputs = line.sizes[i], units = line.sizes[i + 1];
    const int64_t weight = n.count, bias = weight + Padded(inputs * units);
    n.count = bias + Padded(units);
    n.layers.push_back({inputs, units, weight, bias, Zeros(line.batch * units),
                        Zeros(line.batch * units)});
  }
  n.parameters = Zeros(n.count);
  n.gradients = Zeros(n.count);
  n.first = Zeros(n.count);
  n.second = Zeros(n.count);
  std::minstd_rand random;
  std::normal_distribution<float> normal(0, 0.05f);
  for (const Layer& layer : n.layers) {
    float* const weight = &n.parameters[layer.weight];
    for (int64_t i = 0; i < layer.inputs * layer.units; ++i) {
      weight[i] = normal(random);
    }
  }
  if (line.order != "fixed") {
    n.order.resize(kSamples);
    for (int32_t i = 0; i < kSamples; ++i) n.order[i] = i;
    n.gathered_images = Zeros(line.batch * kPixels);
    n.gathered_labels.resize(line.batch);
  }
  return network;
}

void NextBatch(Network& n) {
  static std::minstd_rand random;
  const Samples& samples = TrainingSet();
  const int64_t batch = n.line.batch;
  if (n.next + batch > kSamples) {
    std::shuffle(n.order.begin(), n.order.end(), random);
    n.next = 0;
  }
  n.images = &samples.images[n.next * kPixels];
  n.labels = &samples.labels[n.next];
  if (!n.order.empty()) {
    for (int64_t i = 0; i < batch; ++i) {
      const int64_t sample = n.order[n.next + i];
      std::memcpy(&n.gathered_images[i * kPixels],
                  &samples.images[sample * kPixels], kPixels * sizeof(float));
      n.gathered_labels[i] = samples.labels[sample];
    }
    n.images = n.gathered_images.get();
    n.labels = n.gathered_labels.data();
  }
  n.next += batch;
}

void Forward(Network& n) {
  const int64_t batch = n.line.batch;
  const float* x = n.images;
  for (Layer& l : n.layers) {
    dnnl_sgemm('N', 'N', batch, l.units, l.inputs, 1, x, l.inputs,
               &n.parameters[l.weight], l.units, 0, l.y.get(), l.units);
    if (&l == &n.layers.back()) break;
    const auto add_bias =
        n.line.activation == "relu" ? AddBiasRelu : AddBiasSigmoid;
    add_bias(l.y.get(), &n.parameters[l.bias], batch, l.units);
    x = l.y.get();
  }
}

// Returns the loss.
float Backward(Network& n) {
  const int64_t batch = n.line.batch;
  const Layer& last = n.layers.back();
  const float loss =
      SoftmaxCrossEntropy(last.y.get(), &n.parameters[last.bias], n.labels,
                          batch, last.units, last.gradient.get());
  for (size_t i = n.layers.size(); i-- > 0;) {
    const Layer& l = n.layers[i];
    const float* const x = i > 0 ? n.layers[i - 1].y.get() : n.images;
    dnnl_sgemm('T', 'N', l.inputs, l.units, batch, 1, x, l.inputs,
               l.gradient.get(), l.units, 0, &n.gradients[l.weight], l.units);
    SumRows(l.gradient.get(), batch, l.units, &n.gradients[l.bias]);
    if (i == 0) break;
    float* const of_x = n.layers[i - 1].gradient.get();
    dnnl_sgemm('N', 'T', batch, l.inputs, l.units, 1, l.gradient.get(), l.units,
               &n.parameters[l.weight], l.units, 0, of_x, l.inputs);
    const auto gradient =
        n.line.activation == "relu" ? ReluGradient : SigmoidGradient;
    gradient(of_x, x, batch * l.inputs);
  }
  return loss;
}

void Update(Network& n) {
  float* const w = n.parameters.get();
  const float* const g = n.gradients.get();
  const auto rate = static_cast<float>(n.line.learning_rate);
  const auto decay = static_cast<float>(2 * n.line.l2);
  ++n.step;
  if (n.line.optimizer == "adam") {
    Adam(w, g, n.first.get(), n.second.get(), n.count, n.step, rate, decay);
  } else if (n.line.optimizer == "momentum") {
    Momentum(w, g, n.first.get(), n.count, rate, decay);
  } else {
    Sgd(w, g, n.count, rate, decay);
  }
}

std::function<void()> Make(const std::string& line) {
  const StepLine asked = tape::ParseStepLine(line);
  if (asked.what != "plain_c") return nullptr;
  return [network = MakeNetwork(asked)] {
    omp_set_num_threads(network->line.threads);
    NextBatch(*network);
    Forward(*network);
    volatile const float loss = Backward(*network);
    (void)loss;
    Update(*network);
  };
}

}  // namespace

int main() {
  const dnnl_version_t* const dnnl = dnnl_version();
  tape::ServeSteps("oneDNN " + std::to_string(dnnl->major) + "." +
                       std::to_string(dnnl->minor) + "." +
                       std::to_string(dnnl->patch),
                   {}, Make);
}
