import type { ScriptedGuest } from "./scripted-guest.ts";
import { type ScriptedHost, settled } from "./scripted-host.ts";

/** What a guest waits for that shall not end by itself. */
export const FOREVER = new Promise<never>(() => {});

/** The only guest that runs now. */
export function theGuest(host: ScriptedHost): ScriptedGuest {
  const [guest, another] = host.pool.running;
  if (guest === undefined || another !== undefined) {
    throw new Error(`${host.pool.running.size} guests are running, not one`);
  }
  return guest;
}

/** Kills every attempt from now on as soon as it waits for something. */
export async function killAll(host: ScriptedHost, asked: Promise<unknown>): Promise<void> {
  let over = false;
  void asked.then(() => {
    over = true;
  });
  while (!over) {
    for (const guest of host.pool.running) {
      guest.kill("wallTime");
    }
    await settled();
  }
}
