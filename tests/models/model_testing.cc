// The parts of the documents' tests (model_testing.h).
#include "tests/models/model_testing.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "framework/framework.h"
#include "framework/log/progress.h"
#include "models/run.h"

namespace tape {
namespace {

DataSplits Read(const char* folder) {
  absl::StatusOr<DataSplits> data = ReadMnistFolder(folder);
  if (!data.ok())
    std::fprintf(stderr, "%s\n", data.status().ToString().c_str());
  return std::move(data).value();  // Ends the program if there are none.
}

Matrix FromTensor(const Tensor& tensor) {
  const auto values = tensor.values<float>();
  const int64_t columns = tensor.shape()[tensor.shape().rank() - 1];
  return Matrix(tensor.elements() / columns, columns,
                std::vector<double>(values.begin(), values.end()));
}

Dataset First(const Dataset& dataset, int64_t n) {
  const auto images =
      dataset.images.values<uint8_t>().first(n * dataset.pixels());
  const auto labels = dataset.labels.values<int32_t>().first(n);
  return {
      .images = Tensor({n, dataset.pixels()},
                       std::vector<uint8_t>(images.begin(), images.end())),
      .labels = Tensor({n}, std::vector<int32_t>(labels.begin(), labels.end())),
      .classes = dataset.classes};
}

}  // namespace

const DataSplits& RealMnist() {
  static const auto* const data = new DataSplits(Read(kMnist));
  return *data;
}

const DataSplits& RealFashionMnist() {
  static const auto* const data = new DataSplits(Read(kFashionMnist));
  return *data;
}

DataSplits FirstSamples(const DataSplits& data, int64_t n) {
  return {.train = First(data.train, n), .test = First(data.train, n)};
}

int64_t ParameterCount(const Experiment& experiment) {
  Graph graph;
  experiment.declare(graph, 784, experiment.defaults, 1);
  EXPECT_TRUE(graph.status().ok()) << graph.status();
  int64_t count = 0;
  for (Var parameter : graph.parameters()) {
    count += parameter.shape().elements();
  }
  return count;
}

absl::Status CheckGradientsOf(const Experiment& experiment, double scale) {
  Graph graph;
  const Classifier model =
      experiment.declare(graph, SmallModel::kPixels, experiment.defaults, 1);
  if (!graph.status().ok()) return graph.status();
  const std::vector<Var> parameters = graph.parameters();
  ReferenceFeeds feeds = {{model.images, SmallModel::Images()},
                          {model.labels, SmallModel::Labels()}};
  for (Var parameter : parameters) {
    Tensor value = ToFloat64(graph.Value(parameter));
    for (double& element : value.values<double>()) element *= scale;
    feeds.push_back({parameter, value});
  }
  const absl::StatusOr<std::vector<Tensor>> gradients =
      EvaluateReference(Gradients(model.loss, parameters), feeds);
  if (!gradients.ok()) return gradients.status();
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto values = (*gradients)[i].values<double>();
    if (std::count(values.begin(), values.end(), 0) ==
        (*gradients)[i].elements()) {
      return absl::FailedPreconditionError(
          absl::StrCat("the gradient of ", graph.node(parameters[i]).name,
                       " is zero: nothing to check"));
    }
  }
  return CheckGradients(model.loss, parameters, feeds, {.max_elements = 25});
}

TrainResult TrainQuietly(const Experiment& experiment, const Settings& settings,
                         const DataSplits& data, uint64_t seed, Graph& graph,
                         std::vector<EpochResult>* epochs) {
  Settings seeded = settings;
  seeded.train.batches.seed = seed;
  if (seeded.train.threads == 0) seeded.train.threads = 1;
  const absl::StatusOr<DataSplits> selected =
      SelectData(experiment, seeded, seed, data);
  if (!selected.ok()) {
    ADD_FAILURE() << Title(experiment) << ": " << selected.status();
    return {};
  }
  const absl::StatusOr<Classifier> model =
      DeclareModel(experiment, seeded, *selected, graph);
  if (!model.ok()) {
    ADD_FAILURE() << Title(experiment) << ": " << model.status();
    return {};
  }
  // Not a terminal: nothing is drawn but the table.
  std::FILE* const out = std::tmpfile();
  absl::StatusOr<TrainResult> result;
  {
    Progress progress(out, seeded.train.epochs, selected->train.size());
    result = Train(*model, *selected, seeded.train, progress,
                   [&](const EpochResult& epoch) {
                     if (epochs != nullptr) epochs->push_back(epoch);
                     return absl::OkStatus();
                   });
  }
  std::fclose(out);
  if (!result.ok()) {
    ADD_FAILURE() << Title(experiment) << ": " << result.status();
    return {};
  }
  return *std::move(result);
}

TrainResult TrainQuietly(const Experiment& experiment, const Settings& settings,
                         const DataSplits& data, uint64_t seed,
                         std::vector<EpochResult>* epochs) {
  Graph graph({.seed = seed});
  return TrainQuietly(experiment, settings, data, seed, graph, epochs);
}

