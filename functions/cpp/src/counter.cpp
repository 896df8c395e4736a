#include <charconv>

#include "neap.hpp"

static std::optional<int64_t> whole(const std::string &text) {
  int64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return std::to_string(number) == text ? std::optional(number) : std::nullopt;
}

int main() {
  const std::string input = neap::input();
  const size_t space = input.find(' ');
  const std::string key = input.substr(0, space);
  const auto amount = space == std::string::npos ? 1 : whole(input.substr(space + 1));
  if (key.empty() || !amount) {
    neap::output("usage: <key> [<whole number>]");
    return 2;
  }
  // When two calls come at once, one of them computes again: no increment is lost.
  neap::output(neap::objects::update(key, [&](const std::optional<std::string> &old) {
    const auto count = old ? whole(*old) : 0;
    if (!count) neap::fail("the object is not a counter");
    return std::to_string(static_cast<int64_t>(static_cast<uint64_t>(*count) + static_cast<uint64_t>(*amount)));
  }));
  return 0;
}
