// What ops that move memory share (slice.cc, transpose.cc, index.cc): a kernel
// that works on ranges of equal units, and copies of equal runs.
#ifndef TAPE_OPS_RANGES_H_
#define TAPE_OPS_RANGES_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>

#include "framework/core/kernel.h"

namespace tape {

// Into how many chunks work on `units` units that moves so many bytes is cut.
inline int RangesChunks(int64_t units, int64_t bytes) {
  // Some 10 µs of copying.
  constexpr int64_t kBytesPerChunk = 128 * 1024;
  return ChunksOf(bytes, kBytesPerChunk, units);
}

// Runs f(arguments, begin, end) on ranges of `units` units, which are cut into
// chunks by how many bytes all of them move, with so many bytes of scratch.
template <typename F>
class RangesKernel : public PlainKernel {
 public:
  RangesKernel(int64_t units, int64_t bytes, F f, size_t scratch_bytes)
      : units_(units),
        f_(std::move(f)),
        scratch_bytes_(scratch_bytes),
        chunks_(RangesChunks(units, bytes)) {}
  int chunks() const override { return chunks_; }
  size_t scratch_bytes() const override { return scratch_bytes_; }
  void Run(int chunk, const KernelArguments& arguments) const override {
    const int64_t begin = units_ * chunk / chunks_;
    const int64_t end = units_ * (chunk + 1) / chunks_;
    if (begin < end) f_(arguments, begin, end);
  }

 private:
  int64_t units_;
  F f_;
  size_t scratch_bytes_;
  int chunks_;
};

template <typename F>
std::unique_ptr<Kernel> MakeRangesKernel(int64_t units, int64_t bytes, F f,
                                         size_t scratch_bytes = 0) {
  return std::make_unique<RangesKernel<F>>(units, bytes, std::move(f),
                                           scratch_bytes);
}

// Copies `count` runs of `bytes` bytes, which are so many bytes apart.
inline void CopyRuns(std::byte* to, int64_t to_step, const std::byte* from,
                     int64_t from_step, int64_t count, int64_t bytes) {
  if (count <= 0 || bytes == 0) return;
  if (to_step == bytes && from_step == bytes) {
    std::memcpy(to, from, count * bytes);
    return;
  }
  // With a size that the compiler knows a copy is a load and a store.
  const auto each = [=](auto size) {
    for (int64_t i = 0; i < count; ++i) {
      std::memcpy(to + i * to_step, from + i * from_step, size);
    }
  };
  switch (bytes) {
    case 1:
      return each(std::integral_constant<size_t, 1>());
    case 2:
      return each(std::integral_constant<size_t, 2>());
    case 4:
      return each(std::integral_constant<size_t, 4>());
    default:
      return each(static_cast<size_t>(bytes));
  }
}

// The bytes of the tensor that is read, and of that which is written.
inline const std::byte* Read(const KernelArguments& arguments, int input = 0) {
  return static_cast<const std::byte*>(arguments.inputs[input]);
}
inline std::byte* Written(const KernelArguments& arguments) {
  return static_cast<std::byte*>(arguments.outputs[0]);
}

}  // namespace tape

#endif  // TAPE_OPS_RANGES_H_
