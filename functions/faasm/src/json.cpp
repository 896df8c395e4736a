/** `<key>`: parses JSON in the part, into values that point to each other, and writes them without spaces, keys in order, in the caller. */
#include <cctype>
#include <map>
#include <memory>
#include <vector>

#include "shared/faasm.hpp"

namespace {

struct value {
  /** A number, word or string as it was written; unless it is one of the others. */
  std::string text;
  std::vector<std::unique_ptr<value>> items;
  std::map<std::string, std::unique_ptr<value>> members;
  char opens = 0;
};

std::string key;
std::unique_ptr<value> document;

class parser {
 public:
  explicit parser(std::string_view text) : text_(text) {}

  /** nullptr when the text is not all one value. */
  std::unique_ptr<value> parse() {
    auto whole = next();
    return peek() == 0 && at_ == text_.size() ? std::move(whole) : nullptr;
  }

 private:
  char peek() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_]))) at_ += 1;
    return at_ < text_.size() ? text_[at_] : 0;
  }

  bool take(char wanted) {
    const bool found = peek() == wanted;
    if (found) at_ += 1;
    return found;
  }

  /** With its quotes. */
  std::string string() {
    const size_t start = at_++;
    while (at_ < text_.size() && text_[at_] != '"') at_ += text_[at_] == '\\' ? 2 : 1;
    at_ += 1;
    return at_ <= text_.size() ? std::string(text_.substr(start, at_ - start)) : "";
  }

  std::unique_ptr<value> next() {
    auto found = std::make_unique<value>();
    const char first = peek();
    if (first == '"') {
      found->text = string();
      return found->text.empty() ? nullptr : std::move(found);
    }
    if (first != '{' && first != '[') {
      const size_t start = at_;
      while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || std::string_view("+-.").find(text_[at_]) != std::string_view::npos)) at_ += 1;
      found->text = text_.substr(start, at_ - start);
      return found->text.empty() ? nullptr : std::move(found);
    }
    found->opens = first;
    at_ += 1;
    const char closes = first == '{' ? '}' : ']';
    while (!take(closes)) {
      const bool isFirst = found->items.empty() && found->members.empty();
      if (!isFirst && !take(',')) return nullptr;
      std::string name;
      if (first == '{') {
        if (peek() != '"') return nullptr;
        name = string();
        if (!take(':')) return nullptr;
      }
      auto item = next();
      if (item == nullptr) return nullptr;
      if (first == '{') {
        found->members[name] = std::move(item);
      } else {
        found->items.push_back(std::move(item));
      }
    }
    return found;
  }

  std::string_view text_;
  size_t at_ = 0;
};

void write(const value &shown, std::string &text) {
  if (shown.opens == 0) {
    text += shown.text;
  } else if (shown.opens == '[') {
    for (const auto &item : shown.items) {
      text += item == shown.items.front() ? '[' : ',';
      write(*item, text);
    }
    text += shown.items.empty() ? "[]" : "]";
  } else {
    bool isFirst = true;
    for (const auto &[name, member] : shown.members) {
      text += (isFirst ? "{" : ",") + name + ":";
      isFirst = false;
      write(*member, text);
    }
    text += isFirst ? "{}" : "}";
  }
}

int parse_object() {
  document = parser(faasm::map(key)).parse();
  return document == nullptr ? 1 : 0;
}

}  // namespace

int main() {
  key = faasm::input();
  if (faasm::run_near(key, parse_object) != 0) return 1;
  std::string text;
  write(*document, text);
  faasm::output(text);
  return 0;
}
