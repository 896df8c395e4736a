/** Tells what the log holds of calls that do not end. */

const SHOWN_MAX = 10;

interface Unfinished {
  readonly instance: string;
  readonly attempts: number;
  readonly parked: boolean;
}

interface Step {
  readonly position: number | null;
  readonly kind: string;
  readonly seqnum: number;
  readonly timeMs: number;
  readonly tags: readonly string[];
}

/** The calls of a tenant that are logged and not finished. */
export async function unfinishedCalls(url: string, tenant: string): Promise<readonly Unfinished[]> {
  const { instances } = (await getJson(`${url}/v1/tenants/${tenant}/instances?state=unfinished`)) as { instances: Unfinished[] };
  return instances;
}

/** The steps of the unfinished calls, the oldest first, as text. */
export async function describeStuckCalls(url: string, tenant: string): Promise<string> {
  const stuck = await unfinishedCalls(url, tenant);
  const shown = await Promise.all(
    stuck.slice(0, SHOWN_MAX).map(async ({ instance, attempts, parked }) => {
      const path = `${url}/v1/tenants/${tenant}/calls/${instance}/steps`;
      const { steps = [] } = (await getJson(path)) as { steps?: Step[] };
      return `${instance}, ${attempts} attempts${parked ? ", parked" : ""}\n${steps.map(describeStep).join("")}`;
    }),
  );
  return `${stuck.length} unfinished calls\n${shown.join("\n")}`;
}

function describeStep({ position, kind, seqnum, timeMs, tags }: Step): string {
  const time = new Date(timeMs).toISOString().slice(11, 23);
  return `  ${time}  ${String(seqnum).padStart(9)}  ${String(position ?? "-").padStart(4)}  ${kind.padEnd(9)} ${tags.join(" ")}\n`;
}

async function getJson(url: string): Promise<unknown> {
  const response = await fetch(url);
  return response.json();
}
