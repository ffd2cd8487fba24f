// Named columns (table.h). Tested by tests/data/table_test.cc.
#include "framework/data/table.h"

#include <algorithm>
#include <limits>

#include "absl/container/inlined_vector.h"
#include "absl/strings/str_cat.h"
#include "framework/core/tensor_type.h"
#include "framework/core/text.h"

namespace tape {

int64_t DataTable::size() const {
  if (columns.empty()) return 0;
  const Shape& shape = columns[0].values.shape();
  return shape.rank() == 0 ? 0 : shape[0];
}

const Tensor* DataTable::Find(absl::string_view name) const {
  for (const Column& column : columns) {
    if (column.name == name) return &column.values;
  }
  return nullptr;
}

absl::Status CheckDataTable(const DataTable& table) {
  // Called for errors only: a prediction of one row takes some microseconds.
  const auto what = [](absl::string_view name) {
    return absl::StrCat("column \"", Printable(name), "\"");
  };
  absl::InlinedVector<absl::string_view, 8> names;
  for (const Column& column : table.columns) {
    const TensorType& type = column.values.type();
    if (column.name.empty()) {
      return absl::InvalidArgumentError(
          "expected a name of a column, found none");
    }
    names.push_back(column.name);
    if (!IsForNodes(type.dtype)) {
      return absl::InvalidArgumentError(absl::StrCat(
          what(column.name), ": expected a dtype of inputs, found ",
          Name(type.dtype)));
    }
    if (type.shape.rank() == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat(what(column.name),
                       ": expected an axis of samples, found a single number"));
    }
    if (type.shape[0] != table.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          what(column.name), ": expected ", table.size(),
          " samples, as column \"", Printable(table.columns[0].name),
          "\" has, found ", type.shape[0]));
    }
    if (type.shape[0] > std::numeric_limits<uint32_t>::max()) {
      return absl::InvalidArgumentError(absl::StrCat(
          what(column.name), ": expected fewer than 2^32 samples, found ",
          type.shape[0]));
    }
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  if (twice == names.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(what(*twice), " is there twice"));
}

}  // namespace tape
