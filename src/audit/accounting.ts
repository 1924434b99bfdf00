import { createHmac } from "node:crypto";
import type { Secret } from "#kernel/secret";
import { toCbor } from "#ledger/cbor";
import { type AuditEvent, type EventKind, eventKinds } from "./event.ts";

const LINE_VERSION = 1;

/**
 * The name under which a patient's accounting lines are kept: HMAC-SHA-256(six-year key, `<origin>/Patient/<id>`), 32 bytes.
 * One key for six years (45 CFR 164.528(a)(3)), so that one look-up finds them all.
 */
export const subjectKey = (key: Secret<Uint8Array>, patient: string): Uint8Array =>
  new Uint8Array(createHmac("sha256", key.reveal()).update(patient).digest());

/**
 * The accounting lines of an event, one per patient in their order: what was disclosed of whom, to whom, when and why
 * (45 CFR 164.528(b)(2)). Each is the deterministic CBOR array
 * [1, subject key, time in ms, recipient, [purposes], agreement or null, { type: count }]. Frozen: commitments are over these bytes.
 */
export function accountingLines(event: AuditEvent, key: Secret<Uint8Array>): readonly Uint8Array[] {
  if (!isKind(event.kind) || !eventKinds[event.kind].discloses) return [];
  const [recipient, purposes, agreement] = [event.who?.client, event.why?.purposes, event.why?.agreement ?? null];
  return event.patients.map(({ patient, counts }) =>
    toCbor([LINE_VERSION, subjectKey(key, patient), event.at, recipient, purposes, agreement, counts]),
  );
}

/** What a writer must know before a disclosure can be recorded: without recipient and purpose no patient could be told about it. */
export function isAccountable(event: AuditEvent): boolean {
  if (!isKind(event.kind)) return false;
  if (!eventKinds[event.kind].discloses || event.patients.length === 0) return true;
  return event.who?.client !== undefined && (event.why?.purposes ?? []).length > 0;
}

const isKind = (kind: string): kind is EventKind => Object.hasOwn(eventKinds, kind);
