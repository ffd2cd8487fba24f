// Text of other people (text.h). Tested by tests/core/text_test.cc.
#include "framework/core/text.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/escaping.h"

namespace tape {
namespace {

struct Character {
  uint32_t code = 0;
  size_t length = 0;  // In bytes; 0 if there is no UTF-8.
};

// The character that `text`, which is not empty, begins with.
Character First(absl::string_view text) {
  const auto byte = [text](size_t i) -> uint32_t {
    return i < text.size() ? static_cast<uint8_t>(text[i]) : 0;
  };
  const uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  const size_t length = first >= 0xF8   ? 0
                        : first >= 0xF0 ? 4
                        : first >= 0xE0 ? 3
                        : first >= 0xC0 ? 2
                                        : 0;
  if (length == 0) return {};
  uint32_t code = first & (0xFF >> (length + 1));
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    code = code << 6 | (byte(i) & 0x3F);
  }
  constexpr uint32_t kFirstOfLength[] = {0, 0, 0x80, 0x800, 0x10000};
  if (code < kFirstOfLength[length] || code > 0x10FFFF ||
      (code >= 0xD800 && code <= 0xDFFF)) {
    return {};
  }
  return {code, length};
}

bool IsControl(uint32_t code) {
  return code < 0x20 || (code >= 0x7F && code < 0xA0) ||  // C0, DEL, C1.
         (code >= 0x200E && code <= 0x200F) ||            // Direction marks,
         (code >= 0x2028 && code <= 0x202E) ||  // separators, embeddings,
         (code >= 0x2066 && code <= 0x2069);    // isolates.
}

}  // namespace

bool IsUtf8(absl::string_view text) {
  while (!text.empty()) {
    const Character character = First(text);
    if (character.length == 0) return false;
    text.remove_prefix(character.length);
  }
  return true;
}

std::string Printable(absl::string_view text) {
  std::string printable;
  while (!text.empty()) {
    const Character character = First(text);
    const size_t length = character.length == 0 ? 1 : character.length;
    const absl::string_view bytes = text.substr(0, length);
    const bool escaped = character.length == 0 || IsControl(character.code);
    printable += escaped ? absl::CHexEscape(bytes) : std::string(bytes);
    text.remove_prefix(length);
  }
  return printable;
}

}  // namespace tape
