// Agreement of ranks (ranks.h). Tested by tests/distributed/train_test.cc.
#include "framework/train/ranks.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "framework/core/processor.h"
#include "framework/core/text.h"
#include "framework/core/version.h"
#include "framework/io/checksum.h"

namespace tape {
namespace {

std::string Checksum32(absl::string_view bytes) {
  return absl::StrCat("CRC-32C ", absl::Hex(Crc32c(bytes), absl::kZeroPad8));
}

// "12 nodes, CRC-32C …".
std::string GraphText(const Graph& graph) {
  std::string text;
  for (int id = 0; id < graph.size(); ++id) {
    const Node& node = graph.node(id);
    absl::StrAppend(&text, node.op->name, " ", node.name, " ",
                    node.type.ToString(), " ", node.attributes.ToString());
    for (int input : node.inputs) absl::StrAppend(&text, " ", input);
    text += '\n';
  }
  return absl::StrCat(graph.size(), " nodes, ", Checksum32(text));
}

std::string VariablesText(const Variables& variables) {
  uint32_t crc = 0;
  for (int i = 0; i < variables.size(); ++i) {
    const Tensor& value = variables[i].value;
    crc = Crc32c({static_cast<const char*>(value.data()), value.type().bytes()},
                 crc);
  }
  return absl::StrCat(variables.size(), " variables, CRC-32C ",
                      absl::Hex(crc, absl::kZeroPad8));
}

// ", early stopping …", or nothing.
std::string EarlyStoppingText(
    const std::optional<EarlyStoppingOptions>& options) {
  if (!options.has_value()) return "";
  return absl::StrCat(
      ", early stopping by split ", static_cast<int>(options->split),
      ", metric ", static_cast<int>(options->metric), " ", options->metric_name,
      options->larger_is_better ? " rising" : " falling", ", change ",
      options->min_change, ", decimals ", options->decimals.value_or(-1),
      ", patience ", options->patience.value_or(-1), ", ties ",
      static_cast<int>(options->ties), ", keep ",
      static_cast<int>(options->keep));
}

std::string OptionsText(const TrainOptions& options) {
  const BatchOptions& batches = options.batches;
  return absl::StrCat(
      options.epochs, " epochs of batches of ", batches.batch_size, ", order ",
      static_cast<int>(batches.order), ", last ",
      static_cast<int>(batches.last), ", seed ", batches.seed,
      ", evaluated every ", options.evaluate_every, " in batches of ",
      options.evaluation_batch_size, ", averaging ",
      static_cast<int>(options.averaging), ", training figures ",
      static_cast<int>(options.train_figures), ", precision ",
      static_cast<int>(options.precision), ", divergence ",
      static_cast<int>(options.on_divergence), ", ", options.parallel.shards,
      " shards", options.parallel.bfloat16_sums ? ", sums in bfloat16" : "",
      EarlyStoppingText(options.early_stopping), ", step ",
      options.resume_from == nullptr ? 0 : options.resume_from->step);
}

}  // namespace

Identity IdentityOf(const Model& model, const SplitViews& data,
                    const TrainOptions& options) {
  if (options.parallel.ranks().size() == 1) return {};
  // Sums of other vectors have other bits (framework/README.md).
  constexpr const char* kVectors[] = {"those below AVX2", "AVX2", "AVX-512"};
  return {{"the version", kVersion},
          {"the vector instructions",
           kVectors[static_cast<int>(BestVectorInstructions())]},
          {"the options", OptionsText(options)},
          {"the training set", data.train.Describe()},
          {"the validation set", data.validation.Describe()},
          {"the test set", data.test.Describe()},
          {"the model", GraphText(*model.graph)},
          {"the model with", VariablesText(model.graph->variables())}};
}

absl::Status CheckSameVariables(Communicator& ranks, const Graph& graph,
                                int epoch) {
  if (ranks.size() == 1) return absl::OkStatus();
  return CheckRanksAgree(ranks, {{absl::StrCat("after epoch ", epoch),
                                  VariablesText(graph.variables())}});
}

absl::Status ErrorOfAny(Communicator& ranks, const absl::Status& status) {
  if (ranks.size() == 1) return status;
  // A rank that was cancelled has no error of its own.
  const bool has_reason = !status.ok() && !absl::IsCancelled(status);
  const std::vector<std::string> texts = ranks.AllGather(
      status.ok() ? ""
                  : absl::StrCat(has_reason ? "!" : "-", status.message()));
  if (ranks.rank() == 0 && has_reason) return status;
  for (int rank = 0; rank < ranks.size(); ++rank) {
    if (texts[rank].empty() || texts[rank][0] != '!') continue;
    if (ranks.rank() != 0) return absl::CancelledError("another rank failed");
    return absl::InvalidArgumentError(
        absl::StrCat("rank ", rank, ": ", texts[rank].substr(1)));
  }
  return status;
}

absl::Status CheckRanksAgree(Communicator& ranks, const Identity& identity) {
  if (ranks.size() == 1) return absl::OkStatus();
  std::string text;
  for (const auto& [name, value] : identity) {
    absl::StrAppend(&text, Printable(name), "\t", Printable(value), "\n");
  }
  const std::vector<std::string> texts = ranks.AllGather(text);
  for (int rank = 1; rank < ranks.size(); ++rank) {
    if (texts[rank] == texts[0]) continue;
    if (ranks.rank() != 0) {
      ranks.AllGather("");
      return absl::CancelledError("the ranks do not agree");
    }
    const std::vector<std::string> expected = absl::StrSplit(texts[0], '\n');
    const std::vector<std::string> found = absl::StrSplit(texts[rank], '\n');
    size_t line = 0;
    const size_t lines = std::min(expected.size(), found.size());
    while (line + 1 < lines && expected[line] == found[line]) ++line;
    const std::vector<std::string> mine = absl::StrSplit(expected[line], '\t');
    const std::vector<std::string> theirs = absl::StrSplit(found[line], '\t');
    return absl::FailedPreconditionError(
        absl::StrCat("rank ", rank, ": expected ", mine[0], " ", mine.back(),
                     ", as on rank 0, found ",
                     theirs[0] == mine[0] ? "" : absl::StrCat(theirs[0], " "),
                     theirs.back()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::optional<Checkpoint>> OnRankZero(
    Communicator& ranks,
    const std::function<absl::StatusOr<std::optional<Checkpoint>>()>& read) {
  if (ranks.size() == 1) return read();
  constexpr absl::string_view kError = "error", kNone = "none";
  if (ranks.rank() == 0) {
    absl::StatusOr<std::optional<Checkpoint>> checkpoint = read();
    if (!checkpoint.ok()) {
      ranks.Broadcast(std::string(kError));
      return checkpoint;
    }
    if (!checkpoint->has_value()) {
      ranks.Broadcast(std::string(kNone));
      return checkpoint;
    }
    ranks.Broadcast(absl::StrCat("at ", (*checkpoint)->path));
    ranks.Broadcast(std::string((*checkpoint)->file.bytes.view()));
    return checkpoint;
  }
  const std::string answer = ranks.Broadcast("");
  if (answer == kError) return absl::CancelledError("rank 0 has failed");
  if (answer == kNone) return std::optional<Checkpoint>();
  const std::string path = answer.substr(answer.find(' ') + 1);
  const std::string bytes = ranks.Broadcast("");
  FileBytes file(bytes.size());
  if (!file.ok()) {
    return absl::ResourceExhaustedError(
        absl::StrCat(path, ": there is no memory for ", bytes.size(),
                     " bytes of a checkpoint"));
  }
  std::copy(bytes.begin(), bytes.end(), file.data());
  absl::StatusOr<Checkpoint> checkpoint =
      ParseCheckpoint(std::move(file), path);
  if (!checkpoint.ok()) return checkpoint.status();
  return std::optional<Checkpoint>(*std::move(checkpoint));
}

}  // namespace tape
