// The reader and writer of NumPy's .npz files (npz.h), whose container libzip
// reads and writes. In goes a path or a file's bytes, out come arrays, made
// little-endian and row-major, or a Status that names what is wrong; and the
// other way round. Tested by tests/io/npz_test.cc.
#include "framework/io/npz.h"

#include <zip.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <deque>
#include <functional>
#include <iterator>
#include <new>
#include <set>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "framework/core/check.h"
#include "framework/core/exceptions.h"
#include "framework/core/memory.h"
#include "framework/io/files.h"

namespace tape {
namespace {

constexpr absl::string_view kSuffix = ".npy";
constexpr absl::string_view kMagic = "\x93NUMPY";
constexpr size_t kVersionBytes = 2;
constexpr size_t kHeaderAlignment = 64;
constexpr int kMaxRank = 32;              // NumPy's.
constexpr uint64_t kMostDeflated = 1032;  // Bytes that one can make.
constexpr size_t kMaxNameBytes = 65'000;  // Zip counts them in 16 bits.
constexpr zip_uint16_t kFirstOfJanuary1980 = 1 << 5 | 1;

struct NumpyType {
  absl::string_view code;  // Behind the byte order.
  StoredType type;
};
constexpr NumpyType kTypes[] = {
    {"b1", StoredType::kBool},    {"u1", StoredType::kUint8},
    {"u2", StoredType::kUint16},  {"u4", StoredType::kUint32},
    {"u8", StoredType::kUint64},  {"i1", StoredType::kInt8},
    {"i2", StoredType::kInt16},   {"i4", StoredType::kInt32},
    {"i8", StoredType::kInt64},   {"f2", StoredType::kFloat16},
    {"f4", StoredType::kFloat32}, {"f8", StoredType::kFloat64},
};

// What the header of an .npy file says.
struct Layout {
  StoredType type = StoredType::kFloat32;
  bool big_endian = false;
  bool fortran_order = false;
  Shape shape;
};

// Reads that header: the text of a Python dict,
//   {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
class LayoutParser {
 public:
  LayoutParser(absl::string_view text, absl::string_view where)
      : rest_(text), where_(where) {}

  absl::StatusOr<Layout> Parse() {
    if (!Take("{")) return Wrong("{");
    while (!Take("}")) {
      absl::Status status = ParseMember();
      if (!status.ok()) return status;
      if (!Take(",") && !absl::StartsWith(rest_, "}")) return Wrong(", or }");
    }
    if (!AtEnd()) return Wrong("the header's end");
    for (absl::string_view key : {"descr", "fortran_order", "shape"}) {
      if (!found_.contains(key)) {
        return WrongData(where_, absl::StrCat("a header with ", key), "none");
      }
    }
    return layout_;
  }

 private:
  absl::Status ParseMember() {
    absl::string_view key;
    if (!TakeString(key)) return Wrong("a name in quotation marks");
    if (!found_.insert(key).second) {
      return WrongData(where_, "each name once",
                       absl::StrCat(Quoted(key), " twice"));
    }
    if (!Take(":")) return Wrong(":");
    if (key == "descr") return ParseType();
    if (key == "fortran_order") return ParseOrder();
    if (key == "shape") return ParseShape();
    return WrongData(where_, "descr, fortran_order and shape only",
                     Quoted(key));
  }

  absl::Status ParseType() {
    AtEnd();
    const absl::string_view here = rest_;
    absl::string_view descr;
    if (TakeString(descr) && !descr.empty()) {
      for (const auto& [code, type] : kTypes) {
        const absl::string_view orders = SizeOf(type) == 1 ? "|<>" : "<>";
        if (descr.substr(1) == code && absl::StrContains(orders, descr[0])) {
          layout_.type = type;
          layout_.big_endian = descr[0] == '>';
          return absl::OkStatus();
        }
      }
    }
    rest_ = here;
    const auto append = [](std::string* out, const NumpyType& type) {
      absl::StrAppend(out, type.code);
    };
    return Wrong(absl::StrCat("a descr of <, > or | and one of ",
                              absl::StrJoin(kTypes, ", ", append)));
  }

  absl::Status ParseOrder() {
    layout_.fortran_order = Take("True");
    if (layout_.fortran_order || Take("False")) return absl::OkStatus();
    return Wrong("True or False");
  }

