/**
 * What a node may ask of the owner: the contracts of Shard, LogBook and BlobStore as arrays of fields. The shapes are checked here;
 * ranges of names, tags and seqnums where they become ids (`record-wire.ts`).
 */
import { REQUEST_MAX_CONDITIONS, REQUEST_MAX_RECORDS } from "../logbook/index.ts";
import { RecordKind } from "../logbook/kinds.ts";
import { MODES } from "../logbook/modes.ts";
import { Bytes, Count, choice, either, Finite, Flag, list, Nothing, type Of, orNothing, Text, tuple } from "../shape.ts";
import { method } from "./method.ts";

const Kind = choice(...Object.values(RecordKind));
/** seqnum, kind, tags, time in ms, data */
export const WireRecord = tuple(Count, Kind, list(Text), Finite, Bytes);
export type WireRecord = Of<typeof WireRecord>;
const WireRecordOrNone = orNothing(WireRecord);
const WireBlobs = list(tuple(Text, Finite), { itemsMax: 255 });
const KeyOrNone = orNothing(Text);
/** kind, tags, data, initial cursor, blobs as name and size in bytes, key of the cell, key of the object to place */
export const WireNewRecord = tuple(
  Kind,
  list(Text, { itemsMax: 255 }),
  Bytes,
  orNothing(Finite),
  WireBlobs,
  KeyOrNone,
  KeyOrNone,
);
export type WireNewRecord = Of<typeof WireNewRecord>;
/** tag, what is compared (0 length, 1 last, 2 newest), value */
export const WireCondition = tuple(Text, choice(0, 1, 2), Finite);
export type WireCondition = Of<typeof WireCondition>;

/** key, version (seqnum, role, counter), kind, data, blobs, initial cursor, step stream of the writer */
export const WireCellWrite = tuple(
  Text,
  tuple(Count, choice(0, 1), Count),
  choice(RecordKind.write, RecordKind.delete),
  Bytes,
  WireBlobs,
  Count,
  Text,
);
export type WireCellWrite = Of<typeof WireCellWrite>;
const WireHome = choice("none", "versions", "cell", "both");

/** appended: seqnum, time · conflict: tag, existing, tail · badPosition: tag, length, tail · closed: tag, done, tail · stale: floor */
export const WireAppendResult = either(
  tuple(choice(0), Count, Finite),
  tuple(choice(1), Text, WireRecordOrNone, Count),
  tuple(choice(2), Text, Count, Count),
  tuple(choice(3), Text, WireRecordOrNone, Count),
  tuple(choice(4), Count),
);
export type WireAppendResult = Of<typeof WireAppendResult>;

/** book, instance, its first record, attempts, parked */
export const WireUnfinished = tuple(Text, Text, Count, Count, Flag);
export type WireUnfinished = Of<typeof WireUnfinished>;
const Book = Text;
const Tag = Text;

/** Answers that grow with the log are cut into pages of about this size: packing one takes a fraction of a millisecond (H27). */
export const PAGE_BYTES = 256 * 1024;
/** Bytes of a blob in one message: packing, joining and masking them takes half a millisecond (H27). */
export const WIRE_CHUNK_BYTES = 128 * 1024;
/** Records that are looked at for a page. */
export const PAGE_RECORDS = 512;
/** Entries of a page of short things. */
export const PAGE_ENTRIES = 2_000;

/** book, records, conditions */
export const append = method(
  "append",
  tuple(Book, list(WireNewRecord, { itemsMax: REQUEST_MAX_RECORDS }), list(WireCondition, { itemsMax: REQUEST_MAX_CONDITIONS })),
  WireAppendResult,
);
/** record, tail, last mode record, aux data */
export const WireReadResult = tuple(WireRecordOrNone, Count, Count, orNothing(Bytes));
export type WireReadResult = Of<typeof WireReadResult>;

