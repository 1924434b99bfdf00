import { stateBytesMax } from "#residence/residence";
import type { AuditEvent, PatientCounts, Reserve } from "./event.ts";

/** Of a reason, as `tally` and the checks have it. */
const reasonLength = 64;
const idLength = 64;
const longestState = "x".repeat(stateBytesMax);
const longestReason = "x".repeat(reasonLength);
// An integer in nine bytes.
const largestCount = Number.MAX_SAFE_INTEGER;

/** A patient of an event as its record has room for: `real` is absent where the record only has the room. */
export interface NameRoom {
  readonly worst: PatientCounts;
  readonly real: PatientCounts | undefined;
}

/**
 * The names of an event in the order of its record: patients whom its asker knows as they are, then the room
 * for those whom only a row could tell of. What the room does not hold stands behind it, and shows in the
 * length.
 */
export function nameRooms({ patients, reserve, what }: AuditEvent): readonly NameRoom[] {
  if (reserve === undefined) return patients.map((one) => ({ worst: one, real: one }));
  const unseen = new Set(reserve.unseen);
  const known = patients.filter(({ patient }) => !unseen.has(patient));
  const hidden = patients.filter(({ patient }) => unseen.has(patient));
  const longest = (n: number) => `${what?.origin ?? ""}/Patient/${String(n).padStart(idLength, "x")}`;
  const rooms = Array.from({ length: Math.max(reserve.names, hidden.length) }, (_, n) => ({
    worst: { patient: longest(n), counts: reserve.counts, state: longestState },
    real: hidden[n],
  }));
  return [...known.map((one) => ({ worst: { ...one, state: longestState }, real: one })), ...rooms];
}

/** The references of `unnamed` that the record has room for: those of the event first. */
export const unnamedRooms = ({ unnamed, reserve }: AuditEvent): readonly string[] => [
  ...new Set([...unnamed, ...(reserve?.unnamed ?? [])]),
];

/**
 * The event with all that a row decides of it at its longest; without a reserve no row decides anything of
 * it.
 */
export function worstCase(event: AuditEvent): AuditEvent {
  if (event.reserve === undefined) return event;
  const { kind, outcome, withheld } = event;
  const isEnded = kind === "refusal" || kind === "write";
  return {
    ...event,
    patients: nameRooms(event).map(({ worst }) => worst),
    unnamed: unnamedRooms(event),
    ...(isEnded && { outcome: { ...outcome, reason: longestReason } }),
    ...(withheld?.resources !== undefined && { withheld: { ...withheld, resources: largestCount } }),
  };
}

/** The reserve of one part of an event: the room that stands in that part. */
export const partOf = (reserve: Reserve, rooms: readonly NameRoom[], unnamed: readonly string[]): Reserve => {
  const known = new Set(reserve.unseen);
  const own = rooms.filter(({ real }) => real === undefined || known.has(real.patient));
  return { ...reserve, names: own.length, unseen: own.flatMap(({ real }) => real?.patient ?? []), unnamed };
};
