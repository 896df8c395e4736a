/** What the query of an upload asks for. */
import type { UploadOptions } from "../modules/functions.ts";
import { flagQuery } from "./fields.ts";
import { modeField } from "./v1-protocols.ts";

export interface UploadQuery {
  readonly protocol?: unknown;
  readonly preemptible?: unknown;
  readonly migratable?: unknown;
  readonly aliasState?: unknown;
}

/** @throws BAD_REQUEST, BAD_MODE  with field and value */
export function uploadOptions({ protocol, preemptible, migratable, aliasState }: UploadQuery): UploadOptions {
  return {
    ...(protocol !== undefined && { protocol: modeField(protocol, []) }),
    preemptible: flagQuery("preemptible", preemptible),
    migratable: flagQuery("migratable", migratable),
    aliasState: flagQuery("aliasState", aliasState),
  };
}
