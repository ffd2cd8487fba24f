// time_to_accuracy: one training run of a perceptron from process start to a given
// test accuracy, for time_to_accuracy.py, whose head states the protocol.
//
//   time_to_accuracy --data=mnist --target=0.97 --seed=3 --threads=2
//
// prints "reached step=468 correct=9706" and exits with 0, or "missed …" with 1.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "bench/accuracy_run.h"
#include "framework/framework.h"
#include "ops/ops.h"

namespace tape {
namespace {

constexpr int kClasses = 10;
constexpr int64_t kPixels = 784, kTestImages = 10000;

struct Network {
  Var images, labels, loss, correct;
  Updates updates;
};

Network Declare(const AccuracySetting& setting, Graph& graph) {
  Network network;
  network.images = graph.Input("images", {kBatch, kPixels}, DType::kUint8);
  network.labels = graph.Input("labels", {kBatch}, DType::kInt32);
  Var x = Cast(network.images, DType::kFloat32) * (setting.scale / 255);
  if (setting.shift != 0) x = x - setting.shift * setting.scale;
  std::vector<int64_t> units = setting.hidden;
  units.push_back(kClasses);
  for (size_t i = 0; i < units.size(); ++i) {
    if (i > 0) x = Relu(x);
    const int64_t inputs = x.valid() ? x.shape()[1] : 1;
    const double bound = std::sqrt(6.0 / inputs);
    const Var w = graph.Parameter(absl::StrCat("w", i), {inputs, units[i]},
                                  Uniform(-bound, bound));
    x = MatMul(x, w) +
        graph.Parameter(absl::StrCat("b", i), {units[i]}, Zeros());
  }
  network.loss = SoftmaxCrossEntropy(
      x, network.labels,
      {.label_smoothing = setting.smoothing, .reduction = Reduction::kMean});
  network.correct =
      Sum(Cast(Equal(ArgMax(x), network.labels), DType::kFloat32));
  Schedule rate =
      PolynomialDecay(setting.rate, setting.end_rate, setting.decay, 1);
  if (setting.warmup > 0) rate = Warmup(setting.warmup, std::move(rate));
  const std::vector<Var> parameters = graph.parameters();
  network.updates = Chain(Adam({.learning_rate = rate, .beta2 = setting.beta2}))
                        .Apply(parameters, Gradients(network.loss, parameters));
  return network;
}

int Main(const AccuracyRun& run) {
  LogTime(run, "main");
  const AccuracySetting& setting = run.setting;
  const absl::StatusOr<FoundDataset> found = FindDataset(run.folder);
  if (!found.ok()) return Fail(found.status());
  if (found->form != DatasetForm::kIdx) {
    return Fail(absl::InvalidArgumentError(
        absl::StrCat("--folder: expected IDX files, found the form ",
                     NameOf(found->form), " in ", run.folder)));
  }
  const std::vector<std::string>& paths = found->paths;
  // One thread reads the training set while this one compiles.
  absl::StatusOr<Dataset> samples = absl::UnknownError("not read");
  std::thread reader([&] {
    samples = ReadIdxDataset(paths[0], paths[1], kClasses);
    LogTime(run, "read the training set");
  });
  Graph graph({.seed = run.seed});
  const Network network = Declare(setting, graph);
  LogTime(run, "declared");
  absl::StatusOr<Plan> train = Compile(graph, {.updates = network.updates,
                                               .threads = run.threads,
                                               .batch_sizes = {setting.batch}});
  LogTime(run, "compiled training");
  absl::StatusOr<Plan> evaluate =
      Compile(graph, {.fetch = {network.correct},
                      .threads = run.threads,
                      .batch_sizes = {kTestImages}});
  LogTime(run, "compiled evaluation");
  const absl::StatusOr<Dataset> test =
      ReadIdxDataset(paths[2], paths[3], kClasses);
  LogTime(run, "read the test set");
  reader.join();
  if (!samples.ok()) return Fail(samples.status());
  if (!test.ok()) return Fail(test.status());
  if (!train.ok()) return Fail(train.status());
  if (!evaluate.ok()) return Fail(evaluate.status());
  Batches batches(*samples, {.batch_size = setting.batch,
                             .last = LastBatch::kDrop,
                             .seed = run.seed});
  if (!batches.status().ok()) return Fail(batches.status());
  if (batches.batches_per_epoch() == 0) {
    return Fail(absl::InvalidArgumentError(
        absl::StrCat("--setting: batch: expected at most ", samples->size(),
                     " samples, found ", setting.batch)));
  }
  LogTime(run, "drew the order");
  int epoch = 0;
  return RunToAccuracy(
      run, test->size(),
      [&](double) {
        std::optional<Batch> batch = batches.Next();
        if (!batch.has_value()) {
          batches.StartEpoch(++epoch);
          batch = batches.Next();
        }
        const absl::Status status = train->Run(
            {{network.images, batch->images}, {network.labels, batch->labels}});
        if (!status.ok()) std::exit(Fail(status));
      },
      [&] {
        const absl::Status status = evaluate->Run(
            {{network.images, test->images}, {network.labels, test->labels}});
        if (!status.ok()) std::exit(Fail(status));
        return static_cast<int64_t>(evaluate->Scalar(network.correct));
      });
}

}  // namespace
}  // namespace tape

int main(int argc, char** argv) {
  return tape::Main(tape::ParseAccuracyFlags(argc, argv));
}
