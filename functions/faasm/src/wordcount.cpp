/** `<key>`: each word and how often it is there. A map of strings grows in the part and comes back. */
#include <map>

#include "shared/faasm.hpp"

static std::string key;
static std::map<std::string, unsigned, std::less<>> counts;

static int count_words() {
  const std::string_view text = faasm::map(key);
  if (text.data() == nullptr) return 1;
  for (size_t start = 0, at = 0; at <= text.size(); at++) {
    if (at < text.size() && static_cast<unsigned char>(text[at]) > ' ') continue;
    if (at > start) counts[std::string(text.substr(start, at - start))] += 1;
    start = at + 1;
  }
  return 0;
}

int main() {
  key = faasm::input();
  if (faasm::run_near(key, count_words) != 0) return 1;
  std::string text;
  for (const auto &[word, count] : counts) text += word + '\t' + std::to_string(count) + '\n';
  faasm::output(text);
  return 0;
}
