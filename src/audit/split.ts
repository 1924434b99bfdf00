import { toCbor } from "#ledger/bytes/cbor";
import { PLAINTEXT_BYTES_MAX } from "#ledger/leaf/padding";
import { err, ok, type Result } from "#kernel/result";
import type { AuditEvent } from "./event.ts";
import { encodeRecord } from "./record.ts";
import { nameRooms, partOf, unnamedRooms, worstCase, type NameRoom } from "./worst-case.ts";

/** So that one record stays something a person can read, and an auditor can open in one piece. */
const PATIENTS_MAX = 500;
// Room for the array headers of patients, states and unnamed, the longest part numbers, and the seed (already
// counted once).
const SLACK = 64;
const noSeed: Uint8Array = new Uint8Array(32);

interface Part {
  readonly names: NameRoom[];
  readonly unnamed: string[];
}

/**
 * An event as the events of its records: at most 500 patients each, and each fits the largest size class. The
 * first carries what is said once (parameters, counts, withheld, trace, asked); every one says who, from
 * where, what, why and how it ended. How many there are, and how long each is, the event's worst case
 * decides.
 */
export function splitEvent(event: AuditEvent): Result<readonly AuditEvent[], "event_too_large"> {
  const [names, unnamed] = [nameRooms(event), unnamedRooms(event)];
  const few = names.length <= PATIENTS_MAX && names.length + unnamed.length <= PATIENTS_MAX;
  if (few && (isSmall(worstCase(event)) || size(event) <= PLAINTEXT_BYTES_MAX)) return ok([event]);

  const first: AuditEvent = {
    ...event,
    patients: [],
    unnamed: [],
    ...(event.reserve && { reserve: partOf(event.reserve, [], []) }),
  };
  const rest: AuditEvent = {
    ...first,
    counts: {},
    withheld: undefined,
    traceId: undefined,
    asked: undefined,
    what: event.what && { ...event.what, parameters: undefined },
  };
  const parts: Part[] = [];
  let room = 0;
  const place = (bytes: number): Part => {
    const last = parts.at(-1);
    room -= bytes;
    if (last !== undefined && room >= 0 && last.names.length < PATIENTS_MAX) return last;
    room = PLAINTEXT_BYTES_MAX - SLACK - size(parts.length === 0 ? first : rest) - bytes;
    const part = { names: [], unnamed: [] };
    parts.push(part);
    return part;
  };
  for (const one of names) {
    const { patient, counts, state } = one.worst;
    place(toCbor([patient, counts]).length + toCbor(state ?? null).length).names.push(one);
  }
  for (const one of unnamed) place(toCbor(one).length).unnamed.push(one);
  const real = new Set(event.unnamed);
  const events = parts.map((part, i): AuditEvent =>
    Object.assign({}, i === 0 ? first : rest, {
      patients: part.names.flatMap((one) => one.real ?? []),
      unnamed: part.unnamed.filter((one) => real.has(one)),
      reserve: event.reserve && partOf(event.reserve, part.names, part.unnamed),
    }),
  );
  return events.length > 0 && events.every((one) => size(one) <= PLAINTEXT_BYTES_MAX)
    ? ok(events)
    : err("event_too_large");
}

const size = (event: AuditEvent): number => encodeRecord(event, 1, 100_000, noSeed).length;

/**
 * Surely fits, without encoding it: each JSON character stands for at most three bytes of the CBOR, and 256
 * cover what JSON lacks.
 */
const isSmall = (event: AuditEvent): boolean => JSON.stringify(event).length * 3 + 256 <= PLAINTEXT_BYTES_MAX;
