// Gathers reports (report_run.h). In go a run and its model, out comes what its
// page shows. Tested by tests/models/report_run_test.cc.
#include "models/report_run.h"

#include <sys/utsname.h>

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "framework/compiler/compile.h"
#include "framework/core/version.h"
#include "framework/data/batches.h"
#include "framework/report/graph_picture.h"
#include "framework/report/plot.h"
#include "hwy/targets.h"
#include "models/run.h"
#include "models/user_mlp.h"
#include "oneapi/dnnl/dnnl.h"
#include "ops/ops.h"

namespace tape {
namespace {

// ---- Settings ----

// As few digits as tell a setting from others: "0.001".
std::string Number(double value) { return absl::StrFormat("%g", value); }

std::string OrderText(Order order) {
  switch (order) {
    case Order::kFixed:
      return "as in the data set";
    case Order::kShuffled:
      return "shuffled each epoch";
    case Order::kSampled:
      return "each batch drawn afresh";
  }
  return "";
}

std::string LastBatchText(LastBatch last) {
  switch (last) {
    case LastBatch::kKeep:
      return "kept; may be partial";
    case LastBatch::kDrop:
      return "left out, unless it is full";
    case LastBatch::kDropAlsoFull:
      return "left out, with the last full one";
  }
  return "";
}

std::string SplitText(DataSplit split) {
  switch (split) {
    case DataSplit::kTrain:
      return "training";
    case DataSplit::kValidation:
      return "validation";
    case DataSplit::kTest:
      return "test";
  }
  return "";
}

// "by validation accuracy, patience 3, the best weights kept"
std::string EarlyStoppingText(
    const std::optional<EarlyStoppingOptions>& options) {
  if (!options.has_value()) return "none";
  std::string text =
      absl::StrCat("by ", SplitText(options->split), " ",
                   options->metric == Metric::kLoss ? "loss" : "accuracy");
  if (options->patience.has_value()) {
    absl::StrAppend(&text, ", patience ", *options->patience);
  }
  if (options->min_change > 0) {
    absl::StrAppend(&text, ", by more than ", Number(options->min_change));
  }
  absl::StrAppend(&text, options->keep == Keep::kBest
                             ? ", the best weights kept"
                             : ", the last weights kept");
  return text;
}

// What there is to say of a user's data and perceptron.
std::vector<Fact> UserFacts(const FinishedRun& run) {
  const UserRun& user = *run.run->user;
  const auto rows = [](const DataTable& table) {
    return CountText(table.size());
  };
  const TableSplits& splits = run.data.user->splits;
  std::vector<Fact> facts = {
      {"task", Name(run.data.user->task)},
      {"rows", absl::StrCat(rows(splits.train), " for training, ",
                            rows(splits.validation), " for validation, ",
                            rows(splits.test), " for the test")},
      {"layers", absl::StrJoin(user.mlp.layers, ", ")},
      {"activation", user.mlp.activation},
      {"BatchNorm", user.mlp.batch_norm ? "before each activation" : "none"},
      {"dropout", Number(user.mlp.dropout)},
      {"optimiser", user.mlp.optimizer},
      {"schedule", user.mlp.schedule},
  };
  const ModelCard& card = run.declared->card;
  if (!card.target.empty()) facts.push_back({"target", card.target});
  if (!card.features.has_value()) return facts;
  facts.push_back({"features", CountText(card.features->width())});
  std::vector<std::string> columns;
  for (const Features::Source& source : card.features->sources()) {
    columns.push_back(source.column);
  }
  facts.push_back({"columns", absl::StrJoin(columns, ", ")});
  if (!card.features->left_out().empty()) {
    facts.push_back({"columns left out, of too many categories",
                     absl::StrJoin(card.features->left_out(), ", ")});
  }
  return facts;
}

Graph& GraphOf(const FinishedRun& run) {
  return run.data.user != nullptr ? *run.declared->model.graph
                                  : *run.model.graph;
}

std::vector<Fact> SettingFacts(const FinishedRun& run) {
  const Settings& settings = run.settings;
  const TrainOptions& train = settings.train;
  std::vector<Fact> facts = {
      {"experiment", run.experiment.name},
      {"variant", run.experiment.variant},
      {"seed", absl::StrCat(run.seed)},
      {"data", run.data_dir},
  };
  if (!run.experiment.labels.empty()) {
    facts.push_back(
        {"labels used", absl::StrJoin(run.experiment.labels, ", ")});
  }
  if (settings.validation > 0) {
    facts.push_back(
        {"validation",
         absl::StrCat(Number(100 * settings.validation),
                      run.data.user != nullptr ? " % of all rows"
                                               : " % of the training set",
                      settings.stratification == Stratification::kByLabel
                          ? ", by label"
                          : ", at random")});
  }
  if (run.data.user != nullptr) {
    const std::vector<Fact> of_user = UserFacts(run);
    facts.insert(facts.end(), of_user.begin(), of_user.end());
  }
  const std::vector<Fact> of_training = {
      {"epochs",
       absl::StrCat(train.epochs,
                    train.early_stopping.has_value() ? " at most" : "")},
      {"batch size", CountText(train.batches.batch_size)},
      {"batches", OrderText(train.batches.order)},
      {"last batch", LastBatchText(train.batches.last)},
      {"learning rate", Number(settings.learning_rate)},
  };
  facts.insert(facts.end(), of_training.begin(), of_training.end());
  for (const auto& [name, strength] :
       {std::pair("L1", settings.l1), std::pair("L2", settings.l2),
        std::pair("proximal L1", settings.proximal_l1)}) {
    if (strength != 0) facts.push_back({name, Number(strength)});
  }
  const std::vector<Fact> rest = {
      {"early stopping", EarlyStoppingText(train.early_stopping)},
      {"figures averaged over",
       train.averaging == Averaging::kOverSamples ? "samples" : "batches"},
      {"training figures", train.train_figures == TrainFigures::kDuringEpoch
                               ? "of each batch before its update"
                               : "of the weights after the epoch"},
      {"precision",
       train.precision == Precision::kFloat32 ? "float32" : "bfloat16"},
      {"threads", absl::StrCat(run.result.threads)},
      {"parameters", [&] {
         int64_t elements = 0;
         for (Var parameter : GraphOf(run).parameters()) {
           elements += GraphOf(run).Value(parameter).elements();
         }
         return CountText(elements);
       }()}};
  facts.insert(facts.end(), rest.begin(), rest.end());
  return facts;
}

// ---- Versions ----

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!absl::StartsWith(line, "model name")) continue;
    return std::string(
        absl::StripAsciiWhitespace(line.substr(line.find(':') + 1)));
  }
  return "unknown";
}

