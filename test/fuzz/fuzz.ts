/**
 * Uploads random modules to a started host and calls them, while another tenant calls its functions.
 *
 * What must hold: the host lives, every answer is one of a documented code, and the other tenant is answered rightly, with what is
 * only its own: so nothing of its memory was changed, and nothing of it is shown.
 */
import fc from "fast-check";
import { ERRORS } from "../../host/errors.ts";
import { Bystander, SECRET } from "../support/bystander.ts";
import { call, type RunningHost, removeFolder, startHost, temporaryFolder } from "../support/host-process.ts";
import { anyHostCalls } from "./host-calls.ts";
import { anyModule } from "./modules.ts";

export interface FuzzOptions {
  readonly runs: number;
  readonly seed: number;
  /** Told after each run. */
  readonly onRun?: (runs: number) => void;
}

export interface FuzzReport {
  /** How often uploads and calls were answered with each code; "ok" for none. */
  readonly answers: ReadonlyMap<string, number>;
}

const FLAGS = [
  ...["--log-level", "error", "--upload-timeout-ms", "60000", "--wall-time-ms", "60000", "--cpu-time-ms", "20"],
  ...["--suspend-after-ms", "60000", "--retry-backoff-ms", "1", "--recovery-attempts-max", "1", "--log-max-bytes", "1000"],
];

/** @throws with the seed and the smallest module found, when something does not hold */
export async function fuzz({ runs, seed, onRun }: FuzzOptions): Promise<FuzzReport> {
  const folder = temporaryFolder("fuzz");
  const host = await startHost({ dataDirectory: folder, flags: FLAGS });
  const answers = new Map<string, number>();
  try {
    const bystander = await Bystander.begin(host);
    let done = 0;
    const property = fc.asyncProperty(fc.oneof(anyModule, anyHostCalls), async (module) => {
      const { result } = await bystander.during(() => uploadAndCall(host, module));
      for (const code of result) {
        answers.set(code, (answers.get(code) ?? 0) + 1);
      }
      done += 1;
      onRun?.(done);
    });
    await fc.assert(property, { numRuns: runs, seed, interruptAfterTimeLimit: 2 ** 31 - 1 });
    await bystander.end();
  } finally {
    await host.kill();
    removeFolder(folder);
  }
  return { answers };
}

/** The codes of the answers. */
async function uploadAndCall(host: RunningHost, module: Uint8Array<ArrayBuffer>): Promise<string[]> {
  const upload = await fetch(`${host.url}/f/fuzzer/fuzzed`, { method: "PUT", body: module });
  const uploaded = codeOf(upload.status, upload.headers.get("neap-error"), await upload.text());
  if (uploaded !== "ok") {
    return [uploaded];
  }
  const answer = await call(host.url, { user: "fuzzer", function: "fuzzed", input_data: "input" });
  return [uploaded, codeOf(answer.status, answer.headers.get("neap-error"), answer.body)];
}

function codeOf(status: number, code: string | null, body: string): string {
  if (body.includes(SECRET)) {
    throw new Error(`an answer shows what belongs to another tenant: ${body}`);
  }
  if (status === 200 && code === null) {
    return "ok";
  }
  if (code === null || !Object.hasOwn(ERRORS, code) || code === "INTERNAL") {
    throw new Error(`an answer with status ${status} has the code ${code}: ${body}`);
  }
  return code;
}
