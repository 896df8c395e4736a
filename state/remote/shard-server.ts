/** Serves one session of the owner's shard to one node. */
import { NeapError } from "../errors.ts";
import { logBookId, objectKey, type SeqNum, seqNum, tag } from "../ids.ts";
import type { LogBook, LogRecord, Shard, Turn } from "../logbook/logbook.ts";
import { serveBlobs } from "./blob-server.ts";
import { Lane } from "./lane.ts";
import { fields } from "./method.ts";
import type { Peer } from "./peer.ts";
import {
  appendFromWire,
  cellWriteFromWire,
  heldLockToWire,
  instanceId,
  orNone,
  readToWire,
  recordToWire,
  resultToWire,
  unfinishedToWire,
} from "./record-wire.ts";
import * as methods from "./shard-methods.ts";

/** A turn that was not ended is over by itself long before as many others have begun. */
const MAX_TURNS = 4_096;

/**
 * Offers the methods of the shard to the peer until the connection or the session ends; then the other ends too, and with the
 * session all that the node held.
 */
export function serveShard(peer: Peer, session: Shard): void {
  void peer.ended.then(() => session.close());
  void session.ended.then(() => peer.close());
  serveBooks(peer, session);
  serveTurns(peer, session);
  serveWaits(peer, session);
  serveBlobs(peer, session.blobs);
  peer.handle(methods.whenDurable, async (seqnum) => {
    await session.whenDurable(seqNum(seqnum));
    return null;
  });
  peer.handle(methods.books, async ([offset]) => {
    const all = [...(await session.books())].sort();
    return fields(all.slice(offset, offset + methods.PAGE_ENTRIES), offset + methods.PAGE_ENTRIES >= all.length);
  });
  peer.handle(methods.claim, async (limit) => {
    const claimed = await session.claim(Math.min(limit, methods.PAGE_ENTRIES));
    return claimed.map(unfinishedToWire);
  });
  peer.handle(methods.hold, async ([book, instance]) => {
    await session.hold(logBookId(book), instanceId(instance));
    return null;
  });
  peer.handle(methods.release, async ([book, instance]) => {
    await session.release(logBookId(book), instanceId(instance));
    return null;
  });
  peer.handle(methods.scopes, async ([book, after, fromFirst]) => {
    const page = await session.scopes(logBookId(book), fromFirst ? null : after, methods.PAGE_ENTRIES);
    return page.map(({ scope, mode, to, automatic, begin, waitingFor, decision, reads, writes }) =>
      fields(scope, mode, to, automatic, begin, waitingFor, decision, reads, writes),
    );
  });
  peer.handle(methods.switchMode, ([book, scope, to, automatic]) => session.switchMode(logBookId(book), scope, to, automatic));
  peer.handle(methods.chooseDefault, ([book, mode]) => session.chooseDefault(logBookId(book), mode));
  peer.handle(methods.unfinished, async ([book, after]) => {
    return (await session.unfinished(logBookId(book), seqNum(after), methods.PAGE_ENTRIES)).map(unfinishedToWire);
  });
}

