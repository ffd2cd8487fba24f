// The perceptron for a user's own data (user_mlp.h). Tested by
// tests/models/user_data_test.cc.
#include "models/user_mlp.h"

#include <cmath>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/gradients.h"
#include "framework/optim/optimizer.h"
#include "framework/optim/schedule.h"
#include "framework/train/accumulators.h"
#include "models/mlp.h"
#include "ops/ops.h"

namespace tape {
namespace {

template <typename Value>
struct Named {
  const char* name;
  Value value;
};

constexpr Named<Var (*)(Var)> kActivations[] = {
    {"relu", [](Var x) { return Relu(x); }},
    {"leaky_relu", [](Var x) { return LeakyRelu(x, 0.01); }},
    {"elu", [](Var x) { return Elu(x); }},
    {"selu", [](Var x) { return Selu(x); }},
    {"gelu", [](Var x) { return Gelu(x); }},
    {"silu", [](Var x) { return Silu(x); }},
    {"tanh", [](Var x) { return Tanh(x); }},
    {"sigmoid", [](Var x) { return Sigmoid(x); }},
    {"softplus", [](Var x) { return Softplus(x); }},
};

constexpr Named<TransformPtr (*)(Schedule)> kOptimizers[] = {
    {"adam", [](Schedule rate) { return Adam({.learning_rate = rate}); }},
    {"adamw", [](Schedule rate) { return AdamW({{.learning_rate = rate}}); }},
    {"nadam", [](Schedule rate) { return NAdam({{.learning_rate = rate}}); }},
    {"rmsprop", [](Schedule rate) { return RmsProp({.learning_rate = rate}); }},
    {"adagrad", [](Schedule rate) { return Adagrad({.learning_rate = rate}); }},
    {"lion", [](Schedule rate) { return Lion({.learning_rate = rate}); }},
    {"sgd", [](Schedule rate) { return Sgd({.learning_rate = rate}); }},
    {"momentum",
     [](Schedule rate) { return Momentum({.learning_rate = rate}); }},
    {"nesterov",
     [](Schedule rate) { return Nesterov({.learning_rate = rate}); }},
};

constexpr Named<Schedule (*)(double, int64_t)> kSchedules[] = {
    {"constant", [](double rate, int64_t) { return Schedule(rate); }},
    {"linear",
     [](double rate, int64_t updates) { return LinearDecay(rate, updates); }},
    {"cosine", [](double rate,
                  int64_t updates) { return CosineDecay(rate, 0, updates); }},
    {"one_cycle",
     [](double rate, int64_t updates) { return OneCycle(rate, updates); }},
};

template <typename Table>
auto Find(const Table& table, absl::string_view name) {
  for (const auto& one : table) {
    if (name == one.name) return one.value;
  }
  return decltype(table[0].value)(nullptr);
}

template <typename Table>
std::string Names(const Table& table) {
  std::vector<std::string> names;
  for (const auto& one : table) names.push_back(one.name);
  const std::string last = names.back();
  names.pop_back();
  return absl::StrCat(absl::StrJoin(names, ", "), " or ", last);
}

int64_t OutputUnits(const UserData& data) {
  return data.task == Task::kRegression
             ? 1
             : static_cast<int64_t>(data.card.classes.size());
}

// Mean and standard deviation, 1 if that is 0, of the training rows' target.
struct Moments {
  double mean = 0, deviation = 1;
};
Moments TargetMoments(const UserData& data) {
  const auto y = data.splits.train.Find("y")->values<float>();
  const auto n = static_cast<double>(y.size());
  Moments moments;
  for (const float one : y) moments.mean += one / n;
  double variance = 0;
  for (const float one : y) {
    variance += (one - moments.mean) * (one - moments.mean) / n;
  }
  if (variance > 0) moments.deviation = std::sqrt(variance);
  return moments;
}

}  // namespace

const Experiment& UserExperiment() {
  static const auto* const kExperiment = new Experiment{
      .name = "mlp",
      .variant = "own",
      .description = "a perceptron for the data of --data",
      .data_dir = "",
      .defaults = {.learning_rate = 1e-3,
                   .train = {.epochs = 50, .batches = {.batch_size = 32}}},
      .declare = nullptr};
  return *kExperiment;
}

std::string ActivationNames() { return Names(kActivations); }
std::string OptimizerNames() { return Names(kOptimizers); }
std::string ScheduleNames() { return Names(kSchedules); }
bool IsActivation(absl::string_view name) {
  return Find(kActivations, name) != nullptr;
}
bool IsOptimizer(absl::string_view name) {
  return Find(kOptimizers, name) != nullptr;
}
bool IsSchedule(absl::string_view name) {
  return Find(kSchedules, name) != nullptr;
}

std::string DescriptionOf(const UserMlp& mlp, const UserData& data) {
  std::vector<int64_t> units = {data.splits.train.Find("x")->shape()[1]};
  units.insert(units.end(), mlp.layers.begin(), mlp.layers.end());
  units.push_back(OutputUnits(data));
  return absl::StrCat(absl::StrJoin(units, "-"), " ", mlp.activation,
                      mlp.batch_norm ? " with BatchNorm, " : ", ",
                      mlp.optimizer, ", ", Name(data.task));
}

absl::StatusOr<Model> DeclareUserMlp(const UserMlp& mlp, const UserData& data,
                                     const Settings& settings, int64_t updates,
                                     Graph& graph) {
  const TensorType& features = data.splits.train.Find("x")->type();
  const bool is_regression = data.task == Task::kRegression;
  const Var x =
      graph.Input("x", {kBatch, features.shape[1]}, features.dtype, Loc{});
  const Var y = is_regression
                    ? graph.Input("y", {kBatch, 1}, DType::kFloat32, Loc{})
                    : graph.Input("y", {kBatch}, DType::kInt32, Loc{});
  std::vector<int64_t> units = mlp.layers;
  units.push_back(OutputUnits(data));
  const auto activation = Find(kActivations, mlp.activation);
  int layer = 0;
  const Var output =
      Mlp(features.dtype == DType::kUint8 ? ScaledPixels(x) : x,
          {.units = units, .activation = [&](Var sum) {
             if (mlp.batch_norm) {
               sum = BatchNorm(sum, absl::StrCat("layer", ++layer, "/norm"));
             }
             const Var hidden = activation(sum);
             return mlp.dropout > 0 ? Dropout(hidden, mlp.dropout) : hidden;
           }});
  Model model = {.graph = &graph, .feeds = {{x, "x"}, {y, "y"}}};
  if (is_regression) {
    const Moments moments = TargetMoments(data);
    const Var value = output * moments.deviation + moments.mean;
    model.loss =
        MeanSquaredError(output, (y - moments.mean) * (1 / moments.deviation));
    model.outputs = {{"value", value}};
    model.metrics = {RootMeanSquaredError("rmse", value, y),
                     R2("r2", value, y)};
  } else {
    const int classes = static_cast<int>(data.card.classes.size());
    const Var predicted = ArgMax(output);
    model.loss = Mean(SoftmaxCrossEntropy(output, y));
    model.outputs = {{"class", predicted}, {"probabilities", Softmax(output)}};
    model.metrics = {
        MacroAverage("f1", ClassScore::kF1, predicted, y, classes)};
    model.classification = {predicted, "y", classes};
  }
  const std::vector<Var> parameters = graph.parameters();
  const Schedule rate =
      Find(kSchedules, mlp.schedule)(settings.learning_rate, updates);
  model.updates =
      Chain(WithRegularizers(settings, Find(kOptimizers, mlp.optimizer)(rate)))
          .Apply(parameters, Gradients(model.loss, parameters));
  if (!graph.status().ok()) return graph.status();
  return model;
}

}  // namespace tape
