// Sums of what is scattered: the kernel under ScatterAdd and ScatterAddAlong
// (index.cc).
#ifndef TAPE_OPS_SCATTER_H_
#define TAPE_OPS_SCATTER_H_

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "ops/vector.h"

namespace tape {

// There are places of `width` neighbouring elements, `step` elements apart, to
// each of which updates are added in their order. Every place is summed in double and
// rounded once.
struct Scatter {
  int64_t updates;      // How many there are, `update_step` elements apart,
  int64_t update_step;  // whose indices are
  int64_t index_step;   // so far apart.
  int64_t places;
  int64_t step;
  int64_t width;

  // Wide enough to be worth a call of vector code.
  static constexpr int64_t kVectors = 8;

  // Elements that have sums of their own in the scratch memory: few enough for
  // the cache, if possible.
  static constexpr int64_t kMostSums = 1 << 20;
  // Most updates that a list can link.
  static constexpr int64_t kMostLinks = std::numeric_limits<int32_t>::max();

  // So few terms lose next to nothing in float32, and small lines are many.
  static constexpr int64_t kFewUpdates = 16;
  // From this size on their sums could be infinite.
  static constexpr float kLarge = 0x1p123f;

  // Whether to give each of `some` places sums of its own, or to link the
  // updates of each: a table with few updates should cost no more than its
  // zeros.
  bool HasSums(int64_t some) const {
    return updates >= kMostLinks ||
           (updates >= places / 4 && some * width <= kMostSums);
  }
  size_t ScratchBytes(int64_t some) const {
    return HasSums(some) ? std::min(some * width, std::max(kMostSums, width)) *
                               sizeof(double)
                         : updates * sizeof(int32_t);
  }

  // Of the places `begin` … `end` - 1, from all updates. `some`: the same as
  // for ScratchBytes, at least as many as these.
  void Run(const float* from, const int32_t* indices, float* to, int64_t begin,
           int64_t end, int64_t some, std::byte* scratch) const {
    if (width == 1 && updates <= kFewUpdates &&
        RunFew(from, indices, to, begin, end)) {
      return;
    }
    if (!HasSums(some)) {
      RunLinked(from, indices, to, begin, end,
                reinterpret_cast<int32_t*>(scratch));
      return;
    }
    // One piece is the rule; a division for each line would show.
    const int64_t most = some * width <= kMostSums
                             ? some
                             : std::max(kMostSums / width, int64_t{1});
    for (; begin < end; begin += most) {
      RunSummed(from, indices, to, begin, std::min(end, begin + most),
                reinterpret_cast<double*>(scratch));
    }
  }

 private:
  // In float32, of places of one element; false, with nothing of use done, if an
  // update is so large that a partial sum could be infinite.
  bool RunFew(const float* from, const int32_t* indices, float* to,
              int64_t begin, int64_t end) const {
    for (int64_t place = begin; place < end; ++place) to[place * step] = 0;
    bool large = false;
    for (int64_t j = 0; j < updates; ++j) {
      const int64_t place = indices[j * index_step];
      if (place < begin || place >= end) continue;
      const float update = from[j * update_step];
      to[place * step] += update;
      large |= !(std::fabs(update) < kLarge);
    }
    return !large;
  }

  void RunSummed(const float* from, const int32_t* indices, float* to,
                 int64_t begin, int64_t end, double* sums) const {
    // Of a line of a few elements a call of memset would be most of the work.
    constexpr int64_t kFew = 8;
    double few[kFew] = {};
    const int64_t count = (end - begin) * width;
    if (count <= kFew) {
      sums = few;
    } else {
      std::fill_n(sums, count, 0.0);
    }
    if (width == 1) {
      for (int64_t j = 0; j < updates; ++j) {
        const int64_t place = indices[j * index_step];
        if (place < begin || place >= end) continue;
        sums[place - begin] += from[j * update_step];
      }
      for (int64_t place = begin; place < end; ++place) {
        to[place * step] = static_cast<float>(sums[place - begin]);
      }
      return;
    }
    for (int64_t j = 0; j < updates; ++j) {
      const int64_t place = indices[j * index_step];
      if (place < begin || place >= end) continue;
      const float* const update = from + j * update_step;
      double* const sum = sums + (place - begin) * width;
      if (width >= kVectors) {
        vector::AddToSums(update, width, sum);
        continue;
      }
      for (int64_t i = 0; i < width; ++i) sum[i] += update[i];
    }
    for (int64_t place = begin; place < end; ++place, sums += width) {
      vector::RoundSums(sums, width, to + place * step);
    }
  }

  // links[j]: the next update of the same place, or kLast. While the lists are
  // made, the first element of a place holds the number of its list's first
  // update, which fits into a float's bytes.
  void RunLinked(const float* from, const int32_t* indices, float* to,
                 int64_t begin, int64_t end, int32_t* links) const {
    constexpr int32_t kLast = -1, kElsewhere = -2;
    for (int64_t place = begin; place < end; ++place) {
      std::fill_n(to + place * step, width, 0.0f);
    }
    for (int64_t j = updates; j-- > 0;) {
      const int64_t place = indices[j * index_step];
      if (place < begin || place >= end) {
        links[j] = kElsewhere;
        continue;
      }
      float* const y = to + place * step;
      const int32_t first = std::bit_cast<int32_t>(*y);
      links[j] = first == 0 ? kLast : first - 1;
      *y = std::bit_cast<float>(static_cast<int32_t>(j + 1));
    }
    for (int64_t j = 0; j < updates; ++j) {
      if (links[j] == kElsewhere) continue;
      SumList(from, to + indices[j * index_step] * step, j, links);
      // All of this list is done, so that its other updates are passed over.
      for (int32_t next = static_cast<int32_t>(j); next != kLast;) {
        next = std::exchange(links[next], kElsewhere);
      }
    }
  }

  void SumList(const float* from, float* y, int64_t first,
               const int32_t* links) const {
    constexpr int64_t kColumns = 64;
    for (int64_t begin = 0; begin < width; begin += kColumns) {
      const int64_t count = std::min(kColumns, width - begin);
      double sums[kColumns] = {};
      for (int64_t j = first; j >= 0; j = links[j]) {
        const float* const update = from + j * update_step + begin;
        vector::AddToSums(update, count, sums);
      }
      vector::RoundSums(sums, count, y + begin);
    }
  }
};

}  // namespace tape

#endif  // TAPE_OPS_SCATTER_H_