TrainResult Overfit(const Experiment& experiment, const DataSplits& all,
                    const OverfitOptions& options) {
  Settings settings = experiment.defaults;
  settings.learning_rate = options.learning_rate;
  settings.validation = 0;
  settings.train.epochs = options.epochs;
  settings.train.batches.batch_size = options.batch_size;
  settings.train.batches.last = LastBatch::kKeep;
  settings.train.train_figures = TrainFigures::kAfterEpoch;
  settings.train.evaluate_every = options.epochs;
  settings.train.early_stopping = std::nullopt;
  const absl::StatusOr<DataSplits> selected =
      SelectData(experiment, settings, options.seed, all);
  if (!selected.ok()) {
    ADD_FAILURE() << Title(experiment) << ": " << selected.status();
    return {};
  }
  return TrainQuietly(experiment, settings, FirstSamples(*selected, 32),
                      options.seed);
}

std::string Title(const Experiment& experiment) {
  return absl::StrCat(experiment.name, " (", experiment.variant, ")");
}

SmallModel::SmallModel(const Experiment& experiment, const Settings& settings)
    : model_(experiment.declare(graph_, kPixels, settings, 100)) {
  std::vector<Var> fetch = {model_.loss, model_.predicted};
  for (const tape::Report& report : model_.updates.reports) {
    fetch.push_back(report.value);
  }
  absl::StatusOr<Plan> plan = Compile(
      graph_, {.fetch = fetch, .updates = model_.updates, .threads = 1});
  EXPECT_TRUE(plan.ok()) << Title(experiment) << ": " << plan.status();
  if (plan.ok()) plan_ = *std::move(plan);
}

Tensor SmallModel::Images() {
  std::vector<uint8_t> pixels(kSamples * kPixels);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = i * 89 % 256;
  return Tensor({kSamples, kPixels}, pixels);
}

Tensor SmallModel::Labels() {
  return Tensor({kSamples}, std::vector<int32_t>{3, 0, 9, 1, 3});
}

Matrix SmallModel::X() {
  Matrix x(kSamples, kPixels);
  for (int64_t i = 0; i < kSamples; ++i) {
    for (int64_t j = 0; j < kPixels; ++j) {
      x(i, j) = Images().values<uint8_t>()[i * kPixels + j] / 255.0;
    }
  }
  return x;
}

Matrix SmallModel::Y() {
  Matrix y(kSamples, 10);
  for (int64_t i = 0; i < kSamples; ++i) {
    y(i, Labels().values<int32_t>()[i]) = 1;
  }
  return y;
}

void SmallModel::Update() {
  if (!plan_.has_value()) return;
  const Tensor images = Images(), labels = Labels();
  const absl::Status status =
      plan_->Run({{model_.images, images}, {model_.labels, labels}});
  EXPECT_TRUE(status.ok()) << status;
}

double SmallModel::Loss() const { return plan_->Scalar(model_.loss); }

double SmallModel::Report(absl::string_view name) const {
  for (const tape::Report& report : model_.updates.reports) {
    if (report.name == name) return plan_->Scalar(report.value);
  }
  ADD_FAILURE() << "there is no report " << name;
  return kNotMeasured;
}

std::vector<Matrix> SmallModel::Parameters() {
  std::vector<Matrix> values;
  for (Var parameter : graph_.parameters()) {
    values.push_back(FromTensor(graph_.Value(parameter)));
  }
  return values;
}

void SmallModel::SetParameters(const std::vector<Matrix>& values) {
  const std::vector<Var> parameters = graph_.parameters();
  ASSERT_EQ(parameters.size(), values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const std::vector<float> elements(values[i].values().begin(),
                                      values[i].values().end());
    const absl::Status status =
        graph_.SetValue(parameters[i], Tensor(parameters[i].shape(), elements));
    ASSERT_TRUE(status.ok()) << status;
  }
}

testing::AssertionResult SameWay(const std::vector<Matrix>& start,
                                 const std::vector<Matrix>& expected,
                                 const std::vector<Matrix>& found,
                                 double tolerance) {
  if (start.size() != found.size() || expected.size() != found.size()) {
    return testing::AssertionFailure()
           << expected.size() << " parameters expected, " << found.size()
           << " found";
  }
  // Of one rounding to float32, at most.
  const double rounding = std::numeric_limits<float>::epsilon() / 2;
  double worst = 0;
  std::string message;
  for (size_t i = 0; i < found.size(); ++i) {
    const double way = MaxAbs(expected[i] - start[i]);
    const double off = MaxAbs(found[i] - expected[i]);
    const double allowed = tolerance * way + 4 * rounding * MaxAbs(expected[i]);
    if (off <= allowed && way > 0) continue;
    if (off / allowed <= worst) continue;
    worst = off / allowed;
    message = absl::StrCat("parameter ", i, " has come ", way,
                           " and is off by ", off, ", more than ", allowed);
  }
  if (message.empty()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << message;
}

}  // namespace tape
