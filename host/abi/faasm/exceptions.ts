/**
 * Imports: C++ exceptions of a module that was built without them. A throw ends the call, with what was thrown; nothing unwinds.
 * Layout of objects and types: the Itanium C++ ABI, and libc++ for its own exceptions.
 */
import { type Guest, GuestFault } from "../../sandbox/guest.ts";
import { typeName } from "./type-name.ts";

/** In front of an exception lies what the C++ runtime may write there. */
const HEADER_BYTES = 128;
const TEXT_MAX_BYTES = 1024;
/** Thrown with their text behind the pointer to their virtual functions. */
const WITH_TEXT =
  /^std::(logic_error|domain_error|length_error|invalid_argument|out_of_range|runtime_error|range_error|(over|under)flow_error)$/;

export const exceptions = (guest: Guest) => {
  function u32(pointer: number): number | null {
    const memory = guest.memory();
    const at = pointer >>> 0;
    return at === 0 || at + 4 > memory.byteLength
      ? null
      : new DataView(memory.buffer, memory.byteOffset, memory.byteLength).getUint32(at, true);
  }

  /** The text at a pointer that is in memory; null for none. */
  function textAt(pointer: number | null): string | null {
    const start = pointer === null ? null : u32(pointer);
    const memory = guest.memory();
    if (start === null || start === 0 || start >= memory.byteLength) {
      return null;
    }
    const bytes = memory.subarray(start, start + TEXT_MAX_BYTES);
    const end = bytes.indexOf(0);
    return Buffer.from(end < 0 ? bytes : bytes.subarray(0, end)).toString();
  }

  function describe(exception: number, type: number): string {
    const mangled = textAt((type >>> 0) + 4);
    const name = mangled === null ? "an unknown type" : typeName(mangled);
    const value = thrownValue(name, exception >>> 0);
    return value === null ? name : `${name}: ${value}`;
  }

  function thrownValue(name: string, exception: number): string | null {
    if (WITH_TEXT.test(name)) {
      return textAt(exception + 4);
    }
    switch (name) {
      case "char const*":
      case "char*":
        return textAt(exception);
      case "int":
      case "long":
        return String((u32(exception) ?? 0) | 0);
      default:
        return null;
    }
  }

  const ends =
    (name: string) =>
    (..._args: number[]): never => {
      throw new GuestFault(`${name}: the module was built without exceptions, a throw ends the call`);
    };

  return {
    "env.__cxa_allocate_exception": (size: number): number => {
      const sizeBytes = HEADER_BYTES + (size >>> 0);
      const pointer = guest.call.mappings.take(sizeBytes, "plain", (pages) => guest.grow(pages));
      if (pointer === null) {
        throw new GuestFault(`a C++ exception of ${size >>> 0} bytes was thrown, and the memory has no room for it`);
      }
      return pointer + HEADER_BYTES;
    },

    "env.__cxa_free_exception": (pointer: number): void => {
      const start = (pointer >>> 0) - HEADER_BYTES;
      if (start > 0) {
        guest.call.mappings.giveBack(guest.memory(), start, 1);
      }
    },

    "env.__cxa_throw": (exception: number, type: number, _destructor: number): never => {
      throw new GuestFault(`a C++ exception was thrown: ${describe(exception, type)}`);
    },

    "env.__cxa_rethrow": ends("__cxa_rethrow"),
    "env.__cxa_begin_catch": (_exception: number): never => ends("__cxa_begin_catch")(),
    "env.__cxa_end_catch": ends("__cxa_end_catch"),
    "env.__cxa_get_exception_ptr": (_exception: number): never => ends("__cxa_get_exception_ptr")(),
    "env._Unwind_RaiseException": (_exception: number): never => ends("_Unwind_RaiseException")(),
    "env._Unwind_Resume": (_exception: number): never => ends("_Unwind_Resume")(),
    "env._Unwind_Resume_or_Rethrow": (_exception: number): never => ends("_Unwind_Resume_or_Rethrow")(),
    "env._Unwind_DeleteException": (_exception: number): never => ends("_Unwind_DeleteException")(),
  };
};
