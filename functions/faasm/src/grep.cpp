/** `<key> <regular expression>`: each text that matches, and where. The expression is compiled in the caller, on its heap, and used in the part. */
#include <cstdlib>
#include <map>
#include <optional>
#include <regex>

#include "shared/faasm.hpp"

struct offsets {
  size_t *list;
  size_t count;
};

static std::string key;
static std::optional<std::regex> expression;
static std::map<std::string, offsets> found;

static int find_matches() {
  const std::string_view text = faasm::map(key);
  if (text.data() == nullptr) return 1;
  const std::cregex_iterator end;
  for (std::cregex_iterator match(text.data(), text.data() + text.size(), *expression); match != end; ++match) {
    offsets &own = found[match->str()];
    own.list = static_cast<size_t *>(realloc(own.list, (own.count + 1) * sizeof(size_t)));
    if (own.list == nullptr) return 2;
    own.list[own.count++] = static_cast<size_t>(match->position());
  }
  return 0;
}

int main() {
  std::string input = faasm::input();
  key = faasm::cut(input);
  expression.emplace(input);
  if (const int failed = faasm::run_near(key, find_matches); failed != 0) return failed;
  std::string text;
  for (const auto &[match, own] : found) {
    text += match + '\t';
    for (size_t at = 0; at < own.count; at++) text += (at == 0 ? "" : " ") + std::to_string(own.list[at]);
    text += '\n';
    free(own.list);
  }
  faasm::output(text);
  return 0;
}