/** book, tag, max, at */
export const readPrev = method("readPrev", tuple(Book, Tag, Count, Count), WireReadResult);
/** book, tag, min, at */
export const readNext = method("readNext", tuple(Book, Tag, Count, Count), WireReadResult);
/** book, tag, min, time-out in ms, the caller's number for the wait */
export const awaitNext = method("awaitNext", tuple(Book, Tag, Count, Finite, Count), WireReadResult);
/** number of the wait that is given up */
export const endAwait = method("endAwait", Count, Nothing);
/** book, tag, at → length, last seqnum, gone up to, closed, tail */
export const tailOf = method("tailOf", tuple(Book, Tag, Count), tuple(Count, Count, Count, Flag, Count));
/** book, tag, seqnum, aux data */
export const setAux = method("setAux", tuple(Book, Tag, Count, Bytes), Nothing);
/** book, tag, from → a page of records, length, closed, tail */
export const readStream = method("readStream", tuple(Book, Tag, Count), tuple(list(WireRecord), Count, Flag, Count));
/** book, key, initial cursor, at → record, home, tail */
export const readCell = method("readCell", tuple(Book, Text, Count, Count), tuple(WireRecordOrNone, WireHome, Count));
/** book, write → outcome, seqnum or floor */
export const writeCell = method(
  "writeCell",
  tuple(Book, WireCellWrite),
  tuple(choice("written", "superseded", "closed", "badPosition", "stale"), Count),
);
const WireMode = choice(...MODES);
const WireModeOrNone = orNothing(WireMode);
/** book, scope, cursor → mode, mode it is switched to, default mode, seqnum, seqnum of the last mode record */
export const modeAt = method("modeAt", tuple(Book, Text, Count), tuple(WireModeOrNone, WireModeOrNone, WireMode, Count, Count));
/** book, prefix, after, cursor, limit, at → a page of [key, size in bytes, seqnum, home], tail */
export const listObjects = method(
  "listObjects",
  tuple(Book, Text, Text, Count, Count, Count),
  tuple(list(tuple(Text, Count, Count, WireHome)), Count),
);
/** book → tail */
export const tail = method("tail", tuple(Book), Count);
/** book, tag, the caller's number for the turn → tail */
export const turn = method("turn", tuple(Book, Tag, Count), Count);
/** name, holder, root, token, since, count, parked */
export const WireHeldLock = tuple(Text, Text, Text, Count, Finite, Count, Flag);
export type WireHeldLock = Of<typeof WireHeldLock>;
/** book, name → who holds it, the last record of its stream, tail */
export const lock = method("lock", tuple(Book, Text), tuple(orNothing(WireHeldLock), Count, Count));
/** book, name, root, the caller's number for the turn → tail */
export const lockTurn = method("lockTurn", tuple(Book, Text, Text, Count), Count);
/** book, name after which to begin ("" for the first) → a page in the order of the names, tail */
export const locks = method("locks", tuple(Book, Text), tuple(list(WireHeldLock), Count));
/** number of the turn; a notice */
export const endTurn = method("endTurn", Count, Nothing);

/** offset into the list → a page of it, whether it is the last */
export const books = method("books", tuple(Count), tuple(list(Book), Flag));
/** seqnum */
export const whenDurable = method("whenDurable", Count, Nothing);
/** limit → at most PAGE_ENTRIES */
export const claim = method("claim", Count, list(WireUnfinished));
/** book, instance */
export const hold = method("hold", tuple(Book, Text), Nothing);
export const release = method("release", tuple(Book, Text), Nothing);
/** scope, mode, mode it is switched to, automatic, seqnum of BEGIN, instances it waits for, decision, reads, writes */
const WireScope = tuple(Text, WireModeOrNone, WireModeOrNone, Flag, Count, Count, orNothing(Text), Count, Count);
/** book, scope after which to begin, whether to begin with the first → a page in the order of the scopes */
export const scopes = method("scopes", tuple(Book, Text, Flag), list(WireScope));
/** book, scope, mode, automatic → seqnum */
export const switchMode = method("switchMode", tuple(Book, Text, WireMode, Flag), Count);
/** book, mode → seqnum */
export const chooseDefault = method("chooseDefault", tuple(Book, WireMode), Count);
/** book, first record of the instance after which to begin (0 for the first) → a page in the order of the first records */
export const unfinished = method("unfinished", tuple(Book, Count), list(WireUnfinished));

/** the caller's number for the writer, name or "" */
export const createBlob = method("blob.create", tuple(Count, Text), Nothing);
/** writer, chunk */
export const writeBlob = method("blob.write", tuple(Count, Bytes), Nothing);
/** writer → name, size in bytes */
export const commitBlob = method("blob.commit", Count, tuple(Text, Count));
/** writer */
export const abortBlob = method("blob.abort", Count, Nothing);
/** names; a notice */
export const discardBlobs = method("blob.discard", list(Text, { itemsMax: PAGE_ENTRIES }), Nothing);
/** the caller's number for the reader, name → size in bytes */
export const openBlob = method("blob.open", tuple(Count, Text), Count);
/** reader, offset, size in bytes up to BLOB_CHUNK_BYTES */
export const readOpenBlob = method("blob.readOpen", tuple(Count, Count, Count), Bytes);
/** reader */
export const closeBlob = method("blob.close", Count, Nothing);
/** name → size in bytes */
export const blobSize = method("blob.size", Text, orNothing(Count));
/** name, offset, size in bytes up to BLOB_CHUNK_BYTES */
export const readBlob = method("blob.read", tuple(Text, Count, Count), Bytes);
