/** Two nodes with one connection between them, without authentication and shard. */
import type { AddressInfo, Socket } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import type { Timers } from "../../state/ports.ts";
import { DEFAULT_PEER_LIMITS, Peer, type PeerLimits } from "../../state/remote/peer.ts";
import { type Cleanup, RecordedLog, systemTimers } from "./cluster.ts";
import { FlakyProxy } from "./flaky-proxy.ts";

export const EPOCH = 7;

export interface PeerPair {
  readonly near: Peer;
  readonly far: Peer;
  /** What `near` speaks through, to send what a peer never would. */
  readonly socket: WebSocket;
  readonly proxy: FlakyProxy;
  readonly farLog: RecordedLog;
}

export async function peerPair(
  cleanup: Cleanup,
  parts: { timers?: Timers; limits?: Partial<PeerLimits>; farLimits?: Partial<PeerLimits> } = {},
): Promise<PeerPair> {
  const { timers = systemTimers, limits = {}, farLimits = limits } = parts;
  const farLog = new RecordedLog();
  const server = new WebSocketServer({
    port: 0,
    host: "127.0.0.1",
    perMessageDeflate: false,
    maxPayload: farLimits.messageMaxBytes ?? DEFAULT_PEER_LIMITS.messageMaxBytes,
  });
  await new Promise((resolve) => server.once("listening", resolve));
  const proxy = await FlakyProxy.start((server.address() as AddressInfo).port);
  cleanup.add(async () => {
    await proxy.close();
    await new Promise((resolve) => server.close(resolve));
  });
  const connected = new Promise<Peer>((resolve) => {
    server.once("connection", (socket, request) => {
      const options = { name: "near", epoch: EPOCH, timers, log: farLog, limits: { ...DEFAULT_PEER_LIMITS, ...farLimits } };
      resolve(new Peer(socket, request.socket, options));
    });
  });
  const socket = new WebSocket(`ws://127.0.0.1:${proxy.port}`, { perMessageDeflate: false });
  const near = await new Promise<Peer>((resolve, reject) => {
    let stream: Socket | undefined;
    socket.once("error", reject);
    socket.once("upgrade", (response) => {
      stream = response.socket;
    });
    socket.once("open", () => {
      if (stream !== undefined) {
        const log = new RecordedLog();
        const options = { name: "far", epoch: EPOCH, timers, log, limits: { ...DEFAULT_PEER_LIMITS, ...limits } };
        resolve(new Peer(socket, stream, options));
      }
    });
  });
  return { near, far: await connected, socket, proxy, farLog };
}
