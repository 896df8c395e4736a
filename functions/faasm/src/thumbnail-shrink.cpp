/** `<key>`: the thumbnail of a picture. Little comes back, beside what the decoder has left on the heap. */
#include "shared/faasm.hpp"
#include "shared/image.hpp"

static std::string key;
static std::optional<image> picture;

static int decode_and_shrink() {
  const auto large = decoded(faasm::map(key));
  if (large) picture = shrunk(*large);
  return large ? 0 : 1;
}

int main() {
  key = faasm::input();
  if (faasm::run_near(key, decode_and_shrink) != 0) return 1;
  faasm::output(encoded(*picture));
  return 0;
}
