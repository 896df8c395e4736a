/** A started host that one tenant attacks in every way of `attacks.ts` while another one calls its functions without pause: the tests. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { FunctionLimits } from "../../host/tenancy/index.ts";
import { type Bystander, SECRET } from "../support/bystander.ts";
import { eventually } from "../support/eventually.ts";
import { wat } from "../support/guest-modules.ts";
import { call, type RunningHost, upload } from "../support/host-process.ts";
import { readObject } from "../support/host-requests.ts";
import { AttackedHost } from "./attacked-host.ts";
import { ATTACKS, LIMITS, moduleText, scavenger } from "./attacks.ts";
import { HOST_CALLS, hostCallsModule } from "./host-calls.ts";

const ATTACKER = "attacker";
const SANDBOXES_MAX = 100;
const FLAGS = [
  ...["--wall-time-ms", "120000", "--cpu-time-ms", "120000"],
  ...["--state-max-bytes", `${LIMITS.stateBytes}`, "--tenant-max-sandboxes", `${SANDBOXES_MAX}`, "--retry-backoff-ms", "10"],
];

/** @param isolation  whether both tenants are in threads of the host, or, by `auto`, in processes of their own */
export function attackHost(isolation: "auto" | "threads"): void {
  let attacked: AttackedHost;
  let host: RunningHost;
  let bystander: Bystander;

  beforeAll(async () => {
    attacked = await AttackedHost.start("hostile", [...FLAGS, "--isolation", isolation]);
    ({ host, bystander } = attacked);
    await upload(host.url, ATTACKER, "scavenger", wat(scavenger()));
  }, 120_000);

  afterAll(() => attacked.close());

  async function setLimits(functionName: string, limits: FunctionLimits | null): Promise<void> {
    const url = `${host.url}/v1/tenants/${ATTACKER}/functions/${functionName}/options`;
    expect((await fetch(url, { method: "PUT", body: JSON.stringify({ limits }) })).status).toBe(200);
  }

  const attackWith = (functionName: string, input = "") =>
    call(host.url, { user: ATTACKER, function: functionName, input_data: input });

  /** Resolves when the bystander is served after the attack too, and the attacker has looked for what is left of it and found nothing. */
  async function during<T>(attack: () => Promise<T>): Promise<{ result: T; answers: number }> {
    const told = await bystander.during(attack);
    expect((await attackWith("scavenger")).status).toBe(200);
    return told;
  }

  test("who looks for the bystander's secret finds it where it is", async () => {
    await upload(host.url, ATTACKER, "self", wat(scavenger(`(data (i32.const 65000) "${SECRET}")`)));
    expect([(await attackWith("self")).status, (await attackWith("scavenger")).status]).toEqual([500, 200]);
  });

  describe("H8: a guest that attacks the host fails its own call, with its code; another tenant is served during and after it", () => {
    test.each(Object.entries(ATTACKS))("%s", async (name, { text, input, limits = null, status, code, body, isLong = false }) => {
      await upload(host.url, ATTACKER, "self", wat(moduleText(text)));
      await setLimits("self", limits);
      const { result, answers } = await during(() => Promise.all([attackWith("self", input), attackWith("self", input)]));
      for (const answer of result) {
        expect([name, answer.status, answer.headers.get("neap-error")]).toEqual([name, status, code]);
        expect(answer.body).toMatch(body);
        if (code === "CPU_LIMIT") {
          expect(Number(answer.headers.get("neap-cpu-ms"))).toBeGreaterThan(limits?.cpuTimeMs ?? Number.POSITIVE_INFINITY);
        }
        expect(answer.body).not.toContain(SECRET);
      }
      if (isLong) {
        expect(answers).toBeGreaterThan(0);
      }
    });

    test("an endless loop after a step is parked, with its step in the log", async () => {
      const loop = "(drop (call $write (i32.const 0) (i32.const 3) (i32.const 0) (i32.const 3))) (call $sync) (loop (br 0))";
      await upload(host.url, ATTACKER, "self", wat(moduleText(`(func (export "main") ${loop})`)));
      await setLimits("self", { cpuTimeMs: 500 });
      const answers = await during(() => Promise.all([attackWith("self"), attackWith("self")]));
      for (const { status, body, headers } of answers.result) {
        const steps = await fetch(`${host.url}/v1/tenants/${ATTACKER}/calls/${headers.get("neap-instance")}/steps`);
        expect([status, headers.get("neap-error"), steps.status]).toEqual([504, "OUTCOME_PENDING", 200]);
        expect(body).toMatch(/is parked: 3 attempts were ended by the host: the call took more than 500 ms of CPU time$/);
      }
    });

    test("nothing that a rejected guest did afterwards has happened", async () => {
      await upload(
        host.url,
        ATTACKER,
        "self",
        wat(moduleText(ATTACKS["catches what a host call says against it, and goes on"]?.text ?? "")),
      );
      await fetch(`${host.url}/v1/tenants/${ATTACKER}/objects/key`, { method: "DELETE" });
      await attackWith("self");
      expect(await readObject(host.url, ATTACKER, "key")).toBeUndefined();
    });

    test("a flood of log lines is cut off, and the log says so once for each call", async () => {
      await upload(host.url, ATTACKER, "flood", wat(moduleText(ATTACKS["log flood"]?.text ?? "")));
      const said = () => host.output().split("LOG_LIMIT: the call has printed more than 65536 bytes").length - 1;
      const before = said();
      await during(() => attackWith("flood"));
      await eventually("the log has said so", () => said() > before);
      expect(said()).toBe(before + 1);
    });

    test("every host call with pointers and lengths out of range: it says so to the guest or ends it, and touches nothing", async () => {
      for (const kind of ["plain", "regions", "threads"] as const) {
        await upload(host.url, ATTACKER, `host-calls-${kind}`, wat(hostCallsModule(kind)));
      }
      await during(async () => {
        let ended = 0;
        for (const { kind, name, input } of HOST_CALLS) {
          const answer = await attackWith(`host-calls-${kind}`, input);
          if (answer.status !== 200) {
            expect([name, answer.status, answer.headers.get("neap-error")]).toEqual([name, 500, "CALL_FAILED"]);
            ended += 1;
          }
          expect(answer.body).not.toContain(SECRET);
        }
        // WASI's answer an error number instead.
        const ending = HOST_CALLS.filter(({ name }) => !name.startsWith("wasi_"));
        expect(ended).toBeGreaterThan(ending.length / 3);
      });
      const { objects } = (await (await fetch(`${host.url}/v1/tenants/${ATTACKER}/objects`)).json()) as {
        objects: { key: string }[];
      };
      expect(objects.filter(({ key }) => key !== "key")).toEqual([]);
    });

    test("thousands of suspended calls hold no more sandboxes than their tenant may, and others are let in", async () => {
      await upload(host.url, ATTACKER, "self", wat(moduleText(`(func (export "main") (call $sleep (i64.const 400)))`)));
      const spawns = moduleText(`(func (export "main") (local $left i32) (local.set $left (i32.const 2000))
      (loop $more
        (drop (call $spawn (i32.const 16) (i32.const 4) (i32.const 0) (i32.const 0) (i64.const 0) (i32.const 64) (i32.const 64)))
        (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1))))))`);
      await upload(host.url, ATTACKER, "spawns", wat(spawns));
      await during(async () => {
        expect((await attackWith("spawns")).status).toBe(200);
        const active = async () =>
          ((await (await fetch(`${host.url}/v1/status`)).json()) as { load: { active: number } }).load.active;
        await eventually("they are suspended", async () => (await active()) >= SANDBOXES_MAX);
        // The bystander has a sandbox of its own.
        expect(await active()).toBeLessThanOrEqual(SANDBOXES_MAX + 2);
      });
    });
  });

  test("H6: nobody has been answered wrongly in all of that, and the host still runs", async () => {
    await bystander.during(async () => {});
    await bystander.end();
    expect(host.process.exitCode).toBeNull();
  });
}
