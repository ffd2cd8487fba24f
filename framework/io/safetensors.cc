// The reader and writer of safetensors files (safetensors.h). In goes a path or
// a file's bytes, out come arrays that are views of them, or a Status that
// names what is wrong; and the other way round. The header is read in one pass
// without recursion, so that neither depth nor length of what it holds matters.
// Tested by tests/io/safetensors_test.cc.
#include "framework/io/safetensors.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "framework/core/check.h"
#include "framework/core/exceptions.h"
#include "framework/io/checksum.h"
#include "nlohmann/json.hpp"

namespace tape {
namespace {

using Json = nlohmann::json;

constexpr size_t kLengthBytes = 8;
constexpr size_t kMaxHeaderBytes = 100'000'000;
constexpr size_t kHeaderAlignment = 8;
constexpr size_t kMaxRank = 64;  // PyTorch's.

constexpr char kMetadataName[] = "__metadata__";
constexpr char kChecksumKey[] = "crc32c";
// How the header of a file with a checksum begins. Its digits come next.
constexpr absl::string_view kChecksumPrefix = R"({"__metadata__":{"crc32c":")";
constexpr absl::string_view kChecksumZeros = "00000000";
constexpr size_t kChecksumAt = kLengthBytes + kChecksumPrefix.size();

// The format's names of types, in StoredType's order.
constexpr absl::string_view kTypeNames[] = {"BOOL", "U8",   "I8",  "I16", "U16",
                                            "F16",  "BF16", "I32", "U32", "F32",
                                            "F64",  "I64",  "U64"};

std::string ChecksumText(uint32_t crc) {
  return absl::StrCat(absl::Hex(crc, absl::kZeroPad8));
}

struct Entry {
  StoredArray array;  // Still without bytes.
  size_t index = 0;   // Its position in the header.
  uint64_t begin = 0;
  uint64_t end = 0;
};

// Takes the header's parts as the JSON parser comes to them. Each function
// returns whether to go on.
class HeaderReader : public nlohmann::json_sax<Json> {
 public:
  explicit HeaderReader(absl::string_view path) : path_(path) {}

  const absl::Status& status() const { return status_; }
  std::vector<Entry>& entries() { return entries_; }
  Metadata& metadata() { return metadata_; }

  bool null() override { return Refuse("null"); }
  bool boolean(bool) override { return Refuse("a truth value"); }
  bool number_integer(number_integer_t value) override {
    return Refuse(absl::StrCat(value));
  }
  bool number_float(number_float_t, const string_t& text) override {
    return Refuse(text.substr(0, 40));
  }
  bool binary(binary_t&) override { return Refuse("binary data"); }

  bool number_unsigned(number_unsigned_t value) override {
    if (place_ != Place::kList) return Refuse(absl::StrCat(value));
    const size_t most = field_ == kShape ? kMaxRank : 2;
    if (list_.size() == most) {
      return Refuse(absl::StrCat("at most ", most, " numbers"), "more");
    }
    list_.push_back(value);
    return true;
  }

  bool string(string_t& text) override {
    if (place_ == Place::kMetadata) {
      metadata_.emplace_back(key_, std::move(text));
      return true;
    }
    if (place_ != Place::kArray || field_ != kType) return Refuse(Quoted(text));
    const auto* const name =
        std::find(std::begin(kTypeNames), std::end(kTypeNames), text);
    if (name == std::end(kTypeNames)) return Refuse(Quoted(text));
    entries_.back().array.type =
        static_cast<StoredType>(name - std::begin(kTypeNames));
    return true;
  }

  bool start_object(size_t) override {
    if (place_ == Place::kStart) {
      place_ = Place::kTop;
    } else if (place_ != Place::kTop) {
      return Refuse("an object");
    } else if (key_ == kMetadataName) {
      place_ = Place::kMetadata;
    } else {
      place_ = Place::kArray;
      entries_.emplace_back().array.name = key_;
      entries_.back().index = entries_.size() - 1;
      fields_found_ = 0;
    }
    return true;
  }

  bool key(string_t& key) override {
    if (place_ == Place::kArray) {
      const auto* const field =
          std::find(std::begin(kFields), std::end(kFields), key);
      if (field == std::end(kFields)) {
        place_ = Place::kWholeArray;
        return Refuse("dtype, shape and data_offsets only", Quoted(key));
      }
      field_ = static_cast<Field>(field - std::begin(kFields));
      if (fields_found_ & 1 << field_) return Refuse("it once", "it twice");
      fields_found_ |= 1 << field_;
      return true;
    }
    key_ = std::move(key);
    auto& known = place_ == Place::kMetadata ? metadata_keys_ : names_;
    return known.insert(key_).second || Refuse("it once", "it twice");
  }

