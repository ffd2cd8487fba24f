// The reader and writer of IDX files (idx.h). In goes a path or a file's bytes,
// out comes a shape with its elements, or a Status that names the offending
// byte; and the other way round. Tested by tests/io/idx_test.cc and
// tests/data/dataset_test.cc.
#include "framework/io/idx.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <new>
#include <utility>

#define ZLIB_CONST  // Lets zlib read from memory that is const.
#include <zlib.h>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "framework/core/memory.h"
#include "framework/io/stored_array.h"

namespace tape {
namespace {

// The format's types.
struct ElementType {
  uint8_t code;
  StoredType type;
  absl::string_view name;
};
constexpr ElementType kTypes[] = {
    {0x08, StoredType::kUint8, "unsigned byte"},
    {0x09, StoredType::kInt8, "signed byte"},
    {0x0b, StoredType::kInt16, "16-bit integer"},
    {0x0c, StoredType::kInt32, "32-bit integer"},
    {0x0d, StoredType::kFloat32, "32-bit float"},
    {0x0e, StoredType::kFloat64, "64-bit float"},
};
constexpr const ElementType& kUnsignedByte = kTypes[0];

constexpr int kMaxRank = 4;  // Images, rows, columns, channels.
constexpr int kMaxTensorRank = 255;
constexpr size_t kMagicBytes = 4;
constexpr size_t kSizeBytes = 4;  // Of each dimension's size.

// What the elements are allocated for at first: small enough to be free, and
// MNIST's images are ten doublings away.
constexpr size_t kFirstAllocation = 64 * 1024;

uint32_t BigEndian(const uint8_t* bytes) {
  return uint32_t{bytes[0]} << 24 | uint32_t{bytes[1]} << 16 |
         uint32_t{bytes[2]} << 8 | uint32_t{bytes[3]};
}

std::string HexByte(uint8_t byte) {
  return absl::StrCat("0x", absl::Hex(byte, absl::kZeroPad2));
}

const ElementType* FindType(uint8_t code) {
  for (const ElementType& type : kTypes) {
    if (type.code == code) return &type;
  }
  return nullptr;
}

// Which files are taken.
enum class Accepted { kUnsignedBytes, kAll };

// What a file holds, as it lies there.
struct Elements {
  StoredType type;
  Shape shape;
  absl::Span<const uint8_t> bytes;  // Big-endian.
  std::vector<uint8_t> unpacked;  // What they are, unless they lie in the file.
};

// The IDX content of a file from beginning to end.
class Content {
 public:
  virtual ~Content() = default;
  // Fills `to` with the next bytes. Returns how many there were: fewer than
  // `to` holds only if the content ends there, and is known to be sound.
  virtual absl::StatusOr<size_t> Read(absl::Span<uint8_t> to) = 0;
  // How many more bytes there surely are.
  virtual size_t available() const { return 0; }
  // The next bytes where they lie, or none if they lie nowhere yet.
  virtual absl::Span<const uint8_t> Take(size_t) { return {}; }
};

class PlainContent : public Content {
 public:
  explicit PlainContent(absl::string_view bytes) : rest_(bytes) {}

  absl::StatusOr<size_t> Read(absl::Span<uint8_t> to) override {
    const size_t count = std::min(to.size(), rest_.size());
    std::copy_n(rest_.begin(), count, to.begin());
    rest_.remove_prefix(count);
    return count;
  }
  size_t available() const override { return rest_.size(); }
  absl::Span<const uint8_t> Take(size_t count) override {
    if (count > rest_.size()) return {};
    const auto* const bytes = reinterpret_cast<const uint8_t*>(rest_.data());
    rest_.remove_prefix(count);
    return {bytes, count};
  }

 private:
  absl::string_view rest_;
};

class GzipContent : public Content {
 public:
  static bool Recognises(absl::string_view bytes) {
    return bytes.substr(0, 2) == "\x1f\x8b";
  }

