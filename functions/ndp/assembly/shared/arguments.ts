/** Input of the form `<key> <rest>`: the first space splits, the rest may have any bytes. */
import { inputBytes, toText } from "../../../../guest-sdk/assembly";

export class Arguments {
  constructor(
    readonly key: string,
    /** null when there is no space. */
    readonly rest: Uint8Array | null,
  ) {}
}

export function readArguments(): Arguments {
  const bytes = inputBytes();
  const split = bytes.indexOf(0x20);
  if (split < 0) return new Arguments(toText(bytes), null);
  return new Arguments(toText(bytes.subarray(0, split)), bytes.subarray(split + 1));
}