  bool end_object() override {
    if (place_ == Place::kArray && fields_found_ != kAllFields) {
      place_ = Place::kWholeArray;
      return Refuse("dtype, shape and data_offsets", "not all of them");
    }
    place_ = place_ == Place::kTop ? Place::kStart : Place::kTop;
    return true;
  }

  bool start_array(size_t) override {
    if (place_ != Place::kArray || field_ == kType) return Refuse("a list");
    place_ = Place::kList;
    list_.clear();
    return true;
  }

  bool end_array() override {
    Entry& entry = entries_.back();
    if (field_ == kOffsets) {
      if (list_.size() != 2) {
        return Refuse("two numbers", absl::StrCat(list_.size()));
      }
      entry.begin = list_[0];
      entry.end = list_[1];
    } else {
      // What is too large an int64 becomes negative, and is not valid either.
      entry.array.shape =
          Shape(std::vector<int64_t>(list_.begin(), list_.end()));
      if (!entry.array.shape.is_bound() || !entry.array.shape.is_valid()) {
        return Refuse("at most 2^40 elements",
                      absl::StrCat("[", absl::StrJoin(list_, ","), "]"));
      }
    }
    place_ = Place::kArray;
    return true;
  }

  bool parse_error(size_t position, const std::string& token,
                   const nlohmann::detail::exception&) override {
    // The position is the last byte's that was read, counted from 1.
    status_ =
        WrongData(absl::StrCat(path_, ": byte ", kLengthBytes + position - 1),
                  "sound JSON in UTF-8", Quoted(token));
    return false;
  }

 private:
  enum class Place { kStart, kTop, kMetadata, kArray, kList, kWholeArray };
  enum Field { kType, kShape, kOffsets };
  static constexpr absl::string_view kFields[] = {"dtype", "shape",
                                                  "data_offsets"};
  static constexpr int kAllFields = 0b111;

  std::string Where() const {
    switch (place_) {
      case Place::kStart:
        return "";
      case Place::kTop:
        return absl::StrCat(": ", Quoted(key_, 80));
      case Place::kMetadata:
        return absl::StrCat(": ", kMetadataName, ": ", Quoted(key_, 80));
      case Place::kArray:
      case Place::kList:
        return absl::StrCat(": ", ArrayText(entries_.back().array.name), ": ",
                            kFields[field_]);
      case Place::kWholeArray:  // Not one of its members.
        return absl::StrCat(": ", ArrayText(entries_.back().array.name));
    }
    return "";
  }

  std::string Expected() const {
    switch (place_) {
      case Place::kMetadata:
        return "a string";
      case Place::kArray:
        if (field_ == kType) {
          return absl::StrCat("one of ", absl::StrJoin(kTypeNames, ", "));
        }
        return "a list";
      case Place::kList:
        return "a whole number";
      default:
        return "an object";
    }
  }

  bool Refuse(absl::string_view expected, absl::string_view found) {
    status_ =
        WrongData(absl::StrCat(path_, ": header", Where()), expected, found);
    return false;
  }
  bool Refuse(absl::string_view found) { return Refuse(Expected(), found); }

  const absl::string_view path_;
  absl::Status status_;
  std::vector<Entry> entries_;
  Metadata metadata_;