  GzipContent(absl::string_view bytes, absl::string_view path)
      : bytes_(bytes), path_(path) {
    // 16 asks for the gzip format only; MAX_WBITS accepts every window size.
    // This can only fail for want of memory.
    if (inflateInit2(&stream_, 16 + MAX_WBITS) != Z_OK) throw std::bad_alloc();
  }
  ~GzipContent() override { inflateEnd(&stream_); }
  GzipContent(const GzipContent&) = delete;
  GzipContent& operator=(const GzipContent&) = delete;

  absl::StatusOr<size_t> Read(absl::Span<uint8_t> to) override {
    size_t written = 0;
    while (written < to.size() && !ended_) {
      const uInt offered = Clamp(bytes_.size() - consumed_);
      const uInt room = Clamp(to.size() - written);
      stream_.next_in =
          reinterpret_cast<const Bytef*>(bytes_.data()) + consumed_;
      stream_.avail_in = offered;
      stream_.next_out = to.data() + written;
      stream_.avail_out = room;
      const int result = inflate(&stream_, Z_NO_FLUSH);
      consumed_ += offered - stream_.avail_in;
      written += room - stream_.avail_out;
      if (result == Z_STREAM_END) {  // The checksum and length were right.
        ended_ = true;
        if (consumed_ < bytes_.size()) {
          return WrongHere(
              "the file's end after the gzip stream",
              absl::StrCat(bytes_.size() - consumed_, " more bytes"));
        }
      } else if (result == Z_BUF_ERROR) {  // There was room, so no input.
        return WrongHere("more of the gzip stream", "the file's end");
      } else if (result != Z_OK) {
        return WrongHere("a sound gzip stream",
                         stream_.msg != nullptr ? stream_.msg : zError(result));
      }
    }
    return written;
  }

 private:
  // zlib counts in 32 bits; what is left over waits for the next call.
  static uInt Clamp(size_t count) {
    return static_cast<uInt>(std::min<size_t>(count, 1 << 30));
  }

  absl::Status WrongHere(absl::string_view expected,
                         absl::string_view found) const {
    return WrongData(absl::StrCat(path_, ": compressed byte ", consumed_),
                     expected, found);
  }

  const absl::string_view bytes_;
  const absl::string_view path_;
  z_stream stream_{};
  size_t consumed_ = 0;
  bool ended_ = false;
};

// Reads one IDX file's content, knowing at each step where it is.
class Parser {
 public:
  Parser(Content& content, absl::string_view path, size_t file_bytes,
         Accepted accepted)
      : content_(content),
        path_(path),
        file_bytes_(file_bytes),
        takes_all_(accepted == Accepted::kAll) {}

  absl::StatusOr<Elements> Parse() {
    absl::StatusOr<int> rank = ReadMagic();
    if (!rank.ok()) return rank.status();
    absl::StatusOr<Shape> shape = ReadShape(*rank);
    if (!shape.ok()) return shape.status();
    Elements elements;
    elements.type = type_;
    elements.shape = *std::move(shape);
    absl::Status status = ReadBytes(elements);
    if (!status.ok()) return status;
    absl::Status end = ReadEnd(elements.shape);
    if (!end.ok()) return end;
    return elements;
  }

 private:
  int max_rank() const { return takes_all_ ? kMaxTensorRank : kMaxRank; }

  // Sets the type and returns the rank.
  absl::StatusOr<int> ReadMagic() {
    std::array<uint8_t, kMagicBytes> magic;
    absl::StatusOr<size_t> count = content_.Read(absl::MakeSpan(magic));
    if (!count.ok()) return count.status();
    if (*count < magic.size()) {
      return WrongHere("4 bytes of IDX magic", absl::StrCat(*count));
    }
    if (magic[0] != 0 || magic[1] != 0) {
      return WrongHere(
          takes_all_ ? "IDX magic, which begins with two bytes 0"
                     : "IDX magic 0x00000801 to 0x00000804 (unsigned bytes, 1 "
                       "to 4 dimensions)",
          absl::StrCat("0x",
                       absl::Hex(BigEndian(magic.data()), absl::kZeroPad8)));
    }
    const ElementType* const type = FindType(magic[2]);
    if (type == nullptr || (!takes_all_ && type != &kUnsignedByte)) {
      offset_ = 2;
      return WrongHere(
          takes_all_ ? "IDX element type 0x08, 0x09 or 0x0b to 0x0e"
                     : "IDX element type 0x08 (unsigned byte)",
          absl::StrCat(
              HexByte(magic[2]), " (",
              type != nullptr ? type->name : "not a type of the format", ")"));
    }
    type_ = type->type;
    if (magic[3] < 1 || magic[3] > max_rank()) {
      offset_ = 3;
      return WrongHere(absl::StrCat("1 to ", max_rank(), " dimensions"),
                       absl::StrCat(magic[3]));
    }
    offset_ = kMagicBytes;
    return magic[3];
  }