  absl::Status ParseShape() {
    std::vector<int64_t> dims;
    if (!Take("(")) return Wrong("a shape in parentheses");
    bool comma = true;  // One that belongs before the next size.
    while (!Take(")")) {
      int64_t dim;
      if (!comma || !TakeNumber(dim) || dims.size() == kMaxRank) {
        return Wrong(absl::StrCat("at most ", kMaxRank,
                                  " sizes and commas between them"));
      }
      dims.push_back(dim);
      comma = Take(",");
    }
    if (dims.size() == 1 && !comma) return Wrong("(n,) for a single size n");
    layout_.shape = Shape(dims);
    if (layout_.shape.is_valid()) return absl::OkStatus();
    return WrongData(where_, "at most 2^40 elements", layout_.shape.ToString());
  }

  // Whether only white space is left, of which what comes next is passed over.
  bool AtEnd() {
    rest_ =
        rest_.substr(std::min(rest_.find_first_not_of(" \t\n"), rest_.size()));
    return rest_.empty();
  }
  bool Take(absl::string_view token) {
    AtEnd();
    return absl::ConsumePrefix(&rest_, token);
  }
  bool TakeString(absl::string_view& content) {
    for (absl::string_view mark : {"'", "\""}) {
      if (!Take(mark)) continue;
      const size_t end = rest_.find(mark);
      if (end == rest_.npos) return false;
      content = rest_.substr(0, end);
      rest_.remove_prefix(end + 1);
      return true;
    }
    return false;
  }
  bool TakeNumber(int64_t& number) {
    AtEnd();
    const size_t end =
        std::min(rest_.find_first_not_of("0123456789"), rest_.size());
    if (!absl::SimpleAtoi(rest_.substr(0, end), &number)) return false;
    rest_.remove_prefix(end);
    return true;
  }

  absl::Status Wrong(absl::string_view expected) const {
    return WrongData(where_, absl::StrCat("header with ", expected),
                     Quoted(rest_));
  }

