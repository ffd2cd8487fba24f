// libtorch_steps: the steps of tape_steps.cc by libtorch, for compare.py (rounds.h).
// Images are floats from the start. What it times:
//   modules    as its documentation has it: modules, autograd, an optimiser class
//   by_hand    as an expert writes it: each op called once, without autograd, into
//              tensors made once; SGD within the product that is the gradient, Adam
//              by _fused_adam_ where libtorch has that
// Includes nothing of ours but headers that stand alone: `g++ -O2 -std=c++20 -I. …
// bench/libtorch_steps.cc -ltorch -ltorch_cpu -lc10` makes it in a chroot.
#include <dlfcn.h>
#include <torch/torch.h>
#include <torch/version.h>

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/rounds.h"
#include "bench/step_line.h"

namespace {

using tape::StepLine;

constexpr int64_t kSamples = 65536, kClasses = 10;

struct Samples {
  at::Tensor images = at::rand({kSamples, 784});
  at::Tensor labels = at::randint(kClasses, {kSamples}, at::kLong);
};

const Samples& TrainingSet() {
  static const auto* const samples = new Samples;
  return *samples;
}

// The next batches of the set.
class Batches {
 public:
  explicit Batches(const StepLine& line) : line_(line) {}

  std::pair<at::Tensor, at::Tensor> Next() {
    const Samples& samples = TrainingSet();
    if (next_ + line_.batch > kSamples) {
      if (line_.order != "fixed") order_ = at::randperm(kSamples);
      next_ = 0;
    }
    const int64_t begin = next_;
    next_ += line_.batch;
    if (line_.order == "fixed") {
      return {samples.images.narrow(0, begin, line_.batch),
              samples.labels.narrow(0, begin, line_.batch)};
    }
    const at::Tensor drawn = order_.narrow(0, begin, line_.batch);
    at::index_select_out(images_, samples.images, 0, drawn);
    at::index_select_out(labels_, samples.labels, 0, drawn);
    return {images_, labels_};
  }

 private:
  StepLine line_;
  int64_t next_ = kSamples;
  at::Tensor order_, images_ = at::empty({0}),
                     labels_ = at::empty({0}, at::kLong);
};

// ---- By its modules ----

std::unique_ptr<torch::optim::Optimizer> MakeOptimizer(
    const StepLine& line, std::vector<torch::Tensor> parameters) {
  if (line.optimizer == "adam") {
    return std::make_unique<torch::optim::Adam>(
        parameters, torch::optim::AdamOptions(line.learning_rate));
  }
  // Its decay adds decay w to the gradient, our L2 adds 2 l2 w.
  return std::make_unique<torch::optim::SGD>(
      parameters, torch::optim::SGDOptions(line.learning_rate)
                      .momentum(line.optimizer == "momentum" ? 0.9 : 0)
                      .weight_decay(2 * line.l2));
}

std::function<void()> StepOfModules(const StepLine& line) {
  torch::nn::Sequential model;
  for (size_t i = 0; i + 1 < line.sizes.size(); ++i) {
    if (i > 0 && line.activation == "relu") model->push_back(torch::nn::ReLU());
    if (i > 0 && line.activation != "relu") {
      model->push_back(torch::nn::Sigmoid());
    }
    model->push_back(torch::nn::Linear(line.sizes[i], line.sizes[i + 1]));
  }
  const std::shared_ptr<torch::optim::Optimizer> optimizer =
      MakeOptimizer(line, model->parameters());
  return [=, batches = Batches(line)]() mutable {
    const auto [images, labels] = batches.Next();
    optimizer->zero_grad();
    const torch::Tensor loss =
        torch::nn::functional::cross_entropy(model->forward(images), labels);
    loss.backward();
    optimizer->step();
    volatile const float value = loss.item<float>();
    (void)value;
  };
}

// ---- By hand ----

class StepByHand {
 public:
  explicit StepByHand(const StepLine& line) : line_(line), batches_(line) {
    for (size_t i = 0; i + 1 < line.sizes.size(); ++i) {
      layers_.push_back({at::randn({line.sizes[i], line.sizes[i + 1]}) * 0.05,
                         at::zeros({line.sizes[i + 1]})});
    }
    for (Layer& layer : layers_) {
      for (Parameter* p : {&layer.w, &layer.b}) {
        p->gradient = at::empty_like(p->value);
        p->first = at::zeros_like(p->value);
        p->second = at::zeros_like(p->value);
        values_.push_back(p->value);
        gradients_.push_back(p->gradient);
        firsts_.push_back(p->first);
        seconds_.push_back(p->second);
        steps_.push_back(at::zeros({}));
      }
    }
  }