  absl::StatusOr<Shape> ReadShape(int rank) {
    std::array<uint8_t, kSizeBytes * kMaxTensorRank> buffer;
    const absl::Span<uint8_t> sizes(buffer.data(), kSizeBytes * rank);
    absl::StatusOr<size_t> count = content_.Read(sizes);
    if (!count.ok()) return count.status();
    if (*count < sizes.size()) {
      return WrongHere(absl::StrCat(sizes.size(), " bytes of sizes of ", rank,
                                    " dimensions"),
                       absl::StrCat(*count));
    }
    absl::InlinedVector<int64_t, kMaxRank> dims;
    for (int axis = 0; axis < rank; ++axis) {
      dims.push_back(BigEndian(&sizes[kSizeBytes * axis]));
    }
    Shape shape(dims);
    if (!shape.is_valid()) {
      return WrongHere(absl::StrCat("at most ", kMaxElements, " elements"),
                       shape.ToString());
    }
    offset_ += sizes.size();
    return shape;
  }

  absl::Status ReadBytes(Elements& elements) {
    const Shape& shape = elements.shape;
    size_t claimed = SizeOf(type_);  // Exactly: ReadShape has looked.
    for (const int64_t dim : shape.dims()) claimed *= dim;
    elements.bytes = content_.Take(claimed);
    if (elements.bytes.size() == claimed) {
      offset_ += claimed;
      return CheckMemory(path_, claimed);  // A tensor becomes a copy of them.
    }
    std::vector<uint8_t>& values = elements.unpacked;
    // Grows as elements arrive, or as far as they surely will, since what the
    // header claims may be false; and is reserved first, since resize() alone
    // may take twice as much.
    while (values.size() < claimed) {
      const size_t arrived = values.size();
      const size_t step =
          std::min(claimed - arrived,
                   std::max({arrived, kFirstAllocation, content_.available()}));
      // A tensor becomes a copy of them, when the file's bytes are gone.
      const size_t size = arrived + step;
      absl::Status status =
          CheckMemory(path_, 2 * size - std::min(file_bytes_, size));
      if (!status.ok()) return status;
      values.reserve(size);
      values.resize(size);
      absl::StatusOr<size_t> count =
          content_.Read(absl::MakeSpan(values).subspan(arrived));
      if (!count.ok()) return count.status();
      if (*count < step) {
        return WrongHere(
            absl::StrCat(claimed, " bytes of elements for ", shape.ToString()),
            absl::StrCat(arrived + *count));
      }
    }
    elements.bytes = values;
    offset_ += claimed;
    return absl::OkStatus();
  }

  absl::Status ReadEnd(const Shape& shape) {
    std::array<uint8_t, 1> more;
    absl::StatusOr<size_t> count = content_.Read(absl::MakeSpan(more));
    if (!count.ok()) return count.status();
    if (*count > 0) {
      return WrongHere(
          absl::StrCat("the end of the data after ", shape.ToString()),
          absl::StrCat("another byte, ", HexByte(more[0])));
    }
    return absl::OkStatus();
  }

  absl::Status WrongHere(absl::string_view expected,
                         absl::string_view found) const {
    return WrongData(absl::StrCat(path_, ": byte ", offset_), expected, found);
  }

