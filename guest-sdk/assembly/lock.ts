/**
 * Locks: at most one call at a time holds a lock of a name. All functions of one call, called ones too, may take it again; it is free
 * when it was given back as often as it was taken. The end of the function that took it gives it back, so does the end of the
 * transaction that it was taken in. A call that is interrupted keeps its locks until it has been run again.
 *
 * What was written before the lock was given back is seen by whoever takes it next.
 */
import { notAName, toBytes } from "./bytes";
import * as host from "./host";

/**
 * Takes the lock, and waits as long as another call holds it.
 *
 * @returns a token: larger than that of any holder before. Hand it to systems outside that shall refuse a holder whose lock an
 *   administrator took away; for objects a transaction does that by itself
 */
export function lock(name: string): i64 {
  return taken(name, true);
}

/** Takes the lock if no other call holds it. @returns the token as for `lock`, 0 when another call holds it */
export function tryLock(name: string): i64 {
  return taken(name, false);
}

/** Gives the lock back once. */
export function unlock(name: string): void {
  const bytes = toBytes(name);
  const code = host.unlock(bytes.dataStart, bytes.byteLength);
  if (code < 0) throw new Error("unlock" + reason(code, name));
}

function taken(name: string, waits: bool): i64 {
  const bytes = toBytes(name);
  const token = waits ? host.lock(bytes.dataStart, bytes.byteLength) : host.lockTry(bytes.dataStart, bytes.byteLength);
  if (token < 0) throw new Error("lock" + reason(<i32>token, name));
  return token;
}

function reason(code: i32, name: string): string {
  if (code == host.INVALID) return ": " + notAName(name, "name");
  const which = " of '" + name + "': ";
  if (code == host.NOT_HELD) return which + "this function does not hold it";
  if (code == host.NOT_IN_PART) return which + "locks are not possible inside storage.run";
  return which + "this function holds 100 locks, which is the limit";
}
