/**
 * What a node may ask of the owner: the contracts of Shard, LogBook and BlobStore as arrays of fields. The shapes are checked here;
 * ranges of names, tags and seqnums where they become ids (`record-wire.ts`).
 */
import Type, { type Static } from "typebox";
import { REQUEST_MAX_CONDITIONS, REQUEST_MAX_RECORDS } from "../logbook/index.ts";
import { RecordKind } from "../logbook/kinds.ts";
import { MODES, type Mode } from "../logbook/modes.ts";
import { Bytes, Count, method, Nothing, Text } from "./method.ts";

const Kind = Type.Unsafe<RecordKind>({ enum: Object.values(RecordKind) });
/** seqnum, kind, tags, time in ms, data */
export const WireRecord = Type.Tuple([Count, Kind, Type.Array(Text), Type.Number(), Bytes]);
export type WireRecord = Static<typeof WireRecord>;
const WireRecordOrNone = Type.Union([WireRecord, Type.Null()]);
const WireBlobs = Type.Array(Type.Tuple([Text, Type.Number()]), { maxItems: 255 });
const KeyOrNone = Type.Union([Text, Type.Null()]);
/** kind, tags, data, initial cursor, blobs as name and size in bytes, key of the cell, key of the object to place */
export const WireNewRecord = Type.Tuple([
  Kind,
  Type.Array(Text, { maxItems: 255 }),
  Bytes,
  Type.Union([Type.Number(), Type.Null()]),
  WireBlobs,
  KeyOrNone,
  KeyOrNone,
]);
export type WireNewRecord = Static<typeof WireNewRecord>;
/** tag, what is compared (0 length, 1 last, 2 newest), value */
export const WireCondition = Type.Tuple([Text, Type.Union([Type.Literal(0), Type.Literal(1), Type.Literal(2)]), Type.Number()]);
export type WireCondition = Static<typeof WireCondition>;

/** key, version (seqnum, role, counter), kind, data, blobs, initial cursor, step stream of the writer */
export const WireCellWrite = Type.Tuple([
  Text,
  Type.Tuple([Count, Type.Union([Type.Literal(0), Type.Literal(1)]), Count]),
  Type.Union([Type.Literal(RecordKind.write), Type.Literal(RecordKind.delete)]),
  Bytes,
  WireBlobs,
  Count,
  Text,
]);
export type WireCellWrite = Static<typeof WireCellWrite>;
const WireHome = Type.Union([Type.Literal("none"), Type.Literal("versions"), Type.Literal("cell"), Type.Literal("both")]);

/** appended: seqnum, time · conflict: tag, existing, tail · badPosition: tag, length, tail · closed: tag, done, tail · stale: floor */
export const WireAppendResult = Type.Union([
  Type.Tuple([Type.Literal(0), Count, Type.Number()]),
  Type.Tuple([Type.Literal(1), Text, WireRecordOrNone, Count]),
  Type.Tuple([Type.Literal(2), Text, Count, Count]),
  Type.Tuple([Type.Literal(3), Text, WireRecordOrNone, Count]),
  Type.Tuple([Type.Literal(4), Count]),
]);
export type WireAppendResult = Static<typeof WireAppendResult>;

/** book, instance, its first record, attempts, parked */
export const WireUnfinished = Type.Tuple([Text, Text, Count, Count, Type.Boolean()]);
export type WireUnfinished = Static<typeof WireUnfinished>;
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
  Type.Tuple([
    Book,
    Type.Array(WireNewRecord, { maxItems: REQUEST_MAX_RECORDS }),
    Type.Array(WireCondition, { maxItems: REQUEST_MAX_CONDITIONS }),
  ]),
  WireAppendResult,
);
/** record, tail, last mode record, aux data */
export const WireReadResult = Type.Tuple([WireRecordOrNone, Count, Count, Type.Union([Bytes, Type.Null()])]);
export type WireReadResult = Static<typeof WireReadResult>;

