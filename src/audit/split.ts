import { toCbor } from "#ledger/bytes/cbor";
import { PLAINTEXT_BYTES_MAX } from "#ledger/leaf/padding";
import { err, ok, type Result } from "#kernel/result";
import type { AuditEvent } from "./event.ts";
import { encodeUnseeded, type UnseededRecord } from "./record.ts";
import { nameRooms, partOf, unnamedRooms, type NameRoom } from "./worst-case.ts";

/** A record of this size stays readable for a person, and an auditor can open it as a whole. */
const PATIENTS_MAX = 500;
// Room for the array headers of patients, states and unnamed, the longest part numbers, and the seed (already
// counted once).
const SLACK = 64;
// 100,000 parts in place of one: five bytes of CBOR instead of one.
const NUMBERS_SLACK = 4;

interface Part {
  readonly names: NameRoom[];
  readonly unnamed: string[];
}

/** A record of an event: the event or part of it, and its bytes. */
export interface EventRecord extends UnseededRecord {
  readonly event: AuditEvent;
}

/** The records of an event: its parts as `splitEvent` makes them. An event that fits a record is written once. */
export function recordsOf(event: AuditEvent): Result<readonly EventRecord[], "event_too_large"> {
  if (namesFew(event)) {
    const whole = encodeUnseeded(event, 1, 1);
    if (whole.plaintext.length + NUMBERS_SLACK <= PLAINTEXT_BYTES_MAX) return ok([{ event, ...whole }]);
  }
  const parts = splitEvent(event);
  if (!parts.ok) return parts;
  return ok(
    parts.value.map((part, i) => {
      const { plaintext, seedAt } = encodeUnseeded(part, i + 1, parts.value.length);
      return { event: part, plaintext, seedAt };
    }),
  );
}

/**
 * Splits an event into the events of its records: at most 500 patients each, and each fits the largest size
 * class. The first has the facts that are stated once (parameters, counts, withheld, trace, asked); each has
 * the caller, address, interaction, purpose and outcome. The event's worst case decides the number of records
 * and their lengths.
 */
export function splitEvent(event: AuditEvent): Result<readonly AuditEvent[], "event_too_large"> {
  if (namesFew(event) && size(event) <= PLAINTEXT_BYTES_MAX) return ok([event]);
  const [names, unnamed] = [nameRooms(event), unnamedRooms(event)];

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
    unjudged: undefined,
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

/** True when a record may have all names of the event, in its worst case. */
function namesFew(event: AuditEvent): boolean {
  const { patients, unnamed, reserve } = event;
  const most = patients.length + unnamed.length + (reserve ? reserve.names + reserve.unnamed.length : 0);
  if (most <= PATIENTS_MAX) return true;
  return reserve === undefined
    ? patients.length + new Set(unnamed).size <= PATIENTS_MAX
    : nameRooms(event).length + unnamedRooms(event).length <= PATIENTS_MAX;
}

const size = (event: AuditEvent): number => encodeUnseeded(event, 1, 1).plaintext.length + NUMBERS_SLACK;
