/** `<key>`: the object is an n and an n × n matrix of doubles; the trace of its third power. Large buffers, freed in the part. */
#include <cstring>
#include <vector>

#include "shared/faasm.hpp"

using matrix = std::vector<double>;

static std::string key;
static double trace;

static matrix product(const matrix &a, const matrix &b, size_t n) {
  matrix c(n * n);
  for (size_t i = 0; i < n; i++) {
    for (size_t k = 0; k < n; k++) {
      for (size_t j = 0; j < n; j++) c[i * n + j] += a[i * n + k] * b[k * n + j];
    }
  }
  return c;
}

static int multiply() {
  const std::string_view bytes = faasm::map(key);
  uint32_t n;
  if (bytes.size() < sizeof n) return 1;
  std::memcpy(&n, bytes.data(), sizeof n);
  if (n > 4096 || bytes.size() != sizeof n + sizeof(double) * n * n) return 2;
  matrix a(static_cast<size_t>(n) * n);
  std::memcpy(a.data(), bytes.data() + sizeof n, sizeof(double) * a.size());
  const matrix cube = product(product(a, a, n), a, n);
  for (size_t i = 0; i < n; i++) trace += cube[i * n + i];
  return 0;
}

int main() {
  key = faasm::input();
  if (const int code = faasm::run_near(key, multiply); code != 0) return code;
  faasm::output(std::to_string(trace));
  return 0;
}
