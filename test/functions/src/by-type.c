/* Calls functions by types that are made while it runs: "<function> <number> <number>". */
#include <ffi.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static double weighed(double value, float weight) { return value * weight; }
static int64_t distance(int64_t from, int64_t to) { return to - from; }
static int16_t product(int16_t left, int16_t right) { return left * right; }

int main(void) {
  char name[16];
  double left, right;
  if (scanf("%15s %lf %lf", name, &left, &right) != 3) {
    return 2;
  }
  ffi_cif cif;
  if (strcmp(name, "weighed") == 0) {
    float weight = right;
    double result;
    ffi_type *types[] = {&ffi_type_double, &ffi_type_float};
    void *values[] = {&left, &weight};
    if (ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 2, &ffi_type_double, types) != FFI_OK) {
      return 3;
    }
    ffi_call(&cif, FFI_FN(weighed), &result, values);
    printf("%g\n", result);
  } else if (strcmp(name, "distance") == 0) {
    int64_t from = left, to = right, result;
    ffi_type *types[] = {&ffi_type_sint64, &ffi_type_sint64};
    void *values[] = {&from, &to};
    ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 2, &ffi_type_sint64, types);
    ffi_call(&cif, FFI_FN(distance), &result, values);
    printf("%lld\n", result);
  } else {
    int16_t a = left, b = right;
    ffi_sarg result;
    ffi_type *types[] = {&ffi_type_sshort, &ffi_type_sshort};
    void *values[] = {&a, &b};
    ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 2, &ffi_type_sshort, types);
    ffi_call(&cif, FFI_FN(product), &result, values);
    printf("%d\n", result);
  }
  ffi_type *nothing[] = {&ffi_type_void};
  return ffi_prep_cif(&cif, FFI_DEFAULT_ABI, 1, &ffi_type_void, nothing) == FFI_BAD_ARGTYPE ? 0 : 4;
}
