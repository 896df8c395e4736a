/** Descriptors that whoever has started the host left open: a shell, a service manager. */
import { closeSync, readdirSync, readFileSync } from "node:fs";

const FOLDER = "/proc/self/fd";
/** Of `flags` in fdinfo, see proc_pid_fdinfo(5). */
const CLOSE_ON_EXEC = 0o2000000;

/**
 * Closes those beyond standard input, output and error that programs started from here would inherit: Node's permission model does not keep
 * them from reading and writing what is open. All that Node opens itself stays. Nothing happens where there is no /proc.
 *
 * Node does so at its start up to number 15, and goes on to the first gap (`uv_disable_stdio_inheritance` of libuv).
 */
export function closeInherited(): void {
  for (const descriptor of openDescriptors()) {
    if (descriptor > 2 && isInherited(descriptor)) {
      closeSync(descriptor);
    }
  }
}

function openDescriptors(): number[] {
  try {
    return readdirSync(FOLDER).map(Number);
  } catch {
    return [];
  }
}

/** False for one that is not open any more, as that of the list itself. */
function isInherited(descriptor: number): boolean {
  try {
    const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, "latin1"))?.[1];
    return flags !== undefined && (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0;
  } catch {
    return false;
  }
}
