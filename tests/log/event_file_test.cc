// TensorBoard's event files, framework/log/event_file.h: held to the bytes
// that protoc made (event_file.py), and read by a decoder and a checksum of
// this file's own.
#include "framework/log/event_file.h"

#include <unistd.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/file_testing.h"

namespace tape {
namespace {

namespace fs = std::filesystem;

// ---- A reader ----

uint64_t LittleEndian(absl::string_view bytes) {
  uint64_t value = 0;
  for (size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<uint8_t>(bytes[i]);
  }
  return value;
}

// As the RFC 3720 says it, bit by bit; then TensorFlow's mask.
uint32_t MaskedCrc(absl::string_view bytes) {
  uint32_t crc = 0xffffffff;
  for (char byte : bytes) {
    crc ^= static_cast<uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) {
      crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
    }
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8;
}

absl::string_view Take(absl::string_view& bytes, size_t count) {
  EXPECT_LE(count, bytes.size());
  const absl::string_view taken = bytes.substr(0, count);
  bytes.remove_prefix(taken.size());
  return taken;
}

// The data of the file's records, all of whose checksums are right.
std::vector<std::string> Records(absl::string_view file) {
  std::vector<std::string> records;
  while (!file.empty() && !testing::Test::HasFailure()) {
    const absl::string_view length = Take(file, 8);
    EXPECT_EQ(LittleEndian(Take(file, 4)), MaskedCrc(length));
    const absl::string_view data = Take(file, LittleEndian(length));
    EXPECT_EQ(LittleEndian(Take(file, 4)), MaskedCrc(data));
    records.emplace_back(data);
  }
  return records;
}

uint64_t TakeVarint(absl::string_view& bytes) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    const absl::string_view byte = Take(bytes, 1);
    if (byte.empty()) break;
    value |= static_cast<uint64_t>(byte[0] & 0x7f) << shift;
    if ((byte[0] & 0x80) == 0) break;
  }
  return value;
}

// A field of a message: a number, or the bytes of a text or message.
struct Field {
  int number = 0;
  int wire = 0;
  uint64_t value = 0;
  absl::string_view bytes = {};
};

std::vector<Field> Fields(absl::string_view message) {
  std::vector<Field> fields;
  while (!message.empty() && !testing::Test::HasFailure()) {
    const uint64_t key = TakeVarint(message);
    Field field = {.number = static_cast<int>(key >> 3),
                   .wire = static_cast<int>(key & 7)};
    switch (field.wire) {
      case 0:
        field.value = TakeVarint(message);
        break;
      case 1:
        field.value = LittleEndian(Take(message, 8));
        break;
      case 2:
        field.bytes = Take(message, TakeVarint(message));
        break;
      case 5:
        field.value = LittleEndian(Take(message, 4));
        break;
      default:
        ADD_FAILURE() << "wire type " << field.wire;
    }
    fields.push_back(field);
  }
  return fields;
}

struct Event {
  double wall_time = 0;
  int64_t step = 0;
  std::string file_version = {};
  std::vector<std::pair<std::string, float>> scalars = {};
  bool starts_session = false;
};

Event Decode(absl::string_view message) {
  Event event;
  for (const Field& field : Fields(message)) {
    switch (field.number) {
      case 1:
        EXPECT_EQ(field.wire, 1);
        event.wall_time = std::bit_cast<double>(field.value);
        break;
      case 2:
        EXPECT_EQ(field.wire, 0);
        event.step = static_cast<int64_t>(field.value);
        break;
      case 3:
        EXPECT_EQ(field.wire, 2);
        event.file_version = std::string(field.bytes);
        break;
      case 5:
        EXPECT_EQ(field.wire, 2);
        for (const Field& value : Fields(field.bytes)) {
          EXPECT_EQ(value.number, 1);
          const std::vector<Field> parts = Fields(value.bytes);
          EXPECT_EQ(parts.size(), 2u);
          if (parts.size() != 2) break;
          EXPECT_EQ(parts[0].number, 1);
          EXPECT_EQ(parts[0].wire, 2);
          EXPECT_EQ(parts[1].number, 2);
          EXPECT_EQ(parts[1].wire, 5);
          event.scalars.emplace_back(
              parts[0].bytes,
              std::bit_cast<float>(static_cast<uint32_t>(parts[1].value)));
        }
        break;
      case 7:  // A SessionLog, whose status is START.
        EXPECT_EQ(field.bytes, "\x08\x01");
        event.starts_session = true;
        break;
      default:
        ADD_FAILURE() << "field " << field.number;
    }
  }
  return event;
}

std::vector<Event> ReadEvents(const std::string& path) {
  std::vector<Event> events;
  for (const std::string& record : Records(ReadText(path))) {
    events.push_back(Decode(record));
  }
  return events;
}

