// OpenMP in C++: a guided loop over a vector, with a closure.
#include <omp.h>

#include <cstdio>
#include <numeric>
#include <vector>

int main() {
  std::vector<int> numbers(1000);
  std::iota(numbers.begin(), numbers.end(), 1);
  const auto twice = [&](size_t at) { return 2L * numbers[at]; };
  long sum = 0;
#pragma omp parallel for schedule(guided) reduction(+ : sum) num_threads(3)
  for (size_t at = 0; at < numbers.size(); at++) sum += twice(at);
  std::printf("%ld", sum);
  return 0;
}
