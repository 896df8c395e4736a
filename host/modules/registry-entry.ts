/** What a function's record in the LogBook says. */
import { ByteReader, ByteWriter } from "../../state/bytes.ts";
import { invariant } from "../../state/errors.ts";
import type { BlobName } from "../../state/ids.ts";
import type { LogRecord } from "../../state/logbook/logbook.ts";
import { type Mode, modeCode, modeFromCode } from "../../state/logbook/modes.ts";
import type { BlobRef } from "../../state/objects/blobs.ts";
import type { FunctionLimits } from "../tenancy/index.ts";
import type { ModuleHash } from "./artefact.ts";
import { type Environment, readEnvironment, writeEnvironment } from "./environment.ts";
import type { FunctionVersion } from "./functions.ts";
import { type RetryPolicy, readRetryPolicy, writeRetryPolicy } from "./retry-policy.ts";
import type { RewritingOptions } from "./rewriting/index.ts";

/** 2: neither rewriting nor limits; 3: no limits; 4: no environment; 5: no aliasState. */
const FORMATS = { oldest: 2, newest: 6 };

/** Contents of the record; the record itself says when and where. */
export interface FunctionData extends RewritingOptions {
  readonly name: string;
  readonly hash: ModuleHash;
  readonly artefact: BlobRef;
  /** The module as it was uploaded. */
  readonly original: BlobRef;
  /** null: the host's own. */
  readonly retry: RetryPolicy | null;
  /** null: none. */
  readonly limits: FunctionLimits | null;
  /** null: none. */
  readonly environment: Environment | null;
  readonly protocol: Mode | null;
}

export interface RegistryEntry {
  readonly version: FunctionVersion;
  readonly artefact: BlobRef;
  readonly original: BlobRef;
}

/** The artefact's blob bears the module's hash: its bytes follow from what that covers (F7). */
export function artefactBlobName(hash: ModuleHash): BlobName {
  return hash as string as BlobName;
}

/** The blob of uploaded bytes bears their own hash. @param uploadHash  SHA-256, 64 hex digits */
export function originalBlobName(uploadHash: string): BlobName {
  return uploadHash as BlobName;
}

export function encodeFunctionData(data: FunctionData): Uint8Array {
  const { name, hash, artefact, original, retry, limits, environment, protocol, preemptible, migratable, aliasState } = data;
  const w = new ByteWriter(512).u8(FORMATS.newest).text(name).text(hash);
  for (const blob of [artefact, original]) {
    w.text(blob.name).f64(blob.sizeBytes);
  }
  w.u8(retry === null ? 0 : 1);
  if (retry !== null) {
    writeRetryPolicy(w, retry);
  }
  w.u8(modeCode(protocol))
    .u8(preemptible ? 1 : 0)
    .u8(migratable ? 1 : 0);
  return writeEnvironment(writeLimits(w, limits), environment)
    .u8(aliasState ? 1 : 0)
    .take();
}

export function decodeFunctionData(data: Uint8Array): FunctionData {
  const r = new ByteReader(data);
  const format = r.u8();
  const { oldest, newest } = FORMATS;
  invariant(
    format >= oldest && format <= newest,
    `a function record has format ${format}, this host reads ${oldest} to ${newest}`,
  );
  const blob = (): BlobRef => ({ name: r.text() as BlobName, sizeBytes: r.f64() });
  const head = { name: r.text(), hash: r.text() as ModuleHash, artefact: blob(), original: blob() };
  const retry = r.u8() === 0 ? null : readRetryPolicy(r);
  const protocol = modeFromCode(r.u8());
  const [preemptible, migratable] = format < 3 ? [false, false] : [r.u8() === 1, r.u8() === 1];
  const limits = format < 4 ? null : readLimits(r);
  const environment = format < 5 ? null : readEnvironment(r);
  const aliasState = format >= 6 && r.u8() === 1;
  return { ...head, retry, protocol, preemptible, migratable, aliasState, limits, environment };
}

/** By name, so that a host that has fewer limits can read what one with more has written. */
function writeLimits(w: ByteWriter, limits: FunctionLimits | null): ByteWriter {
  const own = Object.entries(limits ?? {});
  w.u8(own.length);
  for (const [name, value] of own) {
    w.text(name).f64(value);
  }
  return w;
}

function readLimits(r: ByteReader): FunctionLimits | null {
  const own: [string, number][] = [];
  for (let left = r.u8(); left > 0; left--) {
    own.push([r.text(), r.f64()]);
  }
  return own.length === 0 ? null : Object.fromEntries(own);
}

export function registryEntry(record: LogRecord): RegistryEntry {
  const { artefact, original, ...data } = decodeFunctionData(record.data);
  const { timeMs: uploadedMs, seqnum } = record;
  return { version: { ...data, sizeBytes: original.sizeBytes, uploadedMs, seqnum }, artefact, original };
}