  Place place_ = Place::kStart;
  std::string key_;  // The last one of the header or the metadata.
  Field field_ = kType;
  int fields_found_ = 0;  // A bit for each.
  std::vector<uint64_t> list_;
  std::set<std::string, std::less<>> names_;
  std::set<std::string, std::less<>> metadata_keys_;
};

// The header's bytes.
absl::StatusOr<absl::string_view> HeaderOf(absl::string_view bytes,
                                           absl::string_view path) {
  const auto wrong_at = [&](size_t byte, absl::string_view expected,
                            absl::string_view found) {
    return WrongData(absl::StrCat(path, ": byte ", byte), expected, found);
  };
  if (bytes.size() < kLengthBytes) {
    return wrong_at(0, "8 bytes of the header's length",
                    absl::StrCat(bytes.size()));
  }
  uint64_t length;
  std::memcpy(&length, bytes.data(), kLengthBytes);
  if (length > kMaxHeaderBytes) {
    return wrong_at(
        0, absl::StrCat("a header of at most ", kMaxHeaderBytes, " bytes"),
        absl::StrCat(length));
  }
  if (length > bytes.size() - kLengthBytes) {
    return wrong_at(
        0, absl::StrCat("a header within the file's ", bytes.size(), " bytes"),
        absl::StrCat(length, " bytes of header"));
  }
  const absl::string_view header = bytes.substr(kLengthBytes, length);
  if (!absl::StartsWith(header, "{")) {
    return wrong_at(kLengthBytes, "a header that begins with {",
                    Quoted(header.substr(0, 1)));
  }
  const size_t last = header.find_last_not_of(' ');
  if (header[last] != '}') {
    return wrong_at(kLengthBytes + last,
                    "a header that ends with } and then spaces only",
                    Quoted(header.substr(last, 1)));
  }
  // The JSON parser would take it for the end.
  if (const size_t nul = header.find('\0'); nul != header.npos) {
    return wrong_at(kLengthBytes + nul, "sound JSON in UTF-8", "a NUL byte");
  }
  return header;
}

// Gives each entry its bytes of `data`, in whose order they become.
absl::Status AssignBytes(std::vector<Entry>& entries, absl::string_view data,
                         absl::string_view path) {
  // Arrays without elements may have equal offsets.
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::tuple(a.begin, a.end, a.index) <
           std::tuple(b.begin, b.end, b.index);
  });
  uint64_t offset = 0;
  for (Entry& entry : entries) {
    const uint64_t bytes =
        entry.array.shape.elements() * SizeOf(entry.array.type);
    std::string expected;
    if (entry.begin != offset) {
      expected = absl::StrCat("a begin of ", offset,
                              ", where what comes before it ends");
    } else if (entry.end > data.size()) {
      expected = absl::StrCat("an end within the ", data.size(),
                              " bytes behind the header");
    } else if (entry.end != entry.begin + bytes) {
      expected = absl::StrCat(bytes, " bytes for ", Name(entry.array.type),
                              entry.array.shape.ToString());
    }
    if (!expected.empty()) {
      return WrongData(
          absl::StrCat(path, ": header: ", ArrayText(entry.array.name),
                       ": data_offsets"),
          expected, absl::StrCat("[", entry.begin, ",", entry.end, "]"));
    }
    entry.array.bytes = data.substr(offset, bytes);
    offset += bytes;
  }
  if (offset != data.size()) {
    return WrongData(path, absl::StrCat(offset, " bytes behind the header"),
                     absl::StrCat(data.size()));
  }
  return absl::OkStatus();
}

absl::Status Verify(absl::string_view bytes, absl::string_view path,
                    Checksum checksum) {
  if (!absl::StartsWith(bytes.substr(kLengthBytes), kChecksumPrefix)) {
    if (checksum == Checksum::kIfPresent) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat(
        path, ": byte ", kLengthBytes, ": expected a checksum, ",
        kChecksumPrefix, "..., found ",
        Quoted(bytes.substr(kLengthBytes, kChecksumPrefix.size()), 40)));
  }
  const absl::string_view found =
      bytes.substr(kChecksumAt, kChecksumZeros.size());
  uint32_t crc = Crc32c(bytes.substr(0, kChecksumAt));
  crc = Crc32c(kChecksumZeros, crc);
  crc = Crc32c(bytes.substr(kChecksumAt + found.size()), crc);
  if (found == ChecksumText(crc)) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrCat(path, ": expected the checksum ", Quoted(found),
                   " that stands in it, found ", ChecksumText(crc),
                   " of its bytes: the file is damaged"));
}

// `text` as a JSON string. What is no UTF-8 in it is replaced.
std::string JsonText(const std::string& text) {
  return Json(text).dump(/*indent=*/-1, /*indent_char=*/' ',
                         /*ensure_ascii=*/false,
                         Json::error_handler_t::replace);
}

// That the header can be written: the names and keys are unique, and each text
// reads back as it is.
absl::Status CheckTexts(absl::Span<const StoredArray* const> arrays,
                        const Metadata& metadata, absl::string_view path) {
  const auto check = [&](const std::string& text) {
    if (Json::parse(JsonText(text)) == text) return absl::OkStatus();
    return WrongData(path, "names and metadata in UTF-8", Quoted(text, 80));
  };
  absl::Status status;
  std::set<absl::string_view> names = {kMetadataName};
  for (const StoredArray* array : arrays) {
    status.Update(check(array->name));
    if (!names.insert(array->name).second) {
      status.Update(WrongData(
          path, absl::StrCat("unique names, none of them ", kMetadataName),
          ArrayText(array->name)));
    }
  }
  std::set<absl::string_view> keys;
  for (const auto& [key, value] : metadata) {
    status.Update(check(key));
    status.Update(check(value));
    if (!keys.insert(key).second) {
      status.Update(
          WrongData(path, "unique keys of metadata", Quoted(key, 80)));
    }
  }
  return status;
}

