import { toCbor } from "#ledger/bytes/cbor";
import { PLAINTEXT_BYTES_MAX } from "#ledger/leaf/padding";
import { err, ok, type Result } from "#kernel/result";
import type { AuditEvent } from "./event.ts";
import { encodeRecord } from "./record.ts";
import { nameRooms, partOf, unnamedRooms, worstCase, type NameRoom } from "./worst-case.ts";

/** A record of this size stays readable for a person, and an auditor can open it as a whole. */
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
 * Splits an event into the events of its records: at most 500 patients each, and each fits the largest size
 * class. The first has the facts that are stated once (parameters, counts, withheld, trace, asked); each has
 * the caller, address, interaction, purpose and outcome. The event's worst case decides the number of records
 * and their lengths.
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
  for (const item of names) {
    const { patient, counts, state } = item.worst;
    place(toCbor([patient, counts]).length + toCbor(state ?? null).length).names.push(item);
  }
  for (const item of unnamed) place(toCbor(item).length).unnamed.push(item);
  const real = new Set(event.unnamed);
  const events = parts.map((part, i): AuditEvent =>
    Object.assign({}, i === 0 ? first : rest, {
      patients: part.names.flatMap((item) => item.real ?? []),
      unnamed: part.unnamed.filter((item) => real.has(item)),
      reserve: event.reserve && partOf(event.reserve, part.names, part.unnamed),
    }),
  );
  return events.length > 0 && events.every((item) => size(item) <= PLAINTEXT_BYTES_MAX)
    ? ok(events)
    : err("event_too_large");
}

const size = (event: AuditEvent): number => encodeRecord(event, 1, 100_000, noSeed).length;

/**
 * The event certainly fits, without encoding it: each JSON character stands for at most three bytes of the
 * CBOR, and 256 cover the parts that JSON lacks.
 */
const isSmall = (event: AuditEvent): boolean => JSON.stringify(event).length * 3 + 256 <= PLAINTEXT_BYTES_MAX;
