/** `<key>`: the sum of its numbers. What is no number throws, in the part, through frames with destructors: the call ends there. */
#include <cstdlib>
#include <stdexcept>
#include <vector>

#include "shared/faasm.hpp"

static std::string key;
static long long sum;

static long long whole(const std::string &text) {
  // Not std::stoll: the library itself is built without exceptions, and would abort.
  char *end;
  const long long number = std::strtoll(text.c_str(), &end, 10);
  if (*end != 0) throw std::invalid_argument("not a whole number: " + text);
  return number;
}

static int add_numbers() {
  const std::string_view text = faasm::map(key);
  if (text.data() == nullptr) return 1;
  std::vector<std::string> words;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find_first_of(" \n", start), text.size());
    if (end > start) words.emplace_back(text.substr(start, end - start));
    start = end + 1;
  }
  for (const auto &word : words) sum += whole(word);
  return 0;
}

int main() {
  key = faasm::input();
  if (faasm::run_near(key, add_numbers) != 0) return 1;
  faasm::output(std::to_string(sum));
  return 0;
}
