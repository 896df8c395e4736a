import { describe, expect, test } from "vitest";
import { ArtefactCache, type LoadedArtefact } from "../../../../host/modules/artefact-cache.ts";
import type { Artefact, ModuleHash } from "../../../../host/modules/index.ts";
import { prepareModule } from "../../../../host/modules/index.ts";
import { wat } from "../../../support/guest-modules.ts";
import { ABI, LIMITS } from "./fixtures.ts";

const artefact: Artefact = prepareModule(wat(`(module (memory 1) (func (export "main")))`), ABI, LIMITS);
const hash = (name: string) => name as ModuleHash;

/** A cache of `maxBytes`, and the names it has loaded. */
function counted(maxBytes: number) {
  const cache = new ArtefactCache(maxBytes);
  const loads: string[] = [];
  const get = (name: string, sizeBytes: number) =>
    cache.get(hash(name), async () => {
      loads.push(name);
      return { artefact, sizeBytes };
    });
  return { cache, loads, get };
}

describe("the artefact cache", () => {
  test("loads of one hash at the same time share one load", async () => {
    const { loads, get } = counted(100);
    const all = await Promise.all([get("a", 10), get("a", 10), get("a", 10)]);
    expect(loads).toEqual(["a"]);
    expect(all.every((each) => each === artefact)).toBe(true);
  });

  test("above its size the least recently used are dropped, used ones stay", async () => {
    const { loads, get } = counted(100);
    for (const name of ["a", "b", "a", "c"]) {
      await get(name, 40);
    }
    expect(loads).toEqual(["a", "b", "c"]);
    await get("a", 40);
    await get("c", 40);
    expect(loads).toEqual(["a", "b", "c"]);
    await get("b", 40);
    expect(loads).toEqual(["a", "b", "c", "b"]);
  });

  test("one that is larger than the cache is given out and not kept", async () => {
    const { loads, get } = counted(100);
    await get("a", 40);
    await get("huge", 101);
    await get("huge", 101);
    expect(loads).toEqual(["a", "huge", "huge"]);
  });

  test("a failed load fails those who wait for it, and the next caller tries again", async () => {
    const { cache, loads, get } = counted(100);
    const broken = Promise.withResolvers<LoadedArtefact>();
    const waiting = [cache.get(hash("a"), () => broken.promise), get("a", 10)];
    broken.reject(new Error("gone"));
    expect((await Promise.allSettled(waiting)).map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(await get("a", 10)).toBe(artefact);
    expect(loads).toEqual(["a"]);
  });
});
