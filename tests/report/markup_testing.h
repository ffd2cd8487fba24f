// XML and the HTML of our pages, taken apart strictly: every element closed,
// every attribute quoted and there once, no stray '<' or '&'.
#ifndef TAPE_TESTS_REPORT_MARKUP_TESTING_H_
#define TAPE_TESTS_REPORT_MARKUP_TESTING_H_

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace tape {

struct Element {
  std::string name;
  std::map<std::string, std::string> attributes;  // Unescaped.
  std::string text;  // All that is in it, its elements' included; unescaped.
  int parent = -1;   // Its index.

  // "" if there is none.
  std::string operator[](const std::string& attribute) const {
    const auto found = attributes.find(attribute);
    return found == attributes.end() ? "" : found->second;
  }
  bool HasClass(absl::string_view name) const {
    const std::vector<std::string> classes =
        absl::StrSplit((*this)["class"], ' ');
    for (const std::string& one : classes) {
      if (one == name) return true;
    }
    return false;
  }
};

class Markup {
 public:
  explicit Markup(absl::string_view text) : rest_(text), size_(text.size()) {
    while (!failed_ && !rest_.empty()) Step();
    if (!failed_ && !open_.empty()) {
      Fail(absl::StrCat("<", elements_[open_.back()].name, "> is not closed"));
    }
  }

  bool ok() const { return !failed_; }
  const std::vector<Element>& elements() const { return elements_; }

  // The elements of that name, with that class if one is given.
  std::vector<Element> All(absl::string_view name,
                           absl::string_view of_class = "") const {
    std::vector<Element> found;
    for (const Element& element : elements_) {
      if (element.name == name &&
          (of_class.empty() || element.HasClass(of_class))) {
        found.push_back(element);
      }
    }
    return found;
  }
  // The same within the element with this id.
  std::vector<Element> Within(absl::string_view id, absl::string_view name,
                              absl::string_view of_class = "") const {
    std::vector<Element> found;
    for (const Element& element : elements_) {
      if (element.name != name ||
          (!of_class.empty() && !element.HasClass(of_class))) {
        continue;
      }
      for (int up = element.parent; up >= 0; up = elements_[up].parent) {
        if (elements_[up]["id"] == id) {
          found.push_back(element);
          break;
        }
      }
    }
    return found;
  }

 private:
  void Fail(const std::string& what) {
    if (!failed_) {
      ADD_FAILURE() << "at byte " << size_ - rest_.size() << ": " << what
                    << ": " << rest_.substr(0, 60);
    }
    failed_ = true;
  }

  std::string Unescape(absl::string_view text) {
    std::string plain;
    while (!text.empty()) {
      if (text[0] == '<') Fail("a stray <");
      if (text[0] != '&') {
        plain += text[0];
        text.remove_prefix(1);
        continue;
      }
      bool known = false;
      for (const auto& [name, meant] :
           {std::pair("&amp;", '&'), std::pair("&lt;", '<'),
            std::pair("&gt;", '>'), std::pair("&quot;", '"'),
            std::pair("&#39;", '\'')}) {
        if (!absl::StartsWith(text, name)) continue;
        plain += meant;
        text.remove_prefix(absl::string_view(name).size());
        known = true;
        break;
      }
      if (!known) {
        Fail("a stray &");
        return plain;
      }
    }
    return plain;
  }

  void AddText(absl::string_view text) {
    const std::string plain = Unescape(text);
    for (int index : open_) elements_[index].text += plain;
    if (open_.empty() && !absl::StripAsciiWhitespace(plain).empty()) {
      Fail("text outside of all elements");
    }
  }

  // One tag, or the text before the next one.
  void Step() {
    if (rest_[0] != '<') {
      const size_t end = std::min(rest_.find('<'), rest_.size());
      AddText(rest_.substr(0, end));
      rest_.remove_prefix(end);
      return;
    }
    const size_t end = rest_.find('>');
    if (end == absl::string_view::npos) return Fail("a tag without an end");
    absl::string_view tag = rest_.substr(1, end - 1);
    if (absl::StartsWith(tag, "?xml") || tag == "!DOCTYPE html") {
      if (!elements_.empty()) Fail("a declaration that comes late");
    } else if (tag[0] == '/') {
      if (open_.empty() || elements_[open_.back()].name != tag.substr(1)) {
        return Fail("closes another element");
      }
      open_.pop_back();
    } else {
      Open(tag);
    }
    rest_.remove_prefix(end + 1);
  }

  // "name a="b"", maybe with a "/" at its end.
  void Open(absl::string_view tag) {
    const bool closed = absl::EndsWith(tag, "/");
    if (closed) tag.remove_suffix(1);
    Element element;
    const size_t name_end = std::min(tag.find(' '), tag.size());
    element.name = std::string(tag.substr(0, name_end));
    element.parent = open_.empty() ? -1 : open_.back();
    tag.remove_prefix(name_end);
    while (!absl::StripAsciiWhitespace(tag).empty()) {
      tag = absl::StripLeadingAsciiWhitespace(tag);
      const size_t equals = tag.find("=\"");
      if (equals == absl::string_view::npos) return Fail("no attribute");
      const size_t quote = tag.find('"', equals + 2);
      if (quote == absl::string_view::npos) return Fail("no closing quote");
      const std::string name(tag.substr(0, equals));
      if (!element.attributes
               .emplace(name,
                        Unescape(tag.substr(equals + 2, quote - equals - 2)))
               .second) {
        return Fail("an attribute that is there twice");
      }
      tag.remove_prefix(quote + 1);
    }
    elements_.push_back(element);
    // HTML's elements that have no end.
    if (!closed && element.name != "meta" && element.name != "link") {
      open_.push_back(static_cast<int>(elements_.size()) - 1);
    }
  }

  absl::string_view rest_;
  const size_t size_;
  bool failed_ = false;
  std::vector<Element> elements_;
  std::vector<int> open_;  // From the outermost on.
};

}  // namespace tape

#endif  // TAPE_TESTS_REPORT_MARKUP_TESTING_H_
