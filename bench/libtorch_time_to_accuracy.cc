// libtorch_time_to_accuracy: the runs of time_to_accuracy.cc by libtorch as an expert
// writes them: each op called once, without autograd, into tensors made once; Adam by
// _fused_adam_. For time_to_accuracy.py, whose head states the protocol.
//
// Includes nothing of ours but a header that stands alone. In a chroot:
//
//   g++ -O2 -std=c++20 -w -I. -isystem /usr/include/torch/csrc/api/include
//     bench/libtorch_time_to_accuracy.cc -o libtorch_time_to_accuracy
//     -ltorch -ltorch_cpu -lc10 -lz
#include <torch/torch.h>
#include <torch/version.h>
#include <zlib.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "bench/accuracy_run.h"

#if TORCH_VERSION_MAJOR < 2 || \
    (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR < 4)
#error "expected libtorch 2.4 or newer, which has _fused_adam_ for processors"
#endif

namespace {

using tape::AccuracyRun;
using tape::AccuracySetting;
using tape::LogTime;

constexpr int64_t kClasses = 10, kPixels = 784;

// ---- Data ----

[[noreturn]] void FailRead(const std::string& path, const char* expected) {
  std::fprintf(stderr, "error: %s: expected %s\n", path.c_str(), expected);
  std::exit(1);
}

// The elements of an IDX file of rank `rank`, plain or gzipped, behind its header.
at::Tensor ReadIdx(const std::string& stem, int rank, int64_t row_bytes) {
  std::string path = stem;
  gzFile file = gzopen(path.c_str(), "rb");
  if (file == nullptr) {
    path += ".gz";
    file = gzopen(path.c_str(), "rb");
  }
  if (file == nullptr) FailRead(stem, "this file, or one with .gz");
  gzbuffer(file, 1 << 17);
  std::array<uint8_t, 16> header;
  const int header_bytes = 4 + 4 * rank;
  if (gzread(file, header.data(), header_bytes) != header_bytes ||
      header[2] != 8 || header[3] != rank) {
    FailRead(path, "an IDX header");
  }
  const int64_t rows =
      int64_t{header[4]} << 24 | header[5] << 16 | header[6] << 8 | header[7];
  const at::Tensor elements = at::empty({rows, row_bytes}, at::kByte);
  const int64_t bytes = rows * row_bytes;
  if (gzread(file, elements.data_ptr(), bytes) != bytes) {
    FailRead(path, "as many elements as its header says");
  }
  gzclose(file);
  return elements;
}

struct Split {
  at::Tensor images;  // uint8 [n, 784].
  at::Tensor labels;  // int64 [n].
};

Split ReadSplit(const std::string& folder, const std::string& name) {
  return {ReadIdx(folder + "/" + name + "-images-idx3-ubyte", 3, kPixels),
          ReadIdx(folder + "/" + name + "-labels-idx1-ubyte", 1, 1)
              .reshape({-1})
              .to(at::kLong)};
}

// ---- The network ----

class NetworkByHand {
 public:
  NetworkByHand(const AccuracySetting& setting, uint64_t seed)
      : setting_(setting),
        generator_(at::make_generator<at::CPUGeneratorImpl>(seed)) {
    std::vector<int64_t> units = {kPixels};
    units.insert(units.end(), setting.hidden.begin(), setting.hidden.end());
    units.push_back(kClasses);
    for (size_t i = 0; i + 1 < units.size(); ++i) {
      const double bound = std::sqrt(6.0 / units[i]);
      layers_.emplace_back(at::empty({units[i], units[i + 1]})
                               .uniform_(-bound, bound, generator_),
                           at::zeros({units[i + 1]}));
    }
    for (Layer& layer : layers_) {
      for (Parameter* p : {&layer.w, &layer.b}) {
        values_.push_back(p->value);
        gradients_.push_back(p->gradient);
        firsts_.push_back(at::zeros_like(p->value));
        seconds_.push_back(at::zeros_like(p->value));
        steps_.push_back(at::zeros({}));
      }
    }
    const double off = setting.smoothing / kClasses;
    targets_ = at::eye(kClasses) * (1 - setting.smoothing) + off;
    // What the first products and passes prepare is made while others read.
    x_ = at::zeros({setting.batch, kPixels});
    FindGradients(at::zeros({setting.batch}, at::kLong));
  }

  // A random order of `samples`.
  at::Tensor Order(int64_t samples) {
    return at::randperm(samples, generator_, at::kLong);
  }

