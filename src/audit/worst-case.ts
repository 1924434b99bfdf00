import { stateBytesMax } from "#residence/residence";
import type { AuditEvent, PatientCounts, Reserve } from "./event.ts";

/** The longest reason in `tally` and in the checks. */
const reasonLength = 64;
const idLength = 64;
const longestState = "x".repeat(stateBytesMax);
const longestReason = "x".repeat(reasonLength);
// An integer in nine bytes.
const largestCount = Number.MAX_SAFE_INTEGER;

/** A patient of an event in the room of its record: `real` is absent for unused room. */
export interface NameRoom {
  readonly worst: PatientCounts;
  readonly real: PatientCounts | undefined;
}

/**
 * The names of an event in the order of its record: first the patients that the caller knows, then the room
 * for patients that only a row reveals. Patients beyond the room come after it, and show in the length.
 */
export function nameRooms({ patients, reserve, what }: AuditEvent): readonly NameRoom[] {
  if (reserve === undefined) return patients.map((item) => ({ worst: item, real: item }));
  const unseen = new Set(reserve.unseen);
  const known = patients.filter(({ patient }) => !unseen.has(patient));
  const hidden = patients.filter(({ patient }) => unseen.has(patient));
  const longest = (n: number) => `${what?.origin ?? ""}/Patient/${String(n).padStart(idLength, "x")}`;
  const rooms = Array.from({ length: Math.max(reserve.names, hidden.length) }, (_, n) => ({
    worst: { patient: longest(n), counts: reserve.counts, state: longestState },
    real: hidden[n],
  }));
  return [...known.map((item) => ({ worst: { ...item, state: longestState }, real: item })), ...rooms];
}

/** The references of `unnamed` that the record has room for: those of the event first. */
export const unnamedRooms = ({ unnamed, reserve }: AuditEvent): readonly string[] => [
  ...new Set([...unnamed, ...(reserve?.unnamed ?? [])]),
];

/** The event with each part that rows decide at its longest; without a reserve, rows decide nothing of it. */
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

/** The reserve of a part of an event: the room within that part. */
export const partOf = (reserve: Reserve, rooms: readonly NameRoom[], unnamed: readonly string[]): Reserve => {
  const known = new Set(reserve.unseen);
  const partRooms = rooms.filter(({ real }) => real === undefined || known.has(real.patient));
  return {
    ...reserve,
    names: partRooms.length,
    unseen: partRooms.flatMap(({ real }) => real?.patient ?? []),
    unnamed,
  };
};
