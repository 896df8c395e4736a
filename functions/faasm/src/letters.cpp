/**
 * `<key>`: how often each letter is there, by names that a constructor and the zygote have prepared. Two parts, one inside of the other,
 * and what a static constructor has made.
 */
#include <map>

#include "shared/faasm.hpp"

static std::string key;
static const std::map<char, std::string> vowels = {{'a', "A"}, {'e', "E"}, {'i', "I"}, {'o', "O"}, {'u', "U"}};
static std::map<char, std::string> names;
static std::map<std::string, size_t> counts;
static size_t size_bytes;

/** Runs once, at the upload. */
extern "C" int _faasm_zygote() {
  for (char letter = 'a'; letter <= 'z'; letter++) {
    const auto vowel = vowels.find(letter);
    names[letter] = vowel == vowels.end() ? std::string(1, letter) : vowel->second;
  }
  return 0;
}

static int measure() {
  size_bytes = faasm::map(key).size();
  return 0;
}

static int count_letters() {
  const std::string_view text = faasm::map(key);
  if (text.data() == nullptr) return 1;
  for (const char letter : text) {
    const auto name = names.find(letter);
    if (name != names.end()) counts[name->second] += 1;
  }
  return faasm::run_near(key, measure);
}

int main() {
  key = faasm::input();
  if (faasm::run_near(key, count_letters) != 0) return 1;
  std::string text = std::to_string(size_bytes);
  for (const auto &[name, count] : counts) text += " " + name + std::to_string(count);
  faasm::output(text);
  return 0;
}
