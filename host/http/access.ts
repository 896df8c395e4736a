/** Who asks: bearer tokens, or everyone in open mode. */
import { hash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { NeapError } from "../../state/errors.ts";
import { type LogBookId, logBookId } from "../../state/ids.ts";
import { ADMIN } from "../config/index.ts";

export interface Caller {
  /** null: may act for every tenant. */
  readonly tenant: LogBookId | null;
  /** Holds an administrator's token; never in open mode (H26). */
  readonly admin: boolean;
}

const EVERYONE: Caller = { tenant: null, admin: false };
const ADMINISTRATOR: Caller = { tenant: null, admin: true };

export class Access {
  /** SHA-256 of the token → caller, so that the time of a look-up tells nothing about tokens. Null in open mode. */
  readonly #callers: ReadonlyMap<string, Caller> | null;

  /** @param tokens  token → tenant or ADMIN; null is open mode */
  constructor(tokens: ReadonlyMap<string, string> | null) {
    this.#callers =
      tokens &&
      new Map(
        Array.from(tokens, ([token, tenant]) => [
          hash("sha256", token),
          tenant === ADMIN ? ADMINISTRATOR : { tenant: logBookId(tenant), admin: false },
        ]),
      );
  }

  /** @throws TOKEN_REFUSED  no `Authorization: Bearer <token>`, or an unknown token */
  caller(request: IncomingMessage): Caller {
    if (this.#callers === null) {
      return EVERYONE;
    }
    const token = /^Bearer ([\x21-\x7e]+)$/i.exec(request.headers.authorization ?? "")?.[1];
    if (token === undefined) {
      throw new NeapError("TOKEN_REFUSED", "this host wants a header Authorization: Bearer <token>");
    }
    const caller = this.#callers.get(hash("sha256", token));
    if (caller === undefined) {
      throw new NeapError("TOKEN_REFUSED", "the bearer token is not known to this host");
    }
    return caller;
  }
}

/** @throws FOREIGN_TENANT */
export function mustAct(caller: Caller, tenant: LogBookId): LogBookId {
  if (caller.tenant !== null && caller.tenant !== tenant) {
    throw new NeapError("FOREIGN_TENANT", `the token belongs to ${caller.tenant}, the request is for ${tenant}`);
  }
  return tenant;
}

/** For what shows or changes several tenants' things. @throws ADMIN_ONLY */
export function mustActForAll(caller: Caller): void {
  if (caller.tenant !== null) {
    throw new NeapError("ADMIN_ONLY", `the request needs an administrator's token, this one belongs to ${caller.tenant}`);
  }
}
