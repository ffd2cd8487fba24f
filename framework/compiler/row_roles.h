// How the nodes of a bound program depend on the rows of its batch: what cutting
// the batch into shards (shard_batch.h) and tiles (tile_batch.h) go by.
#ifndef TAPE_FRAMEWORK_COMPILER_ROW_ROLES_H_
#define TAPE_FRAMEWORK_COMPILER_ROW_ROLES_H_

#include <cstdint>
#include <vector>

#include "framework/runtime/program.h"

namespace tape {

// Whether values of the type have a row for each of `batch` samples.
inline bool HasRows(const TensorType& type, int64_t batch) {
  return type.shape.rank() > 0 && type.shape[0] == batch;
}

// How node `id` depends on the rows of its inputs, of which those of in_rows are
// split by rows, at least one.
RowRole RoleOf(const Program& program, int id, const std::vector<bool>& in_rows,
               int64_t batch);

// Gives a node of `rows` rows another number of them, in its type and in its
// attributes.
void SetRows(int64_t rows, Node& node);

// Whether the node `reader`, which makes rows, reads of a value that is there as a
// whole its own rows alone: an elementwise op, of a value of its shape.
bool ReadsByRows(const Node& reader, const TensorType& value, int64_t batch);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_COMPILER_ROW_ROLES_H_
