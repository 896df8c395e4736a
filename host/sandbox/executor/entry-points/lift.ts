/** Reads what an entry point returned out of the guest's memory, which may hold anything. */
import {
  INTEGERS,
  isInteger,
  isList,
  isLong,
  type ListType,
  NESTING_MAX,
  sizeOf,
  typeText,
  type ValueType,
} from "../../../modules/entry-points/index.ts";
import { GuestFault } from "../../guest.ts";
import { outputTooLarge } from "../guest-call.ts";
import type { GuestRuntime, Loader } from "./runtime.ts";

/** In front of an object. */
const ID_OFFSET = 8;
const SIZE_OFFSET = 4;
/** The shortest text of a value, with what parts it from the next one. */
const VALUE_MIN_BYTES = 2;

export class Lifting {
  readonly #runtime: GuestRuntime;
  readonly #outputMaxBytes: number;
  /** At least so long is the result as text. */
  #textBytes = 0;

  constructor(runtime: GuestRuntime, outputMaxBytes: number) {
    this.#runtime = runtime;
    this.#outputMaxBytes = outputMaxBytes;
  }

  /** As JSON has it. @throws GuestFault, GuestKill for more than an output may have */
  value(raw: number | bigint, type: ValueType): unknown {
    return this.#runtime.guarded(() => this.#value(raw, type, 0));
  }

  #value(raw: number | bigint, type: ValueType, depth: number): unknown {
    this.#count(VALUE_MIN_BYTES);
    const { kind } = type;
    if (isInteger(kind)) {
      const { min, sizeBytes } = INTEGERS[kind];
      const above = 32 - sizeBytes * 8;
      const shifted = Number(raw) << above;
      return min < 0 ? shifted >> above : shifted >>> above;
    }
    if (isLong(kind)) {
      const long = kind === "i64" ? BigInt.asIntN(64, BigInt(raw)) : BigInt.asUintN(64, BigInt(raw));
      return Number.isSafeInteger(Number(long)) ? Number(long) : `${long}`;
    }
    if (kind === "f32" || kind === "f64") {
      return Number.isFinite(Number(raw)) ? Number(raw) : `${raw}`;
    }
    if (kind === "bool") {
      return Number(raw) !== 0;
    }
    const pointer = Number(raw) >>> 0;
    if (type.kind === "nullable") {
      return pointer === 0 ? null : this.#value(pointer, type.of, depth);
    }
    if (pointer === 0) {
      throw new GuestFault(`the result holds null where its type is ${typeText(type)}`);
    }
    if (depth > NESTING_MAX) {
      throw new GuestFault(`the result is more than ${NESTING_MAX} lists and objects deep`);
    }
    return this.#object(pointer, type, depth);
  }

  #object(pointer: number, type: ValueType, depth: number): unknown {
    const memory = this.#runtime.view();
    const { loader } = this.#runtime;
    if (type.kind === "string") {
      this.#count(memory.getUint32(pointer - SIZE_OFFSET, true) / 2);
      return loader.__getString(pointer);
    }
    if (isList(type)) {
      const id = memory.getUint32(pointer - ID_OFFSET, true);
      if (id !== type.id) {
        throw new GuestFault(`the result holds an object of type ${id} where ${typeText(type)} is ${type.id}`);
      }
      const elements = viewOf(loader, pointer, type);
      this.#checkText(elements.length * VALUE_MIN_BYTES);
      return Array.from(elements, (element) => this.#value(element, type.of, depth + 1));
    }
    if (type.kind !== "class") {
      return null;
    }
    const fields = type.fields.map(({ name, offset, type: field }) => {
      this.#count(name.length);
      return [name, this.#value(load(memory, pointer + offset, field), field, depth + 1)];
    });
    return Object.fromEntries(fields);
  }

  #count(textBytes: number): void {
    this.#checkText(textBytes);
    this.#textBytes += textBytes;
  }

  #checkText(moreBytes: number): void {
    const textBytes = this.#textBytes + moreBytes;
    if (textBytes > this.#outputMaxBytes) {
      throw outputTooLarge(textBytes, this.#outputMaxBytes);
    }
  }
}

/** Of a typed array, which may be a part of its buffer, by its name: the loader's other function takes it for the whole. */
function viewOf(loader: Loader, pointer: number, type: ListType): ArrayLike<number | bigint> {
  const byName = loader as unknown as Readonly<Record<string, (pointer: number) => ArrayLike<number | bigint>>>;
  const view = type.kind === "typedArray" ? byName[`__get${typeText(type)}View`] : byName.__getArrayView;
  return view === undefined ? [] : view(pointer);
}

function load(memory: DataView, at: number, type: ValueType): number | bigint {
  const { kind } = type;
  if (kind === "f32") {
    return memory.getFloat32(at, true);
  }
  if (kind === "f64") {
    return memory.getFloat64(at, true);
  }
  if (isLong(kind)) {
    return memory.getBigUint64(at, true);
  }
  const sizeBytes = sizeOf(type);
  return sizeBytes === 1 ? memory.getUint8(at) : sizeBytes === 2 ? memory.getUint16(at, true) : memory.getUint32(at, true);
}
