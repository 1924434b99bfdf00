import type { AuditEvent } from "./event.ts";
import type { AuditRecord } from "./record.ts";

/**
 * Answers whether a record continues the record before it: the parts of an event are consecutive in a frame,
 * and equal in caller, time and purpose. A part with different facts would otherwise hide behind the facts of
 * the first part.
 */
export function isNextPart(last: AuditRecord, next: AuditRecord): boolean {
  return (
    last.parts === next.parts &&
    last.part + 1 === next.part &&
    inEachPart(last.event) === inEachPart(next.event)
  );
}

/** The fields that `splitEvent` leaves in every part, besides the two that differ in form. */
const partFields = [
  "id",
  "at",
  "kind",
  "who",
  "from",
  "why",
  "outcome",
  "window",
  "consents",
  "emergency",
] as const;
const inEachPart = (event: AuditEvent): string =>
  JSON.stringify([
    event.step ?? 0,
    { ...event.what, parameters: undefined },
    ...partFields.map((field) => event[field]),
  ]);

/** Joins the parts that `splitEvent` made of an event, in their order. Needs at least one part. */
export function rejoin(parts: readonly AuditRecord[]): AuditEvent {
  const [first] = parts;
  if (first === undefined) throw new RangeError("an event has at least one record");
  if (parts.length === 1) return first.event;
  return {
    ...first.event,
    patients: parts.flatMap(({ event }) => event.patients),
    unnamed: parts.flatMap(({ event }) => event.unnamed),
  };
}
