// Markup (markup_testing.h).
#include "tests/report/markup_testing.h"

#include <libxml/parser.h>
#include <libxml/tree.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace tape {
namespace {

std::string Text(const xmlChar* text) {
  return text == nullptr ? "" : reinterpret_cast<const char*>(text);
}

std::string Content(const xmlNode* node) {
  const std::unique_ptr<xmlChar, decltype(xmlFree)> content(
      xmlNodeGetContent(node), xmlFree);
  return Text(content.get());
}

void AddElements(const xmlNode* first, int parent,
                 std::vector<Element>& elements) {
  for (const xmlNode* node = first; node != nullptr; node = node->next) {
    if (node->type != XML_ELEMENT_NODE) continue;
    Element element = {
        .name = Text(node->name), .text = Content(node), .parent = parent};
    for (const xmlAttr* attribute = node->properties; attribute != nullptr;
         attribute = attribute->next) {
      element.attributes[Text(attribute->name)] =
          Content(reinterpret_cast<const xmlNode*>(attribute));
    }
    elements.push_back(std::move(element));
    AddElements(node->children, static_cast<int>(elements.size()) - 1,
                elements);
  }
}

}  // namespace

Markup::Markup(absl::string_view text) {
  const std::unique_ptr<xmlParserCtxt, decltype(&xmlFreeParserCtxt)> context(
      xmlNewParserCtxt(), xmlFreeParserCtxt);
  const std::unique_ptr<xmlDoc, decltype(&xmlFreeDoc)> document(
      xmlCtxtReadMemory(context.get(), text.data(),
                        static_cast<int>(text.size()), nullptr, "UTF-8",
                        XML_PARSE_NONET | XML_PARSE_NOERROR |
                            XML_PARSE_NOWARNING | XML_PARSE_HUGE),
      xmlFreeDoc);
  ok_ = document != nullptr;
  if (!ok_) {
    const auto* const error = xmlCtxtGetLastError(context.get());
    ADD_FAILURE() << "line " << error->line << ": " << error->message
                  << text.substr(0, 200);
    return;
  }
  AddElements(xmlDocGetRootElement(document.get()), -1, elements_);
}

}  // namespace tape
