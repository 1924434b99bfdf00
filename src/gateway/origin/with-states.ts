import type { AuditEvent } from "#audit/event";
import type { Residences } from "#residence/row-residences";

/** An event with the state of each patient that it names, where a body of its request said one. A request is of one origin. */
export function withStates(event: AuditEvent, residences: Residences): AuditEvent {
  const patients = event.patients.map((one) => {
    const state = residences.of(one.patient.slice(one.patient.lastIndexOf("/") + 1));
    return state === undefined ? one : { ...one, state };
  });
  return { ...event, patients };
}
