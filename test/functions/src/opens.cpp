// Opens the side module that its input names, and prints what it makes of the text behind the name.
#include <dlfcn.h>
#include <cstdio>
#include <string>

// What side modules need of libc++ must be in this module.
std::string number(int value) { return std::to_string(value); }

int main() {
  char input[256] = {};
  fread(input, 1, sizeof input - 1, stdin);
  std::string given(input);
  size_t space = given.find(' ');
  void *library = dlopen(("faasm://" + given.substr(0, space)).c_str(), RTLD_NOW);
  auto describe = library == nullptr ? nullptr : reinterpret_cast<std::string (*)(const std::string &)>(dlsym(library, "describe"));
  puts(describe == nullptr ? dlerror() : describe(given.substr(space + 1)).c_str());
  return fflush(stdout);
}
