// Matrix products by machine code of our own (tile_code.h), where that is as fast as
// oneDNN's or faster. Tested by tests/ops/tile_product_test.cc.
#ifndef TAPE_OPS_TILE_PRODUCT_H_
#define TAPE_OPS_TILE_PRODUCT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "ops/onednn.h"
#include "ops/tile_code.h"

namespace tape {

// A band of a product of float32: c = product op(a) op(b) + addend c. Each element
// is made by the same operations whatever the band and the processor (of those that
// have such code): its terms in blocks of at most kMostTerms, each added up in order,
// and the blocks in order.
class TileProduct {
 public:
  static constexpr int64_t kMostTerms = 512;

  // Whether products of the shape are made by tiles: by the shape, and by what
  // vectors the processor has.
  static bool Suits(const onednn::MatMulShape& shape);

  // `rows`, `columns`: of the band; `width`: of the matrix that it is written to.
  TileProduct(const onednn::MatMulShape& shape, int64_t rows, int64_t columns,
              int64_t width, onednn::Scales scales);

  // For what is copied before it is multiplied.
  size_t scratch_bytes() const;

  // The first elements of the band's rows of op(a), float or uint8, of its columns of
  // op(b), and of c.
  void Run(const void* a, const float* b, float* c, std::byte* scratch) const;

 private:
  struct Panel {
    int64_t column;
    std::vector<TileCode> code;  // By rows of the tile.
  };
  // What tiles read of op(a): its first element, and TileArguments::a_step.
  struct Part {
    const float* a;
    int64_t step;
  };

  // The rows of c before strip `strip`.
  int64_t StripBegin(int64_t strip) const;
  // A strip's rows and a block's terms of op(a).
  Part PartOf(const void* a, int64_t strip, int64_t term, int64_t terms,
              float* packed) const;
  void RunStrip(const Part& part, TileArguments arguments, int64_t rows) const;

  onednn::MatMulShape shape_;
  int64_t rows_, columns_, width_;
  onednn::Scales scales_;
  // Bytes are made floats strip by strip; else there is one strip.
  int64_t strips_;
  int64_t tile_rows_;  // At most.
  std::vector<Panel> panels_;
};

}  // namespace tape

#endif  // TAPE_OPS_TILE_PRODUCT_H_