  absl::string_view rest_;
  const absl::string_view where_;
  Layout layout_;
  std::set<absl::string_view> found_;
};

absl::StatusOr<FileBytes> Allocate(size_t size, absl::string_view where) {
  absl::Status status = CheckMemory(where, size);
  if (!status.ok()) return status;
  FileBytes bytes(size);
  if (bytes.ok()) return bytes;
  return absl::ResourceExhaustedError(
      absl::StrCat(where, ": no memory for its ", size, " bytes"));
}

// Writes the elements of a column-major array to `result` in row-major order.
void PutRowMajor(absl::string_view bytes, const Shape& shape,
                 size_t element_bytes, char* result) {
  std::vector<size_t> strides(shape.rank());
  size_t stride = element_bytes;
  for (int axis = 0; axis < shape.rank(); ++axis) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  std::vector<int64_t> index(shape.rank());
  size_t from = 0;
  for (size_t to = 0; to < bytes.size(); to += element_bytes) {
    std::memcpy(result + to, bytes.data() + from, element_bytes);
    for (int axis = shape.rank() - 1; axis >= 0; --axis) {
      from += strides[axis];
      if (++index[axis] < shape[axis]) break;
      from -= strides[axis] * shape[axis];
      index[axis] = 0;
    }
  }
}

// The array of an .npy file. `npy` is changed to hold it.
absl::StatusOr<StoredArray> ParseNpy(FileBytes& npy, absl::string_view where) {
  absl::string_view rest = npy.view();
  const auto* const bytes = reinterpret_cast<const uint8_t*>(rest.data());
  if (!absl::ConsumePrefix(&rest, kMagic) || rest.size() < kVersionBytes) {
    return WrongData(where, "the magic of .npy, \\x93NUMPY, and a version",
                     Quoted(rest));
  }
  const int version = rest[0];
  if (version < 1 || version > 3 || rest[1] != 0) {
    return WrongData(where, "version 1.0, 2.0 or 3.0",
                     absl::StrCat(bytes[6], ".", bytes[7]));
  }
  rest.remove_prefix(kVersionBytes);
  const size_t length_bytes = version == 1 ? 2 : 4;
  uint32_t length = 0;
  if (rest.size() < length_bytes) {
    return WrongData(where, "the header's length", "the end");
  }
  std::memcpy(&length, rest.data(), length_bytes);  // Little-endian.
  rest.remove_prefix(length_bytes);
  if (rest.size() < length) {
    return WrongData(where, absl::StrCat("a header of ", length, " bytes"),
                     absl::StrCat(rest.size()));
  }
  const absl::StatusOr<Layout> layout =
      LayoutParser(rest.substr(0, length), where).Parse();
  if (!layout.ok()) return layout.status();
  rest.remove_prefix(length);

  const size_t element_bytes = SizeOf(layout->type);
  const size_t expected = layout->shape.elements() * element_bytes;
  if (rest.size() != expected) {
    return WrongData(where,
                     absl::StrCat(expected, " bytes of elements for ",
                                  Name(layout->type), layout->shape.ToString()),
                     absl::StrCat(rest.size()));
  }
  if (layout->big_endian) {
    char* const begin = npy.data() + (npy.size() - rest.size());
    for (size_t i = 0; i < rest.size(); i += element_bytes) {
      std::reverse(begin + i, begin + i + element_bytes);
    }
  }
  if (layout->fortran_order && layout->shape.rank() > 1) {
    absl::StatusOr<FileBytes> row_major = Allocate(rest.size(), where);
    if (!row_major.ok()) return row_major.status();
    PutRowMajor(rest, layout->shape, element_bytes, row_major->data());
    npy = *std::move(row_major);
    rest = npy.view();
  }
  return StoredArray{"", layout->type, layout->shape, rest};
}

// The .npy file of `array`, but for its elements.
std::string NpyHeader(const StoredArray& array, absl::string_view code) {
  std::string shape = absl::StrJoin(array.shape.dims(), ", ");
  if (array.shape.rank() == 1) shape += ",";
  std::string header =
      absl::StrCat("{'descr': '", SizeOf(array.type) == 1 ? "|" : "<", code,
                   "', 'fortran_order': False, 'shape': (", shape, "), }");
  const size_t before = kMagic.size() + kVersionBytes + 2;
  while ((before + header.size() + 1) % kHeaderAlignment != 0) header += ' ';
  header += '\n';
  const auto length = static_cast<uint16_t>(header.size());
  return absl::StrCat(
      kMagic, absl::string_view("\1\0", kVersionBytes),
      absl::string_view(reinterpret_cast<const char*>(&length), sizeof(length)),
      header);
}

// An error of libzip's, which is freed with it.
struct ZipError {
  ZipError() { zip_error_init(&error); }
  ~ZipError() { zip_error_fini(&error); }
  std::string text() { return zip_error_strerror(&error); }
  zip_error_t error;
};

absl::StatusOr<FileBytes> ReadMember(zip_t* zip, const zip_stat_t& stat,
                                     absl::string_view where) {
  zip_file_t* const file = zip_fopen_index(zip, stat.index, /*flags=*/0);
  if (file == nullptr) {
    return WrongData(where, "a sound member", zip_strerror(zip));
  }
  const auto close = absl::MakeCleanup([file] { zip_fclose(file); });
  absl::StatusOr<FileBytes> allocated = Allocate(stat.size, where);
  if (!allocated.ok()) return allocated.status();
  FileBytes bytes = *std::move(allocated);
  // One byte more is asked for, since the checksum is verified at the end;
  // there is room for it.
  const size_t most = bytes.size() + 1;
  size_t count = 0;
  for (zip_int64_t read = 1; read > 0 && count < most; count += read) {
    read = zip_fread(file, bytes.data() + count, most - count);
    if (read < 0) {
      return WrongData(where, "a sound member", zip_file_strerror(file));
    }
  }
  if (count == bytes.size()) return bytes;
  return WrongData(where, absl::StrCat(bytes.size(), " bytes"),
                   count < most ? absl::StrCat(count) : "more");
}

// That the member may be read: what it claims, its bytes can hold, of which the
// file still has `left`.
absl::Status CheckMember(const zip_stat_t& stat, uint64_t left,
                         absl::string_view where) {
  constexpr zip_uint64_t kNeeded = ZIP_STAT_NAME | ZIP_STAT_SIZE |
                                   ZIP_STAT_COMP_SIZE | ZIP_STAT_COMP_METHOD |
                                   ZIP_STAT_ENCRYPTION_METHOD;
  if ((stat.valid & kNeeded) != kNeeded) {
    return WrongData(where, "a member with name, sizes and method",
                     "not all of them");
  }
  if (!absl::EndsWith(stat.name, kSuffix)) {
    return WrongData(where, "a member that ends in .npy", Quoted(stat.name));
  }
  if (stat.encryption_method != ZIP_EM_NONE) {
    return WrongData(where, "no encryption", "a member that is encrypted");
  }
  const bool deflated = stat.comp_method == ZIP_CM_DEFLATE;
  if (!deflated && stat.comp_method != ZIP_CM_STORE) {
    return WrongData(where, "a member stored or deflated",
                     absl::StrCat("compression method ", stat.comp_method));
  }
  if (stat.comp_size > left) {
    return WrongData(where,
                     absl::StrCat("at most ", left,
                                  " bytes, which the file "
                                  "has left"),
                     absl::StrCat(stat.comp_size));
  }
  const uint64_t most = stat.comp_size * (deflated ? kMostDeflated : 1);
  if (stat.size > most) {
    return WrongData(
        where,
        absl::StrCat("at most ", most, " bytes, made of ", stat.comp_size),
        absl::StrCat(stat.size));
  }
  return absl::OkStatus();
}

std::string MemberText(absl::string_view path, absl::string_view name) {
  return absl::StrCat(path, ": member ", Quoted(name, 80));
}

// NumPy's name of the array's type, once it is known that `array` can be
// written.
absl::StatusOr<absl::string_view> CodeOf(const StoredArray& array,
                                         absl::string_view path) {
  const std::string where = absl::StrCat(path, ": ", ArrayText(array.name));
  if (array.name.size() > kMaxNameBytes ||
      absl::StrContains(array.name, '\0')) {
    return WrongData(
        where,
        absl::StrCat("a name without NUL of at most ", kMaxNameBytes, " bytes"),
        absl::StrCat("one of ", array.name.size()));
  }
  for (const auto& [code, type] : kTypes) {
    if (type == array.type) return code;
  }
  return WrongData(where, "a type that NumPy has", Name(array.type));
}

// Adds a member of these two pieces, which must outlive `zip`.
absl::Status AddMember(zip_t* zip, absl::string_view name,
                       absl::string_view header, absl::string_view elements,
                       absl::string_view path) {
  const auto fragment = [](absl::string_view bytes) {
    // It takes a pointer to what it does not change.
    return zip_buffer_fragment_t{
        reinterpret_cast<zip_uint8_t*>(const_cast<char*>(bytes.data())),
        bytes.size()};
  };
  const zip_buffer_fragment_t pieces[] = {fragment(header), fragment(elements)};
  zip_source_t* const source =
      zip_source_buffer_fragment(zip, pieces, std::size(pieces), /*freep=*/0);
  if (source == nullptr) throw std::bad_alloc();
  const std::string member = absl::StrCat(name, kSuffix);
  const zip_int64_t index =
      zip_file_add(zip, member.c_str(), source, ZIP_FL_ENC_UTF_8);
  if (index < 0) {
    zip_source_free(source);
    return WrongData(MemberText(path, member), "unique names in UTF-8",
                     zip_strerror(zip));
  }
  // These can fail for want of memory alone.
  if (zip_set_file_compression(zip, index, ZIP_CM_STORE, 0) != 0 ||
      zip_file_set_dostime(zip, index, 0, kFirstOfJanuary1980, 0) != 0) {
    throw std::bad_alloc();
  }
  return absl::OkStatus();
}

// The bytes of an archive that was written to `source`.
FileBytes BytesOf(zip_source_t* source) {
  zip_stat_t stat;
  TAPE_CHECK_EQ(zip_source_stat(source, &stat), 0);
  FileBytes bytes(stat.size);
  if (!bytes.ok()) throw std::bad_alloc();
  TAPE_CHECK_EQ(zip_source_open(source), 0);
  TAPE_CHECK_EQ(zip_source_read(source, bytes.data(), bytes.size()),
                static_cast<zip_int64_t>(bytes.size()));
  zip_source_close(source);
  return bytes;
}

// An archive without members, of which libzip would make no file: the end of
// its directory alone.
std::string EmptyArchive() { return "PK\5\6" + std::string(18, '\0'); }

}  // namespace

const StoredArray* NpzFile::Find(absl::string_view name) const {
  for (const StoredArray& array : arrays) {
    if (array.name == name) return &array;
  }
  return nullptr;
}

absl::StatusOr<NpzFile> ParseNpz(absl::string_view bytes,
                                 absl::string_view path) {
  // libzip would take it for an archive that is still to be written.
  if (bytes.empty()) return WrongData(path, "a zip archive", "an empty file");
  ZipError error;
  zip_source_t* const source = zip_source_buffer_create(
      bytes.data(), bytes.size(), /*freep=*/0, &error.error);
  if (source == nullptr) throw std::bad_alloc();
  zip_t* const zip = zip_open_from_source(source, ZIP_RDONLY, &error.error);
  if (zip == nullptr) {
    zip_source_free(source);
    return WrongData(path, "a zip archive", error.text());
  }
  const auto close = absl::MakeCleanup([zip] { zip_discard(zip); });

  NpzFile file;
  std::set<std::string, std::less<>> names;
  uint64_t left = bytes.size();
  for (zip_int64_t i = 0; i < zip_get_num_entries(zip, /*flags=*/0); ++i) {
    zip_stat_t stat;
    if (zip_stat_index(zip, i, /*flags=*/0, &stat) != 0) {
      return WrongData(path, "a sound archive", zip_strerror(zip));
    }
    const std::string where = MemberText(path, stat.name);
    absl::Status status = CheckMember(stat, left, where);
    if (!status.ok()) return status;
    left -= stat.comp_size;  // Members do not share bytes.
    if (!names.insert(stat.name).second) {
      return WrongData(where, "each name once", "it twice");
    }
    absl::StatusOr<FileBytes> npy = ReadMember(zip, stat, where);
    if (!npy.ok()) return npy.status();
    absl::StatusOr<StoredArray> array = ParseNpy(*npy, where);
    if (!array.ok()) return array.status();
    array->name = std::string(absl::StripSuffix(stat.name, kSuffix));
    file.arrays.push_back(*std::move(array));
    file.members.push_back(*std::move(npy));
  }
  return file;
}

absl::StatusOr<NpzFile> ReadNpz(const std::string& path) try {
  const absl::StatusOr<FileBytes> bytes = ReadWholeFile(path, "an .npz file");
  if (!bytes.ok()) return bytes.status();
  return ParseNpz(bytes->view(), path);
} catch (...) {
  return CaughtStatus(path);
}

absl::Status WriteNpz(const std::string& path,
                      absl::Span<const StoredArray> arrays) try {
  if (arrays.empty()) return ReplaceFile(path, EmptyArchive());
  ZipError error;
  zip_source_t* const target = zip_source_buffer_create(
      /*data=*/nullptr, /*len=*/0, /*freep=*/0, &error.error);
  if (target == nullptr) throw std::bad_alloc();
  const auto free_target = absl::MakeCleanup([=] { zip_source_free(target); });
  zip_t* const zip = zip_open_from_source(target, ZIP_TRUNCATE, &error.error);
  if (zip == nullptr) throw std::bad_alloc();
  zip_source_keep(target);  // Closing the archive would free it too.
  auto discard = absl::MakeCleanup([=] { zip_discard(zip); });

  std::deque<std::string> headers;  // libzip reads them when it closes.
  for (const StoredArray& array : arrays) {
    if (absl::Status status = CheckBytes(array); !status.ok()) return status;
    const absl::StatusOr<absl::string_view> code = CodeOf(array, path);
    if (!code.ok()) return code.status();
    headers.push_back(NpyHeader(array, *code));
    absl::Status status =
        AddMember(zip, array.name, headers.back(), array.bytes, path);
    if (!status.ok()) return status;
  }
  if (zip_close(zip) != 0) {
    return absl::InternalError(absl::StrCat(path, ": ", zip_strerror(zip)));
  }
  std::move(discard).Cancel();
  return ReplaceFile(path, BytesOf(target).view());
} catch (...) {
  return CaughtStatus(path);
}

}  // namespace tape
