// libtorch_inference: a forward pass by libtorch as an expert writes it by hand, for
// compare_inference.py (inference_line.h): each op called once, without autograd,
// into tensors made once. Preloading libsgemm_by_onednn.so gives it oneDNN's
// products.
// Includes nothing of ours but headers that stand alone: `g++ -O2 -std=c++20 -I. …
// bench/libtorch_inference.cc -ltorch -ltorch_cpu -lc10` makes it in a chroot.
#include <dlfcn.h>
#include <torch/torch.h>
#include <torch/version.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bench/inference_line.h"

namespace {

at::Tensor Copy(const std::vector<float>& numbers, at::IntArrayRef sizes) {
  const at::Tensor tensor = at::empty(sizes);
  std::copy(numbers.begin(), numbers.end(), tensor.data_ptr<float>());
  return tensor;
}

class Inference {
 public:
  explicit Inference(int64_t batch)
      : images_(Copy(tape::MakeFloats(batch), {batch, tape::kPixels})) {
    for (const tape::DenseLayer& layer : tape::MakeLayers()) {
      layers_.push_back({Copy(layer.weights, {layer.inputs, layer.units}),
                         Copy(layer.biases, {layer.units}),
                         at::empty({batch, layer.units})});
    }
  }

  const float* Run() {
    const at::InferenceMode mode;
    const at::Tensor* x = &images_;
    for (size_t i = 0; i < layers_.size(); ++i) {
      Layer& layer = layers_[i];
      at::addmm_out(layer.y, layer.b, *x, layer.w);
      if (i + 1 < layers_.size()) layer.y.clamp_min_(0);
      x = &layer.y;
    }
    return x->const_data_ptr<float>();
  }

 private:
  struct Layer {
    at::Tensor w, b, y;
  };

  at::Tensor images_;
  std::vector<Layer> layers_;
};

tape::ForwardPass MakePass(const tape::InferenceLine& line) {
  if (line.kind != "floats") return nullptr;
  const at::InferenceMode mode;
  const auto inference = std::make_shared<Inference>(line.batch);
  return [inference, threads = line.threads] {
    if (at::get_num_threads() != threads) at::set_num_threads(threads);
    return inference->Run();
  };
}

}  // namespace

int main() {
  // Of libsgemm_by_onednn.so, if it is preloaded.
  void* const products = dlsym(RTLD_DEFAULT, "sgemm_library");
  const std::string products_by =
      products == nullptr ? "the system's BLAS"
                          : reinterpret_cast<const char* (*)()>(products)();
  tape::ServeInference("libtorch " TORCH_VERSION ", products by " + products_by,
                       {"floats"}, MakePass);
}