function serveBooks(peer: Peer, session: Shard): void {
  const books = new Map<string, LogBook>();
  const pages = new Lane(peer);
  const bookOf = (id: string): LogBook => {
    let book = books.get(id);
    if (book === undefined) {
      book = session.book(logBookId(id));
      books.set(id, book);
    }
    return book;
  };
  peer.handle(methods.append, async ([book, records, when]) => {
    return resultToWire(await bookOf(book).append(appendFromWire(records, when)));
  });
  peer.handle(methods.readPrev, async ([book, name, max, at]) => {
    return readToWire(await bookOf(book).readPrev(tag(name), seqNum(max), seqNum(at)));
  });
  peer.handle(methods.readNext, async ([book, name, min, at]) => {
    return readToWire(await bookOf(book).readNext(tag(name), seqNum(min), seqNum(at)));
  });
  peer.handle(methods.tailOf, async ([book, name, at]) => {
    const { length, last, goneUpTo, closed, tail } = await bookOf(book).tailOf(tag(name), seqNum(at));
    return fields(length, last, goneUpTo, closed, tail);
  });
  peer.handle(methods.setAux, async ([book, name, seqnum, bytes]) => {
    await bookOf(book).setAux(tag(name), seqNum(seqnum), bytes);
    return null;
  });
  peer.handle(methods.readStream, async ([book, name, from]) => {
    const { records, length, closed, tail } = await pages.run(() =>
      bookOf(book).readStream(tag(name), from, methods.PAGE_RECORDS),
    );
    return fields(firstPage(records).map(recordToWire), length, closed, tail);
  });
  peer.handle(methods.listObjects, async ([book, prefix, after, cursor, limit, at]) => {
    const pageLimit = Math.min(limit, methods.PAGE_ENTRIES);
    const { objects, tail } = await pages.run(() =>
      bookOf(book).listObjects(prefix, after, seqNum(cursor), pageLimit, seqNum(at)),
    );
    return fields(
      objects.map(({ key, sizeBytes, seqnum, home }) => fields(key, sizeBytes, seqnum, home)),
      tail,
    );
  });
  peer.handle(methods.lock, async ([book, name]) => {
    const { held, last, tail } = await bookOf(book).lock(name);
    return fields(held === null ? null : heldLockToWire(held), last, tail);
  });
  peer.handle(methods.readCell, async ([book, key, initialCursor, at]) => {
    const { record, home, tail } = await bookOf(book).readCell(objectKey(key), seqNum(initialCursor), seqNum(at));
    return fields(orNone(record), home, tail);
  });
  peer.handle(methods.writeCell, async ([book, write]) => {
    const outcome = await bookOf(book).writeCell(cellWriteFromWire(write));
    return fields(outcome.kind, outcome.kind === "stale" ? outcome.floor : outcome.seqnum);
  });
  peer.handle(methods.modeAt, async ([book, scope, cursor]) => {
    const { mode, to, defaultMode, seqnum, modes } = await bookOf(book).modeAt(scope, seqNum(cursor));
    return fields(mode, to, defaultMode, seqnum, modes);
  });
  peer.handle(methods.locks, async ([book, after]) => {
    const { locks, tail } = await bookOf(book).locks(after, methods.PAGE_ENTRIES);
    return fields(locks.map(heldLockToWire), tail);
  });
  peer.handle(methods.tail, ([book]) => bookOf(book).tail());
}

/** As many records as fit a page, and at least one. */
function firstPage(records: readonly LogRecord[]): readonly LogRecord[] {
  let sizeBytes = 0;
  let count = 0;
  for (const { data, tags } of records) {
    sizeBytes += data.byteLength;
    for (const one of tags) {
      sizeBytes += one.length * 3;
    }
    if (sizeBytes > methods.PAGE_BYTES && count > 0) {
      break;
    }
    count++;
  }
  return records.slice(0, count);
}

function serveTurns(peer: Peer, session: Shard): void {
  const turns = new Map<number, Turn>();
  const end = (id: number): void => {
    turns.get(id)?.end();
    turns.delete(id);
  };
  const begun = (id: number, turn: Turn): SeqNum => {
    end(id);
    turns.set(id, turn);
    const oldest = turns.keys().next();
    if (turns.size > MAX_TURNS && oldest.done !== true) {
      end(oldest.value);
    }
    return turn.tail;
  };
  peer.handle(methods.turn, async ([book, name, id]) => begun(id, await session.book(logBookId(book)).turn(tag(name))));
  peer.handle(methods.lockTurn, async ([book, name, root, id]) =>
    begun(id, await session.book(logBookId(book)).lockTurn(name, instanceId(root))),
  );
  peer.handle(methods.endTurn, async (id) => {
    end(id);
    return null;
  });
}

/** A wait is a request like any other: it holds up nothing, and ends with the connection as the session does. */
function serveWaits(peer: Peer, session: Shard): void {
  const waits = new Map<number, AbortController>();
  peer.handle(methods.awaitNext, async ([book, name, min, timeoutMs, id]) => {
    const controller = new AbortController();
    waits.set(id, controller);
    try {
      return readToWire(await session.book(logBookId(book)).awaitNext(tag(name), seqNum(min), timeoutMs, controller.signal));
    } finally {
      waits.delete(id);
    }
  });
  peer.handle(methods.endAwait, async (id) => {
    waits.get(id)?.abort(new NeapError("WAIT_GIVEN_UP", "the node that waited has given up"));
    return null;
  });
}
