/** What is there before the first call: the functions, and the protocols that were chosen. */
import { createHash } from "node:crypto";
import { encodeArtefact } from "../../host/modules/artefact-codec.ts";
import type { ModuleHash } from "../../host/modules/index.ts";
import { encodeFunctionData } from "../../host/modules/registry-entry.ts";
import { NO_REWRITING } from "../../host/modules/rewriting/index.ts";
import { type BlobName, type LogBookId, MAX_SEQNUM } from "../../state/ids.ts";
import { type LocalShard, RecordKind } from "../../state/logbook/index.ts";
import type { Mode } from "../../state/logbook/modes.ts";
import { DEFAULT_MODE_TAG, functionTag, modeTag } from "../../state/tags.ts";
import { artefactOf } from "../support/wasm.ts";
import type { Layout } from "./layout.ts";
import type { SimProcess } from "./process.ts";
import type { SimBlobs } from "./sim-blobs.ts";

export const TENANT = "acme" as LogBookId;
/** Of all functions: what they do is in their input. */
export const MODULE = createHash("sha256").update("program").digest("hex") as ModuleHash;
const ARTEFACT = artefactOf(`(module (memory (export "$memory") 1) (func (export "run")))`);
const LOOK_MS = 20;

/** Does what an opening before has not come to. All of it is durable when this resolves, and the scopes are in their modes. */
export async function found(shard: LocalShard, blobs: SimBlobs, process: SimProcess, layout: Layout): Promise<void> {
  const book = shard.book(TENANT);
  const isThere = async (tag: ReturnType<typeof modeTag>) => (await book.readPrev(tag, MAX_SEQNUM)).record !== null;
  for (const [name, protocol] of Object.entries(layout.functions)) {
    if (!(await isThere(functionTag(name)))) {
      await define(shard, blobs, name, protocol);
    }
  }
  if (layout.defaultMode !== null && !(await isThere(DEFAULT_MODE_TAG))) {
    await shard.chooseDefault(TENANT, layout.defaultMode);
  }
  for (const [scope, mode] of layout.scopes) {
    if (!(await isThere(modeTag(scope)))) {
      await shard.switchMode(TENANT, scope, mode, false);
    }
  }
  const isSteady = (scope: string) => layout.scopes.has(scope) && !layout.switched.includes(scope);
  const isPending = async () => (await shard.scopes(TENANT)).some(({ scope, to }) => to !== null && isSteady(scope));
  while (await isPending()) {
    await process.point("switch", LOOK_MS);
  }
  await shard.whenDurable(await book.tail());
}

async function define(shard: LocalShard, blobs: SimBlobs, name: string, protocol: Mode | null): Promise<void> {
  const writer = await blobs.create(MODULE as string as BlobName);
  await writer.write(encodeArtefact({ ...ARTEFACT, hash: MODULE }));
  const artefact = await writer.commit();
  const named = { retry: null, limits: null, environment: null, protocol, ...NO_REWRITING };
  const data = encodeFunctionData({ name, hash: MODULE, artefact, original: artefact, ...named });
  const record = { kind: RecordKind.function, tags: [functionTag(name), functionTag("")], data, blobs: [artefact] };
  await shard.book(TENANT).append({ records: [record] });
}
