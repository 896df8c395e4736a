/**
 * Import: a call of a function whose type is known only then, as libffi describes it. Layout: ffi_cif and ffi_type of libffi's ffi.h where
 * pointers have 32 bits, https://github.com/libffi/libffi/blob/master/include/ffi.h.in.
 */
import { type Guest, GuestFault, type ValueType } from "../../sandbox/guest.ts";
import { guestBytes } from "../guest-memory.ts";

const ARGUMENTS_MAX = 100;
/** Of ffi_cif. */
const CIF = { count: 4, types: 8, result: 12, sizeBytes: 24 } as const;
/** Of ffi_type. */
const TYPE = { code: 6, sizeBytes: 12 } as const;
const VOID = 0;

interface NativeType {
  readonly value: ValueType;
  readonly sizeBytes: number;
  read(view: DataView): number | bigint;
}

const i32 = (sizeBytes: number, read: NativeType["read"]): NativeType => ({ value: "i32", sizeBytes, read });
const sint32 = i32(4, (view) => view.getInt32(0, true));
const int64: NativeType = { value: "i64", sizeBytes: 8, read: (view) => view.getBigInt64(0, true) };

/** By FFI_TYPE_…; there is none for long double, structures and complex numbers. */
const TYPES: Readonly<Record<number, NativeType>> = {
  1: sint32,
  2: { value: "f32", sizeBytes: 4, read: (view) => view.getFloat32(0, true) },
  3: { value: "f64", sizeBytes: 8, read: (view) => view.getFloat64(0, true) },
  5: i32(1, (view) => view.getUint8(0)),
  6: i32(1, (view) => view.getInt8(0)),
  7: i32(2, (view) => view.getUint16(0, true)),
  8: i32(2, (view) => view.getInt16(0, true)),
  9: sint32,
  10: sint32,
  11: int64,
  12: int64,
  14: sint32,
};

export const ffi = (guest: Guest) => {
  const view = (what: string, pointer: number, sizeBytes: number): DataView => {
    const bytes = guestBytes(guest, `ffi_call: ${what}`, pointer, sizeBytes);
    return new DataView(bytes.buffer, bytes.byteOffset, sizeBytes);
  };

  function typeOf(what: string, pointer: number): NativeType | null {
    const code = view(`the type of ${what}`, pointer, TYPE.sizeBytes).getUint16(TYPE.code, true);
    const type = TYPES[code];
    if (type === undefined && code !== VOID) {
      throw new GuestFault(
        `ffi_call: the type of ${what} has the code ${code}: only integers, pointers, float and double are passed`,
      );
    }
    return type ?? null;
  }

  /** Integers that are smaller than a register are stored as one, as libffi does. */
  const resultView = (pointer: number, type: ValueType) => view("result", pointer, type === "i64" || type === "f64" ? 8 : 4);

  function store(at: DataView, type: ValueType, value: number | bigint | undefined): void {
    if (type === "i64") {
      at.setBigInt64(0, BigInt(value ?? 0), true);
    } else if (type === "f64") {
      at.setFloat64(0, Number(value), true);
    } else if (type === "f32") {
      at.setFloat32(0, Number(value), true);
    } else {
      at.setInt32(0, Number(value), true);
    }
  }

  return {
    "env.ffi_call": async (cif: number, tableIndex: number, result: number, values: number): Promise<void> => {
      const described = view("cif", cif, CIF.sizeBytes);
      const count = described.getUint32(CIF.count, true);
      if (count > ARGUMENTS_MAX) {
        throw new GuestFault(`ffi_call: a function of ${count} arguments, at most ${ARGUMENTS_MAX} are passed`);
      }
      const types = view("types", described.getUint32(CIF.types, true), 4 * count);
      const pointers = view("values", values, 4 * count);
      const params: ValueType[] = [];
      const args: (number | bigint)[] = [];
      for (let at = 0; at < count; at++) {
        const what = `argument ${at}`;
        const type = typeOf(what, types.getUint32(4 * at, true));
        if (type === null) {
          throw new GuestFault(`ffi_call: the type of ${what} is void`);
        }
        params.push(type.value);
        args.push(type.read(view(what, pointers.getUint32(4 * at, true), type.sizeBytes)));
      }
      const returned = typeOf("the result", described.getUint32(CIF.result, true))?.value ?? null;
      const wanted = result === 0 ? null : returned;
      if (wanted !== null) {
        resultView(result, wanted);
      }
      const value = await guest.callOfType({ params, result: returned }, tableIndex >>> 0, args);
      if (wanted !== null) {
        store(resultView(result, wanted), wanted, value);
      }
    },
  };
};
