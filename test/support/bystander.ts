/** Another tenant of a host under attack: it calls without pause, and each answer must be right. */
import { setTimeout as pause } from "node:timers/promises";
import { call, type RunningHost, sampleModule, upload } from "./host-process.ts";

export const BYSTANDER = "bystander";
/** What is only ever in inputs and objects of the bystander. */
export const SECRET = "s3cret-of-the-bystander";

export class Bystander {
  readonly #host: RunningHost;
  #isWatching = true;
  readonly #done: Promise<void>;
  #answers = 0;

  private constructor(host: RunningHost) {
    this.#host = host;
    this.#done = this.#run();
    this.#done.catch(() => {});
  }

  /** Has its functions, and is calling them when this resolves. */
  static async begin(host: RunningHost): Promise<Bystander> {
    await upload(host.url, BYSTANDER, "hello", sampleModule("hello"));
    await upload(host.url, BYSTANDER, "counter", sampleModule("counter"));
    await fetch(`${host.url}/v1/tenants/${BYSTANDER}/objects/secret`, { method: "PUT", body: SECRET });
    const bystander = new Bystander(host);
    await bystander.during(async () => {});
    return bystander;
  }

  /** Runs `attack` and tells how many right answers came meanwhile; the bystander is served after it too when this resolves. */
  async during<T>(attack: () => Promise<T>): Promise<{ result: T; answers: number }> {
    const before = this.#answers;
    const result = await attack();
    const answers = this.#answers - before;
    // One may be to calls from before the end of the attack.
    await this.#more(2);
    return { result, answers };
  }

  /** Stops calling. @throws what was wrong with an answer */
  async end(): Promise<void> {
    this.#isWatching = false;
    await this.#done;
  }

  async #more(count: number): Promise<void> {
    const until = this.#answers + count;
    while (this.#answers < until) {
      await Promise.race([this.#done, pause(2)]);
      if (!this.#isWatching) {
        throw new Error("the bystander calls no more");
      }
    }
  }

  async #run(): Promise<void> {
    for (let calls = 1; this.#isWatching; calls++) {
      await this.#expect("hello", `${SECRET} ${calls}`, `Hello, ${SECRET} ${calls}!`);
      await this.#expect("counter", "calls", `${calls}`);
      this.#answers += 1;
    }
  }

  async #expect(functionName: string, input: string, output: string): Promise<void> {
    const { status, body } = await call(this.#host.url, { user: BYSTANDER, function: functionName, input_data: input });
    if (status !== 200 || body !== output) {
      this.#isWatching = false;
      throw new Error(`${functionName} of the bystander was answered ${status} ${body}, must be 200 ${output}`);
    }
  }
}
