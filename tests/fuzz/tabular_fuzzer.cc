// Fuzzes the reader of tables of text (framework/data/tabular.h): the input is
// the file. The features of what is read are fitted, kept as JSON and applied.
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "framework/core/check.h"
#include "framework/data/features.h"
#include "framework/data/tabular.h"
#include "tests/fuzz/fuzzing.h"

namespace tape {
namespace {

// The file; a cell of two bytes, "1,", becomes a text while its column is read,
// and a number; each column a name, vectors and maps.
size_t Limit(size_t file) { return 400 * file + 256 * 1024; }

void CheckRows(const Tabular& table) {
  for (const TabularColumn& column : table.columns) {
    const size_t cells =
        column.has_numbers() ? column.numbers.size() : column.categories.size();
    TAPE_CHECK(static_cast<int64_t>(cells) == table.rows);
    for (const int32_t category : column.categories) {
      TAPE_CHECK(category >= -1 &&
                 category < static_cast<int64_t>(column.values.size()));
    }
  }
}

void CheckFeatures(const Tabular& table) {
  const absl::StatusOr<Features> features = Features::Fit(table);
  if (!features.ok()) return CheckError(features.status(), {""});
  const absl::StatusOr<Features> again = Features::FromJson(features->ToJson());
  TAPE_CHECK(again.ok());
  TAPE_CHECK(again->ToJson() == features->ToJson());
  const absl::StatusOr<Tensor> x = again->Apply(table);
  TAPE_CHECK(x.ok());
  TAPE_CHECK((x->shape() == Shape{table.rows, features->width()}));
}

}  // namespace
}  // namespace tape

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tape;
  const std::string path = FileOf("table.csv", AsText(data, size));
  const auto table =
      WithinMemory(Limit(size), [&] { return ReadTabular(path); });
  if (!table.ok()) {
    CheckError(table.status(), {path});
    return 0;
  }
  CheckRows(*table);
  CheckFeatures(*table);
  return 0;
}
