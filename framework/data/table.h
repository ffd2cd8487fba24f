// Data sets of any kind: named columns, tensors whose first axis is the sample.
//
//   DataTable houses = {.columns = {{"x", x}, {"price", price}}};
//
// Tested by tests/data/table_test.cc.
#ifndef TAPE_FRAMEWORK_DATA_TABLE_H_
#define TAPE_FRAMEWORK_DATA_TABLE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "framework/core/tensor.h"

namespace tape {

struct Column {
  std::string name;
  Tensor values;  // [n, …], of any dtype that an input of a graph has.
};

struct DataTable {
  std::vector<Column> columns = {};

  // Samples; 0 without columns.
  int64_t size() const;
  // The column of that name, or null.
  const Tensor* Find(absl::string_view name) const;
};

// What is trained on, and what is only measured: empty if there is none.
struct TableSplits {
  DataTable train;
  DataTable test = {};
  DataTable validation = {};
};

// OK if each column has a name of its own, a dtype that inputs have and an axis
// of samples, of which all have as many, fewer than 2^32. An error names the
// column, what was expected and what was found.
absl::Status CheckDataTable(const DataTable& table);

}  // namespace tape

#endif  // TAPE_FRAMEWORK_DATA_TABLE_H_
