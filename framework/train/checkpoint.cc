// Checkpoints (checkpoint.h). Tested by tests/train/checkpoint_test.cc.
#include "framework/train/checkpoint.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "framework/core/exceptions.h"
#include "framework/io/files.h"

namespace tape {
namespace {

// Names of what is no variable begin with this.
constexpr absl::string_view kOurs = "@";
constexpr absl::string_view kBest = "@best/";
constexpr absl::string_view kOrder = "@order";
constexpr absl::string_view kState = "@state";

constexpr absl::string_view kPrefix = "step-", kSuffix = ".safetensors";

// Of a checkpoint's file.
std::string NameOf(int64_t step) {
  return absl::StrFormat("%s%012d%s", kPrefix, step, kSuffix);
}

StoredArray Bytes(absl::string_view name, absl::string_view bytes) {
  return {.name = std::string(name),
          .type = StoredType::kUint8,
          .shape = {static_cast<int64_t>(bytes.size())},
          .bytes = bytes};
}

absl::Status Wrong(absl::string_view path, absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", message));
}

// The array of that name as a tensor of that type. Errors name the file.
absl::StatusOr<Tensor> Find(const Checkpoint& checkpoint,
                            const std::string& name, const TensorType& type) {
  const StoredArray* const array = checkpoint.file.Find(name);
  if (array == nullptr) {
    return Wrong(checkpoint.path,
                 absl::StrCat("expected an array \"", name, "\", found none"));
  }
  absl::StatusOr<Tensor> value = ToTensor(*array, type.dtype);
  if (!value.ok()) return Wrong(checkpoint.path, value.status().message());
  if (!(value->type() == type)) {
    return Wrong(
        checkpoint.path,
        absl::StrCat("array \"", name, "\": expected ", type.ToString(),
                     ", found ", value->type().ToString()));
  }
  return value;
}

}  // namespace

absl::Status WriteCheckpoint(const std::string& path, const Graph& graph,
                             const TrainingState& state,
                             const Metadata& metadata) try {
  const Variables::Run run(*graph.shared_variables(), /*writes=*/false);
  if (!run.may_begin()) {
    return absl::FailedPreconditionError(absl::StrCat(
        path, ": cannot be written while a plan of the graph is running"));
  }
  std::vector<StoredArray> arrays;
  const Variables& variables = graph.variables();
  for (int i = 0; i < variables.size(); ++i) {
    arrays.push_back(ViewOf(variables[i].name, variables[i].value));
  }
  for (const NamedTensor& best : state.best) {
    arrays.push_back(ViewOf(absl::StrCat(kBest, best.name), best.value));
  }
  // As int32, whose bits are the same below 2^31, which is all that will ever
  // fit: what earlier versions wrote and read.
  const std::vector<uint32_t>& order = state.batches.order;
  arrays.push_back({.name = std::string(kOrder),
                    .type = StoredType::kInt32,
                    .shape = {static_cast<int64_t>(order.size())},
                    .bytes = {reinterpret_cast<const char*>(order.data()),
                              order.size() * sizeof(uint32_t)}});
  const std::string json = ToJson(state);
  arrays.push_back(Bytes(kState, json));
  return WriteSafetensors(path, arrays, metadata);
} catch (...) {
  return CaughtStatus(path);
}

absl::StatusOr<Checkpoint> ReadCheckpoint(const std::string& path) try {
  absl::StatusOr<FileBytes> bytes = ReadWholeFile(path, "a safetensors file");
  if (!bytes.ok()) return bytes.status();
  return ParseCheckpoint(*std::move(bytes), path);
} catch (...) {
  return CaughtStatus(path);
}

absl::StatusOr<Checkpoint> ParseCheckpoint(FileBytes bytes,
                                           const std::string& path) try {
  absl::StatusOr<SafetensorsFile> file =
      ParseSafetensors(std::move(bytes), path, Checksum::kRequired);
  if (!file.ok()) return file.status();
  const StoredArray* const json = file->Find(kState);
  const StoredArray* const order = file->Find(kOrder);
  if (json == nullptr || order == nullptr) {
    return Wrong(path, absl::StrCat("expected a checkpoint, found no array \"",
                                    json == nullptr ? kState : kOrder, "\""));
  }
  absl::StatusOr<TrainingState> state = TrainingStateFromJson(json->bytes);
  if (!state.ok()) return Wrong(path, state.status().message());
  absl::StatusOr<Tensor> samples = ToTensor(*order, DType::kInt32);
  if (!samples.ok()) return Wrong(path, samples.status().message());
  const auto values = samples->values<int32_t>();
  state->batches.order.assign(values.begin(), values.end());
  return Checkpoint{
      .path = path, .file = *std::move(file), .state = *std::move(state)};
} catch (...) {
  return CaughtStatus(path);
}

absl::StatusOr<TrainingState> Restore(const Checkpoint& checkpoint,
                                      Graph& graph) try {
  Variables& variables = *graph.shared_variables();
  TrainingState state = checkpoint.state;
  std::vector<Tensor> values;
  for (int i = 0; i < variables.size(); ++i) {
    const Variable& variable = variables[i];
    const TensorType& type = variable.value.type();
    absl::StatusOr<Tensor> value = Find(checkpoint, variable.name, type);
    if (!value.ok()) return value.status();
    values.push_back(*std::move(value));
    const std::string best = absl::StrCat(kBest, variable.name);
    if (checkpoint.file.Find(best) == nullptr) continue;
    value = Find(checkpoint, best, type);
    if (!value.ok()) return value.status();
    state.best.push_back({variable.name, *std::move(value)});
  }
  for (const StoredArray& array : checkpoint.file.arrays) {
    if (absl::StartsWith(array.name, kOurs)) continue;
    if (variables.Find(array.name) < 0) {
      return Wrong(
          checkpoint.path,
          absl::StrCat("expected the model's variables alone, found \"",
                       array.name, "\" too"));
    }
  }
  std::vector<Variables::NewValue> new_values;
  for (int i = 0; i < variables.size(); ++i) {
    new_values.push_back({i, values[i]});
  }
  if (!variables.Assign(new_values)) {
    return absl::FailedPreconditionError(absl::StrCat(
        checkpoint.path,
        ": cannot be restored while a plan of the graph is running"));
  }
  return state;
} catch (...) {
  return CaughtStatus(checkpoint.path);
}

absl::StatusOr<std::vector<CheckpointFolder::Entry>> CheckpointFolder::Entries()
    const {
  const absl::StatusOr<std::vector<std::string>> names =
      VisibleNames(path_, "a folder of checkpoints");
  if (absl::IsNotFound(names.status())) return std::vector<Entry>();
  if (!names.ok()) return names.status();
  std::vector<Entry> entries;
  for (absl::string_view name : *names) {
    Entry entry = {.step = 0, .path = PathIn(path_, name)};
    absl::string_view number = name;
    // As Save writes it: a user's "step-5.safetensors" is none of ours.
    if (absl::ConsumePrefix(&number, kPrefix) &&
        absl::ConsumeSuffix(&number, kSuffix) &&
        absl::SimpleAtoi(number, &entry.step) && name == NameOf(entry.step)) {
      entries.push_back(std::move(entry));
    }
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.step > b.step; });
  return entries;
}

