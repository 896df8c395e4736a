import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { buildFunctions } from "../../functions/build.ts";
import { eventually } from "../support/eventually.ts";
import { HostHome } from "../support/host-home.ts";
import { sampleModule, upload } from "../support/host-process.ts";

const T = "demo";

let home: HostHome;

beforeAll(() => buildFunctions({ force: false }));

beforeEach(() => {
  home = new HostHome();
});

afterEach(() => home.close());

/** Calls `fetch` under a key: what it returned and told. */
async function told(url: string, input: string, key: string): Promise<string> {
  const answer = await fetch(`${url}/v1/tenants/${T}/functions/fetch/calls`, {
    method: "POST",
    body: input,
    headers: { "Idempotency-Key": key },
  });
  if (answer.ok) {
    return `${answer.status} ${await answer.text()}`;
  }
  const { outputBase64 } = (await answer.json()) as { outputBase64: string };
  return `${answer.status} ${Buffer.from(outputBase64, "base64")}`;
}

it("F15: a function reaches what is allowed and nothing else; killed while it waits, its request is sent again with the same key", {
  timeout: 180_000,
}, async () => {
  const keys: string[] = [];
  const held: ServerResponse[] = [];
  const server = createServer((request, response) => {
    keys.push(String(request.headers["idempotency-key"]));
    if (request.url === "/held") {
      held.push(response);
    } else {
      response.end("hello");
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const place = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const flags = ["--egress-allow", `${place},*.example`, "--egress-allow-private"];

  let running = await home.start({ flags });
  await upload(running.url, T, "fetch", sampleModule("fetch"));
  expect(await told(running.url, `http://${place}/`, "a")).toBe("200 200 hello");
  expect(await told(running.url, `http://${place}/`, "a")).toBe("200 200 hello");
  expect(keys).toHaveLength(1);
  expect(await told(running.url, "http://127.0.0.2:81/", "b")).toContain("500 EGRESS_DENIED: 127.0.0.2, port 81");
  expect(await told(running.url, "http://169.254.169.254/", "c")).toContain("500 EGRESS_DENIED");

  const cutOff = told(running.url, `http://${place}/held`, "d").catch(() => "cut off");
  await eventually("the request is there", async () => held.length === 1);
  await running.kill();
  expect(await cutOff).toBe("cut off");

  running = await home.start({ flags });
  await eventually("the request is there again", async () => held.length === 2);
  expect(keys[2]).toBe(keys[1]);
  held[1]?.end("again");
  expect(await told(running.url, `http://${place}/held`, "d")).toBe("200 200 again");
  expect(keys).toHaveLength(3);
  server.close();
  server.closeAllConnections();
});
