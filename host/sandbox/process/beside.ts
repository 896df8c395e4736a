/**
 * An object for another process, in the engine's own format, with the bytes of its views beside it: they are large, are copied as they
 * are, and may be in shared memory.
 */
import { Deserializer, Serializer } from "node:v8";

class BesideSerializer extends Serializer {
  readonly views: Uint8Array[] = [];

  /** Called for every view. */
  _writeHostObject(view: Uint8Array): void {
    this.writeUint32(view.byteLength);
    this.views.push(view);
  }
}

class BesideDeserializer extends Deserializer {
  readonly #views: Uint8Array;
  #at = 0;

  constructor(head: Uint8Array, views: Uint8Array) {
    super(head);
    this.#views = views;
  }

  _readHostObject(): Uint8Array {
    const sizeBytes = this.readUint32();
    this.#at += sizeBytes;
    return this.#views.subarray(this.#at - sizeBytes, this.#at);
  }
}

/** All views of `value` must be Uint8Arrays, or Buffers, which arrive as Uint8Arrays. */
export function encodeBeside(value: unknown): { head: Uint8Array; views: readonly Uint8Array[] } {
  const serializer = new BesideSerializer();
  // Node's declarations leave it out: views are then given to _writeHostObject.
  (
    serializer as unknown as { _setTreatArrayBufferViewsAsHostObjects(yes: boolean): void }
  )._setTreatArrayBufferViewsAsHostObjects(true);
  serializer.writeHeader();
  serializer.writeValue(value);
  return { head: serializer.releaseBuffer(), views: serializer.views };
}

/** Only for what was encoded by somebody who is trusted. The views are those of `views`. */
export function decodeBeside(head: Uint8Array, views: Uint8Array): unknown {
  const deserializer = new BesideDeserializer(head, views);
  deserializer.readHeader();
  return deserializer.readValue();
}
