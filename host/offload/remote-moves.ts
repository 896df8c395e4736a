/** Calls that move to another node, over the connection between the two, or to a third one that only the other knows. */
import { NeapError } from "../../state/errors.ts";
import { fields, method, type Peer } from "../../state/remote/index.ts";
import { Bytes, between, Count, list, type Of, record, Text, tuple, whole } from "../../state/shape.ts";
import {
  type CallTaker,
  decodeMovedCall,
  encodeMovedCall,
  type MovedCall,
  type MovedTrace,
  type MoveReply,
} from "./moved-call.ts";
import { dropState, type HeldStates, nextRun, sendState, sizeBeside, takeState } from "./remote-state.ts";

const KINDS = ["logged", "ended", "refused", "lost"] as const;
const Amount = between(0, Number.MAX_VALUE);
const Trace = record({
  executedAt: list(Text),
  moves: list(record({ from: Text, to: Text, reason: Text, sizeBytes: Amount })),
  movedBytes: Amount,
  readBytes: Amount,
  cpuMs: Amount,
});
/**
 * number of the node that shall take it, run, call, guest, or nothing if it was sent ahead → kind, return value, trap or reason, output, bytes
 * of an output that is to be taken, trace
 */
const MOVE_CALL = method(
  "offload.move",
  tuple(Count, Count, Bytes, Bytes),
  tuple(Count, whole(Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER), Text, Bytes, Count, Trace),
);
const NOTHING = new Uint8Array(0);
const NO_TRACE: Of<typeof Trace> = { executedAt: [], moves: [], movedBytes: 0, readBytes: 0, cpuMs: 0 };

/** @param node  among those that the node at the other end of the connection knows; `name` is its name */
export function remoteTaker(peer: Peer, node: number, name: string): CallTaker {
  return {
    name,
    async take(call): Promise<MoveReply> {
      const run = nextRun(peer);
      const { guest } = call;
      const state = { delta: guest, hostState: NOTHING };
      let isSent = false;
      try {
        await sendState(peer, run, state);
        isSent = true;
        const [kind, returnValue, text, output, sizeBytes, trace] = await peer.request(MOVE_CALL, [
          node,
          run,
          encodeMovedCall(call),
          sizeBeside(state).sizeBytes > 0 ? NOTHING : guest,
        ]);
        switch (KINDS[kind]) {
          case "logged":
            return { kind: "logged", trace };
          case "ended": {
            const taken = sizeBytes === 0 ? output : (await takeState(peer, run, { deltaBytes: sizeBytes, sizeBytes })).delta;
            return { kind: "ended", returnValue, trap: text, output: Uint8Array.from(taken), trace };
          }
          case "refused":
            return { kind: "refused", reason: text };
          default:
            return { kind: "lost", reason: text };
        }
      } catch (error) {
        if (error instanceof NeapError) {
          return { kind: isSent ? "lost" : "refused", reason: error.message };
        }
        throw error;
      } finally {
        dropState(peer, run);
      }
    },
  };
}

/** From now on calls that the other node sends go on where it says. @param takerOf  null: there is no such node, or not any more */
export function serveMoves(peer: Peer, takerOf: (node: number) => CallTaker | null, states: HeldStates): void {
  peer.handle(MOVE_CALL, async ([node, run, body, guest]) => {
    const taker = takerOf(node);
    const call = received(body, states.claim(run) ?? own(guest));
    const reply = taker === null ? GONE : await taker.take(call);
    const kind = KINDS.indexOf(reply.kind);
    if (reply.kind !== "ended") {
      return reply.kind === "logged"
        ? fields(kind, 0, "", NOTHING, 0, wireTrace(reply.trace))
        : fields(kind, 0, reply.reason, NOTHING, 0, NO_TRACE);
    }
    const { returnValue, trap, output } = reply;
    const trace = wireTrace(reply.trace);
    const state = { delta: output, hostState: NOTHING };
    const { sizeBytes } = sizeBeside(state);
    if (sizeBytes === 0) {
      return fields(kind, returnValue, trap, output, 0, trace);
    }
    states.keep(run, state);
    return fields(kind, returnValue, trap, NOTHING, sizeBytes, trace);
  });
}

const GONE: MoveReply = { kind: "refused", reason: "the node is gone" };

function wireTrace({ executedAt, moves, ...amounts }: MovedTrace): Of<typeof Trace> {
  return { executedAt: [...executedAt], moves: [...moves], ...amounts };
}

/** @throws BAD_MESSAGE */
function received(body: Uint8Array, guest: Uint8Array): MovedCall {
  try {
    return decodeMovedCall(own(body), guest);
  } catch (error) {
    throw new NeapError("BAD_MESSAGE", "the bytes are no call that moves", { cause: error });
  }
}

/** A copy: the message's buffer is used again. */
function own(bytes: Uint8Array): Uint8Array {
  return Uint8Array.prototype.slice.call(bytes);
}
