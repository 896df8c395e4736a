import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import { type AddressInfo, createServer as createTcpServer, type Socket, type Server as TcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, it, test } from "vitest";
import { allowEntry } from "../../../../host/egress/allow-list.ts";
import { Broker, type EgressOptions, type EgressRequest, type Network } from "../../../../host/egress/index.ts";
import type { LogBookId } from "../../../../state/ids.ts";
import { systemTimers } from "../../../support/system-timers.ts";

const TENANT = "acme" as LogBookId;
const FOREVER = new AbortController().signal;
const OPTIONS: EgressOptions = { allowPrivate: true, timeoutMs: 20_000, answerMaxBytes: 1_000_000, tenantMax: 4 };
/** Long enough for nothing to be in the way, short enough to wait for. */
const SHORT_MS = 60;

const closing: (() => void)[] = [];

afterEach(() => {
  for (const close of closing.splice(0)) {
    close();
  }
});

async function listening<S extends Server | TcpServer>(server: S): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closing.push(() => {
    server.close();
    if ("closeAllConnections" in server) {
      server.closeAllConnections();
    }
  });
  return (server.address() as AddressInfo).port;
}

const serve = (answer: (request: IncomingMessage, response: ServerResponse) => void) => listening(createServer(answer));

/** A server that says what it likes. */
async function talk(say: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>();
  closing.push(() => {
    for (const socket of sockets) {
      socket.destroy();
    }
  });
  return listening(
    createTcpServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => {});
      socket.once("data", () => say(socket));
    }),
  );
}

const everywhere: Network = { resolve: async () => ["127.0.0.1"], ownAddresses: () => [] };

function brokerOf(
  ports: readonly number[],
  options: Partial<EgressOptions> = {},
  network: Network = everywhere,
  own: number[] = [],
  authorities?: readonly string[],
) {
  const allow = ports.flatMap((port) => allowEntry(`*:${port}`) ?? []);
  const parts = { allow: () => allow, network, timers: systemTimers, ownPorts: () => own, ...(authorities && { authorities }) };
  return new Broker({ ...OPTIONS, ...options }, parts);
}

function requestOf(url: string, more: Partial<EgressRequest> = {}): EgressRequest {
  return { tenant: TENANT, method: "GET", url, headers: [], body: new Uint8Array(0), idempotencyKey: "key", ...more };
}

/** Status and body, or the code of what was thrown. */
async function told(broker: Broker, request: EgressRequest, atMostMs = 20_000, signal = FOREVER): Promise<string> {
  try {
    return await broker.exchange(request, atMostMs, signal, async ({ status, body }) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) {
        chunks.push(chunk);
      }
      return `${status} ${Buffer.concat(chunks)}`;
    });
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error);
  }
}

const echo = (request: IncomingMessage, response: ServerResponse): void => {
  const chunks: Uint8Array[] = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const { method, url, headers } = request;
    response.end(JSON.stringify({ method, url, headers, body: Buffer.concat(chunks).toString() }));
  });
};

