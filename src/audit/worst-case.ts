import { stateBytesMax } from "#residence/residence";
import {
  decisionPlaceMax,
  type AuditEvent,
  type DecidedBy,
  type PatientCounts,
  type Reserve,
} from "./event.ts";

/** The longest reason in `tally` and in the checks. */
const reasonLength = 64;
const idLength = 64;
const longestState = "x".repeat(stateBytesMax);
const longestReason = "x".repeat(reasonLength);
/**
 * The reason of a refusal that a row decided. A decision needs more room than any reason without a decision
 * (each has at most 64 characters).
 */
const decidedReason = "x".repeat(24);
const longestDecision: DecidedBy = {
  by: "consent",
  consentDigest: "0".repeat(64),
  place: "x".repeat(decisionPlaceMax.withConsent),
};
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
export function nameRooms(event: AuditEvent): readonly NameRoom[] {
  const { patients, reserve, what } = event;
  if (reserve === undefined) return patients.map((item) => ({ worst: item, real: item }));
  const knownRoom = (item: PatientCounts): NameRoom => ({
    worst: { patient: asKnown(event, item.patient), counts: item.counts, state: longestState },
    real: item,
  });
  if (reserve.names + reserve.unseen.length === 0) return patients.map(knownRoom);
  const unseen = new Set(reserve.unseen);
  const known = patients.filter(({ patient }) => !unseen.has(patient));
  const hidden = patients.filter(({ patient }) => unseen.has(patient));
  const longest = (n: number) => `${what?.origin ?? ""}/Patient/${String(n).padStart(idLength, "x")}`;
  const rooms = Array.from({ length: Math.max(reserve.names, hidden.length) }, (_, n) => ({
    worst: { patient: longest(n), counts: reserve.counts, state: longestState },
    real: hidden[n],
  }));
  return [...known.map(knownRoom), ...rooms];
}

/** A name of which the caller knows no more than a random code is as long as any. */
const asKnown = ({ form }: AuditEvent, name: string): string =>
  form === undefined ? name : name.slice(0, name.lastIndexOf("/") + 1) + "x".repeat(idLength);

/** The references of `unnamed` that the record has room for: those of the event first. */
export function unnamedRooms({ unnamed, reserve }: AuditEvent): readonly string[] {
  const room = reserve?.unnamed ?? [];
  return unnamed.length + room.length === 0 ? room : [...new Set([...unnamed, ...room])];
}

/** The fields of an event that rows decide. */
export type DecidedFields = Pick<
  AuditEvent,
  "patients" | "unnamed" | "outcome" | "withheld" | "decision" | "unjudged"
>;

/** The fields that rows decide, at their longest; without a reserve, rows decide nothing of the event. */
export function worstCase(event: AuditEvent): DecidedFields {
  if (event.reserve === undefined) return event;
  const { kind, outcome, withheld, decision, unjudged } = event;
  const isEnded = kind === "refusal" || kind === "write";
  return {
    patients: nameRooms(event).map(({ worst }) => worst),
    unnamed: unnamedRooms(event).map((name) => asKnown(event, name)),
    outcome: isEnded
      ? { status: outcome?.status, reason: kind === "refusal" ? decidedReason : longestReason }
      : outcome,
    withheld:
      withheld?.resources === undefined
        ? withheld
        : Object.assign({ ...withheld }, { resources: largestCount }),
    decision: kind === "refusal" ? longestDecision : decision,
    unjudged: unjudged === undefined ? undefined : largestCount,
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
