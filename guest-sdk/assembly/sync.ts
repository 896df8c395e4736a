/** Steps that only move the moment at which the call reads and writes. */
import * as host from "./host";

/** Reads behind it see every write, of whatever call, that had ended before it began. Inside a transaction reads stay where they are. */
export function sync(): void {
  host.sync();
}

/** What the call writes behind it is later than what it wrote before, for every reader and in every mode. */
export function fence(): void {
  host.fence();
}