  void Run() {
    const at::InferenceMode mode;
    const auto [images, labels] = batches_.Next();
    at::Tensor x = images;
    for (size_t i = 0; i < layers_.size(); ++i) {
      Layer& layer = layers_[i];
      layer.x = x;
      at::addmm_out(layer.y, layer.b.value, x, layer.w.value);
      if (i + 1 == layers_.size()) break;
      line_.activation == "relu" ? layer.y.clamp_min_(0) : layer.y.sigmoid_();
      x = layer.y;
    }
    at::_log_softmax_out(log_, layers_.back().y, 1, false);
    at::nll_loss_forward_out(loss_, weight_, log_, labels, {},
                             at::Reduction::Mean, -100);
    at::nll_loss_backward_out(of_log_, one_, log_, labels, {},
                              at::Reduction::Mean, -100, weight_);
    at::_log_softmax_backward_data_out(layers_.back().dy, of_log_, log_, 1,
                                       at::kFloat);
    for (size_t i = layers_.size(); i-- > 0;) {
      Layer& layer = layers_[i];
      if (i > 0) {
        Layer& before = layers_[i - 1];
        at::mm_out(before.dy, layer.dy, layer.w.value.t());
        line_.activation == "relu"
            ? at::threshold_backward_out(before.dy, before.dy, before.y, 0)
            : at::sigmoid_backward_out(before.dy, before.dy, before.y);
      }
      Update(layer);
    }
    if (line_.optimizer == "adam") Adam();
    volatile const float value = loss_.item<float>();
    (void)value;
  }

 private:
  struct Parameter {
    at::Tensor value, gradient, first, second;
  };
  struct Layer {
    Layer(at::Tensor weights, at::Tensor bias)
        : w{std::move(weights)}, b{std::move(bias)} {}
    Parameter w, b;
    at::Tensor x, y = at::empty({0}), dy = at::empty({0});
  };

  void Update(Layer& layer) {
    const at::Tensor x_t = layer.x.t();
    at::sum_out(layer.b.gradient, layer.dy, 0);
    const double rate = line_.learning_rate;
    if (line_.optimizer == "sgd") {
      const double kept = 1 - 2 * line_.l2 * rate;
      at::addmm_out(layer.w.value, layer.w.value, x_t, layer.dy, kept, -rate);
      if (kept != 1) layer.b.value.mul_(kept);
      layer.b.value.add_(layer.b.gradient, -rate);
    } else if (line_.optimizer == "momentum") {
      at::addmm_out(layer.w.first, layer.w.first, x_t, layer.dy, 0.9, 1);
      layer.w.value.add_(layer.w.first, -rate);
      layer.b.first.mul_(0.9).add_(layer.b.gradient);
      layer.b.value.add_(layer.b.first, -rate);
    } else {
      at::mm_out(layer.w.gradient, x_t, layer.dy);
    }
  }

  void Adam() {
    constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;
#if TORCH_VERSION_MAJOR > 2 || \
    (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
    for (at::Tensor& step : steps_) step.add_(1);
    at::_fused_adam_(values_, gradients_, firsts_, seconds_, {}, steps_,
                     line_.learning_rate, kBeta1, kBeta2, /*weight_decay=*/0,
                     kEpsilon, /*amsgrad=*/false, /*maximize=*/false);
#else
    ++step_;
    const double scale1 = 1 - std::pow(kBeta1, step_);
    const double scale2 = 1 - std::pow(kBeta2, step_);
    for (size_t i = 0; i < values_.size(); ++i) {
      firsts_[i].mul_(kBeta1).add_(gradients_[i], 1 - kBeta1);
      seconds_[i].mul_(kBeta2).addcmul_(gradients_[i], gradients_[i],
                                        1 - kBeta2);
      at::sqrt_out(root_, seconds_[i]);
      root_.div_(std::sqrt(scale2)).add_(kEpsilon);
      values_[i].addcdiv_(firsts_[i], root_, -line_.learning_rate / scale1);
    }
#endif
  }

  StepLine line_;
  Batches batches_;
  std::vector<Layer> layers_;
  std::vector<at::Tensor> values_, gradients_, firsts_, seconds_, steps_;
  at::Tensor log_ = at::empty({0}), of_log_ = at::empty({0}),
             loss_ = at::empty({0}), weight_ = at::empty({0}),
             one_ = at::ones({}), root_ = at::empty({0});
  int step_ = 0;
};

std::function<void()> Make(const std::string& line) {
  const StepLine asked = tape::ParseStepLine(line);
  if (asked.what != "modules" && asked.what != "by_hand") return nullptr;
  TrainingSet();  // Before there is a mode in which gradients could not read it.
  std::function<void()> step;
  if (asked.what == "modules") {
    step = StepOfModules(asked);
  } else {
    const at::InferenceMode mode;
    const auto by_hand = std::make_shared<StepByHand>(asked);
    step = [by_hand] { by_hand->Run(); };
  }
  return [step, threads = asked.threads] {
    at::set_num_threads(threads);
    step();
  };
}

// Returns the library that computes libtorch's products: what libsgemm_by_onednn.so
// names if it is preloaded, otherwise the file that has BLAS's sgemm.
std::string SgemmLibrary() {
  if (void* const library = dlsym(RTLD_DEFAULT, "sgemm_library")) {
    return reinterpret_cast<const char* (*)()>(library)();
  }
  void* const sgemm = dlsym(RTLD_DEFAULT, "sgemm_");
  Dl_info found = {};
  const bool is_found = sgemm != nullptr && dladdr(sgemm, &found) != 0;
  return is_found ? found.dli_fname : "nothing";
}

}  // namespace

int main() {
  tape::ServeSteps("libtorch " TORCH_VERSION ", products by " + SgemmLibrary(),
                   {}, Make);
}