std::vector<Fact> VersionFacts() {
  const dnnl_version_t* const dnnl = dnnl_version();
  const int64_t targets = hwy::SupportedTargets() & HWY_TARGETS;
  std::vector<Fact> facts = {
      {"Tape", kVersion},
      {"compiler", "GCC " __VERSION__},
      {"oneDNN",
       absl::StrFormat("%d.%d.%d", dnnl->major, dnnl->minor, dnnl->patch)},
      {"processor", ProcessorName()},
      // Of those that the program has code for, the best one's bit is lowest.
      {"Highway target", hwy::TargetName(targets & -targets)},
  };
  utsname system;
  if (uname(&system) == 0) {
    facts.push_back({"system", absl::StrCat(system.sysname, " ", system.release,
                                            ", ", system.machine)});
  }
  return facts;
}

// ---- Predictions ----

// The first hidden layer that has two units, if any.
Var TwoUnits(const Classifier& model) {
  for (Var hidden : model.hidden) {
    if (hidden.shape().rank() == 2 && hidden.shape()[1] == 2) return hidden;
  }
  return Var();
}

// Appends the rows that a plan has computed for a batch, from row `first` on.
void PutRows(const TensorView& rows, int64_t first, Tensor& all) {
  const size_t bytes = rows.type().bytes();
  const size_t row_bytes =
      all.type().bytes() / static_cast<size_t>(all.shape()[0]);
  std::copy_n(
      static_cast<const char*>(rows.data()), bytes,
      static_cast<char*>(all.data()) + static_cast<size_t>(first) * row_bytes);
}

absl::Status Predict(const FinishedRun& run, ReportInput& input) {
  const Classifier& model = run.model;
  const Dataset& test = run.data.images->test;
  const int64_t samples = test.size();
  const Var probabilities =
      model.logits.empty() ? Var() : Softmax(model.logits);
  struct Wanted {
    Var var;
    std::optional<Tensor>* to;
  };
  std::vector<Wanted> wanted;
  CompileOptions options = {.replace = run.settings.train.evaluate_with,
                            .threads = run.settings.train.threads,
                            .precision = run.settings.train.precision};
  for (const Wanted& one : {Wanted{model.predicted, &input.predicted},
                            Wanted{probabilities, &input.probabilities},
                            Wanted{TwoUnits(model), &input.two_units}}) {
    if (one.var.empty()) continue;
    wanted.push_back(one);
    options.fetch.push_back(one.var);
    one.to->emplace(TensorType{one.var.dtype(), one.var.shape().Bind(samples)});
  }
  absl::StatusOr<Plan> plan = Compile(*model.graph, options, Loc{});
  if (!plan.ok()) return plan.status();
  Batches batches(test, {.batch_size = run.settings.train.evaluation_batch_size,
                         .order = Order::kFixed});
  batches.StartEpoch(0);
  int64_t first = 0;
  while (const std::optional<Batch> batch = batches.Next()) {
    absl::Status status = plan->Run(
        {{model.images, batch->images}, {model.labels, batch->labels}}, Loc{});
    if (!status.ok()) return status;
    for (const Wanted& one : wanted) {
      PutRows(plan->Value(one.var), first, **one.to);
    }
    first += batch->size;
  }
  return absl::OkStatus();
}