describe("a request by TLS", () => {
  /** A certificate that vouches for itself, for one name. */
  function certificateOf(name: string): { key: string; cert: string } {
    const folder = mkdtempSync(join(tmpdir(), "neap-tls-"));
    try {
      const [keyFile, certFile] = [join(folder, "key"), join(folder, "cert")];
      const kind = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
      const what = ["-subj", `/CN=${name}`, "-addext", `subjectAltName=DNS:${name}`, "-keyout", keyFile, "-out", certFile];
      execFileSync("openssl", [...kind, ...what], { stdio: "ignore" });
      return { key: readFileSync(keyFile, "utf8"), cert: readFileSync(certFile, "utf8") };
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  it("asks for the name it was sent to, at the address that was checked, and takes a certificate of that name only", async () => {
    const { key, cert } = certificateOf("a.example");
    const asked: string[] = [];
    const server = createTlsServer({ key, cert }, (request, response) => {
      const { servername } = request.socket as TLSSocket;
      response.end(`${servername} ${request.headers.host}`);
    });
    server.on("connection", () => asked.push("connection"));
    const port = await listening(server);
    const broker = brokerOf([port], {}, everywhere, [], [cert]);
    expect(await told(broker, requestOf(`https://a.example:${port}/`))).toBe(`200 a.example a.example:${port}`);
    expect(await told(broker, requestOf(`https://b.example:${port}/`))).toBe("EGRESS_FAILED");
    expect(await told(brokerOf([port]), requestOf(`https://a.example:${port}/`))).toBe("EGRESS_FAILED");
    expect(asked.length).toBe(3);
  });
});

describe("a request", () => {
  it("arrives with what the guest gave, the key, and the name it was sent to", async () => {
    const port = await serve(echo);
    const request = requestOf(`http://a.example:${port}/p?q=1#f`, {
      method: "PUT",
      headers: [["X-A", "b"]],
      body: Buffer.from("text"),
    });
    const answer = await told(brokerOf([port]), request);
    expect(JSON.parse(answer.slice(4))).toEqual({
      method: "PUT",
      url: "/p?q=1",
      headers: expect.objectContaining({
        host: `a.example:${port}`,
        "x-a": "b",
        "idempotency-key": "key",
        "content-length": "4",
        "accept-encoding": "identity",
      }),
      body: "text",
    });
  });

  it("keeps a key of the guest's own, and a compressed body stays as it is", async () => {
    const port = await serve((request, response) => {
      response.setHeader("Content-Encoding", "gzip");
      response.setHeader("X-Key", request.headers["idempotency-key"] ?? "");
      response.end(gzipSync("0".repeat(10_000_000)));
    });
    const request = requestOf(`http://a.example:${port}/`, { headers: [["idempotency-key", "own"]] });
    await brokerOf([port]).exchange(request, 20_000, FOREVER, async ({ headers, body }) => {
      expect(headers).toContainEqual(["X-Key", "own"]);
      let sizeBytes = 0;
      for await (const chunk of body) {
        sizeBytes += chunk.byteLength;
      }
      expect(sizeBytes).toBeLessThan(20_000);
    });
  });

  it("goes to the address that was checked, though the name has another one a moment later", async () => {
    const port = await serve((_, response) => response.end("checked"));
    const answers = [["127.0.0.1"], ["127.0.0.2"]];
    const network = { ...everywhere, resolve: async () => answers.shift() ?? [] };
    expect(await told(brokerOf([port], {}, network), requestOf(`http://a.example:${port}/`))).toBe("200 checked");
    expect(answers).toHaveLength(1);
  });

  it("is given up when the caller gives up, with the caller's reason, whatever it waits for", async () => {
    const silent = await talk(() => {});
    const stuck: Network = { ...everywhere, resolve: () => new Promise(() => {}) };
    for (const broker of [brokerOf([silent]), brokerOf([silent], {}, stuck)]) {
      const controller = new AbortController();
      const asked = told(broker, requestOf(`http://a.example:${silent}/`), 20_000, controller.signal);
      setImmediate(() => controller.abort(new Error("given up")));
      expect(await asked).toBe("Error: given up");
    }
    const controller = new AbortController();
    controller.abort(new Error("before"));
    expect(await told(brokerOf([silent]), requestOf(`http://a.example:${silent}/`), 20_000, controller.signal)).toBe(
      "Error: before",
    );
  });

  it("passes on what its user throws, and leaves no connection open", async () => {
    const server = createServer((_, response) => void response.write("begun"));
    const port = await listening(server);
    const asked = brokerOf([port]).exchange(requestOf(`http://a.example:${port}/`), 20_000, FOREVER, async () => {
      throw new Error("the user's");
    });
    await expect(asked).rejects.toThrow("the user's");
    await expect.poll(() => new Promise((resolve) => server.getConnections((_, count) => resolve(count)))).toBe(0);
  });
});

describe("a redirect", () => {
  /** Sends on from /<status> to what the query says. */
  const sendOn = (request: IncomingMessage, response: ServerResponse): void => {
    const { pathname, searchParams } = new URL(request.url ?? "", "http://x");
    const status = Number(pathname.slice(1));
    if (status >= 300) {
      request.resume();
      response.writeHead(status, { Location: searchParams.get("to") ?? "" }).end();
    } else {
      echo(request, response);
    }
  };

  test.each([
    [301, "POST", "GET"],
    [302, "POST", "GET"],
    [303, "PUT", "GET"],
    [303, "HEAD", "HEAD"],
    [301, "PUT", "PUT"],
    [307, "POST", "POST"],
    [308, "DELETE", "DELETE"],
  ])("%i of a %s is followed by a %s", async (status, method, then) => {
    const seen: string[] = [];
    const port = await serve((request, response) => {
      seen.push(`${request.method} ${request.headers["content-type"] ?? ""}`);
      sendOn(request, response);
    });
    const body = method === "HEAD" ? new Uint8Array(0) : Buffer.from("text");
    const request = requestOf(`http://a.example:${port}/${status}?to=/200`, { method, body, headers: [["Content-Type", "x"]] });
    expect((await told(brokerOf([port]), request)).startsWith("200")).toBe(true);
    expect(seen).toEqual([`${method} x`, then === "GET" ? "GET " : `${then} x`]);
  });

  it("is checked like a first request: its host, address, port and scheme", async () => {
    const port = await serve(sendOn);
    const other = await serve(echo);
    const network = {
      ...everywhere,
      resolve: async (name: string) => (name === "meta.example" ? ["169.254.169.254"] : ["127.0.0.1"]),
    };
    const broker = brokerOf([port], {}, network, [other]);
    for (const to of [
      `http://b.example:${other}/`,
      `http://169.254.169.254:${port}/`,
      `http://meta.example:${port}/`,
      "file:///etc/passwd",
      "ftp://a/",
    ]) {
      const url = `http://a.example:${port}/302?to=${encodeURIComponent(to)}`;
      expect([to, await told(broker, requestOf(url))]).toEqual([to, "EGRESS_DENIED"]);
    }
    const own = brokerOf([port, other], {}, network, [other]);
    expect(await told(own, requestOf(`http://a.example:${port}/302?to=http://127.0.0.1:${other}/`))).toBe("EGRESS_DENIED");
  });

  it("takes nothing secret to another host, and user names nowhere", async () => {
    const port = await serve(sendOn);
    const headers = [
      ["Authorization", "secret"],
      ["Cookie", "secret"],
      ["X-A", "b"],
    ] as const;
    const to = encodeURIComponent(`http://u:p@b.example:${port}/200`);
    const elsewhere = await told(brokerOf([port]), requestOf(`http://a.example:${port}/302?to=${to}`, { headers }));
    expect(elsewhere).not.toContain("secret");
    expect(elsewhere).toContain('"x-a":"b"');
    expect(elsewhere).not.toContain("authorization");
    expect(await told(brokerOf([port]), requestOf(`http://a.example:${port}/302?to=/200`, { headers }))).toContain("secret");
  });

  it("in a circle ends; one without a place is an answer; one to no URL is a failure", async () => {
    let asked = 0;
    const port = await serve((request, response) => {
      asked += 1;
      const location = { "/circle": "/circle", "/bad": "http://" }[request.url ?? ""];
      response.writeHead(302, location === undefined ? {} : { Location: location }).end("here");
    });
    const broker = brokerOf([port]);
    expect(await told(broker, requestOf(`http://a.example:${port}/circle`))).toBe("EGRESS_FAILED");
    expect(asked).toBe(6);
    expect(await told(broker, requestOf(`http://a.example:${port}/none`))).toBe("302 here");
    expect(await told(broker, requestOf(`http://a.example:${port}/bad`))).toBe("EGRESS_FAILED");
  });
});

describe("a hostile server", () => {
  const HEAD = "HTTP/1.1 200 OK\r\n";

  test.each<[string, (socket: Socket) => void, string]>([
    ["a body without an end", (socket) => void endless(socket, `${HEAD}\r\n`, Buffer.alloc(65_536)), "EGRESS_TOO_LARGE"],
    [
      "a length that is too large",
      (socket) => void socket.write(`${HEAD}Content-Length: 99999999999\r\n\r\n${"x".repeat(2_000_000)}`),
      "EGRESS_TOO_LARGE",
    ],
    [
      "headers without an end",
      (socket) => void endless(socket, HEAD, Buffer.from(`A: ${"x".repeat(1000)}\r\n`)),
      "EGRESS_TOO_LARGE",
    ],
    ["a header of 100 MB", (socket) => void endless(socket, `${HEAD}A: `, Buffer.alloc(65_536, "x")), "EGRESS_TOO_LARGE"],
    [
      "interim answers without an end",
      (socket) => void endless(socket, "", Buffer.from("HTTP/1.1 102 Processing\r\n\r\n")),
      "EGRESS_FAILED",
    ],
    ["what is no answer", (socket) => void socket.end("SSH-2.0-x\r\n\r\n"), "EGRESS_FAILED"],
    ["a closed connection", (socket) => void socket.destroy(), "EGRESS_FAILED"],
    ["half an answer", (socket) => void socket.end(`${HEAD}Content-Length: 10\r\n\r\nhalf`), "EGRESS_FAILED"],
    [
      "both lengths",
      (socket) => void socket.end(`${HEAD}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`),
      "EGRESS_FAILED",
    ],
  ])("%s ends the request", async (_, say, code) => {
    const port = await talk(say);
    expect(await told(brokerOf([port]), requestOf(`http://a.example:${port}/`))).toBe(code);
  });

  test.each<[string, (socket: Socket) => void]>([
    ["says nothing", () => {}],
    ["sends its headers one letter at a time", (socket) => dripping(socket, HEAD, "A")],
    ["sends its body one letter at a time", (socket) => dripping(socket, `${HEAD}\r\n`, "b")],
    ["stops in the middle", (socket) => void socket.write(`${HEAD}Content-Length: 10\r\n\r\nhalf`)],
  ])("that %s is given its time and no more", async (_, say) => {
    const port = await talk(say);
    expect(await told(brokerOf([port]), requestOf(`http://a.example:${port}/`), SHORT_MS)).toBe("EGRESS_TIMEOUT");
    expect(await told(brokerOf([port], { timeoutMs: SHORT_MS }), requestOf(`http://a.example:${port}/`))).toBe("EGRESS_TIMEOUT");
  });

  it("a port where nobody listens, and a name that nobody knows, fail", async () => {
    const server = createTcpServer();
    const port = await listening(server);
    server.close();
    expect(await told(brokerOf([port]), requestOf(`http://a.example:${port}/`))).toBe("EGRESS_FAILED");
    const nobody = { ...everywhere, resolve: async () => [] };
    expect(await told(brokerOf([port], {}, nobody), requestOf(`http://a.example:${port}/`))).toBe("EGRESS_UNRESOLVED");
  });
});

describe("a flood of requests", () => {
  it("a tenant has so many under way; others go on beside it, and what waits goes on in its turn", async () => {
    const held: ServerResponse[] = [];
    const port = await serve((request, response) => {
      if (request.url === "/held") {
        held.push(response);
      } else {
        response.end("now");
      }
    });
    const broker = brokerOf([port], { tenantMax: 3 });
    const flood = Array.from({ length: 10 }, () => told(broker, requestOf(`http://a.example:${port}/held`)));
    await expect.poll(() => held.length).toBe(3);
    expect(await told(broker, requestOf(`http://a.example:${port}/`, { tenant: "other" as LogBookId }))).toBe("200 now");
    expect(held).toHaveLength(3);
    for (let answered = 0; answered < 10; answered += 1) {
      await expect.poll(() => held.length).toBeGreaterThan(answered);
      expect(held.length - answered).toBeLessThanOrEqual(3);
      held[answered]?.end("then");
    }
    expect(new Set(await Promise.all(flood))).toEqual(new Set(["200 then"]));
  });

  it("one that never gets its turn says so, and was not sent", async () => {
    let asked = 0;
    const port = await talk(() => {
      asked += 1;
    });
    const broker = brokerOf([port], { tenantMax: 1 });
    const controller = new AbortController();
    const first = told(broker, requestOf(`http://a.example:${port}/`), 20_000, controller.signal);
    await expect.poll(() => asked).toBe(1);
    expect(await told(broker, requestOf(`http://a.example:${port}/`), SHORT_MS)).toBe("EGRESS_OVERLOADED");
    expect(asked).toBe(1);
    controller.abort(new Error("over"));
    await first;
    expect(await told(broker, requestOf(`http://a.example:${port}/`), SHORT_MS)).toBe("EGRESS_TIMEOUT");
    expect(asked).toBe(2);
  });
});

/** Writes until the other side has had enough. */
function endless(socket: Socket, head: string, piece: Buffer): void {
  socket.write(head);
  const more = () => {
    while (!socket.destroyed && socket.write(piece)) {}
  };
  socket.on("drain", more);
  more();
}

function dripping(socket: Socket, head: string, letter: string): void {
  socket.write(head);
  const drip = setInterval(() => socket.write(letter), 5);
  socket.on("close", () => clearInterval(drip));
}
