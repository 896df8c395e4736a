/** `<key> <text>`: the first 64 places where it is. A fixed array, and the object is given back in the part. */
#include "shared/faasm.hpp"

static std::string key, needle;
static size_t positions[64];
static size_t count;

static int find_text() {
  const std::string_view text = faasm::map(key);
  if (text.data() == nullptr) return 1;
  for (size_t at = text.find(needle); at != std::string_view::npos && count < 64; at = text.find(needle, at + 1)) {
    positions[count++] = at;
  }
  __faasmndp_unmap(const_cast<char *>(text.data()), static_cast<int32_t>(text.size()));
  return 0;
}

int main() {
  needle = faasm::input();
  key = faasm::cut(needle);
  if (needle.empty()) return 2;
  if (faasm::run_near(key, find_text) != 0) return 1;
  std::string text;
  for (size_t i = 0; i < count; i++) text += (text.empty() ? "" : " ") + std::to_string(positions[i]);
  faasm::output(text);
  return 0;
}
