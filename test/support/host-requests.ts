/** Requests that tests make of a host besides calls. */
import { eventually } from "./eventually.ts";
import { type Answer, call } from "./host-process.ts";

const objectUrl = (url: string, tenant: string, key: string) => `${url}/v1/tenants/${tenant}/objects/${key}`;

/** The object's text; undefined when there is none, or no answer now. */
export async function readObject(url: string, tenant: string, key: string): Promise<string | undefined> {
  const response = await fetch(objectUrl(url, tenant, key));
  const text = await response.text();
  return response.ok ? text : undefined;
}

/** @throws unless it is written */
export async function writeObject(url: string, tenant: string, key: string, value: string | Buffer): Promise<void> {
  const response = await fetch(objectUrl(url, tenant, key), { method: "PUT", body: value });
  const answer = await response.text();
  if (!response.ok) {
    throw new Error(`writing ${key} was answered ${response.status}: ${answer}`);
  }
}

/** One look at the state of an asynchronous call. */
export function poll(url: string, tenant: string, id: string | number): Promise<Answer> {
  return call(url, { user: tenant, function: "", id: Number(id), status: true });
}

/** The answer to a poll once the call has ended. */
export function pollUntilDone(url: string, tenant: string, id: string | number): Promise<Answer> {
  return eventually(`call ${id} is done`, async () => {
    const answer = await poll(url, tenant, id);
    return answer.body !== "RUNNING" && answer;
  });
}
