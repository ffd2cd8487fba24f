// That HeapMeter (fuzzing.h) sees what the readers allocate, however they do.
#include <gtest/gtest.h>
#include <zlib.h>

#include <cstdlib>
#include <memory>
#include <vector>

#include "framework/core/tensor.h"
#include "tests/fuzz/fuzzing.h"

namespace tape {
namespace {

// Keeps the compiler from leaving an allocation out.
void Use(const void* memory) { asm volatile("" : : "r"(memory) : "memory"); }

template <typename F>
size_t PeakOf(const F& f) {
  const HeapMeter meter;
  f();
  return meter.peak_bytes();
}

// An allocator gives a little more than it is asked for.
void ExpectAbout(size_t found, size_t expected) {
  EXPECT_GE(found, expected);
  EXPECT_LE(found, expected + expected / 10 + 256);
}

TEST(HeapMeterTest, SeesEveryWayToAllocate) {
  EXPECT_EQ(PeakOf([] { Use(nullptr); }), 0);
  ExpectAbout(PeakOf([] { Use(std::make_unique<char[]>(1000).get()); }), 1000);
  ExpectAbout(PeakOf([] { Use(Buffer(5000).data()); }), 5000);
  ExpectAbout(PeakOf([] {
                void* const memory = std::calloc(30, 100);
                Use(memory);
                std::free(memory);
              }),
              3000);
  ExpectAbout(PeakOf([] {
                void* const memory = std::malloc(10);
                Use(memory);
                void* const moved = std::realloc(memory, 7000);
                Use(moved);
                std::free(moved);
              }),
              7000);
  EXPECT_GE(PeakOf([] {
              z_stream stream{};
              EXPECT_EQ(inflateInit(&stream), Z_OK);
              inflateEnd(&stream);
            }),
            5000);
}

TEST(HeapMeterTest, IsThePeakOfWhatIsInUseAtATime) {
  ExpectAbout(PeakOf([] {
                for (int i = 0; i < 10; ++i) Use(Buffer(10000).data());
              }),
              10000);
  ExpectAbout(PeakOf([] {
                const Buffer first(10000);
                Use(Buffer(20000).data());
                Use(Buffer(5000).data());
              }),
              30000);
}

}  // namespace
}  // namespace tape
