// Fuzzes the reader of PNG and JPEG images (framework/io/decode_image.h) through
// framework/data/image_tree.h: the input is the file. It is read in grey and in
// colour.
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "framework/core/check.h"
#include "framework/data/image_tree.h"
#include "tests/fuzz/fuzzing.h"

namespace tape {
namespace {

// Three bytes for each pixel, of which a byte of the file may hold one for each
// bit that deflate makes of it; what libpng keeps to compose an image on white;
// and the decoders' tables. Images of more than 2^24 pixels are refused.
size_t Limit(size_t file) {
  return 8 * 8 * kDeflateExpansion * file + (size_t{2} << 20);
}

}  // namespace
}  // namespace tape

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tape;
  const std::string path = FileOf("image", AsText(data, size));
  for (const int channels : {1, 3}) {
    const auto images = WithinMemory(Limit(size), [&] {
      return ReadColorImages(path, {.channels = channels});
    });
    if (!images.ok()) {
      CheckError(images.status(), {path});
      continue;
    }
    TAPE_CHECK((images->pixels.shape() ==
                Shape{1, images->rows * images->columns * channels}));
  }
  return 0;
}
