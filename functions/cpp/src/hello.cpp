#include "neap.hpp"

int main() {
  const std::string name = neap::input();
  neap::output("Hello, " + (name.empty() ? "world" : name) + "!");
  return 0;
}
