// Computes without asking the host for anything: nested loops, recursion, a comparator, a map of strings, floats.
#include <algorithm>
#include <cmath>
#include <map>

#include "neap.hpp"

static int ways(int rest, int coin) {
  if (rest == 0) return 1;
  if (rest < 0 || coin == 0) return 0;
  return ways(rest - coin, coin) + ways(rest, coin - 1);
}

int main() {
  const int rounds = std::stoi(neap::input());
  std::map<std::string, double> seen;
  uint64_t checksum = 1;
  for (int round = 0; round < rounds; round++) {
    std::vector<int> numbers;
    for (int i = 0; i < 200; i++) {
      checksum = checksum * 6364136223846793005 + 1442695040888963407;
      numbers.push_back(static_cast<int>(checksum >> 40));
    }
    std::sort(numbers.begin(), numbers.end(), [](int a, int b) { return a < b; });
    double sum = 0;
    for (size_t i = 0; i < numbers.size(); i++) sum += std::sqrt(numbers[i]) * static_cast<double>(i);
    seen["round " + std::to_string(round % 17)] = sum;
    checksum ^= static_cast<uint64_t>(ways(20 + round % 5, 9));
  }
  double total = 0;
  for (const auto &[name, sum] : seen) total += sum + static_cast<double>(name.size());
  neap::output(std::to_string(checksum) + " " + std::to_string(total));
  return 0;
}
