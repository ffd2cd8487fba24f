// TensorBoard's event files (event_file.h). In go epochs, out come records.
// Written by hand: of protobuf's encoding this needs three kinds of field, and
// the program need not wait for a library of messages to start. Tested by
// tests/log/event_file_test.cc, which decodes by other means.
#include "framework/log/event_file.h"

#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "framework/core/floating_point.h"
#include "framework/io/checksum.h"
#include "framework/io/files.h"

namespace tape {
namespace {

constexpr absl::string_view kPrefix = "events.out.tfevents.", kSuffix = ".tape";

// The numbers of event.proto's and summary.proto's fields.
constexpr int kEventWallTime = 1, kEventStep = 2, kEventFileVersion = 3,
              kEventSummary = 5, kEventSessionLog = 7;
constexpr int kSessionLogStatus = 1;
constexpr int64_t kSessionStart = 1;
constexpr int kSummaryValue = 1;
constexpr int kValueTag = 1, kValueSimple = 2;

// ---- Protobuf's encoding: a field's key, then its value ----

enum class Wire { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// Seven bits a byte, the lowest first; the high bit says that more follow.
std::string Varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) {
    bytes.push_back(static_cast<char>(value | 0x80));
  }
  bytes.push_back(static_cast<char>(value));
  return bytes;
}

std::string Key(int field, Wire wire) {
  return Varint(static_cast<uint64_t>(field) << 3 |
                static_cast<uint64_t>(wire));
}

template <typename Unsigned>
std::string LittleEndian(Unsigned value) {
  std::string bytes;
  for (size_t i = 0; i < sizeof(value); ++i) {
    bytes.push_back(static_cast<char>(value >> 8 * i));
  }
  return bytes;
}

std::string Field(int field, double value) {
  return Key(field, Wire::kFixed64) +
         LittleEndian(std::bit_cast<uint64_t>(value));
}

std::string Field(int field, float value) {
  return Key(field, Wire::kFixed32) +
         LittleEndian(std::bit_cast<uint32_t>(value));
}

std::string Field(int field, int64_t value) {
  return Key(field, Wire::kVarint) + Varint(static_cast<uint64_t>(value));
}

// A text, or an encoded message.
std::string Field(int field, absl::string_view bytes) {
  return absl::StrCat(Key(field, Wire::kBytes), Varint(bytes.size()), bytes);
}

// ---- Records ----

// So that the checksum of data with a checksum in them is not a special number.
uint32_t Masked(uint32_t crc) { return std::rotr(crc, 15) + 0xa282ead8u; }

std::string Record(absl::string_view data) {
  const std::string length = LittleEndian(static_cast<uint64_t>(data.size()));
  return absl::StrCat(length, LittleEndian(Masked(Crc32c(length))), data,
                      LittleEndian(Masked(Crc32c(data))));
}

// The scalars of one step.
class Scalars {
 public:
  void Add(const std::string& tag, double value) {
    const std::string name = UnusedName(
        tag, [&](const std::string& name) { return tags_.contains(name); });
    tags_.insert(name);
    summary_ +=
        Field(kSummaryValue,
              absl::StrCat(Field(kValueTag, absl::string_view(name)),
                           Field(kValueSimple, static_cast<float>(value))));
  }
  void AddIfMeasured(const std::string& tag, double value) {
    if (!std::isnan(value)) Add(tag, value);
  }
  void AddPass(const EpochMetrics& pass) {
    Add("loss/" + pass.split, pass.loss);
    Add("accuracy/" + pass.split, pass.accuracy);
    AddIfMeasured("seconds/" + pass.split, pass.seconds);
  }

  absl::string_view summary() const { return summary_; }

 private:
  std::set<std::string> tags_;
  std::string summary_;
};

std::string HostName() {
  char name[256] = "";
  // A name that is cut may lack its end.
  if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') {
    return "localhost";
  }
  return name;
}

}  // namespace

std::string VersionRecord(double time) {
  return Record(absl::StrCat(
      Field(kEventWallTime, time),
      Field(kEventFileVersion, absl::string_view("brain.Event:2"))));
}

std::string EpochRecord(const EpochResult& epoch, double time) {
  const FloatingPointScope environment;
  Scalars scalars;
  scalars.AddPass(epoch.train);
  if (epoch.validation.has_value()) scalars.AddPass(*epoch.validation);
  scalars.AddPass(epoch.test);
  scalars.AddIfMeasured("learning_rate", epoch.train.learning_rate);
  for (const Measurement& report : epoch.train.reports) {
    scalars.Add(report.name, report.value);
  }
  const auto add_metrics = [&](const EpochMetrics& metrics) {
    for (const Measurement& metric : metrics.reports) {
      scalars.Add(absl::StrCat(metric.name, "/", metrics.split), metric.value);
    }
  };
  if (epoch.validation.has_value()) add_metrics(*epoch.validation);
  add_metrics(epoch.test);
  return Record(absl::StrCat(Field(kEventWallTime, time),
                             Field(kEventStep, int64_t{epoch.train.epoch}),
                             Field(kEventSummary, scalars.summary())));
}

std::string RestartRecord(int epoch, double time) {
  return Record(absl::StrCat(
      Field(kEventWallTime, time), Field(kEventStep, int64_t{epoch}),
      Field(kEventSessionLog,
            absl::string_view(Field(kSessionLogStatus, kSessionStart)))));
}

bool IsEventFile(absl::string_view name) {
  return absl::StartsWith(name, kPrefix) && absl::EndsWith(name, kSuffix);
}

absl::StatusOr<EpochLog> EventFileLog(const std::string& folder,
                                      std::function<double()> clock) {
  const auto names = VisibleNames(folder, "the folder of a run");
  if (!names.ok()) return names.status();
  // After the newest, be the clock as it may.
  auto seconds = static_cast<int64_t>(clock());
  bool has_earlier_files = false;
  for (const std::string& name : *names) {
    if (!IsEventFile(name)) continue;
    has_earlier_files = true;
    int64_t earlier;
    const size_t end = name.find('.', kPrefix.size());
    if (absl::SimpleAtoi(name.substr(kPrefix.size(), end - kPrefix.size()),
                         &earlier)) {
      seconds = std::max(seconds, earlier + 1);
    }
  }
  EpochLog log(
      PathIn(folder, absl::StrCat(kPrefix, seconds, ".", HostName(), kSuffix)),
      {.head = VersionRecord, .epoch = EpochRecord, .restart = RestartRecord},
      std::move(clock));
  if (has_earlier_files) log.HaveEarlierFiles();
  return log;
}

}  // namespace tape
