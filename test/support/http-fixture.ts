/** A real HTTP server over the fakes, and clients that can say what browsers and libraries would not let them. */
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect, type Socket } from "node:net";
import {
  createHttpServer,
  DEFAULT_TIMEOUTS,
  type HttpConfig,
  type HttpServer,
  type HttpTimeouts,
} from "../../host/http/index.ts";
import type { Invocations } from "../../host/invocation/invocation.ts";
import { type Log, Metrics, silentLog } from "../../host/telemetry/index.ts";
import type { Limits } from "../../host/tenancy/index.ts";
import type { Faults } from "../../state/ports.ts";
import { noFaults } from "../../state/ports.ts";
import { FakeFunctions, FakeInvocations, FakeObjects, FakeProtocols } from "./fake-invocations.ts";
import { testTenancy } from "./test-tenancy.ts";

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
  readonly text: string;
}

export interface SendOptions {
  readonly headers?: Record<string, string>;
  readonly body?: string | Uint8Array;
  /** Sends the body without a Content-Length. */
  readonly chunked?: boolean;
}

export interface FixtureOptions {
  readonly config?: Partial<HttpConfig>;
  readonly access?: Partial<HttpConfig["access"]>;
  readonly limits?: Partial<HttpConfig["limits"]>;
  readonly tenancy?: Partial<Limits>;
  readonly timeouts?: Partial<HttpTimeouts>;
  readonly connectionsMax?: number;
  readonly bodiesMaxBytes?: number;
  readonly faults?: Faults;
  readonly log?: Log;
  /** Instead of the fake ones. */
  readonly invocations?: Invocations;
}

export class HttpFixture {
  readonly invocations = new FakeInvocations();
  readonly functions = new FakeFunctions();
  readonly objects = new FakeObjects();
  readonly protocols = new FakeProtocols();
  readonly metrics = new Metrics();
  readonly server: HttpServer;
  url = "";
  aliasUrl: string | null = null;

  constructor(options: FixtureOptions = {}) {
    this.server = createHttpServer({
      config: {
        host: "127.0.0.1",
        port: 0,
        aliasPort: 0,
        access: { tokens: null, insecureOpen: false, corsOrigins: [], allowedHosts: [], ...options.access },
        limits: { inputMaxBytes: 1024 * 1024, objectMaxBytes: 1024 ** 3, ...options.limits },
        ...options.config,
      },
      timeouts: { ...DEFAULT_TIMEOUTS, ...options.timeouts },
      ...(options.bodiesMaxBytes !== undefined && { bodiesMaxBytes: options.bodiesMaxBytes }),
      ...(options.connectionsMax !== undefined && { connectionsMax: options.connectionsMax }),
      invocations: options.invocations ?? this.invocations,
      functions: this.functions,
      tenancy: testTenancy({ moduleMaxBytes: 1024 * 1024, ...options.tenancy }),
      objects: this.objects,
      protocols: this.protocols,
      status: () => ({
        role: "all",
        nodeName: "node-1",
        epoch: 7,
        load: { workers: 1, active: 2, computing: 1, queued: 3, idle: 4 },
      }),
      security: () => ({
        isolation: "auto",
        tenants: 3,
        processes: 2,
        processRssBytes: 1024,
        processesWithThreads: 1,
        processDefences: null,
        isIsolated: (tenant) => tenant === "acme",
        mayStartThreads: (tenant) => tenant === "acme",
      }),
      metrics: this.metrics,
      log: options.log ?? silentLog,
      clock: { now: () => Date.now(), monotonic: () => performance.now() },
      faults: options.faults ?? noFaults,
    });
  }

  static async start(options: FixtureOptions = {}): Promise<HttpFixture> {
    const fixture = new HttpFixture(options);
    ({ url: fixture.url, aliasUrl: fixture.aliasUrl } = await fixture.server.listen());
    return fixture;
  }

  get port(): number {
    return Number(new URL(this.url).port);
  }

  close(): Promise<void> {
    return this.server.close(0);
  }

  /** One request on a connection of its own; the path is sent as it is. */
  send(method: string, path: string, options: SendOptions = {}): Promise<Answer> {
    return send(this.port, method, path, options);
  }

  /** `POST /f/` with a JSON body. */
  call(message: unknown, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send("POST", "/f/", { body: typeof message === "string" ? message : JSON.stringify(message), headers });
  }

  raw(): RawClient {
    return new RawClient(this.port);
  }
}

export function send(port: number, method: string, path: string, options: SendOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { body, chunked = false, headers = {} } = options;
    const length = body === undefined || chunked ? {} : { "Content-Length": `${Buffer.byteLength(body)}` };
    const request = httpRequest({ port, host: "127.0.0.1", method, path, agent: false, headers: { ...length, ...headers } });
    let answered = false;
    request.on("response", (response) => {
      answered = true;
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const bytes = Buffer.concat(chunks);
        resolve({ status: response.statusCode ?? 0, headers: response.headers, bytes, text: bytes.toString() });
      });
    });
    request.on("error", (error) => {
      if (!answered) {
        reject(error);
      }
    });
    if (chunked && body !== undefined) {
      request.write(body);
      request.end();
    } else {
      request.end(body);
    }
  });
}

/** A socket to write to byte by byte. */
export class RawClient {
  readonly socket: Socket;
  readonly closed: Promise<void>;
  received = "";

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    this.socket.setEncoding("latin1");
    this.socket.on("data", (text) => {
      this.received += text;
    });
    this.socket.on("error", () => {});
    this.closed = new Promise((resolve) => this.socket.on("close", () => resolve()));
  }

  write(text: string): void {
    this.socket.write(text, "latin1");
  }

  /** Resolves when what was received holds `text`; rejects when the connection ends before. */
  async until(text: string): Promise<void> {
    while (!this.received.includes(text)) {
      await new Promise<void>((resolve, reject) => {
        const onData = () => {
          this.socket.off("close", onClose);
          resolve();
        };
        const onClose = () => reject(new Error(`the connection ended after ${JSON.stringify(this.received)}`));
        this.socket.once("data", onData);
        this.socket.once("close", onClose);
      });
    }
  }
}