// ---- What is written ----

constexpr double kStart = 1700000000.25;

// The epochs of event_file.py.
std::vector<EpochResult> GoldenHistory() {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  return {
      {.train = {.epoch = 1,
                 .split = "train",
                 .loss = 0.1,
                 .accuracy = 0.5,
                 .learning_rate = 0.01,
                 .seconds = 2,
                 .reports = {{"zeros", 0.5}, {"zeros", 0.75}}},
       .validation = EpochMetrics{.epoch = 1,
                                  .split = "validation",
                                  .loss = kInfinity,
                                  .accuracy = 0.25,
                                  .seconds = 0.5},
       .test = {.epoch = 1, .split = "test", .accuracy = 1, .seconds = 0.25}},
      {.train =
           {.epoch = 300, .split = "train", .loss = -kInfinity, .accuracy = 0},
       .test = {.epoch = 300, .split = "test", .loss = 1e-45}}};
}

class EventFileTest : public testing::Test {
 protected:
  EventFileTest()
      : folder_(testing::TempDir() + "/" +
                testing::UnitTest::GetInstance()->current_test_info()->name()) {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  std::string ExpectedPath() const {
    char host[256] = "";
    EXPECT_EQ(gethostname(host, sizeof(host)), 0);
    return absl::StrCat(folder_, "/events.out.tfevents.1700000000.", host,
                        ".tape");
  }

  const std::string folder_;
  double time_ = kStart;
  const std::function<double()> clock_ = [this] { return time_; };
  // The log of a new run, or of one that is resumed.
  EpochLog NewLog() const {
    absl::StatusOr<EpochLog> log = EventFileLog(folder_, clock_);
    EXPECT_TRUE(log.ok()) << log.status();
    return *std::move(log);
  }
};

TEST_F(EventFileTest, TheReaderKnowsPublicChecksums) {
  // RFC 3720, B.4: 32 bytes of zeros have the CRC-32C 0x8a9136aa.
  constexpr uint32_t kZeros = 0x8a9136aa;
  EXPECT_EQ(MaskedCrc(std::string(32, '\0')),
            (kZeros >> 15 | kZeros << 17) + 0xa282ead8);
  // The head of every event file: the length of its first record is 24.
  EXPECT_EQ(MaskedCrc(absl::string_view("\x18\0\0\0\0\0\0\0", 8)), 0x224b7fa3u);
}

TEST_F(EventFileTest, TheFileIsByteByByteWhatProtocMakes) {
  EpochLog log = NewLog();
  EXPECT_EQ(log.path(), ExpectedPath());
  EXPECT_FALSE(fs::exists(log.path()));
  ASSERT_TRUE(log.Append(GoldenHistory()[0]).ok());
  time_ = 1700000003.5;
  ASSERT_TRUE(log.Append(GoldenHistory()[1]).ok());
  const std::string golden = ReadText("tests/log/event_file.golden");
  ASSERT_FALSE(golden.empty());
  EXPECT_EQ(ReadText(log.path()), golden);
}

TEST_F(EventFileTest, ScalarsAreReadBackByTheirTags) {
  EpochLog log = NewLog();
  for (const EpochResult& epoch : GoldenHistory()) {
    ASSERT_TRUE(log.Append(epoch).ok());
  }
  const std::vector<Event> events = ReadEvents(log.path());
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].file_version, "brain.Event:2");
  EXPECT_EQ(events[0].wall_time, kStart);
  EXPECT_TRUE(events[0].scalars.empty());
  EXPECT_EQ(events[1].step, 1);
  EXPECT_EQ(events[2].step, 300);
  std::map<std::string, float> scalars(events[1].scalars.begin(),
                                       events[1].scalars.end());
  EXPECT_EQ(scalars.size(), events[1].scalars.size());
  EXPECT_TRUE(std::isnan(scalars["loss/test"]));
  scalars.erase("loss/test");
  const float infinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(scalars,
            (std::map<std::string, float>{{"loss/train", 0.1f},
                                          {"accuracy/train", 0.5f},
                                          {"seconds/train", 2},
                                          {"loss/validation", infinity},
                                          {"accuracy/validation", 0.25f},
                                          {"seconds/validation", 0.5f},
                                          {"accuracy/test", 1},
                                          {"seconds/test", 0.25f},
                                          {"learning_rate", 0.01f},
                                          {"zeros", 0.5f},
                                          {"zeros_2", 0.75f}}));
}

TEST_F(EventFileTest, StepsAreReadBackWhateverTheirLength) {
  EpochLog log = NewLog();
  const std::vector<int> steps = {0,   1,     127,   128,     129,
                                  255, 16383, 16384, 2097151, 2147483647};
  for (int step : steps) {
    ASSERT_TRUE(
        log.Append({.train = {.epoch = step}, .test = {.epoch = step}}).ok());
  }
  const std::vector<Event> events = ReadEvents(log.path());
  ASSERT_EQ(events.size(), 1 + steps.size());
  for (size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(events[i + 1].step, steps[i]);
  }
}

