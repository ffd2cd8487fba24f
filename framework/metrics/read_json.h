// Values of JSON that files hold: each function returns whether `json` is such a
// value, which then is in `value`. What numbers that are not finite look like is
// a matter of the format, which adds overloads of its own.
#ifndef TAPE_FRAMEWORK_METRICS_READ_JSON_H_
#define TAPE_FRAMEWORK_METRICS_READ_JSON_H_

#include <concepts>
#include <cstdint>
#include <string>
#include <type_traits>

#include "nlohmann/json.hpp"

namespace tape::json {

inline bool Read(const nlohmann::ordered_json& json, bool& value) {
  if (!json.is_boolean()) return false;
  value = json.get<bool>();
  return true;
}

inline bool Read(const nlohmann::ordered_json& json, std::string& value) {
  if (!json.is_string()) return false;
  value = json.get<std::string>();
  return true;
}

// Whole numbers are counts: none is negative.
template <std::integral Integer>
bool Read(const nlohmann::ordered_json& json, Integer& value) {
  if (!json.is_number_unsigned()) return false;
  const uint64_t read = json.get<uint64_t>();
  value = static_cast<Integer>(read);
  return static_cast<uint64_t>(value) == read && value >= 0;
}

}  // namespace tape::json

#endif  // TAPE_FRAMEWORK_METRICS_READ_JSON_H_
