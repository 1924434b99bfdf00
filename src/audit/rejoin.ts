import type { AuditEvent } from "./event.ts";
import type { AuditRecord } from "./record.ts";

/**
 * Whether a record goes on where the one before it ends: parts of one event stand one after another in one
 * frame, and say the same of who, when and why. A part that said something else would hide under what the
 * first one says.
 */
export function isNextPart(last: AuditRecord, next: AuditRecord): boolean {
  return (
    last.parts === next.parts &&
    last.part + 1 === next.part &&
    inEachPart(last.event) === inEachPart(next.event)
  );
}

/** What `splitEvent` leaves in every part. */
const inEachPart = ({ id, step, at, kind, who, from, what, why, outcome, window }: AuditEvent): string =>
  JSON.stringify([
    id,
    step ?? 0,
    at,
    kind,
    who,
    from,
    { ...what, parameters: undefined },
    why,
    outcome,
    window,
  ]);

/** The event whose parts these are, in their order: what `splitEvent` took apart. Needs at least one. */
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
