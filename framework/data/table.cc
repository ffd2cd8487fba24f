// Named columns (table.h). Tested by tests/data/table_test.cc.
#include "framework/data/table.h"

#include <limits>
#include <set>

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
  std::set<absl::string_view> names;
  for (const Column& column : table.columns) {
    const std::string what =
        absl::StrCat("column \"", Printable(column.name), "\"");
    const TensorType& type = column.values.type();
    if (column.name.empty()) {
      return absl::InvalidArgumentError(
          "expected a name of a column, found none");
    }
    if (!names.insert(column.name).second) {
      return absl::InvalidArgumentError(absl::StrCat(what, " is there twice"));
    }
    if (!IsForNodes(type.dtype)) {
      return absl::InvalidArgumentError(absl::StrCat(
          what, ": expected a dtype of inputs, found ", Name(type.dtype)));
    }
    if (type.shape.rank() == 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          what, ": expected an axis of samples, found a single number"));
    }
    if (type.shape[0] != table.size()) {
      return absl::InvalidArgumentError(absl::StrCat(
          what, ": expected ", table.size(), " samples, as column \"",
          Printable(table.columns[0].name), "\" has, found ", type.shape[0]));
    }
    if (type.shape[0] > std::numeric_limits<uint32_t>::max()) {
      return absl::InvalidArgumentError(absl::StrCat(
          what, ": expected fewer than 2^32 samples, found ", type.shape[0]));
    }
  }
  return absl::OkStatus();
}

}  // namespace tape