// The weights that the pixels are multiplied by, if they are one parameter.
std::optional<Tensor> FirstLayer(const FinishedRun& run) {
  Graph& graph = *run.model.graph;
  for (Var parameter : graph.parameters()) {
    const Tensor& value = graph.Value(parameter);
    if (value.shape().rank() == 2 &&
        value.shape()[0] == run.data.images->train.pixels()) {
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> ClassNames(const Experiment& experiment) {
  // Xiao, Rasul and Vollgraf, "Fashion-MNIST", arXiv:1708.07747, table 2.
  if (experiment.data_dir == kFashionMnist) {
    return {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat",
            "Sandal",      "Shirt",   "Sneaker",  "Bag",   "Ankle boot"};
  }
  return {};
}

namespace {

// Of a user's data: what the model makes of the test set.
absl::Status PredictOfUser(const FinishedRun& run, ReportInput& input) {
  const DataTable& test = run.data.user->splits.test;
  if (test.size() == 0) return absl::OkStatus();
  absl::StatusOr<DataTable> found =
      tape::Predict(run.declared->model, test,
                    {.threads = run.settings.train.threads,
                     .precision = run.settings.train.precision},
                    Loc{});
  if (!found.ok()) return found.status();
  if (run.data.user->task == Task::kClassification) {
    input.predicted = std::move(found->columns[0].values);
    input.probabilities = std::move(found->columns[1].values);
    return absl::OkStatus();
  }
  const auto targets = test.Find("y")->values<float>();
  const auto values = found->Find("value")->values<float>();
  input.regression =
      RegressionResult{.target = run.declared->card.target,
                       .targets = {targets.begin(), targets.end()},
                       .predicted = {values.begin(), values.end()}};
  return absl::OkStatus();
}

std::vector<GraphResult> PicturedOutputs(const FinishedRun& run) {
  if (run.data.user == nullptr) {
    return {{"predicted", run.model.predicted}, {"loss", run.model.loss}};
  }
  const Model& model = run.declared->model;
  return {{model.outputs[0].name, model.outputs[0].value},
          {"loss", model.loss}};
}

}  // namespace

absl::StatusOr<ReportInput> GatherReport(const FinishedRun& run) {
  const bool is_users = run.data.user != nullptr;
  ReportInput input = {
      .run = Summarize(run.experiment, run.seed, run.result),
      .description = is_users
                         ? DescriptionOf(run.run->user->mlp, *run.data.user)
                         : run.experiment.description,
      .published_test_accuracy = run.experiment.published.test_accuracy,
      .settings = SettingFacts(run),
      .versions = VersionFacts(),
      .history = run.result.history,
      .confusion = run.result.confusion,
      .class_names =
          is_users ? run.declared->card.classes : ClassNames(run.experiment),
      .data = run.data.images,
      .weights = is_users ? std::nullopt : FirstLayer(run),
      .costliest = run.profile.Costliest()};
  if (absl::Status status =
          is_users ? PredictOfUser(run, input) : Predict(run, input);
      !status.ok()) {
    return status;
  }
  absl::StatusOr<Figure> graph = MakeGraphPicture(PicturedOutputs(run));
  if (graph.ok()) {
    input.graph = *std::move(graph);
  } else {
    // Too large to be read, say. The page says so, and has the rest.
    input.graph_note = std::string(graph.status().message());
  }
  return input;
}

namespace {

// A user's images as a data set.
Dataset ImagesOf(const DataTable& table, const ModelCard& card) {
  if (table.size() == 0) return Dataset();
  return {.images = *table.Find("x"),
          .labels = *table.Find("y"),
          .classes = static_cast<int>(card.classes.size()),
          .rows = card.images->rows};
}

}  // namespace

absl::Status ReportRun(const FinishedRun& run, const std::string& folder) {
  absl::StatusOr<ReportInput> input = GatherReport(run);
  if (!input.ok()) return input.status();
  DataSplits images;
  if (run.data.user != nullptr && run.data.user->card.images.has_value()) {
    const TableSplits& splits = run.data.user->splits;
    const ModelCard& card = run.data.user->card;
    images = {.train = ImagesOf(splits.train, card),
              .test = ImagesOf(splits.test, card),
              .validation = ImagesOf(splits.validation, card)};
    input->data = &images;
    input->channels = static_cast<int>(card.images->channels);
  }
  return WriteReport(MakeReport(*input), folder);
}

}  // namespace tape
