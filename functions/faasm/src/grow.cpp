/** `<key> <MiB>`: the part takes that much memory, block by block, gives every other block back, and says what the rest holds. */
#include <cstdlib>
#include <cstring>
#include <vector>

#include "shared/faasm.hpp"

static constexpr size_t BLOCK_BYTES = 1 << 20;
static std::string key;
static size_t count;
static std::vector<unsigned char *> blocks;

static int take_memory() {
  const std::string_view text = faasm::map(key);
  if (text.data() == nullptr) return 1;
  for (size_t i = 0; i < count; i++) {
    auto *block = static_cast<unsigned char *>(std::malloc(BLOCK_BYTES));
    if (block == nullptr) return 3;
    std::memset(block, static_cast<unsigned char>(text[i % text.size()]), BLOCK_BYTES);
    blocks.push_back(block);
  }
  for (size_t i = 0; i < count; i += 2) {
    std::free(blocks[i]);
    blocks[i] = nullptr;
  }
  return 0;
}

int main() {
  std::string input = faasm::input();
  key = faasm::cut(input);
  count = std::strtoul(input.c_str(), nullptr, 10);
  // Before an object is mapped: wasi-libc's allocator takes all memory there is at its first use for its own.
  blocks.reserve(count);
  if (const int code = faasm::run_near(key, take_memory); code != 0) return code;
  unsigned long long sum = 0;
  for (const auto *block : blocks) {
    for (size_t i = 0; block != nullptr && i < BLOCK_BYTES; i++) sum += block[i];
  }
  // What was given back is there for who comes next.
  auto *again = static_cast<unsigned char *>(std::calloc(1, BLOCK_BYTES / 2));
  for (size_t i = 0; i < BLOCK_BYTES / 2; i++) sum += again[i];
  faasm::output(std::to_string(sum));
  return 0;
}
