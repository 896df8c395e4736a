/** How often each word is in an object. Counting runs where the object is, and only the words come back. */
#include <map>

#include "neap.hpp"

namespace {

constexpr size_t SLICE_BYTES = 256 * 1024;

using counts = std::map<std::string, uint64_t, std::less<>>;

void add(counts &words, std::string_view word) {
  if (word.empty()) return;
  const auto found = words.find(word);
  if (found == words.end()) {
    words.emplace(word, 1);
  } else {
    found->second += 1;
  }
}

/** @returns whether there is such an object */
bool count_words(const std::string &key, counts &words) {
  std::string slice(SLICE_BYTES, '\0');
  /** The beginning of a word that the next slice goes on with. */
  std::string begun;
  int64_t offset = 0, size;
  while ((size = neap::objects::read(key, offset, slice.data(), slice.size())) > 0) {
    const std::string_view text(slice.data(), static_cast<size_t>(size));
    size_t start = 0;
    for (size_t at = 0; at < text.size(); at++) {
      if (static_cast<unsigned char>(text[at]) > ' ') continue;
      if (begun.empty()) {
        add(words, text.substr(start, at - start));
      } else {
        add(words, begun.append(text.substr(start, at - start)));
        begun.clear();
      }
      start = at + 1;
    }
    begun += text.substr(start);
    offset += size;
  }
  add(words, begun);
  slice.assign(slice.size(), '\0');  // freed memory travels, too, unless it is as it was
  return size == 0;
}

}  // namespace

int main() {
  const std::string input = neap::input();
  const std::string key = input.substr(0, input.find(' '));
  counts words;
  if (neap::run_at(key, [&] { return count_words(key, words) ? 0 : 1; }) != 0) {
    neap::output("there is no object '" + key + "'");
    return 1;
  }
  std::string text;
  for (const auto &[word, count] : words) text += word + '\t' + std::to_string(count) + '\n';
  neap::output(text);
  return 0;
}
