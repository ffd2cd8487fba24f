// onnxruntime_inference [LIBRARY]: a forward pass by ONNX Runtime's C interface on
// the CPU, for compare_inference.py (inference_line.h). Each pass has a session of
// its own, with all graph optimisations, which pack the weights and join a product
// with its bias and ReLU; input and output are bound to memory that is made once.
//
// LIBRARY is the library's path, by default libonnxruntime.so of the system. It is
// loaded at run time, so that one binary times several releases; each must be at
// least as new as the header. Includes nothing of ours but headers that stand alone:
// `g++ -O2 -std=c++20 -I. bench/onnxruntime_inference.cc` makes it in a chroot.
#include <dlfcn.h>
#include <fcntl.h>
#include <onnxruntime/onnxruntime_c_api.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "bench/inference_line.h"

namespace {

[[noreturn]] void Exit(const std::string& message) {
  std::fprintf(stderr, "onnxruntime_inference: error: %s\n", message.c_str());
  std::exit(1);
}

// ---- The model in ONNX's format: messages of Protocol Buffers ----

class Message {
 public:
  Message& Number(int field, uint64_t value) {
    AddVarint(static_cast<uint64_t>(field) << 3);
    AddVarint(value);
    return *this;
  }
  // A string, bytes or a message.
  Message& Bytes(int field, const std::string& bytes) {
    AddVarint(static_cast<uint64_t>(field) << 3 | 2);
    AddVarint(bytes.size());
    bytes_ += bytes;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void AddVarint(uint64_t value) {
    for (; value > 127; value >>= 7) {
      bytes_ += static_cast<char>(value | 128);
    }
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

constexpr uint64_t kFloat = 1;  // TensorProto.DataType.FLOAT

// A TensorProto.
std::string Initializer(const std::string& name,
                        const std::vector<int64_t>& dims,
                        const std::vector<float>& values) {
  Message tensor;
  for (int64_t dim : dims) tensor.Number(1, dim);
  return tensor.Number(2, kFloat)
      .Bytes(8, name)
      .Bytes(9, std::string(reinterpret_cast<const char*>(values.data()),
                            values.size() * sizeof(float)))
      .bytes();
}

// A NodeProto.
std::string Node(const std::string& op, const std::vector<std::string>& inputs,
                 const std::string& output) {
  Message node;
  for (const std::string& input : inputs) node.Bytes(1, input);
  return node.Bytes(2, output).Bytes(4, op).bytes();
}

// A ValueInfoProto of floats [batch, columns].
std::string Matrix(const std::string& name, int64_t batch, int64_t columns) {
  Message shape;
  for (int64_t dim : {batch, columns}) {
    shape.Bytes(1, Message().Number(1, dim).bytes());
  }
  const Message tensor = Message().Number(1, kFloat).Bytes(2, shape.bytes());
  return Message()
      .Bytes(1, name)
      .Bytes(2, Message().Bytes(1, tensor.bytes()).bytes())
      .bytes();
}

// A ModelProto.
std::string MakeModel(int64_t batch) {
  Message nodes, initializers;
  const std::vector<tape::DenseLayer> layers = tape::MakeLayers();
  std::string x = "images";
  for (size_t i = 0; i < layers.size(); ++i) {
    const tape::DenseLayer& layer = layers[i];
    const bool is_last = i + 1 == layers.size();
    const std::string of = std::to_string(i);
    const std::string w = "w" + of, b = "b" + of;
    const std::string y = is_last ? "logits" : "y" + of;
    nodes.Bytes(1, Node("Gemm", {x, w, b}, y));
    if (!is_last) nodes.Bytes(1, Node("Relu", {y}, "relu" + of));
    x = "relu" + of;
    initializers
        .Bytes(5, Initializer(w, {layer.inputs, layer.units}, layer.weights))
        .Bytes(5, Initializer(b, {layer.units}, layer.biases));
  }
  const std::string graph =
      nodes.bytes() + Message().Bytes(2, "mlp").bytes() + initializers.bytes() +
      Message()
          .Bytes(11, Matrix("images", batch, tape::kPixels))
          .Bytes(12, Matrix("logits", batch, tape::kLogits))
          .bytes();
  constexpr uint64_t kIrVersion = 8, kOpset = 17;
  return Message()
      .Number(1, kIrVersion)
      .Bytes(7, graph)
      .Bytes(8, Message().Number(2, kOpset).bytes())
      .bytes();
}

// ---- Sessions ----

const OrtApi* api = nullptr;  // Of the library that is loaded.

void Check(OrtStatus* status) {
  if (status != nullptr) Exit(api->GetErrorMessage(status));
}

// Discards what is written to stderr while it lives. Debian's library registers
// ONNX's ops twice, and writes a line for each.
class SilentStderr {
 public:
  SilentStderr() : stderr_(dup(STDERR_FILENO)) {
    const int nothing = open("/dev/null", O_WRONLY);
    dup2(nothing, STDERR_FILENO);
    close(nothing);
  }
  ~SilentStderr() {
    dup2(stderr_, STDERR_FILENO);
    close(stderr_);
  }
  SilentStderr(const SilentStderr&) = delete;
  SilentStderr& operator=(const SilentStderr&) = delete;

 private:
  const int stderr_;
};

// Loads the library, sets `api`, and returns the library's version.
std::string Load(const char* library) {
  void* const handle = dlopen(library, RTLD_NOW);
  if (handle == nullptr) {
    Exit(std::string("expected ONNX Runtime's library: ") + dlerror());
  }
  const auto get_base = reinterpret_cast<decltype(&OrtGetApiBase)>(
      dlsym(handle, "OrtGetApiBase"));
  if (get_base == nullptr) {
    Exit(std::string("expected ONNX Runtime's library, found no OrtGetApiBase "
                     "in ") +
         library);
  }
  const std::string version = get_base()->GetVersionString();
  api = get_base()->GetApi(ORT_API_VERSION);
  if (api == nullptr) {
    Exit("expected an ONNX Runtime of at least 1." +
         std::to_string(ORT_API_VERSION) + ", found " + version);
  }
  return version;
}

class Inference {
 public:
  explicit Inference(const tape::InferenceLine& line)
      : images_(tape::MakeFloats(line.batch)),
        logits_(line.batch * tape::kLogits) {
    static OrtEnv* const env = [] {
      OrtEnv* env;
      Check(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "bench", &env));
      return env;
    }();
    OrtSessionOptions* options;
    Check(api->CreateSessionOptions(&options));
    Check(api->SetIntraOpNumThreads(options, line.threads));
    Check(api->SetInterOpNumThreads(options, 1));
    Check(api->SetSessionExecutionMode(options, ORT_SEQUENTIAL));
    Check(api->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL));
    // As our plans have it.
    Check(api->AddSessionConfigEntry(options, "session.set_denormal_as_zero",
                                     "1"));
    const std::string model = MakeModel(line.batch);
    Check([&] {
      const SilentStderr silent;
      return api->CreateSessionFromArray(env, model.data(), model.size(),
                                         options, &session_);
    }());
    api->ReleaseSessionOptions(options);
    Check(api->CreateIoBinding(session_, &binding_));
    input_ = Bind(images_, line.batch, tape::kPixels);
    output_ = Bind(logits_, line.batch, tape::kLogits);
    Check(api->BindInput(binding_, "images", input_));
    Check(api->BindOutput(binding_, "logits", output_));
  }
  ~Inference() {
    api->ReleaseIoBinding(binding_);
    api->ReleaseValue(input_);
    api->ReleaseValue(output_);
    api->ReleaseSession(session_);
  }
  Inference(const Inference&) = delete;
  Inference& operator=(const Inference&) = delete;

  const float* Run() {
    Check(api->RunWithBinding(session_, nullptr, binding_));
    return logits_.data();
  }

 private:
  // Returns a tensor of these numbers where they are.
  static OrtValue* Bind(std::vector<float>& numbers, int64_t rows,
                        int64_t columns) {
    OrtMemoryInfo* memory;
    Check(api->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault,
                                   &memory));
    const int64_t shape[] = {rows, columns};
    OrtValue* value;
    Check(api->CreateTensorWithDataAsOrtValue(
        memory, numbers.data(), numbers.size() * sizeof(float), shape, 2,
        ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &value));
    api->ReleaseMemoryInfo(memory);
    return value;
  }

  std::vector<float> images_, logits_;
  OrtSession* session_ = nullptr;
  OrtIoBinding* binding_ = nullptr;
  OrtValue* input_ = nullptr;
  OrtValue* output_ = nullptr;
};

tape::ForwardPass MakePass(const tape::InferenceLine& line) {
  if (line.kind != "floats") return nullptr;
  const auto inference = std::make_shared<Inference>(line);
  return [inference] { return inference->Run(); };
}

}  // namespace

int main(int argc, char** argv) {
  if (argc > 2) Exit("expected at most one argument, the library's path");
  const std::string version = Load(argc > 1 ? argv[1] : "libonnxruntime.so");
  tape::ServeInference("ONNX Runtime " + version, {"floats"}, MakePass);
}
