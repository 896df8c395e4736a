/**
 * The host's HTTP server.
 *
 * Owns: sockets, their timeouts, what is in flight, the way to the routes. Does not own: what a request means.
 *
 * S1. Every request passes the guard first (H25), whatever its route.
 * S2. `POST /f` and `POST /f/` do not pass Fastify (H27); everything else does.
 * S3. A socket without a byte for `idleMs` is ended while the client owes something, and left alone while the host does.
 * S4. Connections are bounded: without a file left to open the journal would stop the host.
 * S5. So is what bodies of requests and answers have of the memory, and no tenant has all of it.
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { hasCode } from "../../state/errors.ts";
import { Access } from "./access.ts";
import { bind } from "./bind.ts";
import { discardRest, dropSlowClient, expectsContinue } from "./body.ts";
import { BodyRoom } from "./body-room.ts";
import { CallMeter } from "./call-meter.ts";
import { DEFAULT_TIMEOUTS, type HttpConfig, type HttpContext, type HttpOptions, type HttpTimeouts } from "./context.ts";
import { FaasmCall, messageMaxBytes } from "./faasm-call.ts";
import { type Failure, failureOf, sendFailure } from "./failure.ts";
import { Guard } from "./guard.ts";
import { MessageThread } from "./message-thread.ts";
import { createRoutes } from "./routes.ts";
import { answerUnreadable } from "./unreadable.ts";

export interface HttpServer {
  /** "GET /ping" … every route there is. */
  readonly routes: readonly string[];
  /**
   * Accepts connections when this resolves. `aliasUrl` is null when there is no alias port, or it is taken, which is only a warning.
   * @throws PORT_IN_USE naming the port
   */
  listen(): Promise<{ url: string; aliasUrl: string | null }>;
  /**
   * No new connections; requests on old ones are answered SHUTTING_DOWN; those in flight may finish for `graceMs`, then every
   * connection is ended.
   */
  close(graceMs: number): Promise<void>;
}

export function createHttpServer(options: HttpOptions): HttpServer {
  return new NodeHttpServer(options);
}

class NodeHttpServer implements HttpServer {
  readonly routes: readonly string[];
  readonly #context: HttpContext;
  readonly #config: HttpConfig;
  readonly #timeouts: HttpTimeouts;
  readonly #guard: Guard;
  readonly #call: FaasmCall;
  readonly #ready: () => Promise<unknown>;
  readonly #closeRoutes: () => Promise<unknown>;
  readonly #server: Server;
  readonly #alias: Server;
  /** Last request of each socket, for S3. */
  readonly #exchanges = new WeakMap<Socket, ServerResponse>();
  #route: RequestListener = () => {};
  #inFlight = 0;
  #closing = false;
  #whenIdle: () => void = () => {};