TEST_F(EventFileTest, AnotherProcessSeesEachEpochAtOnce) {
  EpochLog log = NewLog();
  for (size_t epochs = 1; epochs <= 3; ++epochs) {
    ASSERT_TRUE(log.Append(GoldenHistory()[0]).ok());
    EXPECT_EQ(Records(ReadByAnotherProcess(log.path())).size(), 1 + epochs);
  }
}

// Whoever has the files open, as TensorBoard has, sees what is added; and times
// stay what they were.
TEST_F(EventFileTest, AContinuedRunAddsAFileThatForgetsWhatIsMadeAgain) {
  const std::vector<EpochResult> history = GoldenHistory();
  EpochLog killed = NewLog();
  ASSERT_TRUE(killed.Append(history[0]).ok());
  ASSERT_TRUE(killed.Append(history[1]).ok());
  const std::string before = ReadText(killed.path());

  // Within the same second, from the checkpoint of an earlier epoch.
  EpochLog log = NewLog();
  EXPECT_GT(log.path(), killed.path());
  ASSERT_TRUE(log.Continue({history[0]}).ok());
  EXPECT_FALSE(fs::exists(log.path()));
  ASSERT_TRUE(log.Append(history[1]).ok());
  EXPECT_EQ(ReadText(killed.path()), before);
  std::vector<Event> events = ReadEvents(log.path());
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[0].file_version, "brain.Event:2");
  EXPECT_TRUE(events[1].starts_session);
  EXPECT_EQ(events[1].step, 300);
  EXPECT_EQ(events[2].step, 300);
  EXPECT_EQ(events[2].wall_time, kStart);

  // Going back while it trains: the file goes on growing.
  const std::string grown = ReadText(log.path());
  ASSERT_TRUE(log.Continue({}).ok());
  EXPECT_EQ(ReadText(log.path()), grown);
  ASSERT_TRUE(log.Append(history[0]).ok());
  EXPECT_TRUE(absl::StartsWith(ReadText(log.path()), grown));
  events = ReadEvents(log.path());
  ASSERT_EQ(events.size(), 5u);
  EXPECT_TRUE(events[3].starts_session);
  EXPECT_EQ(events[3].step, 1);
  EXPECT_EQ(events[4].step, 1);
}

TEST_F(EventFileTest, AContinuedRunWithoutAnEventFileWritesItsHistory) {
  const std::vector<EpochResult> history = GoldenHistory();
  WriteText(folder_ + "/metrics.csv", "");
  EpochLog log = NewLog();
  EXPECT_EQ(log.path(), ExpectedPath());
  // The first epoch took 2.75 s, and the second, nobody knows.
  ASSERT_TRUE(log.Continue({history[1], history[0]}).ok());
  time_ += 1;
  ASSERT_TRUE(log.Append(history[0]).ok());
  const std::vector<Event> events = ReadEvents(log.path());
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].wall_time, kStart - 2.75);
  EXPECT_EQ(events[1].wall_time, kStart - 2.75);
  EXPECT_EQ(events[1].step, 300);
  EXPECT_EQ(events[2].wall_time, kStart);
  EXPECT_EQ(events[3].wall_time, kStart + 1);
  EXPECT_TRUE(
      absl::IsNotFound(EventFileLog(folder_ + "/none", clock_).status()));
}

TEST_F(EventFileTest, TouchesNoEventFileOfAnotherProgram) {
  const std::string others =
      WriteText(folder_ + "/events.out.tfevents.1800000000.host", "mine");
  EXPECT_FALSE(IsEventFile("events.out.tfevents.1800000000.host"));
  EpochLog log = NewLog();
  EXPECT_EQ(log.path(), ExpectedPath());
  ASSERT_TRUE(log.Continue({}).ok());
  ASSERT_TRUE(log.Append(GoldenHistory()[0]).ok());
  EXPECT_EQ(ReadText(others), "mine");
  EXPECT_EQ(ReadEvents(log.path()).size(), 2u);
}

TEST_F(EventFileTest, AFullDiskIsAnErrorAndLeavesWholeRecords) {
  EpochLog log = NewLog();
  ASSERT_TRUE(log.Append(GoldenHistory()[0]).ok());
  {
    LargestFile limit(fs::file_size(log.path()) + 30);
    EXPECT_EQ(std::string(log.Append(GoldenHistory()[1]).message()),
              log.path() + ": cannot add to the file: File too large");
  }
  EXPECT_EQ(ReadEvents(log.path()).size(), 2u);
}

}  // namespace
}  // namespace tape
