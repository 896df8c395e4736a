#include "neap.h"

int main(void) {
  neap_bytes name = neap_input();
  neap_print("Hello, ");
  neap_print(name.size == 0 ? "world" : name.data);
  neap_print("!");
  return 0;
}
