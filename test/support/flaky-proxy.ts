import { type AddressInfo, createServer, type Server, Socket } from "node:net";

/** Which bytes: those of the client on their way to the server, or those of the server. */
export type Direction = "upstream" | "downstream";

interface Link {
  readonly client: Socket;
  readonly server: Socket;
}

/** A TCP proxy on a free port of the loopback address whose connections a test can stall, cut and half-close. */
export class FlakyProxy {
  readonly #server: Server;
  readonly #links = new Set<Link>();
  readonly #stalled = new Set<Direction>();
  #targetPort: number;
  #isRefusing = false;
  #accepted: (() => void)[] = [];

  private constructor(targetPort: number) {
    this.#targetPort = targetPort;
    this.#server = createServer({ allowHalfOpen: true }, (client) => this.#link(client));
  }

  static async start(targetPort: number): Promise<FlakyProxy> {
    const proxy = new FlakyProxy(targetPort);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Connections that are open now. */
  get links(): number {
    return this.#links.size;
  }

  /** Where later connections lead. */
  retarget(port: number): void {
    this.#targetPort = port;
  }

  /** Later connections are closed at once, until `accept`. */
  refuse(): void {
    this.#isRefusing = true;
  }

  accept(): void {
    this.#isRefusing = false;
  }

  /** Resolves at the next connection that comes in. */
  nextConnection(): Promise<void> {
    return new Promise((resolve) => this.#accepted.push(resolve));
  }

  /** Forwards nothing more in this direction, of present and later connections; nothing is closed: a pulled cable. */
  stall(...directions: Direction[]): void {
    for (const direction of directions) {
      this.#stalled.add(direction);
    }
    for (const link of this.#links) {
      this.#flow(link);
    }
  }

  /** Forwards again, beginning with what waited. */
  resume(): void {
    this.#stalled.clear();
    for (const link of this.#links) {
      this.#flow(link);
    }
  }

  /** Resets all connections. */
  drop(): void {
    for (const { client, server } of this.#links) {
      client.resetAndDestroy();
      server.resetAndDestroy();
    }
  }

  /** Ends all connections in one direction: the receiver sees the end of the stream and may go on sending. */
  halfClose(direction: Direction): void {
    for (const { client, server } of this.#links) {
      (direction === "upstream" ? server : client).end();
    }
  }

  async close(): Promise<void> {
    this.drop();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #link(client: Socket): void {
    for (const resolve of this.#accepted.splice(0)) {
      resolve();
    }
    if (this.#isRefusing) {
      client.destroy();
      return;
    }
    const server = new Socket({ allowHalfOpen: true }).connect(this.#targetPort, "127.0.0.1");
    const link = { client, server };
    this.#links.add(link);
    forward(client, server);
    forward(server, client);
    for (const end of [client, server]) {
      end.setNoDelay(true);
      end.on("error", () => {});
      end.on("close", () => {
        client.destroy();
        server.destroy();
        this.#links.delete(link);
      });
    }
    this.#flow(link);
  }

  #flow({ client, server }: Link): void {
    apply(client, this.#stalled.has("upstream"));
    apply(server, this.#stalled.has("downstream"));
  }
}

function apply(source: Socket, isStalled: boolean): void {
  if (isStalled) {
    source.pause();
  } else {
    source.resume();
  }
}

function forward(from: Socket, to: Socket): void {
  from.on("data", (chunk) => {
    if (to.writable) {
      to.write(chunk);
    }
  });
  from.on("end", () => to.end());
}
