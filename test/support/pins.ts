/** What tests share of instances that are pinned by what they have read (F25). */
import { writePayload } from "../../host/invocation/instance-record.ts";
import { ByteWriter } from "../../state/bytes.ts";
import type { InstanceId } from "../../state/ids.ts";
import { writePinHead } from "../../state/logbook/pin-record.ts";
import { encodeReads } from "../../state/protocols/index.ts";
import { attemptTag, objectTag } from "../../state/tags.ts";
import { openTestShard } from "./open-shard.ts";
import { ScriptedHost, TENANT } from "./scripted-host.ts";

export const DAY_MS = 24 * 60 * 60 * 1000;

/** A host under the manual clock alone, over a shard that collects whatever it may. */
export async function openHost(): Promise<ScriptedHost> {
  const test = await openTestShard({ options: { garbageMin: 1, retentionMs: DAY_MS } });
  return ScriptedHost.open({ test, timers: test.time });
}

/** Writes of one object, with what is collected in between; how many of its versions are left. */
export async function load(host: ScriptedHost, key: string, writes: number): Promise<number> {
  for (let i = 1; i <= writes; i += 1) {
    await host.put(key, `${key} ${i}`);
    if (i % 10 === 0) {
      await host.test.shard.collect();
    }
  }
  await host.test.shard.collect();
  const { records } = await host.book.readStream(objectTag(key), await firstKept(host, key));
  return records.length;
}

async function firstKept(host: ScriptedHost, key: string): Promise<number> {
  let from = 0;
  for (;;) {
    try {
      await host.book.readStream(objectTag(key), from);
      return from;
    } catch {
      from += 1;
    }
  }
}

/** The data of a PIN that holds no reads. */
export function pinAt(position: number): Uint8Array {
  const w = writePinHead(new ByteWriter(32), { position, written: null });
  return writePayload(w, { kind: "inline", bytes: encodeReads([]) }).take();
}

export async function kindsOf(host: ScriptedHost, instance: InstanceId): Promise<number[]> {
  return (await host.steps(instance)).map(({ kind }) => kind);
}

export async function attemptKinds(host: ScriptedHost, instance: InstanceId): Promise<number[]> {
  return (await host.book.readStream(attemptTag(instance), 0)).records.map(({ kind }) => kind);
}

export async function theUnfinished(host: ScriptedHost): Promise<InstanceId> {
  const [one] = await host.invocations.unfinished(TENANT);
  if (one === undefined) {
    throw new Error("nothing is unfinished");
  }
  return one.instance;
}

/** Reads everything that can be read before it sleeps, and tells it again afterwards: as it was before, and as it is now. */
export async function defineSleeper(host: ScriptedHost): Promise<void> {
  await host.define("sleeper", async (guest) => {
    const { returnValue } = await guest.call("later");
    const before = [await guest.get("x"), await guest.get("absent"), (await guest.list("li")).join("+"), returnValue];
    guest.put("before", before.join(" "));
    const own = await guest.get("before");
    await guest.sleep(30 * DAY_MS);
    const after = [await guest.get("x"), await guest.get("absent"), (await guest.list("li")).join("+")];
    guest.put("after", `${own} | ${after.join(" ")}`);
    return 0;
  });
}