  constructor(options: HttpOptions) {
    const { config, timeouts = DEFAULT_TIMEOUTS, metrics, clock, faults } = options;
    const { connectionsMax = Number.POSITIVE_INFINITY, bodiesMaxBytes = Number.POSITIVE_INFINITY } = options;
    const bodies = new BodyRoom(bodiesMaxBytes);
    this.#config = config;
    this.#timeouts = timeouts;
    this.#context = {
      ...options,
      limits: config.limits,
      access: new Access(config.access.tokens),
      meter: new CallMeter(metrics, clock, faults),
      thread: new MessageThread(messageMaxBytes(config.limits.inputMaxBytes)),
      bodies,
      idleMs: timeouts.idleMs,
    };
    this.#guard = new Guard(config.access, config.host);
    this.#call = new FaasmCall(this.#context);
    const onClientError = (error: Error, socket: Socket) => answerUnreadable(error, socket, this.#exchanges.get(socket));
    this.#alias = this.#createServer().on("clientError", onClientError);
    const createServer = (listener: RequestListener) => {
      this.#route = listener;
      return this.#createServer();
    };
    const { app, list } = createRoutes(this.#context, this.#call, createServer, onClientError);
    this.#server = app.server;
    this.#server.maxConnections = connectionsMax;
    this.#alias.maxConnections = Math.ceil(connectionsMax / 2);
    const dropped = metrics.counter("neap_http_dropped_connections_total", "Connections above the limit, which were ended.");
    for (const server of [this.#server, this.#alias]) {
      server.on("drop", () => dropped.add());
    }
    this.#ready = async () => app.ready();
    this.#closeRoutes = async () => app.close();
    this.routes = list;
    metrics.gauge(
      "neap_http_body_bytes",
      "Bodies of requests that have no answer yet, and of answers that are not sent.",
      () => bodies.usedBytes,
    );
    metrics.gauge("neap_http_in_flight", "Requests that have no answer yet.", () => this.#inFlight);
  }

  async listen(): Promise<{ url: string; aliasUrl: string | null }> {
    const { host, port, aliasPort } = this.#config;
    await this.#ready();
    const url = await bindUrl(this.#server, host, port);
    if (aliasPort === 0) {
      return { url, aliasUrl: null };
    }
    try {
      return { url, aliasUrl: await bindUrl(this.#alias, host, aliasPort) };
    } catch (error) {
      if (!hasCode(error, "PORT_IN_USE")) {
        throw error;
      }
      this.#context.log.warn("the alias port is taken; the host goes on without it", { port: aliasPort });
      return { url, aliasUrl: null };
    }
  }

  async close(graceMs: number): Promise<void> {
    this.#closing = true;
    const servers = [this.#server, this.#alias].filter((server) => server.listening);
    const closed = servers.map((server) => new Promise((resolve) => server.close(resolve)));
    if (this.#inFlight > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, graceMs);
        this.#whenIdle = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    for (const server of servers) {
      server.closeAllConnections();
    }
    await Promise.all(closed);
    await this.#closeRoutes();
    await this.#context.thread.close();
  }

  #createServer(): Server {
    const { headersMs, idleMs } = this.#timeouts;
    const server = createServer({
      headersTimeout: headersMs,
      // Large bodies may take long; S3 and the least rate of bodies bound slow ones.
      requestTimeout: 0,
      connectionsCheckingInterval: Math.max(50, Math.floor(headersMs / 5)),
    });
    const listener = (request: IncomingMessage, response: ServerResponse) => this.#accept(request, response);
    server.on("request", listener);
    // The body's reader says 100 Continue once it wants the body.
    server.on("checkContinue", listener);
    server.timeout = idleMs;
    server.on("timeout", (socket) => this.#endIdle(socket));
    return server;
  }

  #accept(request: IncomingMessage, response: ServerResponse): void {
    this.#exchanges.set(request.socket, response);
    this.#inFlight += 1;
    response.once("close", () => this.#leave());
    const refusal = this.#refusal(request, response);
    if (refusal !== undefined) {
      if (expectsContinue(request)) {
        response.shouldKeepAlive = false;
      }
      sendFailure(response, refusal);
      discardRest(request);
    } else if (request.method === "POST" && (request.url === "/f/" || request.url === "/f")) {
      void this.#call.handle(request, response);
    } else if (request.method === "OPTIONS") {
      this.#guard.answerOptions(request, response);
    } else {
      // A route knows what its body is; Fastify would refuse types that it cannot read.
      delete request.headers["content-type"];
      this.#route(request, response);
    }
  }

  #refusal(request: IncomingMessage, response: ServerResponse): Failure | undefined {
    if (this.#closing) {
      response.shouldKeepAlive = false;
      return failureOf("SHUTTING_DOWN", "the host is stopping");
    }
    const reason = this.#guard.refusal(request, response);
    return reason === null ? undefined : failureOf("FOREIGN_ORIGIN", reason);
  }

  #leave(): void {
    this.#inFlight -= 1;
    if (this.#inFlight === 0) {
      this.#whenIdle();
    }
  }

  #endIdle(socket: Socket): void {
    const response = this.#exchanges.get(socket);
    if (response === undefined || response.writableEnded) {
      socket.destroy();
      return;
    }
    const request = response.req;
    const clientOwes = response.headersSent ? response.writableLength > 0 : !request.complete;
    if (clientOwes) {
      dropSlowClient({ request, response });
    }
  }
}

async function bindUrl(server: Server, host: string, port: number): Promise<string> {
  await bind(server, host, port, "--port");
  const address = server.address() as AddressInfo;
  return `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`;
}
