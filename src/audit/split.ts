import { toCbor } from "#ledger/cbor";
import { PLAINTEXT_BYTES_MAX } from "#ledger/padding";
import { err, ok, type Result } from "#kernel/result";
import type { AuditEvent, PatientCounts } from "./event.ts";
import { encodeRecord } from "./record.ts";

/** So that one record stays something a person can read, and an auditor can open in one piece. */
const PATIENTS_MAX = 500;
// Room for the array headers of patients, states and unnamed, the longest part numbers, and the seed (already counted once).
const SLACK = 64;
const noSeed: Uint8Array = new Uint8Array(32);

/**
 * An event as the events of its records: at most 500 patients each, and each fits the largest size class. The first carries what is
 * said once (parameters, counts, withheld, trace); every one says who, from where, what, why and how it ended.
 */
export function splitEvent(event: AuditEvent): Result<readonly AuditEvent[], "event_too_large"> {
  const few = event.patients.length <= PATIENTS_MAX && event.patients.length + event.unnamed.length <= PATIENTS_MAX;
  if (few && (isSmall(event) || size(event) <= PLAINTEXT_BYTES_MAX)) return ok([event]);

  const first: AuditEvent = { ...event, patients: [], unnamed: [] };
  const rest: AuditEvent = {
    ...first,
    counts: {},
    withheld: undefined,
    traceId: undefined,
    what: event.what && { ...event.what, parameters: undefined },
  };
  const parts: { patients: PatientCounts[]; unnamed: string[] }[] = [];
  let room = 0;
  const place = (bytes: number): { patients: PatientCounts[]; unnamed: string[] } => {
    const last = parts.at(-1);
    room -= bytes;
    if (last !== undefined && room >= 0 && last.patients.length < PATIENTS_MAX) return last;
    room = PLAINTEXT_BYTES_MAX - SLACK - size(parts.length === 0 ? first : rest) - bytes;
    const part = { patients: [], unnamed: [] };
    parts.push(part);
    return part;
  };
  for (const one of event.patients) place(toCbor([one.patient, one.counts]).length + toCbor(one.state ?? null).length).patients.push(one);
  for (const one of event.unnamed) place(toCbor(one).length).unnamed.push(one);
  const events = parts.map(({ patients, unnamed }, i): AuditEvent => Object.assign({}, i === 0 ? first : rest, { patients, unnamed }));
  return events.length > 0 && events.every((one) => size(one) <= PLAINTEXT_BYTES_MAX) ? ok(events) : err("event_too_large");
}

const size = (event: AuditEvent): number => encodeRecord(event, 1, 100_000, noSeed).length;

/** Surely fits, without encoding it: each JSON character stands for at most three bytes of the CBOR, and 256 cover what JSON lacks. */
const isSmall = (event: AuditEvent): boolean => JSON.stringify(event).length * 3 + 256 <= PLAINTEXT_BYTES_MAX;
