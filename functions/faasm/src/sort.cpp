/** `<key>`: its lines in order, all of them. Many small pieces of memory, moved and freed, and a large output. */
#include <algorithm>
#include <vector>

#include "shared/faasm.hpp"

static std::string key;
static std::vector<std::string> lines;

static int sort_lines() {
  const std::string_view text = faasm::map(key);
  if (text.data() == nullptr) return 1;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    lines.emplace_back(text.substr(start, end - start));
    start = end + 1;
  }
  std::sort(lines.begin(), lines.end());
  lines.erase(std::unique(lines.begin(), lines.end()), lines.end());
  return 0;
}

int main() {
  key = faasm::input();
  if (faasm::run_near(key, sort_lines) != 0) return 1;
  std::string text;
  for (const auto &line : lines) text += line + '\n';
  faasm::output(text);
  return 0;
}
