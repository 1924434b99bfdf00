import type { AuditEvent } from "./event.ts";
import type { AuditRecord } from "./record.ts";

/** Whether a record goes on where the one before it ends: parts of one event stand one after another in one frame. */
export function goesOn(last: AuditRecord, next: AuditRecord): boolean {
  const sameEvent = last.event.id === next.event.id && last.event.step === next.event.step && last.event.kind === next.event.kind;
  return sameEvent && last.parts === next.parts && last.part + 1 === next.part;
}

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