/** book, tag, max, at */
export const readPrev = method("readPrev", Type.Tuple([Book, Tag, Count, Count]), WireReadResult);
/** book, tag, min, at */
export const readNext = method("readNext", Type.Tuple([Book, Tag, Count, Count]), WireReadResult);
/** book, tag, min, time-out in ms, the caller's number for the wait */
export const awaitNext = method("awaitNext", Type.Tuple([Book, Tag, Count, Type.Number(), Count]), WireReadResult);
/** number of the wait that is given up */
export const endAwait = method("endAwait", Count, Nothing);
/** book, tag, at → length, last seqnum, gone up to, closed, tail */
export const tailOf = method("tailOf", Type.Tuple([Book, Tag, Count]), Type.Tuple([Count, Count, Count, Type.Boolean(), Count]));
/** book, tag, seqnum, aux data */
export const setAux = method("setAux", Type.Tuple([Book, Tag, Count, Bytes]), Nothing);
/** book, tag, from → a page of records, length, closed, tail */
export const readStream = method(
  "readStream",
  Type.Tuple([Book, Tag, Count]),
  Type.Tuple([Type.Array(WireRecord), Count, Type.Boolean(), Count]),
);
/** book, key, initial cursor, at → record, home, tail */
export const readCell = method(
  "readCell",
  Type.Tuple([Book, Text, Count, Count]),
  Type.Tuple([WireRecordOrNone, WireHome, Count]),
);
/** book, write → outcome, seqnum or floor */
export const writeCell = method(
  "writeCell",
  Type.Tuple([Book, WireCellWrite]),
  Type.Tuple([Type.Enum(["written", "superseded", "closed", "badPosition", "stale"]), Count]),
);
const WireMode = Type.Unsafe<Mode>({ enum: [...MODES] });
const WireModeOrNone = Type.Union([WireMode, Type.Null()]);
/** book, scope, cursor → mode, mode it is switched to, default mode, seqnum, seqnum of the last mode record */
export const modeAt = method(
  "modeAt",
  Type.Tuple([Book, Text, Count]),
  Type.Tuple([WireModeOrNone, WireModeOrNone, WireMode, Count, Count]),
);
/** book, prefix, after, cursor, limit, at → a page of [key, size in bytes, seqnum, home], tail */
export const listObjects = method(
  "listObjects",
  Type.Tuple([Book, Text, Text, Count, Count, Count]),
  Type.Tuple([Type.Array(Type.Tuple([Text, Count, Count, WireHome])), Count]),
);
/** book → tail */
export const tail = method("tail", Type.Tuple([Book]), Count);
/** book, tag, the caller's number for the turn → tail */
export const turn = method("turn", Type.Tuple([Book, Tag, Count]), Count);
/** name, holder, root, token, since, count, parked */
export const WireHeldLock = Type.Tuple([Text, Text, Text, Count, Type.Number(), Count, Type.Boolean()]);
export type WireHeldLock = Static<typeof WireHeldLock>;
/** book, name → who holds it, the last record of its stream, tail */
export const lock = method("lock", Type.Tuple([Book, Text]), Type.Tuple([Type.Union([WireHeldLock, Type.Null()]), Count, Count]));
/** book, name, root, the caller's number for the turn → tail */
export const lockTurn = method("lockTurn", Type.Tuple([Book, Text, Text, Count]), Count);
/** book, name after which to begin ("" for the first) → a page in the order of the names, tail */
export const locks = method("locks", Type.Tuple([Book, Text]), Type.Tuple([Type.Array(WireHeldLock), Count]));
/** number of the turn; a notice */
export const endTurn = method("endTurn", Count, Nothing);

/** offset into the list → a page of it, whether it is the last */
export const books = method("books", Type.Tuple([Count]), Type.Tuple([Type.Array(Book), Type.Boolean()]));
/** seqnum */
export const whenDurable = method("whenDurable", Count, Nothing);
/** limit → at most PAGE_ENTRIES */
export const claim = method("claim", Count, Type.Array(WireUnfinished));
/** book, instance */
export const hold = method("hold", Type.Tuple([Book, Text]), Nothing);
export const release = method("release", Type.Tuple([Book, Text]), Nothing);
/** scope, mode, mode it is switched to, automatic, seqnum of BEGIN, instances it waits for, decision, reads, writes */
const WireScope = Type.Tuple([
  Text,
  WireModeOrNone,
  WireModeOrNone,
  Type.Boolean(),
  Count,
  Count,
  Type.Union([Text, Type.Null()]),
  Count,
  Count,
]);
/** book, scope after which to begin, whether to begin with the first → a page in the order of the scopes */
export const scopes = method("scopes", Type.Tuple([Book, Text, Type.Boolean()]), Type.Array(WireScope));
/** book, scope, mode, automatic → seqnum */
export const switchMode = method("switchMode", Type.Tuple([Book, Text, WireMode, Type.Boolean()]), Count);
/** book, mode → seqnum */
export const chooseDefault = method("chooseDefault", Type.Tuple([Book, WireMode]), Count);
/** book, first record of the instance after which to begin (0 for the first) → a page in the order of the first records */
export const unfinished = method("unfinished", Type.Tuple([Book, Count]), Type.Array(WireUnfinished));

/** the caller's number for the writer, name or "" */
export const createBlob = method("blob.create", Type.Tuple([Count, Text]), Nothing);
/** writer, chunk */
export const writeBlob = method("blob.write", Type.Tuple([Count, Bytes]), Nothing);
/** writer → name, size in bytes */
export const commitBlob = method("blob.commit", Count, Type.Tuple([Text, Count]));
/** writer */
export const abortBlob = method("blob.abort", Count, Nothing);
/** names; a notice */
export const discardBlobs = method("blob.discard", Type.Array(Text, { maxItems: PAGE_ENTRIES }), Nothing);
/** the caller's number for the reader, name → size in bytes */
export const openBlob = method("blob.open", Type.Tuple([Count, Text]), Count);
/** reader, offset, size in bytes up to BLOB_CHUNK_BYTES */
export const readOpenBlob = method("blob.readOpen", Type.Tuple([Count, Count, Count]), Bytes);
/** reader */
export const closeBlob = method("blob.close", Count, Nothing);
/** name → size in bytes */
export const blobSize = method("blob.size", Text, Type.Union([Count, Type.Null()]));
/** name, offset, size in bytes up to BLOB_CHUNK_BYTES */
export const readBlob = method("blob.read", Type.Tuple([Text, Count, Count]), Bytes);
