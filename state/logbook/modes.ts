/**
 * Modes: by which protocol the effects on objects happen exactly once. A mode holds for a scope: all objects whose keys have the same
 * part before the first "/".
 */
import { invariant } from "../errors.ts";

/** In the order of their stored numbers: append only. */
export const MODES = ["halfmoon-read", "halfmoon-write", "boki", "unsafe"] as const;
export type Mode = (typeof MODES)[number];
export const DEFAULT_MODE: Mode = "halfmoon-read";

/** Whether objects in this mode are kept as versions; else in cells. */
export function keepsVersions(mode: Mode): boolean {
  return mode === "halfmoon-read";
}

/** "" for keys without "/". */
export function scopeOf(key: string): string {
  const end = key.indexOf("/");
  return end < 0 ? "" : key.slice(0, end);
}

/** What a mode record says about its scope from its position on. */
export interface ModeRecord {
  /** While it is being switched, the mode before; null if nobody has ever chosen one. */
  readonly mode: Mode | null;
  /** The mode it is being switched to: between BEGIN and END. */
  readonly to: Mode | null;
  /** The host may choose the mode by itself. */
  readonly automatic: boolean;
}

const NO_MODE = 255;

export function encodeMode({ mode, to, automatic }: ModeRecord): Uint8Array {
  return Uint8Array.of(modeCode(mode), modeCode(to), automatic ? 1 : 0);
}

export function decodeMode(data: Uint8Array): ModeRecord {
  return { mode: modeFromCode(data[0]), to: modeFromCode(data[1]), automatic: data[2] === 1 };
}

/** One byte; 255 for none. */
export function modeCode(mode: Mode | null): number {
  return mode === null ? NO_MODE : MODES.indexOf(mode);
}

export function modeFromCode(code: number | undefined): Mode | null {
  if (code === undefined || code === NO_MODE) {
    return null;
  }
  const mode = MODES[code];
  invariant(mode !== undefined, `mode ${code} is unknown to this host`);
  return mode;
}
