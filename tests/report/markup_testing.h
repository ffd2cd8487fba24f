// XML and our pages, which are XML too, read strictly by libxml2.
#ifndef TAPE_TESTS_REPORT_MARKUP_TESTING_H_
#define TAPE_TESTS_REPORT_MARKUP_TESTING_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"

namespace tape {

struct Element {
  std::string name;
  std::map<std::string, std::string> attributes = {};  // Unescaped.
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
  // Fails the test if `text` is not well-formed.
  explicit Markup(absl::string_view text);

  bool ok() const { return ok_; }
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
  bool ok_ = false;
  std::vector<Element> elements_;  // In the order of their tags.
};

}  // namespace tape

#endif  // TAPE_TESTS_REPORT_MARKUP_TESTING_H_