absl::Status CheckpointFolder::Save(const Graph& graph,
                                    const TrainingState& state,
                                    const Metadata& metadata) {
  absl::Status made = MakeFolder(path_);
  if (made.ok()) made = SyncFolderOf(path_);
  if (!made.ok() && !absl::IsAlreadyExists(made)) return made;
  const std::string path = PathIn(path_, NameOf(state.step));
  if (absl::Status status = WriteCheckpoint(path, graph, state, metadata);
      !status.ok()) {
    return status;
  }
  const absl::StatusOr<std::vector<Entry>> entries = Entries();
  if (!entries.ok()) return entries.status();
  int kept = 0, kept_for_going_back = 0;
  for (const Entry& entry : *entries) {
    // Later ones are damaged, or the run would have gone on from them.
    if (entry.step > state.step) continue;
    bool keeps = ++kept <= keep_;
    if (is_for_going_back_ != nullptr && is_for_going_back_(entry.step)) {
      keeps |= ++kept_for_going_back <= keep_ || entry.step == 0;
    }
    if (keeps) continue;
    if (absl::Status status = RemoveFile(entry.path); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status CheckpointFolder::RemoveUnfinished() {
  return RemoveTemporaries(path_, [](absl::string_view name) {
    return absl::StartsWith(name, kPrefix) && absl::EndsWith(name, kSuffix);
  });
}

absl::StatusOr<std::optional<Checkpoint>> CheckpointFolder::Newest(
    std::vector<absl::Status>& damaged, int64_t most_steps) const {
  absl::StatusOr<std::vector<Entry>> entries = Entries();
  if (!entries.ok()) return entries.status();
  std::erase_if(*entries,
                [&](const Entry& entry) { return entry.step > most_steps; });
  return ReadFirst(*entries, damaged);
}

absl::StatusOr<std::optional<Checkpoint>> CheckpointFolder::NewestGood(
    std::vector<absl::Status>& damaged, int64_t most_steps,
    absl::Span<const int64_t> not_good) const {
  absl::StatusOr<std::vector<Entry>> entries = Entries();
  if (!entries.ok()) return entries.status();
  int kept = 0;
  // A process that was killed while it saved may have left more than `keep`.
  std::erase_if(*entries, [&](const Entry& entry) {
    if (entry.step == 0) return false;
    if (is_for_going_back_ != nullptr && !is_for_going_back_(entry.step)) {
      return true;
    }
    return ++kept > keep_ || entry.step > most_steps ||
           std::find(not_good.begin(), not_good.end(), entry.step) !=
               not_good.end();
  });
  return ReadFirst(*entries, damaged);
}

absl::StatusOr<std::optional<Checkpoint>> CheckpointFolder::ReadFirst(
    absl::Span<const Entry> entries, std::vector<absl::Status>& damaged) {
  for (const Entry& entry : entries) {
    absl::StatusOr<Checkpoint> checkpoint = ReadCheckpoint(entry.path);
    if (checkpoint.ok()) return *std::move(checkpoint);
    const absl::Status& status = checkpoint.status();
    if (!absl::IsDataLoss(status) && !absl::IsInvalidArgument(status)) {
      return status;
    }
    damaged.push_back(status);
  }
  return std::nullopt;
}

absl::Status CheckpointFolder::RemoveAfter(int64_t most_steps) {
  const absl::StatusOr<std::vector<Entry>> entries = Entries();
  if (!entries.ok()) return entries.status();
  for (const Entry& entry : *entries) {
    if (entry.step <= most_steps) break;
    if (absl::Status status = RemoveFile(entry.path); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace tape
