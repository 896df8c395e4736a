/** Clients: they send requests one after the other, lose patience, and ask again where a key makes that safe. */
import type { CallAnswer, CallBytes, CallRequest } from "../../host/invocation/index.ts";
import { NeapError } from "../../state/errors.ts";
import type { InstanceId } from "../../state/ids.ts";
import { textOf } from "../support/call-bytes.ts";
import type { Prng } from "../support/prng.ts";
import type { Cluster, SimHost } from "./cluster.ts";
import { TENANT } from "./founding.ts";
import type { Program } from "./machine.ts";
import { latencyMs, SimProcess } from "./process.ts";
import { drawProgram } from "./program.ts";

/** What a client was told of one request. */
export interface Told {
  readonly instance: InstanceId;
  readonly returnValue: number;
  readonly output: string;
  readonly trap: string;
  /** The durable position when the answer left the host. */
  readonly durable: number;
}

export interface Request {
  readonly id: string;
  readonly client: number;
  readonly program: Program;
  readonly key: string | undefined;
  readonly forbidsPushDown: boolean;
  /** It is to begin so much later; 0 for at once. */
  readonly delayMs: number;
  readonly sentMs: number;
  /** Answers that had been given to any client when it was sent. */
  readonly answersBefore: number;
  endedMs: number;
  sends: number;
  /** Every result that was shown, in whatever answer; all must be the same. */
  readonly told: Told[];
  /** Instances of which it was said that nothing of them had happened. */
  readonly denied: InstanceId[];
  /** Acknowledged as accepted. */
  accepted: boolean;
  state: "open" | "answered" | "unknown";
}

const ENDLESS_MS = 10 * 60_000;

type Heard = { readonly kind: "answer"; readonly answer: CallAnswer; readonly durable: number } | { readonly kind: "nothing" };

export class Clients {
  readonly requests: Request[] = [];
  /** Requests whose answer a client has got, in the order in which they came. */
  readonly answered: Request[] = [];
  readonly #cluster: Cluster;
  readonly #random: Prng;
  readonly #process: SimProcess;
  /** Longest time between two requests of a client. */
  readonly #pauseMs: number;
  #left = 0;
  /** What was sent and is not answered, also when nobody waits for the answer any more. */
  readonly #sent = new Set<{ readonly process: SimProcess }>();

  constructor(cluster: Cluster, random: Prng) {
    this.#cluster = cluster;
    this.#random = random;
    this.#process = new SimProcess("clients", cluster.scheduler, random);
    this.#pauseMs = random.below(2) === 0 ? 1 + random.below(20) : 400;
  }

  /** Every client has gone through its requests, and nothing that was sent is under way. */
  get isDone(): boolean {
    return this.#left === 0 && [...this.#sent].every(({ process }) => !process.alive);
  }

  /** @param count  clients; each sends `requests` one after the other */
  start(count: number, requests: number): void {
    this.#left = count;
    for (let client = 0; client < count; client += 1) {
      void this.#client(client, requests).catch((error: unknown) => this.#cluster.fail(error));
    }
  }

