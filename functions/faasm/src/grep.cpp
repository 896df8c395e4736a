/** `<key> <regular expression>`: offsets of the matches. The expression is compiled in the caller, on its heap, and used in the part. */
#include <optional>
#include <regex>
#include <vector>

#include "shared/faasm.hpp"

static std::string key;
static std::optional<std::regex> expression;
static std::vector<size_t> positions;

static int find_matches() {
  const std::string_view text = faasm::map(key);
  if (text.data() == nullptr) return 1;
  const std::cregex_iterator end;
  for (std::cregex_iterator match(text.data(), text.data() + text.size(), *expression); match != end; ++match) {
    positions.push_back(static_cast<size_t>(match->position()));
  }
  return 0;
}

int main() {
  std::string input = faasm::input();
  key = faasm::cut(input);
  expression.emplace(input);
  if (faasm::run_near(key, find_matches) != 0) return 1;
  std::string text;
  for (const size_t position : positions) text += (text.empty() ? "" : " ") + std::to_string(position);
  faasm::output(text);
  return 0;
}
