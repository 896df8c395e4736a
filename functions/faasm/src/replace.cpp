/** `<key> <text> <text>`: replaces the one by the other, and puts the object back from within the part. */
#include "shared/faasm.hpp"

static std::string key, from, to;
static size_t count;

static int replace_text() {
  const std::string_view text = faasm::map(key);
  if (text.data() == nullptr) return 1;
  std::string changed;
  size_t start = 0;
  for (size_t at; (at = text.find(from, start)) != std::string_view::npos; start = at + from.size()) {
    changed.append(text.substr(start, at - start)).append(to);
    count += 1;
  }
  changed.append(text.substr(start));
  faasm::put(key, changed);
  return 0;
}

int main() {
  to = faasm::input();
  key = faasm::cut(to);
  from = faasm::cut(to);
  if (from.empty()) return 2;
  if (faasm::run_near(key, replace_text) != 0) return 1;
  faasm::output("OK " + std::to_string(count));
  return 0;
}