  async #client(client: number, requests: number): Promise<void> {
    for (let index = 0; index < requests; index += 1) {
      await this.#pause(this.#random.below(this.#pauseMs));
      await this.#request(client, `c${client}r${index}`);
    }
    this.#left -= 1;
  }

  async #request(client: number, id: string): Promise<void> {
    const isKeyed = this.#random.below(3) > 0;
    const request: Request = {
      id,
      client,
      program: drawProgram(this.#random, id),
      key: isKeyed ? id : undefined,
      forbidsPushDown: this.#random.below(10) === 0,
      delayMs: isKeyed && this.#random.below(6) === 0 ? this.#random.below(3_000) : 0,
      sentMs: this.#cluster.scheduler.nowMs,
      answersBefore: this.answered.length,
      endedMs: Number.POSITIVE_INFINITY,
      sends: 0,
      told: [],
      denied: [],
      accepted: false,
      state: "open",
    };
    this.requests.push(request);
    while (request.state === "open") {
      const heard = await this.#send(request);
      if (heard.kind === "answer" && heard.answer.kind === "completed") {
        request.state = "answered";
      } else if (isKeyed) {
        await this.#pause(this.#random.below(500));
      } else {
        request.state = "unknown";
      }
    }
    request.endedMs = this.#cluster.scheduler.nowMs;
    if (request.state === "answered") {
      this.answered.push(request);
    }
    this.#cluster.scheduler.note(`client: ${id} ${request.state} ${request.told[0]?.output ?? ""}`);
  }

  /** Sends it once more to whatever host, and waits for the answer or until the patience is over. */
  #send(request: Request): Promise<Heard> {
    request.sends += 1;
    const { promise, resolve } = Promise.withResolvers<Heard>();
    const { hosts, scheduler } = this.#cluster;
    const host = hosts[this.#random.below(Math.max(1, hosts.length))];
    const gone = new AbortController();
    const { isCalm } = this.#cluster.options;
    const patienceMs = isCalm && host !== undefined ? ENDLESS_MS : 200 + this.#random.below(4_000);
    const cancel = scheduler.at(this.#process, patienceMs, `${request.id} patience`, () => {
      if (host !== undefined) {
        scheduler.at(host.process, latencyMs(this.#random), `${request.id} client has gone`, () => gone.abort());
      }
      resolve({ kind: "nothing" });
    });
    if (host !== undefined) {
      const sent = { process: host.process };
      this.#sent.add(sent);
      scheduler.at(host.process, latencyMs(this.#random), `${request.id} request`, () => {
        const served = this.#serve(host, request, gone.signal, (heard) => {
          cancel();
          resolve(heard);
        });
        served.then(() => this.#sent.delete(sent)).catch((error: unknown) => this.#cluster.fail(error));
      });
    }
    return promise;
  }

  async #serve(host: SimHost, request: Request, signal: AbortSignal, heard: (heard: Heard) => void): Promise<void> {
    const call: CallRequest = {
      tenant: TENANT,
      functionName: request.program.functionName,
      input: Buffer.from(JSON.stringify(request.program)),
      delayMs: request.delayMs,
      answer: request.key !== undefined && this.#random.below(4) === 0 ? "accepted" : "result",
      forbidPushDown: request.forbidsPushDown,
      signal,
      ...(request.key !== undefined && { key: { kind: "idempotency", value: request.key } }),
    };
    const answer = await host.invocations.call(call).catch((error: unknown) => {
      if (!(error instanceof NeapError)) {
        throw error;
      }
      this.#cluster.scheduler.note(`${host.process.name}: ${request.id} ${error.code}`);
      return null;
    });
    if (!host.process.alive) {
      return;
    }
    const { durable } = this.#cluster.history;
    if (answer !== null) {
      this.#note(request, answer, durable);
    }
    if (answer?.kind === "accepted") {
      await this.#status(host, request, answer.instance);
    }
    // An answer may be lost on its way.
    if (this.#cluster.options.isCalm || this.#random.below(20) > 0) {
      const told: Heard = answer === null ? { kind: "nothing" } : { kind: "answer", answer, durable };
      this.#cluster.scheduler.at(this.#process, latencyMs(this.#random), `${request.id} answer`, () => heard(told));
    }
  }

  /** Asks what has become of an accepted call: this too may show only what is durable (F8). */
  async #status(host: SimHost, request: Request, instance: InstanceId): Promise<void> {
    await host.process.point("status");
    const status = await host.invocations.statusOfInstance(instance, TENANT).catch((error: unknown) => {
      if (!(error instanceof NeapError)) {
        throw error;
      }
      return null;
    });
    if (status?.kind === "completed" && host.process.alive) {
      this.#tell(request, instance, status.result, this.#cluster.history.durable);
    }
  }

  /** Whatever leaves a host counts, also when nobody hears it. */
  #note(request: Request, answer: CallAnswer, durable: number): void {
    if (answer.kind === "completed") {
      this.#tell(request, answer.instance, answer.result, durable);
    } else if (answer.kind === "failed" && answer.code !== "RESULT_EXPIRED") {
      request.denied.push(answer.instance);
    } else if (answer.kind === "accepted") {
      request.accepted = true;
    }
  }

  #tell(
    request: Request,
    instance: InstanceId,
    result: { readonly returnValue: number; readonly output: CallBytes; readonly trap?: string },
    durable: number,
  ): void {
    const { returnValue, output, trap = "" } = result;
    request.told.push({ instance, returnValue, output: textOf(output), trap, durable });
  }

  #pause(durationMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.#cluster.scheduler.at(this.#process, durationMs, "client", resolve);
    });
  }
}
