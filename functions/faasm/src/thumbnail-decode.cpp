/** `<key>`: the thumbnail of a picture. Only decoding is near the object: more comes back than the object has. */
#include "shared/faasm.hpp"
#include "shared/image.hpp"

static std::string key;
static std::optional<image> picture;

static int decode() {
  picture = decoded(faasm::map(key));
  return picture ? 0 : 1;
}

int main() {
  key = faasm::input();
  if (faasm::run_near(key, decode) != 0) return 1;
  faasm::output(encoded(shrunk(*picture)));
  return 0;
}