// The length and the header, padded.
std::string MakeHeader(absl::Span<const StoredArray* const> arrays,
                       const Metadata& metadata) {
  std::vector<std::string> members;
  if (!metadata.empty()) {
    const auto append = [](std::string* out, const auto& entry) {
      absl::StrAppend(out, JsonText(entry.first), ":", JsonText(entry.second));
    };
    members.push_back(absl::StrCat(JsonText(kMetadataName), ":{",
                                   absl::StrJoin(metadata, ",", append), "}"));
  }
  uint64_t offset = 0;
  for (const StoredArray* array : arrays) {
    const uint64_t end = offset + array->bytes.size();
    members.push_back(absl::StrCat(JsonText(array->name), R"(:{"dtype":")",
                                   kTypeNames[static_cast<int>(array->type)],
                                   R"(","shape":)", array->shape.ToString(),
                                   R"(,"data_offsets":[)", offset, ",", end,
                                   "]}"));
    offset = end;
  }
  std::string header = absl::StrCat("{", absl::StrJoin(members, ","), "}");
  header.resize((header.size() + kHeaderAlignment - 1) / kHeaderAlignment *
                    kHeaderAlignment,
                ' ');
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), kLengthBytes) +
         header;
}

}  // namespace

const StoredArray* SafetensorsFile::Find(absl::string_view name) const {
  for (const StoredArray& array : arrays) {
    if (array.name == name) return &array;
  }
  return nullptr;
}

const std::string* SafetensorsFile::FindMetadata(absl::string_view key) const {
  for (const auto& [known, value] : metadata) {
    if (known == key) return &value;
  }
  return nullptr;
}

absl::StatusOr<SafetensorsFile> ParseSafetensors(FileBytes bytes,
                                                 absl::string_view path,
                                                 Checksum checksum) {
  const absl::StatusOr<absl::string_view> header = HeaderOf(bytes.view(), path);
  if (!header.ok()) return header.status();
  HeaderReader reader(path);
  if (!Json::sax_parse(header->begin(), header->end(), &reader)) {
    return reader.status();
  }
  const absl::string_view data =
      bytes.view().substr(kLengthBytes + header->size());
  absl::Status status = AssignBytes(reader.entries(), data, path);
  if (status.ok()) status = Verify(bytes.view(), path, checksum);
  if (!status.ok()) return status;
  std::vector<StoredArray> arrays;
  arrays.reserve(reader.entries().size());
  for (Entry& entry : reader.entries()) {
    arrays.push_back(std::move(entry.array));
  }
  return SafetensorsFile{std::move(arrays), std::move(reader.metadata()),
                         std::move(bytes)};
}

absl::StatusOr<SafetensorsFile> ReadSafetensors(const std::string& path,
                                                Checksum checksum) try {
  absl::StatusOr<FileBytes> bytes = ReadWholeFile(path, "a safetensors file");
  if (!bytes.ok()) return bytes.status();
  return ParseSafetensors(*std::move(bytes), path, checksum);
} catch (...) {
  return CaughtStatus(path);
}

absl::Status WriteSafetensors(const std::string& path,
                              absl::Span<const StoredArray> arrays,
                              const Metadata& metadata, bool with_checksum) {
  std::vector<const StoredArray*> sorted;
  for (const StoredArray& array : arrays) {
    if (absl::Status status = CheckBytes(array); !status.ok()) return status;
    sorted.push_back(&array);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const StoredArray* a, const StoredArray* b) {
              return a->type != b->type ? a->type > b->type : a->name < b->name;
            });

  Metadata written;
  if (with_checksum) written.emplace_back(kChecksumKey, kChecksumZeros);
  for (const auto& entry : metadata) {
    if (entry.first != kChecksumKey) written.push_back(entry);
  }
  absl::Status status = CheckTexts(sorted, written, path);
  if (!status.ok()) return status;

  std::string header = MakeHeader(sorted, written);
  if (header.size() - kLengthBytes > kMaxHeaderBytes) {
    return WrongData(path,
                     absl::StrCat("names and metadata that fit in a header of ",
                                  kMaxHeaderBytes, " bytes"),
                     absl::StrCat(header.size() - kLengthBytes));
  }
  std::vector<absl::string_view> pieces = {header};
  for (const StoredArray* array : sorted) pieces.push_back(array->bytes);
  if (with_checksum) {
    uint32_t crc = 0;
    for (absl::string_view piece : pieces) crc = Crc32c(piece, crc);
    header.replace(kChecksumAt, kChecksumZeros.size(), ChecksumText(crc));
  }
  return ReplaceFile(path, pieces);
}

}  // namespace tape