  Content& content_;
  const absl::string_view path_;
  const size_t file_bytes_;
  const bool takes_all_;
  StoredType type_ = StoredType::kUint8;
  size_t offset_ = 0;
};

absl::StatusOr<Elements> ParseElements(absl::string_view bytes,
                                       absl::string_view path,
                                       Accepted accepted) {
  if (GzipContent::Recognises(bytes)) {
    GzipContent content(bytes, path);
    return Parser(content, path, bytes.size(), accepted).Parse();
  }
  PlainContent content(bytes);
  return Parser(content, path, bytes.size(), accepted).Parse();
}

}  // namespace

absl::StatusOr<IdxArray> ParseIdx(absl::string_view bytes,
                                  absl::string_view path) {
  absl::StatusOr<Elements> elements =
      ParseElements(bytes, path, Accepted::kUnsignedBytes);
  if (!elements.ok()) return elements.status();
  if (elements->unpacked.empty()) {
    elements->unpacked.assign(elements->bytes.begin(), elements->bytes.end());
  }
  return IdxArray{std::move(elements->shape), std::move(elements->unpacked)};
}

absl::StatusOr<Tensor> ParseIdxTensor(absl::string_view bytes,
                                      absl::string_view path, DType dtype) {
  absl::StatusOr<Elements> elements =
      ParseElements(bytes, path, Accepted::kAll);
  if (!elements.ok()) return elements.status();
  const size_t size = SizeOf(elements->type);
  std::vector<uint8_t>& reversed = elements->unpacked;
  if (size > 1) {
    if (reversed.empty()) {
      reversed.assign(elements->bytes.begin(), elements->bytes.end());
    }
    for (size_t at = 0; at < reversed.size(); at += size) {
      std::reverse(reversed.begin() + at, reversed.begin() + at + size);
    }
    elements->bytes = reversed;
  }
  const StoredArray array = {
      .name = "elements",
      .type = elements->type,
      .shape = elements->shape,
      .bytes = {reinterpret_cast<const char*>(elements->bytes.data()),
                elements->bytes.size()}};
  absl::StatusOr<Tensor> tensor = ToTensor(array, dtype);
  if (tensor.ok()) return tensor;
  return absl::Status(tensor.status().code(),
                      absl::StrCat(path, ": ", tensor.status().message()));
}

absl::StatusOr<IdxArray> ReadIdx(const std::string& path) {
  const absl::StatusOr<FileBytes> bytes = ReadWholeFile(path, "an IDX file");
  if (!bytes.ok()) return bytes.status();
  return ParseIdx(bytes->view(), path);
}

absl::StatusOr<IdxFile> ReadIdxFile(const std::string& path) {
  absl::StatusOr<FileBytes> file = ReadWholeFile(path, "an IDX file");
  if (!file.ok()) return file.status();
  absl::StatusOr<Elements> elements =
      ParseElements(file->view(), path, Accepted::kUnsignedBytes);
  if (!elements.ok()) return elements.status();
  return IdxFile{std::move(elements->shape), elements->bytes, *std::move(file),
                 std::move(elements->unpacked)};
}

absl::StatusOr<Tensor> ReadIdxTensor(const std::string& path, DType dtype) {
  const absl::StatusOr<FileBytes> bytes = ReadWholeFile(path, "an IDX file");
  if (!bytes.ok()) return bytes.status();
  return ParseIdxTensor(bytes->view(), path, dtype);
}

absl::Status WriteIdx(const std::string& path, const Shape& shape,
                      absl::Span<const uint8_t> values) {
  if (shape.rank() < 1 || shape.rank() > kMaxRank || !shape.is_bound() ||
      shape.elements() != static_cast<int64_t>(values.size())) {
    return WrongData(path,
                     absl::StrCat("a shape of rank 1 to ", kMaxRank,
                                  " with as many "
                                  "elements as there are values, ",
                                  values.size()),
                     shape.ToString());
  }
  std::string header = {0, 0, static_cast<char>(kUnsignedByte.code),
                        static_cast<char>(shape.rank())};
  for (int axis = 0; axis < shape.rank(); ++axis) {
    if (shape[axis] > std::numeric_limits<uint32_t>::max()) {
      return WrongData(path, "sizes below 2^32, which IDX can state",
                       shape.ToString());
    }
    for (int shift : {24, 16, 8, 0}) {
      header.push_back(static_cast<char>(shape[axis] >> shift));
    }
  }
  return WriteNewFile(
      path,
      {header, {reinterpret_cast<const char*>(values.data()), values.size()}});
}

}  // namespace tape