  void Train(const Split& data, const at::Tensor& drawn, double rate) {
    at::index_select_out(bytes_, data.images, 0, drawn);
    at::index_select_out(labels_, data.labels, 0, drawn);
    ToPixels(bytes_, x_);
    FindGradients(labels_);
    for (at::Tensor& step : steps_) step.add_(1);
    at::_fused_adam_(values_, gradients_, firsts_, seconds_, {}, steps_, rate,
                     /*beta1=*/0.9, setting_.beta2, /*weight_decay=*/0,
                     /*eps=*/1e-8, /*amsgrad=*/false, /*maximize=*/false);
  }

  int64_t Correct(const Split& test) {
    if (!test_.defined()) {
      test_ = at::empty(test.images.sizes());
      ToPixels(test.images, test_);
    }
    at::Tensor x = test_;
    for (size_t i = 0; i < layers_.size(); ++i) {
      at::Tensor& y = layers_[i].test_y;
      at::addmm_out(y, layers_[i].b.value, x, layers_[i].w.value);
      if (i + 1 < layers_.size()) y.clamp_min_(0);
      x = y;
    }
    return x.argmax(1).eq(test.labels).sum().item<int64_t>();
  }

 private:
  struct Parameter {
    explicit Parameter(at::Tensor from)
        : value(std::move(from)), gradient(at::empty_like(value)) {}
    at::Tensor value, gradient;
  };
  struct Layer {
    Layer(at::Tensor weights, at::Tensor bias)
        : w(std::move(weights)), b(std::move(bias)) {}
    Parameter w, b;
    at::Tensor y = at::empty({0}), dy = at::empty({0}), dx = at::empty({0}),
               test_y = at::empty({0});
  };

  void ToPixels(const at::Tensor& bytes, at::Tensor& pixels) const {
    pixels.copy_(bytes);
    pixels.mul_(setting_.scale / 255);
    if (setting_.shift != 0) pixels.sub_(setting_.shift * setting_.scale);
  }

  // Those of the batch x_.
  void FindGradients(const at::Tensor& labels) {
    for (size_t i = 0; i < layers_.size(); ++i) {
      Layer& layer = layers_[i];
      at::addmm_out(layer.y, layer.b.value, i == 0 ? x_ : layers_[i - 1].y,
                    layer.w.value);
      if (i + 1 < layers_.size()) layer.y.clamp_min_(0);
    }
    // Of the mean cross-entropy: (softmax - target) / batch.
    at::index_select_out(target_, targets_, 0, labels);
    at::_softmax_out(softmax_, layers_.back().y, 1, false);
    at::sub_out(layers_.back().dy, softmax_, target_);
    layers_.back().dy.mul_(1.0 / setting_.batch);
    for (size_t i = layers_.size(); i-- > 0;) {
      Layer& layer = layers_[i];
      at::mm_out(layer.w.gradient, (i == 0 ? x_ : layers_[i - 1].y).t(),
                 layer.dy);
      at::sum_out(layer.b.gradient, layer.dy, 0);
      if (i == 0) break;
      at::mm_out(layer.dx, layer.dy, layer.w.value.t());
      at::threshold_backward_out(layers_[i - 1].dy, layer.dx, layers_[i - 1].y,
                                 0);
    }
  }

  AccuracySetting setting_;
  at::Generator generator_;
  std::vector<Layer> layers_;
  std::vector<at::Tensor> values_, gradients_, firsts_, seconds_, steps_;
  at::Tensor targets_, test_, x_;
  at::Tensor bytes_ = at::empty({0}, at::kByte),
             labels_ = at::empty({0}, at::kLong), target_ = at::empty({0}),
             softmax_ = at::empty({0});
};

int Main(const AccuracyRun& run) {
  LogTime(run, "main");
  at::set_num_threads(run.threads);
  Split train, test;
  std::thread reader([&] {
    const at::InferenceMode mode;
    test = ReadSplit(run.folder, "t10k");
    train = ReadSplit(run.folder, "train");
    LogTime(run, "read");
  });
  const at::InferenceMode mode;
  NetworkByHand network(run.setting, run.seed);
  LogTime(run, "prepared");
  reader.join();
  const int64_t samples = train.labels.size(0), batch = run.setting.batch;
  at::Tensor order;
  int64_t next = samples;
  return tape::RunToAccuracy(
      run, test.labels.size(0),
      [&](double rate) {
        if (next + batch > samples) {
          order = network.Order(samples);
          next = 0;
        }
        network.Train(train, order.narrow(0, next, batch), rate);
        next += batch;
      },
      [&] { return network.Correct(test); });
}

}  // namespace

int main(int argc, char** argv) {
  return Main(tape::ParseAccuracyFlags(argc, argv));
}
