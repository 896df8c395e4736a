/** Puts functions behind a module's own, so that no index changes, and other bytes in the place of instructions. */
import { ModuleReader } from "../module-reader.ts";
import { type ModuleShape, SectionId, type Span } from "../module-shape.ts";
import { joined, unsignedLeb } from "../section-editor.ts";

export interface AddedFunction {
  /** As in the type section. */
  readonly type: readonly number[];
  /** With its locals, without its size. */
  readonly body: readonly number[];
}

/** @param replaced  in the order in which they are in the module */
export function withFunctions(
  bytes: Uint8Array,
  shape: ModuleShape,
  replaced: readonly (Span & { readonly by: readonly number[] })[],
  added: readonly AddedFunction[],
): Uint8Array {
  if (added.length === 0) {
    return bytes;
  }
  const types = [...new Set(added.map(({ type }) => type.join()))];
  const typeBytes = types.flatMap((type) => type.split(",").map(Number));
  const typeOf = ({ type }: AddedFunction) => unsignedLeb(shape.types.length + types.indexOf(type.join()));
  const parts = [bytes.subarray(0, 8)];
  for (const section of shape.sections) {
    const longer = (count: number, behind: readonly number[]) => {
      const reader = new ModuleReader(bytes, `${section.name} section`, section.contents, section.end);
      reader.u32("number of entries");
      return [Uint8Array.from(unsignedLeb(count)), bytes.subarray(reader.offset, section.end), Uint8Array.from(behind)];
    };
    const write = (contents: readonly Uint8Array[]) => {
      const whole = joined(contents);
      parts.push(Uint8Array.from([section.id, ...unsignedLeb(whole.byteLength)]), whole);
    };
    switch (section.id) {
      case SectionId.type:
        write(longer(shape.types.length + types.length, typeBytes));
        break;
      case SectionId.function:
        write(longer(shape.functions.length + added.length, added.flatMap(typeOf)));
        break;
      case SectionId.code: {
        const own = bodiesWith(bytes, shape, replaced);
        const behind = added.flatMap(({ body }) => [...unsignedLeb(body.length), ...body]);
        write([Uint8Array.from(unsignedLeb(shape.bodies.length + added.length)), ...own, Uint8Array.from(behind)]);
        break;
      }
      default:
        parts.push(bytes.subarray(section.start, section.end));
    }
  }
  return joined(parts);
}

function bodiesWith(
  bytes: Uint8Array,
  shape: ModuleShape,
  replaced: readonly (Span & { readonly by: readonly number[] })[],
): Uint8Array[] {
  let next = 0;
  return shape.bodies.flatMap((body) => {
    const pieces: Uint8Array[] = [];
    let at = body.declarations;
    for (let found = replaced[next]; found !== undefined && found.start < body.end; found = replaced[next]) {
      pieces.push(bytes.subarray(at, found.start), Uint8Array.from(found.by));
      at = found.end;
      next += 1;
    }
    pieces.push(bytes.subarray(at, body.end));
    const whole = joined(pieces);
    return [Uint8Array.from(unsignedLeb(whole.byteLength)), whole];
  });
}
