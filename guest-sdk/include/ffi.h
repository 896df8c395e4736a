/*
 * Calls of functions whose types are known only while the program runs, by libffi's names and layout: docs/guides/faasm.md#calls-by-type.
 * There are no closures, structures, long doubles and complex numbers.
 */
#ifndef NEAP_FFI_H
#define NEAP_FFI_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ffi_type {
  size_t size;
  unsigned short alignment;
  unsigned short type;
  struct ffi_type **elements;
} ffi_type;

typedef enum { FFI_DEFAULT_ABI = 1 } ffi_abi;
typedef enum { FFI_OK, FFI_BAD_TYPEDEF, FFI_BAD_ABI, FFI_BAD_ARGTYPE } ffi_status;
/* What an integer result of less than 4 bytes takes. */
typedef unsigned int ffi_arg;
typedef int ffi_sarg;

typedef struct {
  ffi_abi abi;
  unsigned nargs;
  ffi_type **arg_types;
  ffi_type *rtype;
  unsigned bytes;
  unsigned flags;
} ffi_cif;

#define NEAP_FFI_TYPE(name, bytes, code) static __attribute__((unused)) ffi_type ffi_type_##name = {(bytes), (bytes), (code), NULL}
NEAP_FFI_TYPE(void, 1, 0);
NEAP_FFI_TYPE(float, 4, 2);
NEAP_FFI_TYPE(double, 8, 3);
NEAP_FFI_TYPE(uint8, 1, 5);
NEAP_FFI_TYPE(sint8, 1, 6);
NEAP_FFI_TYPE(uint16, 2, 7);
NEAP_FFI_TYPE(sint16, 2, 8);
NEAP_FFI_TYPE(uint32, 4, 9);
NEAP_FFI_TYPE(sint32, 4, 10);
NEAP_FFI_TYPE(uint64, 8, 11);
NEAP_FFI_TYPE(sint64, 8, 12);
NEAP_FFI_TYPE(pointer, 4, 14);
#undef NEAP_FFI_TYPE
#define ffi_type_uchar ffi_type_uint8
#define ffi_type_schar ffi_type_sint8
#define ffi_type_ushort ffi_type_uint16
#define ffi_type_sshort ffi_type_sint16
#define ffi_type_uint ffi_type_uint32
#define ffi_type_sint ffi_type_sint32
#define ffi_type_ulong ffi_type_uint32
#define ffi_type_slong ffi_type_sint32

#define FFI_FN(f) ((void (*)(void))(f))

/* FFI_BAD_ARGTYPE for an argument that is void. Nothing is copied: cif refers to types. */
static inline ffi_status ffi_prep_cif(ffi_cif *cif, ffi_abi abi, unsigned count, ffi_type *result, ffi_type **types) {
  if (abi != FFI_DEFAULT_ABI) {
    return FFI_BAD_ABI;
  }
  for (unsigned at = 0; at < count; at++) {
    if (types[at]->type == ffi_type_void.type) {
      return FFI_BAD_ARGTYPE;
    }
  }
  cif->abi = abi;
  cif->nargs = count;
  cif->arg_types = types;
  cif->rtype = result;
  cif->bytes = 8 * count;
  cif->flags = 0;
  return FFI_OK;
}

/* result may be NULL. A function of another type ends the call, as it does when it is called by a pointer of a wrong type. */
__attribute__((import_module("env"), import_name("ffi_call")))
void ffi_call(ffi_cif *cif, void (*function)(void), void *result, void **values);

#ifdef __cplusplus
}
#endif

#endif
