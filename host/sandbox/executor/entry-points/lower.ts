/**
 * Puts checked arguments into a guest's memory by `@assemblyscript/loader`, in two passes over the same values: one gathers the objects
 * that the guest's runtime shall make, one writes them.
 */
import {
  type ClassType,
  isList,
  isLong,
  type ListType,
  longOf,
  sizeOf,
  type ValueType,
} from "../../../modules/entry-points/index.ts";
import type { GuestRuntime } from "./runtime.ts";

/** An object that the runtime makes. */
export interface Allocation {
  readonly sizeBytes: number;
  readonly id: number;
}

/** Ids and sizes that AssemblyScript's runtime has fixed. */
const BUFFER_ID = 1;
const STRING_ID = 2;
const ARRAY_BYTES = 16;
const TYPED_ARRAY_BYTES = 12;

type Lowered = number | bigint;

/** What makes objects; each method says where. */
interface Heap {
  string(text: string): number;
  list(type: ListType, elements: Lowered[]): number;
  object(type: ClassType, fields: readonly Lowered[]): number;
}

/** The objects that `values` become, in the order in which `write` needs them. */
export function plan(values: readonly unknown[], types: readonly ValueType[]): readonly Allocation[] {
  const allocations: Allocation[] = [];
  const heap: Heap = {
    string: (text) => allocations.push({ sizeBytes: text.length * 2, id: STRING_ID }),
    list({ kind, id, of }, elements) {
      const sizeBytes = elements.length * sizeOf(of);
      if (kind === "staticArray") {
        return allocations.push({ sizeBytes, id });
      }
      allocations.push({ sizeBytes, id: BUFFER_ID });
      return allocations.push({ sizeBytes: kind === "array" ? ARRAY_BYTES : TYPED_ARRAY_BYTES, id });
    },
    object: ({ sizeBytes, id }) => allocations.push({ sizeBytes, id }),
  };
  lowerAll(heap, values, types);
  return allocations;
}

/** The arguments as the export takes them. @throws GuestFault  the module's runtime is not what its entry points say */
export function write(runtime: GuestRuntime, values: readonly unknown[], types: readonly ValueType[]): readonly Lowered[] {
  const heap: Heap = {
    string: (text) => runtime.loader.__newString(text),
    list: ({ id }, elements) => runtime.loader.__newArray(id, elements as number[]),
    object({ sizeBytes, id, fields }, values) {
      const pointer = runtime.loader.__new(sizeBytes, id) >>> 0;
      const memory = runtime.view();
      for (const [at, { offset, type }] of fields.entries()) {
        store(memory, pointer + offset, type, values[at] ?? 0);
      }
      return pointer;
    },
  };
  return runtime.guarded(() => lowerAll(heap, values, types));
}

function lowerAll(heap: Heap, values: readonly unknown[], types: readonly ValueType[]): Lowered[] {
  return types.map((type, at) => lower(heap, values[at], type));
}

/** `value` was checked. */
function lower(heap: Heap, value: unknown, type: ValueType): Lowered {
  if (type.kind === "nullable") {
    return value === null ? 0 : lower(heap, value, type.of);
  }
  if (isList(type)) {
    return heap.list(
      type,
      (value as readonly unknown[]).map((one) => lower(heap, one, type.of)),
    );
  }
  if (type.kind === "class") {
    const object = value as Readonly<Record<string, unknown>>;
    const fields = type.fields.map((field) =>
      lower(heap, Object.hasOwn(object, field.name) ? object[field.name] : null, field.type),
    );
    return heap.object(type, fields);
  }
  if (type.kind === "string") {
    return heap.string(value as string);
  }
  return isLong(type.kind) ? (longOf(value, type.kind) ?? 0n) : Number(value);
}

function store(memory: DataView, at: number, type: ValueType, value: Lowered): void {
  const { kind } = type;
  if (kind === "f32") {
    memory.setFloat32(at, Number(value), true);
  } else if (kind === "f64") {
    memory.setFloat64(at, Number(value), true);
  } else if (isLong(kind)) {
    memory.setBigUint64(at, BigInt.asUintN(64, BigInt(value)), true);
  } else if (kind === "bool" || sizeOf(type) === 1) {
    memory.setUint8(at, Number(value));
  } else if (sizeOf(type) === 2) {
    memory.setUint16(at, Number(value), true);
  } else {
    memory.setUint32(at, Number(value), true);
  }
}
